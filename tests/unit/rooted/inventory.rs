//! A damaged inventory stops the run before it writes anything.

use super::{INVENTORY, Root, Run, Tree, assert_same};

/// Runs with a damaged inventory and a configuration that asks for changes.
fn run(root: &Root, damaged: &[u8]) -> (Run, Tree) {
    root.write(INVENTORY, damaged);
    let before = root.settled();
    (root.init(&["--dry-run"]), before)
}

#[test]
fn truncated_anywhere() {
    let root = Root::new();
    root.init(&["phase", "etcd", "local"]).succeeds();
    let whole = root.read(INVENTORY);
    assert!(whole.len() > 200, "{}", whole.len());
    // The last byte is the line break: without it the document is whole.
    for length in 0..whole.len() - 1 {
        let (run, before) = run(&root, &whole[..length]);
        run.exits(2).says(&[INVENTORY, "hint:"]);
        assert_same(&before, &root.settled());
    }
    root.write(INVENTORY, &whole[..whole.len() / 2]);
    let before = root.settled();
    root.init(&[]).exits(2).says(&[INVENTORY, "hint:"]);
    root.init(&["--force"]).exits(2).says(&[INVENTORY]);
    assert_same(&before, &root.settled());
    root.write(INVENTORY, &whole);
    root.init(&[]).succeeds();
}

#[test]
fn flipped_anywhere() {
    let root = Root::new();
    root.init(&["phase", "etcd", "local"]).succeeds();
    let whole = root.read(INVENTORY);
    let mut refused = 0;
    for byte in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << (byte % 8);
        let (run, before) = run(&root, &damaged);
        // A flip inside a path or a digest is a sound document: what it names is then somebody else's, or edited.
        if run.code == Some(2) {
            refused += 1;
            run.says(&["hint:"]);
        } else {
            assert!(matches!(run.code, Some(0 | 5)), "byte {byte}: {run:#?}");
        }
        assert_same(&before, &root.settled());
    }
    assert!(refused > whole.len() / 30, "only {refused} were refused");
}

#[test]
fn of_a_later_version() {
    let root = Root::made();
    let text = String::from_utf8(root.read(INVENTORY)).unwrap();
    root.write(INVENTORY, text.replacen("\"format\": 1", "\"format\": 2", 1));
    let before = root.settled();
    root.init(&[]).exits(2).says(&[INVENTORY, "format 2", "hint:"]);
    assert_same(&before, &root.settled());
}
