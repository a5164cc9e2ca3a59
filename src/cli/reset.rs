//! `kubekeel reset`: removes exactly what was made here.

use std::io::IsTerminal as _;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;

use super::{Global, Output, output, report};
use crate::error::{Error, Kind, Problem, Result};
use crate::host::fs::{FileError, Files};
use crate::host::signal::Interrupt;
use crate::host::{self, lock};
use crate::layout;
use crate::recall::recall;
use crate::reset::{self, Options, Plan, look, run};

const EXAMPLES: &str = "\
Examples:
  kubekeel reset --dry-run        what would go, and what would stay and why
  kubekeel reset --yes            do it; a snapshot of etcd is kept in /var/lib/kubekeel/snapshots
  kubekeel reset --yes --remove-etcd-snapshots
                                  leave nothing at all";

/// Arguments of `reset`.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Clone, Args)]
struct Reset {
    /// Print what would be done and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Do not ask, and remove files that somebody edited, too
    #[arg(short, long)]
    force: bool,
    /// Leave etcd's data where they are
    #[arg(long)]
    keep_etcd: bool,
    /// Make no snapshot of etcd, and remove those that are there
    #[arg(long, conflicts_with = "keep_etcd")]
    remove_etcd_snapshots: bool,
}

pub(super) fn command() -> Command {
    Reset::augment_args(Command::new("reset"))
        .about("Removes exactly what was made on this node, and tells what stays")
        .long_about(None)
        .after_help(EXAMPLES)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let args = Reset::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    let lock = || lock::take(&global.root.join(layout::LOCK.trim_start_matches('/')), "reset");
    let _lock = if args.dry_run { None } else { Some(lock()?) };
    let config = recall(&files).await?.config;
    let unswept = if args.dry_run { vec![] } else { look::sweep(&config, &files) };
    let seen = look::look(&config, &files).await?;
    let options =
        Options { force: args.force, keep_etcd: args.keep_etcd, remove_snapshots: args.remove_etcd_snapshots };
    let plan = reset::plan(&seen, options);
    if seen.inventory.entries.is_empty() {
        // One that was killed at its very end leaves the empty directory, an earlier one its snapshots.
        if !args.dry_run {
            if args.remove_etcd_snapshots {
                files.remove_tree(layout::SNAPSHOTS).map_err(|errors| unremoved(&errors))?;
            }
            let _ = files.remove_empty_directory(layout::STATE);
        }
        if !unswept.is_empty() {
            return Err(run::failed(unswept));
        }
        match global.output {
            Output::Text => output::print("Nothing was made on this node."),
            form => output::data(form, &json!({"event": "reset", "left": []})),
        }
        return Ok(());
    }
    if args.dry_run {
        show(&plan, global.output);
        return Ok(());
    }
    if !args.yes && !args.force {
        confirm(&plan)?;
    }
    let mut reporter = report::reporter(global.output);
    let (more, result) = run::run(&plan, &config, &files, unswept, &Interrupt::listen(), reporter.as_mut()).await;
    reporter.finish();
    // Who has to mend something wants to know all the more what is still there.
    let left = plan.left.into_iter().chain(more).collect();
    match global.output {
        Output::Text => output::print(format!("{}", Plan { steps: vec![], left }).trim_end()),
        form => output::data(form, &json!({"event": "reset", "left": left})),
    }
    result
}

fn unremoved(errors: &[FileError]) -> Error {
    let problems = errors.iter().map(|error| Problem::new(&error.path, error.source.to_string())).collect();
    Error::problems(Kind::Step, "snapshots could not be removed", problems)
}

fn show(plan: &Plan, output: Output) {
    match output {
        Output::Text => output::print(format!("Plan:\n{plan}").trim_end()),
        form => {
            let mut line = serde_json::to_value(plan).unwrap_or_default();
            line["event"] = "plan".into();
            output::data(form, &line);
        }
    }
}

/// What is removed does not come back, so somebody has to want it.
fn confirm(plan: &Plan) -> Result<()> {
    let refused = || Error::new(Kind::Configuration, "nobody said yes; nothing was changed");
    if !std::io::stdin().is_terminal() {
        return Err(refused().hint("say it with --yes; --dry-run shows what would go"));
    }
    output::print(&format!("Plan:\n{plan}\nRemove all of this? Type yes:"));
    let answer = host::read_line().map_err(|error| refused().because(&error))?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refused()) }
}
