//! `JoinConfiguration`: how another node finds this cluster. `kubeadm join` reads it; here it is judged
//! (`apis/kubeadm/validation/validation.go`, `ValidateJoinConfiguration`).

use super::fields::{Fields, Item};
use super::given::{Given, Problems, Wrong, quoted};
use super::{init, tokens, value};
use crate::token::Token;

/// Judges the document. Where it is to be found, when discovery goes by a file of the joining node.
pub(super) fn judge(fields: &mut Fields<'_>) -> Option<Given<String>> {
    let problems = fields.problems();
    fields.boolean("dryRun");
    fields.object("nodeRegistration", |fields| init::node(fields).judge(problems));
    if let Some(path) = fields.string("caCertPath") {
        path.check(problems, |path| ca_path(path));
    }
    if fields.origin("discovery").is_none() {
        fields.missing("discovery");
    }
    let file = fields.object("discovery", discovery).flatten();
    fields.object("controlPlane", |fields| {
        let (address, port) = fields.object("localAPIEndpoint", init::endpoint).unwrap_or_default();
        address.map(|address| address.check(problems, |text| value::ip(text)));
        port.map(|port| port.check(problems, |port| value::port(*port)));
        tokens::certificate_key(fields);
    });
    init::phases_patches_timeouts(fields);
    file
}

fn ca_path(path: &str) -> Result<(), Wrong> {
    if value::path(path)?.strip_suffix(".crt").is_some() {
        return Ok(());
    }
    Err(Wrong::new(format!("{} does not end with .crt", quoted(path))))
}

fn discovery(fields: &mut Fields<'_>) -> Option<Given<String>> {
    let problems = fields.problems();
    let (token, file) = (fields.origin("bootstrapToken"), fields.origin("file"));
    match (&token, &file) {
        (None, None) if !fields.is_given("file") => {
            fields.report("bootstrapToken", Wrong::new("bootstrapToken or file is missing"));
        }
        (Some(_), Some(file)) => problems.add(file, Wrong::new("bootstrapToken and file exclude each other")),
        _ => {}
    }
    fields.object("bootstrapToken", bootstrap_token);
    if let Some(token) = fields.secret("tlsBootstrapToken") {
        token.check(problems, |text| text.parse::<Token>().map_err(Wrong::from_error));
    }
    let path = fields.object("file", |fields| {
        let path = fields.string("kubeConfigPath");
        if path.is_none() {
            fields.missing("kubeConfigPath");
        }
        path
    });
    let path = path.flatten()?;
    let path = Given { value: path.check(problems, |path| kubeconfig_place(path))?, ..path };
    path.value.starts_with('/').then_some(path)
}

/// A path, or an https URL; a `file://` URL becomes its path.
fn kubeconfig_place(text: &str) -> Result<String, Wrong> {
    match text.split_once("://") {
        None | Some(("file", _)) => value::path(text.trim_start_matches("file://")),
        Some(("https", _)) => value::printable(text),
        Some(_) => Err(Wrong::new(format!("{} is not safe to ask", quoted(text))).hint("use https")),
    }
}

fn bootstrap_token(fields: &mut Fields<'_>) {
    let problems = fields.problems();
    match fields.secret("token") {
        Some(token) => _ = token.check(problems, |text| text.parse::<Token>().map_err(Wrong::from_error)),
        None => fields.missing("token"),
    }
    match fields.string("apiServerEndpoint") {
        Some(endpoint) => _ = endpoint.check(problems, |text| endpoint_with_port(text)),
        None => fields.missing("apiServerEndpoint"),
    }
    let hashes = fields.list("caCertHashes", |item| hash(item, problems));
    let unsafely = fields.boolean("unsafeSkipCAVerification").unwrap_or_default();
    if hashes.is_none_or(|hashes| hashes.is_empty()) && !unsafely {
        let wrong = Wrong::new("without a hash of the authority anybody can pretend to be the cluster");
        let hint = "take the hash from `kubekeel token create --print-join-command`, or set unsafeSkipCAVerification";
        fields.report("caCertHashes", wrong.hint(hint));
    }
}

fn endpoint_with_port(text: &str) -> Result<(), Wrong> {
    // Two defaults that differ: a port that is there does not depend on them.
    let (one, other) = (value::endpoint(text, 1)?, value::endpoint(text, 2)?);
    if one.port == other.port {
        return Ok(());
    }
    Err(Wrong::new(format!("{} has no port", quoted(text))).hint("write host:port, for example with :6443"))
}

/// The SHA-256 of the authority's public key (`util/pubkeypin`).
fn hash(item: Item<'_>, problems: &Problems) -> Option<()> {
    let is_hash = |text: &str| {
        text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    item.string()?.check(problems, |text| {
        let wrong = || Wrong::new(format!("{} is no hash", quoted(text)));
        is_hash(text).then_some(()).ok_or_else(|| wrong().hint("sha256: and 64 hexadecimal digits"))
    });
    Some(())
}
