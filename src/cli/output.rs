//! What is printed at the end: data on stdout, words about failures on stderr.

use std::io::{self, Write as _};

use serde_json::Value;

use super::Output;
use crate::error::Error;
use crate::manifest::yaml;

/// Writes to stdout; a reader that went away (`| head`) is no failure.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes data for programs, as one line of JSON or one document of YAML.
pub(super) fn data(form: Output, data: &Value) {
    match form {
        Output::Yaml => print(&format!("---\n{}", yaml::block(data).trim_end())),
        Output::Json | Output::Text => print(&data.to_string()),
    }
}

/// A failure, for people on stderr or for programs as data on stdout.
pub(super) fn print_error(error: &Error, output: Output) {
    match output {
        form @ (Output::Json | Output::Yaml) => {
            let mut line = serde_json::to_value(error).unwrap_or_default();
            line["event"] = "error".into();
            line["exitCode"] = error.kind.exit_code().into();
            data(form, &line);
        }
        Output::Text => {
            let _ = write!(io::stderr().lock(), "{}", text(error));
        }
    }
}

/// A failure in words: what, the named cause with its evidence, every finding, the cause chain, the remedies.
pub(super) fn text(error: &Error) -> String {
    let mut text = format!("error: {error}\n");
    if let Some(diagnosis) = &error.diagnosis {
        text += &format!("  cause:    {} ({})\n", diagnosis.summary, diagnosis.cause);
        for (index, line) in diagnosis.evidence.iter().enumerate() {
            text += &format!("  {} {line}\n", if index == 0 { "evidence:" } else { "         " });
        }
        text += &format!("  remedy:   {}\n", diagnosis.remedy);
    }
    for problem in &error.problems {
        text += &format!("  {problem}\n");
        if let Some(hint) = &problem.hint {
            text += &format!("      hint: {hint}\n");
        }
    }
    for cause in &error.causes {
        text += &format!("  because: {cause}\n");
    }
    for hint in &error.hints {
        text += &format!("hint: {hint}\n");
    }
    text
}
