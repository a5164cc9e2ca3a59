//! From a snapshot of etcd to the steps that put what it holds in the place of what etcd holds now.

use super::{KubeletAction, Plan, Snapshot, Step};
use crate::config::Config;
use crate::manifest;

/// Plans to restore a snapshot into a new directory beside the data, and to swap the two while nothing uses them.
///
/// All that keeps a copy of what etcd held ends with it: a cache of the time after the snapshot is wrong.
pub fn restore(snapshot: &str, config: &Config, seen: &Snapshot) -> Plan {
    let components: Vec<_> = manifest::components(config).collect();
    let directory = directory(config, seen);
    let data = config.cluster.etcd.data_dir.clone();
    let mut steps = vec![
        Step::EnsureDirectory { path: data, mode: 0o700 },
        Step::UnpackSnapshot { snapshot: snapshot.to_owned(), directory: directory.clone() },
        Step::Kubelet { action: KubeletAction::Stop },
    ];
    let alive = components.iter().rev().filter(|component| seen.alive(**component).next().is_some());
    steps.extend(alive.map(|component| Step::EndPod { component: *component, grace: 0 }));
    steps.extend([
        Step::SwapEtcdData { directory },
        Step::Kubelet { action: KubeletAction::Restart },
        Step::AwaitApiServer,
        Step::Prove { components: components.clone() },
    ]);
    Plan { steps, restarts: components, ..Plan::default() }
}

/// Where the snapshot is unpacked, and where the data of now is afterwards.
fn directory(config: &Config, seen: &Snapshot) -> String {
    let seconds = seen.now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{}/restore-{seconds}", config.cluster.etcd.data_dir)
}
