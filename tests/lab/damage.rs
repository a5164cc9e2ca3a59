//! A damaged file on a node that runs: it is named, nothing changes, and what runs goes on.

use crate::apply::{all_ready, tree};
use crate::init::{BASE, CONFIG, init_ok, with_cluster};
use crate::node::{Node, Options};

const GENERATIONS: &str = "/var/lib/kubekeel/generations";
const PENDING: &str = "/var/lib/kubekeel/pending.json";

/// Runs a command that must name a file and change nothing.
fn names(node: &Node, file: &str, command: &[&str]) {
    let before = tree(node);
    let refused = node.kubekeel(command);
    assert_eq!(refused.status, 2, "{command:?}: {}\n{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains(file) && refused.stderr.contains("hint:"), "{command:?}: {}", refused.stderr);
    assert_eq!(tree(node), before, "{command:?}");
}

/// Damages a file while `then` looks.
fn damaged(node: &Node, file: &str, how: &str, then: impl FnOnce()) {
    node.exec_ok(&["sh", "-c", &format!("cp -p {file} /root/whole && ({how}) < /root/whole > {file}")]);
    then();
    node.exec_ok(&["cp", "-p", "/root/whole", file]);
}

#[test]
fn a_damaged_file_is_named_and_the_control_plane_goes_on() {
    let node = Node::up("damage", &Options::default());
    // Programs get the join command of a first run, too.
    let lines = init_ok(&node, BASE);
    let join = lines.iter().find(|line| line["event"] == "join").and_then(|line| line["joinCommand"].as_str());
    assert!(join.is_some_and(|command| command.starts_with("kubeadm join ")), "{lines:?}");
    node.write(CONFIG, with_cluster("scheduler: {extraArgs: [{name: v, value: \"2\"}]}"));
    let done = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let whole = tree(&node);

    let (first, newest) = (format!("{GENERATIONS}/1.json"), format!("{GENERATIONS}/2.json"));
    for how in ["head -c 5000", "tr X Y", "cat /dev/null"] {
        damaged(&node, &first, how, || {
            names(&node, &first, &["rollback", "--dry-run"]);
            names(&node, &first, &["rollback", "1"]);
            let listed = node.kubekeel(&["history"]).stdout;
            assert!(listed.contains(&first) && listed.lines().count() == 3, "{listed}");
        });
        damaged(&node, &newest, how, || {
            for command in [&["apply", "--config", CONFIG] as &[_], &["rollback", "1"], &["certs", "renew", "all"]] {
                names(&node, &newest, command);
            }
            let status = node.kubekeel(&["status"]);
            assert!(status.status != 0 && status.stdout.contains(&newest), "{}", status.stdout);
        });
    }

    // A record of a change that cannot be read: what ran before is put back by its number.
    node.write(PENDING, "{\"from\":1,\"command\":\"apply\"}");
    names(&node, PENDING, &["rollback"]);
    assert!(node.kubekeel(&["status"]).stdout.contains(PENDING));
    let back = node.kubekeel(&["rollback", "1"]);
    assert_eq!(back.status, 0, "{}", back.stderr);
    assert_ne!(node.exec(&["test", "-e", PENDING]).status, 0);
    let forth = node.kubekeel(&["rollback", "2"]);
    assert_eq!(forth.status, 0, "{}", forth.stderr);
    assert_eq!(tree(&node), whole);

    for file in ["/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"] {
        for length in ["0", "100", "200"] {
            damaged(&node, file, &format!("head -c {length}"), || {
                names(&node, file, &["certs", "renew", "apiserver"]);
                names(&node, file, &["init", "--config", CONFIG]);
            });
        }
    }
    let inventory = "/var/lib/kubekeel/inventory.json";
    damaged(&node, inventory, "sed s/admin.conf/admim.conf/", || {
        for command in [&["apply", "--config", CONFIG] as &[_], &["rollback", "1"], &["certs", "renew", "all"]] {
            names(&node, inventory, command);
        }
    });
    assert_eq!(tree(&node), whole);
    all_ready(&node);
}
