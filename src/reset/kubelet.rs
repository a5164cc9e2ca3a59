//! What a kubelet made while it ran for us, and what is mounted where a reset goes.

use super::{Action, Planner};
use crate::host::tree::Mount;
use crate::layout;

/// What a kubelet makes in its directory by itself (`pkg/kubelet/config/defaults.go`, `cm/containermanager.go`, seen on
/// nodes of 1.36 and 1.37). Anything else there is somebody's.
const KUBELET_STATE: [&str; 12] = [
    "actuated_pods_state",
    "allocated_pods_state",
    "checkpoints",
    "cpu_manager_state",
    "dra_manager_state",
    "image_manager",
    "memory_manager_state",
    "pki",
    "pod-resources",
    "pod_status_manager_state",
    "pods-api",
    "pods",
];
/// Where the kubelet meets the plug-ins of others.
const KUBELET_PLUGINS: [&str; 3] = ["device-plugins", "plugins", "plugins_registry"];

/// Whether a path is `directory` or below it.
pub(super) fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Planner<'_> {
    /// What the kubelet made while it ran for us.
    pub(super) fn kubelet(&mut self) {
        if !self.look.inventory.owns(layout::KUBELET_CONFIG) {
            return;
        }
        for mount in &self.look.mounts {
            if self.is_unmounted(mount) {
                self.steps.push(Action::Unmount { path: mount.path.clone() });
            }
        }
        // Of whoever has a pod there the volumes are, too.
        let foreign = self.foreign_mounts().filter(|path| is_within(path, layout::KUBELET) && !self.is_others(path));
        for path in foreign.map(str::to_owned).collect::<Vec<_>>() {
            self.leave_mount(&path);
        }
        let (pods, others_run) = (pods(), self.others_run());
        for name in KUBELET_STATE.iter().chain(KUBELET_PLUGINS.iter().filter(|_| !others_run)) {
            let path = format!("{}/{name}", layout::KUBELET);
            if path == pods && others_run {
                for path in self.children(&pods).into_iter().filter(|path| !self.is_others(path)).collect::<Vec<_>>() {
                    self.tree(path);
                }
            } else {
                self.tree(path);
            }
        }
    }

    /// Uids of the pods that are not ours.
    fn foreign_pods(&self) -> impl Iterator<Item = &str> {
        let all = self.look.sandboxes.iter().flatten();
        all.filter(|sandbox| !self.is_ours(sandbox)).map(|sandbox| sandbox.uid.as_str())
    }

    /// Whether a path belongs to a pod that is not ours.
    fn is_others(&self, path: &str) -> bool {
        let uid = path.strip_prefix(&format!("{}/", pods())).and_then(|rest| rest.split('/').next());
        uid.is_some_and(|uid| self.foreign_pods().any(|other| other == uid))
    }

    /// Whether the kubelet mounted it for us.
    fn is_unmounted(&self, mount: &Mount) -> bool {
        let is_volume = mount.kind == "tmpfs" && mount.path.starts_with(&format!("{}/", pods()));
        let is_shared = mount.is_onto_itself() && self.foreign_pods().next().is_none();
        self.look.inventory.owns(layout::KUBELET_CONFIG)
            && is_within(&mount.path, layout::KUBELET)
            && !self.is_others(&mount.path)
            && (is_volume || is_shared)
    }

    /// What somebody else mounted.
    pub(super) fn foreign_mounts(&self) -> impl Iterator<Item = &str> {
        let foreign = self.look.mounts.iter().filter(|mount| !self.is_unmounted(mount));
        foreign.map(|mount| mount.path.as_str()).filter(|path| *path != layout::KUBELET)
    }

    /// Tells once that a mount stays.
    pub(super) fn leave_mount(&mut self, path: &str) {
        if !self.left.iter().any(|left| left.what == path) {
            self.leave(path, "something is mounted there that kubekeel did not mount, and what is in it is kept");
        }
    }
}

fn pods() -> String {
    format!("{}/pods", layout::KUBELET)
}
