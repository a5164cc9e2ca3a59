//! Certificate authorities are replaced while clients go on asking.

use std::time::Duration;

use crate::apply::{all_ready, json, numbers, restarted, tree};
use crate::beside::{Clients, with_flags};
use crate::certs::{assert_shown, events};
use crate::init::{BASE, init_ok, uids};
use crate::node::Node;
use crate::node::Options;

const PKI: &str = "/etc/kubernetes/pki";
const KUBELET: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// Whether OpenSSL follows a certificate to what is trusted in one file, with the other certificates of its own file.
fn verifies(node: &Node, trusted: &str, file: &str) -> bool {
    node.exec(&["openssl", "verify", "-CAfile", trusted, "-untrusted", file, file]).status == 0
}

/// What only trusts the authority of now, and has its certificate from it.
fn keep_old_client(node: &Node, place: &str) {
    let copy = format!(
        "mkdir -p {place}/etcd && cp {PKI}/*ca.crt /etc/kubernetes/admin.conf {place}/ && cp {PKI}/etcd/ca.crt {place}/etcd/"
    );
    node.exec_ok(&["sh", "-c", &copy]);
}

fn ask_with(node: &Node, conf: &str) -> i32 {
    node.exec(&["kubectl", "--kubeconfig", conf, "get", "nodes"]).status
}

const WORKLOAD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old", "namespace": "default"},
  "spec": {"hostNetwork": true, "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 0,
  "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.2", "command": ["pause"], "imagePullPolicy": "Never"}]}}"#;

/// A pod that runs from before the rotation on.
fn start_workload(node: &Node) {
    node.write("/root/pod.json", WORKLOAD);
    node.wait_until("the pod is taken", Duration::from_secs(30), || {
        (node.kubectl(&["apply", "-f", "/root/pod.json"]).status == 0).then_some(())
    });
    node.wait_until("the pod runs", Duration::from_secs(60), || {
        let phase = node.kubectl(&["get", "pod", "old", "-o", "jsonpath={.status.phase}"]);
        (phase.stdout == "Running").then_some(())
    });
}

#[test]
fn an_authority_is_replaced_without_a_failed_request_and_comes_back() {
    let node = Node::up("rotate", &Options::default());
    init_ok(&node, BASE);
    let first = tree(&node);
    keep_old_client(&node, "/root/old");
    start_workload(&node);
    let ran = uids(&node);
    let early = node.kubekeel(&["certs", "rotate-ca", "finish"]);
    assert_eq!(early.status, 2, "{}", early.stderr);
    let (dry, lines) = json(&node, &["certs", "rotate-ca", "begin", "ca", "front-proxy-ca", "--dry-run"]);
    assert_eq!(dry.status, 0, "{}\n{}", dry.stdout, dry.stderr);
    let restarts = &events(&lines, "plan")[0]["restarts"];
    assert_eq!(*restarts, serde_json::json!(["kube-controller-manager", "kube-scheduler"]));
    assert_eq!((tree(&node), numbers(&node)), (first.clone(), vec![1]), "a dry-run writes nothing");

    // The clients of before, with what they trust and are, go on through the whole first turn.
    let clients = Clients::start(&node);
    let (done, lines) = json(&node, &["certs", "rotate-ca", "begin", "ca", "front-proxy-ca"]);
    let (asked, failed) = clients.stop();
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let took = &events(&lines, "proven")[0]["elapsed"];
    println!("begun after {took} s, {asked} requests, failed: {failed:?}");
    assert!(asked > 50 && failed.is_empty(), "{asked}: {failed:?}");
    assert_shown(&node);
    all_ready(&node);
    assert_eq!(restarted(&ran, &uids(&node)), ["kube-controller-manager", "kube-scheduler"]);
    let overlap = tree(&node);
    assert_eq!(ask_with(&node, "/root/old/admin.conf"), 0, "who trusts only the old one, and is known by it, goes on");
    assert_eq!(node.exec(&["sh", "-c", &format!("openssl x509 -in {PKI}/ca.crt -out /root/new.crt")]).status, 0);
    for trusted in ["/root/new.crt", "/root/old/ca.crt"] {
        for file in ["apiserver.crt", "apiserver-kubelet-client.crt"] {
            assert!(verifies(&node, trusted, &format!("{PKI}/{file}")), "{file} by {trusted}");
        }
    }
    assert!(verifies(&node, "/root/old/front-proxy-ca.crt", &format!("{PKI}/front-proxy-client.crt")));
    // The kubelet took over what the new authority signed for it.
    assert_eq!(node.exec(&["openssl", "verify", "-CAfile", "/root/new.crt", KUBELET]).status, 0);
    assert!(node.read("/etc/kubernetes/kubelet.conf").unwrap().contains(KUBELET));
    let again = node.kubekeel(&["certs", "rotate-ca", "begin", "ca"]);
    assert_eq!(again.status, 2, "{}", again.stderr);
    assert!(again.stderr.contains("rotate-ca finish"), "{}", again.stderr);
    // Nothing of it looks like somebody else's work, and what is renewed meanwhile fits both.
    let same = node.kubekeel(&["apply", "--config", crate::init::CONFIG, "--dry-run", "--exit-code"]);
    assert_eq!(same.status, 0, "{}\n{}", same.stdout, same.stderr);
    assert_eq!(node.kubekeel(&["certs", "renew", "apiserver"]).status, 0);
    assert_eq!(ask_with(&node, "/root/old/admin.conf"), 0);

    // A pod that read its bundle before that would be cut off.
    let early = node.wait_until("the new authority is published", Duration::from_secs(60), || {
        let early = node.kubekeel(&["certs", "rotate-ca", "finish"]);
        (!early.stderr.contains("kube-root-ca.crt")).then_some(early)
    });
    assert_eq!(early.status, 2, "{}", early.stderr);
    assert!(early.stderr.contains("Pod default/old"), "{}", early.stderr);
    assert_eq!(node.kubectl(&["delete", "pod", "old"]).status, 0);

    let ran = uids(&node);
    let clients = Clients::start(&node);
    let (done, lines) = json(&node, &["certs", "rotate-ca", "finish"]);
    let (asked, failed) = clients.stop();
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let took = &events(&lines, "proven")[0]["elapsed"];
    println!("finished after {took} s, {asked} requests, failed: {failed:?}");
    assert!(asked > 50 && failed.is_empty(), "{asked}: {failed:?}");
    assert_shown(&node);
    all_ready(&node);
    assert_eq!(restarted(&ran, &uids(&node)), ["kube-controller-manager", "kube-scheduler"]);
    assert_ne!(ask_with(&node, "/root/old/admin.conf"), 0, "the old one opens nothing any more");
    let count = |file: &str| node.read(&format!("{PKI}/{file}")).unwrap().matches("BEGIN CERTIFICATE").count();
    assert_eq!(["ca.crt", "front-proxy-ca.crt", "apiserver.crt", "front-proxy-client.crt"].map(count), [1; 4]);
    assert_eq!(node.exec_ok(&["find", PKI, "-name", "*cross*"]), "");
    assert_eq!(numbers(&node), [1, 2, 3, 4]);

    // Back to the overlap, and back to the beginning: byte for byte, and the kubelet finds its way, too.
    assert_eq!(node.kubekeel(&["rollback", "2"]).status, 0);
    assert_eq!(tree(&node), overlap);
    let back = node.kubekeel(&["rollback", "1"]);
    assert_eq!(back.status, 0, "{}", back.stderr);
    assert_eq!(tree(&node), first);
    assert_shown(&node);
    all_ready(&node);
    assert_eq!(ask_with(&node, "/root/old/admin.conf"), 0);
    assert!(verifies(&node, "/root/old/ca.crt", KUBELET));
}

/// etcd and the API server read what they trust of each other once, so both restart, twice: etcd under the API server that runs, and
/// that one beside another.
#[test]
fn all_authorities_are_replaced_at_once() {
    let node = Node::up("rotate-all", &Options::default());
    init_ok(&node, &with_flags(""));
    keep_old_client(&node, "/root/old");
    for turn in [&["certs", "rotate-ca", "begin", "all"][..], &["certs", "rotate-ca", "finish", "--force"]] {
        let ran = uids(&node);
        let clients = Clients::start(&node);
        let (done, lines) = json(&node, turn);
        let (asked, failed) = clients.stop();
        assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
        let took = &events(&lines, "proven")[0]["elapsed"];
        println!("{} after {took} s, {asked} requests, failed: {failed:?}", turn[2]);
        assert!(asked > 50 && failed.len() <= 5, "{asked}: {failed:?}");
        assert_shown(&node);
        all_ready(&node);
        assert_eq!(restarted(&ran, &uids(&node)).len(), 4);
    }
    for ca in ["ca.crt", "etcd/ca.crt", "front-proxy-ca.crt"] {
        assert_ne!(node.read(&format!("{PKI}/{ca}")), node.read(&format!("/root/old/{ca}")), "{ca}");
    }
    assert_eq!(node.kubekeel(&["rollback", "1"]).status, 0);
    assert_shown(&node);
    all_ready(&node);
}

/// A first turn that dies leaves the old authority, proven; the kubelet never loses its way.
#[cfg(feature = "faults")]
#[test]
fn a_rotation_that_dies_is_put_back_and_can_begin_again() {
    let node = Node::up("rotate-dies", &Options::default());
    init_ok(&node, BASE);
    let first = tree(&node);
    let begin = ["kubekeel", "certs", "rotate-ca", "begin", "ca"];
    // The first run makes what only a first run makes.
    for points in ["/tmp/first", "/tmp/points"] {
        let counted = node.exec(&[&["env", &format!("KUBEKEEL_COUNT_FAULTS={points}")], &begin[..]].concat());
        assert_eq!(counted.status, 0, "{}", counted.stderr);
        assert_eq!(node.kubekeel(&["rollback", "1"]).status, 0);
        assert_eq!(tree(&node), first);
    }
    let points = node.read("/tmp/points").expect("points");
    let removed =
        points.lines().position(|line| line.ends_with("file removed")).expect("the kubelet's certificate") + 1;
    let points = points.lines().count();
    for place in [points / 3, removed, usize::midpoint(removed, points)] {
        let kill = format!("KUBEKEEL_KILL_AT={place}");
        let killed = node.exec(&[&["env", &kill], &begin[..]].concat());
        assert_ne!(killed.status, 0, "{place} of {points}: {}", killed.stderr);
        node.wait_until("end of the watchdog", Duration::from_secs(90), || {
            let pending = node.exec(&["test", "-e", "/var/lib/kubekeel/pending.json"]).status == 0;
            let active = node.exec(&["systemctl", "is-active", "--quiet", "kubekeel-watchdog"]).status == 0;
            (!pending && !active).then_some(())
        });
        assert_eq!(tree(&node), first, "{place} of {points}");
        assert_shown(&node);
        all_ready(&node);
    }
    assert_eq!(node.exec(&begin).status, 0);
    all_ready(&node);
}
