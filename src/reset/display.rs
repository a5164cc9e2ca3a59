//! A reset in words.

use std::fmt;

use super::{Action, Left, Plan};
use crate::layout;

/// Said once a snapshot is there.
pub(super) fn snapshots_stay() -> Left {
    Left {
        what: layout::SNAPSHOTS.to_owned(),
        why: "what etcd held can be restored from it; --remove-etcd-snapshots removes it".to_owned(),
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SnapshotEtcd => f.write_str("save a snapshot of etcd"),
            Self::DisableUnit { unit } => write!(f, "disable {unit}"),
            Self::StopKubelet => f.write_str("stop the kubelet"),
            Self::RemoveFile { path } => write!(f, "remove {path}"),
            Self::EndPod { pod, .. } => write!(f, "end the pod {pod}"),
            Self::AwaitEnd { sandboxes } => write!(f, "see that {} pods ended", sandboxes.len()),
            Self::Unmount { path } => write!(f, "unmount {path}"),
            Self::RemoveTree { path } => write!(f, "remove {path} and what is in it"),
            Self::RemoveDirectory { path } => write!(f, "remove the empty {path}"),
            Self::ReloadUnits => f.write_str("have systemd read its units again"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        if !self.left.is_empty() {
            writeln!(f, "Stays:")?;
        }
        for left in &self.left {
            writeln!(f, "  {}: {}", left.what, left.why)?;
        }
        Ok(())
    }
}
