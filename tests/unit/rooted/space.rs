//! File systems that do not let us: read-only ones, and full ones. Mounting needs root.

use std::process::Command;

use super::{PKI, Root, assert_same, keys, verify};

/// A tmpfs over a root's tree, unmounted when dropped.
struct Mounted {
    root: Root,
}

impl Mounted {
    fn new(options: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("not tested: only root can mount");
            return None;
        }
        let root = Root::new();
        mount(&["-t", "tmpfs", "-o", options, "none", root.directory().to_str().unwrap()]);
        Some(Self { root })
    }

    fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}"), self.root.directory().to_str().unwrap()]);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.root.directory()).status();
    }
}

fn mount(args: &[&str]) {
    assert!(Command::new("mount").args(args).status().unwrap().success(), "mount {args:?}");
}

const ROOMY: &str = "size=4m,nr_inodes=1000";

/// The configuration that asks for changes on a tree that is made.
const CHANGE: &str =
    "networking:\n  serviceSubnet: 10.128.0.0/16\n  dnsDomain: keel.local\ncontrolPlaneEndpoint: keel.example:6443\n";

#[test]
fn a_full_file_system_stops_a_first_run() {
    // Bytes run out, or names do. The tree needs about 38 files of one page and 11 directories.
    let sizes = (0..36).step_by(5).map(|pages| format!("size={}k,nr_inodes=1000", 4 * (pages + 2)));
    let names = (4..48).step_by(6).map(|names| format!("size=4m,nr_inodes={names}"));
    for options in sizes.chain(names) {
        let Some(mounted) = Mounted::new(&options) else { return };
        let root = &mounted.root;
        // Something that was there before.
        std::fs::write(root.at("/own"), "the administrator's\n").unwrap();
        let run = root.init(&[]);
        assert!(matches!(run.code, Some(1 | 2)), "{options}: {run:#?}");
        let run = run.says(&["No space left on device", "hint:"]);
        assert!(
            run.stderr.contains("/etc/kubernetes")
                || run.stderr.contains("/var/lib")
                || run.stderr.contains("kubekeel.lock"),
            "{options}: no path in {}",
            run.stderr
        );
        assert_eq!(root.read("/own"), b"the administrator's\n");
        root.remove("/own");
        verify::safe(root, &options);
        let there = root.tree();
        mounted.remount(ROOMY);
        root.init(&[]).succeeds();
        verify::complete(root, &options);
        for (path, key) in keys(&there) {
            assert_eq!(keys(&root.tree())[path], key, "{options}: {path}");
        }
    }
}

#[test]
fn a_full_file_system_stops_a_change() {
    let made = Root::made();
    for spare in 0..12 {
        let Some(mounted) = Mounted::new(ROOMY) else { return };
        let root = &mounted.root;
        let copied =
            Command::new("cp").arg("-a").arg(made.directory().join(".")).arg(root.directory()).status().unwrap();
        assert!(copied.success());
        let used = pages(root);
        mounted.remount(&format!("size={}k", 4 * (used + spare)));
        let before = root.settled();
        root.configure(CHANGE);
        let run = root.init(&[]);
        let when = format!("{spare} pages to spare");
        verify::safe(root, &when);
        if run.code == Some(0) {
            assert!(spare > 4, "the change needs no space");
            return;
        }
        run.exits(1).says(&["No space left on device", "hint:"]);
        let after = root.settled();
        assert_eq!(keys(&before), keys(&after), "{when}");
        let rewritten = super::rewritten(&before, &after);
        assert!(rewritten.iter().all(|path| path == super::INVENTORY), "{when}: {rewritten:?}");
        // Space comes back, and so does the old configuration or the new one.
        mounted.remount(ROOMY);
        if spare % 2 == 0 {
            root.configure("");
        }
        root.init(&[]).succeeds();
        verify::complete(root, &when);
    }
    panic!("twelve pages were not enough for a change");
}

fn pages(root: &Root) -> u64 {
    let stat = rustix::fs::statvfs(root.directory()).unwrap();
    (stat.f_blocks - stat.f_bfree) * stat.f_bsize / 4096
}

#[test]
fn a_read_only_file_system_is_named() {
    let Some(mounted) = Mounted::new(ROOMY) else { return };
    let root = &mounted.root;
    mounted.remount("ro");
    root.init(&[]).exits(2).says(&["kubekeel.lock", "Read-only file system", "hint:"]);
    assert!(root.tree().is_empty());
    // Looking is allowed.
    root.init(&["--dry-run"]).succeeds();
    mounted.remount("rw");
    root.init(&[]).succeeds();
    let before = root.tree();
    mounted.remount("ro");
    root.configure(CHANGE);
    root.init(&[]).exits(2).says(&["kubekeel.lock", "Read-only file system"]);
    root.init(&["--dry-run", "--exit-code"]).exits(4);
    assert_same(&before, &root.tree());
    mounted.remount("rw");
    root.init(&[]).succeeds();
    verify::complete(root, "writable again");
}

#[test]
fn a_read_only_part_is_named() {
    // Only the certificates are on a file system of their own.
    let Some(mounted) = Mounted::new(ROOMY) else { return };
    let root = &mounted.root;
    root.init(&[]).succeeds();
    root.configure(CHANGE);
    let before = root.settled();
    let target = root.at(PKI);
    mount(&["--bind", target.to_str().unwrap(), target.to_str().unwrap()]);
    mount(&["-o", "remount,bind,ro", target.to_str().unwrap()]);
    let run = root.init(&[]);
    assert!(Command::new("umount").arg(&target).status().unwrap().success());
    run.exits(1).says(&["/etc/kubernetes/pki/apiserver.crt", "Read-only file system", "hint:"]);
    assert_eq!(super::rewritten(&before, &root.settled()), [super::INVENTORY]);
    verify::safe(root, "read-only certificates");
    root.init(&[]).succeeds();
    verify::complete(root, "writable certificates");
}
