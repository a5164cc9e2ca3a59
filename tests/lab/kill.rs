//! SIGKILL on a real node: at points all over a run, then the same command again has to finish the work.

use crate::init::{BASE, CONFIG, PODS, init_ok};
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
