//! `kubekeel completion`: the shell asks this program what can come next, and is told this node's own names, too.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};

use super::output;
use crate::apply::Generations;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::fs::Files;
use crate::layout;
use crate::release::RELEASES;

const SHELL: &str = "shell";
/// With this variable the shell asks; its value is the shell's name.
const VARIABLE: &str = "KUBEKEEL_COMPLETE";

pub(super) fn command() -> Command {
    Command::new("completion")
        .about("Prints what makes a shell complete commands, flags and the names on this node")
        .after_help(
            "Examples:\n  kubekeel completion bash > /etc/bash_completion.d/kubekeel\n  \
             kubekeel completion zsh > ~/.zfunc/_kubekeel\n  \
             kubekeel completion fish > ~/.config/fish/completions/kubekeel.fish",
        )
        .arg(Arg::new(SHELL).required(true).value_name("SHELL").value_parser(value_parser!(Shell)))
}

pub(super) fn run(matches: &ArgMatches) -> Result<()> {
    let fail = |error: &(dyn std::error::Error + 'static)| Error::new(Kind::Step, "no completion").because(error);
    let Some(shell) = matches.get_one::<Shell>(SHELL) else { return Ok(()) };
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(&shell.to_string()) else { return Ok(()) };
    let mut script = vec![];
    completer
        .write_registration(VARIABLE, "kubekeel", "kubekeel", "kubekeel", &mut script)
        .map_err(|error| fail(&error))?;
    output::print(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// Answers a shell that asks, and ends; everybody else goes on.
pub(super) fn answer() {
    CompleteEnv::with_factory(super::command).var(VARIABLE).complete();
}

/// The generations of this node.
pub(super) fn generations() -> Vec<CompletionCandidate> {
    let files = files();
    let generations = Generations::new(&files);
    let numbers = generations.numbers().unwrap_or_default().into_iter().rev();
    let candidate = |number| {
        let command = generations.load(number).map(|generation| generation.command);
        CompletionCandidate::new(number.to_string()).help(command.ok().map(Into::into))
    };
    numbers.map(candidate).collect()
}

/// The snapshots of etcd that are kept on this node.
pub(super) fn snapshots() -> Vec<CompletionCandidate> {
    let names = files().list(layout::SNAPSHOTS).unwrap_or_default().into_iter();
    names.filter(|name| !name.starts_with('.')).map(|name| format!("{}/{name}", layout::SNAPSHOTS).into()).collect()
}

/// The newest version of each minor.
pub(super) fn versions() -> Vec<CompletionCandidate> {
    RELEASES.iter().rev().map(|release| CompletionCandidate::new(release.newest().to_string())).collect()
}

/// The tree that the words so far are about.
fn files() -> Files {
    Files::new(host::word_after("--root").unwrap_or_else(|| "/".into()))
}
