//! A second run changes nothing, and a changed configuration changes what it has to.

use super::{INVENTORY, Root, assert_same, keys, rewritten, verify};

#[test]
fn a_second_run_changes_nothing() {
    let root = Root::made();
    verify::complete(&root, "first run");
    let before = root.settled();
    let second = root.init(&[]).succeeds();
    assert_same(&before, &root.settled());
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("", ""), "there is nothing to tell");
}

#[test]
fn phases_one_by_one_make_the_same_tree() {
    let root = Root::new();
    for phase in ["certs", "kubeconfig", "etcd", "control-plane", "kubelet-start"] {
        root.init(&["phase", phase]).succeeds();
        verify::safe(&root, phase);
    }
    verify::complete(&root, "all phases");
    assert_eq!(super::shape(&root.tree()), super::shape(&Root::made().tree()));
}

#[test]
fn a_phase_needs_what_comes_before_it() {
    for (phase, needed) in [
        (["certs", "apiserver"], "pki/ca.crt"),
        (["certs", "etcd-peer"], "pki/etcd/ca.crt"),
        (["kubeconfig", "admin"], "pki/ca.crt"),
    ] {
        let root = Root::new();
        let run =
            root.init(&["phase", phase[0], phase[1]]).exits(2).says(&[needed, "hint: run `kubekeel init phase certs"]);
        assert_eq!(run.stderr.matches(needed).count(), 1, "told once: {}", run.stderr);
        assert!(root.settled().is_empty(), "nothing was changed: {:?}", root.settled());
    }
}

/// Runs with further configuration and returns what changed, without the inventory.
fn change(more: &str) -> Vec<String> {
    let root = Root::made();
    let before = root.settled();
    root.configure(more);
    root.init(&[]).succeeds();
    verify::complete(&root, more);
    let after = root.settled();
    assert_eq!(keys(&before), keys(&after), "keys never change");
    let mut files = rewritten(&before, &after);
    files.retain(|path| path != INVENTORY);
    assert_eq!(super::shape(&before), super::shape(&after));
    root.init(&[]).succeeds();
    assert_same(&after, &root.settled());
    files
}

#[test]
fn a_new_name_issues_one_certificate_again() {
    let more = "apiServer:\n  certSANs: [keel.example]\n";
    assert_eq!(change(more), ["/etc/kubernetes/pki/apiserver.crt"]);
    let more = "etcd:\n  local:\n    serverCertSANs: [keel.example]\n    peerCertSANs: [192.0.2.77]\n";
    assert_eq!(change(more), ["/etc/kubernetes/pki/etcd/peer.crt", "/etc/kubernetes/pki/etcd/server.crt"]);
}

#[test]
fn a_new_flag_changes_one_manifest() {
    let more = "scheduler:\n  extraArgs:\n  - name: v\n    value: \"4\"\n";
    assert_eq!(change(more), ["/etc/kubernetes/manifests/kube-scheduler.yaml"]);
}

#[test]
fn new_networks_change_what_names_them() {
    let expected = [
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "/etc/kubernetes/pki/apiserver.crt",
        "/var/lib/kubelet/config.yaml",
    ];
    assert_eq!(change("networking:\n  serviceSubnet: 10.128.0.0/16\n"), expected);
    assert_eq!(
        change("networking:\n  podSubnet: 10.244.0.0/16\n"),
        ["/etc/kubernetes/manifests/kube-controller-manager.yaml"]
    );
}

#[test]
fn a_new_endpoint_writes_the_administrators_kubeconfigs() {
    let expected =
        ["/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/super-admin.conf"];
    assert_eq!(change("controlPlaneEndpoint: keel.example:6443\n"), expected);
}
