//! Snapshots of a real etcd: what is saved is whole, and what is not whole is named.

use serde_json::Value;

use crate::apply::json;
use crate::init::{BASE, init_ok};
use crate::node::{Node, Options};

#[test]
fn snapshots_are_saved_listed_and_verified() {
    let node = Node::up("snap", &Options::default());
    let early = node.kubekeel(&["etcd", "snapshot", "save"]);
    assert_eq!(early.status, 1, "{}", early.stderr);
    assert!(early.stderr.contains("credentials for etcd"), "{}", early.stderr);
    init_ok(&node, BASE);

    for _ in 0..4 {
        let (done, lines) = json(&node, &["etcd", "snapshot", "save"]);
        assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
        assert_eq!(lines.last().expect("a line")["findings"]["pageSize"], 4096, "{lines:?}");
        // How far it is: saving it, and reading it once more.
        let (saved, read): (Vec<_>, Vec<_>) = lines
            .iter()
            .filter(|line| line["event"] == "bytes")
            .partition(|line| line["text"].as_str().is_some_and(|text| text.starts_with("save ")));
        for told in [saved, read] {
            assert_eq!(told.first().map(|line| &line["done"]), Some(&0.into()), "{lines:?}");
            let end = told.last().expect("an end");
            assert!(end["done"] == end["total"] && end["done"].as_u64() > Some(100_000), "{lines:?}");
        }
        node.exec_ok(&["sleep", "1"]);
    }
    let (_, lines) = json(&node, &["etcd", "snapshot", "list"]);
    let kept = lines.last().expect("a line")["snapshots"].as_array().expect("snapshots").clone();
    assert_eq!(kept.len(), 3, "the oldest one made room: {kept:?}");
    assert!(kept.iter().all(|row| row["findings"]["size"].as_u64() > Some(100_000)), "{kept:?}");

    let file = "/root/etcd.db";
    let saved = node.kubekeel(&["etcd", "snapshot", "save", file]);
    assert!(saved.stdout.contains("is saved and whole"), "{}\n{}", saved.stdout, saved.stderr);
    assert_eq!(node.exec_ok(&["stat", "-c", "%a", file]).trim(), "600");
    let again = node.kubekeel(&["etcd", "snapshot", "save", file]);
    assert_ne!(again.status, 0, "what is there stays: {}", again.stdout);
    assert_eq!(node.kubekeel(&["etcd", "snapshot", "verify", file]).status, 0);
    for (damage, told) in [
        ("head -c 100000 /root/etcd.db", "checksum"),
        ("cat /root/etcd.db; echo", "checksum"),
        ("head -c 70 /root/etcd.db", "too short"),
        ("echo nothing; cat /root/etcd.db", "no database of etcd"),
        ("(head -c 5000 /root/etcd.db; printf x; tail -c +5002 /root/etcd.db)", "checksum"),
    ] {
        node.exec_ok(&["sh", "-c", &format!("({damage}) > /root/damaged.db")]);
        let verdict = node.kubekeel(&["etcd", "snapshot", "verify", "/root/damaged.db", "-o", "json"]);
        assert_eq!(verdict.status, 3, "{damage}: {}", verdict.stdout);
        let error: Value = serde_json::from_str(verdict.stdout.lines().last().expect("a line")).expect("JSON");
        assert!(error["message"].to_string().contains(told), "{damage}: {error}");
    }
}
