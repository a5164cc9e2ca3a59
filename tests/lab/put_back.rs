//! Changes of a running control plane that fail: the cause is named, and what ran before is there again, proven.

use serde_json::Value;

use crate::apply::{all_ready, json, numbers, tree};
use crate::init::{BASE, CONFIG, init_ok, with_cluster};
use crate::node::{Node, Options};

/// A flag of the scheduler: a change that would succeed.
fn harmless(level: u32) -> String {
    with_cluster(&format!("scheduler: {{extraArgs: [{{name: v, value: \"{level}\"}}]}}"))
}

/// Applies a configuration that fails; gives the error. Text says the same as JSON is for `init`'s tests to show.
fn fails(node: &Node, config: &str, code: i32) -> Value {
    node.write(CONFIG, config);
    let (done, lines) = json(node, &["apply", "--config", CONFIG]);
    assert_eq!(done.status, code, "{}\n{}", done.stdout, done.stderr);
    let error = lines.into_iter().find(|line| line["event"] == "error").expect("an error");
    assert_eq!(error["exitCode"], code, "{error}");
    error
}

/// What ran runs, byte for byte, and nothing is pending.
fn as_before(node: &Node, before: &str) {
    assert_eq!(tree(node), before, "byte for byte");
    assert_eq!(numbers(node), [1]);
    all_ready(node);
}

fn put_back(node: &Node, before: &str, config: &str, cause: &str, component: &str) {
    let error = fails(node, config, 1);
    assert_eq!(error["diagnosis"]["cause"], cause, "{error}");
    assert_eq!(error["diagnosis"]["component"], component, "{error}");
    was_put_back(node, before, &error);
}

fn was_put_back(node: &Node, before: &str, error: &Value) {
    assert!(error["hints"].to_string().contains("generation 1 was put back and is proven to run"), "{error}");
    as_before(node, before);
}

/// The configuration with a patch for the scheduler's container, and little patience.
fn patched(node: &Node, container: &str) -> String {
    let patch = format!("spec: {{containers: [{{name: kube-scheduler, {container}}}]}}");
    node.write("/root/patches/kube-scheduler.yaml", patch);
    BASE.replace(
        "kind: InitConfiguration\n",
        "kind: InitConfiguration\npatches: {directory: /root/patches}\ntimeouts: {controlPlaneComponentHealthCheck: 20s}\n",
    )
}

#[test]
fn a_change_that_cannot_come_up_is_put_back_with_its_cause() {
    let node = Node::up("putback", &Options::default());
    init_ok(&node, BASE);
    let before = tree(&node);

    let image = fails(&node, &with_cluster("etcd: {local: {imageTag: 9.9.9-0}}"), 2);
    assert!(image.to_string().contains("registry.k8s.io/etcd:9.9.9-0 is missing"), "{image}");
    as_before(&node, &before);

    let etcd = with_cluster("etcd: {local: {extraArgs: [{name: no-such-flag, value: \"1\"}]}}");
    put_back(&node, &before, &etcd, "bad-flag", "etcd");
    let file = with_cluster("apiServer: {extraArgs: [{name: audit-policy-file, value: /nope.yaml}]}");
    put_back(&node, &before, &file, "file-missing", "kube-apiserver");

    // It ends at once, again and again, and says nothing of use.
    let flags = r#"grep -oE '"--[^"]*"' /etc/kubernetes/manifests/kube-scheduler.yaml | paste -sd,"#;
    let flags = node.exec_ok(&["sh", "-c", flags]).trim().to_owned();
    let other = |words: &str| format!("image: registry.k8s.io/pause:3.10.2, command: [{words}, {flags}]");
    put_back(&node, &before, &patched(&node, &other("pause, -v")), "crash-loop", "kube-scheduler");
    // It runs and listens nowhere.
    let error = fails(&node, &patched(&node, &other("pause")), 6);
    let diagnosis = &error["diagnosis"];
    assert_eq!(
        (&diagnosis["cause"], &diagnosis["component"]),
        (&"unhealthy".into(), &"kube-scheduler".into()),
        "{error}"
    );
    was_put_back(&node, &before, &error);
    // It listens and is well, and says itself that it is not ready.
    let probe =
        "readinessProbe: {httpGet: {host: 127.0.0.1, path: /nope, port: 10259, scheme: HTTPS}, periodSeconds: 1}";
    let error = fails(&node, &patched(&node, probe), 6);
    assert_eq!(error["diagnosis"]["component"], "kube-scheduler", "{error}");
    println!("{}", error["diagnosis"]);
    assert!(error["diagnosis"].to_string().contains("Ready"), "{error}");
    was_put_back(&node, &before, &error);
}

#[test]
fn what_etcd_or_the_kubelet_cannot_start_with_is_put_back() {
    let node = Node::up("cannotstart", &Options::default());
    init_ok(&node, BASE);
    let before = tree(&node);
    let mut holder = node.spawn(&["socat", "TCP-LISTEN:22381,fork,reuseaddr", "EXEC:/bin/true"]);
    let metrics = "etcd: {local: {extraArgs: [{name: listen-metrics-urls, value: \"http://127.0.0.1:2381,http://127.0.0.1:22381\"}]}}";
    put_back(&node, &before, &with_cluster(metrics), "port-taken", "etcd");
    node.exec_ok(&["pkill", "-x", "socat"]);
    let _ = holder.wait();

    let kubelet = fails(&node, &format!("{BASE}evictionHard: {{memory.available: nonsense}}\n"), 1);
    let diagnosis = &kubelet["diagnosis"];
    assert_eq!(
        (&diagnosis["cause"], &diagnosis["component"]),
        (&"kubelet-down".into(), &"kubelet".into()),
        "{kubelet}"
    );
    was_put_back(&node, &before, &kubelet);
}

#[test]
fn an_etcd_that_cannot_take_its_data_back_gets_the_snapshot() {
    let node = Node::up("snapback", &Options { minor: "1.36", ..Options::default() });
    init_ok(&node, BASE);
    let before = tree(&node);
    let made = node.kubectl(&["create", "configmap", "before"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    node.load("1.37");
    // The new etcd writes, and from then on it never lives long enough to be asked for anything.
    let script = "kubekeel upgrade apply v1.37.2 --min-ready-seconds 15 -o json > /tmp/lines 2>&1 & run=$!
         until grep -q '\"event\":\"proven\"' /tmp/lines || ! kill -0 $run; do sleep 0.1; done
         kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap after > /dev/null
         while grep -q etcd:3.7.0-0 /etc/kubernetes/manifests/etcd.yaml; do pkill -KILL -x etcd; sleep 0.05; done
         wait $run; echo $?; cat /tmp/lines";
    let ended = node.exec_ok(&["sh", "-c", script]);
    let (status, told) = ended.split_once('\n').expect("a status");
    assert_eq!(status, "1", "{told}");
    let lines: Vec<Value> = told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    println!("{error}");
    assert!(error["hints"].to_string().contains("what was written after it is lost"), "{error}");
    was_put_back(&node, &before, error);
    let names = node.kubectl(&["get", "configmaps", "-o", "name"]).stdout;
    assert!(names.contains("configmap/before") && !names.contains("configmap/after"), "{names}");
}

#[test]
fn what_is_ill_or_edited_before_a_change_stops_it() {
    let node = Node::up("stopped", &Options::default());
    init_ok(&node, BASE);
    let before = tree(&node);

    node.exec_ok(&["systemctl", "mask", "--runtime", "--now", "kubelet"]);
    let kubelet = fails(&node, &harmless(2), 2);
    assert!(kubelet.to_string().contains("Service-kubelet"), "{kubelet}");
    node.exec_ok(&["systemctl", "unmask", "--runtime", "kubelet"]);
    node.exec_ok(&["systemctl", "start", "kubelet"]);
    // A kubelet that started a moment ago repeats what it said before, and takes it back for two or three seconds.
    std::thread::sleep(std::time::Duration::from_secs(5));

    // A hand edit, put where an editor's copy would be and renamed over the file.
    let manifest = "/etc/kubernetes/manifests/kube-scheduler.yaml";
    let edit = format!(
        "cp -p {manifest} /root/kept; sed s/--leader-elect=true/--leader-elect=false/ /root/kept > /root/new
         mv /root/new {manifest}; if cmp -s /root/kept {manifest}; then exit 1; fi"
    );
    node.exec_ok(&["sh", "-ec", &edit]);
    let edited = fails(&node, &harmless(2), 5);
    assert!(edited.to_string().contains(manifest), "{edited}");
    node.exec_ok(&["mv", "/root/kept", manifest]);
    node.wait_until("the control plane as it was", std::time::Duration::from_secs(60), || {
        (node.ready_pods().len() == 4 && node.kubekeel(&["status"]).status == 0).then_some(())
    });
    as_before(&node, &before);

    // No room for the snapshot of etcd, while all else has room.
    let small = "mkdir -p /var/lib/kubekeel/snapshots && mount -t tmpfs -o size=1m tmpfs /var/lib/kubekeel/snapshots";
    node.exec_ok(&["sh", "-c", small]);
    let full = fails(&node, &with_cluster("etcd: {local: {extraArgs: [{name: log-level, value: warn}]}}"), 2);
    assert!(full["message"].as_str().is_some_and(|text| text.contains("MiB are free")), "{full}");
    assert!(full["hints"].to_string().contains("nothing was changed"), "{full}");
    as_before(&node, &before);
}
