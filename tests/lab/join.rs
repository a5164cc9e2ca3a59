//! The real kubeadm on a cluster of ours: a worker joins with the printed command, and kubeadm's own commands work.

use std::time::Duration;

use crate::init::{BASE, CONFIG};
use crate::node::{Node, Options};

/// What a lab node cannot offer to any kubeadm: the machine's control groups are those of version 1.
const MACHINE: &str = "--ignore-preflight-errors=SystemVerification";

/// Asks the cluster's DNS for a Service, goes to one through its `ClusterIP`, and says so.
const PROBE: &str = "
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  nodeName: WORKER
  restartPolicy: Never
  containers:
  - name: probe
    image: registry.k8s.io/kube-proxy:v1.37.2
    command:
    - bash
    - -ec
    - |
      until getent hosts kube-dns.kube-system.svc.cluster.local; do read -rt 1 <> <(:) || :; done
      exec 3<> /dev/tcp/kubernetes.default/443
      echo connected
";

#[test]
fn kubeadm_joins_a_worker_and_works_on_a_cluster_of_ours() {
    let options = Options::default();
    let [first, worker] = Node::up_two(["joinfirst", "joinworker"], [&options, &options]);
    for (node, other) in [(&first, &worker), (&worker, &first)] {
        node.load("addons");
        // A name server on the loopback is CoreDNS itself inside a pod: its loop plug-in refuses that.
        node.write("/etc/resolv.conf", "nameserver 172.31.99.1\n");
        // The network plug-in is a bridge per node; what a cluster's network adds are routes between them.
        let octet = other.address.rsplit('.').next().expect("an address");
        node.exec_ok(&["ip", "route", "add", &format!("10.244.{octet}.0/24"), "via", &other.address]);
    }
    first.write(CONFIG, BASE);
    let done = first.kubekeel(&["init", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let printed = done.stdout.lines().find_map(|line| line.split_once("kubeadm join ")).expect("a join command").1;
    let join: Vec<_> = ["kubeadm", "join"].into_iter().chain(printed.split_whitespace()).chain([MACHINE]).collect();
    // The controller manager signs cluster-info a moment after the token was made, and kubeadm waits for it.
    worker.exec_ok(&join);
    first.wait_until("Ready worker", Duration::from_secs(60), || {
        let nodes = first.kubectl(&["get", "nodes", "--no-headers"]).stdout;
        (nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count() == 2).then_some(())
    });

    first.write("/root/probe.yaml", PROBE.replace("WORKER", &worker.name));
    first.exec_ok(&["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "apply", "-f", "/root/probe.yaml"]);
    first.wait_until("answer of DNS and of a ClusterIP", Duration::from_secs(120), || {
        let log = first.kubectl(&["logs", "probe"]).stdout;
        (log.contains("10.96.0.10") && log.ends_with("connected\n")).then_some(())
    });

    let kubeadm = |arguments: &[&str]| first.exec_ok(&[&["kubeadm"], arguments].concat());
    let expiry = kubeadm(&["certs", "check-expiration"]);
    assert!(expiry.contains("etcd-healthcheck-client") && !expiry.contains("MISSING"), "{expiry}");
    let tokens = kubeadm(&["token", "list"]);
    let token = join[4].split('.').next().expect("a token");
    assert!(tokens.contains(token), "{token} in {tokens}");
    let plan = kubeadm(&["upgrade", "plan", "v1.37.2"]);
    assert!(plan.contains(&worker.name) || plan.contains("v1.37.2"), "{plan}");
    let diff = kubeadm(&["upgrade", "diff", "v1.37.2"]);
    assert!(diff.contains("kube-apiserver.yaml"), "{diff}");
}
