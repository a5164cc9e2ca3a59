//! The plan as a person reads it.

use std::fmt::{self, Write as _};

use super::{Change, KubeletAction, Plan, Reason, Step};
use crate::error::Problem;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnsureDirectory { path, mode } => write!(f, "create   {path}/ ({mode:04o})"),
            Self::IssueCertificate { id, reason, new_key } => {
                let key = if *new_key { "with a new key" } else { "for the key that is there" };
                write!(f, "issue    certificate {} {key}{reason}", id.name())
            }
            Self::Import { id, directory } => write!(f, "import   {}, signed in {directory}", id.name()),
            Self::SucceedAuthority { id } => write!(f, "issue    a successor of {}, and trust both", id.name()),
            Self::DropAuthority { id } => write!(f, "drop     the predecessor of {}", id.name()),
            Self::GenerateServiceAccountKey { new_key: true } => f.write_str("generate the service account key pair"),
            Self::GenerateServiceAccountKey { new_key: false } => {
                f.write_str("write    the public half of the service account key")
            }
            Self::WriteKubeconfig { id, reason } => write!(f, "write    kubeconfig {}{reason}", id.file()),
            Self::WriteFile { path, mode, change, .. } => write!(f, "{} {path} ({mode:04o})", change.verb()),
            Self::SetMode { path, mode } => write!(f, "narrow   the mode of {path} to {mode:04o}"),
            Self::WriteManifest { component, change } => write!(f, "{} {} (0600)", change.verb(), component.path()),
            Self::Restore { path, .. } => write!(f, "restore  {path}"),
            Self::Remove { path } => write!(f, "remove   {path}"),
            Self::SnapshotEtcd => f.write_str("save     a snapshot of etcd"),
            Self::DowngradeEtcd { minor } => write!(f, "take     etcd's data back to what etcd {minor} reads"),
            Self::UnpackSnapshot { snapshot, directory } => write!(f, "unpack   {snapshot} into {directory}"),
            Self::SwapEtcdData { directory } => write!(f, "swap     etcd's data for that in {directory}"),
            Self::Kubelet { action } => f.write_str(match action {
                KubeletAction::Enable => "enable   the kubelet",
                KubeletAction::Stop => "stop     the kubelet (containers go on)",
                KubeletAction::Restart => "start    the kubelet",
                KubeletAction::Alone => "start    the kubelet without the API server, which waits for etcd",
                KubeletAction::Rejoin => "start    the kubelet anew, with the API server",
            }),
            Self::StartBeside => f.write_str("start    a second API server on the port of the first"),
            Self::EndBeside => f.write_str("end      the second API server"),
            Self::EndPod { component, grace: 0 } => write!(f, "end      the running {}", component.name()),
            Self::EndPod { component, .. } => {
                write!(f, "end      the running {}, which may finish its requests", component.name())
            }
            Self::AwaitApiServer => f.write_str("await    the API server"),
            Self::Prove { components } => {
                let names: Vec<_> = components.iter().map(|component| component.name()).collect();
                write!(f, "prove    {}", names.join(", "))
            }
            Self::ProveServed { .. } => f.write_str("prove    that every port shows the certificate of its file"),
            Self::BindAdministrators => f.write_str("bind     the administrators' ClusterRoles"),
            Self::MarkNode => f.write_str("mark     the Node as a control plane"),
            Self::ApplyObjects { titles, .. } if titles.len() == 1 => write!(f, "apply    the {}", titles.join("")),
            Self::ApplyObjects { titles, .. } => write!(f, "apply    {} objects in the cluster", titles.len()),
            Self::MakeBootstrapToken { .. } => f.write_str("make     a bootstrap token"),
            Self::UploadCertificates => f.write_str("upload   the certificates for further control planes, encrypted"),
            Self::RotateKubeletCertificate { .. } => {
                f.write_str("point    kubelet.conf to the certificate that the kubelet renews")
            }
            Self::RenewKubeletCertificate => f.write_str("renew    the kubelet's client certificate"),
            Self::RelinkKubeletCertificate => {
                f.write_str("choose   the newest client certificate of the kubelet that the authority signed")
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => Ok(()),
            Self::AuthorityChanges => f.write_str(": its certificate authority changes"),
            Self::Requested => f.write_str(": it is renewed"),
            Self::Unfit(misfits) => write!(f, ": {}", misfits.join("; ")),
        }
    }
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Self::Create => "create  ",
            Self::Replace { .. } => "replace ",
        }
    }

    fn diff(&self) -> Option<&str> {
        match self {
            Self::Create => None,
            Self::Replace { diff } => Some(diff),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.drift.iter().chain(&self.refusals) {
            writeln!(f, "  refuse   {problem}")?;
        }
        for path in &self.kept {
            writeln!(f, "  keep     {path}")?;
        }
        for image in &self.images {
            writeln!(f, "  pull     {image}")?;
        }
        for Problem { subject, message, .. } in &self.unrenewed {
            writeln!(f, "  leave    {subject} without renewal: {message}")?;
        }
        for step in &self.steps {
            writeln!(f, "  {step}")?;
            if let Step::ApplyObjects { titles, .. } = step
                && titles.len() > 1
            {
                for title in titles {
                    writeln!(f, "      {title}")?;
                }
            }
            let (Step::WriteFile { change, .. } | Step::WriteManifest { change, .. } | Step::Restore { change, .. }) =
                step
            else {
                continue;
            };
            for line in change.diff().unwrap_or_default().lines() {
                writeln!(f, "      {line}")?;
            }
        }
        let names = |components: &[crate::manifest::Component]| {
            let mut text = String::new();
            for (index, component) in components.iter().enumerate() {
                let _ = write!(text, "{}{}", if index == 0 { "" } else { ", " }, component.name());
            }
            if text.is_empty() { "none".to_owned() } else { text }
        };
        writeln!(f, "static pods that start: {}", names(&self.starts))?;
        writeln!(f, "static pods that restart: {}", names(&self.restarts))?;
        write!(f, "static pods that go on: {}", names(&self.stays))?;
        if !self.may_restart.is_empty() {
            write!(f, "\nof these may restart while the API is away: {}", names(&self.may_restart))?;
        }
        if self.blind {
            f.write_str("\nthe API server does not answer: what is in the cluster already is not known")?;
        }
        self.kubelet.iter().try_for_each(|kubelet| write!(f, "\nkubelet: {kubelet}"))?;
        self.way.iter().try_for_each(|way| write!(f, "\nkube-apiserver: {way}"))
    }
}
