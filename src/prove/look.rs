//! What the prover looks at, once in every round.

use std::time::{Duration, SystemTime};

use super::ladder::{Kubelet, View};
use super::{Goal, Prover, chain, connect};
use crate::host;
use crate::host::cri::Cri;
use crate::host::http::Health;
use crate::host::service;
use crate::manifest::{self, Component};
use crate::observed::PodRun;

/// How old a kubelet process is when the mirror pods surely show what it saw itself; 1.4 s were measured on an idle node.
const SETTLED: Duration = Duration::from_secs(8);

impl Prover<'_> {
    /// One look at everything that the goal needs.
    pub(super) async fn look(&mut self, goal: Goal) -> View {
        if self.cri.is_none() {
            self.cri = Cri::connect(&self.config.node.cri_socket).await.ok();
        }
        if self.api.is_none() {
            self.api = connect(self.files, self.config).await;
        }
        let pods = async {
            match &self.cri {
                Some(cri) => cri.static_pods().await.map_err(|error| error.to_string()),
                None => Err(format!("the container runtime does not answer at {}", self.config.node.cri_socket)),
            }
        };
        let mut pods: Result<Vec<PodRun>, _> = pods.await;
        if self.beside.is_some()
            && let Ok(pods) = &mut pods
        {
            pods.retain(|run| run.name != Component::ApiServer.name());
            for run in pods.iter_mut().filter(|run| run.name == manifest::beside::BESIDE) {
                Component::ApiServer.name().clone_into(&mut run.name);
            }
        }
        let mut view = View { pods, health: self.probes.last(), ..View::default() };
        let serves = view.health.get(&Component::ApiServer).is_none_or(|health| *health == Health::Ready);
        if goal == Goal::Proven
            && serves
            && let Some(api) = &self.api
        {
            let name = &self.config.node.name;
            let (node, mirrors) = tokio::join!(api.node(name), api.mirror_pods(name));
            view.node = node.map(|node| node.is_some()).map_err(|error| chain(&error));
            view.mirrors = mirrors.map_err(|error| chain(&error));
            if view.mirrors.as_ref().is_ok_and(|mirrors| mirrors.values().any(|mirror| mirror.ready)) {
                view.kubelet = kubelet().await;
            }
            let unready = view.mirrors.iter().flatten().filter(|(_, mirror)| !mirror.ready);
            self.unready_at.extend(unready.map(|(name, _)| (name.clone(), unix_seconds(host::now()))));
            view.unready_at.clone_from(&self.unready_at);
        }
        view
    }
}

/// Whether the kubelet runs, and for how long; where nobody can tell, its word is taken.
async fn kubelet() -> Kubelet {
    let Ok(unit) = service::status(service::KUBELET).await else { return Kubelet::Settled };
    match unit.started_at() {
        None => Kubelet::Down,
        Some(started) if started.elapsed().is_ok_and(|age| age >= SETTLED) => Kubelet::Settled,
        Some(started) => Kubelet::Young(unix_seconds(started)),
    }
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or_default()
}
