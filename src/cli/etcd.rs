//! `kubekeel etcd snapshot`: what etcd holds, saved through its own API and verified.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use clap_complete::engine::ArgValueCandidates;
use serde_json::{Value, json};

use super::{Global, Output, completion, output, report, restore};
use crate::apply::snapshot;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::fs::Files;
use crate::recall::recall;

const EXAMPLES: &str = "\
Examples:
  kubekeel etcd snapshot save                    one more among those that are kept on this node
  kubekeel etcd snapshot save /backup/etcd.db    to a file of yours
  kubekeel etcd snapshot list                    what is kept, and whether it is whole
  kubekeel etcd snapshot verify /backup/etcd.db
  kubekeel etcd snapshot restore /backup/etcd.db --dry-run";

const SAVE_EXAMPLES: &str = "\
Examples:
  kubekeel etcd snapshot save
  kubekeel etcd snapshot save /backup/etcd.db";

const LIST_EXAMPLES: &str = "\
Examples:
  kubekeel etcd snapshot list
  kubekeel etcd snapshot list -o json | jq -r '.snapshots[-1].path'";

const VERIFY_EXAMPLES: &str = "\
Examples:
  kubekeel etcd snapshot verify /backup/etcd.db
  kubekeel etcd snapshot verify /backup/etcd.db -o json | jq .findings.size";

const RESTORE_EXAMPLES: &str = "\
Examples:
  kubekeel etcd snapshot restore /backup/etcd.db --dry-run
  kubekeel etcd snapshot restore /backup/etcd.db --yes      what was written after the snapshot is lost to the cluster";

/// What is done with snapshots.
#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Saves what etcd holds; a snapshot that does not match its checksum is not kept
    #[command(after_help = SAVE_EXAMPLES)]
    Save(File),
    /// Lists the snapshots that are kept on this node
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Reads a snapshot through and says whether it is whole
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Whole),
    /// Puts what a snapshot holds in the place of what etcd holds, proves it, or puts back what etcd held
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(Restore),
}

/// Where to.
#[derive(Debug, Clone, Args)]
struct File {
    /// The file, which must not exist; without it one among the three that are kept on this node
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Which.
#[derive(Debug, Clone, Args)]
struct Whole {
    /// The snapshot
    #[arg(value_name = "FILE", add = ArgValueCandidates::new(completion::snapshots))]
    file: PathBuf,
}

/// Which, and whether that is meant.
#[derive(Debug, Clone, Args)]
struct Restore {
    /// The snapshot
    #[arg(value_name = "FILE", add = ArgValueCandidates::new(completion::snapshots))]
    file: PathBuf,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn command() -> Command {
    let snapshot = Action::augment_subcommands(Command::new("snapshot"))
        .about("Saves, lists, verifies and restores snapshots of etcd")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true);
    Command::new("etcd")
        .about("Looks after what etcd holds")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(snapshot)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let Some(("snapshot", matches)) = matches.subcommand() else {
        return Err(Error::new(Kind::Configuration, "no such command"));
    };
    let action =
        Action::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    match action {
        Action::Save(File { file }) => save(file, &files, global.output).await,
        Action::List => list(&files, global.output),
        Action::Restore(Restore { file, dry_run, yes }) => {
            restore::run(global, &restore::Restore { path: absolute(&file)?, dry_run, yes }).await
        }
        Action::Verify(Whole { file }) => {
            let path = absolute(&file)?;
            let mut reporter = report::reporter(global.output);
            let findings = snapshot::verify(&path, &files, reporter.as_mut());
            reporter.finish();
            let findings = findings?;
            let text = format!("{path} is whole: {} at transaction {}.", size(findings.size), findings.transaction);
            tell(global.output, &text, &json!({"path": path, "findings": findings}));
            Ok(())
        }
    }
}

async fn save(file: Option<PathBuf>, files: &Files, form: Output) -> Result<()> {
    let config = recall(files).await?.config;
    let mut reporter = report::reporter(form);
    let path = match file {
        None => snapshot::save(&config, files, host::now(), reporter.as_mut()).await?,
        Some(file) => {
            let path = absolute(&file)?;
            snapshot::save_to(&path, &config, files, reporter.as_mut()).await?;
            path
        }
    };
    let findings = snapshot::verify(&path, files, reporter.as_mut())?;
    reporter.finish();
    let text = format!("{path} is saved and whole: {}.", size(findings.size));
    tell(form, &text, &json!({"path": path, "findings": findings}));
    Ok(())
}

fn list(files: &Files, form: Output) -> Result<()> {
    let mut reporter = report::reporter(form);
    let row = |path: String| match snapshot::verify(&path, files, reporter.as_mut()) {
        Ok(findings) => json!({"path": path, "findings": findings}),
        Err(error) => json!({"path": path, "error": error.to_string()}),
    };
    let rows: Vec<_> = snapshot::kept(files)?.into_iter().map(row).collect();
    reporter.finish();
    let line = |row: &Value| {
        let state = match row["error"].as_str() {
            Some(error) => error.to_owned(),
            None => format!("{:>10}  whole", size(row["findings"]["size"].as_u64().unwrap_or_default())),
        };
        format!("{}  {state}", row["path"].as_str().unwrap_or_default())
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    let text = if lines.is_empty() { "No snapshot of etcd is kept on this node.".to_owned() } else { lines.join("\n") };
    tell(form, &text, &json!({"snapshots": rows}));
    Ok(())
}

fn tell(form: Output, text: &str, tree: &Value) {
    match form {
        Output::Text => output::print(text),
        form => output::data(form, tree),
    }
}

fn absolute(file: &std::path::Path) -> Result<String> {
    let path = std::path::absolute(file)
        .map_err(|error| Error::new(Kind::Configuration, format!("{} is no path", file.display())).because(&error))?;
    Ok(path.display().to_string())
}

fn size(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
}
