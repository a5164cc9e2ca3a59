//! One run at a time: `flock` on a file that names its holder. The kernel lets go when the holder dies.

use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::error::{Error, Kind, Result};

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

/// Takes the lock, or fails at once and names the holder.
pub fn take(path: &Path, command: &str) -> Result<Lock> {
    let open = || {
        if let Some(parent) = path.parent() {
            super::fs::make_directory(parent, 0o755)?;
        }
        // Nobody else may hold the lock: whoever can open the file can.
        std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
    };
    let mut file = open().map_err(|error| {
        Error::new(Kind::Preflight, format!("cannot open the lock {}", path.display()))
            .because(&error)
            .hint("run kubekeel as root")
    })?;
    if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
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
