//! `kubekeel status` on a real node: before `init`, after it, with the API server down, with a file edited.

use std::time::Duration;

use serde_json::Value;

use crate::init::{BASE, init_ok};
use crate::node::{Node, Options};

fn status(node: &Node) -> (i32, Value) {
    let done = node.kubekeel(&["status", "-o", "json"]);
    let line = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}\n{}", done.stdout, done.stderr));
    (done.status, line)
}

#[test]
fn it_tells_what_runs_whatever_is_down() {
    let node = Node::up("status", &Options::default());
    let (code, seen) = status(&node);
    assert_eq!((code, &seen["severity"]), (2, &Value::from("waiting")), "{seen}");
    let text = node.kubekeel(&["status"]).stdout;
    assert!(text.contains("waiting for init") && text.contains("waits for init, which configures it"), "{text}");

    init_ok(&node, BASE);
    let (code, seen) = status(&node);
    assert_eq!((code, &seen["severity"]), (0, &Value::from("well")), "{seen}");
    assert_eq!(seen["generation"]["number"], 1, "{seen}");
    for state in seen["components"].as_array().expect("components") {
        assert_eq!((&state["rung"], &state["desired"]), (&Value::from("mirror-pod"), &state["running"]), "{state}");
        assert!(state["image"].as_str().is_some_and(|image| image.starts_with("registry.k8s.io/")), "{state}");
    }
    assert_eq!(seen["etcd"]["Ok"]["version"], "3.7.0", "{seen}");
    assert_eq!(seen["certificates"].as_array().map(Vec::len), Some(16), "{seen}");
    let named = |name: &str| seen["certificates"].as_array()?.iter().find(|one| one["name"] == name);
    assert!(named("kubelet-server").is_some_and(|one| one["managed"] == "kubelet" && one["days"].is_i64()), "{seen}");
    let text = node.kubekeel(&["status"]).stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\x1b'), "plain when piped: {text}");

    // A hand edit, of a file that runs nothing.
    node.exec_ok(&["sh", "-c", "cp -p /etc/kubernetes/admin.conf /root/ && echo '#' >> /etc/kubernetes/admin.conf"]);
    let (code, seen) = status(&node);
    assert_eq!(code, 5, "{seen}");
    assert!(seen["drift"]["/etc/kubernetes/admin.conf"].is_string(), "{seen}");
    node.exec_ok(&["mv", "/root/admin.conf", "/etc/kubernetes/admin.conf"]);

    // A certificate that is none any more.
    node.exec_ok(&[
        "sh",
        "-ec",
        "cd /etc/kubernetes/pki; cp -p front-proxy-client.crt /root/; echo nothing > front-proxy-client.crt",
    ]);
    let (code, seen) = status(&node);
    assert_eq!(code, 1, "{seen}");
    let first = &seen["certificates"][0];
    assert_eq!((&first["name"], &first["days"]), (&Value::from("front-proxy-client"), &Value::Null), "{seen}");
    assert!(first["damaged"].is_string(), "{seen}");
    let text = node.kubekeel(&["status"]).stdout;
    assert!(text.contains("certificates  front-proxy-client damaged, "), "{text}");
    node.exec_ok(&["mv", "/root/front-proxy-client.crt", "/etc/kubernetes/pki/front-proxy-client.crt"]);

    // The API server is gone, and nobody brings it back: the runtime and the kubelet's unit still tell.
    node.exec_ok(&["systemctl", "stop", "kubelet"]);
    let kill = "ctr -n k8s.io tasks kill -s SIGKILL $(ctr -n k8s.io containers ls | awk '/kube-apiserver/ {print $1}')";
    node.exec_ok(&["sh", "-c", kill]);
    let rung = |seen: &Value, name: &str| {
        let all = seen["components"].as_array()?;
        Some(all.iter().find(|one| one["component"] == name)?["rung"].as_str()?.to_owned())
    };
    // The runtime notices the end of a process a moment later.
    let (code, seen) = node.wait_until("the runtime's word", Duration::from_secs(10), || {
        Some(status(&node)).filter(|(_, seen)| rung(seen, "kube-apiserver").as_deref() == Some("sandbox"))
    });
    assert_eq!(code, 1, "{seen}");
    assert_eq!(rung(&seen, "etcd").as_deref(), Some("health"), "{seen}");
    assert_eq!(seen["kubelet"]["running"], false, "{seen}");
    assert_eq!(seen["kubelet"]["version"], "v1.37.2", "the installed one: {seen}");
    assert!(seen["etcd"]["Ok"]["size"].as_u64().is_some_and(|size| size > 0), "{seen}");

    // Neither runtime nor anything else.
    node.exec_ok(&["systemctl", "stop", "containerd"]);
    let (code, seen) = status(&node);
    assert_eq!(code, 1, "{seen}");
    assert!(seen["runtime"]["Err"].is_string(), "{seen}");
    node.exec_ok(&["systemctl", "start", "containerd"]);
    init_ok(&node, BASE);
    assert_eq!(status(&node).0, 0);
}
