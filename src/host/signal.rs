//! SIGINT and SIGTERM ask the run to stop at its next safe point.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Kind};

/// Whether somebody asked the run to stop. Cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

const INTERRUPTED: u8 = 1;
const TERMINATED: u8 = 2;

impl Interrupt {
    /// Listens for both signals from now on. Needs a runtime.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        for (kind, value) in [(SignalKind::interrupt(), INTERRUPTED), (SignalKind::terminate(), TERMINATED)] {
            let flag = interrupt.0.clone();
            if let Ok(mut stream) = signal(kind) {
                tokio::spawn(async move {
                    while stream.recv().await.is_some() {
                        flag.store(value, Ordering::SeqCst);
                    }
                });
            }
        }
        interrupt
    }

    /// A safe point: fails when the run was asked to stop.
    pub fn check(&self) -> Result<(), Error> {
        let kind = match self.0.load(Ordering::SeqCst) {
            INTERRUPTED => Kind::Interrupted,
            TERMINATED => Kind::Terminated,
            _ => return Ok(()),
        };
        Err(Error::new(kind, "stopped at a safe point, as asked")
            .hint("run the same command again: it goes on with what is left"))
    }
}
