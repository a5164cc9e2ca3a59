//! Faults on real nodes: each is caused, and `init` has to name it, soon and with evidence; then the same command with the
//! cause gone has to bring the control plane up without a reset.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::init::{BASE, CONFIG, init_json, init_ok, with_cluster};
use crate::node::{Node, Options};

/// What `init` said when it failed.
fn failure(node: &Node, config: &str, more: &[&str]) -> (Value, Duration) {
    let began = Instant::now();
    let (done, lines) = init_json(node, config, more);
    let error = lines.into_iter().find(|line| line["event"] == "error");
    let error = error.unwrap_or_else(|| panic!("no failure: {}\n{}", done.stdout, done.stderr));
    assert_eq!(error["exitCode"], done.status, "{error}");
    assert!(!done.stdout.contains("PRIVATE KEY") && !done.stderr.contains("PRIVATE KEY"));
    (error, began.elapsed())
}

/// Fails with a diagnosis; gives its evidence.
fn diagnosed(node: &Node, config: &str, more: &[&str], cause: &str, component: &str) -> String {
    let (error, took) = failure(node, config, more);
    let diagnosis = &error["diagnosis"];
    assert_eq!(diagnosis["cause"], cause, "{error}");
    assert_eq!(diagnosis["component"], component, "{error}");
    assert!(diagnosis["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()), "{error}");
    assert!(diagnosis["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    // Most causes are known in under ten seconds; this bound only keeps a regression from hiding.
    assert!(took < Duration::from_secs(40), "{cause} took {took:?}");
    println!("{cause} ({component}) was named after {:.1} s", took.as_secs_f64());
    diagnosis["evidence"].to_string()
}

/// Fails in preflight with a check; gives its message.
fn refused(node: &Node, config: &str, more: &[&str], check: &str) -> String {
    let (error, _) = failure(node, config, more);
    assert_eq!(error["exitCode"], 2, "{error}");
    let problems = error["problems"].as_array().cloned().unwrap_or_default();
    let problem = problems.iter().find(|problem| problem["subject"] == check);
    let problem = problem.unwrap_or_else(|| panic!("no {check} in {error}"));
    assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    problem["message"].as_str().unwrap_or_default().to_owned()
}

/// The lab's configuration with lines added to `nodeRegistration`.
fn with_node(lines: &str) -> String {
    BASE.replace("nodeRegistration:\n", &format!("nodeRegistration:\n{lines}\n"))
}

#[test]
fn a_bad_flag_is_named_and_the_next_run_recovers_from_the_kubelets_wedge() {
    let node = Node::up("badflag", &Options::default());
    let bad = with_cluster("apiServer: {extraArgs: [{name: no-such-flag, value: \"1\"}]}");
    let evidence = diagnosed(&node, &bad, &[], "bad-flag", "kube-apiserver");
    assert!(evidence.contains("unknown flag: --no-such-flag") && evidence.contains("exit code 1"), "{evidence}");
    // Text says the same as JSON.
    let text = node.kubekeel(&["init", "--config", CONFIG]).stderr;
    assert!(text.contains("bad-flag") && text.contains("remedy:"), "{text}");

    let etcd = with_cluster("etcd: {local: {extraArgs: [{name: no-such-flag, value: \"1\"}]}}");
    diagnosed(&node, &etcd, &[], "bad-flag", "etcd");
    let kubelet = with_node("  kubeletExtraArgs: [{name: no-such-flag, value: x}]");
    diagnosed(&node, &kubelet, &[], "bad-flag", "kubelet");
    let late = with_cluster("scheduler: {extraArgs: [{name: no-such-flag, value: \"1\"}]}");
    diagnosed(&node, &late, &[], "bad-flag", "kube-scheduler");
    init_ok(&node, BASE);
}

#[test]
fn etcd_that_cannot_be_reached_or_trusted_is_named() {
    let node = Node::up("etcdaway", &Options::default());
    let wrong = with_cluster("apiServer: {extraArgs: [{name: etcd-cafile, value: /etc/kubernetes/pki/ca.crt}]}");
    let evidence = diagnosed(&node, &wrong, &[], "certificate", "kube-apiserver");
    assert!(evidence.contains("certificate signed by unknown authority"), "{evidence}");
    let away =
        with_cluster("etcd: {local: {extraArgs: [{name: listen-client-urls, value: \"https://127.0.0.1:3379\"}]}}");
    let evidence = diagnosed(&node, &away, &[], "etcd-unreachable", "kube-apiserver");
    assert!(evidence.contains("connection refused"), "{evidence}");
    let file = with_cluster("apiServer: {extraArgs: [{name: audit-policy-file, value: /nope.yaml}]}");
    let evidence = diagnosed(&node, &file, &[], "file-missing", "kube-apiserver");
    assert!(evidence.contains("/nope.yaml"), "{evidence}");
    init_ok(&node, BASE);
}

#[test]
fn a_kubelet_that_does_not_run_is_named() {
    let node = Node::up("kubelet", &Options::default());
    let cgroup = BASE.replace("failCgroupV1: false\n", "");
    let message = refused(&node, &cgroup, &[], "SystemVerification");
    assert!(message.contains("cgroup v1"), "{message}");
    let evidence =
        diagnosed(&node, &cgroup, &["--ignore-preflight-errors", "SystemVerification"], "cgroup-v1", "kubelet");
    assert!(evidence.contains("cgroup v1"), "{evidence}");
    // Since 1.36 the kubelet takes the runtime's word for the cgroup driver: a difference is no refusal, but it is told.
    let (_, lines) = init_json(&node, &BASE.replace("cgroupDriver: cgroupfs", "cgroupDriver: systemd"), &["--dry-run"]);
    let warned = lines.iter().any(|line| line["event"] == "warning" && line["problem"]["subject"] == "CgroupDriver");
    assert!(warned, "{lines:?}");
    let broken = format!("{BASE}evictionHard: {{memory.available: nonsense}}\n");
    let evidence = diagnosed(&node, &broken, &[], "kubelet-down", "kubelet");
    assert!(evidence.contains("auto-restart") && evidence.contains("quantities"), "{evidence}");
    let name = with_node("  kubeletExtraArgs: [{name: hostname-override, value: BAD_NAME}]");
    diagnosed(&node, &name, &[], "node-name", "kubelet");
    let (error, _) = failure(&node, BASE, &["--node-name", "Not_A_Name"]);
    assert_eq!(error["exitCode"], 3, "{error}");
    node.exec_ok(&["systemctl", "mask", "--runtime", "kubelet"]);
    refused(&node, BASE, &[], "Service-kubelet");
    node.exec_ok(&["systemctl", "unmask", "--runtime", "kubelet"]);
    init_ok(&node, BASE);
}

#[test]
fn images_and_the_runtime_are_missed_by_name() {
    let node = Node::up("images", &Options::default());
    let tag = with_cluster("etcd: {local: {imageTag: 9.9.9-0}}");
    let message = refused(&node, &tag, &[], "ImagePull");
    assert!(message.contains("registry.k8s.io/etcd:9.9.9-0"), "{message}");
    let message =
        refused(&node, &tag.replace("imagePullPolicy: Never", "imagePullPolicy: IfNotPresent"), &[], "ImagePull");
    assert!(message.contains("cannot pull registry.k8s.io/etcd:9.9.9-0"), "{message}");
    let evidence = diagnosed(&node, &tag, &["--ignore-preflight-errors", "ImagePull"], "image-missing", "etcd");
    assert!(evidence.contains("9.9.9-0"), "{evidence}");
    init_ok(&node, BASE);

    node.exec_ok(&["systemctl", "stop", "containerd"]);
    let message = refused(&node, BASE, &[], "CRI");
    assert!(message.contains("does not answer"), "{message}");
    // The same when nobody looked beforehand.
    diagnosed(&node, BASE, &["--ignore-preflight-errors", "CRI"], "runtime-down", "container-runtime");
    node.exec_ok(&["systemctl", "start", "containerd"]);
    init_ok(&node, BASE);
}

#[test]
fn ports_manifests_swap_and_disks_are_checked_before_anything_is_touched() {
    let node = Node::up("preflight", &Options::default());
    let mut holder = node.spawn(&["socat", "TCP-LISTEN:10259,fork,reuseaddr", "EXEC:/bin/true"]);
    node.wait_until("listener", Duration::from_secs(5), || {
        (node.exec(&["sh", "-c", "ss -ltn | grep -q :10259"]).status == 0).then_some(())
    });
    let message = refused(&node, BASE, &[], "Port-10259");
    assert!(message.contains("kube-scheduler") && message.contains("socat"), "{message}");
    assert_eq!(node.read("/etc/kubernetes/pki/ca.crt"), None, "nothing was changed");
    let evidence = diagnosed(&node, BASE, &["--ignore-preflight-errors", "Port-10259"], "port-taken", "kube-scheduler");
    assert!(evidence.contains("socat"), "{evidence}");
    node.exec_ok(&["pkill", "-x", "socat"]);
    let _ = holder.wait();
    init_ok(&node, BASE);

    let twin = "/etc/kubernetes/manifests/kube-scheduler.yaml.bak";
    node.exec_ok(&["cp", "/etc/kubernetes/manifests/kube-scheduler.yaml", twin]);
    let message = refused(&node, BASE, &[], "ManifestDirectory");
    assert!(message.contains(twin) && message.contains("kube-scheduler"), "{message}");
    diagnosed(
        &node,
        &with_cluster("scheduler: {extraArgs: [{name: v, value: \"3\"}]}"),
        &["--ignore-preflight-errors", "ManifestDirectory"],
        "foreign-manifest",
        "kube-scheduler",
    );
    node.write(twin, "not: [a pod");
    let message = refused(&node, BASE, &[], "ManifestDirectory");
    assert!(message.contains("not a static pod"), "{message}");
    node.exec_ok(&["rm", twin]);

    node.exec_ok(&["sysctl", "-w", "net.ipv4.ip_forward=0"]);
    refused(&node, BASE, &[], "FileContent--proc-sys-net-ipv4-ip_forward");
    node.exec_ok(&["sysctl", "-w", "net.ipv4.ip_forward=1"]);

    node.exec_ok(&["sh", "-c", "mkdir -p /var/lib/full && mount -t tmpfs -o size=1m tmpfs /var/lib/full"]);
    let message = refused(&node, &with_cluster("etcd: {local: {dataDir: /var/lib/full/etcd}}"), &[], "DiskSpace");
    assert!(message.contains("/var/lib/full"), "{message}");
    node.exec_ok(&["sh", "-c", "mount -o remount,ro /var/lib/full"]);
    let message = refused(&node, &with_cluster("etcd: {local: {dataDir: /var/lib/full/etcd}}"), &[], "Writable");
    assert!(message.contains("/var/lib/full") && message.to_lowercase().contains("read-only"), "{message}");
    init_ok(&node, BASE);
}

#[test]
fn a_disk_that_fills_up_while_it_runs_is_named() {
    let node = Node::up("diskfull", &Options::default());
    // The kubelet's own directory is full: no pod directory can be made.
    node.exec_ok(&[
        "sh",
        "-c",
        "mkdir -p /var/lib/small && mount -t tmpfs -o size=2m tmpfs /var/lib/small && mkdir /var/lib/small/etcd",
    ]);
    let config = with_cluster("etcd: {local: {dataDir: /var/lib/small/etcd}}");
    diagnosed(&node, &config, &["--ignore-preflight-errors", "DiskSpace"], "disk-full", "node");
}

#[test]
fn certificates_that_do_not_fit_and_the_clock_are_named() {
    let node = Node::up("certs", &Options::default());
    init_ok(&node, BASE);
    // An expired certificate that is ours: it is issued again for the same key, and the pod is none the wiser.
    let key = node.read("/etc/kubernetes/pki/apiserver.key");
    let short = with_cluster("certificateValidityPeriod: 1s\napiServer: {certSANs: [short.example.com]}");
    node.write(CONFIG, &short);
    let done = node.kubekeel(&["init", "phase", "certs", "apiserver", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    std::thread::sleep(Duration::from_secs(2));
    let (plan, _) = init_json(&node, BASE, &["--dry-run"]);
    assert!(plan.stdout.contains("it expired on"), "{}", plan.stdout);
    init_ok(&node, BASE);
    assert_eq!(node.read("/etc/kubernetes/pki/apiserver.key"), key);

    // An authority from the future: the clock is wrong, here or where it was issued.
    let config = crate::sample::config();
    let profile = kubekeel::pki::profile(kubekeel::pki::CertificateId::EtcdCa, &config);
    let key = kubekeel::pki::Key::from_pem(node.read("/etc/kubernetes/pki/etcd/ca.key").expect("a key").as_bytes())
        .expect("readable");
    let tomorrow = std::time::SystemTime::now() + Duration::from_secs(86_400);
    let future = kubekeel::pki::issue(&profile, &key, None, tomorrow).expect("a certificate");
    let present = node.read("/etc/kubernetes/pki/etcd/ca.crt").expect("a certificate");
    node.write("/etc/kubernetes/pki/etcd/ca.crt", future);
    let message = refused(&node, BASE, &[], "Clock");
    assert!(message.contains("etcd-ca becomes valid only in 23 h"), "{message}");
    node.write("/etc/kubernetes/pki/etcd/ca.crt", present);

    // Somebody else's authority in place of ours: refused by name, nothing is overwritten.
    node.exec_ok(&["sh", "-c", "cp /etc/kubernetes/pki/etcd/ca.crt /etc/kubernetes/pki/front-proxy-ca.crt"]);
    let before = node.exec_ok(&["sh", "-c", "find /etc/kubernetes -type f | sort | xargs sha256sum"]);
    let message = refused(&node, BASE, &[], "/etc/kubernetes/pki/front-proxy-ca.crt");
    assert!(message.contains("its key is another one"), "{message}");
    assert_eq!(node.exec_ok(&["sh", "-c", "find /etc/kubernetes -type f | sort | xargs sha256sum"]), before);
}
