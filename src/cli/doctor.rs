//! `kubekeel doctor`: the causes of what is wrong now.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;

use super::apply::only_on_the_machine;
use super::{Global, Output, output};
use crate::doctor::{self, Cause, bundle, look};
use crate::error::{Error, Kind, Result};
use crate::host::checkup;
use crate::host::fs::Files;
use crate::recall::recall;
use crate::status::Severity;

const EXAMPLES: &str = "\
Examples:
  kubekeel doctor                              what is wrong, and what to do
  kubekeel doctor -o json | jq -r '.causes[].cause'
  kubekeel doctor --bundle /tmp/report.tar.gz  the same and the logs, for a bug report, without a single secret

Exit codes: 0 nothing is wrong, 1 something is broken, 2 there is no control plane yet, 4 something needs attention,
5 a file was edited";

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
struct Doctor {
    /// Write findings, manifests and logs to an archive; FILE must not exist
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub(super) fn command() -> Command {
    Doctor::augment_args(Command::new("doctor"))
        .about("Finds the cause when something is wrong now")
        .long_about(None)
        .after_help(EXAMPLES)
}

/// Gives the exit code.
pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<u8> {
    let args = Doctor::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "doctor")?;
    let exam = look::look(&files).await?;
    let causes = doctor::causes(&exam);
    let severity = doctor::severity(&exam, &causes);
    if let Some(path) = &args.bundle {
        let config = recall(&files).await?.config;
        let archive = bundle::archive(&exam, &causes, &config, &files).await?;
        checkup::write_new(path, &archive)
            .map_err(|error| Error::new(Kind::Step, format!("cannot write {}", path.display())).because(&error))?;
    }
    match global.output {
        Output::Text => output::print(&text(&causes, severity)),
        form => output::data(form, &json!({"severity": severity, "causes": causes, "exitCode": severity.exit_code()})),
    }
    Ok(severity.exit_code())
}

fn text(causes: &[Cause], severity: Severity) -> String {
    if causes.is_empty() {
        return match severity {
            Severity::Waiting => "There is no control plane on this node yet: it waits for `kubekeel init`.".into(),
            _ => "Nothing is wrong: all static pods are proven to run.".into(),
        };
    }
    let blocks = causes.iter().map(|Cause { diagnosis, .. }| {
        let mut lines = vec![format!("{} ({}, {})", diagnosis.summary, diagnosis.cause, diagnosis.component)];
        lines.extend(diagnosis.evidence.iter().map(|line| format!("  seen:   {line}")));
        lines.push(format!("  remedy: {}", diagnosis.remedy));
        lines.join("\n")
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}
