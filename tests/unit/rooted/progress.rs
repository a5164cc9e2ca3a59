//! Progress: drawn on a terminal that can show it, told in lines everywhere else.

use std::fs;
use std::process::{Command, Stdio};

use super::{Root, Run, verify};

/// Runs `init` on a terminal of its own (`script`, util-linux) and gives what was written to it.
fn on_a_terminal(root: &Root, size: &str) -> String {
    let log = root.config_path().with_extension("log");
    let program = env!("CARGO_BIN_EXE_kubekeel");
    let (tree, config) = (root.directory().display(), root.config_path().display().to_string());
    let line = format!("stty {size}; exec {program} --root {tree} init --config {config}");
    let mut command = Command::new("script");
    command.args(["-qefc", &line]).arg(&log).env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null());
    Run::of(command.output().expect("util-linux has `script`")).succeeds();
    fs::read_to_string(log).unwrap()
}

/// What the run says of its steps, which each way to tell them has.
const STEP: &str = "issue    certificate apiserver with a new key";

#[test]
fn a_terminal_is_drawn_on() {
    let root = Root::new();
    let drawn = on_a_terminal(&root, "rows 40 cols 120");
    verify::complete(&root, "on a terminal");
    // A bar that is drawn over itself: the line is cleared, and the cursor goes back to its beginning.
    assert!(drawn.contains("\u{1b}[2K") && drawn.contains('\r'), "{drawn:?}");
    assert!(drawn.contains("/30 ") && drawn.contains("00:00:0"), "{drawn:?}");
    assert!(!drawn.contains("[1/30] "), "and the steps do not scroll by as lines: {drawn:?}");
}

#[test]
fn a_terminal_without_a_size_gets_lines() {
    let root = Root::new();
    let told = on_a_terminal(&root, "rows 0 cols 0");
    assert!(told.contains("[1/30] ") && told.contains(STEP) && !told.contains("\u{1b}["), "{told:?}");
}

#[test]
fn a_pipe_gets_lines_and_a_program_gets_events() {
    let root = Root::new();
    let run = root.init(&[]).succeeds();
    assert!(run.stderr.contains("[1/30] ") && run.stderr.contains(STEP), "{}", run.stderr);
    assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\r'), "{:?}", run.stderr);
    assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains('\r'), "{:?}", run.stdout);
    let root = Root::new();
    let run = root.init(&["-o", "json"]).succeeds();
    assert_eq!(run.stderr, "");
    let steps = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(steps.filter(|line| line["event"] == "step").count(), 30);
}
