//! `kubekeel config`: judging a configuration file, and telling the images that it needs.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use serde_json::json;

use super::{Global, Output, init, output, patches};
use crate::cluster;
use crate::config::{Facts, Input, Judged, Overrides};
use crate::error::{Error, Kind, Result};
use crate::host::facts;
use crate::host::fs::Files;

const EXAMPLES: &str = "\
Examples:
  kubekeel config validate --config kubeadm.yaml
  kubekeel config images list --kubernetes-version v1.37.2
  kubekeel config images list --config kubeadm.yaml | xargs -n1 crictl pull";

/// What is done with a configuration.
#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Judges a configuration file, its patches included; every problem is told with its place
    Validate(Validate),
    /// The images of a control plane
    #[command(subcommand)]
    Images(Images),
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

/// What is done with images.
#[derive(Debug, Clone, Subcommand)]
enum Images {
    /// Prints the images that a control plane needs, its add-ons included
    List(List),
}

/// Arguments of `config images list`.
#[derive(Debug, Clone, Args)]
struct List {
    /// Configuration file with kubeadm's documents; - for standard input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Version of the control plane
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// Where images come from
    #[arg(long, value_name = "REPOSITORY")]
    image_repository: Option<String>,
}

pub(super) fn command() -> Command {
    Action::augment_subcommands(Command::new("config"))
        .about("Judges a configuration and tells what it needs")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let action =
        Action::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    match action {
        Action::Validate(args) => validate(global, &args, &files).await?,
        Action::Images(Images::List(args)) => {
            let overrides = Overrides {
                kubernetes_version: args.kubernetes_version,
                image_repository: args.image_repository,
                ..Overrides::default()
            };
            let images =
                cluster::images(&patches::read(input(args.config.as_ref(), overrides).await?, &files)?.config()?);
            match global.output {
                Output::Text => output::print(&images.join("\n")),
                form => output::data(form, &json!({"images": images})),
            }
        }
    }
    Ok(())
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

/// The file and the flags, with what this host contributes: its name, its address, its kubelet's version.
async fn input(file: Option<&PathBuf>, overrides: Overrides) -> Result<Input> {
    let source = file.map(|file| init::read_config(file)).transpose()?;
    let facts = Facts {
        hostname: facts::hostname().or_else(|| Some("node".into())),
        // Of a machine without a route, as of kubeadm's own placeholder, only the form counts (RFC 5737).
        default_address: facts::default_address().or_else(|| Some([192, 0, 2, 1].into())),
        kubelet_version: facts::kubelet_version().await,
        ..Facts::default()
    };
    Ok(Input { source, overrides, facts, patches: None })
}
