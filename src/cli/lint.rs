//! `kubekeel lint`: what the kubelet will make of a manifest directory.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;

use super::{Global, Output, output};
use crate::error::{Error, Kind, Result};
use crate::host::fs::{EntryKind, Files};
use crate::layout;
use crate::lint::{Judged, SCAN_SECONDS, Verdict, judge, look};

const EXAMPLES: &str = "\
Examples:
  kubekeel lint                        the directory of this node
  kubekeel lint ./manifests            another one
  kubekeel lint --minor 1.37           whether the flags still fit, before an upgrade

Exit codes: 0 every file runs and is well, 1 a file is refused or replaced by another one, 4 something should be mended";

/// Arguments of `lint`.
#[derive(Debug, Clone, Args)]
struct Lint {
    /// Directory of static pods; without it the node's own
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Kubernetes minor that flags and feature gates have to fit; without it each image's own. One that is not known is said
    /// to be, and the exit code is 4
    #[arg(long, value_name = "MINOR", value_parser = minor)]
    minor: Option<u32>,
}

fn minor(text: &str) -> std::result::Result<u32, String> {
    let digits = text.strip_prefix('v').unwrap_or(text).strip_prefix("1.").unwrap_or(text);
    digits.parse().map_err(|_| "write it like 1.37".to_owned())
}

pub(super) fn command() -> Command {
    Lint::augment_args(Command::new("lint"))
        .about("Reads a manifest directory as the kubelet will: what runs, what does not, what ends and when, and why")
        .long_about(None)
        .after_help(EXAMPLES)
}

/// Gives the exit code.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<u8> {
    let args = Lint::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let (files, directory) = match &args.directory {
        Some(directory) => (Files::new(directory), "/"),
        None => (Files::new(&global.root), layout::MANIFESTS),
    };
    let shown = args.directory.as_ref().map_or_else(|| directory.to_owned(), |given| given.display().to_string());
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Configuration, format!("cannot read {shown}")).because(error)
    };
    match files.status(directory).map_err(|error| fail(&error))? {
        Some(status) if status.kind == EntryKind::Directory => {}
        _ => {
            return Err(Error::new(Kind::Configuration, format!("{shown} is no directory")).hint(format!(
                "a kubelet that finds its staticPodPath missing ends every static pod, within {SCAN_SECONDS} s; \
                     `kubekeel lint DIR` reads another directory"
            )));
        }
    }
    let judged = judge(&look(&files, directory).map_err(|error| fail(&error))?, args.minor);
    let code = match judged.iter().map(weight).max() {
        Some(2) => 1,
        Some(1) => 4,
        _ => 0,
    };
    match global.output {
        form @ (Output::Json | Output::Yaml) => {
            output::data(
                form,
                &json!({"directory": shown, "scanSeconds": SCAN_SECONDS, "files": judged, "exitCode": code}),
            );
        }
        Output::Text => output::print(&text(&judged)),
    }
    Ok(code)
}

/// 0 when it is well, 1 when it should be mended, 2 when it does not run.
fn weight(judged: &Judged) -> u8 {
    match judged.verdict {
        Verdict::Refused | Verdict::Replaced => 2,
        _ => u8::from(judged.is_wrong()),
    }
}

fn text(judged: &[Judged]) -> String {
    if judged.is_empty() {
        return "There is no file in it: no static pod runs, and one that did ended at once with its file.".to_owned();
    }
    let mut lines = vec![];
    for one in judged {
        let pod = one.pod.as_ref().map_or_else(String::new, |pod| format!("  {pod}"));
        lines.push(format!("{:<9} {}{pod}", one.verdict.name(), one.file));
        lines.push(format!("          > {}", one.effect.words()));
        for note in &one.notes {
            let line = note.line.map_or_else(String::new, |line| format!("line {line}: "));
            lines.push(format!("          {} {line}{}", if note.is_wrong { "!" } else { "-" }, note.message));
        }
    }
    lines.join("\n")
}
