//! The static pods' part of a plan: which manifests change, what ends, and in which order all of it starts.

use std::time::SystemTime;

use super::diff::Planner;
use super::{Change, KubeletAction, Snapshot, Step, Successor, Way};
use crate::adopt;
use crate::error::Result;
use crate::manifest::{self, Component, Manifest};
use crate::observed::{ContainerState, PodRun};
use crate::phase::Want;

/// How far a static pod is, before anything is done.
#[derive(Debug, Clone)]
pub(super) struct Readiness {
    /// Whose.
    component: Component,
    /// What becomes of its manifest; `None` when it stays.
    change: Option<Change>,
    /// Whether a sandbox with another digest, or one that does not get its container to run, has to end.
    ends: bool,
    /// Whether a container with the wanted digest runs.
    runs: bool,
    /// The manifest that is wanted.
    wanted: String,
}

/// Seconds for requests that are being answered; an API server waits a minute for its watches, which never end by themselves.
const GRACE: u32 = 5;

/// A sandbox younger than this may still be starting its container.
const STARTING_NANOSECONDS: i64 = 10_000_000_000;

/// Plans all static pods that are wanted.
pub(super) fn plan(planner: &mut Planner<'_>, wants: &[Want], kubelet_changes: bool) -> Result<()> {
    let components: Vec<_> = wants
        .iter()
        .filter_map(|want| if let Want::StaticPod(component) = want { Some(*component) } else { None })
        .collect();
    let mut pods = vec![];
    for component in components {
        pods.push(readiness(planner, component)?);
    }
    let kubelet = wants.contains(&Want::Kubelet);
    // A renewal or a rotation is no occasion to bring another kubelet up.
    let kubelet_changes =
        kubelet_changes || (planner.seen.successor.is_some() && !planner.options.is_of_certificates());
    let scope = Scope { kubelet, kubelet_changes, proof: wants.contains(&Want::Proof), ..Scope::default() };
    arrange(planner, &pods, scope, |component, change| Step::WriteManifest { component, change });
    Ok(())
}

/// What belongs to the static pods' part of a plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The kubelet may be stopped and started.
    pub(super) kubelet: bool,
    /// It has to be, since files that it reads when it starts change.
    pub(super) kubelet_changes: bool,
    /// The pods are proven.
    pub(super) proof: bool,
    /// What is done once the manifests are written, and before anything ends.
    pub(super) then: Vec<Step>,
}

/// Puts the steps into the order in which all of them come up soonest; `write` makes the step that changes a manifest.
pub(super) fn arrange(
    planner: &mut Planner<'_>,
    pods: &[Readiness],
    scope: Scope,
    write: impl Fn(Component, Change) -> Step,
) {
    let write = |planner: &mut Planner<'_>, pods: &[Readiness]| {
        let changes = pods.iter().filter_map(|pod| Some(write(pod.component, pod.change.clone()?)));
        planner.plan.steps.extend(changes);
    };
    let mut pods = pods.to_vec();
    let healthy = planner.seen.kubelet.as_ref().is_some_and(crate::host::service::ServiceStatus::is_running);
    let swaps = pods.iter().any(|pod| pod.ends);
    planner.plan.kubelet = planner.seen.successor.clone().filter(|_| scope.kubelet && (swaps || scope.kubelet_changes));
    // It would end them one after another, each with its grace; together they are back sooner.
    if planner.plan.kubelet.as_ref().is_some_and(Successor::restarts_pods) {
        for pod in pods.iter_mut().filter(|pod| pod.runs) {
            (pod.ends, pod.runs) = (true, false);
        }
    }
    let in_use = planner.options.in_use;
    end_api_server_with_etcd(&mut pods, in_use);
    let visible = planner.seen.pods.is_some();
    predict(planner, &pods, visible);
    if !scope.kubelet {
        // A single phase only writes: the kubelet takes it from there.
        return write(planner, &pods);
    }
    // Until a kubelet process has seen an API server it neither ends the old pod of a changed manifest nor starts the
    // new one (kubernetes#105543), and even later it takes 10-15 s to notice that the old one ended
    // (`pod_workers.go`, backOffPeriod). A stopped kubelet has no such memory, so every swap is made beside it.
    let running =
        planner.seen.kubelet.as_ref().is_some_and(|kubelet| kubelet.active != "inactive" && kubelet.active != "failed");
    // It may be starting what the file of now says, as after a boot.
    let known = |pod: &Readiness| pod.change.is_none() || matches!(pod.change, Some(Change::Replace { .. }));
    let stuck = visible && pods.iter().any(|pod| known(pod) && !pod.runs);
    let swap = pods.iter().any(|pod| pod.ends) || (running && stuck);
    let replaces_etcd = |pod: &Readiness| pod.component == Component::Etcd && pod.ends && pod.change.is_some();
    if in_use && pods.iter().any(replaces_etcd) {
        planner.plan.steps.push(Step::SnapshotEtcd);
    }
    // A way back is taken when something is wrong, so it is the shortest one.
    let way = if in_use { choose_way(planner, &pods) } else { None };
    let beside = matches!(way, Some(Way::Beside { .. }));
    planner.plan.may_restart = may_restart(&planner.plan.stays, &pods, beside);
    let all: Vec<_> = pods.iter().map(|pod| pod.component).collect();
    if matches!(way, Some(Way::Waits | Way::Beside { etcd: true })) {
        etcd_first(planner, &mut pods, &write);
    }
    let swap = swap && (pods.iter().any(|pod| pod.ends) || pods.len() == all.len());
    if beside {
        planner.plan.steps.push(Step::StartBeside);
    }
    if swap && running {
        planner.kubelet(KubeletAction::Stop);
    }
    // The controllers come when the API server answers: mirror pods are made when the Node is registered, and a pod
    // that is there too early gets its own only 60-90 s later.
    let (first, later): (Vec<_>, Vec<_>) = pods
        .iter()
        .cloned()
        .partition(|pod| pod.ends || pod.runs || matches!(pod.component, Component::Etcd | Component::ApiServer));
    write(planner, &first);
    planner.plan.steps.extend(scope.then);
    for pod in first.iter().filter(|pod| pod.ends) {
        let grace = if beside && pod.component == Component::ApiServer { GRACE } else { 0 };
        planner.plan.steps.push(Step::EndPod { component: pod.component, grace });
    }
    if planner.seen.kubelet.as_ref().is_some_and(|kubelet| kubelet.enabled == "disabled") {
        planner.kubelet(KubeletAction::Enable);
    }
    if swap || scope.kubelet_changes || !healthy {
        planner.kubelet(KubeletAction::Restart);
    }
    if beside {
        planner.plan.steps.push(Step::EndBeside);
    }
    let controllers_wait = later.iter().any(|pod| pod.change.is_some());
    let proves = scope.proof && !all.is_empty();
    if controllers_wait || proves {
        planner.plan.steps.push(Step::AwaitApiServer);
    }
    write(planner, &later);
    if proves {
        planner.plan.steps.push(Step::BindAdministrators);
        planner.plan.steps.push(Step::Prove { components: all });
    }
}

/// Says what starts and what restarts. Where nobody can say what runs (a tree under --root), the manifests say what would.
fn predict(planner: &mut Planner<'_>, pods: &[Readiness], visible: bool) {
    for pod in pods {
        if pod.ends || (!visible && matches!(pod.change, Some(Change::Replace { .. }))) {
            planner.plan.restarts.push(pod.component);
        } else if pod.change.is_some() || (visible && !pod.runs) {
            planner.plan.starts.push(pod.component);
        } else {
            planner.plan.stays.push(pod.component);
        }
    }
}

/// The controllers that go on, while the API is away long enough for them to give up what they lead.
fn may_restart(stays: &[Component], pods: &[Readiness], beside: bool) -> Vec<Component> {
    let away =
        pods.iter().any(|pod| is_ending(pod, Component::Etcd) || (is_ending(pod, Component::ApiServer) && !beside));
    let leads = |component: &Component| matches!(component, Component::ControllerManager | Component::Scheduler);
    stays.iter().copied().filter(|pod| away && leads(pod)).collect()
}

fn is_ending(pod: &Readiness, component: Component) -> bool {
    pod.component == component && pod.ends
}

/// An API server without etcd lets everybody wait, for a minute at most, and a kubelet that starts asks it for its Node before it
/// mounts anything (`volumemanager/reconciler`, `updateReconstructedFromNodeStatus`): etcd, which it has to start, would come back
/// after one or two minutes. So the API server ends with etcd, unless there is time for the kubelet to start without it.
fn end_api_server_with_etcd(pods: &mut [Readiness], in_use: bool) {
    let ends = pods.iter().any(|pod| is_ending(pod, Component::Etcd));
    for pod in pods.iter_mut().filter(|pod| ends && !in_use && pod.component == Component::ApiServer && pod.runs) {
        (pod.ends, pod.runs) = (true, false);
    }
}

/// Replaces etcd alone, under the API server that runs: what it is asked meanwhile waits in it.
fn etcd_first(planner: &mut Planner<'_>, pods: &mut Vec<Readiness>, write: &impl Fn(&mut Planner<'_>, &[Readiness])) {
    let (etcd, others) = std::mem::take(pods).into_iter().partition(|pod| pod.component == Component::Etcd);
    let etcd: Vec<Readiness> = etcd;
    *pods = others;
    planner.kubelet(KubeletAction::Stop);
    write(planner, &etcd);
    planner.plan.steps.push(Step::EndPod { component: Component::Etcd, grace: 0 });
    planner.kubelet(KubeletAction::Alone);
    planner.plan.steps.push(Step::AwaitApiServer);
    planner.kubelet(KubeletAction::Rejoin);
}

/// Chooses the way in which the API server is replaced if it ends, and in which it waits if only etcd does.
fn choose_way(planner: &mut Planner<'_>, pods: &[Readiness]) -> Option<Way> {
    let ends = |component| pods.iter().find(|pod| is_ending(pod, component));
    let etcd = ends(Component::Etcd).is_some();
    let by_kubelet = planner.plan.kubelet.as_ref().is_some_and(Successor::restarts_pods);
    planner.plan.way = match ends(Component::ApiServer) {
        Some(server) => Some(Way::choose(planner.seen, &server.wanted, etcd, by_kubelet)),
        None => etcd.then_some(Way::Waits),
    };
    planner.plan.way.clone()
}

/// Has the ports compared with the files, when one that a component shows is replaced.
pub(super) fn served(planner: &mut Planner<'_>, proof: bool) {
    let replaced = |path: &String| planner.touched.contains(path) && planner.seen.files.contains_key(path);
    let shown = manifest::served(planner.config).into_iter().filter_map(|served| served.certificate);
    let proven = planner.plan.steps.iter().find_map(|step| match step {
        Step::Prove { components } => Some(components.clone()),
        _ => None,
    });
    if let Some(components) = proven.filter(|_| proof && shown.into_iter().any(|path| replaced(&path))) {
        planner.plan.steps.push(Step::ProveServed { components });
    }
}

impl Readiness {
    /// Compares what runs with the digest that should; without one everything that runs has to end.
    pub(super) fn of(
        component: Component,
        change: Option<Change>,
        digest: Option<&str>,
        wanted: &str,
        seen: &Snapshot,
    ) -> Self {
        let runs = seen.alive(component).any(|run| is_running(run, digest));
        let ends = seen.alive(component).any(|run| has_to_end(run, digest, seen));
        Self { component, change, ends, runs: runs && !ends, wanted: wanted.to_owned() }
    }
}

fn readiness(planner: &mut Planner<'_>, component: Component) -> Result<Readiness> {
    let wanted = manifest::render(component, planner.config, &planner.inputs)?;
    let adopted = adopted(planner, component)?;
    let files_change =
        manifest::files_read_once(component, planner.config).iter().any(|path| planner.touched.contains(path));
    let change = match &adopted {
        Some(_) if !files_change => None,
        _ => manifest_change(planner, &wanted, files_change),
    };
    if change.is_none() && planner.plan.refusals.is_empty() && planner.plan.drift.is_empty() {
        planner.plan.kept.push(component.path());
    }
    let digest = change.is_none().then_some(adopted.as_deref().unwrap_or(&wanted.digest));
    Ok(Readiness::of(component, change, digest, &wanted.text, planner.seen))
}

/// What identifies a static pod that was adopted and runs as the configuration wants it: its manifest stays as another tool
/// wrote it until something in it has to change.
fn adopted(planner: &Planner<'_>, component: Component) -> Result<Option<String>> {
    let path = component.path();
    let Some(state) = planner.seen.files.get(&path) else { return Ok(None) };
    let Some(pod) = planner.seen.inventory.adopted(&path, &state.digest) else { return Ok(None) };
    if planner.seen.successor.as_ref().is_some_and(Successor::restarts_pods) {
        return Ok(None);
    }
    // Another kubelet may make another hash of the same file, and then only our own digest proves anything.
    let mut alive = planner.seen.alive(component);
    if planner.seen.pods.is_some() && !alive.any(|run| run.digest.as_deref() == Some(pod)) {
        return Ok(None);
    }
    let Ok(read) = manifest::read(state.text.as_deref().unwrap_or_default()) else { return Ok(None) };
    let same = adopt::is_same(component, planner.config, &planner.inputs, &read.pod)?;
    Ok(same.then(|| pod.to_owned()))
}

fn manifest_change(planner: &mut Planner<'_>, wanted: &Manifest, files_change: bool) -> Option<Change> {
    let path = wanted.component.path();
    let Some(state) = planner.seen.files.get(&path) else { return Some(Change::Create) };
    let text = state.text.clone().unwrap_or_default();
    // Other white space or key order is the same pod: the kubelet would not restart it, and neither do we.
    let same = manifest::read(&text).is_ok_and(|read| read.digest == wanted.digest && read.is_genuine());
    if same && !files_change {
        return None;
    }
    if same {
        let diff =
            planner.line_diff(&text, &text.replace(&wanted.digest, "(known when the files it mounts are written)"));
        return Some(Change::Replace { diff });
    }
    planner.change(&path, &wanted.text)
}

fn is_running(run: &PodRun, digest: Option<&str>) -> bool {
    digest.is_some()
        && run.digest.as_deref() == digest
        && run.containers.first().is_some_and(|container| container.state == ContainerState::Running)
}

/// Whether a sandbox stands in the way of the wanted pod: it is another pod, or its container does not come up and the
/// kubelet's back-off would make us wait for up to five minutes.
fn has_to_end(run: &PodRun, digest: Option<&str>, seen: &Snapshot) -> bool {
    if digest.is_none() || run.digest.as_deref() != digest {
        return true;
    }
    let old = unix_nanoseconds(seen.now).saturating_sub(run.created_at) > STARTING_NANOSECONDS;
    let failing = run.containers.first().is_none_or(|container| container.state != ContainerState::Running);
    failing && (old || run.containers.len() > 1)
}

fn unix_nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
