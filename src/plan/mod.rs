//! The plan: the steps that close the gap between what should exist and what was observed. Pure; printing it is the
//! dry-run, applying it is the run.

mod cluster;
mod diff;
mod display;
mod inventory;
mod options;
mod pods;
mod renewal;
mod restore;
mod rollback;
mod rotation;
mod snapshot;
mod way;

use std::fmt;

use serde::Serialize;

pub use diff::{change, plan};
pub use inventory::{Entry, Inventory};
pub use options::{Given, Options, Renewal};
pub use restore::restore;
pub use rollback::rollback;
pub use rotation::{Rotation, Turn};
pub use snapshot::{CertificateState, FileState, KubeconfigState, ManifestEntry, Snapshot};
pub use way::Way;

use crate::cluster::Part;
use crate::error::Problem;
use crate::manifest::Component;
use crate::pki::{CertificateId, KubeconfigId, Renewable};
use crate::release::Version;

/// One step. It holds no secret: keys are born when the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Make a directory.
    EnsureDirectory {
        /// Path.
        path: String,
        /// Mode.
        #[serde(serialize_with = "octal")]
        mode: u32,
    },
    /// Issue a certificate, with a new key or for the key that is there.
    IssueCertificate {
        /// Which.
        id: CertificateId,
        /// Why.
        reason: Reason,
        /// Whether a key is made, too; an existing key is never replaced.
        new_key: bool,
    },
    /// Take a certificate that an authority elsewhere signed, with its key.
    Import {
        /// Which.
        id: Renewable,
        /// Where it is.
        directory: String,
    },
    /// Make an authority's successor. Both are trusted from then on, and the successor signs; who trusts only the old one
    /// accepts that, too, through a cross certificate.
    SucceedAuthority {
        /// Whose.
        id: CertificateId,
    },
    /// Trust only the successor.
    DropAuthority {
        /// Whose.
        id: CertificateId,
    },
    /// Make the service account key pair, or only its public half when the private one is there.
    GenerateServiceAccountKey {
        /// Whether the private key is made.
        new_key: bool,
    },
    /// Write a kubeconfig with a new client certificate.
    WriteKubeconfig {
        /// Which.
        id: KubeconfigId,
        /// Why.
        reason: Reason,
    },
    /// Write a file of the kubelet.
    WriteFile {
        /// Path.
        path: String,
        /// Mode.
        #[serde(serialize_with = "octal")]
        mode: u32,
        /// Content.
        #[serde(skip)]
        content: String,
        /// What becomes of what is there.
        change: Change,
    },
    /// Narrow the mode of a file that is right otherwise.
    SetMode {
        /// Path.
        path: String,
        /// Mode.
        #[serde(serialize_with = "octal")]
        mode: u32,
    },
    /// Write a static pod's manifest. It is rendered when applied, because it carries the digest of the files that it
    /// mounts, which earlier steps may make.
    WriteManifest {
        /// Whose.
        component: Component,
        /// What becomes of what is there.
        change: Change,
    },
    /// Put a file back as a generation has it.
    Restore {
        /// Path.
        path: String,
        /// What becomes of what is there.
        change: Change,
    },
    /// Remove a file of ours that a generation does not have.
    Remove {
        /// Path.
        path: String,
    },
    /// Save what etcd holds, through its own API, before another etcd writes to it.
    SnapshotEtcd,
    /// Let etcd take its data back to what an older minor can read, while it runs.
    DowngradeEtcd {
        /// That minor, `3.6`.
        minor: String,
    },
    /// Unpack a snapshot of etcd into a new directory, beside what etcd holds.
    UnpackSnapshot {
        /// The snapshot.
        snapshot: String,
        /// The directory.
        directory: String,
    },
    /// Put the unpacked data in the place of etcd's, whose own goes where that was.
    SwapEtcdData {
        /// The directory that was unpacked.
        directory: String,
    },
    /// Drive the kubelet's unit.
    Kubelet {
        /// How.
        action: KubeletAction,
    },
    /// Start a second API server on the port of the first, which answers while the first is replaced.
    StartBeside,
    /// End the second API server, once the first answers again.
    EndBeside,
    /// End what runs of a static pod, through the container runtime, while the kubelet is stopped.
    EndPod {
        /// Whose.
        component: Component,
        /// Seconds that it has to finish what it is doing.
        #[serde(skip_serializing_if = "is_zero")]
        grace: u32,
    },
    /// Wait until the API server answers; the static pods that need it come after.
    AwaitApiServer,
    /// Prove that these static pods run as rendered.
    Prove {
        /// Which.
        components: Vec<Component>,
    },
    /// Prove that every port shows the certificate of its file, after files that are shown were replaced.
    ProveServed {
        /// Whose ports.
        components: Vec<Component>,
    },
    /// Bind the group of `admin.conf` and the API server's kubelet client to their ClusterRoles.
    BindAdministrators,
    /// Label and taint the Node.
    MarkNode,
    /// Apply objects in the cluster, all at the same time.
    ApplyObjects {
        /// The parts that they belong to.
        parts: Vec<Part>,
        /// Kind and name of those that are not as they should be.
        titles: Vec<String>,
    },
    /// Make a bootstrap token.
    MakeBootstrapToken {
        /// Which of `bootstrapTokens`.
        index: usize,
    },
    /// Upload the certificates for further control-plane nodes, encrypted.
    UploadCertificates,
    /// Let kubelet.conf name the client certificate that the kubelet renews.
    RotateKubeletCertificate {
        /// Whether there will be one: the kubelet is started to keep that of kubelet.conf.
        awaited: bool,
    },
    /// Have the kubelet forget its client certificate, so that it takes that of kubelet.conf.
    RenewKubeletCertificate,
    /// Let the kubelet use the newest of the client certificates that it keeps and the authority signed.
    RelinkKubeletCertificate,
}

/// How the kubelet's unit is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KubeletAction {
    /// Start it at boot.
    Enable,
    /// Stop it; containers go on.
    Stop,
    /// Start it, or restart it when it runs.
    Restart,
    /// Start it without an API server, which it would wait for: it runs the static pods all the same.
    Alone,
    /// Restart it with its API server again.
    Rejoin,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// There was none.
    Create,
    /// It changes.
    Replace {
        /// Line diff, from what is there to what will be.
        diff: String,
    },
}

/// Why a certificate or kubeconfig is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
pub enum Reason {
    /// There is none.
    Missing,
    /// An earlier step changes what signs it.
    AuthorityChanges,
    /// What is there does not fit: wrong SANs, expired, another authority.
    Unfit(Vec<String>),
    /// Somebody wants a new one, with a new key.
    Requested,
}

/// What will be done, and what it will do to what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Steps in execution order.
    pub steps: Vec<Step>,
    /// Images that the runtime does not have yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// The kubelet that runs and the one that its next start brings, when they are not the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<Successor>,
    /// Paths and objects that are as they should be.
    pub kept: Vec<String>,
    /// What stays although everything else is renewed, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unrenewed: Vec<Problem>,
    /// Static pods that start.
    pub starts: Vec<Component>,
    /// Static pods that end and start again.
    pub restarts: Vec<Component>,
    /// Static pods that go on as they are.
    pub stays: Vec<Component>,
    /// Those of them that may end themselves while the API is away, and start again: the controllers give up what they lead when they
    /// cannot renew their leases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_restart: Vec<Component>,
    /// Nobody told what is in the cluster, since the API server did not answer: everything that is wanted in it is among the steps.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
    /// What clients of the API notice, when they may notice something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Why the plan cannot be applied; existing files that do not fit and are not ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Problem>,
    /// Files that we wrote and somebody edited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Problem>,
}

/// A kubelet that was installed in place of the one that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Successor {
    /// Version of the one that runs.
    pub runs: Version,
    /// Version of the one that was installed.
    pub installed: Version,
}

impl Successor {
    /// Whether it makes other hashes of the same pods, and so restarts all static pods when it starts: each minor does
    /// (`pkg/kubelet/config/common.go`, seen on nodes of 1.36 and 1.37).
    pub fn restarts_pods(&self) -> bool {
        self.runs.minor != self.installed.minor
    }
}

impl fmt::Display for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs and {} is installed", self.runs, self.installed)?;
        if self.restarts_pods() { f.write_str("; its first start restarts all static pods") } else { Ok(()) }
    }
}

impl Plan {
    /// Whether applying it would change the node; waiting, proving and re-applying the same bindings do not.
    pub fn changes_anything(&self) -> bool {
        self.steps.iter().any(|step| {
            !matches!(
                step,
                Step::Prove { .. } | Step::ProveServed { .. } | Step::AwaitApiServer | Step::BindAdministrators
            )
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}
