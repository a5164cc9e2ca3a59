//! `kubekeel doctor` on real nodes: each cause is made, and has to be named; and the bundle holds no secret.

use std::time::Duration;

use serde_json::Value;

use crate::init::{BASE, CONFIG, init_ok, with_cluster};
use crate::node::{Node, Options};

/// The exit code and the causes.
fn doctor(node: &Node) -> (i32, Vec<Value>) {
    let done = node.kubekeel(&["doctor", "-o", "json"]);
    let line: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}\n{}", done.stdout, done.stderr));
    assert_eq!(line["exitCode"], done.status, "{line}");
    (done.status, line["causes"].as_array().expect("causes").clone())
}

/// Whether a cause of a component is among them, with a word in its summary or its evidence.
fn names(causes: &[Value], cause: &str, component: &str, word: &str) -> bool {
    causes.iter().any(|one| {
        let says = one["summary"].to_string() + &one["evidence"].to_string();
        let remedy = one["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty());
        one["cause"] == cause && one["component"] == component && remedy && says.contains(word)
    })
}

#[track_caller]
fn named(node: &Node, code: i32, cause: &str, component: &str, word: &str) {
    let (is, causes) = doctor(node);
    assert!(names(&causes, cause, component, word), "{cause} of {component} with {word:?} in {causes:#?}");
    assert_eq!(is, code, "{causes:#?}");
}

fn sh(node: &Node, script: &str) -> String {
    node.exec_ok(&["sh", "-ec", script])
}

fn well_again(node: &Node) {
    let (_, last) =
        node.wait_until("recovery", Duration::from_secs(120), || Some(doctor(node)).filter(|(code, _)| *code == 0));
    assert_eq!(last, [Value::Null; 0]);
}

#[test]
fn what_is_wrong_on_a_node_that_ran_is_named() {
    let node = Node::up("doctor", &Options::default());
    // A kubelet that fails for want of a configuration is as it should be; a runtime that is down is not.
    node.wait_until("a node that waits for init", Duration::from_secs(10), || {
        (doctor(&node) == (2, vec![])).then_some(())
    });
    sh(&node, "systemctl stop containerd");
    named(&node, 1, "runtime-down", "container-runtime", "containerd");
    sh(&node, "systemctl start containerd");
    init_ok(&node, BASE);
    well_again(&node);

    sh(&node, "ip route add 10.96.5.0/24 dev eth0");
    named(&node, 4, "cidr-overlap", "node", "10.96.5.0/24 over eth0");
    sh(&node, "ip route del 10.96.5.0/24 dev eth0");

    sh(
        &node,
        "cd /var/lib/kubelet; cp -p config.yaml /root/; sed -i 's|staticPodPath:.*|staticPodPath: /etc/elsewhere|' config.yaml",
    );
    named(&node, 1, "static-pod-path", "kubelet", "/etc/elsewhere");
    sh(&node, "mv /root/config.yaml /var/lib/kubelet/config.yaml");
    // What goes before the configuration: a drop-in, and a flag that the next start of the kubelet will read.
    sh(&node, "echo 'staticPodPath: /etc/dropped' > /etc/kubelet.d/99-test.conf");
    named(&node, 1, "static-pod-path", "kubelet", "/etc/kubelet.d/99-test.conf is /etc/dropped");
    sh(
        &node,
        "rm /etc/kubelet.d/99-test.conf; cp -p /etc/default/kubelet /root/; cd /etc/default
        sed -i 's|^KUBELET_EXTRA_ARGS=.*|& --pod-manifest-path=/etc/flagged|' kubelet",
    );
    named(&node, 1, "static-pod-path", "kubelet", "--pod-manifest-path is /etc/flagged");
    sh(&node, "mv /root/kubelet /etc/default/kubelet");

    // A certificate of another key: the API server does not take it, and goes on with the one it has.
    sh(&node, "cd /etc/kubernetes/pki; cp -p apiserver.crt /root/; cat front-proxy-client.crt > apiserver.crt");
    named(&node, 1, "stale-certificate", "kube-apiserver", "apiserver.crt");
    named(&node, 1, "drift", "node", "/etc/kubernetes/pki/apiserver.crt");
    sh(&node, "mv /root/apiserver.crt /etc/kubernetes/pki/apiserver.crt");

    // A directory that was put back from a backup is another one than the pod has mounted: etcd reads its files for each
    // connection, and goes on with the old ones.
    sh(&node, "cd /etc/kubernetes/pki; cp -a etcd new; mv etcd old; mv new etcd; cat etcd/peer.crt > etcd/server.crt");
    named(&node, 1, "stale-certificate", "etcd", "127.0.0.1:2379, /etc/kubernetes/pki/etcd/server.crt");
    sh(&node, "cd /etc/kubernetes/pki; rm -r etcd; mv old etcd");

    sh(
        &node,
        "cp -p /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/manifests/.kept; printf 'kind: [' > /etc/kubernetes/manifests/zz",
    );
    named(&node, 1, "foreign-manifest", "zz", "refused");
    sh(&node, "rm /etc/kubernetes/manifests/zz /etc/kubernetes/manifests/.kept");

    sh(&node, "mount -t tmpfs -o size=2m tmpfs /var/log/pods");
    named(&node, 1, "disk-full", "node", "/var/log/pods");
    sh(&node, "mount -o remount,size=100m /var/log/pods");
    named(&node, 4, "disk-low", "/var/log/pods", "are free");
    sh(
        &node,
        "umount /var/log/pods; mount -t tmpfs -o size=2g,nr_inodes=100 tmpfs /var/log/pods
        cd /var/log/pods; touch $(seq 97)",
    );
    named(&node, 4, "disk-low", "/var/log/pods", "of 100 inodes are free");
    sh(&node, "umount /var/log/pods");
    well_again(&node);

    sh(&node, "systemctl stop kubelet");
    named(&node, 1, "kubelet-down", "kubelet", "inactive");
    sh(&node, "systemctl stop containerd");
    named(&node, 1, "runtime-down", "container-runtime", "containerd.sock");
    sh(&node, "systemctl start containerd; systemctl start kubelet");
    well_again(&node);
}

#[test]
fn a_mirror_pod_that_is_refused_is_missed_with_the_reason() {
    let node = Node::up("doctormirror", &Options::default());
    init_ok(&node, BASE);
    node.write(
        "/root/range.yaml",
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: small, namespace: kube-system}\n\
        spec: {limits: [{type: Container, max: {cpu: 50m}}]}\n",
    );
    assert_eq!(node.kubectl(&["apply", "-f", "/root/range.yaml"]).status, 0);
    let pod = format!("kube-scheduler-{}", node.name);
    assert_eq!(node.kubectl(&["-n", "kube-system", "delete", "pod", &pod, "--wait=false"]).status, 0);
    node.exec_ok(&["systemctl", "restart", "kubelet"]);
    node.wait_until("mirror-pod with its reason", Duration::from_secs(120), || {
        let (code, causes) = doctor(&node);
        (code == 1 && names(&causes, "mirror-pod", "kube-scheduler", "LimitRange")).then_some(())
    });

    // A webhook that nobody serves.
    assert_eq!(node.kubectl(&["delete", "-f", "/root/range.yaml"]).status, 0);
    node.write("/root/webhook.yaml", WEBHOOK);
    assert_eq!(node.kubectl(&["apply", "-f", "/root/webhook.yaml"]).status, 0);
    node.wait_until("the API server to mind the webhook", Duration::from_secs(20), || {
        let tried = node.kubectl(&["-n", "kube-system", "run", "tried", "--image=none", "--dry-run=server"]);
        tried.stderr.contains("failed calling webhook").then_some(())
    });
    // It may have been made while nobody minded.
    node.kubectl(&["-n", "kube-system", "delete", "pod", &pod, "--wait=false", "--ignore-not-found"]);
    node.exec_ok(&["systemctl", "restart", "kubelet"]);
    node.wait_until("mirror-pod with the webhook", Duration::from_secs(120), || {
        let (code, causes) = doctor(&node);
        (code == 1 && names(&causes, "mirror-pod", "kube-scheduler", "an admission webhook refuses it")).then_some(())
    });

    // The Node is deleted while its kubelet is away, and the webhook keeps it from coming back.
    node.exec_ok(&["systemctl", "stop", "kubelet"]);
    assert_eq!(node.kubectl(&["delete", "node", &node.name]).status, 0);
    named(&node, 1, "node-missing", "kubelet", &node.name);
    named(&node, 1, "kubelet-down", "kubelet", "inactive");
    node.exec_ok(&["systemctl", "start", "kubelet"]);
    node.wait_until("node-missing with the kubelet's word", Duration::from_secs(60), || {
        let (code, causes) = doctor(&node);
        (code == 1 && names(&causes, "node-missing", "kubelet", "pods.keel.test")).then_some(())
    });
    assert_eq!(node.kubectl(&["delete", "-f", "/root/webhook.yaml"]).status, 0);
    node.wait_until("the Node again", Duration::from_secs(60), || {
        (!names(&doctor(&node).1, "node-missing", "kubelet", "")).then_some(())
    });
}

/// Nobody serves it, and what it is asked about is refused.
const WEBHOOK: &str = r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: nobody}
webhooks:
- name: pods.keel.test
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  clientConfig: {service: {namespace: default, name: nobody}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods, nodes]}]
"#;

#[test]
fn a_bad_flag_is_named_on_a_node_of_kubeadm() {
    let node = Node::up("doctoradm", &Options::default());
    node.write("/root/kubeadm.yaml", include_str!("config/kubeadm.yaml"));
    node.exec_ok(&["kubeadm", "init", "--config", "/root/kubeadm.yaml"]);
    // Its pods carry no digest of ours, and are known by their names.
    let (_, causes) = node
        .wait_until("a control plane", Duration::from_secs(120), || Some(doctor(&node)).filter(|(code, _)| *code == 4));
    let found: Vec<_> = causes.iter().map(|cause| (&cause["cause"], &cause["remedy"])).collect();
    assert_eq!(found, [(&Value::from("not-ours"), &Value::from("kubekeel adopt"))]);
    node.wait_until("four that are ready", Duration::from_secs(60), || {
        (node.kubekeel(&["status"]).stdout.matches("[======] ready").count() == 4).then_some(())
    });

    sh(&node, "cd /etc/kubernetes/manifests; sed 's|^    - --kubeconfig=.*|&\\n    - --no-such-flag|' kube-scheduler.yaml > /root/new
        grep -q no-such-flag /root/new; mv /root/new kube-scheduler.yaml");
    let causes = node.wait_until("bad-flag", Duration::from_secs(90), || {
        let (code, causes) = doctor(&node);
        (code == 1 && names(&causes, "bad-flag", "kube-scheduler", "unknown flag: --no-such-flag")).then_some(causes)
    });
    let remedy = "correct the flag in /etc/kubernetes/manifests/kube-scheduler.yaml";
    assert!(causes.iter().any(|cause| cause["remedy"] == remedy), "{causes:#?}");
}

#[test]
fn a_pod_that_waits_for_its_predecessor_is_named() {
    let node = Node::up("doctorwedge", &Options::default());
    init_ok(&node, BASE);
    // A kubelet that has not seen the API server ends no old pod: so the API server stays away.
    let changed = with_cluster("scheduler: {extraArgs: [{name: v, value: \"3\"}]}")
        .replace("nodeRegistration:\n", &format!("localAPIEndpoint: {{advertiseAddress: {}}}\nnodeRegistration:\n  name: {}\n  criSocket: unix:///run/containerd/containerd.sock\n", node.address, node.name));
    node.write(CONFIG, changed);
    let rendered = node.kubekeel(&["render", "--config", CONFIG, "--out", "/tmp/rendered"]);
    assert_eq!(rendered.status, 0, "{}", rendered.stderr);
    let away = "systemctl stop kubelet; mv /etc/kubernetes/manifests/kube-apiserver.yaml /root/
        ctr -n k8s.io tasks kill -s SIGKILL $(ctr -n k8s.io containers ls | awk '/kube-apiserver/ {print $1}')
        systemctl start kubelet; sleep 8";
    let publish = "cd /etc/kubernetes/manifests; cat $(find /tmp/rendered -name kube-scheduler.yaml) > .new; mv .new kube-scheduler.yaml";
    sh(&node, away);
    sh(&node, publish);
    node.wait_until("predecessor", Duration::from_secs(30), || {
        let (code, causes) = doctor(&node);
        (code == 1 && names(&causes, "predecessor", "kube-scheduler", "has seen the API server")).then_some(())
    });
    named(&node, 1, "manifest-missing", "kube-apiserver", "kube-apiserver.yaml is gone");
    // A kubelet that is started again knows nothing of the old pod, and starts the new one beside it.
    sh(&node, "systemctl restart kubelet");
    node.wait_until("stale sandbox", Duration::from_secs(30), || {
        let (code, causes) = doctor(&node);
        (code == 1 && names(&causes, "stale-sandbox", "kube-scheduler", "2 pods")).then_some(())
    });
    let again = node.kubekeel(&["rollback", "1"]);
    assert_eq!(again.status, 0, "{}", again.stderr);
    well_again(&node);
}

#[test]
fn an_etcd_that_is_full_is_named() {
    let node = Node::up("doctorquota", &Options::default());
    init_ok(&node, &with_cluster("etcd: {local: {extraArgs: [{name: quota-backend-bytes, value: \"6000000\"}]}}"));
    sh(&node, "head -c 900000 /dev/zero | tr '\\0' x > /tmp/large");
    for number in 0..9 {
        // The last of them are refused: that is the point.
        node.kubectl(&["create", "configmap", &format!("large-{number}"), "--from-file=/tmp/large"]);
    }
    named(&node, 1, "etcd-quota", "etcd", "NOSPACE");
}

#[test]
fn the_bundle_holds_no_secret() {
    let node = Node::up("doctorbundle", &Options::default());
    let token = "k3k3k3.0123456789abcdef";
    let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let config = BASE.replace(
        "kind: ClusterConfiguration\n",
        "kind: ClusterConfiguration\nscheduler: {extraEnvs: [{name: PASSWORD, value: hunter2hunter2}]}\n",
    );
    init_ok(&node, &config);
    let made = node.kubekeel(&["token", "create", token]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    // A component that tells secrets, so that it is not by chance that none is found.
    sh(&node, &format!("cat /etc/kubernetes/pki/ca.key /etc/kubernetes/admin.conf /etc/kubernetes/pki/sa.key | sed 's/^/2026-01-01T00:00:00Z stderr F /' >> $(ls /var/log/pods/*scheduler*/*/0.log)
        echo '2026-01-01T00:00:00Z stderr F {token} --certificate-key {key} Bearer '$(kubectl --kubeconfig /etc/kubernetes/admin.conf -n kube-system create token default) >> $(ls /var/log/pods/*scheduler*/*/0.log)"));
    let done = node.kubekeel(&["doctor", "--bundle", "/root/report.tar.gz"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(sh(&node, "stat -c %a /root/report.tar.gz").trim(), "600");
    sh(&node, "mkdir /tmp/report && tar xzf /root/report.tar.gz -C /tmp/report");
    let report = sh(&node, "cd /tmp/report && find . -type f | sort");
    for part in [
        "doctor.json",
        "status.json",
        "journal/kubelet",
        "manifests/kube-scheduler.yaml",
        "kube-scheduler-0.log",
        "machine/routes",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    let log = sh(&node, "cat /tmp/report/kubekeel-doctor/logs/kube-scheduler-0.log");
    assert!(log.contains("[redacted]") && log.contains("stderr F"), "{log}");
    assert!(
        sh(&node, "wc -l < /tmp/report/kubekeel-doctor/journal/kubelet")
            .trim()
            .parse::<u32>()
            .is_ok_and(|lines| lines > 50)
    );
    // Every line of every private key, the keys in kubeconfigs, tokens, the certificate key, the variable's value.
    let secrets = sh(&node, &format!("cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key /var/lib/kubelet/pki/*.key | grep -v -- -----
        sed -n '/BEGIN.*PRIVATE/,/END.*PRIVATE/p' /var/lib/kubelet/pki/kubelet-client-current.pem | grep -v -- -----
        sed -nE 's/.*client-key-data: *//p' /etc/kubernetes/*.conf
        sed -nE 's/.*client-key-data: *//p' /etc/kubernetes/*.conf | while read -r key; do echo \"$key\" | base64 -d | grep -v -- -----; done
        echo {token}; echo {key}; echo 0123456789abcdef; echo hunter2hunter2; echo eyJ"));
    assert!(secrets.lines().count() > 50, "{} secrets", secrets.lines().count());
    node.write("/tmp/secrets", secrets.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n"));
    let found = node.exec(&["grep", "-rF", "-f", "/tmp/secrets", "/tmp/report"]);
    assert_eq!(found.status, 1, "{}", found.stdout);
    assert_ne!(node.kubekeel(&["doctor", "--bundle", "/root/report.tar.gz"]).status, 0, "nothing is overwritten");
}
