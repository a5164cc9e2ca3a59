//! The power goes in the middle of an upgrade: afterwards there is the old control plane or the new one, whole, and every
//! write that was acknowledged.

use std::time::Duration;

use crate::apply::tree;
use crate::init::{BASE, PODS, init_ok};
use crate::node::{Node, Options};

/// Writes as fast as it can, and notes what was acknowledged.
const COUNT: &str = r#"n=0; while :; do n=$((n + 1))
    kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 3s create configmap "$0-$n" > /dev/null 2>&1 &&
      echo "$0-$n" >> /root/acknowledged
done"#;

/// What was acknowledged and is not there.
fn lost(node: &Node) -> Vec<String> {
    let list = node.kubectl(&["get", "configmaps", "-o", "name"]).stdout;
    let there: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("configmap/")).collect();
    let noted = node.read("/root/acknowledged").expect("acknowledged writes");
    assert!(noted.lines().count() > 3, "{noted}");
    println!("{} writes were acknowledged", noted.lines().count());
    noted.lines().filter(|name| !there.contains(name)).map(str::to_owned).collect()
}

fn upgrade(node: &Node, variable: &str) -> i32 {
    node.exec(&["env", variable, "kubekeel", "upgrade", "apply", "v1.37.2", "--min-ready-seconds", "1"]).status
}

/// Whether it is the new one, whole: everything fits together, and no certificate of the old one is left. Every upgrade makes
/// other certificates, so no two new ones are the same.
fn is_new(node: &Node, is: &str, old: &str) -> bool {
    const RENEWED: [&str; 5] =
        ["/pki/apiserver.crt", "/pki/etcd/peer.key", "/admin.conf", "/controller-manager.conf", "/scheduler.conf"];
    let renewed = is.lines().filter(|line| RENEWED.iter().any(|path| line.ends_with(path)));
    let manifest = node.read("/etc/kubernetes/manifests/kube-apiserver.yaml").unwrap_or_default();
    renewed.clone().count() == RENEWED.len()
        && renewed.filter(|line| old.contains(*line)).count() == 0
        && manifest.contains("kube-apiserver:v1.37.2")
        && node.kubekeel(&["apply", "--dry-run", "--exit-code"]).status == 0
}

fn go_back(node: &Node) {
    let back = node.kubekeel(&["rollback", "1"]);
    assert_eq!(back.status, 0, "{}", back.stderr);
}

#[test]
fn a_power_loss_leaves_the_old_or_the_new_and_every_acknowledged_write() {
    let node = Node::up("power", &Options { minor: "1.36", ..Options::default() });
    init_ok(&node, BASE);
    node.load("1.37");
    let old = tree(&node);
    // The first change makes the watchdog's unit; it stays, so later runs pass the same points.
    assert_eq!(upgrade(&node, "FIRST=1"), 0);
    assert!(is_new(&node, &tree(&node), &old));
    go_back(&node);
    assert_eq!(upgrade(&node, "KUBEKEEL_COUNT_FAULTS=/root/points"), 0);
    go_back(&node);
    let points = node.read("/root/points").expect("points");
    let ended: Vec<_> = points
        .lines()
        .filter_map(|line| line.strip_suffix(" pod ended"))
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    let (first, last): (usize, usize) = (ended[0], *ended.last().expect("a pod ended"));
    for point in [first, last, points.lines().count() - 2] {
        assert_eq!(tree(&node), old, "before point {point}");
        let mut counting = node.spawn(&["sh", "-c", COUNT, &format!("at-{point}")]);
        assert_ne!(upgrade(&node, &format!("KUBEKEEL_KILL_AT={point}")), 0, "point {point} was not reached");
        node.reboot();
        counting.wait().expect("the writer is gone with the power");
        node.wait_until("control plane", Duration::from_secs(180), || {
            let pending = node.exec(&["test", "-e", "/var/lib/kubekeel/pending.json"]).status == 0;
            let active = node.exec(&["systemctl", "is-active", "--quiet", "kubekeel-watchdog"]).status == 0;
            (!pending && !active && node.ready_pods().len() == PODS.len()).then_some(())
        });
        let is = tree(&node);
        let new = is != old;
        assert!(!new || is_new(&node, &is, &old), "after point {point}: neither old nor new");
        println!("point {point}: {}", if new { "new" } else { "old" });
        assert_eq!(lost(&node), Vec::<String>::new(), "lost after point {point}");
        if new {
            go_back(&node);
        }
    }
}
