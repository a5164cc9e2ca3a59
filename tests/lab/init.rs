//! `kubekeel init` on real nodes: it comes up, it is proven, it converges.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::{Node, Options, Output};

/// Where the tests put the configuration.
pub(crate) const CONFIG: &str = "/etc/kubekeel.yaml";
pub(crate) const BASE: &str = include_str!("config/init.yaml");

pub(crate) const PODS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// A configuration: the lab's own with lines added to its ClusterConfiguration.
pub(crate) fn with_cluster(lines: &str) -> String {
    BASE.replace("kind: ClusterConfiguration\n", &format!("kind: ClusterConfiguration\n{lines}\n"))
}

/// Runs init with a configuration, `-o json`; gives the output and its JSON lines.
pub(crate) fn init_json(node: &Node, config: &str, more: &[&str]) -> (Output, Vec<Value>) {
    node.write(CONFIG, config);
    let done = node.kubekeel(&[&["init", "--config", CONFIG, "-o", "json"], more].concat());
    let lines =
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    let lines = lines.collect();
    (done, lines)
}

/// Runs init and expects success.
pub(crate) fn init_ok(node: &Node, config: &str) -> Vec<Value> {
    let (done, lines) = init_json(node, config, &[]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    lines
}

fn all_ready(node: &Node) {
    let ready = node.ready_pods();
    let wanted: Vec<_> = PODS.iter().map(|pod| format!("{pod}-{}", node.name)).collect();
    assert_eq!(ready, wanted);
}

/// The steps that were taken, in words.
fn steps(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter(|line| line["event"] == "step").filter_map(|line| line["text"].as_str()).collect()
}

/// The container of each mirror pod, by name.
pub(crate) fn uids(node: &Node) -> String {
    node.kubectl(&[
        "-n",
        "kube-system",
        "get",
        "pods",
        "-l",
        "tier=control-plane",
        "-o",
        r#"jsonpath={range .items[*]}{.metadata.name}={.status.containerStatuses[0].containerID}{"\n"}{end}"#,
    ])
    .stdout
}

#[test]
fn a_control_plane_comes_up_is_proven_and_a_second_run_does_nothing() {
    let node = Node::up("init", &Options::default());
    let (dry, _) = init_json(&node, BASE, &["--dry-run", "--exit-code"]);
    assert_eq!(dry.status, 4, "{}", dry.stdout);
    assert_eq!(node.read("/etc/kubernetes/pki/ca.crt"), None, "a dry-run writes nothing");
    assert_eq!(node.exec(&["ls", "/run/kubekeel.lock", "/var/lib/kubekeel"]).status, 2, "not even a lock");

    // With no file at all the defaults are detected and shown.
    let bare = node.kubekeel(&["init", "--dry-run", "--ignore-preflight-errors", "SystemVerification"]);
    assert_eq!(bare.status, 0, "{}", bare.stderr);
    for detected in [
        format!("node name: {}", node.name),
        format!("advertise address: {}", node.address),
        "CRI socket: unix://".into(),
        "Kubernetes version: v1.37.2".into(),
    ] {
        assert!(bare.stderr.contains(&detected), "{detected} in {}", bare.stderr);
    }

    let lines = init_ok(&node, BASE);
    all_ready(&node);
    // A pod may fall back a rung for a moment, for example while its mirror pod is written: the last word counts.
    for pod in PODS {
        let last = lines.iter().rfind(|line| line["event"] == "pod" && line["component"] == pod);
        assert_eq!(last.map(|line| &line["rung"]), Some(&Value::from("mirror-pod")), "{pod} is proven in the end");
    }
    let marks = node.kubectl(&["get", "node", &node.name, "-o", "jsonpath={.metadata.labels}{.spec.taints}"]).stdout;
    assert!(marks.contains("node-role.kubernetes.io/control-plane") && marks.contains("NoSchedule"), "{marks}");
    let digests = node
        .kubectl(&[
            "-n",
            "kube-system",
            "get",
            "pods",
            "-o",
            r"jsonpath={.items[*].metadata.annotations.kubekeel\.io/manifest-digest}",
        ])
        .stdout;
    for pod in PODS {
        let manifest = node.read(&format!("/etc/kubernetes/manifests/{pod}.yaml")).expect("a manifest");
        let digest = manifest
            .split("kubekeel.io/manifest-digest: \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .expect("a digest");
        assert!(digests.contains(digest), "{pod}: {digest} in {digests}");
    }
    assert_eq!(
        node.kubectl(&["-n", "kube-system", "logs", &format!("kube-scheduler-{}", node.name), "--tail=1"]).status,
        0,
        "the API server may talk to the kubelet"
    );

    let (before, began) = (uids(&node), Instant::now());
    let (again, lines) = init_json(&node, BASE, &[]);
    assert_eq!(again.status, 0, "{}", again.stdout);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(
        steps(&lines).iter().all(|step| ["await", "bind", "prove"].iter().any(|verb| step.starts_with(verb))),
        "{lines:?}"
    );
    assert_eq!(uids(&node), before, "nothing restarted");
    let (dry, _) = init_json(&node, BASE, &["--dry-run", "--exit-code"]);
    assert_eq!(dry.status, 0, "{}", dry.stdout);

    // A new kubelet process takes a while to say what it sees; what the one before it said proves nothing.
    node.exec_ok(&["systemctl", "restart", "kubelet"]);
    init_ok(&node, BASE);
    all_ready(&node);
    assert_eq!(uids(&node), before, "nothing restarted");

    // One flag of one component: exactly that static pod restarts.
    let changed = with_cluster("scheduler: {extraArgs: [{name: v, value: \"2\"}]}");
    let (_, lines) = init_json(&node, &changed, &["--dry-run"]);
    let plan = lines.iter().find(|line| line["event"] == "plan").expect("a plan");
    assert_eq!(plan["restarts"], serde_json::json!(["kube-scheduler"]), "{plan}");
    init_ok(&node, &changed);
    all_ready(&node);
    let after = uids(&node);
    for (old, new) in before.lines().zip(after.lines()) {
        assert_eq!(old != new, old.contains("scheduler"), "{old} {new}");
    }

    // A new name in a certificate needs no restart: the API server reads its serving certificate again by itself.
    let named =
        with_cluster("scheduler: {extraArgs: [{name: v, value: \"2\"}]}\napiServer: {certSANs: [api.example.com]}");
    init_ok(&node, &named);
    assert_eq!(uids(&node), after);
    let served = "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -text | grep -c api.example.com";
    node.wait_until("new certificate served", Duration::from_secs(90), || {
        let count = node.exec(&["sh", "-c", served]);
        (count.stdout.trim() == "1" || count.stderr.contains("not found")).then_some(())
    });
}

#[test]
fn the_older_minor_and_rsa_keys_and_dual_stack() {
    let node = Node::up("older", &Options { minor: "1.36", ..Options::default() });
    let config = with_cluster("encryptionAlgorithm: RSA-2048\ncertificateValidityPeriod: 100h").replace(
        "  podSubnet: 10.244.0.0/16",
        "  podSubnet: 10.244.0.0/16,fd00:10:244::/56\n  serviceSubnet: 10.96.0.0/16,fd00:10:96::/112",
    );
    node.exec_ok(&["sysctl", "-w", "net.ipv6.conf.default.forwarding=1", "net.ipv6.conf.all.forwarding=1"]);
    init_ok(&node, &config);
    all_ready(&node);
    let version = node.kubectl(&["version", "-o", "json"]).stdout;
    assert!(version.contains("v1.36.3"), "{version}");
    let service = node.kubectl(&["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIPs}"]).stdout;
    assert!(service.contains("10.96.0.1"), "{service}");
}

#[test]
fn phases_run_alone_and_their_sum_is_an_init() {
    let node = Node::up("phases", &Options::default());
    node.write(CONFIG, BASE);
    for phase in [
        &["preflight"][..],
        &["certs", "all"],
        &["kubeconfig", "all"],
        &["etcd", "local"],
        &["control-plane", "all"],
        &["kubelet-start"],
    ] {
        let done = node.kubekeel(&[&["init", "phase"], phase, &["--config", CONFIG]].concat());
        assert_eq!(done.status, 0, "{phase:?}: {}", done.stderr);
    }
    let (rest, lines) = init_json(&node, BASE, &[]);
    assert_eq!(rest.status, 0, "{}", rest.stdout);
    assert!(!steps(&lines).iter().any(|step| step.starts_with("issue") || step.starts_with("create")), "{lines:?}");
    all_ready(&node);
    assert_eq!(node.kubectl(&["-n", "kube-system", "delete", "service", "kube-dns"]).status, 0);
    let phase = node.kubekeel(&["init", "phase", "addon", "coredns", "--config", CONFIG]);
    assert_eq!(phase.status, 0, "{}", phase.stderr);
    assert_eq!(node.kubectl(&["-n", "kube-system", "get", "service", "kube-dns"]).status, 0);
}
