//! Keys made on all processors while the steps go on: one is as good as another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use crate::config::KeyAlgorithm;
use crate::error::{Error, Kind, Result};
use crate::pki::Key;
use crate::plan::Step;

/// How many keys a step needs.
pub(super) fn needed(step: &Step) -> usize {
    match step {
        Step::IssueCertificate { new_key, .. } | Step::GenerateServiceAccountKey { new_key } => usize::from(*new_key),
        Step::WriteKubeconfig { .. } | Step::SucceedAuthority { .. } => 1,
        _ => 0,
    }
}

/// A supply of new keys.
pub(super) struct KeyPool {
    keys: mpsc::Receiver<Result<Key>>,
}

impl KeyPool {
    /// Starts making `count` keys.
    pub(super) fn start(algorithm: KeyAlgorithm, count: usize) -> Self {
        let (sender, keys) = mpsc::channel();
        let left = Arc::new(AtomicUsize::new(count));
        let workers = std::thread::available_parallelism().map_or(1, usize::from).min(count);
        for _ in 0..workers {
            let (sender, left) = (sender.clone(), Arc::clone(&left));
            std::thread::spawn(move || {
                while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    let key = Key::generate(algorithm)
                        .map_err(|error| Error::new(Kind::Step, "cannot make a key").because(&error));
                    if sender.send(key).is_err() {
                        return;
                    }
                }
            });
        }
        Self { keys }
    }

    /// The next key.
    pub(super) fn take(&self) -> Result<Key> {
        self.keys.recv().unwrap_or_else(|_| Err(Error::new(Kind::Step, "the supply of keys ended early")))
    }
}
