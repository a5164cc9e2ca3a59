//! One run at a time: `flock` on a file that names its holder. The kernel lets go when the holder dies.

use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::error::{Error, Kind, Result};

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

/// How long one that merely looks may be in the way.
const GLANCE: Duration = Duration::from_millis(10);

/// Takes the lock, or fails and names the holder.
pub fn take(path: &Path, command: &str) -> Result<Lock> {
    let mut file = open(path)?;
    let lock = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    let locked = lock().or_else(|_| {
        std::thread::sleep(GLANCE);
        lock()
    });
    if let Err(error) = locked {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = holder.lines().next().unwrap_or("").to_owned();
        let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
        return Err(match error {
            rustix::io::Errno::WOULDBLOCK => {
                Error::new(Kind::Locked, format!("another run holds {}: {holder}", path.display()))
                    .hint("wait until it is done; the lock goes with the process that holds it")
            }
            error => Error::new(Kind::Preflight, format!("cannot lock {}", path.display())).because(&error),
        });
    }
    let note = format!("pid {} ({command})\n", std::process::id());
    // The note is a courtesy to the next run; the lock holds without it.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    Ok(Lock { _file: file })
}

/// Whether somebody holds the lock.
pub fn is_held(path: &Path) -> Result<bool> {
    match rustix::fs::flock(&open(path)?, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => {
            Err(Error::new(Kind::Preflight, format!("cannot look at the lock {}", path.display())).because(&error))
        }
    }
}

fn open(path: &Path) -> Result<std::fs::File> {
    let open = || {
        if let Some(parent) = path.parent() {
            super::fs::make_directory(parent, 0o755)?;
        }
        // Nobody else may hold the lock: whoever can open the file can.
        std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
    };
    open().map_err(|error| {
        Error::new(Kind::Preflight, format!("cannot open the lock {}", path.display()))
            .because(&error)
            .hint("run kubekeel as root")
    })
}
