//! `kubekeel upgrade`: another version of the control plane, as one transaction.

mod node;
mod worker;

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use super::apply::{self, Change};
use super::{Global, Output, completion, init, output, patches, report};
use crate::apply::Generations;
use crate::config::{Facts, Overrides};
use crate::error::{Error, Kind, Result};
use crate::generation::Generation;
use crate::host::fs::Files;
use crate::plan::{self, Plan, Renewal, Step};
use crate::release::{self, Version};

const EXAMPLES: &str = "\
Examples:
  kubekeel upgrade plan                     which versions can come next, and what the newest would change
  kubekeel upgrade diff v1.37.2             the manifests, line by line
  kubekeel upgrade apply v1.37.2            swap, prove, or put back what ran
  kubekeel upgrade node                     on every other node, when the cluster's configuration is of the new version";

/// What `upgrade` does.
#[derive(Debug, Clone, Subcommand)]
enum Upgrade {
    /// Says which versions can come next, and what one of them would change and restart
    #[command(after_help = "Examples:\n  kubekeel upgrade plan\n  kubekeel upgrade plan v1.37.2")]
    Plan(Target),
    /// Shows how the manifests would change
    #[command(after_help = "Examples:\n  kubekeel upgrade diff\n  kubekeel upgrade diff v1.37.2")]
    Diff(Target),
    /// Upgrades this control plane, proves the new one, or puts the old one back
    #[command(after_help = "Examples:\n  kubekeel upgrade apply v1.37.2 --dry-run\n  kubekeel upgrade apply v1.37.2")]
    Apply(Apply),
    /// Takes this node to what the cluster's own configuration says: a control plane, or the kubelet of any other node
    #[command(after_help = node::EXAMPLES)]
    Node(node::Node),
}

/// A version that may be left out.
#[derive(Debug, Clone, Args)]
struct Target {
    /// The version; without it the newest that can come next
    #[arg(value_name = "VERSION", add = ArgValueCandidates::new(completion::versions))]
    version: Option<Version>,
}

/// Arguments of `upgrade apply`.
#[derive(Debug, Clone, Args)]
struct Apply {
    /// The version
    #[arg(value_name = "VERSION", add = ArgValueCandidates::new(completion::versions))]
    version: Version,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace files that somebody edited; never keys
    #[arg(short, long)]
    force: bool,
    /// Accepted for kubeadm's sake: nothing is asked
    #[arg(short, long)]
    yes: bool,
    /// How long new pods have to go on running before the change is kept
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    min_ready_seconds: u64,
}

pub(super) fn command() -> Command {
    Upgrade::augment_subcommands(Command::new("upgrade"))
        .about("Takes this control plane to another version")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let upgrade =
        Upgrade::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    match upgrade {
        Upgrade::Node(args) => Box::pin(node::run(global, &args)).await,
        Upgrade::Apply(args) => change(global, &args, &|plan| init::show(plan, global.output, false)).await,
        Upgrade::Diff(target) => {
            let (_, version) = choose(global, target)?;
            change(global, &dry(version), &|plan| diff(plan, global)).await
        }
        Upgrade::Plan(target) => {
            let (runs, version) = choose(global, target)?;
            let text = choices(&runs, &version);
            let show = |plan: &Plan| {
                if global.output == Output::Text {
                    output::print(&text);
                }
                init::show(plan, global.output, false)
            };
            change(global, &dry(version), &show).await
        }
    }
}

/// Changes the version and nothing else: the rest of the configuration is as it is remembered.
async fn change(global: &Global, args: &Apply, print: &dyn Fn(&Plan) -> Result<()>) -> Result<()> {
    let input = |from: &Generation, _: &Facts| {
        let version = Overrides { kubernetes_version: Some(args.version.to_string()), ..Overrides::default() };
        Ok(from.input.clone().with(version))
    };
    let command = format!("upgrade to {}", args.version);
    let min_ready = Duration::from_secs(args.min_ready_seconds);
    Change {
        command,
        dry_run: args.dry_run,
        force: args.force,
        renew: &Renewal::default(),
        rotation: None,
        min_ready,
        input: &input,
        print,
    }
    .run(global)
    .await
}

/// A dry-run to a version.
fn dry(version: Version) -> Apply {
    Apply { version, dry_run: true, force: false, yes: true, min_ready_seconds: 0 }
}

/// The version that runs, and the one that is meant.
fn choose(global: &Global, target: Target) -> Result<(Version, Version)> {
    let files = Files::new(&global.root);
    apply::only_on_the_machine(&files, "upgrade")?;
    let runs = apply::proven(&Generations::new(&files))?.input.config()?.cluster.version;
    let version = match target.version {
        Some(version) => version,
        None => next(&runs).pop().unwrap_or_else(|| runs.clone()),
    };
    Ok((runs, version))
}

/// The newest patch releases that can come next, of this minor and of the one above it.
fn next(runs: &Version) -> Vec<Version> {
    let minors = [runs.minor, runs.minor + 1];
    let newest = minors.into_iter().filter_map(release::release).map(release::Release::newest);
    newest.filter(|version| (version.minor, version.patch) > (runs.minor, runs.patch)).collect()
}

fn choices(runs: &Version, version: &Version) -> String {
    let next: Vec<_> = next(runs).iter().map(ToString::to_string).collect();
    let next = if next.is_empty() { "nothing newer is known to this kubekeel".to_owned() } else { next.join(", ") };
    format!("Runs:            {runs}\nCan come next:   {next}\nThis is for:     {version}\n")
}

fn diff(plan: &Plan, global: &Global) -> Result<()> {
    if global.output != Output::Text {
        return init::show(plan, global.output, false);
    }
    for step in &plan.steps {
        if let Step::WriteManifest { component, change: plan::Change::Replace { diff } } = step {
            let path = component.path();
            output::print(&format!("--- {path}\n+++ {path}\n{}", diff.trim_end()));
        }
    }
    Ok(())
}
