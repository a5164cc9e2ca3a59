//! `kubekeel config print`: something to begin with.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::super::{Global, Output, output};
use crate::cluster::{COMPONENTS, Defaults, defaults};
use crate::error::Result;
use crate::manifest::yaml;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel config print init-defaults > kubeadm.yaml
  kubekeel config print init-defaults --component-configs KubeletConfiguration,KubeProxyConfiguration
  kubekeel config print join-defaults -o json";

/// Whose defaults are printed.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Print {
    /// Of init: this node and the cluster
    #[command(name = "init-defaults", after_help = "Examples:\n  kubekeel config print init-defaults > kubeadm.yaml")]
    Init(Components),
    /// Of kubeadm join, which brings nodes to the cluster
    #[command(name = "join-defaults", after_help = "Examples:\n  kubekeel config print join-defaults > join.yaml")]
    Join(Components),
    /// Of kubeadm reset
    #[command(name = "reset-defaults", after_help = "Examples:\n  kubekeel config print reset-defaults > reset.yaml")]
    Reset,
    /// Of kubeadm upgrade
    #[command(
        name = "upgrade-defaults",
        after_help = "Examples:\n  kubekeel config print upgrade-defaults > upgrade.yaml"
    )]
    Upgrade,
}

/// What goes along.
#[derive(Debug, Clone, Args)]
pub(super) struct Components {
    /// Configurations of components that are printed, too
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = PossibleValuesParser::new(COMPONENTS))]
    component_configs: Vec<String>,
}

pub(super) fn run(global: &Global, what: &Print) -> Result<()> {
    let documents = match what {
        Print::Init(with) => defaults(Defaults::Init, &with.component_configs),
        Print::Join(with) => defaults(Defaults::Join, &with.component_configs),
        Print::Reset => defaults(Defaults::Reset, &[]),
        Print::Upgrade => defaults(Defaults::Upgrade, &[]),
    }?;
    match global.output {
        Output::Json => documents.iter().for_each(|document| output::data(Output::Json, document)),
        _ => output::print(yaml::stream(&documents).trim_end()),
    }
    Ok(())
}
