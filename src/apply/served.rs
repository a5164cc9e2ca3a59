//! Proof that what is shown on the ports is what is in the files.
//!
//! The API server, the controllers and etcd reread serving certificates by themselves; what does not is restarted once.

use std::time::{Duration, Instant};

use super::{Applier, failed};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Event;
use crate::host;
use crate::host::http;
use crate::manifest::{self, Component, Served};
use crate::pki::Certificate;
use crate::plan::KubeletAction;

/// How long a component may take to reread a file before its pod is restarted. etcd rereads for each connection, the API
/// server when it is told that the directory changed; the latter's other clock is a minute, longer than a restart.
const PATIENCE: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_millis(100);

/// A port that shows something else than its file holds.
struct Stale {
    served: Served,
    why: String,
}

impl Applier<'_> {
    /// Compares every port with its file, and restarts those who go on showing what they read once.
    pub(super) async fn prove_served(&mut self, components: &[Component]) -> Result<()> {
        self.flush()?;
        let mut left: Vec<_> = manifest::served(self.config);
        left.retain(|served| components.contains(&served.component));
        let stale = self.compare(left).await?;
        if stale.is_empty() {
            return Ok(());
        }
        for Stale { served, why } in &stale {
            let message = format!("port {}: {why}; its pod is restarted", served.port);
            self.reporter.event(&Event::Warning { problem: Problem::new(served.component.name(), message) });
        }
        let mut pods: Vec<_> = stale.iter().map(|stale| stale.served.component).collect();
        if pods.contains(&Component::Etcd) {
            // Without etcd it would keep the kubelet, which has to start etcd, waiting.
            pods.push(Component::ApiServer);
        }
        pods.sort_unstable();
        pods.dedup();
        self.kubelet(KubeletAction::Stop).await?;
        for component in pods {
            self.end_pod(component, 0).await?;
            self.made.restarted.push(component);
        }
        self.kubelet(KubeletAction::Restart).await?;
        self.prover().prove(components).await?;
        let stale = self.compare(stale.into_iter().map(|stale| stale.served).collect()).await?;
        if stale.is_empty() {
            return Ok(());
        }
        let problem = |stale: &Stale| {
            let subject = format!("{} on port {}", stale.served.component.name(), stale.served.port);
            Problem::new(subject, &stale.why)
        };
        let message = "after a restart there is still another certificate than in the file";
        Err(Error::problems(Kind::Step, message, stale.iter().map(problem).collect()))
    }

    /// Looks until all ports show what their files hold, or for as long as [`PATIENCE`]; gives those that do not.
    async fn compare(&mut self, ports: Vec<Served>) -> Result<Vec<Stale>> {
        let began = Instant::now();
        let mut left: Vec<_> = ports.into_iter().map(|served| Stale { served, why: String::new() }).collect();
        loop {
            let mut stale = vec![];
            for Stale { served, .. } in left {
                match self.difference(&served).await? {
                    Some(why) => stale.push(Stale { served, why }),
                    None => self.reporter.event(&Event::Served {
                        component: served.component,
                        port: served.port,
                        certificate: served.certificate,
                        elapsed: began.elapsed(),
                    }),
                }
            }
            if stale.is_empty() || began.elapsed() > PATIENCE {
                return Ok(stale);
            }
            left = stale;
            self.interrupt.check()?;
            host::sleep(PERIOD).await;
        }
    }

    /// In what a port differs from its file; nothing to compare is no difference.
    async fn difference(&self, served: &Served) -> Result<Option<String>> {
        let Some(path) = &served.certificate else {
            // It makes its own when it starts; that there is one is all that can be seen.
            return Ok(http::shown(&served.host, served.port).await.err());
        };
        let bytes = self.files.read(path).map_err(|error| failed(&error))?.unwrap_or_default();
        let wanted = match Certificate::parse(&bytes) {
            Ok(certificate) => certificate,
            Err(error) => return Ok(Some(format!("{path}: {error}"))),
        };
        Ok(match http::shown(&served.host, served.port).await {
            Ok(der) if der == wanted.der => None,
            Ok(der) => {
                let shown = Certificate::from_der(der);
                let serial = shown.map_or_else(|_| "another".into(), |shown| format!("serial {}", shown.serial));
                Some(format!("it still shows the certificate with {serial}, and {path} has serial {}", wanted.serial))
            }
            Err(error) => Some(error),
        })
    }
}
