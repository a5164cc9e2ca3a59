//! `kubekeel config migrate`: a file of an older version becomes one of this.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{Global, Output, init, output};
use super::facts;
use crate::config::{self, Source};
use crate::error::{Error, Kind, Result};
use crate::host::fs::{Files, Publish};
use crate::manifest::yaml;

/// Arguments of `config migrate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
What was given is kept, and nothing is added: defaults stay defaults. Comments are lost.

Examples:
  kubekeel config migrate --old-config v1beta3.yaml
  kubekeel config migrate --old-config v1beta3.yaml --new-config kubeadm.yaml")]
pub(super) struct Migrate {
    /// File of an older version; - for standard input
    #[arg(long, value_name = "FILE")]
    old_config: PathBuf,
    /// Where the result goes; standard output without it
    #[arg(long, value_name = "FILE")]
    new_config: Option<PathBuf>,
    /// Accepted for kubeadm's sake: there is no experimental version
    #[arg(long, hide = true)]
    allow_experimental_api: bool,
}

pub(super) async fn run(global: &Global, args: &Migrate) -> Result<()> {
    let (name, text) = init::read_config(&args.old_config)?;
    let documents = config::migrate(Source { name: &name, text: &text }, &facts().await)?;
    let text = Zeroizing::new(yaml::stream(&documents));
    let Some(path) = &args.new_config else {
        match global.output {
            Output::Json => documents.iter().for_each(|document| output::data(Output::Json, document)),
            Output::Text | Output::Yaml => output::print(text.trim_end()),
        }
        return Ok(());
    };
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, format!("cannot write {}", path.display())).because(error)
    };
    let path = std::path::absolute(path).map_err(|error| fail(&error))?.display().to_string();
    let content = Zeroizing::new(text.as_bytes().to_vec());
    // It may hold tokens.
    let file = Publish { path: path.clone(), content, mode: 0o600, replace: true };
    Files::new("/").publish(&[file]).map_err(|error| fail(&error))?;
    if global.output != Output::Text {
        output::data(global.output, &json!({"event": "migrated", "path": path}));
    }
    Ok(())
}
