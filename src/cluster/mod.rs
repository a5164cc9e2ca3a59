//! What belongs into the cluster itself: objects as kubeadm makes them, from the configuration alone.

mod addons;
mod bootstrap;
mod certificates;
mod configuration;
mod defaults;
mod join;
mod object;
mod rbac;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

pub use bootstrap::{TokenState, token, token_secret, token_states};
pub use certificates::{certificates_owner, certificates_secret, encrypt, uploaded_files};
pub(crate) use configuration::cluster_configuration;
pub use defaults::{COMPONENTS, Defaults, defaults};
pub use join::{JoinError, join_command};
pub use object::Object;

use crate::config::Config;
use crate::error::Result;
use crate::manifest::{self, Component};
use crate::phase;

/// A phase that fills the cluster with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// `upload-config/kubeadm`.
    KubeadmConfig,
    /// `upload-config/kubelet`.
    KubeletConfig,
    /// `bootstrap-token`, all of it but the tokens, which are secrets.
    BootstrapToken,
    /// `addon/coredns`.
    CoreDns,
    /// `addon/kube-proxy`.
    KubeProxy,
}

impl Part {
    /// All parts, in kubeadm's order.
    pub const ALL: [Self; 5] =
        [Self::KubeadmConfig, Self::KubeletConfig, Self::BootstrapToken, Self::CoreDns, Self::KubeProxy];
}

/// What the objects take from elsewhere than the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The cluster's certificate authority in PEM; empty while it is not made.
    pub authority: &'a str,
    /// The objects as they are in the cluster, by title.
    pub live: &'a BTreeMap<String, Value>,
}

/// The objects of one part.
pub fn objects(part: Part, config: &Config, known: Known<'_>) -> Result<Vec<Object>> {
    match part {
        Part::KubeadmConfig => Ok(configuration::kubeadm(config)),
        Part::KubeletConfig => configuration::kubelet(config),
        Part::BootstrapToken => Ok(bootstrap::objects(config, known.authority)),
        Part::CoreDns => addons::coredns(config, known.live),
        Part::KubeProxy => addons::kube_proxy(config),
    }
}

/// The objects of several parts.
pub fn all(parts: &[Part], config: &Config, known: Known<'_>) -> Result<Vec<Object>> {
    let objects = parts.iter().map(|part| objects(*part, config, known)).collect::<Result<Vec<_>>>()?;
    Ok(objects.into_iter().flatten().collect())
}

/// All images of a control plane, its add-ons included, in kubeadm's order (`images/images.go`, `GetControlPlaneImages`).
pub fn images(config: &Config) -> Vec<String> {
    let static_pods = [Component::ApiServer, Component::ControllerManager, Component::Scheduler];
    let wanted = |phase: &str| !phase::is_skipped(phase, &config.skip_phases);
    let mut images: Vec<_> = static_pods.map(|component| manifest::image(component, config)).into();
    images.extend(wanted("addon/kube-proxy").then(|| addons::kube_proxy_image(config)));
    images.extend(wanted("addon/coredns").then(|| addons::coredns_image(config)));
    images.push(manifest::pause_image(config));
    let local = manifest::components(config).any(|component| component == Component::Etcd);
    images.extend(local.then(|| manifest::image(Component::Etcd, config)));
    images
}

/// Labels of a control-plane Node (`phases/markcontrolplane`).
pub fn labels() -> BTreeMap<String, String> {
    ["node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers"]
        .map(|label| (label.to_owned(), String::new()))
        .into()
}

/// Who administers the cluster (`phases/kubeconfig`, `EnsureAdminClusterRoleBinding`), and whom the kubelets obey
/// (`phases/bootstraptoken`; 1.36.3 does so already).
pub fn administrators() -> Vec<Object> {
    let (admins, client) = ("kubeadm:cluster-admins", "kube-apiserver-kubelet-client");
    vec![
        rbac::cluster_role_binding(admins, "cluster-admin", &rbac::group(admins)),
        rbac::cluster_role_binding("kubeadm:apiserver-kubelet-client", "system:kubelet-api-admin", &rbac::user(client)),
    ]
}

fn config_map(namespace: &str, name: &str, key: &str, text: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: text},
    })
}

/// Marks a component's configuration as ours: kubeadm's upgrade regenerates what still has this hash, and takes everything
/// else for the user's (`componentconfigs/checksums.go`).
fn sign(config_map: &mut Value) {
    let texts = config_map["data"].as_object().into_iter().flatten().filter_map(|(_, text)| text.as_str());
    let hash = crate::observe::sha256(texts.collect::<String>().as_bytes());
    config_map["metadata"]["annotations"] = json!({"kubeadm.kubernetes.io/component-config.hash": hash});
}
