//! What a reset has to see of the node.

use std::collections::BTreeMap;

use super::Look;
use super::kubelet::is_within;
use super::order::order;
use crate::config::Config;
use crate::error::{Problem, Result};
use crate::host::cri::Cri;
use crate::host::fs::Files;
use crate::host::service;
use crate::host::tree::{self, Entry, Mount};
use crate::layout;
use crate::observe::{self, sha256};
use crate::plan::Inventory;

/// Looks at everything that is ours, and at what stands beside it.
pub async fn look(config: &Config, files: &Files) -> Result<Look> {
    let mut inventory = observe::inventory(files)?;
    if inventory.entries.is_empty() {
        inventory = of_kubeadm(config, files);
    }
    let etcd_data = etcd_data(&inventory, config, files);
    let mut entries = BTreeMap::new();
    let mut digests = BTreeMap::new();
    for path in inventory.entries.keys() {
        note(files, path, &mut entries);
        if entries.get(path) == Some(&Entry::File)
            && let Ok(Some(bytes)) = files.read(path)
        {
            digests.insert(path.clone(), sha256(&bytes));
        }
    }
    let pods = format!("{}/pods", layout::KUBELET);
    for path in [
        layout::KUBELET,
        &pods,
        &etcd_data,
        &format!("{etcd_data}/member"),
        layout::STATE,
        layout::GENERATIONS,
        layout::SNAPSHOTS,
        layout::VOLUME_PLUGINS,
    ] {
        note(files, path, &mut entries);
    }
    let machine = files.is_machine();
    let kubelet = if machine { service::status(service::KUBELET).await.ok() } else { None };
    Ok(Look {
        sandboxes: if machine { sandboxes(&config.node.cri_socket).await } else { Ok(vec![]) },
        mounts: if machine { mounts(&inventory, &etcd_data) } else { vec![] },
        order: order(config),
        kubelet_runs: kubelet.is_some_and(|unit| !matches!(unit.active.as_str(), "inactive" | "failed")),
        inventory,
        entries,
        digests,
        etcd_data,
    })
}

/// What is mounted at and below anything that may go, deepest first.
fn mounts(inventory: &Inventory, etcd_data: &str) -> Vec<Mount> {
    let ours = |path: &str| {
        let may_go = inventory.entries.keys().map(String::as_str).chain([layout::KUBELET, layout::STATE, etcd_data]);
        may_go.into_iter().any(|directory| is_within(path, directory))
    };
    tree::mounts("").into_iter().filter(|mount| ours(&mount.path)).collect()
}

/// Removes what a run that was killed left between creating a dot-file and renaming it; gives what it could not remove, which
/// must not keep anybody from the rest.
pub fn sweep(config: &Config, files: &Files) -> Vec<Problem> {
    let pki = &config.cluster.certificates_dir;
    let directories = [
        layout::STATE,
        layout::GENERATIONS,
        layout::SNAPSHOTS,
        layout::KUBERNETES,
        pki,
        &format!("{pki}/etcd"),
        layout::KUBELET,
        layout::MANIFESTS,
    ];
    let unswept = directories.into_iter().filter_map(|directory| files.sweep(directory).err());
    unswept.map(|error| Problem::new(&error.path, format!("cannot clear up: {}", error.source))).collect()
}

/// What stands at a path, and the names in it when it is a directory.
fn note(files: &Files, path: &str, entries: &mut BTreeMap<String, Entry>) {
    let Some(entry) = files.entry(path) else { return };
    entries.insert(path.to_owned(), entry);
    if entry == Entry::Directory {
        for name in files.list(path).unwrap_or_default() {
            let child = format!("{path}/{name}");
            entries.extend(files.entry(&child).map(|entry| (child, entry)));
        }
    }
}

async fn sandboxes(socket: &str) -> Result<Vec<crate::observed::Sandbox>, String> {
    let cri = Cri::connect(socket).await.map_err(|error| error.to_string())?;
    cri.sandboxes().await.map_err(|error| error.to_string())
}

/// The configuration may be gone already when a reset was killed: then the directory that we made and that has a member in
/// it is etcd's.
fn etcd_data(inventory: &Inventory, config: &Config, files: &Files) -> String {
    let has_member = |path: &&String| files.entry(&format!("{path}/member/wal")).is_some();
    let made = inventory.entries.iter().filter(|(_, entry)| entry.digest.is_none()).map(|(path, _)| path);
    made.into_iter().find(has_member).cloned().unwrap_or_else(|| config.cluster.etcd.data_dir.clone())
}

/// What kubeadm makes, as far as it is there. Its directories stay, as with its own reset.
fn of_kubeadm(config: &Config, files: &Files) -> Inventory {
    let mut inventory = Inventory::default();
    let more = ["bootstrap-kubelet.conf"].map(layout::kubeconfig);
    for path in observe::paths(config).map(|(path, _)| path).chain(more) {
        if files.entry(&path) == Some(Entry::File) {
            inventory.claim(&path);
        }
    }
    inventory
}
