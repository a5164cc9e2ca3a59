//! `kubekeel upgrade node`: this node as the cluster's own configuration has it.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::super::apply::{Change, only_on_the_machine};
use super::{Global, init, worker};
use crate::apply::Generations;
use crate::cluster::Object;
use crate::config::Shared;
use crate::error::{Error, Kind, Result};
use crate::host::api::ApiServer;
use crate::host::fs::Files;
use crate::kubeconfig;
use crate::layout;
use crate::manifest::Component;
use crate::pki::{Certificate, KubeconfigId};
use crate::plan::Renewal;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel upgrade node --dry-run     what would change and restart
  kubekeel upgrade node               on a control plane a transaction like any other; elsewhere the kubelet's configuration,
                                      its restart, and the word of the cluster that the Node is Ready";

/// Arguments of `upgrade node`.
#[derive(Debug, Clone, Args)]
pub(super) struct Node {
    /// Print the plan and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Replace files that somebody edited; never keys
    #[arg(short, long)]
    force: bool,
    /// Directory of patches of the kubelet's configuration; a control plane knows its own
    #[arg(long, value_name = "DIR")]
    pub(super) patches: Option<String>,
    /// How long new pods of a control plane have to go on running before the change is kept
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    min_ready_seconds: u64,
}

pub(super) async fn run(global: &Global, args: &Node) -> Result<()> {
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "upgrade node")?;
    let there = |path: &str| files.status(path).map(|found| found.is_some()).map_err(|error| unreadable(&error));
    if Generations::new(&files).newest()?.is_some() {
        return control_plane(global, args, &files).await;
    }
    if there(&Component::ApiServer.path())? {
        return Err(Error::new(Kind::Preflight, "this control plane is another tool's; nothing was changed")
            .hint("take it over first: kubekeel adopt"));
    }
    worker::run(global, args, &files).await
}

async fn control_plane(global: &Global, args: &Node, files: &Files) -> Result<()> {
    let admin = layout::kubeconfig(KubeconfigId::Admin.file());
    let (api, _) = connect(&admin, files).await?;
    let shared = shared(&api).await?;
    Change {
        command: "upgrade node".into(),
        dry_run: args.dry_run,
        force: args.force,
        renew: &Renewal::default(),
        rotation: None,
        min_ready: Duration::from_secs(args.min_ready_seconds),
        input: &|from, _| from.input.clone().of_cluster(&shared),
        print: &|plan| init::show(plan, global.output, false),
    }
    .run(global)
    .await
}

/// The API server as a kubeconfig of this node names it, and who we are there by our certificate: what a kubeconfig calls its user
/// is anybody's choice (the kubelet writes `default-auth`).
pub(super) async fn connect(path: &str, files: &Files) -> Result<(ApiServer, String)> {
    let bytes = files.read(path).map_err(|error| unreadable(&error))?.ok_or_else(|| {
        Error::new(Kind::Preflight, format!("{path} is missing: this node belongs to no cluster; nothing was changed"))
            .hint("bring it to one with `kubeadm join`, or make one with `kubekeel init`")
    })?;
    let named = kubeconfig::parse(&bytes).map_err(|error| unreadable(&error).hint(format!("look at {path}")))?;
    let api = ApiServer::connect(&bytes, &named.server).await.map_err(|error| unreadable(&error))?;
    let certificate = match (named.certificate_pem, named.certificate_file) {
        (Some(pem), _) => pem.into_bytes(),
        (None, Some(file)) => files.read(&file).map_err(|error| unreadable(&error))?.unwrap_or_default().to_vec(),
        (None, None) => vec![],
    };
    let certificate = Certificate::parse(&certificate).map_err(|error| unreadable(&error))?;
    Ok((api, certificate.common_name))
}

/// What the cluster says of itself.
pub(super) async fn shared(api: &ApiServer) -> Result<Shared> {
    Ok(Shared {
        cluster: text(api, "kubeadm-config", "ClusterConfiguration").await?,
        kubelet: text(api, "kubelet-config", "kubelet").await?,
    })
}

async fn text(api: &ApiServer, name: &str, key: &str) -> Result<String> {
    let metadata = json!({"name": name, "namespace": "kube-system"});
    let map = Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}));
    let found = api.get(&map).await.map_err(|error| unreadable(&error))?.unwrap_or_default();
    found["data"][key].as_str().map(str::to_owned).ok_or_else(|| {
        Error::new(Kind::Preflight, format!("the cluster has no {key} in the {}; nothing was changed", map.title()))
    })
}

pub(super) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Preflight, "cannot learn what this node should be; nothing was changed").because(error)
}
