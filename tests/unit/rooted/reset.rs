//! `reset` below a root: what `init` made goes, what was there before stays, and a killed one is finished by the next.

use std::process::{Command, Stdio};

use super::{INVENTORY, Root, Run};

fn reset(root: &Root, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).args(["reset", "--yes"]).args(more);
    command.stdin(Stdio::null()).env_remove("KUBEKEEL_KILL_AT").env_remove("KUBEKEEL_COUNT_FAULTS");
    command
}

fn run(root: &Root, more: &[&str]) -> Run {
    Run::of(reset(root, more).output().unwrap())
}

/// Names, modes and contents; what a directory's entries did to its times does not matter.
fn contents(root: &Root) -> Vec<(String, u32, Option<String>)> {
    let digest = |content: Vec<u8>| kubekeel::observe::sha256(&content);
    root.settled().into_iter().map(|(path, entry)| (path, entry.mode, entry.content.map(digest))).collect()
}

#[test]
fn what_was_there_before_is_there_after_and_nothing_else() {
    let root = Root::new();
    std::fs::create_dir_all(root.at("/etc/kubernetes/pki")).unwrap();
    std::fs::create_dir_all(root.at("/var/lib/etcd")).unwrap();
    root.write("/etc/kubernetes/pki/theirs.crt", "x");
    let before = contents(&root);
    root.init(&[]).succeeds();
    let made = contents(&root);
    let dry = run(&root, &["--dry-run"]).succeeds();
    assert!(dry.stdout.contains("remove /etc/kubernetes/pki/ca.key"), "{}", dry.stdout);
    assert_eq!(contents(&root), made, "a dry-run changes nothing");
    run(&root, &[]).succeeds();
    assert_eq!(contents(&root), before);
    assert!(run(&root, &[]).succeeds().stdout.contains("Nothing was made"));
}

#[test]
fn edited_files_and_links_stay_unless_forced() {
    let root = Root::made();
    root.write("/etc/kubernetes/admin.conf", "edited");
    root.remove("/etc/kubernetes/pki/sa.pub");
    std::fs::write(root.at("/precious"), "gold").unwrap();
    std::os::unix::fs::symlink(root.at("/precious"), root.at("/etc/kubernetes/pki/sa.pub")).unwrap();
    let left = run(&root, &[]).succeeds().stdout;
    assert!(left.contains("/etc/kubernetes/admin.conf: somebody edited it"), "{left}");
    assert!(left.contains("/etc/kubernetes/pki/sa.pub: it is no file any more"), "{left}");
    assert_eq!(root.read("/etc/kubernetes/admin.conf"), b"edited");
    assert_eq!(root.read("/precious"), b"gold");
    assert!(!root.at("/etc/kubernetes/pki/ca.key").exists());
    assert!(!root.at(INVENTORY).exists());

    let root = Root::made();
    root.write("/etc/kubernetes/admin.conf", "edited");
    run(&root, &["--force"]).succeeds();
    assert!(contents(&root).iter().all(|(path, ..)| !path.starts_with("/etc/kubernetes")), "{:?}", contents(&root));
}

#[test]
fn an_inventory_that_cannot_be_read_stops_it_before_anything_is_removed() {
    let root = Root::made();
    let bytes = root.read(INVENTORY);
    root.write(INVENTORY, &bytes[..bytes.len() / 2]);
    let before = contents(&root);
    run(&root, &[]).exits(2).says(&["inventory.json is unreadable"]);
    assert_eq!(contents(&root), before);
}

#[cfg(feature = "faults")]
#[test]
fn killed_at_every_point_it_is_finished_by_the_next() {
    let made = Root::made();
    let counted = made.copy();
    let points = counted.at("/points");
    let done = Run::of(reset(&counted, &[]).env("KUBEKEEL_COUNT_FAULTS", &points).output().unwrap());
    done.succeeds();
    let count = std::fs::read_to_string(&points).unwrap().lines().count();
    assert!(count > 30, "{count} points");
    std::fs::remove_file(points).unwrap();
    let after = contents(&counted);
    for point in 1..=count {
        let root = made.copy();
        let killed = Run::of(reset(&root, &[]).env("KUBEKEEL_KILL_AT", point.to_string()).output().unwrap());
        assert_eq!(killed.signal, Some(9), "point {point} was not reached");
        run(&root, &[]).succeeds();
        assert_eq!(contents(&root), after, "after point {point}");
    }
}
