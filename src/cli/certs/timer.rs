//! `kubekeel certs install-timer`: renewal that nobody has to think of.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::super::apply::only_on_the_machine;
use super::super::{Global, Output, output};
use super::period;
use crate::apply::{Schedule, install_timer, remove_timer};
use crate::error::Result;
use crate::host::fs::Files;
use crate::host::lock;
use crate::layout;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel certs install-timer                                       every day, what ends within 30 days
  kubekeel certs install-timer --if-within 60d --on-calendar 'Sat *-*-* 03:00'
  kubekeel certs install-timer --remove
  systemctl list-timers kubekeel-certs-renew.timer                   when it goes off
  journalctl -u kubekeel-certs-renew                                 what it did";

/// Arguments of `certs install-timer`.
#[derive(Debug, Clone, Args)]
pub(super) struct InstallTimer {
    /// Renew what ends within this time
    #[arg(long, value_name = "DURATION", value_parser = period, default_value = "30d")]
    if_within: Duration,
    /// When to look, as systemd.time(7) writes it; up to an hour is added, another one on each node
    #[arg(long, value_name = "CALENDAR", default_value = "daily")]
    on_calendar: String,
    /// Remove the timer
    #[arg(long, conflicts_with_all = ["if_within", "on_calendar"])]
    remove: bool,
}

pub(super) async fn run(global: &Global, args: &InstallTimer) -> Result<()> {
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "certs install-timer")?;
    let _lock = lock::take(layout::LOCK.as_ref(), "certs install-timer")?;
    let (verb, paths) = if args.remove {
        ("removed", remove_timer(&files).await?)
    } else {
        let schedule = Schedule { calendar: args.on_calendar.clone(), within: args.if_within };
        ("installed", install_timer(&schedule, &files).await?)
    };
    match global.output {
        form @ (Output::Json | Output::Yaml) => {
            output::data(form, &json!({"event": format!("timer-{verb}"), "files": paths}));
        }
        Output::Text if paths.is_empty() => output::print("There is no timer of kubekeel's."),
        Output::Text => output::print(&format!("{verb}: {}", paths.join(", "))),
    }
    Ok(())
}
