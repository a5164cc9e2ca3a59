//! Putting what a snapshot holds in the place of what etcd holds: unpacked beside it, swapped in one rename, and swapped back
//! when what comes up is not well.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Applier, failed};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::cri::{Cri, CriError};
use crate::host::evidence;
use crate::host::fs::Files;
use crate::host::service;
use crate::manifest::{self, Component, unpack};
use crate::observe;
use crate::observed::{ContainerState, PodRun};

/// How long unpacking may take: a database of the largest size that etcd allows, 8 GiB, on a slow disk.
const LONGEST: Duration = Duration::from_secs(600);

/// The data directory that was there before a restore, for who has to put it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdData {
    /// Where etcd's data is, `/var/lib/etcd/member`.
    pub member: String,
    /// The directory that the other one is in.
    pub directory: String,
    /// Which directory `member` was; none when there was none.
    pub inode: Option<u64>,
}

impl EtcdData {
    /// The data as it is now, before `directory` is made.
    pub fn now(config: &Config, directory: &str, files: &Files) -> Result<Self> {
        let member = format!("{}/member", config.cluster.etcd.data_dir);
        let inode = files.inode(&member).map_err(|error| failed(&error))?;
        Ok(Self { member, directory: directory.to_owned(), inode })
    }

    fn other(&self) -> String {
        format!("{}/member", self.directory)
    }

    /// Puts the data back that was there before, when something else is in its place; etcd must not run.
    async fn put_back(&self, config: &Config, files: &Files) -> Result<()> {
        let inode = |path: &str| files.inode(path).map_err(|error| failed(&error));
        let (is, other) = (inode(&self.member)?, inode(&self.other())?);
        // Otherwise it was not swapped yet, or is swapped back already.
        if is != self.inode && other == self.inode {
            stop(config).await?;
            files.swap(&self.member, &self.other()).map_err(|error| failed(&error))?;
        }
        // Only what was unpacked is in the directory now.
        if self.inode.is_some() && inode(&self.member)? == self.inode {
            files
                .remove_tree(&self.directory)
                .map_err(|errors| errors.first().map_or_else(unremoved, |error| failed(error)))?;
        }
        Ok(())
    }
}

fn unremoved() -> Error {
    Error::new(Kind::Step, "what was unpacked cannot be removed")
}

/// Puts etcd's data back after a restore that failed.
pub(super) async fn put_back(data: Option<&EtcdData>, config: &Config, files: &Files) -> Result<()> {
    if files.status(&unpack::path()).ok().flatten().is_some() {
        files.remove(&unpack::path()).map_err(|error| failed(&error))?;
    }
    match data {
        Some(data) => data.put_back(config, files).await,
        None => Ok(()),
    }
}

/// Ends the control plane under a stopped kubelet.
async fn stop(config: &Config) -> Result<()> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, "cannot stop what uses etcd's data").because(error)
    };
    service::control("stop", service::KUBELET).await.map_err(|error| fail(&error))?;
    let cri = Cri::connect(&config.node.cri_socket).await.map_err(|error| fail(&error))?;
    let own = |name: &str| Component::named(name).is_some();
    for run in cri.static_pods().await.map_err(|error| fail(&error))? {
        if own(&run.name) && run.is_alive() {
            cri.end_pod(&run, 0).await.map_err(|error| fail(&error))?;
        }
    }
    Ok(())
}

impl Applier<'_> {
    /// Has the kubelet run a pod that unpacks the snapshot, and waits for its end.
    pub(super) async fn unpack_snapshot(&mut self, snapshot: &str, directory: &str) -> Result<()> {
        // Those of earlier restores may still be known to the runtime.
        let earlier: Vec<_> = self.unpacking().await?.into_iter().map(|run| run.sandbox).collect();
        let inputs = observe::inputs(self.config, self.files).map_err(|error| failed(&error))?;
        let etcd = manifest::render(Component::Etcd, self.config, &inputs)?;
        let text = unpack::manifest(&etcd.text, snapshot, directory)
            .ok_or_else(|| Error::new(Kind::Step, "the manifest of etcd cannot be read back"))?;
        self.stage(unpack::path(), Zeroizing::new(text.into_bytes()), 0o600, true);
        self.flush()?;
        host::fault::point("unpacking");
        let ended = self.await_unpacked(&earlier).await;
        self.remove(&unpack::path()).await?;
        ended?;
        let member = format!("{directory}/member");
        match self.files.inode(&member).map_err(|error| failed(&error))? {
            Some(_) => Ok(()),
            None => Err(Error::new(Kind::Step, format!("unpacking ended well and made no {member}"))),
        }
    }

    /// The pods that unpack, or did.
    async fn unpacking(&self) -> Result<Vec<PodRun>> {
        let fail = |error: CriError| Error::new(Kind::Step, "cannot see the snapshot being unpacked").because(&error);
        let cri = Cri::connect(&self.config.node.cri_socket).await.map_err(fail)?;
        let runs = cri.static_pods().await.map_err(fail)?;
        Ok(runs.into_iter().filter(|run| run.name == unpack::UNPACK).collect())
    }

    async fn await_unpacked(&mut self, earlier: &[String]) -> Result<()> {
        let began = Instant::now();
        loop {
            self.interrupt.check()?;
            let mut runs = self.unpacking().await?;
            runs.retain(|run| !earlier.contains(&run.sandbox));
            let mut containers = runs.iter().flat_map(|run| &run.containers);
            if let Some(container) = containers.find(|container| container.state == ContainerState::Exited) {
                if container.exit_code == 0 {
                    return Ok(());
                }
                let mut error = Error::new(Kind::Step, "the snapshot cannot be unpacked");
                for line in evidence::log(&runs) {
                    error = error.hint(line);
                }
                return Err(error);
            }
            if began.elapsed() > LONGEST {
                return Err(Error::new(Kind::TimedOut, "the snapshot was not unpacked in ten minutes")
                    .hint("read `journalctl -u kubelet`, and the log of etcd-restore under /var/log/pods"));
            }
            host::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Puts the unpacked data in the place of etcd's, in one rename.
    pub(super) fn swap_etcd_data(&mut self, directory: &str) -> Result<()> {
        self.flush()?;
        let member = format!("{}/member", self.config.cluster.etcd.data_dir);
        self.files.swap(&member, &format!("{directory}/member")).map_err(|error| failed(&error))?;
        host::fault::point("data swapped");
        Ok(())
    }
}
