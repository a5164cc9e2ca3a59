//! The help of every command: it has examples, and they are commands that this program takes.

use clap::Command;

/// The whole program; hidden commands are nobody's to call.
fn program() -> Command {
    let mut program = kubekeel::cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// Each command with the words that call it.
fn commands(command: &Command, words: &str, all: &mut Vec<(String, Command)>) {
    all.push((words.to_owned(), command.clone()));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        commands(inner, &format!("{words} {}", inner.get_name()), all);
    }
}

/// The words of an example as a shell would split them, up to a redirection, a pipe, or the gap before its explanation.
fn words(example: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut blanks) = (vec![], String::new(), None, 0);
    for letter in example.chars() {
        match (quote, letter) {
            (Some(end), _) if letter == end => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '>' | '|') => break,
            (None, ' ') => {
                blanks += 1;
                if blanks > 1 {
                    break;
                }
                words.push(std::mem::take(&mut word));
                continue;
            }
            _ => word.push(letter),
        }
        blanks = 0;
    }
    assert_eq!(quote, None, "an open quote in {example}");
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_shows_examples_that_it_takes() {
    let mut all = vec![];
    commands(&program(), "kubekeel", &mut all);
    assert!(all.len() > 90, "only {} commands", all.len());
    let mut wrong = vec![];
    let mut program = kubekeel::cli::command();
    for (name, command) in all {
        let mut command = command.term_width(0);
        for help in [command.render_long_help().to_string(), command.render_help().to_string()] {
            let examples = help.split_once("\nExamples:\n").map(|(_, rest)| rest).unwrap_or_default();
            let examples = examples.lines().map(str::trim).filter(|line| line.starts_with("kubekeel "));
            let examples: Vec<_> = examples.map(words).collect();
            if !examples.iter().any(|words| words.join(" ").starts_with(&name)) {
                wrong.push(format!("{name}: no example calls it"));
            }
            for example in examples {
                if let Err(error) = program.try_get_matches_from_mut(&example)
                    && error.use_stderr()
                {
                    wrong.push(format!("{name}: {example:?}: {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn examples_are_split_as_a_shell_does_it() {
    let split = |line: &str| words(line).join("|");
    assert_eq!(split("kubekeel status     what runs"), "kubekeel|status");
    assert_eq!(split("kubekeel a --on 'Sat  *-*-*' \"$T\" > file"), "kubekeel|a|--on|Sat  *-*-*|$T");
    assert_eq!(split("kubekeel history -o json | jq '.[-1]'"), "kubekeel|history|-o|json");
}
