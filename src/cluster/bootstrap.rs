//! bootstrap-token: what a node needs before it is one (`phases/bootstraptoken`).

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Object, config_map, rbac};
use crate::config::{BootstrapToken, Config};
use crate::kubeconfig;
use crate::manifest::yaml;
use crate::pki::KubeconfigId;
use crate::token::Token;

/// Everything but the tokens.
pub(super) fn objects(config: &Config, authority: &str) -> Vec<Object> {
    let (nodes, bootstrappers) = (rbac::group(rbac::NODES), rbac::group(rbac::BOOTSTRAPPERS));
    let approve = |which| format!("system:certificates.k8s.io:certificatesigningrequests:{which}");
    let bind = rbac::cluster_role_binding;
    let mut objects = vec![
        Object::new(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "kubeadm:get-nodes"},
            "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}],
        })),
        bind("kubeadm:get-nodes", "kubeadm:get-nodes", &bootstrappers),
        bind("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", &bootstrappers),
        bind("kubeadm:node-autoapprove-bootstrap", &approve("nodeclient"), &bootstrappers),
        bind("kubeadm:node-autoapprove-certificate-rotation", &approve("selfnodeclient"), &nodes),
        cluster_info(config, authority),
    ];
    let anybody = [rbac::user("system:anonymous")];
    let name = "kubeadm:bootstrap-signer-clusterinfo";
    objects.extend(rbac::may_get("kube-public", name, ("configmaps", "cluster-info"), &anybody));
    objects
}

/// What a node learns without any credentials: where the cluster is and who signs for it. The controller manager adds a
/// signature for each token, by which the node believes it.
fn cluster_info(config: &Config, authority: &str) -> Object {
    let server = kubeconfig::server(KubeconfigId::Admin, config);
    let cluster = json!({"certificate-authority-data": STANDARD.encode(authority), "server": server});
    let document = json!({
        "apiVersion": "v1",
        "clusters": [{"cluster": cluster, "name": ""}],
        "contexts": null,
        "current-context": "",
        "kind": "Config",
        "users": null,
    });
    Object::new(config_map("kube-public", "cluster-info", "kubeconfig", &yaml::block(&document)))
}

/// What is known of a token in the cluster without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenState {
    /// The public half.
    pub id: String,
    /// When it ends; `None` stands for never.
    pub expires: Option<SystemTime>,
    /// What it is for, `authentication` and `signing`.
    pub usages: Vec<String>,
    /// The groups of who uses it.
    pub groups: Vec<String>,
    /// What somebody wrote about it.
    pub description: String,
}

impl TokenState {
    /// Whether it does what `wanted` is for, and does so for a while yet.
    pub fn serves(&self, wanted: &BootstrapToken, now: SystemTime) -> bool {
        let named = wanted.token.as_ref().is_none_or(|token| token.id() == self.id);
        let alive = self.expires.is_none_or(|expires| expires > now);
        let has = |wanted: &[String], has: &[String]| wanted.iter().all(|word| has.contains(word));
        named && alive && has(&wanted.usages, &self.usages) && has(&wanted.groups, &self.groups)
    }
}

/// The Secret of a token (`apis/bootstraptoken/v1/utils.go`).
pub fn token_secret(token: &Token, wanted: &BootstrapToken, now: SystemTime) -> Object {
    let mut data = Map::new();
    let mut put = |key: &str, text: &str| data.insert(key.to_owned(), json!(STANDARD.encode(text)));
    put("token-id", token.id());
    put("token-secret", token.secret());
    if !wanted.description.is_empty() {
        put("description", &wanted.description);
    }
    if let Some(expires) = wanted.lifetime.ends(now) {
        put("expiration", &timestamp(expires));
    }
    for usage in &wanted.usages {
        put(&format!("usage-bootstrap-{usage}"), "true");
    }
    if !wanted.groups.is_empty() {
        put("auth-extra-groups", &wanted.groups.join(","));
    }
    Object::new(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": format!("bootstrap-token-{}", token.id()), "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    }))
}

/// RFC 3339 in whole seconds, as the token cleaner reads it.
fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// The tokens among Secrets; what is no token is passed over.
pub fn token_states(secrets: &[Value]) -> Vec<TokenState> {
    secrets.iter().filter_map(token_state).collect()
}

/// The token in a Secret.
pub fn token(secret: &Value) -> Option<Token> {
    Token::new(&field(secret, "token-id")?, &field(secret, "token-secret")?).ok()
}

fn field(secret: &Value, name: &str) -> Option<String> {
    let bytes = STANDARD.decode(secret["data"][name].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

fn token_state(secret: &Value) -> Option<TokenState> {
    let usages = secret["data"].as_object()?.keys().filter_map(|key| {
        let usage = key.strip_prefix("usage-bootstrap-")?;
        (field(secret, key)? == "true").then(|| usage.to_owned())
    });
    let groups = field(secret, "auth-extra-groups").unwrap_or_default();
    Some(TokenState {
        id: field(secret, "token-id")?,
        // A date that nobody can read is one that is over, as for the token cleaner.
        expires: field(secret, "expiration")
            .map(|text| OffsetDateTime::parse(&text, &Rfc3339).map_or(SystemTime::UNIX_EPOCH, SystemTime::from)),
        usages: usages.collect(),
        groups: groups.split(',').filter(|group| !group.is_empty()).map(str::to_owned).collect(),
        description: field(secret, "description").unwrap_or_default(),
    })
}
