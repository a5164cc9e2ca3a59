//! `kubekeel upgrade node`: this node as the cluster's own configuration has it.

use super::super::apply::{Change, only_on_the_machine, proven};
use super::ask::{connect, shared, unreadable};
use super::wishes::Wishes;
use super::{Global, init, report, worker};
use crate::apply::Generations;
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::layout;
use crate::manifest::Component;
use crate::pki::KubeconfigId;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel upgrade node --dry-run     what would change and restart
  kubekeel upgrade node               on a control plane a transaction like any other; elsewhere the kubelet's configuration,
                                      its restart, and the word of the cluster that the Node is Ready";

pub(super) async fn run(global: &Global, wishes: &Wishes) -> Result<()> {
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "upgrade node")?;
    let mut reporter = report::reporter(global.output);
    wishes.tell(reporter.as_mut());
    reporter.finish();
    let there = |path: &str| files.status(path).map(|found| found.is_some()).map_err(|error| unreadable(&error));
    if Generations::new(&files).newest()?.is_some() {
        return Box::pin(control_plane(global, wishes, &files)).await;
    }
    if there(&Component::ApiServer.path())? {
        return Err(Error::new(Kind::Preflight, "this control plane is another tool's; nothing was changed")
            .hint("take it over first: kubekeel adopt"));
    }
    worker::run(global, wishes, &files).await
}

async fn control_plane(global: &Global, wishes: &Wishes, files: &Files) -> Result<()> {
    let admin = layout::kubeconfig(KubeconfigId::Admin.file());
    let api = connect(wishes.kubeconfig.as_deref().unwrap_or(&admin), files).await?;
    let shared = shared(&api).await?;
    let from = proven(&Generations::new(files))?;
    let runs = from.input.config()?;
    wishes.within_time(&runs)?;
    let input = wishes.input_of_cluster(&from, &runs, &shared)?;
    let to = input.config()?.cluster.version;
    let change = Change {
        command: "upgrade node".into(),
        dry_run: wishes.dry_run(),
        force: wishes.force(),
        renew: &wishes.renewal(&runs.cluster.version, &to),
        rotation: None,
        once: &wishes.once,
        min_ready: wishes.min_ready,
        input: &|_, _| Ok(input.clone()),
        print: &|plan| init::show(plan, global.output, false),
    };
    change.run(global).await
}
