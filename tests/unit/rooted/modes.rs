//! Modes do not depend on the umask, and no key is ever open, not for a moment.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Root, Run, shape, verify};

fn init(root: &Root, umask: &str) {
    let command = root.command(&[]);
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("umask {umask}; exec \"$@\""))
        .arg("sh")
        .arg(command.get_program())
        .args(command.get_args());
    Run::of(shell.output().unwrap()).succeeds();
}

#[test]
fn the_umask_does_not_matter() {
    let expected = Root::made().tree();
    for umask in ["000", "022", "027", "077"] {
        let root = Root::new();
        init(&root, umask);
        assert_eq!(shape(&root.tree()), shape(&expected), "umask {umask}");
        verify::complete(&root, umask);
    }
}

/// Looks at every file below a directory; what goes meanwhile is passed over.
fn look(directory: &Path, open: &mut Vec<String>, looks: &AtomicUsize) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            look(&entry.path(), open, looks);
            continue;
        }
        looks.fetch_add(1, Ordering::Relaxed);
        let name = entry.file_name().to_string_lossy().into_owned();
        let public = name.trim_start_matches('.').trim_end_matches(".kubekeel-new").ends_with(".crt");
        if !public && metadata.mode() & 0o077 != 0 {
            open.push(format!("{} {:04o}", entry.path().display(), metadata.mode() & 0o7777));
        }
    }
}

#[test]
fn nobody_can_race_for_a_key() {
    const RUNS: usize = 50;
    let roots: Vec<_> = (0..RUNS).map(|_| Root::new()).collect();
    let current = AtomicUsize::new(0);
    let (done, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let open = std::thread::scope(|scope| {
        let racer = scope.spawn(|| {
            let mut open = vec![];
            while !done.load(Ordering::Relaxed) {
                look(roots[current.load(Ordering::Relaxed)].directory(), &mut open, &looks);
            }
            open
        });
        for (index, root) in roots.iter().enumerate() {
            current.store(index, Ordering::Relaxed);
            // The widest umask: what is open is open to all.
            init(root, "000");
        }
        done.store(true, Ordering::Relaxed);
        racer.join().unwrap()
    });
    assert!(open.is_empty(), "open to others: {open:?}");
    assert!(looks.load(Ordering::Relaxed) > 100 * RUNS, "the racer was too slow to prove anything");
}
