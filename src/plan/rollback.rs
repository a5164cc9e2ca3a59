//! From a generation and what was seen to the steps that put the generation back.

use super::cluster;
use super::diff::{CONTEXT, Planner, line_diff};
use super::pods::{self, Readiness, Scope};
use super::{Change, Options, Plan, Snapshot, Step};
use crate::config::Config;
use crate::error::Result;
use crate::generation::Generation;
use crate::layout;
use crate::manifest::{self, Component};

/// Plans to put a generation back: every file of it byte for byte, none of ours beside it, exactly its static pods, and its
/// objects in the cluster.
/// `config` is the generation's own.
pub fn rollback(generation: &Generation, config: &Config, seen: &Snapshot) -> Result<Plan> {
    let options = Options { force: true, ..Options::default() };
    let mut planner = Planner::new(config, seen, options);
    // First, because it needs the etcd that runs, and nothing is changed yet when it fails.
    planner.plan.steps.extend(older_etcd(generation, seen).map(|minor| Step::DowngradeEtcd { minor }));
    // In the reverse order: what the manifests need was there before them, and is put back after them.
    let mut then = vec![];
    let manifests = Component::ALL.map(Component::path);
    for path in generation.files.keys().rev().filter(|path| !manifests.contains(path)) {
        match change(generation, seen, path) {
            None => planner.plan.kept.push(path.clone()),
            Some(change) => {
                planner.touched.insert(path.clone());
                then.push(Step::Restore { path: path.clone(), change });
            }
        }
    }
    let surplus = seen.inventory.entries.iter().rev().filter(|(path, entry)| {
        let made = entry.digest.is_some() || seen.files.get(*path).is_some_and(|state| !state.digest.is_empty());
        made && !path.starts_with(layout::UNITS) && !generation.files.contains_key(*path)
    });
    for (path, _) in surplus {
        planner.touched.insert(path.clone());
        then.push(Step::Remove { path: path.clone() });
    }
    let authority = format!("{}/ca.crt", config.cluster.certificates_dir);
    if [authority.as_str(), KUBELET_KUBECONFIG].iter().any(|path| planner.touched.contains(*path)) {
        then.push(Step::RelinkKubeletCertificate);
    }
    let kubelet = planner.touched.iter().any(|path| path.starts_with(layout::KUBELET) || *path == KUBELET_KUBECONFIG);
    let pods: Vec<_> = Component::ALL
        .into_iter()
        .filter_map(|component| {
            let digest = generation.manifest_digest(component)?;
            let change = change(generation, seen, &component.path());
            if change.is_none() {
                planner.plan.kept.push(component.path());
            }
            Some(Readiness::of(component, change, Some(&digest), "", seen))
        })
        .collect();
    let restore = |component: Component, change: Change| Step::Restore { path: component.path(), change };
    pods::arrange(&mut planner, &pods, Scope { kubelet: true, kubelet_changes: kubelet, proof: true, then }, restore);
    cluster::put_back(&mut planner)?;
    pods::served(&mut planner, true);
    Ok(planner.plan)
}

/// The kubelet reads it only when it starts.
const KUBELET_KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";

/// The minor of the generation's etcd when it is older than that of the manifest that is there.
fn older_etcd(generation: &Generation, seen: &Snapshot) -> Option<String> {
    let path = Component::Etcd.path();
    let saved = String::from_utf8_lossy(generation.files.get(&path)?.content.expose()).into_owned();
    let (then, now) = (etcd_minor(&saved)?, etcd_minor(seen.files.get(&path)?.text.as_deref()?)?);
    (then < now).then(|| format!("{}.{}", then.0, then.1))
}

/// Major and minor of the etcd that a manifest runs, from the tag of its image.
fn etcd_minor(manifest: &str) -> Option<(u32, u32)> {
    let pod = manifest::read(manifest).ok()?.pod;
    let containers = pod["spec"]["containers"].as_array()?;
    let etcd = containers.iter().find(|container| container["name"] == Component::Etcd.name())?;
    let (_, tag) = etcd["image"].as_str()?.split('@').next()?.rsplit_once(':')?;
    let mut numbers = tag.trim_start_matches('v').split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What becomes of a file; `None` when it is as the generation has it.
fn change(generation: &Generation, seen: &Snapshot, path: &str) -> Option<Change> {
    let saved = &generation.files[path];
    let Some(state) = seen.files.get(path) else { return Some(Change::Create) };
    if state.digest == saved.digest() && state.mode == saved.mode {
        return None;
    }
    // What may hold a secret has no text here.
    let text = state.text.as_deref().unwrap_or_default();
    let diff = match std::str::from_utf8(saved.content.expose()) {
        Ok(wanted) if state.text.is_some() => line_diff(text, wanted, CONTEXT),
        _ => String::new(),
    };
    Some(Change::Replace { diff })
}
