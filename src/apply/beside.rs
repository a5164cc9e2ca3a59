//! The second API server, which answers while the first is replaced: it comes, and it goes.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{Applier, failed};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Event;
use crate::host;
use crate::host::cri::Cri;
use crate::host::{machine, service, steer};
use crate::manifest::{self, Component, beside};
use crate::observe;

/// How long the kubelet may take to end the second one: its grace, and a kubelet that is busy.
const LONGEST: Duration = Duration::from_secs(20);

impl Applier<'_> {
    /// Starts the second API server, from the manifest that the first is going to have, and waits until it answers.
    pub(super) async fn start_beside(&mut self) -> Result<()> {
        self.flush()?;
        let inputs = observe::inputs(self.config, self.files).map_err(|error| failed(&error))?;
        let first = manifest::render(Component::ApiServer, self.config, &inputs)?;
        // Connections that wait in the queue of a socket that is closed go to the other one (ip-sysctl, tcp_migrate_req).
        let before = machine::tcp_migrate_req().unwrap_or_default();
        let text = beside::manifest(&first.text, &before)
            .ok_or_else(|| Error::new(Kind::Step, "the manifest of the API server cannot be read back"))?;
        // Without it a connection or two may be reset; no reason to give up.
        let _ = machine::set_tcp_migrate_req("1");
        if let Err(error) = steer::to_first(self.port()) {
            let why = format!("the second one may get requests before it is ready: {error}");
            self.reporter.event(&Event::Warning { problem: Problem::new("kube-apiserver", why) });
        }
        self.stage(beside::path(), Zeroizing::new(text.into_bytes()), 0o600, true);
        self.flush()?;
        host::fault::point("beside written");
        self.prover().await_beside(&first.digest).await?;
        host::fault::point("beside answers");
        Ok(())
    }

    /// Ends the second API server, once the first answers again, and waits until it is gone.
    pub(super) async fn end_beside(&mut self) -> Result<()> {
        self.flush()?;
        self.prover().await_both().await?;
        host::fault::point("both answer");
        self.remove(&beside::path()).await
    }

    /// Waits until the kubelet, or who does it for it, has ended the second API server whose manifest is gone.
    pub(super) async fn see_beside_end(&self) -> Result<()> {
        let fail = |error: &crate::host::cri::CriError| {
            Error::new(Kind::Step, format!("cannot see {} end", beside::BESIDE)).because(error)
        };
        let cri = Cri::connect(&self.config.node.cri_socket).await.map_err(|error| fail(&error))?;
        let began = Instant::now();
        loop {
            let pods = cri.static_pods().await.map_err(|error| fail(&error))?;
            let Some(run) = pods.iter().find(|run| run.name == beside::BESIDE && run.is_alive()) else {
                let _ = steer::to_all(self.port());
                return Ok(());
            };
            let kubelet = service::status(service::KUBELET).await;
            if began.elapsed() > LONGEST || !kubelet.is_ok_and(|kubelet| kubelet.is_running()) {
                cri.end_pod(run, 0).await.map_err(|error| fail(&error))?;
            }
            host::sleep(Duration::from_millis(100)).await;
        }
    }

    fn port(&self) -> u16 {
        manifest::endpoint(Component::ApiServer, self.config).port
    }

    /// Puts the kernel's switch back, when the manifest of the second API server is about to go.
    pub(super) fn put_switch_back(&self) {
        let bytes = self.files.read(&beside::path()).ok().flatten().unwrap_or_default();
        if let Some(before) = beside::migrate_before(&String::from_utf8_lossy(&bytes)) {
            let _ = machine::set_tcp_migrate_req(&before);
        }
    }
}
