//! `upgrade node`: every node follows the cluster's own configuration, whoever brought it there.

use std::time::Duration;

use serde_json::Value;

use crate::apply::{all_ready, json, numbers, restarted};
use crate::init::{BASE, CONFIG, uids};
use crate::node::{Node, Options};

const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";

fn version(node: &Node, of: &str) -> String {
    node.kubectl(&["get", "node", of, "-o", "jsonpath={.status.nodeInfo.kubeletVersion}"]).stdout
}

/// What the running kubelet was told, from itself.
fn max_pods(first: &Node, of: &str) -> Value {
    let text = first.kubectl(&["get", "--raw", &format!("/api/v1/nodes/{of}/proxy/configz")]).stdout;
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    told["kubeletconfig"]["maxPods"].clone()
}

fn install_kubelet(node: &Node) {
    node.exec_ok(&["ln", "-sf", "/opt/lab/bin/1.37/kubelet", "/usr/bin/kubelet"]);
}

#[test]
fn nodes_follow_the_cluster_and_a_kubelet_that_does_not_take_it_gets_its_own_back() {
    let older = Options { minor: "1.36", ..Options::default() };
    let [first, worker] = Node::up_two(["nodefirst", "nodeworker"], [&older, &older]);
    for node in [&first, &worker] {
        node.load("addons");
        node.load("1.37");
    }
    let lost = worker.kubekeel(&["upgrade", "node"]);
    assert_eq!(lost.status, 2, "{}", lost.stderr);
    assert!(lost.stderr.contains("belongs to no cluster"), "{}", lost.stderr);
    first.write(CONFIG, BASE);
    let done = first.kubekeel(&["init", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let printed = done.stdout.lines().find_map(|line| line.split_once("kubeadm join ")).expect("a join command").1;
    let machine = "--ignore-preflight-errors=SystemVerification";
    let join: Vec<_> = ["kubeadm", "join"].into_iter().chain(printed.split_whitespace()).chain([machine]).collect();
    worker.exec_ok(&join);
    first.wait_until("Ready worker", Duration::from_secs(90), || {
        let nodes = first.kubectl(&["get", "nodes", "--no-headers"]).stdout;
        (nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count() == 2).then_some(())
    });

    // The new kubelet is on the disk when the control plane is upgraded: one swap takes both, and each pod restarts once.
    install_kubelet(&first);
    let (ran, from) = (uids(&first), version(&first, &first.name));
    assert!(from.starts_with("v1.36."), "{from}");
    let (done, _) = json(&first, &["upgrade", "apply", "v1.37.2"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(version(&first, &first.name), "v1.37.2");
    assert_eq!(restarted(&ran, &uids(&first)).len(), 4);
    all_ready(&first);
    let counts = ["-n", "kube-system", "get", "pods", "-l", "tier=control-plane", "-o"];
    let restarts = [&counts[..], &["jsonpath={.items[*].status.containerStatuses[*].restartCount}"]].concat();
    assert_eq!(first.kubectl(&restarts).stdout, "0 0 0 0");
    let same = first.kubekeel(&["apply", "--dry-run", "--exit-code"]);
    assert_eq!(same.status, 0, "a newer kubelet changes nothing: {}\n{}", same.stdout, same.stderr);

    // The worker: first what the cluster says, later its own new binary.
    let (asked, lines) = json(&worker, &["upgrade", "node", "--dry-run"]);
    assert_eq!(asked.status, 0, "{}\n{}", asked.stdout, asked.stderr);
    assert_eq!(lines[0]["event"], "plan", "{lines:?}");
    assert_eq!(worker.kubekeel(&["upgrade", "node"]).status, 0);
    let again = worker.kubekeel(&["upgrade", "node"]);
    assert!(again.stdout.contains("Nothing has to be done"), "{}\n{}", again.stdout, again.stderr);
    install_kubelet(&worker);
    // As kubeadm is called on such a node.
    let flags = ["--certificate-renewal=false", "--etcd-upgrade=false", "--kubeconfig", "/etc/kubernetes/kubelet.conf"];
    let newer = worker.kubekeel(&[&["upgrade", "node"][..], &flags].concat());
    assert_eq!(newer.status, 0, "{}", newer.stderr);
    assert_eq!(version(&first, &worker.name), "v1.37.2");

    // A field of all kubelets, changed on the first node.
    first.write(CONFIG, format!("{BASE}maxPods: 77\n"));
    let done = first.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let asked = worker.kubekeel(&["upgrade", "node", "--dry-run"]);
    assert!(asked.stdout.contains("+maxPods: 77"), "{}\n{}", asked.stdout, asked.stderr);
    assert_eq!(max_pods(&first, &worker.name), 110);
    assert_eq!(worker.kubekeel(&["upgrade", "node"]).status, 0);
    assert_eq!(max_pods(&first, &worker.name), 77);

    // One that the kubelet ends with.
    let config = worker.read(KUBELET_CONFIG);
    worker.exec_ok(&["mkdir", "/root/patches"]);
    worker.write("/root/patches/kubeletconfiguration+merge.yaml", "cgroupRoot: /not/there\n");
    let (bad, lines) = json(&worker, &["upgrade", "node", "--patches", "/root/patches"]);
    assert_eq!(bad.status, 1, "{}\n{}", bad.stdout, bad.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error").to_string();
    assert!(error.contains("cgroup") && error.contains("put back"), "{error}");
    assert_eq!(worker.read(KUBELET_CONFIG), config);
    assert_eq!(max_pods(&first, &worker.name), 77);

    // A control plane follows, too: here somebody else changed what the cluster says.
    let before = numbers(&first);
    assert_eq!(first.kubekeel(&["upgrade", "node"]).status, 0);
    assert_eq!(numbers(&first), before, "nothing to follow");
    let map = first.kubectl(&[
        "-n",
        "kube-system",
        "get",
        "cm",
        "kubeadm-config",
        "-o",
        "jsonpath={.data.ClusterConfiguration}",
    ]);
    let changed = map.stdout.replace("scheduler: {}", "scheduler: {extraArgs: [{name: v, value: \"3\"}]}");
    assert_ne!(changed, map.stdout);
    first.write("/root/cluster.yaml", changed);
    let replace = "kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system create cm kubeadm-config \
                   --from-file=ClusterConfiguration=/root/cluster.yaml --dry-run=client -o yaml \
                   | kubectl --kubeconfig /etc/kubernetes/admin.conf replace -f -";
    first.exec_ok(&["sh", "-c", replace]);
    let ran = uids(&first);
    let done = first.kubekeel(&["upgrade", "node"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(restarted(&ran, &uids(&first)), ["kube-scheduler"]);
    assert!(first.read("/etc/kubernetes/manifests/kube-scheduler.yaml").unwrap().contains("--v=3"));
    patched_and_renewed(&first);
}

/// A control plane takes patches with `upgrade node`, and renews its certificates when it is asked to.
fn patched_and_renewed(first: &Node) {
    let patches = "/root/patches-of-control-plane";
    first.exec_ok(&["mkdir", patches]);
    first.write(
        &format!("{patches}/kube-scheduler+merge.yaml"),
        "metadata: {annotations: {example.com/patched: \"yes\"}}\n",
    );
    let ran = uids(first);
    let done = first.kubekeel(&["upgrade", "node", "--patches", patches]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(restarted(&ran, &uids(first)), ["kube-scheduler"]);
    assert!(first.read("/etc/kubernetes/manifests/kube-scheduler.yaml").unwrap().contains("example.com/patched"));
    let (ran, admin) = (uids(first), first.read("/etc/kubernetes/admin.conf"));
    let done = first.kubekeel(&["upgrade", "node", "--certificate-renewal"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(restarted(&ran, &uids(first)), ["kube-controller-manager", "kube-scheduler"]);
    assert_ne!(first.read("/etc/kubernetes/admin.conf"), admin);
}
