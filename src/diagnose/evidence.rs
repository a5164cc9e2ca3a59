//! What is gathered when a static pod does not come up.

use std::time::{Duration, SystemTime};

use crate::host::http::Health;
use crate::host::service::ServiceStatus;
use crate::manifest::Component;
use crate::observed::PodRun;
use crate::plan::ManifestEntry;

/// All evidence of one look.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// When.
    pub now: SystemTime,
    /// How long the proof has been waiting.
    pub waited: Duration,
    /// The Node's name.
    pub node_name: String,
    /// The kubelet's unit.
    pub kubelet: Option<ServiceStatus>,
    /// The last lines that the kubelet logged.
    pub kubelet_log: Vec<String>,
    /// Why the container runtime does not answer.
    pub runtime_error: Option<String>,
    /// The runtime's cgroup driver, when it tells.
    pub runtime_cgroup_driver: Option<&'static str>,
    /// Whether the machine has cgroup v1.
    pub cgroup_v1: bool,
    /// The static pods.
    pub pods: Vec<PodEvidence>,
    /// Images of static pods that the runtime does not have.
    pub missing_images: Vec<(Component, String)>,
    /// Ports that a component needs, held by a process that is not it: port and holder.
    pub taken_ports: Vec<(Component, u16, String)>,
    /// Names in the manifest directory beside ours.
    pub foreign_manifests: Vec<ManifestEntry>,
    /// Certificates that do not fit: path and reasons.
    pub unfit_certificates: Vec<(String, Vec<String>)>,
    /// File systems with hardly any space: path and free bytes.
    pub full: Vec<(String, u64)>,
    /// The members of an external etcd, `host:port`; without any, etcd is a static pod of this node.
    pub external_etcd: Vec<String>,
    /// What the API server says about the Node, when it does not know it.
    pub node_error: Option<String>,
}

/// One static pod.
#[derive(Debug, Clone)]
pub struct PodEvidence {
    /// Whose.
    pub component: Component,
    /// The digest of its manifest on disk.
    pub digest: Option<String>,
    /// Its sandboxes, newest first.
    pub runs: Vec<PodRun>,
    /// The last lines of its newest container's log, or of the one before when the newest wrote nothing yet.
    pub log: Vec<String>,
    /// What its health port says.
    pub health: Option<Health>,
}
