//! `kubekeel adopt`: a control plane that kubeadm made becomes ours, without a restart.

use std::path::PathBuf;
use std::time::Instant;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;

use super::apply::only_on_the_machine;
use super::{Global, Output, init, output, report};
use crate::adopt::{self, Adoption, Edit, Found};
use crate::apply::{self, Generations};
use crate::cluster::Object;
use crate::config::Facts;
use crate::error::{Error, Kind, Result};
use crate::event::Event;
use crate::host::api::ApiServer;
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::host::{facts, lock};
use crate::manifest::{self, Component};
use crate::plan::{self, Options, Plan, Step};
use crate::{kubeconfig, layout, observe};

const EXAMPLES: &str = "\
Examples:
  kubekeel adopt --dry-run         what was edited by hand, and what the next apply would change
  kubekeel adopt                   prove what runs and keep it as generation 1; nothing restarts
  kubekeel adopt --config cluster.yaml
                                   with a ClusterConfiguration of your own, when the cluster has none";

/// Arguments of `adopt`.
#[derive(Debug, Clone, Args)]
struct Adopt {
    /// A ClusterConfiguration to take instead of the one that kubeadm keeps in the cluster
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show what would be adopted and keep nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn command() -> Command {
    Adopt::augment_args(Command::new("adopt"))
        .about("Takes over a control plane that kubeadm made, as it runs: hand edits become configuration or patches")
        .long_about(None)
        .after_help(EXAMPLES)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let began = Instant::now();
    let args = Adopt::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "adopt")?;
    let mut reporter = report::reporter(global.output);
    let interrupt = Interrupt::listen();
    let _lock = if args.dry_run { None } else { Some(lock::take(layout::LOCK.as_ref(), "adopt")?) };
    if let Some(number) = Generations::new(&files).numbers()?.last() {
        return Err(Error::new(Kind::Preflight, format!("this node is kubekeel's already, with generation {number}"))
            .hint("`kubekeel history` lists its generations"));
    }
    let facts = facts::detect().await;
    let found = find(&args, &files, &facts).await?;
    let look = |config: &_| observe::inputs(config, &files).map_err(|error| unreadable(&error));
    let adoption = adopt::adopt(&found, &facts, &look)?;
    let config = adoption.input.config()?;
    let mut seen = observe::observe(&config, &files).await?;
    seen.inventory = apply::adoption::inventory(&seen)?;
    let wants = init::wants(None, &config, &files);
    let plan = plan::plan(&wants, &config, &seen, Options::default())?;
    keeps_its_manifests(&plan)?;
    if !args.dry_run {
        let adopted =
            apply::adoption::adopt(&adoption.input, &config, &seen.inventory, &files, &interrupt, reporter.as_mut());
        let result = adopted.await;
        if result.is_ok() {
            reporter.event(&Event::Proven { elapsed: began.elapsed() });
        }
        reporter.finish();
        result?;
    }
    show(&adoption, &plan, global.output, args.dry_run);
    Ok(())
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Preflight, "cannot look at the node").because(error)
}

/// Everything on the node and in the cluster that says what kubeadm made.
async fn find(args: &Adopt, files: &Files, facts: &Facts) -> Result<Found> {
    let read = |path: &str| -> Result<String> {
        let bytes = files.read(path).map_err(|error| unreadable(&error))?;
        let bytes = bytes.ok_or_else(|| {
            Error::new(Kind::Preflight, format!("{path} is missing: this is no node that kubeadm made"))
                .hint("use `kubekeel init` for a new node")
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut found = Found { kubelet: read(layout::KUBELET_CONFIG)?, ..Found::default() };
    for component in Component::ALL {
        let external =
            component == Component::Etcd && files.status(&component.path()).is_ok_and(|found| found.is_none());
        if external {
            continue;
        }
        let text = read(&component.path())?;
        let pod = manifest::read(&text).map_err(|error| {
            Error::new(Kind::Preflight, format!("{} is no static pod", component.path())).because(&error)
        })?;
        found.pods.insert(component, pod.pod);
    }
    let kubelet = kubeconfig::parse(read(&layout::kubeconfig("kubelet.conf"))?.as_bytes()).ok();
    let user = kubelet.and_then(|kubelet| Some(kubelet.user.strip_prefix("system:node:")?.to_owned()));
    found.node = user.or_else(|| facts.hostname.clone()).unwrap_or_default().to_lowercase();

    let admin = read(&layout::kubeconfig("admin.conf"))?;
    let server = kubeconfig::parse(admin.as_bytes()).map_err(|error| unreadable(&error))?.server;
    let api = ApiServer::connect(admin.as_bytes(), &server).await.map_err(|error| unreadable(&error))?;
    let get = async |kind: &str, name: &str| {
        let version = if kind == "ConfigMap" { "v1" } else { "apps/v1" };
        let metadata = json!({"name": name, "namespace": "kube-system"});
        api.get(&Object::new(json!({"apiVersion": version, "kind": kind, "metadata": metadata}))).await.map_err(
            |error| Error::new(Kind::Preflight, "the API server does not tell what kubeadm made").because(&error),
        )
    };
    found.cluster = if let Some(path) = &args.config {
        init::read_config(path)?.1
    } else {
        let map = get("ConfigMap", "kubeadm-config").await?.unwrap_or_default();
        map["data"]["ClusterConfiguration"].as_str().map(str::to_owned).ok_or_else(|| {
            Error::new(Kind::Preflight, "the cluster has no ConfigMap kube-system/kubeadm-config")
                .hint("say what kubeadm was told with --config")
        })?
    };
    let add_ons = [("addon/coredns", "Deployment", "coredns"), ("addon/kube-proxy", "DaemonSet", "kube-proxy")];
    for (phase, kind, name) in add_ons {
        if get(kind, name).await?.is_none() {
            found.without.push(phase.to_owned());
        }
    }
    let node = api.node(&found.node).await.map_err(|error| unreadable(&error))?.unwrap_or_default();
    found.tainted = node.taints.iter().any(|taint| taint.key == "node-role.kubernetes.io/control-plane");
    Ok(found)
}

/// An adopted pod keeps running: a plan that replaces its manifest means that the two are not the same after all.
fn keeps_its_manifests(plan: &Plan) -> Result<()> {
    let replaced: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| if let Step::WriteManifest { component, .. } = step { Some(component.name()) } else { None })
        .collect();
    if replaced.is_empty() {
        return Ok(());
    }
    let message =
        format!("the next apply would replace {}, so they cannot be adopted as they are", replaced.join(", "));
    Err(Error::new(Kind::Preflight, message).hint("nothing was changed"))
}

fn show(adoption: &Adoption, plan: &Plan, output: Output, dry_run: bool) {
    if output != Output::Text {
        let plan = serde_json::to_value(plan).unwrap_or_default();
        let edits = serde_json::to_value(&adoption.edits).unwrap_or_default();
        return output::data(output, &json!({"event": "adoption", "edits": edits, "next": plan}));
    }
    let mut lines: Vec<String> = adoption.edits.iter().map(describe).collect();
    if lines.is_empty() {
        lines.push("The manifests are what kubeadm wrote.".into());
    }
    if plan.changes_anything() {
        let changes = Plan { kept: vec![], ..plan.clone() };
        lines.push(format!("\nThe next `kubekeel apply` would do:\n{changes}"));
    }
    lines.push(if dry_run { "\nNothing was adopted." } else { "\nThis node is kubekeel's now: generation 1." }.into());
    output::print(lines.join("\n").trim_start());
}

fn describe(edit: &Edit) -> String {
    match edit {
        Edit::Flag { component, name, values } => {
            let flags: Vec<_> = values.iter().map(|value| format!("--{name}={value}")).collect();
            format!("{component}: edited by hand, kept as extraArgs: {}", flags.join(" "))
        }
        Edit::Patch { component, text } => {
            format!("{component}: edited by hand, kept as a patch:\n    {}", text.trim_end().replace('\n', "\n    "))
        }
    }
}
