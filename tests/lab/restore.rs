//! What etcd held comes back from a snapshot, whatever became of its data; and a restore that dies leaves what was there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::apply::{all_ready, json, tree};
use crate::init::{BASE, init_ok};
use crate::node::{Node, Options};

const DATA: &str = "/var/lib/etcd";

/// What the keys hold, by name.
type Keys = BTreeMap<String, String>;

/// Writes keys through the API, each of which was acknowledged.
fn write(node: &Node, keys: &Keys) {
    for (name, value) in keys {
        let value = format!("--from-literal=value={value}");
        let made = node.kubectl(&["-n", "default", "create", "configmap", name, &value]);
        assert_eq!(made.status, 0, "{name}: {}", made.stderr);
    }
}

/// What the cluster holds of them now.
fn there(node: &Node) -> Keys {
    let list = r#"jsonpath={range .items[*]}{.metadata.name}={.data.value}{"\n"}{end}"#;
    let list = node.kubectl(&["-n", "default", "get", "configmaps", "-o", list]).stdout;
    let pairs = list.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .filter(|(name, _)| name != "kube-root-ca.crt")
        .collect()
}

/// Keys with values of their own, of several sizes.
fn numbered(prefix: &str, count: usize) -> Keys {
    let value = |number: usize| format!("{prefix} {number} ").repeat(number * number + 1);
    (0..count).map(|number| (format!("{prefix}-{number}"), value(number).trim().to_owned())).collect()
}

#[test]
fn a_lost_etcd_comes_back_with_every_key_of_its_snapshot() {
    let node = Node::up("restore", &Options::default());
    init_ok(&node, BASE);
    let kept = numbered("kept", 20);
    write(&node, &kept);
    let saved = node.kubekeel(&["etcd", "snapshot", "save", "/root/a.db"]);
    assert_eq!(saved.status, 0, "{}", saved.stderr);
    let later = numbered("later", 3);
    write(&node, &later);

    // What is no snapshot changes nothing, and neither does a dry-run or a silence.
    node.exec_ok(&["sh", "-c", "head -c 100000 /root/a.db > /root/short.db"]);
    let ran = node.exec_ok(&["ls", "-i", DATA]);
    let refused = node.kubekeel(&["etcd", "snapshot", "restore", "/root/short.db", "--yes"]);
    assert_eq!(refused.status, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("/root/short.db is no snapshot of etcd"), "{}", refused.stderr);
    let planned = node.kubekeel(&["etcd", "snapshot", "restore", "/root/a.db", "--dry-run"]).stdout;
    for line in ["unpack   /root/a.db into /var/lib/etcd/restore-", "static pods that restart: etcd, kube-apiserver"] {
        assert!(planned.contains(line), "{line} in {planned}");
    }
    assert_eq!(node.kubekeel(&["etcd", "snapshot", "restore", "/root/a.db"]).status, 3);
    assert_eq!(node.exec_ok(&["ls", "-i", DATA]), ran);

    // The disaster: etcd's directory is gone, and etcd with it.
    let files = tree(&node);
    node.exec_ok(&["sh", "-c", "rm -rf /var/lib/etcd; pkill -KILL -x etcd; sleep 1"]);
    let (done, lines) = json(&node, &["etcd", "snapshot", "restore", "/root/a.db", "--yes"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let took = lines.iter().find(|line| line["event"] == "proven").map(|line| line["elapsed"].clone());
    println!("restored and proven after {took:?} s");
    all_ready(&node);
    assert_eq!(tree(&node), files);
    assert_eq!(there(&node), kept, "each key with its value, and none of the later ones");
    // It can be written to, and controllers work on what is written.
    let made = node.kubectl(&["-n", "default", "create", "namespace", "after"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    node.wait_until("service account of the new namespace", Duration::from_secs(60), || {
        (node.kubectl(&["-n", "after", "get", "serviceaccount", "default"]).status == 0).then_some(())
    });

    // A restore of a cluster that is well keeps what it held, and one that dies leaves it in place.
    write(&node, &later);
    let counting =
        ["env", "KUBEKEEL_COUNT_FAULTS=/tmp/points", "kubekeel", "etcd", "snapshot", "restore", "/root/a.db", "-y"];
    let done = node.exec(&counting);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("What etcd held before is in /var/lib/etcd/restore-"), "{}", done.stdout);
    assert_eq!(there(&node), kept);
    write(&node, &later);
    let points = node.read("/tmp/points").expect("points");
    for point in ["unpacking", "data swapped"] {
        let place = points.lines().find(|line| line.ends_with(point)).and_then(|line| line.split(' ').next());
        let place = place.unwrap_or_else(|| panic!("{point} in {points}"));
        let kill = format!("KUBEKEEL_KILL_AT={place}");
        let killed = node.exec(&["env", &kill, "kubekeel", "etcd", "snapshot", "restore", "/root/a.db", "--yes"]);
        assert_ne!(killed.status, 0, "{point}: {}", killed.stderr);
        node.wait_until("end of the watchdog", Duration::from_secs(120), || {
            let pending = node.exec(&["test", "-e", "/var/lib/kubekeel/pending.json"]).status == 0;
            let active = node.exec(&["systemctl", "is-active", "--quiet", "kubekeel-watchdog"]).status == 0;
            (!pending && !active).then_some(())
        });
        all_ready(&node);
        let all: Keys = kept.clone().into_iter().chain(later.clone()).collect();
        assert_eq!(there(&node), all, "{point}");
        assert_eq!(tree(&node), files, "{point}");
    }
}
