//! `kubekeel status`: one screen that says what runs and how well.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};

use super::{Global, Output, output};
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::status::{Paint, Status, look, screen};

const EXAMPLES: &str = "\
Examples:
  kubekeel status                              what runs, and how well
  kubekeel status --watch                      the same, again and again
  kubekeel status -o json | jq .remarks        for programs

Exit codes: 0 everything is proven, 1 something does not run as it should, 2 there is no control plane yet,
4 something needs attention soon, 5 a file was edited";

/// Pause between two looks.
const PERIOD: Duration = Duration::from_secs(2);

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
struct Arguments {
    /// Look again and again, until it is interrupted
    #[arg(short, long)]
    watch: bool,
}

pub(super) fn command() -> Command {
    Arguments::augment_args(Command::new("status"))
        .about("Shows what runs on this node, and how well; works with the API server down")
        .long_about(None)
        .after_help(EXAMPLES)
}

/// Gives the exit code.
pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<u8> {
    let args =
        Arguments::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    let mut status = look::look(&files).await?;
    if !args.watch {
        show(&status, global.output);
        return Ok(status.severity().exit_code());
    }
    let interrupt = Interrupt::listen();
    let redraws = std::io::stdout().is_terminal() && global.output == Output::Text;
    loop {
        if redraws {
            // From the top left; what is left of longer lines and of the screen before goes.
            let lines = screen(&status, paint()).replace('\n', "\x1b[K\n");
            output::print(&format!("\x1b[H{lines}\x1b[K\x1b[J"));
        } else {
            show(&status, global.output);
        }
        let mut waited = Duration::ZERO;
        while waited < PERIOD {
            if interrupt.check().is_err() {
                return Ok(status.severity().exit_code());
            }
            let step = Duration::from_millis(100);
            host::sleep(step).await;
            waited += step;
        }
        status = look::look(&files).await?;
    }
}

fn paint() -> Paint {
    if std::io::stdout().is_terminal() && host::colours_are_welcome() { Paint::Colours } else { Paint::Plain }
}

fn show(status: &Status, output: Output) {
    match output {
        Output::Text => output::print(&screen(status, paint())),
        form => {
            let mut line = serde_json::to_value(status).unwrap_or_default();
            line["severity"] = serde_json::to_value(status.severity()).unwrap_or_default();
            line["remarks"] = serde_json::to_value(status.remarks()).unwrap_or_default();
            output::data(form, &line);
        }
    }
}
