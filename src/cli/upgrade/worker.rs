//! `kubekeel upgrade node` where there is no control plane: the kubelet's configuration.

use serde_json::Value;

use super::ask::{connect, shared, unreadable, user};
use super::wishes::Wishes;
use super::{Global, Output, init, output, patches, report};
use crate::apply::Worker;
use crate::config::{Config, Input, Overrides};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::host::fs::Files;
use crate::host::{facts, lock, service};
use crate::kubelet;
use crate::layout;
use crate::pki::KubeconfigId;
use crate::plan::Plan;
use crate::release::{self, Version};

/// An address for a configuration of which only the kubelet's part is used (RFC 5737).
const NOWHERE: &str = "192.0.2.1";

pub(super) async fn run(global: &Global, wishes: &Wishes, files: &Files) -> Result<()> {
    let mut reporter = report::reporter(global.output);
    let own = layout::kubeconfig(KubeconfigId::Kubelet.file());
    let user = user(&own, files)?;
    let api = connect(wishes.kubeconfig.as_deref().unwrap_or(&own), files).await?;
    let node = user.strip_prefix("system:node:").unwrap_or(&user).to_owned();
    let facts = facts::detect().await;
    let (kubelet, sockets) = (facts.kubelet_version.clone(), facts.cri_sockets.clone());
    let overrides = Overrides {
        advertise_address: Some(NOWHERE.to_owned()),
        cri_socket: socket(files)?.or_else(|| sockets.first().cloned()),
        node_name: Some(node.clone()),
        patches_directory: wishes.patches(),
        ..Overrides::default()
    };
    let input = Input { overrides, facts, ..Input::default() }.of_nothing_but(&shared(&api).await?);
    let config = patches::read(input?, files)?.config()?;
    within_skew(&config, kubelet.as_ref(), wishes, reporter.as_mut())?;
    let _lock = if wishes.dry_run() { None } else { Some(lock::take(layout::LOCK.as_ref(), "upgrade node")?) };
    let files_of_kubelet = kubelet::files(&config, service::is_active("systemd-resolved").await)?;
    let wanted = files_of_kubelet.into_iter().find(|file| file.path == layout::KUBELET_CONFIG);
    let Some(wanted) = wanted else { return Ok(()) };
    let worker = Worker { files, api: &api, node: &node, wanted, installed: kubelet };
    let plan = worker.plan().await?;
    if wishes.dry_run() || !plan.changes_anything() {
        reporter.finish();
        if wishes.dry_run() {
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

/// The name of this check, as `--ignore-preflight-errors` takes it.
const CHECK: &str = "KubeletVersion";

fn within_skew(config: &Config, kubelet: Option<&Version>, wishes: &Wishes, reporter: &mut dyn Reporter) -> Result<()> {
    let version = &config.cluster.version;
    let named = |check: &String| [CHECK, "all"].iter().any(|name| check.eq_ignore_ascii_case(name));
    let ignored = wishes.once.ignored.iter().any(named);
    let mut problems = vec![];
    for objection in release::skew(version, version, kubelet) {
        let problem = Problem::new(CHECK, objection.reason);
        if ignored || (objection.skippable && wishes.force()) {
            reporter.event(&Event::Warning { problem });
        } else {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("this kubelet does not go with {version}; nothing was changed");
    Err(Error::problems(Kind::Preflight, message, problems)
        .hint(format!("install another kubelet, or overrule it: --ignore-preflight-errors={CHECK}")))
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
