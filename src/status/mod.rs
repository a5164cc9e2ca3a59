//! What a node looks like now, and how well that is: data and judgement. Pure; [`look`] fills it.

pub mod look;
mod screen;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Progress;

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

/// Something that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What it is.
    pub message: String,
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
    /// Certificates, least time left first.
    pub certificates: Vec<CertificateLeft>,
    /// etcd's version and size, or why it does not answer.
    pub etcd: Option<Result<EtcdState, String>>,
    /// Free bytes where the control plane writes, by path.
    pub free: BTreeMap<String, u64>,
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
    /// The digest that runs; none for a pod that we did not write.
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

impl ComponentState {
    /// Whether it is proven; of a pod that is not ours, whether it is ready.
    fn is_well(&self, is_ours: bool) -> bool {
        self.progress.is_proven() || !is_ours && self.ready
    }
}

/// The kubelet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its version, as the Node tells.
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
    /// Whether it is an authority.
    pub authority: bool,
    /// When it ends, Unix seconds.
    pub not_after: i64,
    /// Whole days left, negative once it ended.
    pub days: i64,
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

/// Less free space than this needs a hand.
const LOW: u64 = 1 << 30;
/// A certificate that ends within this many days needs a hand; the field renews in the last month.
const SOON_DAYS: i64 = 30;

impl Status {
    /// Everything that is not well, worst first.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = vec![];
        let mut say = |severity, subject: &str, message: String| {
            remarks.push(Remark { severity, subject: subject.to_owned(), message });
        };
        for (path, why) in &self.unseen {
            say(Severity::Broken, path, why.clone());
        }
        if !self.initialised {
            say(Severity::Waiting, "node", "no control plane was made here yet: kubekeel init".into());
            remarks.sort_by_key(|remark| std::cmp::Reverse(remark.severity));
            return remarks;
        }
        if !self.is_ours {
            let message = "kubekeel did not make it, so what runs is not compared with what should";
            say(Severity::Attention, "control plane", message.into());
        }
        for state in self.components.iter().filter(|state| !state.is_well(self.is_ours)) {
            say(Severity::Broken, state.progress.component.name(), format!("waits for {}", state.progress.waiting));
        }
        if !self.kubelet.running {
            say(Severity::Broken, "kubelet", format!("it does not run: {}", self.kubelet.state));
        }
        if let Some(Err(why)) = &self.runtime {
            say(Severity::Broken, "runtime", why.clone());
        }
        if let Some(command) = &self.pending {
            say(Severity::Broken, "generation", format!("`{command}` was not finished: run it again, or rollback"));
        }
        if let Some(Err(why)) = &self.etcd {
            say(Severity::Broken, "etcd", why.clone());
        }
        for (path, what) in &self.drift {
            say(Severity::Drift, path, (*what).into());
        }
        for certificate in self.certificates.iter().filter(|certificate| certificate.days < SOON_DAYS) {
            let (severity, left) = if certificate.not_after <= self.now {
                (Severity::Broken, "its certificate expired".to_owned())
            } else {
                (Severity::Attention, format!("its certificate ends in {} days", certificate.days))
            };
            say(severity, &certificate.name, left);
        }
        for (path, free) in self.free.iter().filter(|(_, free)| **free < LOW) {
            say(Severity::Attention, path, format!("{} are free", screen::bytes(*free)));
        }
        for alarm in self.etcd.iter().flatten().flat_map(|etcd| &etcd.alarms) {
            say(Severity::Broken, "etcd", alarm.clone());
        }
        if let Some(Ok(etcd)) = &self.etcd
            && etcd.size / 4 >= etcd.quota / 5
        {
            let message = format!("{} of its {} are used", screen::bytes(etcd.size), screen::bytes(etcd.quota));
            say(Severity::Attention, "etcd", message);
        }
        remarks.sort_by_key(|remark| std::cmp::Reverse(remark.severity));
        remarks
    }

    /// The worst of all remarks.
    pub fn severity(&self) -> Severity {
        self.remarks().iter().map(|remark| remark.severity).max().unwrap_or(Severity::Well)
    }
}
