//! What a node looks like now, and how well that is: data and judgement. Pure; [`look`] fills it.

pub mod look;
mod remark;
mod screen;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Progress;
use crate::pki::Managed;

pub use remark::{DOCTOR, Remark};
pub use screen::{Paint, screen};

/// How well a node is. The number is the exit code of `kubekeel status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Everything is proven. Exit 0.
    Well,
    /// Everything runs, and something will need a hand: a certificate that ends soon, a disk that fills. Exit 4.
    Attention,
    /// There is no control plane here yet. Exit 2.
    Waiting,
    /// A file of ours is not as we wrote it. Exit 5.
    Drift,
    /// Something does not run as it should. Exit 1.
    Broken,
}

impl Severity {
    /// The stable exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Broken => 1,
            Self::Waiting => 2,
            Self::Attention => 4,
            Self::Drift => 5,
        }
    }

    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Well => "proven",
            Self::Attention => "needs attention",
            Self::Waiting => "waiting for init",
            Self::Drift => "drift",
            Self::Broken => "not as it should be",
        }
    }
}

/// One look at a node.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// When, Unix seconds.
    pub now: i64,
    /// The Node's name.
    pub node: String,
    /// Whether the Node is Ready, or why the API server does not tell.
    pub node_ready: Option<Result<bool, String>>,
    /// Version that the configuration asks for.
    pub version: String,
    /// Whether there is a control plane on this node at all.
    pub initialised: bool,
    /// Whether we wrote what is there; another tool's pods carry no digest, so only their health can be told.
    pub is_ours: bool,
    /// The generation that was proven last.
    pub generation: Option<Proven>,
    /// The command that was not finished.
    pub pending: Option<String>,
    /// The static pods, etcd first.
    pub components: Vec<ComponentState>,
    /// The kubelet.
    pub kubelet: Service,
    /// The container runtime and its version, or why it does not answer.
    pub runtime: Option<Result<String, String>>,
    /// Certificates: those that cannot be believed, then least time left first.
    pub certificates: Vec<CertificateLeft>,
    /// etcd's version and size, or why it does not answer; an etcd elsewhere is not asked.
    pub etcd: Option<Result<EtcdState, String>>,
    /// Free bytes where the control plane writes, by path.
    pub free: BTreeMap<String, u64>,
    /// Inodes there, where the file system counts them.
    pub inodes: BTreeMap<String, Inodes>,
    /// Files that are not as we wrote them, and in what.
    pub drift: BTreeMap<String, &'static str>,
    /// What could not be looked at, and why.
    pub unseen: BTreeMap<String, String>,
}

/// A generation, without its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// From 1.
    pub number: u32,
    /// When, Unix seconds.
    pub proven: i64,
    /// What made it.
    pub command: String,
}

/// A static pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentState {
    /// How far the proof is.
    #[serde(flatten)]
    pub progress: Progress,
    /// The digest that should run: the generation's, else the manifest's.
    pub desired: Option<String>,
    /// The identity of the pod that runs.
    pub running: Option<String>,
    /// The image of the newest container.
    pub image: String,
    /// When its newest container started, Unix seconds.
    pub since: Option<i64>,
    /// How often its container was started again.
    pub restarts: u32,
    /// Whether its own health port says so.
    pub ready: bool,
}

/// The kubelet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its version, as the Node tells, else that of the program that is installed.
    pub version: Option<String>,
    /// Whether its main process runs.
    pub running: bool,
    /// systemd's words, `active (running)`.
    pub state: String,
    /// Unix seconds.
    pub since: Option<i64>,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
}

/// How long a certificate still lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateLeft {
    /// `apiserver`, `admin.conf`, …
    pub name: String,
    /// The file that holds or embeds it.
    pub path: String,
    /// Whether it is an authority.
    pub authority: bool,
    /// Who renews it.
    pub managed: Managed,
    /// When it began, Unix seconds.
    pub not_before: Option<i64>,
    /// When it ends, Unix seconds; none when it cannot be believed.
    pub not_after: Option<i64>,
    /// Whole days left, negative once it ended.
    pub days: Option<i64>,
    /// Why it cannot be believed.
    pub damaged: Option<String>,
}

/// How many files a file system can still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Inodes {
    /// Free ones.
    pub free: u64,
    /// All of them.
    pub total: u64,
}

/// etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EtcdState {
    /// Version of the server.
    pub version: String,
    /// Bytes of its database.
    pub size: u64,
    /// Bytes at which it refuses to grow.
    pub quota: u64,
    /// Its alarms, in its own words.
    pub alarms: Vec<String>,
}

impl EtcdState {
    /// Whether four fifths of the quota are used.
    pub fn is_nearly_full(&self) -> bool {
        self.size / 4 >= self.quota / 5
    }
}
