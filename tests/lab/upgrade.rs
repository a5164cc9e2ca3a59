//! `upgrade` as kubeadm is asked for it: what speaks against a version, a file with wishes, certificates that are renewed with it.

use serde_json::json as object;

use crate::apply::{all_ready, json, numbers, restarted, tree};
use crate::init::{BASE, init_ok, uids};
use crate::node::{Node, Options};

const FILE: &str = "/root/upgrade.yaml";
const WISHES: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
apply:
  kubernetesVersion: v1.37.2
  certificateRenewal: true
  etcdUpgrade: false
  ignorePreflightErrors: [SystemVerification]
  skipPhases: [addon, post-upgrade]
";
const ETCD: &str = "/etc/kubernetes/manifests/etcd.yaml";

/// The lines of a tree that are about files which end so.
fn about<'t>(tree: &'t str, ends: &[&str]) -> Vec<&'t str> {
    tree.lines().filter(|line| ends.iter().any(|end| line.ends_with(end))).collect()
}

/// A Node whose kubelet nobody has.
fn ghost(kubelet: &str) -> String {
    let info = object!({
        "architecture": "amd64", "bootID": "x", "containerRuntimeVersion": "x", "kernelVersion": "x", "kubeProxyVersion": "",
        "kubeletVersion": kubelet, "machineID": "x", "operatingSystem": "linux", "osImage": "x", "systemUUID": "x",
    });
    object!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "ghost"}, "status": {"nodeInfo": info}})
        .to_string()
}

fn what_speaks_against_it(node: &Node) {
    let before = (tree(node), numbers(node));
    node.write("/root/ghost.json", ghost("v1.33.0"));
    assert_eq!(node.kubectl(&["create", "-f", "/root/ghost.json"]).status, 0);
    let (old, lines) = json(node, &["upgrade", "apply", "v1.37.2", "-y"]);
    assert_eq!(old.status, 2, "{}\n{}", old.stdout, old.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error").to_string();
    assert!(error.contains("the kubelet of ghost is of version v1.33.0, more than three minors older"), "{error}");
    // kubeadm's plan shows what would be, and its --force goes on.
    for arguments in [&["upgrade", "plan", "v1.37.2"][..], &["upgrade", "apply", "v1.37.2", "-f", "--dry-run"]] {
        let told = node.kubekeel(arguments);
        assert_eq!(told.status, 0, "{}", told.stderr);
        assert!(told.stderr.contains("warning") && told.stderr.contains("ghost"), "{}", told.stderr);
    }
    assert_eq!(node.kubectl(&["delete", "node", "ghost"]).status, 0);
    let candidate = node.kubekeel(&["upgrade", "apply", "v1.37.0-rc.1"]);
    assert_eq!(candidate.status, 2, "{}", candidate.stderr);
    assert!(candidate.stderr.contains("--allow-release-candidate-upgrades was not given"), "{}", candidate.stderr);
    assert_eq!((tree(node), numbers(node)), before);
}

#[test]
fn an_upgrade_renews_the_certificates_and_keeps_etcd_when_it_is_told_to() {
    let node = Node::up("upgrade", &Options { minor: "1.36", ..Options::default() });
    init_ok(&node, BASE);
    node.load("1.37");
    what_speaks_against_it(&node);

    let (old, ran) = (tree(&node), uids(&node));
    node.write(FILE, WISHES);
    let planned = node.kubekeel(&["upgrade", "plan", "v1.37.2", "--etcd-upgrade=false", "--print-config"]);
    assert_eq!(planned.status, 0, "{}", planned.stderr);
    for line in [
        "kubernetesVersion: \"v1.37.2\"",
        "issue    certificate apiserver with a new key: it is renewed",
        "write    kubeconfig admin.conf: it is renewed",
        "static pods that restart: kube-apiserver, kube-controller-manager, kube-scheduler\n",
    ] {
        assert!(planned.stdout.contains(line), "{line} in {}", planned.stdout);
    }
    let (done, _) = json(&node, &["upgrade", "apply", "--config", FILE, "--yes"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    all_ready(&node);
    assert_eq!(restarted(&ran, &uids(&node)), ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    assert!(node.read(ETCD).expect("a manifest").contains("etcd:3.6.8-0"));
    let proxy =
        ["-n", "kube-system", "get", "ds", "kube-proxy", "-o", "jsonpath={.spec.template.spec.containers[0].image}"];
    assert!(node.kubectl(&proxy).stdout.ends_with(":v1.36.3"), "add-ons were left out");
    let new = tree(&node);
    let stay = ["/pki/ca.crt", "/pki/ca.key", "/pki/etcd/ca.key", "/pki/sa.key", "/kubelet.conf"];
    assert_eq!(about(&new, &stay), about(&old, &stay));
    assert_eq!(about(&new, &stay).len(), stay.len());
    for renewed in [
        "/pki/apiserver.crt",
        "/pki/apiserver-etcd-client.key",
        "/pki/front-proxy-client.crt",
        "/pki/etcd/server.crt",
        "/pki/etcd/peer.key",
        "/admin.conf",
        "/super-admin.conf",
        "/scheduler.conf",
    ] {
        assert_eq!(about(&new, &[renewed]).len(), 1, "{renewed}");
        assert_ne!(about(&new, &[renewed]), about(&old, &[renewed]), "{renewed}");
    }

    // A second run changes nothing, the certificates included.
    let (kept, ran) = (numbers(&node), uids(&node));
    let (again, _) = json(&node, &["upgrade", "apply", "--config", FILE, "--yes"]);
    assert_eq!(again.status, 0, "{}\n{}", again.stdout, again.stderr);
    assert_eq!((tree(&node), uids(&node), numbers(&node)), (new.clone(), ran.clone(), kept));

    // Without the wishes etcd and the add-ons follow; the version is the same, so nothing is renewed.
    let (rest, _) = json(&node, &["upgrade", "apply", "v1.37.2"]);
    assert_eq!(rest.status, 0, "{}\n{}", rest.stdout, rest.stderr);
    all_ready(&node);
    assert!(restarted(&ran, &uids(&node)).contains(&"etcd"));
    assert!(node.read(ETCD).expect("a manifest").contains("etcd:3.7.0-0"));
    assert!(node.kubectl(&proxy).stdout.ends_with(":v1.37.2"));
    assert_eq!(about(&tree(&node), &[".crt", ".key", ".conf"]), about(&new, &[".crt", ".key", ".conf"]));

    let (back, _) = json(&node, &["rollback", "1"]);
    assert_eq!(back.status, 0, "{}\n{}", back.stdout, back.stderr);
    assert_eq!(tree(&node), old, "byte for byte");
    all_ready(&node);
}
