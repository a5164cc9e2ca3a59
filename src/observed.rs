//! What the machine looked like: data only.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::Taint;

/// What identifies a static pod wherever it is seen: our digest, or for a pod that we did not render the hash that the kubelet
/// made of its file (`pkg/kubelet/config/common.go`, `applyDefaults`), which sandbox and mirror pod carry alike.
pub fn identity<'a>(annotation: impl Fn(&str) -> Option<&'a String>) -> Option<String> {
    let ours = annotation(crate::manifest::DIGEST_ANNOTATION).cloned();
    ours.or_else(|| annotation("kubernetes.io/config.hash").map(|hash| format!("kubelet:{hash}")))
}

/// One sandbox of a static pod in the container runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PodRun {
    /// The component label, the static pod's name.
    pub name: String,
    /// Sandbox id.
    pub sandbox: String,
    /// Whether the sandbox is ready.
    pub ready: bool,
    /// When it was created, Unix nanoseconds.
    pub created_at: i64,
    /// Its [`identity`].
    pub digest: Option<String>,
    /// Its containers, newest first.
    pub containers: Vec<ContainerRun>,
}

impl PodRun {
    /// Whether anything of it still runs.
    pub fn is_alive(&self) -> bool {
        self.ready || self.containers.iter().any(|container| container.state == ContainerState::Running)
    }
}

/// A sandbox of any pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sandbox {
    /// Sandbox id.
    pub id: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// Its UID, the name of its directory.
    pub uid: String,
    /// Its label `component`, may be empty.
    pub component: String,
    /// Its label `k8s-app`, may be empty.
    pub app: String,
    /// Whether it comes from a file.
    pub is_static: bool,
    /// Whether the sandbox is ready.
    pub ready: bool,
}

/// One container of a static pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContainerRun {
    /// Container id.
    pub id: String,
    /// Which start of this pod's container it is, from 0.
    pub attempt: u32,
    /// Its state.
    pub state: ContainerState,
    /// The image as the pod names it.
    pub image: String,
    /// Unix nanoseconds.
    pub created_at: i64,
    /// Unix nanoseconds.
    pub started_at: i64,
    /// Unix nanoseconds, 0 while it runs.
    pub finished_at: i64,
    /// Exit code once it exited.
    pub exit_code: i32,
    /// The runtime's reason, `Error`, `OOMKilled`, …
    pub reason: String,
    /// The runtime's message.
    pub message: String,
    /// Path of its log on the host.
    pub log_path: String,
}

/// State of a container (CRI).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Running.
    Running,
    /// Exited.
    Exited,
    /// The runtime does not know.
    #[default]
    Unknown,
}

/// A mirror pod, as the API server shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MirrorPod {
    /// Its [`identity`].
    pub digest: Option<String>,
    /// Condition Ready.
    pub ready: bool,
    /// When the condition Ready last changed, Unix seconds.
    pub ready_since: Option<i64>,
    /// Id of the container that its status is about.
    pub container: Option<String>,
}

/// What matters of a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeState {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Condition Ready.
    pub ready: bool,
    /// When its kubelet said so last, Unix seconds.
    pub heartbeat: Option<i64>,
    /// Version of the kubelet that registered it, `v1.37.2`.
    pub kubelet: String,
}
