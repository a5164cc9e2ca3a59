//! The configuration file of an adopted node: kubeadm's own documents, completed with what kubeadm does not keep.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::{Error, Kind, Result};
use crate::manifest::{Component, yaml};

/// What is there of a control plane that kubeadm made.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The text of kubeadm's `ClusterConfiguration`, from the `ConfigMap` kubeadm-config.
    pub cluster: String,
    /// The text of `/var/lib/kubelet/config.yaml`.
    pub kubelet: String,
    /// Name of the Node, from the user of kubelet.conf.
    pub node: String,
    /// Whether the Node has the taint of control planes.
    pub tainted: bool,
    /// Add-ons that the cluster does not have, by the names of their phases.
    pub without: Vec<String>,
    /// The pods of the manifests.
    pub pods: BTreeMap<Component, Value>,
}

/// What kubeadm writes when `controlPlaneComponentHealthCheck` has its default of four minutes.
const DEFAULT_FAILURES: u64 = 24;
/// Where the API server's manifest says `address:port` of `localAPIEndpoint`.
const ENDPOINT: &str = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";
/// The name of the configuration, for messages.
const NAME: &str = "adopted";

/// The documents in the making.
pub(super) struct Documents {
    init: Value,
    cluster: Value,
    kubelet: Value,
}

impl Documents {
    pub(super) fn new(found: &Found) -> Result<Self> {
        let read = |text: &str, what: &str| {
            serde_yaml::from_str::<Value>(text)
                .map_err(|error| Error::new(Kind::Preflight, format!("{what} is unreadable")).because(&error))
        };
        let mut kubelet = read(&found.kubelet, "the kubelet's configuration")?;
        if let Some(fields) = kubelet.as_object_mut() {
            // Of this node, and written by kubeadm from the CRI socket.
            fields.remove("containerRuntimeEndpoint");
        }
        Ok(Self { init: init(found), cluster: read(&found.cluster, "kubeadm's ClusterConfiguration")?, kubelet })
    }

    /// Name and text of the file.
    pub(super) fn source(&self) -> (String, String) {
        let documents = [&self.init, &self.cluster, &self.kubelet].map(yaml::block);
        (NAME.to_owned(), documents.join("---\n"))
    }

    /// Gives a flag these values, whatever the configuration said of it.
    pub(super) fn set_flag(&mut self, component: Component, name: &str, values: &[String]) {
        let path: &[&str] = match component {
            Component::Etcd => &["etcd", "local"],
            Component::ApiServer => &["apiServer"],
            Component::ControllerManager => &["controllerManager"],
            Component::Scheduler => &["scheduler"],
        };
        let mut place = &mut self.cluster;
        for member in path {
            if !place[member].is_object() {
                place[member] = Map::new().into();
            }
            place = &mut place[member];
        }
        let mut arguments = place["extraArgs"].as_array().cloned().unwrap_or_default();
        arguments.retain(|argument| argument["name"] != name);
        arguments.extend(values.iter().map(|value| json!({"name": name, "value": value})));
        place["extraArgs"] = arguments.into();
    }
}

/// `InitConfiguration`, which kubeadm keeps nowhere.
fn init(found: &Found) -> Value {
    let mut document = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "nodeRegistration": {"name": found.node},
    });
    if !found.tainted {
        document["nodeRegistration"]["taints"] = json!([]);
    }
    if !found.without.is_empty() {
        document["skipPhases"] = json!(found.without);
    }
    let Some(api_server) = found.pods.get(&Component::ApiServer) else { return document };
    let endpoint = api_server["metadata"]["annotations"][ENDPOINT].as_str().and_then(|text| text.rsplit_once(':'));
    if let Some((address, port)) = endpoint {
        let address = address.trim_matches(['[', ']']);
        document["localAPIEndpoint"] =
            json!({"advertiseAddress": address, "bindPort": port.parse::<u16>().unwrap_or(6443)});
    }
    let failures = &api_server["spec"]["containers"][0]["startupProbe"]["failureThreshold"];
    if let Some(failures) = failures.as_u64().filter(|failures| *failures != DEFAULT_FAILURES) {
        document["timeouts"] = json!({"controlPlaneComponentHealthCheck": format!("{}s", failures * 10)});
    }
    document
}
