//! A control plane whose etcd runs elsewhere: on the other node of the test, with certificates of that one.

use serde_json::Value;

use crate::init::{BASE, CONFIG, init_json, init_ok, with_cluster};
use crate::node::{Node, Options};

const FILES: [(&str, &str); 3] = [
    ("/etc/kubernetes/pki/etcd/ca.crt", "/srv/etcd/ca.crt"),
    ("/etc/kubernetes/pki/apiserver-etcd-client.crt", "/srv/etcd/client.crt"),
    ("/etc/kubernetes/pki/apiserver-etcd-client.key", "/srv/etcd/client.key"),
];

/// The other node's etcd, below a prefix of its own: that node's API server has the default one.
fn config(address: &str, port: u16) -> String {
    with_cluster(&format!(
        "kubernetesVersion: v1.36.3\n\
         etcd: {{external: {{endpoints: ['https://{address}:{port}'], caFile: /srv/etcd/ca.crt, \
         certFile: /srv/etcd/client.crt, keyFile: /srv/etcd/client.key}}}}\n\
         apiServer: {{extraArgs: [{{name: etcd-prefix, value: /other}}]}}"
    ))
}

#[test]
fn a_control_plane_without_an_etcd_of_its_own() {
    let older = Options { minor: "1.36", ..Options::default() };
    let [elsewhere, node] = Node::up_two(["etcd-elsewhere", "etcd-external"], [&Options::default(), &older]);
    init_ok(&elsewhere, BASE);

    names_what_is_missing(&node, &elsewhere.address);
    for (from, to) in FILES {
        node.write(to, elsewhere.read(from).expect("a certificate"));
    }
    names_who_does_not_answer(&node, &elsewhere.address);
    diagnoses_who_went_away(&node, &elsewhere.address);

    init_ok(&node, &config(&elsewhere.address, 2379));
    three_pods_and_nothing_of_etcd(&node);
    let uploaded = node.kubectl(&["-n", "kube-system", "get", "configmap", "kubeadm-config", "-o", "yaml"]).stdout;
    assert!(uploaded.contains("external:") && !uploaded.contains("local:"), "{uploaded}");
    let expiry = node.exec_ok(&["kubeadm", "certs", "check-expiration"]);
    assert!(expiry.contains("\"kubeadm-config\" ConfigMap"), "{expiry}");

    let (again, _) = init_json(&node, &config(&elsewhere.address, 2379), &["--dry-run", "--exit-code"]);
    assert_eq!(again.status, 0, "{}\n{}", again.stdout, again.stderr);
    let applied = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(applied.status, 0, "{}\n{}", applied.stdout, applied.stderr);

    node.load("1.37");
    let upgraded = node.kubekeel(&["upgrade", "apply", "v1.37.2", "-o", "json"]);
    assert_eq!(upgraded.status, 0, "{}\n{}", upgraded.stdout, upgraded.stderr);
    assert!(!upgraded.stdout.contains("snapshot"), "{}", upgraded.stdout);
    three_pods_and_nothing_of_etcd(&node);
    let version = node.kubectl(&["version", "-o", "json"]).stdout;
    let version: Value = serde_json::from_str(&version).expect("JSON");
    assert_eq!(version["serverVersion"]["gitVersion"], "v1.37.2");
}

fn names_what_is_missing(node: &Node, address: &str) {
    let (done, _) = init_json(node, &config(address, 2379), &[]);
    let told = format!("{}{}", done.stdout, done.stderr);
    assert!(done.status == 2 && told.contains("/srv/etcd/ca.crt is missing"), "{told}");
}

fn names_who_does_not_answer(node: &Node, address: &str) {
    // Nobody listens on the one port, and the other is the API server's, whose authority is not etcd's.
    for (port, why) in [(2399, "nobody listens"), (6443, "TLS fails")] {
        let (done, _) = init_json(node, &config(address, port), &[]);
        let told = format!("{}{}", done.stdout, done.stderr);
        assert!(done.status == 2 && told.contains("ExternalEtcdVersion"), "{told}");
        assert!(told.contains(&format!("https://{address}:{port}")) && told.contains(why), "{told}");
    }
    assert_eq!(node.exec(&["ls", "/etc/kubernetes/pki"]).status, 2, "nothing was written");
}

/// Who overrules the check hears of it from the API server.
fn diagnoses_who_went_away(node: &Node, address: &str) {
    let (done, lines) = init_json(node, &config(address, 2399), &["--ignore-preflight-errors", "ExternalEtcdVersion"]);
    assert_eq!(done.status, 1, "{}\n{}", done.stdout, done.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    assert_eq!(error["diagnosis"]["cause"], "etcd-unreachable", "{error}");
    assert!(error.to_string().contains("etcd.external.endpoints"), "{error}");
}

fn three_pods_and_nothing_of_etcd(node: &Node) {
    let pods = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    assert_eq!(node.ready_pods(), pods.map(|pod| format!("{pod}-{}", node.name)));
    for path in ["/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/pki/etcd", "/var/lib/etcd"] {
        assert_ne!(node.exec(&["test", "-e", path]).status, 0, "{path}");
    }
}
