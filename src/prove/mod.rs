//! The proof: that exactly what was rendered runs. A ladder per static pod, each rung meaning all below it.

mod beside;
pub mod ladder;
mod look;
pub(crate) mod probes;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::diagnose::{self, Diagnosis};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Progress, Reporter, Rung};
use crate::host::api::ApiServer;
use crate::host::cri::Cri;
use crate::host::evidence;
use crate::host::fs::Files;
use crate::host::http::Health;
use crate::host::service;
use crate::host::signal::Interrupt;
use crate::kubeconfig;
use crate::layout;
use crate::manifest::{self, Component};
use crate::observed::{ContainerState, PodRun};
use crate::pki::KubeconfigId;
use ladder::View;
use probes::Probes;

/// How often the machine is looked at.
const PERIOD: Duration = Duration::from_millis(40);
/// When the first look for a cause is taken, and how often after that.
const DIAGNOSE_AFTER: Duration = Duration::from_millis(2500);
const DIAGNOSE_EVERY: Duration = Duration::from_millis(1500);

/// Everything a proof needs.
pub struct Prover<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The node's files.
    pub files: &'a Files,
    /// Safe points.
    pub interrupt: &'a Interrupt,
    /// Who is told.
    pub reporter: &'a mut dyn Reporter,
    /// What identifies the pods that have to run: the digests in the manifests, over what is said for adopted pods.
    pub digests: BTreeMap<Component, String>,
    cri: Option<Cri>,
    api: Option<ApiServer>,
    probes: Probes,
    told: BTreeMap<Component, Progress>,
    /// Since when a mirror pod is missing that should have been made.
    missing_since: Option<Instant>,
    nudged: bool,
    /// The digest of the second API server, while it is looked at in place of the first.
    beside: Option<String>,
    /// Whether two API servers share their port, so that one keeps it from nobody.
    port_is_shared: bool,
    /// When each mirror pod was last seen not Ready, Unix seconds.
    unready_at: BTreeMap<String, i64>,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Its container runs.
    Running,
    /// The API server serves, so that what needs it may start.
    Serving,
    /// The top of the ladder.
    Proven,
}

/// The last thing that a new API server does before it is ready: it takes a second in which the controllers' images can be
/// started already.
const LAST_HOOK: &str = "500 poststarthook/rbac/bootstrap-roles failed";

impl Goal {
    fn is_reached(self, progress: &Progress, view: &View) -> bool {
        match self {
            Self::Running => progress.rung >= Some(Rung::Container),
            Self::Proven => progress.is_proven(),
            Self::Serving => {
                let last_hook =
                    matches!(view.health.get(&progress.component), Some(Health::NotReady(why)) if why == LAST_HOOK);
                progress.rung >= Some(Rung::Health) || (progress.rung == Some(Rung::Container) && last_hook)
            }
        }
    }
}

/// The kubelet makes a missing mirror pod at the pod's next sync, at once or after 60-90 s: who waits longer than this
/// waits for the latter.
const MIRROR_PATIENCE: Duration = Duration::from_millis(1500);

impl<'a> Prover<'a> {
    /// A prover of what the manifests on disk say.
    pub fn new(config: &'a Config, files: &'a Files, interrupt: &'a Interrupt, reporter: &'a mut dyn Reporter) -> Self {
        Self {
            config,
            files,
            interrupt,
            reporter,
            digests: BTreeMap::new(),
            cri: None,
            api: None,
            probes: Probes::default(),
            told: BTreeMap::new(),
            missing_since: None,
            nudged: false,
            beside: None,
            port_is_shared: false,
            unready_at: BTreeMap::new(),
        }
    }

    /// Waits until the API server answers `/readyz`.
    pub async fn await_api_server(&mut self) -> Result<()> {
        let served = |component: &Component| matches!(component, Component::Etcd | Component::ApiServer);
        let components: Vec<_> = manifest::components(self.config).filter(served).collect();
        self.climb(&components, Goal::Serving).await
    }

    /// Climbs to the top for all of `components`.
    pub async fn prove(&mut self, components: &[Component]) -> Result<()> {
        self.climb(components, Goal::Proven).await
    }

    /// Proves, after a while, that the same containers still run: a component that comes up can end soon after.
    pub async fn stay(&mut self, components: &[Component], long: Duration) -> Result<()> {
        let before = self.containers().await?;
        let until = Instant::now() + long;
        while Instant::now() < until {
            self.interrupt.check()?;
            tokio::time::sleep(PERIOD).await;
        }
        self.climb(components, Goal::Proven).await?;
        let after = self.containers().await?;
        let is_new = |component: &&Component| before.get(component.name()) != after.get(component.name());
        let restarted: Vec<_> = components.iter().filter(is_new).map(|component| component.name()).collect();
        if restarted.is_empty() {
            return Ok(());
        }
        let message = format!("{} restarted within {} s of being proven", restarted.join(", "), long.as_secs());
        Err(Error::new(Kind::Step, message).hint("read the log of the container before under /var/log/pods"))
    }

    /// Proves that what ran before still runs: a restart that nobody planned is a fault, whoever caused it.
    pub async fn untouched(
        &mut self,
        before: impl Iterator<Item = &PodRun>,
        components: impl Iterator<Item = Component>,
    ) -> Result<()> {
        let (before, after) = (running(before), self.containers().await?);
        let restarted = |component: &Component| {
            let ids = before.get(component.name()).filter(|ids| !ids.is_empty());
            ids.is_some_and(|ids| after.get(component.name()) != Some(ids))
        };
        let names: Vec<_> = components.filter(restarted).map(Component::name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("{} restarted, which the plan did not say", names.join(", "));
        Err(Error::new(Kind::Step, message).hint("read the log of the container before under /var/log/pods"))
    }

    /// The running containers of static pods, by name.
    async fn containers(&mut self) -> Result<BTreeMap<String, Vec<String>>> {
        let pods = self.look(Goal::Serving).await.pods.map_err(|error| Error::new(Kind::Step, error))?;
        Ok(running(pods.iter()))
    }

    /// The client that the proof uses, for what has to be written into the cluster.
    pub async fn api(&mut self) -> Result<ApiServer> {
        if self.api.is_none() {
            self.api = connect(self.files, self.config).await;
        }
        self.api.clone().ok_or_else(|| {
            Error::new(Kind::Step, "there is no kubeconfig of an administrator to ask the API server with")
                .hint("do not skip the phase kubeconfig/admin")
        })
    }

    async fn climb(&mut self, components: &[Component], goal: Goal) -> Result<()> {
        let limit = self.config.timeouts.control_plane_component_health_check;
        self.read_digests()?;
        self.probes = Probes::start(components, self.config, &self.authority());
        let began = Instant::now();
        let mut next_diagnosis = DIAGNOSE_AFTER;
        loop {
            let look = Instant::now();
            let view = self.look(goal).await;
            let mut reached = true;
            for component in components {
                let progress = ladder::climb(*component, self.digests.get(component).map(String::as_str), &view);
                reached &= goal.is_reached(&progress, &view);
                self.tell(progress);
            }
            if reached {
                return Ok(());
            }
            self.interrupt.check()?;
            self.nudge(components, &view).await;
            if began.elapsed() >= next_diagnosis {
                let mut evidence = evidence::collect(
                    self.config,
                    self.files,
                    self.cri.as_ref(),
                    &self.digests,
                    &view,
                    began.elapsed(),
                )
                .await;
                let shared = |component| self.port_is_shared && component == Component::ApiServer;
                evidence.taken_ports.retain(|(component, ..)| !shared(*component));
                if let Some(diagnosis) = diagnose::certain(&evidence) {
                    return Err(failure(Kind::Step, "the control plane does not come up", Some(diagnosis)));
                }
                if began.elapsed() >= limit {
                    let message = format!("the control plane did not come up within {} s", limit.as_secs());
                    let diagnosis = diagnose::likely(&evidence).unwrap_or_else(|| self.stuck(components, &view));
                    return Err(failure(Kind::TimedOut, &message, Some(diagnosis)));
                }
                next_diagnosis = began.elapsed() + DIAGNOSE_EVERY;
            }
            tokio::time::sleep(PERIOD.saturating_sub(look.elapsed())).await;
        }
    }

    fn read_digests(&mut self) -> Result<()> {
        for component in Component::ALL {
            let bytes = self
                .files
                .read(&component.path())
                .map_err(|error| Error::new(Kind::Step, "cannot read back the manifest").because(&error))?;
            let Some(bytes) = bytes else { continue };
            let read = manifest::read(&String::from_utf8_lossy(&bytes)).ok();
            // A manifest whose annotation does not describe it proves nothing.
            if let Some(digest) = read.filter(manifest::Read::is_genuine).map(|read| read.digest) {
                self.digests.insert(component, digest);
            }
        }
        self.digests.extend(self.beside.clone().map(|digest| (Component::ApiServer, digest)));
        Ok(())
    }

    fn authority(&self) -> String {
        let bytes = self.files.read(&format!("{}/ca.crt", self.config.cluster.certificates_dir)).ok().flatten();
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Restarts the kubelet, once, when it runs everything but has no mirror pod of it: a new kubelet process makes all of
    /// them when it starts. Containers go on meanwhile.
    async fn nudge(&mut self, components: &[Component], view: &View) {
        let missing: Vec<_> = components
            .iter()
            .filter(|component| self.told.get(component).is_some_and(|progress| progress.rung == Some(Rung::Node)))
            .filter(|component| view.mirrors.as_ref().is_ok_and(|mirrors| !mirrors.contains_key(component.name())))
            .map(|component| component.name())
            .collect();
        if missing.is_empty() || self.nudged {
            self.missing_since = None;
            return;
        }
        let since = *self.missing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < MIRROR_PATIENCE {
            return;
        }
        self.nudged = true;
        let why = format!("it runs {} but made no mirror pod; restarting it makes them", missing.join(", "));
        self.reporter.event(&Event::Warning { problem: Problem::new("kubelet", why) });
        // When it does not restart, the diagnosis says why.
        let _ = service::control("restart", service::KUBELET).await;
    }

    fn tell(&mut self, progress: Progress) {
        if self.told.get(&progress.component) != Some(&progress) {
            self.told.insert(progress.component, progress.clone());
            self.reporter.event(&Event::Pod(progress));
        }
    }

    fn stuck(&self, components: &[Component], view: &View) -> Diagnosis {
        let climbed = components
            .iter()
            .map(|component| ladder::climb(*component, self.digests.get(component).map(String::as_str), view));
        let lowest = climbed.min_by_key(|progress| progress.rung);
        let (component, rung, waiting) = lowest.map_or(("node", None, String::new()), |progress| {
            (progress.component.name(), progress.rung, progress.waiting)
        });
        Diagnosis {
            cause: "unknown",
            component: component.into(),
            summary: format!("{component} stays at {}", rung.map_or("the start", Rung::name)),
            evidence: vec![waiting],
            remedy: "read `journalctl -u kubelet` and the container's log under /var/log/pods".into(),
        }
    }
}

/// The running containers of pods, by name.
fn running<'a>(pods: impl Iterator<Item = &'a PodRun>) -> BTreeMap<String, Vec<String>> {
    let mut running = BTreeMap::<String, Vec<String>>::new();
    for run in pods.filter(|run| run.is_alive()) {
        let containers = run.containers.iter().filter(|container| container.state == ContainerState::Running);
        running.entry(run.name.clone()).or_default().extend(containers.map(|container| container.id.clone()));
    }
    for ids in running.values_mut() {
        ids.sort();
    }
    running
}

/// A client with the strongest credentials at hand: RBAC cannot lock super-admin.conf out.
pub(crate) async fn connect(files: &Files, config: &Config) -> Option<ApiServer> {
    // The local API server, as the kubelet and the controllers reach it.
    let server = kubeconfig::server(KubeconfigId::Kubelet, config);
    for name in ["super-admin.conf", "admin.conf"] {
        if let Ok(Some(bytes)) = files.read(&layout::kubeconfig(name))
            && let Ok(api) = ApiServer::connect(&bytes, &server).await
        {
            return Some(api);
        }
    }
    None
}

fn failure(kind: Kind, message: &str, diagnosis: Option<Diagnosis>) -> Error {
    Error { diagnosis: diagnosis.map(Box::new), ..Error::new(kind, message) }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}
