//! The ladder itself, over one look at the machine. Pure.

use std::collections::BTreeMap;

use crate::event::{Progress, Rung};
use crate::host::http::Health;
use crate::manifest::Component;
use crate::observed::{ContainerRun, ContainerState, MirrorPod, PodRun};

/// One look at the machine, as far as the proof needs it.
#[derive(Debug, Clone)]
pub struct View {
    /// Sandboxes of static pods, newest first, or why the runtime does not tell.
    pub pods: Result<Vec<PodRun>, String>,
    /// What the health ports say.
    pub health: BTreeMap<Component, Health>,
    /// Whether the Node is registered, or why the API server does not tell.
    pub node: Result<bool, String>,
    /// Mirror pods by component.
    pub mirrors: Result<BTreeMap<String, MirrorPod>, String>,
    /// Whose word the mirror pods are.
    pub kubelet: Kubelet,
    /// When the mirror pod of a component was last seen not Ready, Unix seconds.
    pub unready_at: BTreeMap<String, i64>,
}

/// The kubelet, as far as its word goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kubelet {
    /// It runs for so long that the mirror pods show what it saw itself.
    Settled,
    /// It started then, Unix seconds: the mirror pods may still show what the process before it saw.
    Young(i64),
    /// It does not run, and the mirror pods say what was once.
    Down,
}

impl Default for View {
    fn default() -> Self {
        let unasked = || "the API server to answer".to_owned();
        let (node, mirrors) = (Err(unasked()), Err(unasked()));
        Self {
            pods: Ok(vec![]),
            health: BTreeMap::new(),
            node,
            mirrors,
            kubelet: Kubelet::Settled,
            unready_at: BTreeMap::new(),
        }
    }
}

/// How far a component is, given the digest of its manifest on disk.
pub fn climb(component: Component, digest: Option<&str>, view: &View) -> Progress {
    let at = |rung: Option<Rung>, waiting: String| Progress { component, rung, waiting };
    let Some(digest) = digest else { return at(None, "its manifest".into()) };
    let pods = match &view.pods {
        Ok(pods) => pods,
        Err(error) => return at(Some(Rung::File), error.clone()),
    };
    let own: Vec<_> = pods.iter().filter(|run| run.name == component.name()).collect();
    let run = own.iter().find(|run| run.ready && run.digest.as_deref() == Some(digest));
    // An older one of the same manifest is another one, too: either may answer the port.
    if own.iter().any(|other| other.is_alive() && run.is_none_or(|run| run.sandbox != other.sandbox)) {
        return at(Some(Rung::File), "the old pod to end".into());
    }
    let Some(run) = run else {
        return at(Some(Rung::File), "the kubelet to start the pod".into());
    };
    let container = match run.containers.first() {
        Some(container) if container.state == ContainerState::Running => container,
        Some(container) if container.state == ContainerState::Exited => {
            return at(Some(Rung::Sandbox), format!("a restart: the container exited with {}", container.exit_code));
        }
        _ => return at(Some(Rung::Sandbox), "its container".into()),
    };
    match view.health.get(&component) {
        Some(Health::Ready) => {}
        Some(health) => return at(Some(Rung::Container), waiting_for_health(health)),
        None => return at(Some(Rung::Container), "its health port".into()),
    }
    match &view.node {
        Ok(true) => {}
        Ok(false) => return at(Some(Rung::Health), "the Node to be registered".into()),
        Err(error) => return at(Some(Rung::Health), error.clone()),
    }
    let mirror = match &view.mirrors {
        Ok(mirrors) => mirrors.get(component.name()),
        Err(error) => return at(Some(Rung::Node), error.clone()),
    };
    match mirror {
        None => at(Some(Rung::Node), "the mirror pod".into()),
        Some(mirror) if mirror.digest.as_deref() != Some(digest) => {
            at(Some(Rung::Node), "the old mirror pod to be replaced".into())
        }
        Some(mirror) if !mirror.ready => at(Some(Rung::Node), "the mirror pod to be Ready".into()),
        Some(mirror) if mirror.container.as_ref() != Some(&container.id) => {
            at(Some(Rung::Node), "the mirror pod to show the running container".into())
        }
        Some(_) if view.kubelet == Kubelet::Down => at(Some(Rung::Node), "the kubelet to run".into()),
        Some(mirror) if !is_settled(component, mirror, container, view) => {
            at(Some(Rung::Node), "the word of the kubelet that started just now".into())
        }
        Some(_) => at(Some(Rung::MirrorPod), String::new()),
    }
}

/// Whether Ready is what the kubelet that runs found out itself.
///
/// Of containers that it did not start, a new kubelet process first repeats what it takes from the runtime, then says not
/// Ready a second and a half after its start, and Ready again when its own probes passed.
fn is_settled(component: Component, mirror: &MirrorPod, container: &ContainerRun, view: &View) -> bool {
    let Kubelet::Young(since) = view.kubelet else { return true };
    if container.started_at / 1_000_000_000 > since {
        return true;
    }
    let doubted = view.unready_at.get(component.name()).is_some_and(|at| *at > since);
    mirror.ready_since.is_some_and(|ready| ready > since && (doubted || ready >= since + REPEATED))
}

/// How long after its start, in seconds, a kubelet may still repeat what its predecessor said.
const REPEATED: i64 = 3;

fn waiting_for_health(health: &Health) -> String {
    match health {
        Health::Ready => String::new(),
        Health::NotReady(detail) => format!("health: {detail}"),
        Health::Refused => "its port to open".into(),
        Health::Silent => "an answer of its health port".into(),
        Health::Tls(error) | Health::Broken(error) => format!("health: {error}"),
    }
}
