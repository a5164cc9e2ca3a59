//! Undoing what was made on this node, in the reverse order: what goes, and what stays and why. Pure; [`look`] sees the
//! node and [`run`] carries it out.

mod display;
mod kubelet;
pub mod look;
mod order;
pub mod run;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::host::tree::{Entry, Mount};
use crate::layout;
use crate::manifest::Component;
use crate::observed::Sandbox;
use crate::plan::Inventory;
use display::snapshots_stay;
use kubelet::is_within;

/// What the user wants beside the rule.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Remove files that somebody edited, too.
    pub force: bool,
    /// Leave etcd's data.
    pub keep_etcd: bool,
    /// Remove the snapshots of etcd, and make none.
    pub remove_snapshots: bool,
}

/// What a reset looks at.
#[derive(Debug, Clone)]
pub struct Look {
    /// What is ours: recorded, or what kubeadm makes when nothing is recorded.
    pub inventory: Inventory,
    /// What stands at the paths of the inventory and below their directories.
    pub entries: BTreeMap<String, Entry>,
    /// Digests of the files among them.
    pub digests: BTreeMap<String, String>,
    /// etcd's data directory.
    pub etcd_data: String,
    /// All sandboxes, or why the runtime does not tell.
    pub sandboxes: Result<Vec<Sandbox>, String>,
    /// Mounts at and below what may go, deepest first.
    pub mounts: Vec<Mount>,
    /// Paths in the order in which `init` makes them.
    pub order: Vec<String>,
    /// Whether the kubelet's unit runs or tries to.
    pub kubelet_runs: bool,
}

/// One step of a reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Action {
    /// Save what etcd holds.
    SnapshotEtcd,
    /// Stop a unit of ours and do not start it again.
    DisableUnit {
        /// Its name with its suffix.
        unit: String,
    },
    /// Stop the kubelet; containers go on.
    StopKubelet,
    /// Remove a file.
    RemoveFile {
        /// Path.
        path: String,
    },
    /// End a pod, through the container runtime.
    EndPod {
        /// The sandbox.
        sandbox: String,
        /// Namespace and name.
        pod: String,
    },
    /// See that no container of them runs any more.
    AwaitEnd {
        /// The sandboxes.
        sandboxes: Vec<String>,
    },
    /// Unmount what the kubelet mounted.
    Unmount {
        /// Path.
        path: String,
    },
    /// Remove a directory that a program which we started filled.
    RemoveTree {
        /// Path.
        path: String,
    },
    /// Remove a directory of ours when nothing is left in it.
    RemoveDirectory {
        /// Path.
        path: String,
    },
    /// Have systemd read its unit files again.
    ReloadUnits,
}

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Path, or what it is.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What a reset does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Steps in execution order.
    pub steps: Vec<Action>,
    /// What stays.
    pub left: Vec<Left>,
}

/// Labels `k8s-app` of what `init` put into the cluster.
const ADDONS: [&str; 2] = ["kube-dns", "kube-proxy"];
const UNITS: &str = "/etc/systemd/system/";

/// Plans a reset.
pub fn plan(look: &Look, options: Options) -> Plan {
    let mut planner = Planner { look, options, steps: vec![], left: vec![], gone: BTreeSet::new() };
    if look.inventory.entries.is_empty() {
        return Plan::default();
    }
    planner.units();
    planner.etcd_snapshot();
    planner.pods();
    planner.kubelet();
    planner.etcd();
    planner.files();
    planner.state();
    planner.directories();
    planner.others();
    Plan { steps: planner.steps, left: planner.left }
}

struct Planner<'a> {
    look: &'a Look,
    options: Options,
    steps: Vec<Action>,
    left: Vec<Left>,
    /// Paths that will not be there any more.
    gone: BTreeSet<String>,
}

impl Planner<'_> {
    fn leave(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { what: what.into(), why: why.into() });
    }

    /// What stands directly in a directory.
    fn children(&self, directory: &str) -> Vec<String> {
        let prefix = format!("{directory}/");
        let is_child = |path: &&String| path.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
        self.look.entries.keys().filter(is_child).cloned().collect()
    }

    /// Whether something is mounted at a path itself; it cannot go, and will not the next time.
    fn is_mounted(&mut self, path: &str) -> bool {
        let mounted = self.foreign_mounts().any(|mount| mount == path);
        if mounted {
            self.leave_mount(path);
        }
        mounted
    }

    fn file(&mut self, path: &str) {
        if self.is_mounted(path) {
            return;
        }
        let entry = self.look.entries.get(path);
        let is_edited = self.look.digests.get(path).is_some_and(|digest| self.look.inventory.is_edited(path, digest));
        match entry {
            None | Some(Entry::Directory) => {}
            Some(Entry::File) if is_edited && !self.options.force => {
                self.leave(path, "somebody edited it since kubekeel wrote it; --force removes it");
            }
            Some(Entry::File) => {
                self.gone.insert(path.to_owned());
                self.steps.push(Action::RemoveFile { path: path.to_owned() });
            }
            Some(Entry::Link | Entry::Other) => {
                self.leave(path, "it is no file any more, so it is not what was written");
            }
        }
    }

    /// A tree goes as a whole; one with a mount in it stays, but for what is known of it and is beside the mount.
    fn tree(&mut self, path: String) {
        let mounts: Vec<_> = self.foreign_mounts().filter(|mount| is_within(mount, &path)).map(str::to_owned).collect();
        for mount in &mounts {
            self.leave_mount(mount);
        }
        match self.look.entries.get(&path) {
            None => {}
            Some(_) if mounts.contains(&path) => {}
            Some(_) if !mounts.is_empty() => self.children(&path).into_iter().for_each(|child| self.tree(child)),
            Some(Entry::Link) => self.leave(path, "it is a symbolic link, and what it names is somebody else's"),
            Some(_) => {
                self.gone.insert(path.clone());
                self.steps.push(Action::RemoveTree { path });
            }
        }
    }

    /// What would start again by itself goes first: the watchdog must not put back what is being removed.
    fn units(&mut self) {
        let owned = self.look.inventory.entries.keys().filter_map(|path| path.strip_prefix(UNITS));
        let units: Vec<_> = owned.filter(|unit| !unit.contains('/')).map(str::to_owned).collect();
        for unit in units {
            if self.look.entries.contains_key(&format!("{UNITS}{unit}")) {
                self.steps.push(Action::DisableUnit { unit });
            }
        }
        self.tree(layout::PENDING.to_owned());
    }

    fn etcd_snapshot(&mut self) {
        let has_data = self.look.entries.contains_key(&self.member());
        if has_data && !self.options.remove_snapshots && !self.options.keep_etcd {
            self.steps.push(Action::SnapshotEtcd);
        }
    }

    fn member(&self) -> String {
        format!("{}/member", self.look.etcd_data)
    }

    /// The static pods whose manifests are ours, and the add-ons. The kubelet is stopped first: it would start them again.
    fn pods(&mut self) {
        if self.look.kubelet_runs {
            self.steps.push(Action::StopKubelet);
        }
        for component in Component::ALL.into_iter().rev() {
            if self.look.inventory.owns(&component.path()) {
                self.file(&component.path());
            }
        }
        let sandboxes = match &self.look.sandboxes {
            Ok(sandboxes) => sandboxes,
            Err(why) => {
                return self.leave("pods", format!("the container runtime does not tell which there are: {why}"));
            }
        };
        let (own, others): (Vec<_>, Vec<_>) = sandboxes.iter().partition(|sandbox| self.is_ours(sandbox));
        for sandbox in &own {
            let pod = format!("{}/{}", sandbox.namespace, sandbox.name);
            self.steps.push(Action::EndPod { sandbox: sandbox.id.clone(), pod });
        }
        if !own.is_empty() {
            self.steps.push(Action::AwaitEnd { sandboxes: own.iter().map(|sandbox| sandbox.id.clone()).collect() });
        }
        for sandbox in others {
            self.leave(format!("pod {}/{}", sandbox.namespace, sandbox.name), "it is not of the control plane");
        }
    }

    fn is_ours(&self, sandbox: &Sandbox) -> bool {
        let component = Component::named(&sandbox.component);
        sandbox.namespace == "kube-system"
            && if sandbox.is_static {
                component.is_some_and(|component| self.look.inventory.owns(&component.path()))
            } else {
                ADDONS.contains(&sandbox.app.as_str())
            }
    }

    fn others_run(&self) -> bool {
        self.look.sandboxes.as_ref().map_or(true, |all| all.iter().any(|sandbox| !self.is_ours(sandbox)))
    }

    /// When `init` makes a path; what later commands made came after all of it.
    fn made(&self, path: &str) -> usize {
        self.look.order.iter().position(|made| made == path).unwrap_or(usize::MAX)
    }

    /// Files in the reverse order of their making: what needs another one goes before it.
    fn files(&mut self) {
        let own = self.look.inventory.entries.keys();
        let mut paths: Vec<_> = own.filter(|path| !is_within(path, layout::STATE)).cloned().collect();
        paths.sort_by_key(|path| Reverse(self.made(path)));
        let had_units = self.steps.iter().any(|step| matches!(step, Action::DisableUnit { .. }));
        let manifests = Component::ALL.map(Component::path);
        for path in paths.iter().filter(|path| !manifests.contains(path)) {
            self.file(path);
        }
        self.steps.extend(had_units.then_some(Action::ReloadUnits));
    }

    fn etcd(&mut self) {
        let inventory = &self.look.inventory;
        if !inventory.owns(&self.look.etcd_data) && !inventory.owns(&Component::Etcd.path()) {
            return;
        }
        if self.options.keep_etcd {
            self.leave(&self.look.etcd_data, "--keep-etcd");
        } else {
            self.tree(self.member());
        }
    }

    /// Our own records, last: with them a reset that was killed is finished by the next one.
    fn state(&mut self) {
        self.tree(layout::GENERATIONS.to_owned());
        if self.options.remove_snapshots {
            self.tree(layout::SNAPSHOTS.to_owned());
        } else if self.look.entries.contains_key(layout::SNAPSHOTS) && !self.steps.contains(&Action::SnapshotEtcd) {
            self.left.push(snapshots_stay());
        }
    }

    fn directories(&mut self) {
        let own =
            self.look.inventory.entries.keys().filter(|path| self.look.entries.get(*path) == Some(&Entry::Directory));
        let mut own: Vec<_> = own.filter(|path| *path != layout::STATE).cloned().collect();
        own.sort_by_key(|path| Reverse((path.matches('/').count(), self.made(path))));
        for path in own {
            if self.is_mounted(&path) {
                continue;
            }
            let stays: Vec<_> = self.children(&path).into_iter().filter(|child| !self.gone.contains(child)).collect();
            if stays.is_empty() {
                self.gone.insert(path.clone());
                self.steps.push(Action::RemoveDirectory { path });
                continue;
            }
            let told = |child: &&String| !self.left.iter().any(|left| left.what.starts_with(child.as_str()));
            let foreign: Vec<_> =
                stays.iter().filter(|child| !self.look.inventory.owns(child)).filter(told).cloned().collect();
            for child in foreign {
                self.leave(child, "kubekeel did not make it");
            }
        }
    }

    /// What is nobody's file.
    fn others(&mut self) {
        if self.look.entries.contains_key(layout::VOLUME_PLUGINS) {
            self.leave(layout::VOLUME_PLUGINS, "the kubelet makes it for kube-controller-manager when there is none");
        }
        self.leave("/var/log/pods", "the logs of what ran are kept for reading");
        self.leave("iptables, nftables, IPVS and /etc/cni", "they belong to kube-proxy and to the network plug-in");
    }
}
