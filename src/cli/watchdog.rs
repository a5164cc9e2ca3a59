//! `kubekeel watchdog`: what the watchdog's unit runs.

use clap::Command;

use super::apply::only_on_the_machine;
use super::{Global, Output, output, report};
use crate::apply;
use crate::error::Result;
use crate::host::fs::Files;

pub(super) fn command() -> Command {
    Command::new("watchdog")
        .hide(true)
        .about("Waits until no other run goes on, and puts back what it left unfinished")
        .after_help("Examples:\n  journalctl -u kubekeel-watchdog     what it did")
}

pub(super) async fn run(global: &Global) -> Result<()> {
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "watchdog")?;
    let mut reporter = report::reporter(global.output);
    let result = apply::watch(&files, reporter.as_mut()).await;
    reporter.finish();
    if let (Some(number), Output::Text) = (result?, global.output) {
        output::print(&format!("Generation {number} was put back and is proven to run."));
    }
    Ok(())
}
