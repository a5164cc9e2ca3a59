//! Static pods behave as promised, on a node that `init` made. `docs/static-pods.md` tells the same with captures.

use std::time::Duration;

use crate::init::{BASE, init_ok};
use crate::node::{Node, Options};

const MINUTE: Duration = Duration::from_secs(60);

fn container(node: &Node, component: &str) -> Option<String> {
    let list = node.exec(&["ctr", "-n", "k8s.io", "tasks", "ls"]).stdout;
    let running: Vec<_> = list
        .lines()
        .filter(|line| line.contains("RUNNING"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    running.into_iter().find_map(|id| {
        let info = node.exec(&["ctr", "-n", "k8s.io", "containers", "info", id]).stdout;
        let named = format!("\"io.kubernetes.container.name\": \"{component}\"");
        info.contains(&named).then(|| id.to_owned())
    })
}

fn uid(node: &Node, pod: &str) -> Option<String> {
    let got = node.kubectl(&["-n", "kube-system", "get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]);
    (got.status == 0 && !got.stdout.is_empty()).then_some(got.stdout)
}

#[test]
fn static_pods_behave_as_promised() {
    let node = Node::up("static", &Options::default());
    init_ok(&node, BASE);
    let scheduler = format!("kube-scheduler-{}", node.name);

    // Deleting the mirror pod stops nothing, and it comes back.
    let (running, mirror) =
        (container(&node, "kube-scheduler").expect("it runs"), uid(&node, &scheduler).expect("a mirror pod"));
    assert_eq!(node.kubectl(&["-n", "kube-system", "delete", "pod", &scheduler, "--wait=false"]).status, 0);
    // At once, or at the pod's next sync, which the kubelet makes every 60-90 s.
    node.wait_until("new mirror pod", 2 * MINUTE, || uid(&node, &scheduler).filter(|uid| *uid != mirror));
    assert_eq!(container(&node, "kube-scheduler").as_ref(), Some(&running), "the container never stopped");

    // A killed container is restarted by the kubelet.
    node.exec_ok(&["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", &running]);
    node.wait_until("restarted container", MINUTE, || container(&node, "kube-scheduler").filter(|id| *id != running));

    // Nobody can evict it or scale it.
    let eviction = format!(
        r#"{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{scheduler}","namespace":"kube-system"}}}}"#
    );
    node.write("/tmp/eviction.json", eviction);
    let running = container(&node, "kube-scheduler").expect("it runs");
    node.kubectl(&[
        "create",
        "--raw",
        &format!("/api/v1/namespaces/kube-system/pods/{scheduler}/eviction"),
        "-f",
        "/tmp/eviction.json",
    ]);
    node.kubectl(&["drain", &node.name, "--ignore-daemonsets", "--force", "--timeout=20s"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(container(&node, "kube-scheduler").as_ref(), Some(&running), "neither eviction nor drain ended it");
    node.kubectl(&["uncordon", &node.name]);
    let scaled = node.kubectl(&["-n", "kube-system", "scale", "pod", &scheduler, "--replicas=2"]);
    assert_ne!(scaled.status, 0, "{}", scaled.stdout);

    // Removing the file ends the pod, putting it back brings it back.
    let (file, away) = ("/etc/kubernetes/manifests/kube-scheduler.yaml", "/root/kube-scheduler.yaml");
    node.exec_ok(&["mv", file, away]);
    node.wait_until("end of the pod", MINUTE, || container(&node, "kube-scheduler").is_none().then_some(()));
    node.wait_until("end of the mirror pod", MINUTE, || uid(&node, &scheduler).is_none().then_some(()));
    node.exec_ok(&["mv", away, file]);
    node.wait_until("the pod again", MINUTE, || container(&node, "kube-scheduler"));

    // The pods run while the API server is down.
    let before = ["etcd", "kube-controller-manager"].map(|name| container(&node, name));
    let (file, away) = ("/etc/kubernetes/manifests/kube-apiserver.yaml", "/root/kube-apiserver.yaml");
    node.exec_ok(&["mv", file, away]);
    node.wait_until("end of the API server", MINUTE, || container(&node, "kube-apiserver").is_none().then_some(()));
    assert_ne!(node.kubectl(&["get", "nodes"]).status, 0);
    assert_eq!(container(&node, "etcd"), before[0], "etcd runs on");
    assert!(container(&node, "kube-scheduler").is_some() || container(&node, "kube-controller-manager").is_some());
    let etcd = container(&node, "etcd").expect("it runs");
    node.exec_ok(&["ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", &etcd]);
    node.wait_until("etcd restarted without an API server", MINUTE, || {
        container(&node, "etcd").filter(|id| *id != etcd)
    });
    node.exec_ok(&["mv", away, file]);
    // A running kubelet waits for the end of the old pod, which it hears of late while etcd and the API are away.
    node.wait_until("the API server again", 5 * MINUTE, || {
        (node.kubectl(&["get", "--raw", "/readyz"]).stdout == "ok").then_some(())
    });

    // And whatever happened, init proves it again.
    init_ok(&node, BASE);
}
