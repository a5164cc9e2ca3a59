//! `kubekeel upgrade node` where there is no control plane: the kubelet's configuration.

use serde_json::Value;

use super::node::{Node, connect, shared, unreadable};
use super::{Global, Output, init, output, patches, report};
use crate::apply::Worker;
use crate::config::{Input, Overrides};
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::host::{facts, lock, service};
use crate::kubelet;
use crate::layout;
use crate::pki::KubeconfigId;
use crate::plan::Plan;
use crate::release;

/// An address for a configuration of which only the kubelet's part is used (RFC 5737).
const NOWHERE: &str = "192.0.2.1";

pub(super) async fn run(global: &Global, args: &Node, files: &Files) -> Result<()> {
    let mut reporter = report::reporter(global.output);
    let (api, user) = connect(&layout::kubeconfig(KubeconfigId::Kubelet.file()), files).await?;
    let node = user.strip_prefix("system:node:").unwrap_or(&user).to_owned();
    let facts = facts::detect().await;
    let (kubelet, sockets) = (facts.kubelet_version.clone(), facts.cri_sockets.clone());
    let overrides = Overrides {
        advertise_address: Some(NOWHERE.to_owned()),
        cri_socket: socket(files)?.or_else(|| sockets.first().cloned()),
        node_name: Some(node.clone()),
        patches_directory: args.patches.clone(),
        ..Overrides::default()
    };
    let input = Input { overrides, facts, ..Input::default() }.of_nothing_but(&shared(&api).await?);
    let config = patches::read(input?, files)?.config()?;
    let version = &config.cluster.version;
    if let Some(reason) = release::skew(version, version, kubelet.as_ref()) {
        return Err(Error::new(Kind::Preflight, reason).hint("nothing was changed"));
    }
    let _lock = if args.dry_run { None } else { Some(lock::take(layout::LOCK.as_ref(), "upgrade node")?) };
    let files_of_kubelet = kubelet::files(&config, service::is_active("systemd-resolved").await)?;
    let wanted = files_of_kubelet.into_iter().find(|file| file.path == layout::KUBELET_CONFIG);
    let Some(wanted) = wanted else { return Ok(()) };
    let worker = Worker { files, api: &api, node: &node, wanted, installed: kubelet };
    let plan = worker.plan().await?;
    if args.dry_run || !plan.changes_anything() {
        reporter.finish();
        if args.dry_run {
            return init::show(&plan, global.output, false);
        }
        tell(global, &node, &plan);
        return Ok(());
    }
    let result = worker.apply(&plan, reporter.as_mut()).await;
    reporter.finish();
    result?;
    tell(global, &node, &plan);
    Ok(())
}

fn tell(global: &Global, node: &str, plan: &Plan) {
    let changed = plan.changes_anything();
    match global.output {
        Output::Text if changed => output::print(&format!("The kubelet of {node} runs as the cluster has it.")),
        Output::Text => output::print(&format!("Nothing has to be done: {node} is as the cluster has it.")),
        form => output::data(form, &serde_json::json!({"event": "node", "node": node, "changed": changed})),
    }
}

/// The runtime's socket, as the kubelet of this node was told.
fn socket(files: &Files) -> Result<Option<String>> {
    for path in [layout::KUBELET_INSTANCE_CONFIG, layout::KUBELET_CONFIG] {
        let bytes = files.read(path).map_err(|error| unreadable(&error))?;
        let document = bytes.and_then(|bytes| serde_yaml::from_slice::<Value>(&bytes).ok());
        let socket = document.and_then(|document| document["containerRuntimeEndpoint"].as_str().map(str::to_owned));
        if let Some(socket) = socket.filter(|socket| !socket.is_empty()) {
            return Ok(Some(socket));
        }
    }
    Ok(None)
}
