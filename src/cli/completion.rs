//! `kubekeel completion`: the shell's knowledge of the commands.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::output;

const SHELL: &str = "shell";

pub(super) fn command() -> Command {
    Command::new("completion")
        .about("Prints the completion of commands and flags for a shell")
        .after_help("Examples:\n  kubekeel completion bash > /etc/bash_completion.d/kubekeel\n  kubekeel completion zsh > ~/.zfunc/_kubekeel")
        .arg(Arg::new(SHELL).required(true).value_name("SHELL").value_parser(value_parser!(Shell)))
}

pub(super) fn run(matches: &ArgMatches) {
    let Some(shell) = matches.get_one::<Shell>(SHELL) else { return };
    let mut script = vec![];
    clap_complete::generate(*shell, &mut super::command(), "kubekeel", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end());
}
