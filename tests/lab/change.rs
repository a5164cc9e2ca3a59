//! What a configuration can say is changed in place: a patch release, a name, an algorithm, a setting of etcd.

use crate::apply::{all_ready, json, restarted};
use crate::beside::Clients;
use crate::certs::assert_shown;
use crate::init::{CONFIG, init_ok, uids, with_cluster};
use crate::node::{Node, Options};

/// The images of this release under the name of the one before it.
const OLDER: &str = "for c in kube-apiserver kube-controller-manager kube-scheduler; do
    ctr -n k8s.io images tag registry.k8s.io/$c:v1.37.2 registry.k8s.io/$c:v1.37.1 > /dev/null; done";

fn served(node: &Node, of: &str) -> String {
    let address = &node.address;
    let script = format!(
        "openssl s_client -connect {address}:6443 < /dev/null 2> /dev/null | openssl x509 -noout -text | grep -A1 '{of}'"
    );
    node.exec_ok(&["sh", "-c", &script])
}

#[test]
fn each_change_restarts_what_it_has_to_and_nothing_else() {
    let node = Node::up("change", &Options::default());
    node.exec_ok(&["sh", "-c", OLDER]);
    let with = |version: &str, lines: &str| with_cluster(&format!("kubernetesVersion: {version}\n{lines}"));
    init_ok(&node, &with("v1.37.1", ""));
    let mut ran = uids(&node);
    let mut restarts = |what: &str| {
        let now = uids(&node);
        let restarted = restarted(&ran, &now);
        ran = now;
        all_ready(&node);
        println!("{what}: {restarted:?} restarted");
        restarted
    };

    let (done, _) = json(&node, &["upgrade", "apply", "v1.37.2"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(restarts("a patch release"), ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    assert_shown(&node);

    let apply = |lines: &str| {
        node.write(CONFIG, with("v1.37.2", lines));
        let (done, _) = json(&node, &["apply", "--config", CONFIG]);
        assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    };
    let name = "apiServer: {certSANs: [api.example.com]}\n";
    apply(name);
    assert_eq!(restarts("a name"), [""; 0]);
    assert!(served(&node, "Subject Alternative Name").contains("DNS:api.example.com"));
    apply("");
    assert_eq!(restarts("a name less"), [""; 0]);
    assert!(!served(&node, "Subject Alternative Name").contains("DNS:api.example.com"));

    let algorithm = "encryptionAlgorithm: ECDSA-P384\n";
    apply(algorithm);
    assert_eq!(restarts("another algorithm"), ["kube-controller-manager", "kube-scheduler"]);
    assert!(served(&node, "Public Key Algorithm").contains("384"));
    assert_shown(&node);

    // Requests wait in the API server, which goes on.
    let quota =
        format!("{algorithm}etcd: {{local: {{extraArgs: [{{name: quota-backend-bytes, value: \"4294967296\"}}]}}}}\n");
    let clients = Clients::start(&node);
    apply(&quota);
    let (asked, failed) = clients.stop();
    println!("{asked} requests while etcd was replaced, {} failed: {failed:?}", failed.len());
    let restarted = restarts("a setting of etcd");
    assert!(restarted.contains(&"etcd") && !restarted.contains(&"kube-apiserver"), "{restarted:?}");
    assert!(asked > 50 && failed.len() <= 5, "{asked}: {failed:?}");

    let same = node.kubekeel(&["apply", "--config", CONFIG, "--dry-run", "--exit-code"]);
    assert_eq!(same.status, 0, "{}\n{}", same.stdout, same.stderr);

    // Planning needs no API server; a change does, and says what is ill.
    node.exec_ok(&["sh", "-c", "systemctl stop kubelet; pkill -KILL -x kube-apiserver"]);
    node.write(CONFIG, with("v1.37.2", &format!("{quota}scheduler: {{extraArgs: [{{name: v, value: \"3\"}}]}}\n")));
    let plan = node.kubekeel(&["apply", "--config", CONFIG, "--dry-run"]);
    assert_eq!(plan.status, 0, "{}\n{}", plan.stdout, plan.stderr);
    assert!(plan.stdout.contains("what is in the cluster already is not known"), "{}", plan.stdout);
    let ill = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(ill.status, 2, "{}", ill.stderr);
    assert!(ill.stderr.contains("kube-apiserver: it is not proven to run"), "{}", ill.stderr);
}
