//! `kubekeel etcd snapshot restore`: what a snapshot holds takes the place of what etcd holds, proven, or nothing changes.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use serde_json::json;

use super::apply::{only_on_the_machine, proven};
use super::{Global, Output, init, output, report};
use crate::apply::{EtcdData, Generations, Transaction, snapshot};
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::host::{self, lock};
use crate::layout;
use crate::observe;
use crate::plan::{self, Step};
use crate::preflight;

/// What is asked for.
pub(super) struct Restore {
    /// The snapshot, an absolute path.
    pub(super) path: String,
    /// Print the plan and change nothing.
    pub(super) dry_run: bool,
    /// Nobody is asked.
    pub(super) yes: bool,
}

pub(super) async fn run(global: &Global, restore: &Restore) -> Result<()> {
    let began = Instant::now();
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "etcd snapshot restore")?;
    let findings = snapshot::verify(&restore.path, &files, report::reporter(global.output).as_mut())?;
    let generations = Generations::new(&files);
    let _lock = if restore.dry_run { None } else { Some(lock::take(layout::LOCK.as_ref(), "etcd snapshot restore")?) };
    let mut reporter = report::reporter(global.output);
    if !restore.dry_run {
        crate::apply::recover(&files, reporter.as_mut()).await?;
    }
    let from = proven(&generations)?;
    let config = from.input.config()?;
    if config.cluster.external_etcd.is_some() {
        return Err(Error::new(Kind::Configuration, "etcd runs elsewhere, and so does its data"));
    }
    let seen = observe::observe(&config, &files).await?;
    if !seen.kubelet.as_ref().is_some_and(host::service::ServiceStatus::is_running) {
        return Err(Error::new(Kind::Preflight, "the kubelet, which unpacks the snapshot, does not run")
            .hint("systemctl start kubelet"));
    }
    let data = &config.cluster.etcd.data_dir;
    // The unpacked database, and its first write-ahead log of 64 MB.
    let needed = findings.size + (128 << 20);
    let free =
        files.free_bytes(data).map_err(|error| Error::new(Kind::Preflight, "no look at the disk").because(&error))?;
    if free < needed {
        let message = format!("{} MiB are needed at {data}, and {} MiB are free", needed >> 20, free >> 20);
        return Err(Error::new(Kind::Preflight, message).hint("the data of now is kept beside the restored one"));
    }
    let plan = plan::restore(&restore.path, &config, &seen);
    if restore.dry_run {
        return init::show(&plan, global.output, false);
    }
    if !restore.yes {
        confirm(&restore.path)?;
    }
    let directory = plan.steps.iter().find_map(|step| match step {
        Step::UnpackSnapshot { directory, .. } => Some(directory.clone()),
        _ => None,
    });
    let directory = directory.unwrap_or_default();
    let interrupt = Interrupt::listen();
    let inputs = preflight::look(&config, &seen, &files, None).await;
    preflight::pull(&inputs, &interrupt, reporter.as_mut()).await?;
    let transaction = Transaction {
        command: "etcd snapshot restore".into(),
        from: &from,
        to: None,
        input: &from.input,
        config: &config,
        files: &files,
        began,
        min_ready: Duration::from_secs(5),
        was_well: false,
        interrupt: &interrupt,
        etcd_data: Some(EtcdData::now(&config, &directory, &files)?),
    };
    let result = transaction.run(&plan, &seen, reporter.as_mut()).await;
    reporter.finish();
    result?;
    let before = files.status(&format!("{directory}/member")).ok().flatten().map(|_| directory);
    match global.output {
        Output::Text => {
            let kept =
                before.map(|path| format!(" What etcd held before is in {path}; remove it when nobody misses it."));
            output::print(&format!("etcd holds what {} holds, proven.{}", restore.path, kept.unwrap_or_default()));
        }
        form => output::data(form, &json!({"event": "restored", "snapshot": restore.path, "before": before})),
    }
    Ok(())
}

/// What was written after the snapshot is gone from the cluster, so somebody has to want it.
fn confirm(path: &str) -> Result<()> {
    let refused = || Error::new(Kind::Configuration, "nobody said yes; nothing was changed");
    if !std::io::stdin().is_terminal() {
        return Err(refused().hint("say it with --yes; --dry-run shows what would be done"));
    }
    output::print(&format!("The cluster goes back to {path}: what was written since is lost to it. Type yes:"));
    let answer = host::read_line().map_err(|error| refused().because(&error))?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refused()) }
}
