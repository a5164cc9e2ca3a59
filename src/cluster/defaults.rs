//! kubeadm's documents with every default filled in, to begin a configuration with: `config print …-defaults`.

use serde_json::{Value, json};

use super::{addons, configuration};
use crate::config::{self, Config, Facts, Overrides};
use crate::error::{Error, Kind, Result};
use crate::kubelet;
use crate::layout;

/// Whose documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// Of init: the node's and the cluster's.
    Init,
    /// Of joining.
    Join,
    /// Of resetting.
    Reset,
    /// Of upgrading.
    Upgrade,
}

/// Configurations of components that can be printed along with those of `init`.
pub const COMPONENTS: [&str; 2] = ["KubeProxyConfiguration", "KubeletConfiguration"];

/// A token that nobody has, in its place as in kubeadm.
const TOKEN: &str = "abcdef.0123456789abcdef";

/// The documents of a command, and of components that go along.
pub fn defaults(of: Defaults, components: &[String]) -> Result<Vec<Value>> {
    let mut documents = match of {
        Defaults::Init => vec![init(), configuration::cluster_configuration(&example()?)],
        Defaults::Join => vec![join()],
        Defaults::Reset => vec![reset()],
        Defaults::Upgrade => vec![upgrade()],
    };
    for component in components {
        documents.push(if component == COMPONENTS[0] {
            addons::proxy_configuration(&example()?)
        } else {
            serde_yaml::from_str(&kubelet::shared(&example()?)?)
                .map_err(|error| Error::new(Kind::Step, "the kubelet's configuration is unreadable").because(&error))?
        });
    }
    Ok(documents)
}

/// The configuration of a node about which nothing is known.
fn example() -> Result<Config> {
    let facts = Facts { hostname: Some("node".into()), default_address: Some([1, 2, 3, 4].into()), ..Facts::default() };
    config::load(None, &Overrides::default(), &facts)
}

fn init() -> Value {
    json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "bootstrapTokens": [{
            "groups": ["system:bootstrappers:kubeadm:default-node-token"],
            "token": TOKEN,
            "ttl": "24h0m0s",
            "usages": ["signing", "authentication"],
        }],
        "localAPIEndpoint": {"advertiseAddress": "1.2.3.4", "bindPort": 6443},
        "nodeRegistration": node("node"),
        "timeouts": timeouts(),
    })
}

fn join() -> Value {
    json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "caCertPath": "/etc/kubernetes/pki/ca.crt",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": "kube-apiserver:6443",
                "token": TOKEN,
                "unsafeSkipCAVerification": true,
            },
            "tlsBootstrapToken": TOKEN,
        },
        "nodeRegistration": node("node"),
        "timeouts": timeouts(),
    })
}

fn reset() -> Value {
    json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ResetConfiguration",
        "certificatesDir": layout::PKI,
        "criSocket": layout::CRI_SOCKETS[0],
        "timeouts": timeouts(),
    })
}

fn upgrade() -> Value {
    let changes = json!({"certificateRenewal": true, "etcdUpgrade": true, "imagePullPolicy": "IfNotPresent", "imagePullSerial": true});
    json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "UpgradeConfiguration",
        "apply": changes,
        "diff": {},
        "node": changes,
        "plan": {"etcdUpgrade": true},
        "timeouts": timeouts(),
    })
}

fn node(name: &str) -> Value {
    json!({
        "criSocket": layout::CRI_SOCKETS[0],
        "imagePullPolicy": "IfNotPresent",
        "imagePullSerial": true,
        "name": name,
        "taints": null,
    })
}

/// `SetDefaultTimeouts` of `apis/kubeadm/v1beta4/defaults.go`.
fn timeouts() -> Value {
    json!({
        "controlPlaneComponentHealthCheck": "4m0s",
        "discovery": "5m0s",
        "etcdAPICall": "2m0s",
        "kubeletHealthCheck": "4m0s",
        "kubernetesAPICall": "1m0s",
        "tlsBootstrap": "5m0s",
        "upgradeManifests": "5m0s",
    })
}
