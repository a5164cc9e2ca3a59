//! What a plan is made from: one look at the machine, as data. It holds digests and public halves, never a secret.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::cluster::TokenState;
use crate::host::service::ServiceStatus;
use crate::manifest::{Component, NodeInputs};
use crate::observed::{NodeState, PodRun};
use crate::pki::{Certificate, CertificateId, KubeconfigId};

use super::{Inventory, Successor};

/// One look at the machine.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When.
    pub now: SystemTime,
    /// Files of interest that exist, by path.
    pub files: BTreeMap<String, FileState>,
    /// Names in the manifest directory that the kubelet reads.
    pub manifests: Vec<ManifestEntry>,
    /// Certificates and keys.
    pub certificates: BTreeMap<CertificateId, CertificateState>,
    /// The service account's private key (its public half in PEM), and whether `sa.pub` holds that half.
    pub service_account: Option<Result<bool, String>>,
    /// Kubeconfigs that exist.
    pub kubeconfigs: BTreeMap<KubeconfigId, Result<KubeconfigState, String>>,
    /// What we own.
    pub inventory: Inventory,
    /// The kubelet's unit; `None` when there is no init system or this is not the machine.
    pub kubelet: Option<ServiceStatus>,
    /// The kubelet that was installed in place of the one that runs.
    pub successor: Option<Successor>,
    /// Whether `systemd-resolved` is active.
    pub resolved: bool,
    /// Sandboxes of static pods; `None` when the runtime does not answer.
    pub pods: Option<Vec<PodRun>>,
    /// Whether the API server answered.
    pub answers: bool,
    /// The Node; `None` when the API server does not answer or does not know it.
    pub node: Option<NodeState>,
    /// The cluster's certificate authority in PEM; empty when there is none.
    pub authority: String,
    /// Objects that we may want, as they are in the cluster, by title; empty when the API server does not answer.
    pub objects: BTreeMap<String, serde_json::Value>,
    /// Bootstrap tokens in the cluster.
    pub tokens: Vec<TokenState>,
    /// Memory that is free for more processes, MiB.
    pub free_memory_mib: u64,
    /// What the manifests take from the node, with the digests of mounted files as they are now.
    pub inputs: NodeInputs,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// Permission bits.
    pub mode: u32,
    /// `sha256:<hex>` of its bytes.
    pub digest: String,
    /// Its text, for files that hold no secret.
    pub text: Option<String>,
}

/// A name in the manifest directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The name.
    pub name: String,
    /// The static pod that the kubelet makes of it, or why it makes none.
    pub pod: Result<String, String>,
}

/// A certificate's two files.
#[derive(Debug, Clone)]
pub struct CertificateState {
    /// The certificate, or why it cannot be read.
    pub certificate: Option<Result<Certificate, String>>,
    /// The public half of the key in DER, or why the key cannot be read.
    pub key: Option<Result<Vec<u8>, String>>,
}

/// A kubeconfig.
#[derive(Debug, Clone)]
pub struct KubeconfigState {
    /// Server URL.
    pub server: String,
    /// User name.
    pub user: String,
    /// Whether its first CA certificate is the cluster's.
    pub authority_matches: bool,
    /// Its client certificate; `None` when it names files (after a rotation by the kubelet).
    pub certificate: Option<Result<Certificate, String>>,
    /// Whether the embedded key belongs to the certificate.
    pub key_matches: bool,
}

impl Snapshot {
    /// The sandboxes of a component that still run something.
    pub fn alive(&self, component: Component) -> impl Iterator<Item = &PodRun> {
        self.pods.iter().flatten().filter(move |run| run.name == component.name() && run.is_alive())
    }
}
