//! The command line: arguments to pipeline, one file per command.

mod adopt;
mod apply;
mod certs;
mod completion;
mod config;
mod doctor;
mod etcd;
mod history;
mod init;
mod join;
mod kubeconfig;
mod lint;
mod man;
mod once;
mod output;
mod patches;
mod render;
mod report;
mod reset;
mod restore;
mod rollback;
mod status;
mod token;
mod upgrade;
mod version;
mod watchdog;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches as _, ValueEnum};

use crate::error::{Error, Kind};

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Work on the files below DIR instead of the machine's own
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Format of what is printed
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Format of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs: JSON, a line for each event
    Json,
    /// For programs: YAML, a document for each event
    Yaml,
}

const ABOUT: &str =
    "Bootstraps a Kubernetes control plane: says what will restart, swaps atomically, proves that exactly that runs";

const EXAMPLES: &str = "\
Examples:
  kubekeel init --config kubeadm.yaml --dry-run     what would be done, before anything is
  kubekeel init --config kubeadm.yaml               do it, and prove it
  kubekeel status                                   what runs on this node, and how well
  kubekeel upgrade plan                             which versions can come next
  kubekeel init --help                              every command shows examples of its own

Exit codes: 0 done, 1 a step failed, 2 the node is not fit, 3 wrong usage or configuration, 4 a dry-run found changes \
(with --exit-code), 5 drift, 6 timed out, 7 another run holds the lock, 8 a certificate expires, 130 and 143 interrupted";

/// The whole command line.
pub fn command() -> Command {
    Global::augment_args(Command::new("kubekeel"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(None)
        .after_help(EXAMPLES)
        .max_term_width(120)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(init::command())
        .subcommand(render::command())
        .subcommand(config::command())
        .subcommand(certs::command())
        .subcommand(token::command())
        .subcommand(kubeconfig::command())
        .subcommand(adopt::command())
        .subcommand(apply::command())
        .subcommand(upgrade::command())
        .subcommand(rollback::command())
        .subcommand(etcd::command())
        .subcommand(history::command())
        .subcommand(status::command())
        .subcommand(doctor::command())
        .subcommand(lint::command())
        .subcommand(reset::command())
        .subcommand(version::command())
        .subcommand(completion::command())
        .subcommand(man::command())
        .subcommand(watchdog::command())
}

/// Parses, runs, and turns a failure into words and an exit code.
pub fn main() -> ExitCode {
    completion::answer();
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are no failure; everything else is wrong usage.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(Kind::Configuration.exit_code())
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let global = match Global::from_arg_matches(&matches) {
        Ok(global) => global,
        Err(error) => error.exit(),
    };
    match verdict(&global, &matches).unwrap_or_else(|| run(&global, &matches).map(|()| 0)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::print_error(&error, global.output);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// Commands that look and judge: what they found decides the exit code, and is no failure of theirs.
fn verdict(global: &Global, matches: &ArgMatches) -> Option<Result<u8, Error>> {
    match matches.subcommand()? {
        ("doctor", matches) => Some(block_on(doctor::run(global, matches))),
        ("lint", matches) => Some(lint::run(global, matches)),
        ("status", matches) => Some(block_on(status::run(global, matches))),
        _ => None,
    }
}

fn run(global: &Global, matches: &ArgMatches) -> Result<(), Error> {
    match matches.subcommand() {
        Some(("render", matches)) => render::run(global, matches),
        Some(("etcd", matches)) => block_on(etcd::run(global, matches)),
        Some(("history", matches)) => history::run(global, matches),
        Some(("config", matches)) => block_on(config::run(global, matches)),
        Some(("version", matches)) => {
            version::run(global, matches);
            Ok(())
        }
        Some(("completion", matches)) => completion::run(matches),
        Some(("man", matches)) => man::run(matches),
        Some(("certs", matches)) => block_on(certs::run(global, matches)),
        Some(("init", matches)) => block_on(init::run(global, matches)),
        Some(("adopt", matches)) => block_on(adopt::run(global, matches)),
        Some(("apply", matches)) => block_on(apply::run(global, matches)),
        Some(("upgrade", matches)) => block_on(upgrade::run(global, matches)),
        Some(("kubeconfig", matches)) => kubeconfig::run(global, matches),
        Some(("token", matches)) => block_on(token::run(global, matches)),
        Some(("rollback", matches)) => block_on(rollback::run(global, matches)),
        Some(("reset", matches)) => block_on(reset::run(global, matches)),
        Some(("watchdog", _)) => block_on(watchdog::run(global)),
        _ => Err(Error::new(Kind::Configuration, "no such command")),
    }
}

fn block_on<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Error::new(Kind::Step, "cannot start").because(&error))?.block_on(command)
}
