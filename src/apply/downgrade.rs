//! Taking etcd's data back to an older minor, which etcd can do itself while it runs, and without losing anything.

use std::time::Duration;

use super::snapshot;
use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::host;
use crate::host::fs::Files;

/// How often etcd is asked, and how often at most: its monitors look every few seconds (`server/etcdserver/server.go`,
/// `monitorDowngradeInterval`).
const EVERY: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 300;

/// Waits for an etcd that the kubelet is about to start; true when it answers now and did not at first.
pub(super) async fn wait_for_etcd(config: &Config, files: &Files) -> bool {
    for attempt in 0..ATTEMPTS {
        if let Ok(etcd) = snapshot::connect(config, files).await
            && etcd.status().await.is_ok()
        {
            return attempt > 0;
        }
        host::sleep(EVERY).await;
    }
    false
}

/// Has etcd write only what `minor` (`3.6`) can read, and waits until all of its data is so.
///
/// An etcd that does not answer is passed over with a warning: perhaps it never wrote anything newer, and if it did, the
/// older one says so when it starts.
pub(super) async fn run(config: &Config, files: &Files, minor: &str, reporter: &mut dyn Reporter) -> Result<()> {
    let etcd = match snapshot::connect(config, files).await {
        Ok(etcd) => etcd,
        Err(error) => {
            let problem = Problem::new("etcd", format!("its data may be of a newer minor than {minor}: {error}"));
            reporter.event(&Event::Warning { problem });
            return Ok(());
        }
    };
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, format!("etcd's data cannot go back to {minor}")).because(error)
    };
    let version = format!("{minor}.0");
    let is_older = |version: &str| version.starts_with(&format!("{minor}."));
    for _ in 0..ATTEMPTS {
        let status = etcd.status().await.map_err(|error| fail(&error))?;
        let allowed = status.downgrade.is_some_and(|downgrade| downgrade.enabled && is_older(&downgrade.target));
        if is_older(&status.version) || (allowed && is_older(&status.storage_version)) {
            return Ok(());
        }
        if !allowed
            && let Err(error) = etcd.enable_downgrade(&version).await
            && !PASSING.iter().any(|passing| error.message.contains(passing))
        {
            return Err(fail(&error));
        }
        host::sleep(EVERY).await;
    }
    Err(Error::new(
        Kind::TimedOut,
        format!("etcd's data did not go back to {minor} within {} s", (EVERY * ATTEMPTS).as_secs()),
    )
    .hint("see `etcdctl downgrade validate` and etcd's log; nothing else was changed"))
}

/// Refusals that pass (`api/v3rpc/rpctypes/error.go`): a downgrade is on its way, or an etcd that started a moment ago has
/// not told its cluster yet that it is newer.
const PASSING: [&str; 2] = ["in-progress downgrade", "invalid downgrade target version"];
