//! `etcd`: the one of this node, or one that runs elsewhere.

use serde_json::Value as Json;

use super::fields::Fields;
use super::given::{Given, Origin, Wrong, quoted};
use super::init::{args, envs};
use super::resolve::Context;
use super::{Arg, EtcdUrl, ExternalEtcd, LocalEtcd, value};
use crate::layout;

/// `etcd` as it was given.
#[derive(Debug, Default)]
pub(super) struct Etcd {
    local: Option<Local>,
    external: Option<External>,
}

#[derive(Debug, Default)]
struct Local {
    data_dir: Option<Given<String>>,
    image_repository: Option<Given<String>>,
    image_tag: Option<Given<String>>,
    extra_args: Vec<Arg>,
    extra_envs: Vec<Json>,
    server_cert_sans: Vec<Given<String>>,
    peer_cert_sans: Vec<Given<String>>,
}

#[derive(Debug)]
struct External {
    origin: Origin,
    endpoints: Vec<Given<String>>,
    http_endpoints: Vec<Given<String>>,
    ca_file: Option<Given<String>>,
    cert_file: Option<Given<String>>,
    key_file: Option<Given<String>>,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Etcd {
    let origin = fields.origin("external");
    Etcd {
        local: fields.object("local", local),
        external: fields.object("external", |f| external(f, origin)).flatten(),
    }
}

fn local(fields: &mut Fields<'_>) -> Local {
    Local {
        data_dir: fields.string("dataDir"),
        image_repository: fields.string("imageRepository"),
        image_tag: fields.string("imageTag"),
        extra_args: args(fields, "extraArgs"),
        extra_envs: envs(fields),
        server_cert_sans: fields.strings("serverCertSANs").unwrap_or_default(),
        peer_cert_sans: fields.strings("peerCertSANs").unwrap_or_default(),
    }
}

fn external(fields: &mut Fields<'_>, origin: Option<Origin>) -> Option<External> {
    let endpoints = fields.strings("endpoints").unwrap_or_default();
    if endpoints.is_empty() {
        fields.missing("endpoints");
    }
    Some(External {
        endpoints,
        http_endpoints: fields.strings("httpEndpoints").unwrap_or_default(),
        ca_file: fields.string("caFile"),
        cert_file: fields.string("certFile"),
        key_file: fields.string("keyFile"),
        origin: origin?,
    })
}

/// The etcd of this node, which stays at its defaults when there is one elsewhere, and that one.
pub(super) fn etcd(context: Context<'_>, given: Etcd) -> (LocalEtcd, Option<ExternalEtcd>) {
    if let (Some(_), Some(external)) = (&given.local, &given.external) {
        let wrong = Wrong::new("etcd.local and etcd.external exclude each other").hint("remove one of them");
        context.problems.add(&external.origin, wrong);
    }
    let local = given.local.unwrap_or_default();
    let local = LocalEtcd {
        data_dir: context.optional(local.data_dir, value::directory).unwrap_or_else(|| layout::ETCD_DATA.into()),
        image_repository: context.optional(local.image_repository, value::image_repository),
        image_tag: context.optional(local.image_tag, value::image_tag),
        kept_tag: context.overrides.kept_etcd_tag.clone(),
        extra_args: local.extra_args,
        extra_envs: local.extra_envs,
        server_cert_sans: context.all(local.server_cert_sans, value::san),
        peer_cert_sans: context.all(local.peer_cert_sans, value::san),
    };
    (local, given.external.map(|external| judge(context, external)))
}

/// kubeadm's rules (`validation.go`, `ValidateEtcd`), and what the API server's client of etcd needs besides.
fn judge(context: Context<'_>, given: External) -> ExternalEtcd {
    let problems = context.problems;
    let is_given = [&given.ca_file, &given.cert_file, &given.key_file].map(Option::is_some);
    match is_given {
        [_, true, false] | [_, false, true] => {
            let wrong = Wrong::new("certFile and keyFile belong together").hint("give both of them, or none");
            problems.add(&given.origin, wrong);
        }
        [false, true, true] => {
            problems.add(&given.origin, Wrong::new("a client certificate needs caFile, too"));
        }
        _ => {}
    }
    let secure = is_given.contains(&true);
    let urls = |given: Vec<Given<String>>, secure: bool| -> Vec<EtcdUrl> {
        given.into_iter().filter_map(|given| given.check(problems, |text| url(text, secure))).collect()
    };
    ExternalEtcd {
        endpoints: urls(given.endpoints, secure),
        http_endpoints: urls(given.http_endpoints, false),
        ca_file: context.optional(given.ca_file, value::path),
        cert_file: context.optional(given.cert_file, value::path),
        key_file: context.optional(given.key_file, value::path),
    }
}

fn url(text: &str, secure: bool) -> Result<EtcdUrl, Wrong> {
    let hint = "write it like https://etcd-1.example.com:2379";
    let wrong = || Wrong::new(format!("{} is not the URL of an etcd member", quoted(text))).hint(hint);
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let tls = match scheme {
        "https" => true,
        "http" if secure => return Err(Wrong::new("certificates need the scheme https").hint(hint)),
        "http" => false,
        _ => return Err(wrong()),
    };
    // The API server's client has no default port.
    let endpoint = value::endpoint(rest.trim_end_matches('/'), 0)?;
    if endpoint.port == 0 {
        return Err(Wrong::new(format!("{} has no port", quoted(text))).hint(hint));
    }
    Ok(EtcdUrl { url: text.to_owned(), endpoint, tls })
}
