//! `kubekeel version`: this program, and the Kubernetes minors that it knows.

use clap::{ArgMatches, Command};
use serde_json::json;

use super::{Global, Output, output};
use crate::release::RELEASES;

pub(super) fn command() -> Command {
    Command::new("version")
        .about("Tells the version of this program and the versions of Kubernetes that it knows")
        .after_help("Examples:\n  kubekeel version\n  kubekeel version -o json | jq -r .version")
}

pub(super) fn run(global: &Global, _: &ArgMatches) {
    let own = concat!("v", env!("CARGO_PKG_VERSION"));
    let minors: Vec<_> = RELEASES.iter().map(|release| format!("1.{}", release.minor)).collect();
    match global.output {
        Output::Text => output::print(&format!("kubekeel {own}, for Kubernetes {}", minors.join(", "))),
        form => output::data(form, &json!({"version": own, "kubernetes": minors})),
    }
}
