//! What is not well about a node, how much it weighs, and what to do next. Pure.

use serde::Serialize;

use super::{CertificateLeft, Inodes, Severity, Status, screen};
use crate::pki::{KubeconfigId, Managed};

/// Something that is not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// How much it weighs.
    pub severity: Severity,
    /// Its stable name, for programs; `kubekeel doctor` may find the cause behind it, which has a name of its own.
    pub cause: &'static str,
    /// What it is about.
    pub subject: String,
    /// What it is.
    pub message: String,
    /// What to do next, a command where there is one.
    pub remedy: String,
}

/// The remedy of what has a cause that only an examination finds.
pub const DOCTOR: &str = "kubekeel doctor";
/// The kubelet's serving certificate.
const KUBELET_SERVER: &str = "kubelet-server";

/// Less free space than this needs a hand.
const LOW: u64 = 1 << 30;
/// A certificate that ends within this many days needs a hand; the field renews in the last month.
const SOON_DAYS: i64 = 30;

impl Inodes {
    /// Whether the kubelet takes the disk to be full (its default for `nodefs.inodesFree` is 5 %).
    fn are_low(self) -> bool {
        self.free < self.total / 20
    }
}

impl Status {
    /// Everything that is not well, worst first.
    pub fn remarks(&self) -> Vec<Remark> {
        let unreadable = |(path, why): (&String, &String)| {
            remark(Severity::Broken, "unreadable", path, why, "put it back from a backup")
        };
        let mut remarks: Vec<_> = self.unseen.iter().map(unreadable).collect();
        if self.initialised {
            remarks.extend(self.origin());
            remarks.extend(self.running());
            remarks.extend(self.etcd());
            remarks.extend(self.files());
            remarks.extend(self.certificates.iter().filter_map(|certificate| self.certificate(certificate)));
            remarks.extend(self.space());
        } else {
            let message = "no control plane was made here yet";
            remarks.push(remark(Severity::Waiting, "not-initialised", "node", message, "kubekeel init"));
        }
        remarks.sort_by_key(|remark| std::cmp::Reverse(remark.severity));
        remarks
    }

    /// The worst of all remarks.
    pub fn severity(&self) -> Severity {
        self.remarks().iter().map(|remark| remark.severity).max().unwrap_or(Severity::Well)
    }

    fn origin(&self) -> Option<Remark> {
        let (message, remedy) = ("kubekeel did not make it", "kubekeel adopt");
        (!self.is_ours).then(|| remark(Severity::Attention, "not-ours", "control plane", message, remedy))
    }

    fn running(&self) -> Vec<Remark> {
        let mut remarks = vec![];
        for progress in self.components.iter().map(|state| &state.progress).filter(|progress| !progress.is_proven()) {
            let message = format!("waits for {}", progress.waiting);
            remarks.push(remark(Severity::Broken, "not-proven", progress.component.name(), message, DOCTOR));
        }
        if !self.kubelet.running {
            let message = format!("it does not run: {}", self.kubelet.state);
            remarks.push(remark(Severity::Broken, "kubelet-down", "kubelet", message, DOCTOR));
        }
        if let Some(Err(why)) = &self.runtime {
            remarks.push(remark(Severity::Broken, "runtime-down", "runtime", why, DOCTOR));
        }
        remarks
    }

    fn etcd(&self) -> Vec<Remark> {
        let etcd = match &self.etcd {
            None => return vec![],
            Some(Err(why)) => return vec![remark(Severity::Broken, "etcd-down", "etcd", why, DOCTOR)],
            Some(Ok(etcd)) => etcd,
        };
        let alarm = |alarm: &String| remark(Severity::Broken, "etcd-alarm", "etcd", alarm.trim_end(), DOCTOR);
        let mut remarks: Vec<_> = etcd.alarms.iter().map(alarm).collect();
        if etcd.is_nearly_full() {
            let message = format!("{} of its {} are used", screen::bytes(etcd.size), screen::bytes(etcd.quota));
            remarks.push(remark(Severity::Attention, "etcd-quota", "etcd", message, DOCTOR));
        }
        remarks
    }

    fn files(&self) -> Vec<Remark> {
        let mut remarks = vec![];
        if let Some(command) = &self.pending {
            let message = format!("`{command}` was not finished");
            let remedy = "run it again, or kubekeel rollback";
            remarks.push(remark(Severity::Broken, "unfinished", "generation", message, remedy));
        }
        let remedy = if self.generation.is_some() { "kubekeel rollback" } else { "kubekeel init --force" };
        let drift = |(path, what): (&String, &&str)| remark(Severity::Drift, "drift", path, *what, remedy);
        remarks.extend(self.drift.iter().map(drift));
        remarks
    }

    fn certificate(&self, certificate: &CertificateLeft) -> Option<Remark> {
        let remedy = self.renewal(certificate);
        // Nobody verifies it unless the API server was told to, so nothing breaks with it.
        let worst = if certificate.name == KUBELET_SERVER { Severity::Attention } else { Severity::Broken };
        let say = |severity, cause, message: String| Some(remark(severity, cause, &certificate.name, message, remedy));
        if let Some(why) = &certificate.damaged {
            return say(worst, "certificate-damaged", why.clone());
        }
        match certificate.days? {
            _ if certificate.not_after? <= self.now => {
                say(worst, "certificate-expired", "its certificate expired".into())
            }
            days @ ..SOON_DAYS => {
                say(Severity::Attention, "certificate-ends", format!("its certificate ends in {days} days"))
            }
            _ => None,
        }
    }

    /// How a certificate is renewed, by whom it belongs to.
    fn renewal(&self, certificate: &CertificateLeft) -> String {
        // kubeadm's names are ours.
        let tool = if self.is_ours { "kubekeel" } else { "kubeadm" };
        let name = match certificate.name.as_str() {
            KUBELET_SERVER => return kubelet_server(&certificate.path),
            "kubelet-client" => KubeconfigId::Kubelet.file(),
            name => name,
        };
        match certificate.managed {
            Managed::Externally if certificate.authority => "renew it where its key is".into(),
            Managed::Externally => "kubekeel certs generate-csr".into(),
            _ if certificate.authority && certificate.damaged.is_some() => "put it back from a backup".into(),
            _ if certificate.authority => format!("kubekeel certs rotate-ca begin {name}"),
            Managed::Kubekeel | Managed::Kubelet => format!("{tool} certs renew {name}"),
        }
    }

    fn space(&self) -> Vec<Remark> {
        let low = |message: String, path: &str| {
            remark(Severity::Attention, "disk-low", path, message, "free space on its file system")
        };
        let bytes = self.free.iter().filter(|(_, free)| **free < LOW);
        let mut remarks: Vec<_> =
            bytes.map(|(path, free)| low(format!("{} are free", screen::bytes(*free)), path)).collect();
        for (path, inodes) in &self.inodes {
            if inodes.free == 0 {
                let (message, remedy) = ("no inode is free", "remove files from its file system");
                remarks.push(remark(Severity::Broken, "disk-full", path, message, remedy));
            } else if inodes.are_low() {
                remarks.push(low(format!("{} of {} inodes are free", inodes.free, inodes.total), path));
            }
        }
        remarks
    }
}

/// The kubelet signs for itself when it finds neither certificate nor key, and asks the cluster otherwise.
fn kubelet_server(path: &str) -> String {
    path.strip_suffix(".crt").map_or_else(
        || "approve its signing request: kubectl get csr".into(),
        |base| format!("remove {base}.crt and {base}.key, restart the kubelet"),
    )
}

fn remark(
    severity: Severity,
    cause: &'static str,
    subject: &str,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Remark {
    Remark { severity, cause, subject: subject.to_owned(), message: message.into(), remedy: remedy.into() }
}
