//! In which way the API server is replaced: beside the one that runs, or after it.

use std::fmt;

use serde::Serialize;

use super::Snapshot;
use crate::manifest::{self, Component};
use crate::observed::ContainerState;

/// So much memory has to be free for a second API server; the first one of a small cluster takes about a third of it.
const ENOUGH_MIB: u64 = 1024;

/// How the API server is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Way {
    /// A second one answers on the same port meanwhile.
    Beside {
        /// Whether etcd is replaced, too: before that, and requests wait for it in the API server that runs.
        etcd: bool,
    },
    /// It goes on, and what it is asked waits in it while etcd is replaced.
    Waits,
    /// The API is away while it starts.
    After {
        /// Why.
        because: String,
    },
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside { etcd } => {
                f.write_str("a second API server answers on the same port while the first is replaced")?;
                if *etcd { f.write_str("; etcd is replaced before that, and requests wait") } else { Ok(()) }
            }
            Self::Waits => f.write_str("it goes on, and requests wait while etcd is replaced"),
            Self::After { because } => write!(f, "the API is away while its server restarts: {because}"),
        }
    }
}

impl Way {
    /// Chooses for an API server that ends; `wanted` is its new manifest, `etcd` whether etcd ends, too, `by_kubelet` whether the
    /// start of the kubelet ends it in any case.
    pub(super) fn choose(seen: &Snapshot, wanted: &str, etcd: bool, by_kubelet: bool) -> Self {
        let after = |because: &str| Self::After { because: because.to_owned() };
        let text = seen.files.get(&Component::ApiServer.path()).and_then(|state| state.text.as_deref());
        let shares = |text: &str| manifest::beside::shares_port(text).unwrap_or_default();
        let runs = |run: &crate::observed::PodRun| {
            run.containers.first().is_some_and(|container| container.state == ContainerState::Running)
        };
        if by_kubelet {
            return after("the start of another kubelet restarts all static pods");
        }
        if !seen.alive(Component::ApiServer).any(runs) {
            return after("it does not run");
        }
        if !seen.kubelet.as_ref().is_some_and(crate::host::service::ServiceStatus::is_running) {
            return after("the kubelet, which would start a second one, does not run");
        }
        if !text.is_some_and(shares) {
            return after(
                "the one that runs does not share its port; with permit-port-sharing=true in apiServer.extraArgs the next change goes without",
            );
        }
        if !shares(wanted) {
            return after("the new one does not share its port (permit-port-sharing)");
        }
        if seen.free_memory_mib < ENOUGH_MIB {
            let free = seen.free_memory_mib;
            return after(&format!("a second one needs {ENOUGH_MIB} MiB of memory, and {free} MiB are free"));
        }
        Self::Beside { etcd }
    }
}
