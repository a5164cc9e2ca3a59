//! `kubekeel config`: what a configuration can say, whether one is well, and the images that it needs.

mod images;
mod migrate;
mod print;

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use serde_json::json;

use super::{Global, Output, init, output, patches};
use crate::config::{self, Facts, Input, Judged, Overrides};
use crate::error::{Error, Kind, Result};
use crate::host::facts;
use crate::host::fs::Files;

const EXAMPLES: &str = "\
Examples:
  kubekeel config print init-defaults > kubeadm.yaml
  kubekeel config validate --config kubeadm.yaml
  kubekeel config migrate --old-config v1beta3.yaml --new-config kubeadm.yaml
  kubekeel config images list --kubernetes-version v1.37.2
  kubekeel config images pull --config kubeadm.yaml
  kubekeel config schema > kubeadm.schema.json";

const VALIDATE_EXAMPLES: &str = "\
Examples:
  kubekeel config validate --config kubeadm.yaml
  kubekeel config validate --config kubeadm.yaml -o json | jq -r .kubernetesVersion";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  kubekeel config schema > kubeadm.schema.json

For an editor with the YAML language server, begin the file with:
  # yaml-language-server: $schema=kubeadm.schema.json";

/// What is done with a configuration.
#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Prints a configuration with every default filled in
    #[command(subcommand, after_help = print::EXAMPLES)]
    Print(print::Print),
    /// Judges a configuration file, its patches included; every problem is told with its place
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(Validate),
    /// Rewrites a file of an older version; kubeadm's of 1.36 and before read v1beta3
    Migrate(migrate::Migrate),
    /// The images of a control plane
    #[command(subcommand, after_help = images::EXAMPLES)]
    Images(images::Images),
    /// Prints the JSON Schema of all documents, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
}

/// Arguments of `config validate`.
#[derive(Debug, Clone, Args)]
struct Validate {
    /// Configuration file with kubeadm's documents; - for standard input
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Accepted for kubeadm's sake: there is no experimental version
    #[arg(long, hide = true)]
    allow_experimental_api: bool,
}

pub(super) fn command() -> Command {
    Action::augment_subcommands(Command::new("config"))
        .about("Writes, judges and migrates a configuration, and tells what it needs")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let action =
        Action::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    match action {
        Action::Print(what) => print::run(global, &what),
        Action::Validate(args) => validate(global, &args, &files).await,
        Action::Migrate(args) => migrate::run(global, &args).await,
        Action::Images(images::Images::List(args)) => images::list(global, args, &files).await,
        Action::Images(images::Images::Pull(args)) => images::pull(global, args, &files).await,
        Action::Schema => {
            match global.output {
                Output::Text => output::print(&format!("{:#}", config::schema())),
                form => output::data(form, &config::schema()),
            }
            Ok(())
        }
    }
}

/// What kubeadm's `config validate` looks at, which is this machine, too.
async fn validate(global: &Global, args: &Validate, files: &Files) -> Result<()> {
    let input = input(Some(&args.config), Overrides::default()).await?;
    let mut judged = input.judge()?;
    if judged.config.as_ref().is_some_and(|config| config.patches_directory.is_some()) {
        judged = patches::read(input, files)?.judge()?;
    }
    let Judged { kinds, config, discovery_file } = judged;
    if let Some((path, problem)) = discovery_file
        && !matches!(files.status(&path), Ok(Some(_)))
    {
        return Err(Error::problems(Kind::Configuration, "the configuration has a problem", vec![problem]));
    }
    let version = config.map(|config| config.cluster.version.to_string());
    match global.output {
        Output::Text => {
            let made = version.map(|version| format!(", for {version}")).unwrap_or_default();
            output::print(&format!("{} is well: {}{made}.", args.config.display(), kinds.join(", ")));
        }
        form => output::data(form, &json!({"valid": true, "kinds": kinds, "kubernetesVersion": version})),
    }
    Ok(())
}

/// The file and the flags, with what this host contributes.
pub(super) async fn input(file: Option<&PathBuf>, overrides: Overrides) -> Result<Input> {
    let source = file.map(|file| init::read_config(file)).transpose()?;
    Ok(Input { source, overrides, facts: facts().await, patches: None })
}

/// The host's name, its address, its kubelet's version.
async fn facts() -> Facts {
    Facts {
        hostname: facts::hostname().or_else(|| Some("node".into())),
        // Of a machine without a route, as of kubeadm's own placeholder, only the form counts (RFC 5737).
        default_address: facts::default_address().or_else(|| Some([192, 0, 2, 1].into())),
        kubelet_version: facts::kubelet_version().await,
        ..Facts::default()
    }
}
