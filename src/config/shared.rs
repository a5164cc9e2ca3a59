//! What a cluster says of itself, in place of what this node was told when it was made.

use serde_json::Value;

use super::Overrides;
use super::load::{Input, Source};
use super::tree::trees;
use crate::cluster;
use crate::error::{Error, Kind, Result};
use crate::kubelet;
use crate::manifest::yaml;

/// The documents that a cluster keeps for all of its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// `ClusterConfiguration`, from the `ConfigMap` kubeadm-config.
    pub cluster: String,
    /// `KubeletConfiguration`, from the `ConfigMap` kubelet-config.
    pub kubelet: String,
}

/// Where they come from, for messages.
const NAME: &str = "the cluster's kubeadm-config and kubelet-config";

impl Input {
    /// The same input with the cluster's documents in place of its own, and without the flags that spoke of the cluster. A document
    /// that says the same as its own is no reason for another input.
    pub fn of_cluster(self, shared: &Shared) -> Result<Self> {
        let own = self.config()?;
        let (cluster, kubelet) = (document(&shared.cluster)?, document(&shared.kubelet)?);
        let replaces_cluster = cluster != cluster::cluster_configuration(&own);
        let replaces_kubelet = kubelet != document(&kubelet::shared(&own)?)?;
        let mut documents = match &self.source {
            Some((name, text)) => trees(Source { name, text }).map_err(unreadable)?,
            None => vec![],
        };
        for (kind, theirs, replaces) in
            [("ClusterConfiguration", cluster, replaces_cluster), ("KubeletConfiguration", kubelet, replaces_kubelet)]
        {
            if replaces {
                documents.retain(|document| document["kind"] != kind);
                documents.push(theirs);
            }
        }
        if !replaces_cluster && !replaces_kubelet {
            return Ok(self);
        }
        let source = Some((NAME.to_owned(), yaml::stream(&documents)));
        let overrides = if replaces_cluster { of_node(self.overrides) } else { self.overrides };
        Ok(Self { source, overrides, ..self })
    }

    /// The same for a node that was never told anything.
    pub fn of_nothing_but(self, shared: &Shared) -> Result<Self> {
        let documents = [document(&shared.cluster)?, document(&shared.kubelet)?];
        Ok(Self { source: Some((NAME.to_owned(), yaml::stream(&documents))), ..self })
    }
}

/// The flags that are about a node and not about its cluster.
fn of_node(flags: Overrides) -> Overrides {
    Overrides {
        advertise_address: flags.advertise_address,
        bind_port: flags.bind_port,
        cri_socket: flags.cri_socket,
        ignore_preflight_errors: flags.ignore_preflight_errors,
        node_name: flags.node_name,
        skip_phases: flags.skip_phases,
        patches_directory: flags.patches_directory,
        kept_etcd_tag: flags.kept_etcd_tag,
        ..Overrides::default()
    }
}

fn document(text: &str) -> Result<Value> {
    let mut documents = trees(Source { name: NAME, text }).map_err(unreadable)?;
    documents.pop().ok_or_else(|| Error::new(Kind::Preflight, format!("there is no document in {NAME}")))
}

fn unreadable(problems: Vec<crate::error::Problem>) -> Error {
    Error::problems(Kind::Preflight, format!("{NAME} cannot be read"), problems)
}
