//! The lab itself: a node is what the other tests take it for, and leaves nothing behind.

use std::process::Command;
use std::time::Duration;

use crate::node::{Node, Options, output};

/// Everything on the machine that bears a node's name: mounts, namespaces, cgroups, containers, directories.
fn traces(name: &str) -> Vec<String> {
    let script = r#"
        grep -F "$0" /proc/self/mountinfo
        find /run/netns /sys/fs/cgroup /run/kubekeel-lab -name "*$0*"
        grep -lx -r -- "$0" /run/kubekeel-lab/addresses
        scripts/lab list | grep -F "$0""#;
    let found = output(Command::new("sh").args(["-c", script, name]).current_dir(env!("CARGO_MANIFEST_DIR")));
    found.stdout.lines().map(String::from).collect()
}

#[test]
fn a_node_has_what_a_machine_with_kubernetes_packages_has_and_leaves_nothing() {
    let node = Node::up("smoke", &Options::default());
    assert!(node.address.starts_with("172.31.99."), "{:?}", node.address);
    assert_eq!(node.exec_ok(&["ps", "-o", "comm=", "-p", "1"]).trim(), "systemd");
    assert!(node.exec_ok(&["ctr", "version"]).contains("Server:"));
    let images = node.exec_ok(&["ctr", "-n", "k8s.io", "images", "ls", "-q"]);
    for image in ["etcd:3.7.0-0", "kube-apiserver:v1.37.", "kube-controller-manager:v1.37.", "pause:3.10.2"] {
        assert!(images.contains(&format!("registry.k8s.io/{image}")), "{image} in {images}");
    }
    assert_eq!(node.exec_ok(&["systemctl", "is-enabled", "kubelet"]).trim(), "enabled");
    assert!(node.exec_ok(&["kubelet", "--version"]).starts_with("Kubernetes v1.37."));
    assert_eq!(node.kubekeel(&["--version"]).status, 0);

    node.write("/etc/lab/some file", "text\n");
    assert_eq!(node.read("/etc/lab/some file").as_deref(), Some("text\n"));
    assert_eq!(node.read("/etc/lab/none"), None);
    let mut waiter = node.spawn(&["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.1; done"]);
    node.write("/tmp/go", "");
    node.wait_until("end of the waiter", Duration::from_secs(10), || waiter.try_wait().expect("a child"));

    let name = node.name.clone();
    assert!(traces(&name).len() > 5, "the search finds a running node");
    drop(node);
    assert_eq!(traces(&name), Vec::<String>::new());
}

#[test]
fn a_node_that_failed_half_way_is_removed() {
    let name = format!("half-{}", std::process::id());
    let lab = |arguments: &[&str]| output(Command::new("scripts/lab").args(arguments));
    let up = lab(&["up", &name, "--bin", "/nonexistent"]);
    assert_ne!(up.status, 0, "{up:?}");
    assert!(!traces(&name).is_empty(), "it failed after its network was there");
    assert_eq!(lab(&["down", &name]).status, 0);
    assert_eq!(traces(&name), Vec::<String>::new());
}

/// The yardstick: what the lab makes of the real kubeadm is what kubekeel is measured against.
#[test]
fn kubeadm_makes_control_planes_of_both_minors_side_by_side() {
    let options = ["1.37", "1.36"].map(|minor| Options { minor, ..Options::default() });
    let nodes = Node::up_two(["adm37", "adm36"], [&options[0], &options[1]]);
    for node in &nodes {
        let release = node.exec_ok(&["kubeadm", "version", "-o", "short"]);
        let config = include_str!("config/kubeadm.yaml").replace("v1.37.2", release.trim());
        node.write("/root/kubeadm.yaml", config);
    }
    let runs: Vec<_> =
        nodes.iter().map(|node| node.spawn(&["kubeadm", "init", "--config", "/root/kubeadm.yaml"])).collect();
    for run in runs {
        let done = run.wait_with_output().expect("a child");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    for node in &nodes {
        let wanted = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        let wanted: Vec<_> = wanted.iter().map(|component| format!("{component}-{}", node.name)).collect();
        node.wait_until("Ready mirror pods", Duration::from_secs(90), || (node.ready_pods() == wanted).then_some(()));
        node.wait_until("Ready node", Duration::from_secs(30), || {
            node.kubectl(&["get", "nodes", "--no-headers"]).stdout.contains(" Ready ").then_some(())
        });
    }
}
