//! Changes of a running control plane: planned, swapped, proven, or put back byte for byte.

use serde_json::Value;

use crate::init::{BASE, CONFIG, PODS, init_ok, uids, with_cluster};
use crate::node::{Node, Options, Output};

/// Runs a command with `-o json`; gives the output and its JSON lines.
pub(crate) fn json(node: &Node, arguments: &[&str]) -> (Output, Vec<Value>) {
    let done = node.kubekeel(&[arguments, &["-o", "json"]].concat());
    let lines =
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    let lines = lines.collect();
    (done, lines)
}

fn apply(node: &Node, config: &str) -> (Output, Vec<Value>) {
    node.write(CONFIG, config);
    json(node, &["apply", "--config", CONFIG])
}

/// Digests and modes of everything that a control plane consists of.
pub(crate) fn tree(node: &Node) -> String {
    let script = "find /etc/kubernetes /var/lib/kubelet/*.yaml /var/lib/kubelet/*.env -type f -printf '%m ' \
                  -exec sha256sum {} \\; | sort -k3";
    node.exec_ok(&["sh", "-c", script])
}

pub(crate) fn all_ready(node: &Node) {
    let wanted: Vec<_> = PODS.iter().map(|pod| format!("{pod}-{}", node.name)).collect();
    assert_eq!(node.ready_pods(), wanted);
}

/// The components whose containers differ.
pub(crate) fn restarted(before: &str, after: &str) -> Vec<&'static str> {
    let differs = |pod: &&str| {
        let line = |text: &str| text.lines().find(|line| line.starts_with(*pod)).map(str::to_owned);
        line(before) != line(after)
    };
    PODS.into_iter().filter(differs).collect()
}

pub(crate) fn numbers(node: &Node) -> Vec<u64> {
    let (_, lines) = json(node, &["history"]);
    let generations = lines[0]["generations"].as_array().expect("generations").clone();
    assert_eq!(lines[0]["pending"], Value::Null, "{lines:?}");
    generations.iter().filter_map(|generation| generation["generation"].as_u64()).collect()
}

#[test]
fn a_change_is_proven_or_put_back_and_any_generation_comes_back() {
    let node = Node::up("apply", &Options::default());
    let early = node.kubekeel(&["apply"]);
    assert_eq!(early.status, 2, "{}", early.stderr);
    assert!(early.stderr.contains("kubekeel init"), "{}", early.stderr);
    init_ok(&node, BASE);
    assert_eq!(numbers(&node), [1]);
    let (first, ran) = (tree(&node), uids(&node));

    // Nothing to do: nothing restarts, no generation is made.
    let (done, _) = apply(&node, BASE);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!((tree(&node), uids(&node), numbers(&node)), (first.clone(), ran.clone(), vec![1]));

    // One flag: exactly that pod restarts.
    let verbose = with_cluster("scheduler: {extraArgs: [{name: v, value: \"2\"}]}");
    let (done, _) = apply(&node, &verbose);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    all_ready(&node);
    assert_eq!(restarted(&ran, &uids(&node)), ["kube-scheduler"]);
    assert_eq!(numbers(&node), [1, 2]);

    // A flag over what is remembered, and no file at all.
    let (done, lines) = json(&node, &["apply", "--apiserver-cert-extra-sans", "api.example.com", "--dry-run"]);
    assert_eq!(done.status, 0, "{}", done.stdout);
    let plan = lines.iter().find(|line| line["event"] == "plan").expect("a plan");
    assert_eq!(plan["restarts"], serde_json::json!([]), "{plan}");
    assert!(plan.to_string().contains("api.example.com"), "{plan}");

    // A change that cannot run is put back, byte for byte, and the cause is named.
    let (second, ran) = (tree(&node), uids(&node));
    let bad = with_cluster(
        "apiServer: {extraArgs: [{name: no-such-flag, value: \"1\"}]}\nscheduler: {extraArgs: [{name: v, value: \"3\"}]}",
    );
    let (done, lines) = apply(&node, &bad);
    assert_eq!(done.status, 1, "{}\n{}", done.stdout, done.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    assert_eq!(error["diagnosis"]["cause"], "bad-flag", "{error}");
    assert!(error["hints"].to_string().contains("generation 2 was put back and is proven to run"), "{error}");
    assert!(lines.iter().any(|line| line["event"] == "roll-back" && line["generation"] == 2), "{lines:?}");
    assert_eq!(tree(&node), second, "byte for byte");
    all_ready(&node);
    let untouched = restarted(&ran, &uids(&node));
    assert!(!untouched.contains(&"etcd") && untouched.contains(&"kube-apiserver"), "{untouched:?}");
    assert_eq!(numbers(&node), [1, 2]);

    // A component that ends after it was proven: the new pod restarts within the window, and the old one comes back.
    let leaves = with_cluster("scheduler: {extraArgs: [{name: v, value: \"4\"}]}");
    node.write(CONFIG, &leaves);
    let script = format!(
        "kubekeel apply --config {CONFIG} --min-ready-seconds 10 -o json > /tmp/lines 2>&1 & run=$!
         until grep -q '\"event\":\"proven\"' /tmp/lines || ! kill -0 $run; do sleep 0.1; done
         pkill -9 kube-scheduler; wait $run; echo $?; cat /tmp/lines"
    );
    let ended = node.exec_ok(&["sh", "-c", &script]);
    let (status, told) = ended.split_once('\n').expect("a status");
    assert_eq!(status, "1", "{told}");
    let lines: Vec<Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["event"] == "proven"), "{told}");
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    assert!(error.to_string().contains("kube-scheduler restarted within 10 s"), "{error}");
    assert_eq!((tree(&node), numbers(&node)), (second.clone(), vec![1, 2]));
    all_ready(&node);

    // What is ill already is told, and nothing is blamed on the change.
    node.exec_ok(&["sh", "-c", "systemctl stop kubelet; pkill -9 kube-scheduler"]);
    let ill = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(ill.status, 2, "{}", ill.stderr);
    assert!(ill.stderr.contains("kube-scheduler: it is not proven to run"), "{}", ill.stderr);

    // The first generation comes back, with the API server down at that.
    node.exec_ok(&["sh", "-c", "pkill -9 kube-apiserver"]);
    let (done, _) = json(&node, &["rollback", "1"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(tree(&node), first, "byte for byte");
    all_ready(&node);
    assert_eq!(numbers(&node), [1, 2, 3]);
    let history = node.kubekeel(&["history"]).stdout;
    assert!(history.contains("rollback to generation 1"), "{history}");
    let missing = node.kubekeel(&["rollback", "9"]);
    assert_eq!(missing.status, 3, "{}", missing.stderr);
    assert!(missing.stderr.contains("there are: 1, 2, 3"), "{}", missing.stderr);
}

#[test]
fn a_new_minor_with_a_new_etcd_in_one_swap() {
    let node = Node::up("minor", &Options { minor: "1.36", ..Options::default() });
    init_ok(&node, BASE);
    acknowledge(&node, "under-1-36");
    let (old, ran) = (tree(&node), uids(&node));

    // An image that is not there is known before anything is touched.
    let (missing, lines) = json(&node, &["upgrade", "apply", "v1.37.2"]);
    assert_eq!(missing.status, 2, "{}\n{}", missing.stdout, missing.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    assert!(error.to_string().contains("registry.k8s.io/kube-apiserver:v1.37.2"), "{error}");
    assert_eq!((tree(&node), uids(&node), numbers(&node)), (old.clone(), ran, vec![1]));

    node.load("1.37");
    let planned = node.kubekeel(&["upgrade", "plan"]);
    assert_eq!(planned.status, 0, "{}", planned.stderr);
    for line in [
        "Runs:            v1.36.3",
        "Can come next:   v1.37.2",
        "issue    certificate etcd-server with a new key: it is renewed",
        "save     a snapshot of etcd",
    ] {
        assert!(planned.stdout.contains(line), "{line} in {}", planned.stdout);
    }
    let restarts = "static pods that restart: etcd, kube-apiserver, kube-controller-manager, kube-scheduler";
    assert!(planned.stdout.contains(restarts), "{}", planned.stdout);
    let diff = node.kubekeel(&["upgrade", "diff", "v1.37.2"]).stdout;
    assert!(diff.contains("+    image: \"registry.k8s.io/etcd:3.7.0-0\""), "{diff}");
    let back = node.kubekeel(&["upgrade", "apply", "v1.35.1"]);
    assert_eq!(back.status, 2, "{}", back.stderr);
    // What the new minor does not know any more is named by it, and by us before anything is touched.
    let gate = with_cluster(
        "kubernetesVersion: v1.37.2\nscheduler: {extraArgs: [{name: feature-gates, value: AnyVolumeDataSource=true}]}",
    );
    let (gone, lines) = apply(&node, &gate);
    assert_eq!(gone.status, 2, "{}\n{}", gone.stdout, gone.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    assert!(error.to_string().contains("kube-scheduler 1.37 has no feature gate AnyVolumeDataSource"), "{error}");

    let (done, lines) = json(&node, &["upgrade", "apply", "v1.37.2"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    all_ready(&node);
    let took = lines.iter().find(|line| line["event"] == "proven").map(|line| line["elapsed"].clone());
    println!("1.36.3 to 1.37.2 with etcd, proven after {took:?} s");
    let version = node.kubectl(&["version", "-o", "json"]).stdout;
    let server = version.split("serverVersion").nth(1).expect("the server's version");
    assert!(server.contains("v1.37.2"), "{version}");
    // The snapshot was taken before the swap; its last 32 bytes are the digest of the others.
    let check = "set -e; cd /var/lib/kubekeel/snapshots; f=$(ls); size=$(stat -c %s $f); \
                 head -c $((size - 32)) $f | sha256sum | cut -c1-64; tail -c 32 $f | od -An -tx1 | tr -d ' \\n'";
    let digests = node.exec_ok(&["sh", "-c", check]);
    let digests: Vec<_> = digests.lines().collect();
    assert_eq!(digests.len(), 2, "{digests:?}");
    assert_eq!(digests[0], digests[1]);

    // etcd 3.6 refuses what 3.7 wrote, so 3.7 is asked to take its data back first: all of it comes along.
    acknowledge(&node, "under-1-37");
    let (done, _) = json(&node, &["rollback", "1"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(tree(&node), old, "byte for byte");
    all_ready(&node);
    let kept = node.kubectl(&["-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "yaml"]).stdout;
    assert!(kept.contains("kubernetesVersion: \"v1.36.3\""), "{kept}");

    // So does an upgrade that fails after the new etcd wrote.
    let bad = with_cluster(
        "kubernetesVersion: v1.37.2\ncontrollerManager: {extraArgs: [{name: node-cidr-mask-size, value: \"no\"}]}",
    );
    let (done, lines) = apply(&node, &bad);
    assert_eq!(done.status, 1, "{}\n{}", done.stdout, done.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    assert_eq!(error["diagnosis"]["cause"], "bad-flag", "{error}");
    assert!(error["hints"].to_string().contains("generation 3 was put back and is proven to run"), "{error}");
    assert_eq!(tree(&node), old, "byte for byte");
    all_ready(&node);
    let names = node.kubectl(&["get", "configmaps", "-o", "name"]).stdout;
    assert!(names.contains("under-1-36") && names.contains("under-1-37"), "{names}");
}

/// Writes something that must not be lost.
fn acknowledge(node: &Node, name: &str) {
    let done = node.kubectl(&["create", "configmap", name]);
    assert_eq!(done.status, 0, "{}", done.stderr);
}
