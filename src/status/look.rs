//! The look at a node behind [`Status`]: everything at the same time, nothing waits for what is down.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{CertificateLeft, ComponentState, EtcdState, Inodes, Proven, Service, Status};
use crate::apply::{Generations, snapshot};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::generation::Generation;
use crate::host::cri::Cri;
use crate::host::fs::Files;
use crate::host::http::Health;
use crate::host::{self, checkup, facts, service};
use crate::layout;
use crate::manifest::{self, Component};
use crate::observe::{self, sha256};
use crate::observed::{NodeState, PodRun};
use crate::pki::{Expiry, Validity};
use crate::plan::Inventory;
use crate::prove::ladder::{self, View};
use crate::prove::{self, probes};
use crate::recall::{Recalled, recall};

/// Who does not answer within this time is down, as far as one look goes.
const PATIENCE: Duration = Duration::from_secs(2);
/// etcd's `--quota-backend-bytes` when it is 0 (`server/storage/quota.go`).
const DEFAULT_QUOTA: u64 = 2 << 30;

/// A look, and what it was made from.
pub struct Looked {
    /// What it says.
    pub status: Status,
    /// The configuration that was recalled.
    pub config: Config,
    /// The view that the ladder was climbed in.
    pub view: View,
    /// What should run: the digests, and of pods that are not ours the identity of the newest.
    pub digests: BTreeMap<Component, String>,
}

/// Looks at the node.
pub async fn look(files: &Files) -> Result<Status> {
    Ok(closely(files).await?.status)
}

/// Looks at the node, and keeps what was seen.
pub async fn closely(files: &Files) -> Result<Looked> {
    // Boxed: a look holds all the connections that it has open at the same time.
    Box::pin(look_at(files)).await
}

async fn look_at(files: &Files) -> Result<Looked> {
    let Recalled { config, generation, unreadable } = recall(files).await?;
    let mut unseen: BTreeMap<String, String> =
        unreadable.map(|why| (layout::GENERATIONS.into(), why)).into_iter().collect();
    let inventory = observe::inventory(files)
        .map_err(|error| unseen.insert(layout::INVENTORY.into(), error.to_string()))
        .unwrap_or_default();
    let pending = Generations::new(files)
        .pending()
        .map_err(|error| unseen.insert(layout::PENDING.into(), error.to_string()))
        .unwrap_or_default();
    let on_disk = manifests(files);
    let initialised = !inventory.entries.is_empty() || !on_disk.is_empty();
    let mut status = Status {
        now: seconds(host::now()),
        node: config.node.name.clone(),
        version: config.cluster.version.to_string(),
        initialised,
        is_ours: !inventory.entries.is_empty(),
        generation: generation.as_ref().map(proven),
        pending: pending.map(|pending| pending.command),
        free: free(&config, files),
        drift: drift(files, &inventory, generation.as_ref()),
        ..Status::default()
    };
    if initialised {
        match observe::expiries(&config.cluster.certificates_dir, files) {
            Ok(expiries) => status.certificates = certificates(expiries.now, expiries.rows),
            Err(error) => drop(unseen.insert(config.cluster.certificates_dir.clone(), why(&error))),
        }
    }
    status.unseen = unseen;
    let desired = |component: Component| {
        let kept = generation.as_ref().and_then(|generation| generation.manifest_digest(component));
        Some((component, kept.or_else(|| on_disk.get(&component).cloned().flatten())?))
    };
    let mut digests: BTreeMap<_, _> = Component::ALL.into_iter().filter_map(desired).collect();
    let mut view = View::default();
    if files.is_machine() {
        status.inodes = inodes(&config);
        view = Box::pin(live(&mut status, &config, files)).await;
        let wanted = digests.clone();
        if !status.is_ours {
            by_name(on_disk.into_keys(), &view, &mut digests);
        }
        if status.initialised {
            status.components = manifest::components(&config)
                .map(|component| component_state(component, wanted.get(&component), digests.get(&component), &view))
                .collect();
        }
    }
    Ok(Looked { status, config, view, digests })
}

/// A manifest of another tool says nothing about its pod but the name: the newest of that name is the one that is wanted.
fn by_name(components: impl Iterator<Item = Component>, view: &View, digests: &mut BTreeMap<Component, String>) {
    for component in components {
        let newest = |run: &&PodRun| run.name == component.name();
        let identity = view.pods.iter().flatten().find(newest).and_then(|run| run.digest.clone());
        digests.entry(component).or_insert_with(|| identity.unwrap_or_default());
    }
}

/// What runs.
async fn live(status: &mut Status, config: &Config, files: &Files) -> View {
    let authority = files.read(&format!("{}/ca.crt", config.cluster.certificates_dir)).ok().flatten();
    let authority = authority.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let components: Vec<_> = manifest::components(config).collect();
    let asks_etcd = status.initialised && components.contains(&Component::Etcd);
    let (kubelet, runtime, health, (node, mirrors), etcd) = tokio::join!(
        service::status(service::KUBELET),
        runtime(&config.node.cri_socket),
        async { if status.initialised { probes::ask(&components, config, &authority).await } else { BTreeMap::new() } },
        within(cluster(config, files)),
        async { if asks_etcd { Some(within(etcd(config, files)).await) } else { None } },
    );
    let mirrors = mirrors.map_err(|why| why.clone());
    let (version, pods) = match runtime {
        Ok((version, pods)) => (Ok(version), pods),
        Err(why) => (Err(why.clone()), Err(why)),
    };
    let registered = node.as_ref().map(Option::is_some).map_err(Clone::clone);
    let view = View { pods, health, node: registered, mirrors, ..View::default() };
    let kubelet = kubelet.unwrap_or_default();
    let mut version_of_kubelet = node.as_ref().ok().and_then(Option::as_ref).map(|node| node.kubelet.clone());
    if version_of_kubelet.is_none() {
        version_of_kubelet = facts::kubelet_version().await.map(|version| version.to_string());
    }
    status.kubelet = Service {
        version: version_of_kubelet,
        running: kubelet.is_running(),
        state: format!("{} ({})", kubelet.active, kubelet.sub),
        since: kubelet.started_at().map(seconds),
        restarts: kubelet.restarts,
    };
    status.runtime = Some(version);
    status.etcd = etcd;
    if status.initialised {
        status.node_ready = Some(node.map(|node| node.is_some_and(|node| node.ready)));
    }
    view
}

fn component_state(
    component: Component,
    desired: Option<&String>,
    identity: Option<&String>,
    view: &View,
) -> ComponentState {
    let mut runs = view.pods.iter().flatten().filter(|run| run.name == component.name() && run.is_alive());
    let run = runs.next();
    let container = run.and_then(|run| run.containers.first());
    ComponentState {
        progress: ladder::climb(component, identity.map(String::as_str), view),
        desired: desired.cloned(),
        running: run.and_then(|run| run.digest.clone()),
        image: container.map(|container| container.image.clone()).unwrap_or_default(),
        since: container.map(|container| container.started_at / 1_000_000_000).filter(|since| *since > 0),
        restarts: container.map_or(0, |container| container.attempt),
        ready: view.health.get(&component) == Some(&Health::Ready),
    }
}

/// The manifests that are there, with the digest that each carries if it describes itself.
fn manifests(files: &Files) -> BTreeMap<Component, Option<String>> {
    let read = |component: Component| {
        let bytes = files.read(&component.path()).ok()??;
        let read = manifest::read(&String::from_utf8_lossy(&bytes)).ok();
        Some((component, read.filter(manifest::Read::is_genuine).map(|read| read.digest)))
    };
    Component::ALL.into_iter().filter_map(read).collect()
}

async fn runtime(socket: &str) -> Result<(String, Result<Vec<PodRun>, String>), String> {
    let cri = Cri::connect(socket).await.map_err(|error| error.to_string())?;
    let (version, pods) = tokio::join!(cri.version(), cri.static_pods());
    let version = version.map_err(|error| error.to_string())?;
    Ok((format!("{} {}", version.name, version.version), pods.map_err(|error| error.to_string())))
}

type Mirrors = BTreeMap<String, crate::observed::MirrorPod>;

/// The Node and the mirror pods.
async fn cluster(config: &Config, files: &Files) -> (Result<Option<NodeState>, String>, Result<Mirrors, String>) {
    let Some(api) = prove::connect(files, config).await else {
        let why = || "a kubeconfig of an administrator to ask the API server with".to_owned();
        return (Err(why()), Err(why()));
    };
    let (node, mirrors) = tokio::join!(api.node(&config.node.name), api.mirror_pods(&config.node.name));
    (node.map_err(|error| prove::chain(&error)), mirrors.map_err(|error| prove::chain(&error)))
}

async fn etcd(config: &Config, files: &Files) -> Result<EtcdState, String> {
    let etcd = snapshot::connect(config, files).await.map_err(|error| why(&error))?;
    let status = etcd.status().await.map_err(|error| error.to_string())?;
    let quota = config.cluster.etcd.extra_args.iter().rev().find(|arg| arg.name == "quota-backend-bytes");
    let quota = quota.and_then(|arg| arg.value.parse().ok()).filter(|quota| *quota > 0).unwrap_or(DEFAULT_QUOTA);
    let size = u64::try_from(status.db_size).unwrap_or(0);
    Ok(EtcdState { version: status.version, size, quota, alarms: status.errors })
}

/// The innermost cause: what was attempted says nothing to somebody who only looks.
fn why(error: &Error) -> String {
    error.causes.last().unwrap_or(&error.message).clone()
}

/// What takes too long is an error of its own kind.
trait Late {
    fn late() -> Self;
}

fn no_answer<T>() -> Result<T, String> {
    Err(format!("an answer within {} s", PATIENCE.as_secs()))
}

impl<T> Late for Result<T, String> {
    fn late() -> Self {
        no_answer()
    }
}

impl<T, U> Late for (Result<T, String>, Result<U, String>) {
    fn late() -> Self {
        (no_answer(), no_answer())
    }
}

async fn within<T: Late>(look: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| T::late())
}

fn proven(generation: &Generation) -> Proven {
    Proven {
        number: generation.number,
        proven: i64::try_from(generation.proven).unwrap_or(i64::MAX),
        command: generation.command.clone(),
    }
}

fn certificates(now: i64, rows: Vec<Expiry>) -> Vec<CertificateLeft> {
    let left = |row: Expiry| {
        let (not_after, damaged) = match row.validity {
            Validity::Until(end) => (Some(end), None),
            Validity::Damaged(why) => (None, Some(why)),
            // What was there is drift; what never was may be missing on purpose.
            Validity::Missing => return None,
        };
        Some(CertificateLeft {
            name: row.name,
            path: row.path,
            authority: row.authority.is_none(),
            managed: row.managed,
            not_before: row.since,
            not_after,
            days: not_after.map(|end| (end - now).div_euclid(86_400)),
            damaged,
        })
    };
    let mut all: Vec<_> = rows.into_iter().filter_map(left).collect();
    all.sort_by(|a, b| (a.not_after, &a.name).cmp(&(b.not_after, &b.name)));
    all
}

/// Where the control plane writes.
fn written(config: &Config) -> [&str; 3] {
    [config.cluster.etcd.data_dir.as_str(), layout::KUBELET, "/var/log/pods"]
}

fn free(config: &Config, files: &Files) -> BTreeMap<String, u64> {
    written(config).iter().filter_map(|path| Some(((*path).to_owned(), files.free_bytes(path).ok()?))).collect()
}

fn inodes(config: &Config) -> BTreeMap<String, Inodes> {
    let counted = |path: &&str| {
        let (free, total) = checkup::inodes(path)?;
        Some(((*path).to_owned(), Inodes { free, total }))
    };
    written(config).iter().filter_map(counted).collect()
}

/// What is on disk, against what was proven, and without that against what was written.
fn drift(files: &Files, inventory: &Inventory, generation: Option<&Generation>) -> BTreeMap<String, &'static str> {
    let recorded = inventory.entries.iter().filter_map(|(path, entry)| Some((path.clone(), entry.digest.clone()?)));
    let mut wanted: BTreeMap<String, String> = recorded.collect();
    if let Some(generation) = generation {
        wanted.extend(generation.files.iter().map(|(path, saved)| (path.clone(), saved.digest())));
    }
    let mut drift = BTreeMap::new();
    for (path, digest) in wanted {
        let what = match files.read(&path) {
            Ok(Some(bytes)) if sha256(&bytes) == digest => continue,
            Ok(Some(_)) => "it is not as kubekeel wrote it",
            Ok(None) => "it is gone",
            Err(_) => "it cannot be read",
        };
        drift.insert(path, what);
    }
    drift
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
