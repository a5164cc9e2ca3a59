//! `kubekeel certs generate-csr` and `certificate-key`: what an authority elsewhere signs, and what uploads are encrypted with.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{Global, Output, output};
use super::Place;
use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::host;
use crate::host::fs::{Files, Publish};
use crate::kubeconfig;
use crate::layout;
use crate::pki::{self, CertificateId, Key, KubeconfigId};
use crate::token::CertificateKey;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel certs generate-csr --config kubeadm.yaml --cert-dir /root/requests --kubeconfig-dir /root/requests

For each certificate a key (.key) and a request (.csr), for each kubeconfig one with a key and without a certificate \
(.conf) and a request (.conf.csr). Nothing that is there is replaced.";

pub(super) const KEY_EXAMPLES: &str = "\
Examples:
  kubekeel certs certificate-key
  kubekeel certs certificate-key -o json | jq -r .certificateKey

It goes into `certificateKey` of the configuration, or to `kubekeel init --upload-certs --certificate-key`.";

/// Arguments of `certs generate-csr`.
#[derive(Debug, Clone, Args)]
pub(super) struct GenerateCsr {
    #[command(flatten)]
    place: Place,
    /// Directory of the kubeconfigs
    #[arg(long, value_name = "DIR", default_value = layout::KUBERNETES)]
    kubeconfig_dir: String,
}

pub(super) fn generate(global: &Global, args: &GenerateCsr) -> Result<()> {
    let files = Files::new(&global.root);
    let mut config = args.place.complete(&files)?;
    if let Some(directory) = &args.place.cert_dir {
        config.cluster.certificates_dir.clone_from(directory);
    }
    let mut batch = vec![];
    for id in CertificateId::ALL.into_iter().filter(|id| id.signer().is_some()) {
        let base = format!("{}/{}", config.cluster.certificates_dir, id.base());
        let profile = pki::profile(id, &config);
        let (key, request) = request(&profile)?;
        batch.push(secret(format!("{base}.key"), key.private_pem().expose()));
        batch.push(secret(format!("{base}.csr"), request.as_bytes()));
    }
    for id in KubeconfigId::ALL {
        let path = format!("{}/{}", args.kubeconfig_dir, id.file());
        let (key, request) = request(&pki::client_profile(id, &config))?;
        batch.push(secret(path.clone(), unsigned(id, &key, &config, &files)?.as_bytes()));
        batch.push(secret(format!("{path}.csr"), request.as_bytes()));
    }
    publish(&batch, &files)?;
    let paths: Vec<_> = batch.iter().map(|file| file.path.as_str()).collect();
    match global.output {
        Output::Text => output::print(&paths.join("\n")),
        form => output::data(form, &json!({"files": paths})),
    }
    Ok(())
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Step, "cannot make the requests").because(error)
}

fn request(profile: &pki::Profile) -> Result<(Key, String)> {
    let key = Key::generate(profile.algorithm).map_err(|error| failed(&error))?;
    let request = pki::request(profile, &key).map_err(|error| failed(&error))?;
    Ok((key, request))
}

/// A kubeconfig that waits for its certificate.
fn unsigned(id: KubeconfigId, key: &Key, config: &Config, files: &Files) -> Result<Zeroizing<String>> {
    let authority = format!("{}/ca.crt", config.cluster.certificates_dir);
    let authority = files.read(&authority).map_err(|error| failed(&error))?.unwrap_or_default();
    let user = pki::client_profile(id, config).common_name;
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(key.private_pem().expose()));
    Ok(kubeconfig::render_with(
        &config.cluster.name,
        &kubeconfig::server(id, config),
        &String::from_utf8_lossy(&authority),
        &user,
        &json!({"client-key-data": encoded.as_str()}),
    ))
}

/// A request is no secret, but kubeadm keeps it like the key beside it (`util/pkiutil/pki_helpers.go`, `WriteCSR`).
fn secret(path: String, content: &[u8]) -> Publish {
    Publish { path, content: Zeroizing::new(content.to_vec()), mode: 0o600, replace: false }
}

/// Writes all of it, or nothing when anything of it is there.
fn publish(batch: &[Publish], files: &Files) -> Result<()> {
    let mut problems = vec![];
    for file in batch {
        if files.status(&file.path).map_err(|error| failed(&error))?.is_some() {
            problems
                .push(Problem::new(&file.path, "it is there already").hint("name another directory, or move it away"));
        }
    }
    if !problems.is_empty() {
        return Err(Error::problems(
            Kind::Preflight,
            "requests would replace what is there; nothing was written",
            problems,
        ));
    }
    for file in batch {
        let (directory, _) = file.path.rsplit_once('/').unwrap_or_default();
        files.ensure_directory(directory, 0o700).map_err(|error| failed(&error))?;
    }
    files.publish(batch).map_err(|error| failed(&error))
}

/// Prints a new key for uploaded certificates.
pub(super) fn certificate_key(global: &Global) -> Result<()> {
    let key = CertificateKey::generate(host::random)
        .map_err(|error| Error::new(Kind::Step, "cannot make a key").because(&error))?
        .expose();
    match global.output {
        Output::Text => output::print(&key),
        form => output::data(form, &json!({"certificateKey": key.as_str()})),
    }
    Ok(())
}
