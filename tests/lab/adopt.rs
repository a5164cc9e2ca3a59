//! A control plane that the real kubeadm made becomes ours as it runs, hand edits included.

use std::time::Duration;

use serde_json::Value;

use crate::apply::{all_ready, json, numbers, restarted, tree};
use crate::init::uids;
use crate::node::{Node, Options};

/// What people do to manifests: a flag, a request, a volume, a probe.
const EDITS: &str = r"set -e
cd /etc/kubernetes/manifests
sed -e 's/^    - --allow-privileged=true/&\n    - --v=3/' -e 's/cpu: 250m/cpu: 300m/' \
    -e 's#^    volumeMounts:#&\n    - {mountPath: /var/log/audit, name: audit}#' \
    -e 's#^  volumes:#&\n  - {hostPath: {path: /var/log/audit, type: DirectoryOrCreate}, name: audit}#' \
    kube-apiserver.yaml > /root/kube-apiserver.yaml
sed 's/timeoutSeconds: 15/timeoutSeconds: 20/' kube-scheduler.yaml > /root/kube-scheduler.yaml
mv /root/kube-apiserver.yaml /root/kube-scheduler.yaml .";

/// Lines of our manifest of the API server that keep the edits.
const KEPT: [&str; 4] =
    ["- \"--v=3\"", "cpu: \"300m\"", "- mountPath: \"/var/log/audit\"", "type: \"DirectoryOrCreate\""];

fn command(node: &Node, pod: &str) -> String {
    let name = format!("{pod}-{}", node.name);
    node.kubectl(&["-n", "kube-system", "get", "pod", &name, "-o", "jsonpath={.spec.containers[0]}"]).stdout
}

#[test]
fn a_control_plane_of_kubeadm_is_taken_over_as_it_runs() {
    let node = Node::up("adopt", &Options { minor: "1.36", ..Options::default() });
    let config = include_str!("config/kubeadm.yaml").replace("v1.37.2", "v1.36.3");
    let config = config.replace("dns:\n  disabled: true\nproxy:\n  disabled: true\n", "");
    node.write("/root/kubeadm.yaml", config);
    node.exec_ok(&["kubeadm", "init", "--config", "/root/kubeadm.yaml", "--skip-phases", "addon"]);
    node.exec_ok(&["sh", "-c", EDITS]);
    let wanted = crate::init::PODS.map(|pod| format!("{pod}-{}", node.name)).to_vec();
    node.wait_until("the edited pods", Duration::from_secs(120), || {
        let edited = command(&node, "kube-apiserver").contains("--v=3")
            && command(&node, "kube-scheduler").contains("\"timeoutSeconds\":20");
        (edited && node.ready_pods() == wanted).then_some(())
    });
    let (theirs, ran) = (tree(&node), uids(&node));

    let dry = node.kubekeel(&["adopt", "--dry-run"]);
    assert_eq!(dry.status, 0, "{}", dry.stderr);
    for line in ["kept as extraArgs: --v=3", "cpu: \"300m\"", "static pods that restart: none", "Nothing was adopted."]
    {
        assert!(dry.stdout.contains(line), "{line} in {}", dry.stdout);
    }
    assert_eq!((tree(&node), numbers(&node)), (theirs.clone(), vec![]));

    let (done, lines) = json(&node, &["adopt"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let adoption = lines.iter().find(|line| line["event"] == "adoption").expect("what was adopted");
    let edits: Vec<_> = adoption["edits"].as_array().expect("edits").iter().map(|edit| &edit["component"]).collect();
    assert_eq!(
        edits,
        ["kube-apiserver", "kube-apiserver", "kube-scheduler"].map(Value::from).iter().collect::<Vec<_>>()
    );
    assert_eq!((tree(&node), uids(&node), numbers(&node)), (theirs.clone(), ran.clone(), vec![1]));
    let again = node.kubekeel(&["adopt"]);
    assert_eq!(again.status, 2, "{}", again.stderr);

    // From then on it is a node like any other: what does not change does not restart, and all of it comes back.
    let (done, _) = json(&node, &["apply"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(restarted(&ran, &uids(&node)), Vec::<&str>::new());
    let (done, _) = json(&node, &["rollback", "1"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!((tree(&node), restarted(&ran, &uids(&node))), (theirs.clone(), vec![]));

    node.load("1.37");
    let (done, _) = json(&node, &["upgrade", "apply", "v1.37.2"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    all_ready(&node);
    let manifest = node.read("/etc/kubernetes/manifests/kube-apiserver.yaml").expect("a manifest");
    for line in KEPT {
        assert!(manifest.contains(line), "{line} in {manifest}");
    }
    let (done, _) = json(&node, &["rollback", "1"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(tree(&node), theirs, "byte for byte");
    all_ready(&node);
}
