//! `kubekeel config images`: what a control plane is made of.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::super::{Global, Output, output, patches, report};
use super::input;
use crate::cluster;
use crate::config::{Config, Overrides, PullPolicy};
use crate::error::{Error, Kind, Result};
use crate::host::cri::Cri;
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::preflight;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel config images list --kubernetes-version v1.37.2
  kubekeel config images pull --config kubeadm.yaml";

const LIST_EXAMPLES: &str = "\
Examples:
  kubekeel config images list
  kubekeel config images list --kubernetes-version v1.37.2 --image-repository registry.example/k8s
  kubekeel config images list -o json | jq -r '.images[]'";

const PULL_EXAMPLES: &str = "\
Examples:
  kubekeel config images pull --config kubeadm.yaml
  kubekeel config images pull --kubernetes-version v1.37.2      before an upgrade, so that it waits for nobody";

/// What is done with images.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Images {
    /// Prints the images that a control plane needs, its add-ons included
    #[command(after_help = LIST_EXAMPLES)]
    List(Choice),
    /// Pulls these images into the container runtime
    #[command(after_help = PULL_EXAMPLES)]
    Pull(Pull),
}

/// Whose images.
#[derive(Debug, Clone, Args)]
pub(super) struct Choice {
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

/// Arguments of `config images pull`.
#[derive(Debug, Clone, Args)]
pub(super) struct Pull {
    #[command(flatten)]
    choice: Choice,
    /// Socket of the container runtime
    #[arg(long, value_name = "SOCKET")]
    cri_socket: Option<String>,
}

pub(super) async fn list(global: &Global, args: Choice, files: &Files) -> Result<()> {
    let images = cluster::images(&config(args, None, files).await?);
    match global.output {
        Output::Text => output::print(&images.join("\n")),
        form => output::data(form, &json!({"images": images})),
    }
    Ok(())
}

/// Pulls what `imagePullPolicy` asks for: what is missing, all, or nothing.
pub(super) async fn pull(global: &Global, args: Pull, files: &Files) -> Result<()> {
    let config = config(args.choice, args.cri_socket, files).await?;
    let refused = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Preflight, format!("the container runtime at {} does not answer", config.node.cri_socket))
            .because(error)
            .hint("start it, or name its socket with --cri-socket")
    };
    let runtime = Cri::connect(&config.node.cri_socket).await.map_err(|error| refused(&error))?;
    let (mut wanted, mut there) = (vec![], vec![]);
    for image in cluster::images(&config) {
        let has = runtime.has_image(&image).await.map_err(|error| refused(&error))?;
        let list = if has && config.node.image_pull_policy != PullPolicy::Always { &mut there } else { &mut wanted };
        list.push(image);
    }
    let mut reporter = report::reporter(global.output);
    let pulled = preflight::pull_all(wanted.clone(), &config.node, &Interrupt::listen(), reporter.as_mut()).await;
    reporter.finish();
    pulled?;
    match global.output {
        Output::Text => {
            let lines = wanted.iter().map(|image| format!("pulled  {image}"));
            let lines: Vec<_> = lines.chain(there.iter().map(|image| format!("there   {image}"))).collect();
            output::print(&lines.join("\n"));
        }
        form => output::data(form, &json!({"event": "pulled", "pulled": wanted, "there": there})),
    }
    Ok(())
}

async fn config(choice: Choice, cri_socket: Option<String>, files: &Files) -> Result<Config> {
    let overrides = Overrides {
        kubernetes_version: choice.kubernetes_version,
        image_repository: choice.image_repository,
        cri_socket,
        ..Overrides::default()
    };
    patches::read(input(choice.config.as_ref(), overrides).await?, files)?.config()
}
