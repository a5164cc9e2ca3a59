//! `kubekeel man`: a manual page for each command, from the same definition as the help.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_mangen::Man;
use zeroize::Zeroizing;

use super::output;
use crate::error::{Error, Kind, Result};
use crate::host::fs::{Files, Publish};

const DIRECTORY: &str = "directory";

pub(super) fn command() -> Command {
    Command::new("man")
        .about("Prints the manual page, or writes those of all commands into a directory")
        .after_help("Examples:\n  kubekeel man | man -l -\n  kubekeel man /usr/local/share/man/man1")
        .arg(Arg::new(DIRECTORY).value_name("DIR").value_parser(value_parser!(PathBuf)).help("Where the pages go"))
}

pub(super) fn run(matches: &ArgMatches) -> Result<()> {
    let mut program = super::command().disable_help_subcommand(true);
    program.build();
    let Some(directory) = matches.get_one::<PathBuf>(DIRECTORY) else {
        output::print(&String::from_utf8_lossy(&page(&program)?));
        return Ok(());
    };
    let mut pages = vec![];
    collect(&program, "kubekeel", &mut pages)?;
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, format!("cannot write to {}", directory.display())).because(error)
    };
    let directory = std::path::absolute(directory).map_err(|error| fail(&error))?.display().to_string();
    let page = |(name, content)| Publish {
        path: format!("{directory}/{name}.1"),
        content: Zeroizing::new(content),
        mode: 0o644,
        replace: true,
    };
    Files::new("/").publish(&pages.into_iter().map(page).collect::<Vec<_>>()).map_err(|error| fail(&error))
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    pages.push((name.to_owned(), page(&command.clone().display_name(name.to_owned()))?));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        collect(inner, &format!("{name}-{}", inner.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = vec![];
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Error::new(Kind::Step, "cannot make a manual page").because(&error))?;
    Ok(page)
}
