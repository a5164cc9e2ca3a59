//! What somebody wishes of this run, with flags and a file, and what it means for the change.

use std::time::Duration;

use super::super::once::Once;
use super::Upgrade as Command;
use super::phases;
use crate::config::{Config, Input, Overrides, Shared, UpgradeTimeouts, UpgradeWishes};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::generation::Generation;
use crate::pki::Renewable;
use crate::plan::Renewal;
use crate::release::{Allowed, Version};

/// What is wished of this run.
#[derive(Debug)]
pub(super) struct Wishes {
    /// The flags over the section of the file.
    said: UpgradeWishes,
    /// The part that holds for this run alone.
    pub(super) once: Once,
    /// The kubeconfig that was named.
    pub(super) kubeconfig: Option<String>,
    /// The stability window.
    pub(super) min_ready: Duration,
    timeouts: UpgradeTimeouts,
    /// Documents of the file that belong to other commands.
    beside: Vec<&'static str>,
}

/// kubeadm's defaults of the timeouts, which it prints into files.
const HEALTH_CHECK: Duration = Duration::from_secs(4 * 60);
const MANIFESTS: Duration = Duration::from_secs(5 * 60);

impl Wishes {
    /// Flags and file; what cannot be followed is an error.
    pub(super) fn of(command: &Command) -> Result<Self> {
        let (place, file) = (command.place(), command.place().file()?);
        let said = command.wishes().over(command.section(&file));
        let (ignored, all) = (&said.ignore_preflight_errors, |check: &String| check.eq_ignore_ascii_case("all"));
        if ignored.iter().any(all) && !ignored.iter().all(all) {
            let message = "\"all\" must stand alone among the checks to ignore";
            return Err(Error::new(Kind::Configuration, message).hint("remove the other checks"));
        }
        if said.kubernetes_version.is_none() && matches!(command, Command::Apply(_)) {
            return Err(Error::new(Kind::Configuration, "no version was named")
                .hint("kubekeel upgrade apply VERSION, or apply.kubernetesVersion in the file of --config")
                .hint("`kubekeel upgrade plan` says which can come next"));
        }
        let mut once = Once {
            ignored: ignored.clone(),
            skipped: vec![],
            pull_policy: said.image_pull_policy,
            pull_serial: said.image_pull_serial,
            kubernetes_api_call: file.timeouts.kubernetes_api_call.filter(|call| !call.is_zero()),
            context_lines: said.context_lines,
        };
        phases::skip(&said.skip_phases, matches!(command, Command::Node(_)), &mut once)?;
        let min_ready = Duration::from_secs(command.min_ready_seconds());
        let (timeouts, beside) = (file.timeouts, file.beside);
        Ok(Self { said, once, kubeconfig: place.kubeconfig()?, min_ready, timeouts, beside })
    }

    /// The version that was named.
    pub(super) fn version(&self) -> Option<&Version> {
        self.said.kubernetes_version.as_ref()
    }

    /// Which versions may be taken.
    pub(super) fn allowed(&self) -> Allowed {
        let said = |wish: Option<bool>| wish.unwrap_or_default();
        Allowed {
            experimental: said(self.said.allow_experimental_upgrades),
            candidates: said(self.said.allow_rc_upgrades),
        }
    }

    /// Whether the configuration of the new version is printed.
    pub(super) fn print_config(&self) -> bool {
        self.said.print_config.unwrap_or_default()
    }

    /// Whether nothing is changed.
    pub(super) fn dry_run(&self) -> bool {
        self.said.dry_run.unwrap_or_default()
    }

    /// Whether what can be overruled is.
    pub(super) fn force(&self) -> bool {
        self.said.force_upgrade.unwrap_or_default()
    }

    /// Directory of patches, if it changes.
    pub(super) fn patches(&self) -> Option<String> {
        self.said.patches_directory.clone()
    }

    /// What is renewed: with another version everything, as in kubeadm; a second run changes nothing unless a renewal is asked for.
    pub(super) fn renewal(&self, runs: &Version, to: &Version) -> Renewal {
        let renews = self.said.certificate_renewal.unwrap_or(runs != to);
        Renewal { ids: Renewable::all().filter(|_| renews).collect(), ..Renewal::default() }
    }

    /// The same configuration with another version.
    pub(super) fn input(&self, from: &Generation, runs: &Config, to: &Version) -> Input {
        let version = Some(to.to_string());
        forgetful(from).with(Overrides { kubernetes_version: version, ..self.overrides(runs) })
    }

    /// The cluster's own configuration.
    pub(super) fn input_of_cluster(&self, from: &Generation, runs: &Config, shared: &Shared) -> Result<Input> {
        Ok(forgetful(from).of_cluster(shared)?.with(self.overrides(runs)))
    }

    fn overrides(&self, runs: &Config) -> Overrides {
        let keeps_etcd = self.said.etcd_upgrade == Some(false);
        Overrides {
            kept_etcd_tag: keeps_etcd.then(|| runs.cluster.etcd_tag().to_owned()),
            patches_directory: self.patches(),
            ..Overrides::default()
        }
    }

    /// Tells what of the file is about other commands.
    pub(super) fn tell(&self, reporter: &mut dyn Reporter) {
        for kind in &self.beside {
            let problem = Problem::new(*kind, "an upgrade does not read it: the configuration is the one that runs");
            let problem = problem.hint("another configuration is for `kubekeel apply --config`");
            reporter.event(&Event::Warning { problem });
        }
    }

    /// The times that the proof may take are part of the pods: their startup probes say them.
    pub(super) fn within_time(&self, runs: &Config) -> Result<()> {
        let allowed = runs.timeouts.control_plane_component_health_check;
        let UpgradeTimeouts { control_plane_component_health_check: check, upgrade_manifests: manifests, .. } =
            self.timeouts;
        let other = |given: Option<Duration>, default| given.is_some_and(|given| given != default && given != allowed);
        let named = [
            (other(check, HEALTH_CHECK), "timeouts.controlPlaneComponentHealthCheck"),
            (other(manifests, MANIFESTS), "timeouts.upgradeManifests"),
        ];
        let message = format!("the proof has {} s, which the startup probes of the pods say, too", allowed.as_secs());
        let problems: Vec<_> =
            named.into_iter().filter(|(is, _)| *is).map(|(_, name)| Problem::new(name, &message)).collect();
        if problems.is_empty() {
            return Ok(());
        }
        let refused = "a timeout cannot be followed; nothing was changed";
        Err(Error::problems(Kind::Configuration, refused, problems).hint(
            "leave it out here, and set timeouts.controlPlaneComponentHealthCheck of the InitConfiguration \
             with `kubekeel apply --config`",
        ))
    }
}

/// What the generation was made of, but for what an earlier upgrade kept of etcd: this one decides anew.
fn forgetful(from: &Generation) -> Input {
    let mut input = from.input.clone();
    input.overrides.kept_etcd_tag = None;
    input
}
