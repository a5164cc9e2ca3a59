//! The API server, with credentials from memory and an explicit certificate authority.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret, Taint};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::cluster::Object;
use crate::observed::{MirrorPod, NodeState};

/// The API server did not answer, or refused.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct ApiError {
    /// What was asked, `list the pods of kube-system`.
    pub action: String,
    /// The client's error.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl ApiError {
    /// The HTTP status, when the API server answered.
    pub fn status(&self) -> Option<u16> {
        match self.source.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}

/// What the kubelet says in the pods that it mirrors.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// Who writes, in `managedFields`.
const MANAGER: &str = "kubekeel";

/// A client of one API server.
#[derive(Clone)]
pub struct ApiServer {
    client: Client,
}

fn fail(action: impl Into<String>) -> impl FnOnce(kube::Error) -> ApiError {
    let action = action.into();
    move |error| ApiError { action, source: Box::new(error) }
}

impl ApiServer {
    /// A client with the credentials of a kubeconfig, that talks to `server` whatever the kubeconfig says.
    pub async fn connect(kubeconfig: &[u8], server: &str) -> Result<Self, ApiError> {
        let wrong = |error: Box<dyn std::error::Error + Send + Sync>| ApiError {
            action: "read the kubeconfig".into(),
            source: error,
        };
        let text = std::str::from_utf8(kubeconfig).map_err(|error| wrong(Box::new(error)))?;
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(|error| wrong(Box::new(error)))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|error| wrong(Box::new(error)))?;
        config.cluster_url = server.parse().map_err(|error| wrong(Box::new(error)))?;
        // Proxies of the environment are never consulted silently.
        config.proxy_url = None;
        config.connect_timeout = Some(Duration::from_secs(2));
        config.read_timeout = Some(Duration::from_secs(10));
        config.write_timeout = Some(Duration::from_secs(10));
        let client = Client::try_from(config).map_err(fail("make a client"))?;
        Ok(Self { client })
    }

    /// Whether `/readyz` says ok.
    pub async fn ready(&self) -> Result<(), ApiError> {
        let request = http::Request::get("/readyz")
            .body(vec![])
            .map_err(|error| ApiError { action: "ask /readyz".into(), source: Box::new(error) })?;
        self.client.request_text(request).await.map(drop).map_err(fail("ask /readyz"))
    }

    /// The Node of that name, `None` when it is not registered.
    pub async fn node(&self, name: &str) -> Result<Option<NodeState>, ApiError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = nodes.get_opt(name).await.map_err(fail(format!("get the Node {name}")))?;
        Ok(node.map(|node| {
            let status = node.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
            NodeState {
                labels: node.metadata.labels.unwrap_or_default(),
                taints: node.spec.and_then(|spec| spec.taints).unwrap_or_default().into_iter().map(taint).collect(),
                ready: ready.is_some_and(|condition| condition.status == "True"),
                heartbeat: ready.and_then(|condition| Some(condition.last_heartbeat_time.as_ref()?.0.as_second())),
                kubelet: status.node_info.map(|info| info.kubelet_version).unwrap_or_default(),
            }
        }))
    }

    /// The names and labels of all Nodes.
    pub async fn nodes(&self) -> Result<Vec<(String, BTreeMap<String, String>)>, ApiError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes = nodes.list(&ListParams::default()).await.map_err(fail("list the Nodes"))?;
        let metadata = nodes.items.into_iter().map(|node| node.metadata);
        Ok(metadata.map(|of| (of.name.unwrap_or_default(), of.labels.unwrap_or_default())).collect())
    }

    /// The names of all Nodes, and the versions that their kubelets say.
    pub async fn kubelets(&self) -> Result<Vec<(String, String)>, ApiError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes = nodes.list(&ListParams::default()).await.map_err(fail("list the Nodes"))?;
        let version = |node: &Node| Some(node.status.as_ref()?.node_info.as_ref()?.kubelet_version.clone());
        let of = |node: Node| (node.metadata.name.clone().unwrap_or_default(), version(&node).unwrap_or_default());
        Ok(nodes.items.into_iter().map(of).collect())
    }

    /// Namespace and name of the pods, mirror pods left out, with a container that has been running since before a moment in Unix
    /// seconds.
    pub async fn pods_running_since_before(&self, moment: i64) -> Result<Vec<String>, ApiError> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let pods = pods.list(&ListParams::default()).await.map_err(fail("list the pods"))?;
        let before = |pod: &&Pod| {
            let mirror = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR_ANNOTATION));
            let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            let mut started = containers.filter_map(|of| of.state.as_ref()?.running.as_ref()?.started_at.as_ref());
            !mirror && started.any(|time| time.0.as_second() < moment)
        };
        let name = |pod: &Pod| {
            let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
            format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())
        };
        Ok(pods.items.iter().filter(before).map(name).collect())
    }

    /// What pods are told to trust, PEM: the `ConfigMap` that the controller manager puts into every namespace.
    pub async fn published_authority(&self) -> Result<String, ApiError> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), "kube-system");
        let map = maps.get_opt("kube-root-ca.crt").await.map_err(fail("get the ConfigMap kube-root-ca.crt"))?;
        Ok(map.and_then(|map| map.data?.remove("ca.crt")).unwrap_or_default())
    }

    /// The mirror pods of a node in kube-system, by component.
    pub async fn mirror_pods(&self, node: &str) -> Result<BTreeMap<String, MirrorPod>, ApiError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), "kube-system");
        let list = ListParams::default().labels("tier=control-plane").fields(&format!("spec.nodeName={node}"));
        let pods = pods.list(&list).await.map_err(fail("list the pods of kube-system"))?;
        Ok(pods.items.into_iter().filter_map(mirror_pod).collect())
    }

    /// The mirror pod of a static pod as it is; null when there is none.
    pub async fn mirror_pod(&self, node: &str, pod: &str) -> Result<Value, ApiError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), "kube-system");
        let name = format!("{pod}-{node}");
        let found = pods.get_opt(&name).await.map_err(fail(format!("get the Pod kube-system/{name}")))?;
        Ok(found.map(tree).unwrap_or_default())
    }

    /// Sets labels and adds taints that are not there yet, as kubeadm's mark-control-plane does.
    pub async fn mark_node(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        taints: &[crate::config::Taint],
    ) -> Result<(), ApiError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let taints: Vec<_> = taints
            .iter()
            .map(|taint| json!({"key": taint.key, "value": taint.value, "effect": taint.effect}))
            .collect();
        let mut patch = json!({"metadata": {"labels": labels}});
        if !taints.is_empty() {
            patch["spec"] = json!({"taints": taints});
        }
        // The taints' merge key is `key`, so those of others stay.
        nodes
            .patch(name, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .map(drop)
            .map_err(fail(format!("label and taint the Node {name}")))
    }

    /// Creates the priority class of static pods, exactly as the API server itself does a second after it starts
    /// (`pkg/registry/scheduling/rest/storage_scheduling.go`). The mirror pod of a static pod is refused without it.
    pub async fn create_node_critical_class(&self) -> Result<(), ApiError> {
        let classes: Api<PriorityClass> = Api::all(self.client.clone());
        let class = PriorityClass {
            metadata: ObjectMeta { name: Some("system-node-critical".into()), ..ObjectMeta::default() },
            value: Some(2_000_001_000),
            description: Some("Used for system critical pods that must not be moved from their current node.".into()),
            ..PriorityClass::default()
        };
        match classes.create(&PostParams::default(), &class).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            result => result.map(drop).map_err(fail("create the PriorityClass system-node-critical")),
        }
    }

    /// Makes an object stand in the cluster as it is described, by server-side apply: what others own in it stays. Gives
    /// the whole object.
    pub async fn apply(&self, object: &Object) -> Result<Value, ApiError> {
        let patch = Patch::Apply(object.body());
        let applied = self.handle(object).patch(object.name(), &PatchParams::apply(MANAGER).force(), &patch).await;
        applied.map(tree).map_err(fail(format!("apply the {}", object.title())))
    }

    /// The object of that kind and name as it is; `None` when there is none.
    pub async fn get(&self, object: &Object) -> Result<Option<Value>, ApiError> {
        let found = self.handle(object).get_opt(object.name()).await;
        found.map(|found| found.map(tree)).map_err(fail(format!("get the {}", object.title())))
    }

    fn handle(&self, object: &Object) -> Api<DynamicObject> {
        let (group, version) = object.api_version().split_once('/').unwrap_or(("", object.api_version()));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, object.kind()));
        match object.namespace() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// The Secrets of all bootstrap tokens.
    pub async fn bootstrap_tokens(&self) -> Result<Vec<Value>, ApiError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "kube-system");
        let list = ListParams::default().fields("type=bootstrap.kubernetes.io/token");
        let secrets = secrets.list(&list).await.map_err(fail("list the bootstrap tokens"))?;
        Ok(secrets.items.iter().map(tree).collect())
    }

    /// Deletes a bootstrap token; false when there is none of that id.
    pub async fn delete_bootstrap_token(&self, id: &str) -> Result<bool, ApiError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "kube-system");
        match secrets.delete(&format!("bootstrap-token-{id}"), &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            result => result.map(|_| true).map_err(fail(format!("delete the bootstrap token {id}"))),
        }
    }
}

/// An object as a tree. What came from JSON can go back to it.
fn tree(object: impl serde::Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn taint(taint: Taint) -> crate::config::Taint {
    crate::config::Taint { key: taint.key, value: taint.value.unwrap_or_default(), effect: taint.effect }
}

fn mirror_pod(pod: Pod) -> Option<(String, MirrorPod)> {
    let labels = pod.metadata.labels.unwrap_or_default();
    let annotations = pod.metadata.annotations.unwrap_or_default();
    annotations.get(MIRROR_ANNOTATION)?;
    let status = pod.status.unwrap_or_default();
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let component = labels.get("component")?;
    // A patch may have put other containers beside the component's own.
    let container = status.container_statuses.iter().flatten().find(|container| container.name == *component);
    let container = container.and_then(|container| container.container_id.clone());
    Some((
        component.clone(),
        MirrorPod {
            digest: crate::observed::identity(|name| annotations.get(name)),
            ready: ready.is_some_and(|condition| condition.status == "True"),
            ready_since: ready.and_then(|condition| Some(condition.last_transition_time.as_ref()?.0.as_second())),
            // `containerd://<id>`
            container: container.and_then(|id| id.rsplit_once("://").map(|(_, id)| id.to_owned())),
        },
    ))
}
