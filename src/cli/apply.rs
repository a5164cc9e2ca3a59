//! `kubekeel apply`: any change of the configuration, as one transaction.

use std::time::{Duration, Instant, SystemTime};

use clap::{Arg, ArgMatches, Args as _, Command, FromArgMatches as _};

use super::init::{self, Init};
use super::once::Once;
use super::{Global, Output, output, patches, report};
use crate::apply::{Generations, Transaction, snapshot};
use crate::config::{Config, Facts, Input};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::generation::Generation;
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::host::{self, facts, lock};
use crate::layout;
use crate::manifest;
use crate::observe;
use crate::phase::Want;
use crate::plan::{self, Given, Options, Plan, Renewal, Rotation, Snapshot, Step};
use crate::preflight;
use crate::release;

const EXAMPLES: &str = "\
Examples:
  kubekeel apply --config kubeadm.yaml --dry-run     say what would change and which pods would restart
  kubekeel apply --config kubeadm.yaml               change it, prove it, or put back what ran
  kubekeel apply --apiserver-cert-extra-sans api.example.com
                                                     one flag over the configuration that runs";

pub(super) fn command() -> Command {
    Init::augment_args(Command::new("apply"))
        .about("Changes the configuration of a proven control plane, proves the new one, or puts the old one back")
        .long_about(None)
        .arg(min_ready_seconds())
        .after_help(EXAMPLES)
}

/// The stability window, for every command that changes a control plane.
pub(super) fn min_ready_seconds() -> Arg {
    Arg::new(MIN_READY)
        .long(MIN_READY)
        .value_name("SECONDS")
        .value_parser(clap::value_parser!(u64))
        .default_value("5")
        .help("How long new pods have to go on running before the change is kept")
}

pub(super) fn min_ready(matches: &ArgMatches) -> Duration {
    Duration::from_secs(matches.get_one(MIN_READY).copied().unwrap_or_default())
}

const MIN_READY: &str = "min-ready-seconds";

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let args = Init::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let change = Change {
        command: "apply".into(),
        dry_run: args.dry_run,
        force: args.force,
        min_ready: min_ready(matches),
        renew: &Renewal::default(),
        rotation: None,
        once: &Once::default(),
        input: &|from: &Generation, facts: &Facts| match args.config {
            Some(_) => init::input(&args, facts),
            None => Ok(from.input.clone().with(init::overrides(&args))),
        },
        print: &|plan| init::show(plan, global.output, args.exit_code),
    };
    change.run(global).await
}

/// A change of a proven control plane.
pub(super) struct Change<'a> {
    /// What makes it, for the history.
    pub(super) command: String,
    /// Print the plan and change nothing.
    pub(super) dry_run: bool,
    /// Replace files that somebody edited.
    pub(super) force: bool,
    /// The stability window.
    pub(super) min_ready: Duration,
    /// Certificates that are renewed, alone or besides everything else.
    pub(super) renew: &'a Renewal,
    /// Authorities that get successors, or lose their predecessors.
    pub(super) rotation: Option<Rotation>,
    /// What was said for this run alone.
    pub(super) once: &'a Once,
    /// The new configuration, from the generation that runs and what the host contributes.
    pub(super) input: &'a dyn Fn(&Generation, &Facts) -> Result<Input>,
    /// Prints the plan of a dry-run.
    pub(super) print: &'a dyn Fn(&Plan) -> Result<()>,
}

impl Change<'_> {
    /// What is wanted on this occasion.
    fn wants(&self, config: &Config, files: &Files) -> Vec<Want> {
        let mut wants = init::wants(None, config, files);
        match &self.rotation {
            Some(rotation) => wants.retain(|want| rotation.concerns(*want)),
            None if !self.renew.alone => {}
            None => wants.retain(|want| want.is_renewed(&self.renew.ids)),
        }
        wants.retain(|want| !self.once.skips(*want));
        wants
    }

    fn options(&self, was: &Config, config: &Config) -> Options {
        let (mut renew, rotation) = (self.renew.clone(), self.rotation.clone());
        if !renew.alone {
            renew = renew.with_changes(was, config);
        }
        let (given, context_lines) = (given(was, config), self.once.context_lines);
        Options { force: self.force, in_use: true, given, renew, rotation, context_lines }
    }

    /// Fails when something is ill already, or there is no room for the snapshot. False when nobody looked: renewal is the cure for
    /// what has ended.
    async fn is_well(&self, plan: &Plan, config: &Config, files: &Files, reporter: &mut dyn Reporter) -> Result<bool> {
        let looks = !self.renew.alone || self.rotation.is_some();
        if looks {
            preflight::health(config, files, reporter).await?;
        }
        if plan.steps.contains(&Step::SnapshotEtcd) {
            let etcd = snapshot::connect(config, files).await?;
            let room = snapshot::room(layout::SNAPSHOTS, &etcd, files).await;
            room.map_err(|error| error.hint("nothing was changed"))?;
        }
        Ok(looks)
    }

    /// Plans the change, and makes it unless this is a dry-run.
    pub(super) async fn run(&self, global: &Global) -> Result<()> {
        let began = Instant::now();
        let files = Files::new(&global.root);
        only_on_the_machine(&files, &self.command)?;
        let mut reporter = report::reporter(global.output);
        let interrupt = Interrupt::listen();
        let facts = facts::detect().await;
        let from = proven(&Generations::new(&files))?;
        let input = patches::read((self.input)(&from, &facts)?, &files)?;
        let config = self.once.adjusted(input.config()?);
        self.within_skew(&from, &config, &facts)?;
        let dry_run = self.dry_run || config.dry_run;
        let _lock = if dry_run { None } else { Some(lock::take(layout::LOCK.as_ref(), &self.command)?) };
        if !dry_run {
            Box::pin(crate::apply::recover(&files, reporter.as_mut())).await?;
        }

        let seen = observe::observe(&config, &files).await?;
        let inputs = preflight::look(&config, &seen, &files, facts.kubelet_version).await;
        let was = from.input.config()?;
        let fit = preflight::check(&inputs, reporter.as_mut())
            .and_then(|()| not_before(&from, &config))
            .and_then(|()| known_options(&config, &seen, was.cluster.version.minor, reporter.as_mut()));
        let mut plan = plan::plan(&self.wants(&config, &files), &config, &seen, self.options(&was, &config))?;
        plan.images = inputs.missing_images();
        if dry_run {
            // Who asks what would be done is told, whatever stands in the way.
            reporter.finish();
            let printed = (self.print)(&plan);
            return fit.and_then(|()| init::refuse(&plan)).and(printed);
        }
        fit?;
        init::refuse(&plan)?;
        let was_well = self.is_well(&plan, &config, &files, reporter.as_mut()).await?;
        // Before the first change: an image that cannot be had must not cost a restart.
        preflight::pull(&inputs, &interrupt, reporter.as_mut()).await?;
        let transaction = Transaction {
            command: self.command.clone(),
            from: &from,
            to: None,
            input: &input,
            config: &config,
            files: &files,
            began,
            min_ready: self.min_ready,
            etcd_data: None,
            was_well,
            interrupt: &interrupt,
        };
        let result = Box::pin(transaction.run(&plan, &seen, reporter.as_mut())).await;
        reporter.finish();
        let number = result?;
        if global.output == Output::Text {
            output::print(&format!("Generation {number} runs: {} on {}.", config.cluster.version, config.node.name));
        }
        Ok(())
    }

    fn within_skew(&self, from: &Generation, config: &Config, facts: &Facts) -> Result<()> {
        let runs = from.input.config()?.cluster.version;
        let objections = release::skew(&runs, &config.cluster.version, facts.kubelet_version.as_ref());
        match objections.into_iter().find(|objection| !(objection.skippable && self.force)) {
            None => Ok(()),
            Some(objection) => {
                let hint = if objection.skippable {
                    "nothing was changed; --force overrules it"
                } else {
                    "nothing was changed"
                };
                Err(Error::new(Kind::Preflight, objection.reason).hint(hint))
            }
        }
    }
}

/// A generation that was proven in the future: certificates that are issued now would be older than what they replace, and
/// perhaps valid for nobody else.
fn not_before(from: &Generation, config: &Config) -> Result<()> {
    /// Clocks are corrected by a little all the time.
    const SLACK: Duration = Duration::from_secs(60);
    let proven = SystemTime::UNIX_EPOCH + Duration::from_secs(from.proven);
    let ignored = config.node.ignore_preflight_errors.iter().any(|name| name == "all" || name == "clock");
    match proven.duration_since(host::now()) {
        Ok(ahead) if ahead > SLACK && !ignored => {
            let message = format!("generation {} was proven {} s from now", from.number, ahead.as_secs());
            let problem = Problem::new("Clock", message).hint("set the clock (`timedatectl set-ntp true`)");
            Err(Error::problems(Kind::Preflight, "the node is not fit; nothing was changed", vec![problem]))
        }
        _ => Ok(()),
    }
}

/// What the cluster was given by the configuration that runs.
fn given(was: &Config, config: &Config) -> Given {
    let marks = was.node.taints == config.node.taints;
    Given { marks, tokens: was.bootstrap_tokens == config.bootstrap_tokens }
}

/// A new minor must know every flag and gate that the old one took; otherwise what is unknown is told, and the proof says
/// what becomes of it.
fn known_options(config: &Config, seen: &Snapshot, from: u32, reporter: &mut dyn Reporter) -> Result<()> {
    let problems = manifest::unknown_options(config, &seen.inputs)?;
    if config.cluster.version.minor != from && !problems.is_empty() {
        let message = format!("{} does not know everything that runs now; nothing was changed", config.cluster.version);
        return Err(Error::problems(Kind::Preflight, message, problems)
            .hint("take it out with `kubekeel apply` first, while the old version runs"));
    }
    for problem in problems {
        reporter.event(&Event::Warning { problem });
    }
    Ok(())
}

/// Generations are of a node that runs.
pub(super) fn only_on_the_machine(files: &Files, command: &str) -> Result<()> {
    if files.is_machine() {
        return Ok(());
    }
    Err(Error::new(Kind::Configuration, format!("`{command}` proves what runs, and nothing runs below --root"))
        .hint("use `kubekeel init --root DIR` to make files"))
}

/// The generation that has to be put back when a change fails.
pub(super) fn proven(generations: &Generations<'_>) -> Result<Generation> {
    generations.newest()?.ok_or_else(|| {
        Error::new(Kind::Preflight, "no control plane was proven on this node yet")
            .hint("run `kubekeel init` with the configuration of the running control plane first")
    })
}
