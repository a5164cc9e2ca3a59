//! Two API servers on one port: whether both answer.

use std::time::{Duration, Instant};

use super::{Goal, Prover, failure, probes};
use crate::diagnose::Diagnosis;
use crate::error::{Kind, Result};
use crate::host;
use crate::host::http::Health;
use crate::host::ports;
use crate::manifest::{self, Component};

/// So many connections in a row have to be answered well. Should the kernel deal them out by chance, because nobody could tell
/// it otherwise, all of them reach the same one of two once in sixteen million times.
const CONNECTIONS: usize = 24;
/// Who listens and is not ready by then will not be: meanwhile every other request goes wrong.
const LONGEST: Duration = Duration::from_secs(60);

impl Prover<'_> {
    /// Waits until the second API server, known by the digest of the new one, runs and answers beside the first.
    pub async fn await_beside(&mut self, digest: &str) -> Result<()> {
        self.beside = Some(digest.to_owned());
        let answered = self.await_both().await;
        self.beside = None;
        answered
    }

    /// Waits until two listen on the API server's port and the second of them answers well.
    pub async fn await_both(&mut self) -> Result<()> {
        self.port_is_shared = true;
        let began = Instant::now();
        let (mut seen, mut nth) = (Health::Refused, 0);
        loop {
            // One that ends meanwhile is a failure with a cause of its own.
            self.climb(&[Component::ApiServer], Goal::Running).await?;
            let looked = Instant::now();
            while looked.elapsed() < Duration::from_secs(1) {
                self.interrupt.check()?;
                if self.listening() < 2 {
                    seen = Health::Refused;
                } else {
                    seen = self.burst(&mut nth).await;
                    if seen == Health::Ready {
                        return Ok(());
                    }
                }
                host::sleep(Duration::from_millis(100)).await;
            }
            if began.elapsed() > LONGEST {
                return Err(failure(
                    Kind::TimedOut,
                    "the new API server does not get ready beside the old one",
                    Some(cause(&seen)),
                ));
            }
        }
    }

    /// How many listen on the API server's port.
    pub fn listening(&self) -> usize {
        let port = manifest::endpoint(Component::ApiServer, self.config).port;
        ports::listeners().into_iter().filter(|listener| listener.port == port).count()
    }

    /// The first answer of the second one that is not well, of many connections one after another.
    async fn burst(&self, nth: &mut u16) -> Health {
        let authority = self.authority();
        for _ in 0..CONNECTIONS {
            // A port that was used is not free again for a minute.
            *nth = nth.wrapping_add(1);
            match probes::ask_second(self.config, &authority, *nth).await {
                Health::Ready => {}
                other => return other,
            }
        }
        Health::Ready
    }
}

fn cause(seen: &Health) -> Diagnosis {
    let (cause, summary) = match seen {
        Health::Refused => {
            ("never-listens", "the new API server runs and does not listen on the shared port".to_owned())
        }
        other => ("never-ready", format!("one of the two API servers does not answer well: {other:?}")),
    };
    Diagnosis {
        cause,
        component: Component::ApiServer.name().into(),
        summary,
        evidence: vec![format!("{CONNECTIONS} new connections in a row were not all answered well")],
        remedy: "read the log of kube-apiserver-beside under /var/log/pods".into(),
    }
}
