//! Fault points: places where a test kills the process, one after another.
//!
//! Compiled in with the feature `faults` only. `KUBEKEEL_KILL_AT=<n>` sends SIGKILL to the process when it passes its
//! n-th point (from 1); `KUBEKEEL_COUNT_FAULTS=<file>` counts the points of an undisturbed run.

/// Passes a fault point.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn point(_name: &str) {}

/// Passes a fault point.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(file) = std::env::var_os("KUBEKEEL_COUNT_FAULTS")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(file)
    {
        let _ = writeln!(file, "{number} {name}");
    }
    let wanted = std::env::var("KUBEKEEL_KILL_AT").ok().and_then(|n| n.parse::<usize>().ok());
    if wanted == Some(number) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
