//! `kubekeel upgrade`: another version of the control plane, as one transaction.

mod ask;
mod flags;
mod node;
mod phases;
mod skew;
mod wishes;
mod worker;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};
use serde_json::json;

use super::apply::{self, Change};
use super::{Global, Output, init, output, patches, report};
use crate::apply::Generations;
use crate::cluster;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::manifest::yaml;
use crate::plan::{self, Plan, Step};
use crate::release::{self, Version};
use wishes::Wishes;

const EXAMPLES: &str = "\
Examples:
  kubekeel upgrade plan                     which versions can come next, and what the newest would change
  kubekeel upgrade diff v1.37.2             the manifests, line by line
  kubekeel upgrade apply v1.37.2            swap, prove, or put back what ran; renews the certificates, too
  kubekeel upgrade node                     on every other node, when the cluster's configuration is of the new version";

/// What `upgrade` does.
#[derive(Debug, Clone, Subcommand)]
enum Upgrade {
    /// Says which versions can come next, and what one of them would change and restart
    #[command(after_help = "Examples:\n  kubekeel upgrade plan\n  kubekeel upgrade plan v1.37.2")]
    Plan(flags::Plan),
    /// Shows how the manifests would change
    #[command(after_help = "Examples:\n  kubekeel upgrade diff\n  kubekeel upgrade diff v1.37.2")]
    Diff(flags::Diff),
    /// Upgrades this control plane, proves the new one, or puts the old one back
    #[command(after_help = "Examples:\n  kubekeel upgrade apply v1.37.2 --dry-run\n  kubekeel upgrade apply v1.37.2")]
    Apply(flags::Apply),
    /// Takes this node to what the cluster's own configuration says: a control plane, or the kubelet of any other node
    #[command(after_help = node::EXAMPLES)]
    Node(flags::Node),
}

pub(super) fn command() -> Command {
    Upgrade::augment_subcommands(Command::new("upgrade"))
        .about("Takes this control plane to another version")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let command =
        Upgrade::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let wishes = Wishes::of(&command)?;
    match command {
        Upgrade::Node(_) => Box::pin(node::run(global, &wishes)).await,
        _ => Box::pin(change(global, &command, &wishes)).await,
    }
}

/// Changes the version, and with it the certificates; the rest of the configuration is as it is remembered.
async fn change(global: &Global, command: &Upgrade, wishes: &Wishes) -> Result<()> {
    let files = Files::new(&global.root);
    apply::only_on_the_machine(&files, "upgrade")?;
    let from = apply::proven(&Generations::new(&files))?;
    let config = from.input.config()?;
    let runs = &config.cluster.version;
    let newest = || next(runs).pop().unwrap_or_else(|| runs.clone());
    let version = wishes.version().cloned().unwrap_or_else(newest);
    let input = wishes.input(&from, &config, &version);
    let new = input.config()?;
    wishes.within_time(&config)?;
    let changes = matches!(command, Upgrade::Apply(_));
    let mut reporter = report::reporter(global.output);
    wishes.tell(reporter.as_mut());
    skew::judge(&config, &version, wishes, changes, &files, reporter.as_mut()).await?;
    reporter.finish();
    if wishes.print_config() {
        print_config(&new, global.output);
    }
    let show = |plan: &Plan| match command {
        Upgrade::Diff(_) => diff(plan, global),
        Upgrade::Plan(_) if global.output == Output::Text => {
            output::print(&choices(runs, &version));
            init::show(plan, global.output, false)
        }
        _ => init::show(plan, global.output, false),
    };
    let change = Change {
        command: format!("upgrade to {version}"),
        dry_run: !changes || wishes.dry_run(),
        force: changes && wishes.force(),
        renew: &wishes.renewal(runs, &version),
        rotation: None,
        once: &wishes.once,
        min_ready: wishes.min_ready,
        input: &|_, _| Ok(input.clone()),
        print: &show,
    };
    change.run(global).await
}

/// The newest patch releases that can come next, of this minor and of the one above it.
fn next(runs: &Version) -> Vec<Version> {
    let minors = [runs.minor, runs.minor + 1];
    let newest = minors.into_iter().filter_map(release::release).map(release::Release::newest);
    newest.filter(|version| version > runs).collect()
}

fn choices(runs: &Version, version: &Version) -> String {
    let next: Vec<_> = next(runs).iter().map(ToString::to_string).collect();
    let next = if next.is_empty() { "nothing newer is known to this kubekeel".to_owned() } else { next.join(", ") };
    format!("Runs:            {runs}\nCan come next:   {next}\nThis is for:     {version}\n")
}

fn print_config(config: &Config, form: Output) {
    let document = cluster::cluster_configuration(config);
    match form {
        Output::Text => output::print(yaml::stream(&[document]).trim_end()),
        form => output::data(form, &json!({"event": "configuration", "configuration": document})),
    }
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

#[cfg(test)]
mod tests;
