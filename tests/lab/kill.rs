//! SIGKILL on a real node: at points all over a run. The same command finishes what `init` began; the watchdog puts back
//! what a change left.

use std::time::Duration;

use crate::apply::{all_ready, tree};
use crate::init::{BASE, CONFIG, PODS, init_ok, with_cluster};
use crate::node::{Node, Options};

/// Sets a node back to what it was before `init`, as far as `init` is concerned.
const RESET: &str = "systemctl stop kubelet; \
    for t in $(ctr -n k8s.io tasks ls -q); do ctr -n k8s.io tasks kill -s SIGKILL $t; done; sleep 0.3; \
    for c in $(ctr -n k8s.io containers ls -q); do ctr -n k8s.io tasks rm -f $c; ctr -n k8s.io containers rm $c; done; \
    systemctl restart containerd; \
    rm -rf /etc/kubernetes /var/lib/kubekeel /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env \
      /var/lib/kubelet/instance-config.yaml /var/lib/kubelet/pki /var/lib/kubelet/pods; \
    find /var/lib/etcd -mindepth 1 -delete; true";

#[test]
fn a_killed_run_is_finished_by_the_next_one() {
    let node = Node::up("kill", &Options::default());
    node.write(CONFIG, BASE);
    // What a reset leaves is there from the start, so that every run passes the same points.
    node.exec_ok(&["mkdir", "-p", "-m", "0700", "/var/lib/etcd", "/var/lib/kubelet"]);
    let counted = node.exec(&["env", "KUBEKEEL_COUNT_FAULTS=/tmp/points", "kubekeel", "init", "--config", CONFIG]);
    assert_eq!(counted.status, 0, "{}", counted.stderr);
    let points = node.read("/tmp/points").expect("points").lines().count();
    assert!(points > 60, "{points} points");
    let undisturbed = listing(&node);
    // Files are killed at every single point by the tests without a lab; here the points around the kubelet and the
    // second stage matter, and a sample of the others.
    let chosen: Vec<_> = (1..=points).filter(|point| *point + 10 > points || point % 30 == 0).collect();
    for point in chosen {
        node.exec(&["sh", "-c", RESET]);
        let killed = node.exec(&["env", &format!("KUBEKEEL_KILL_AT={point}"), "kubekeel", "init", "--config", CONFIG]);
        assert_ne!(killed.status, 0, "point {point} was not reached: {}", killed.stderr);
        init_ok(&node, BASE);
        assert_eq!(listing(&node), undisturbed, "after point {point}");
        assert_eq!(node.ready_pods().len(), PODS.len(), "after point {point}");
    }
}

/// Names and modes of all files that a run makes.
fn listing(node: &Node) -> String {
    node.exec_ok(&["sh", "-c", "find /etc/kubernetes /var/lib/kubekeel /var/lib/kubelet/*.yaml /var/lib/kubelet/*.env -printf '%p %m\\n' | sort"])
}

#[test]
fn a_killed_change_is_put_back_by_the_watchdog() {
    let node = Node::up("killapply", &Options::default());
    init_ok(&node, BASE);
    // The first change makes the watchdog's unit; it stays, so later runs pass the same points.
    let with = |level: u32| {
        with_cluster(&format!(
            "scheduler: {{extraArgs: [{{name: v, value: \"{level}\"}}]}}\n\
             apiServer: {{extraArgs: [{{name: v, value: \"{level}\"}}]}}"
        ))
    };
    node.write(CONFIG, with(1));
    let first = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    node.write(CONFIG, with(2));
    let old = tree(&node);
    let counted = node.exec(&["env", "KUBEKEEL_COUNT_FAULTS=/tmp/points", "kubekeel", "apply", "--config", CONFIG]);
    assert_eq!(counted.status, 0, "{}", counted.stderr);
    let new = tree(&node);
    let points = node.read("/tmp/points").expect("points").lines().count();
    assert!(points > 15, "{points} points");
    // The inventory and the record come first and the generation last; in between the kubelet stops and pods end.
    for point in (3..=points).step_by(4) {
        let back = node.kubekeel(&["rollback", "2"]);
        assert_eq!(back.status, 0, "before point {point}: {}", back.stderr);
        assert_eq!(tree(&node), old, "before point {point}");
        let killed = node.exec(&["env", &format!("KUBEKEEL_KILL_AT={point}"), "kubekeel", "apply", "--config", CONFIG]);
        assert_ne!(killed.status, 0, "point {point} was not reached: {}", killed.stderr);
        node.wait_until("end of the watchdog", Duration::from_secs(90), || {
            let pending = node.exec(&["test", "-e", "/var/lib/kubekeel/pending.json"]).status == 0;
            let active = node.exec(&["systemctl", "is-active", "--quiet", "kubekeel-watchdog"]).status == 0;
            (!pending && !active).then_some(())
        });
        let is = tree(&node);
        let finished = node.kubekeel(&["history"]).stdout.lines().last().is_some_and(|line| line.ends_with(" apply"));
        assert_eq!(is, if finished { new.clone() } else { old.clone() }, "after point {point}: old or new");
        all_ready(&node);
        println!("point {point} of {points}: {}", if finished { "new" } else { "old" });
    }
}
