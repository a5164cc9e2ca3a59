//! `kubekeel history`: the generations of this node.

use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Global, Output, output};
use crate::apply::Generations;
use crate::error::Result;
use crate::host::fs::Files;

pub(super) fn command() -> Command {
    Command::new("history")
        .about("Lists the generations of this node: what was proven to run, and when")
        .after_help("Examples:\n  kubekeel history\n  kubekeel history -o json | jq '.generations[-1]'")
}

pub(super) fn run(global: &Global, _: &ArgMatches) -> Result<()> {
    let files = Files::new(&global.root);
    let generations = Generations::new(&files);
    let mut rows = vec![];
    for number in generations.numbers()? {
        rows.push(match generations.load(number) {
            Ok(generation) => json!({
                "generation": number,
                "proven": moment(generation.proven),
                "version": generation.version,
                "command": generation.command,
            }),
            // The others are worth a list all the same.
            Err(error) => json!({"generation": number, "error": error.to_string()}),
        });
    }
    // Whoever reads that the record of a change is damaged needs the list.
    let read = generations.pending();
    let pending = read.as_ref().ok().and_then(Option::as_ref);
    match global.output {
        form @ (Output::Json | Output::Yaml) => output::data(form, &json!({"generations": rows, "pending": pending})),
        Output::Text => {
            output::print(&table(&rows));
            if let Some(pending) = pending {
                output::print(&format!(
                    "\n`{}` was not finished. Run it again, or put generation {} back: kubekeel rollback",
                    pending.command, pending.from
                ));
            }
        }
    }
    read.map(drop)
}

fn moment(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

fn table(rows: &[Value]) -> String {
    let mut text = format!("{:<11} {:<21} {:<10} MADE BY", "GENERATION", "PROVEN", "VERSION");
    for row in rows {
        let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let number = row["generation"].to_string();
        let rest = match row["error"].as_str() {
            Some(error) => error.to_owned(),
            None => format!("{:<21} {:<10} {}", word("proven"), word("version"), word("command")),
        };
        text += &format!("\n{number:<11} {rest}");
    }
    text
}
