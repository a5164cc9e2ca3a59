//! The kubeconfig documents (`client-go/tools/clientcmd/api/v1`), as kubeadm writes them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::manifest::yaml;
use crate::pki::KubeconfigId;
use crate::secret::Secret;

/// The server URL of a kubeconfig: people go to the control-plane endpoint, the node's own components to their own API
/// server (`phases/kubeconfig/kubeconfig.go`).
pub fn server(id: KubeconfigId, config: &Config) -> String {
    let local = (config.advertise_address.to_string(), config.bind_port);
    let (host, port) = match (id, &config.cluster.control_plane_endpoint) {
        (KubeconfigId::Admin | KubeconfigId::SuperAdmin, Some(endpoint)) => (endpoint.host.clone(), endpoint.port),
        _ => local,
    };
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
        _ => format!("https://{host}:{port}"),
    }
}

/// Renders a kubeconfig with everything embedded. Key order as kubeadm's; every scalar is quoted JSON, which is YAML.
pub fn render(cluster: &str, server: &str, ca_pem: &str, user: &str, certificate_pem: &str, key: &Secret) -> Secret {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let context = quote(&format!("{user}@{cluster}"));
    let (cluster, server, user) = (quote(cluster), quote(server), quote(user));
    let (ca, certificate) = (STANDARD.encode(ca_pem), STANDARD.encode(certificate_pem));
    let key = Zeroizing::new(STANDARD.encode(key.expose()));
    let document = Zeroizing::new(format!(
        "apiVersion: v1\n\
         clusters:\n\
         - cluster:\n\
         \x20   certificate-authority-data: {ca}\n\
         \x20   server: {server}\n\
         \x20 name: {cluster}\n\
         contexts:\n\
         - context:\n\
         \x20   cluster: {cluster}\n\
         \x20   user: {user}\n\
         \x20 name: {context}\n\
         current-context: {context}\n\
         kind: Config\n\
         users:\n\
         - name: {user}\n\
         \x20 user:\n\
         \x20   client-certificate-data: {certificate}\n\
         \x20   client-key-data: {}\n",
        key.as_str()
    ));
    Secret::new(document.as_bytes().to_vec())
}

/// Renders a kubeconfig with the credentials that are given as fields of its user: files, or a token.
pub fn render_with(cluster: &str, server: &str, ca_pem: &str, user: &str, credentials: &Value) -> Zeroizing<String> {
    let context = format!("{user}@{cluster}");
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": cluster,
            "cluster": {"certificate-authority-data": STANDARD.encode(ca_pem), "server": server},
        }],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "users": [{"name": user, "user": credentials}],
    });
    Zeroizing::new(yaml::block(&document))
}

/// What the current context of a kubeconfig names.
#[derive(Debug)]
pub struct Kubeconfig {
    /// Server URL.
    pub server: String,
    /// Embedded CA bundle in PEM; empty when it names a file.
    pub ca_pem: String,
    /// Name of the user entry.
    pub user: String,
    /// Embedded client certificate in PEM.
    pub certificate_pem: Option<String>,
    /// The file that holds the client certificate, when it is not embedded.
    pub certificate_file: Option<String>,
    /// Embedded client key in PEM.
    pub key_pem: Option<Secret>,
}

/// A kubeconfig cannot be read. The words never quote its content, which is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// Not YAML, or not a kubeconfig.
    #[error("it is not a kubeconfig")]
    Syntax,
    /// The current context or what it names is missing.
    #[error("its current context names a {0} that it does not have")]
    Dangling(&'static str),
    /// Embedded data are not base64.
    #[error("its {0} is damaged")]
    Data(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    clusters: Vec<Named<Cluster>>,
    #[serde(default)]
    contexts: Vec<Named<Context>>,
    #[serde(default)]
    users: Vec<Named<User>>,
    #[serde(default)]
    current_context: String,
}

#[derive(Serialize, Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    value: T,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    #[serde(rename = "client-certificate")]
    certificate_file: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<Zeroizing<String>>,
}

/// Reads the current context of a kubeconfig.
pub fn parse(bytes: &[u8]) -> Result<Kubeconfig, KubeconfigError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KubeconfigError::Syntax)?;
    // The parser's own error would quote the lines around the place.
    let document: Document = serde_yaml::from_str(text).map_err(|_| KubeconfigError::Syntax)?;
    let context = named(document.contexts, &document.current_context).ok_or(KubeconfigError::Dangling("context"))?;
    let cluster = named(document.clusters, &context.cluster).ok_or(KubeconfigError::Dangling("cluster"))?;
    let user = named(document.users, &context.user).ok_or(KubeconfigError::Dangling("user"))?;
    let text = |data: Option<String>, name| {
        let decoded = data.map(|data| STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()));
        match decoded {
            Some(None) => Err(KubeconfigError::Data(name)),
            Some(text) => Ok(text),
            None => Ok(None),
        }
    };
    let key_pem = match user.client_key_data {
        Some(data) => {
            Some(STANDARD.decode(data.as_bytes()).map(Secret::new).map_err(|_| KubeconfigError::Data("client key"))?)
        }
        None => None,
    };
    Ok(Kubeconfig {
        server: cluster.server,
        ca_pem: text(cluster.certificate_authority_data, "certificate authority")?.unwrap_or_default(),
        user: context.user,
        certificate_file: user.certificate_file,
        certificate_pem: text(user.client_certificate_data, "client certificate")?,
        key_pem,
    })
}

fn named<T>(entries: Vec<Named<T>>, name: &str) -> Option<T> {
    entries.into_iter().find(|entry| entry.name == name).map(|entry| entry.value)
}
