//! `kubekeel rollback`: an older generation, through the same pipeline and with the same proof.

use std::time::Instant;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use clap_complete::engine::ArgValueCandidates;

use super::apply::{only_on_the_machine, proven};
use super::{Global, Output, completion, init, output, report};
use crate::apply::{self, Generations, Transaction};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Event;
use crate::host::fs::Files;
use crate::host::lock;
use crate::host::signal::Interrupt;
use crate::layout;
use crate::observe;
use crate::plan;
use crate::preflight;

const EXAMPLES: &str = "\
Examples:
  kubekeel history                 which generations there are
  kubekeel rollback --dry-run      what the one before the newest would change
  kubekeel rollback 3              put generation 3 back and prove it";

/// Arguments of `rollback`.
#[derive(Debug, Clone, Args)]
struct Rollback {
    /// The generation; without it the one before the newest, or the one that an unfinished change began from
    #[arg(value_name = "GENERATION", add = ArgValueCandidates::new(completion::generations))]
    generation: Option<u32>,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit with 4 when there is something to do
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
}

pub(super) fn command() -> Command {
    Rollback::augment_args(Command::new("rollback"))
        .about("Puts an older generation back, byte for byte, and proves it")
        .long_about(None)
        .arg(super::apply::min_ready_seconds())
        .after_help(EXAMPLES)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let began = Instant::now();
    let args =
        Rollback::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "rollback")?;
    let mut reporter = report::reporter(global.output);
    let interrupt = Interrupt::listen();
    let generations = Generations::new(&files);
    let _lock = if args.dry_run { None } else { Some(lock::take(layout::LOCK.as_ref(), "rollback")?) };
    let target = target(&args, &generations)?;
    if !args.dry_run
        && let Err(error) = apply::recover(&files, reporter.as_mut()).await
    {
        // Perhaps another generation can be proven.
        let problem = Problem::new("unfinished change", error.to_string());
        reporter.event(&Event::Warning { problem });
    }
    let from = proven(&generations)?;
    let to = generations.load(target)?;
    let config = to.input.config()?;
    let seen = observe::observe(&config, &files).await?;
    let plan = plan::rollback(&to, &config, &seen)?;
    if args.dry_run {
        reporter.finish();
        return init::show(&plan, global.output, args.exit_code);
    }
    // The images of then may be gone by now, and none may be missed half way.
    let inputs = preflight::look(&config, &seen, &files, None).await;
    preflight::pull(&inputs, &interrupt, reporter.as_mut()).await?;
    let transaction = Transaction {
        command: format!("rollback to generation {}", to.number),
        from: &from,
        to: Some(&to),
        input: &to.input,
        config: &config,
        files: &files,
        began,
        min_ready: super::apply::min_ready(matches),
        etcd_data: None,
        was_well: false,
        interrupt: &interrupt,
    };
    let result = transaction.run(&plan, &seen, reporter.as_mut()).await;
    reporter.finish();
    let number = result?;
    if global.output == Output::Text {
        output::print(&format!("Generation {number} runs: the files of generation {}.", to.number));
    }
    Ok(())
}

fn target(args: &Rollback, generations: &Generations<'_>) -> Result<u32> {
    if let Some(number) = args.generation {
        return Ok(number);
    }
    if let Some(pending) = generations.pending()? {
        return Ok(pending.from);
    }
    let numbers = generations.numbers()?;
    numbers.iter().rev().nth(1).copied().ok_or_else(|| {
        Error::new(Kind::Configuration, "there is no generation before the newest one").hint("see `kubekeel history`")
    })
}
