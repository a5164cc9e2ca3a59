//! Renewal on real nodes: what is shown on the ports is what is in the files, before and after, forth and back.

use std::time::Duration;

use serde_json::Value;

use crate::apply::{all_ready, json, numbers, tree};
use crate::init::{BASE, CONFIG, init_ok, uids, with_cluster};
use crate::node::{Node, Options};

/// Ports of which each shows the certificate of a file.
const SHOWN: [(u16, &str); 3] = [(6443, "apiserver"), (2379, "etcd/server"), (2380, "etcd/peer")];

/// Fails unless every port shows its file; asked with OpenSSL, which knows nothing of us.
#[track_caller]
pub(crate) fn assert_shown(node: &Node) {
    for (port, base) in SHOWN {
        let address = if port == 2379 { "127.0.0.1" } else { node.address.as_str() };
        let script = format!(
            "openssl s_client -connect {address}:{port} < /dev/null 2> /dev/null | openssl x509 -noout -fingerprint -sha256
             openssl x509 -noout -fingerprint -sha256 -in /etc/kubernetes/pki/{base}.crt"
        );
        let prints = node.exec_ok(&["sh", "-c", &script]);
        let prints: Vec<_> = prints.lines().collect();
        assert_eq!(prints.len(), 2, "{port}: {prints:?}");
        assert_eq!(prints[0], prints[1], "{port} shows another certificate than {base}.crt");
    }
}

pub(crate) fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn names(node: &Node, file: &str) -> String {
    node.exec_ok(&["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", file])
}

const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const APISERVER: &str = "/etc/kubernetes/pki/apiserver.crt";

/// Paths whose line differs between two trees.
fn changed(before: &str, after: &str) -> Vec<String> {
    let lines = after.lines().filter(|line| !before.contains(line));
    lines.filter_map(|line| line.rsplit("  ").next()).map(str::to_owned).collect()
}

#[test]
fn renewed_certificates_are_shown_and_the_old_ones_come_back_byte_for_byte() {
    let node = Node::up("certs", &Options::default());
    init_ok(&node, BASE);
    assert_shown(&node);
    // A name that only the certificate has does not survive: the configuration says what is issued.
    let odd = ["init", "phase", "certs", "apiserver", "--config", CONFIG, "--apiserver-cert-extra-sans", "odd.example"];
    assert_eq!(node.kubekeel(&odd).status, 0);
    assert!(names(&node, APISERVER).contains("odd.example"));

    let (first, ran) = (tree(&node), uids(&node));
    let (dry, lines) = json(&node, &["certs", "renew", "all", "--dry-run", "--exit-code"]);
    assert_eq!(dry.status, 4, "{}", dry.stdout);
    let restarts = &events(&lines, "plan")[0]["restarts"];
    assert_eq!(*restarts, serde_json::json!(["kube-controller-manager", "kube-scheduler"]));
    assert_eq!((tree(&node), numbers(&node)), (first.clone(), vec![1]), "a dry-run writes nothing");

    let (done, lines) = json(&node, &["certs", "renew", "all"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    println!("all renewed and proven after {} s", events(&lines, "proven")[0]["elapsed"]);
    let ports: Vec<_> = events(&lines, "served").iter().filter_map(|line| line["port"].as_u64()).collect();
    assert_eq!(ports, [6443, 10257, 10259, 2379, 2380], "{lines:?}");
    assert_shown(&node);
    all_ready(&node);
    assert_eq!(numbers(&node), [1, 2]);
    assert!(!names(&node, APISERVER).contains("odd.example"));
    let second = tree(&node);
    // Seven certificates with their keys, four kubeconfigs, two manifests; no authority and nothing of the kubelet's.
    let renewed = changed(&first, &second);
    assert_eq!(renewed.len(), 7 * 2 + 4 + 2, "{renewed:?}");
    assert!(!renewed.iter().any(|path| path.contains("ca.") || path.contains("sa.")), "{renewed:?}");
    let before: Vec<_> = ran.lines().filter(|line| line.starts_with("etcd") || line.starts_with("kube-api")).collect();
    assert!(before.iter().all(|line| uids(&node).contains(line)), "they reread and need no restart");
    // The API server goes on towards the kubelet with its new client certificate; when it notices it, it closes the
    // connections that it made with the old one, and the request that made it look may end with them.
    let scheduler = format!("kube-scheduler-{}", node.name);
    node.wait_until("log", Duration::from_secs(10), || {
        let log = node.kubectl(&["-n", "kube-system", "logs", &scheduler, "--tail=1"]);
        (log.status == 0).then_some(())
    });

    // The kubelet's own, when somebody asks for it by name: it keeps the new one, and goes on renewing it.
    let current = |node: &Node| node.exec_ok(&["openssl", "x509", "-noout", "-serial", "-in", KUBELET_CLIENT]);
    let (serial, ran_before) = (current(&node), uids(&node));
    let dry = node.kubekeel(&["certs", "renew", "kubelet.conf", "--dry-run"]).stdout;
    assert!(dry.contains("renew    the kubelet's client certificate"), "{dry}");
    let due = node.kubekeel(&["certs", "renew", "kubelet.conf", "--if-within", "30d"]);
    assert_eq!((due.status, due.stdout.trim()), (0, "Nothing has to be renewed."), "{}", due.stderr);
    let own = node.kubekeel(&["certs", "renew", "kubelet.conf"]);
    assert_eq!(own.status, 0, "{}", own.stderr);
    assert_ne!(current(&node), serial);
    assert_eq!((tree(&node), uids(&node)), (second.clone(), ran_before), "kubelet.conf names the same file");
    all_ready(&node);

    let due = node.kubekeel(&["certs", "renew", "all", "--if-within", "30d"]);
    assert_eq!((due.status, due.stdout.trim()), (0, "Nothing has to be renewed."), "{}", due.stderr);
    assert_eq!(node.kubekeel(&["certs", "check-expiration", "--within", "30d"]).status, 0);

    // Interrupted in the middle: every file is as it was, proven.
    let child = node.spawn(&["kubekeel", "certs", "renew", "all"]);
    node.wait_until("the second renewal", Duration::from_secs(30), || {
        node.exec_ok(&["sha256sum", APISERVER]).split(' ').next().filter(|digest| !second.contains(digest)).map(drop)
    });
    assert_eq!(node.exec(&["pkill", "-INT", "-f", "kubekeel certs renew"]).status, 0);
    let done = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(130), "{words}");
    assert!(words.contains("generation 2 was put back and is proven to run"), "{words}");
    assert_eq!((tree(&node), numbers(&node)), (second, vec![1, 2]), "byte for byte");
    assert_shown(&node);

    let (done, lines) = json(&node, &["rollback", "1"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(events(&lines, "served").len(), 5, "{lines:?}");
    assert_shown(&node);
    all_ready(&node);
    // Generation 1 is what `init` proved, before the odd name.
    let back = changed(&first, &tree(&node));
    assert_eq!(back, [APISERVER], "byte for byte");
}

/// A volume of a single file shows the pod the old file for ever; who still shows it is named and restarted.
#[test]
fn who_does_not_reread_is_named_and_restarted() {
    let node = Node::up("pinned", &Options::default());
    let volume = |name: &str, end: &str| {
        format!(
            "{{name: {name}, hostPath: /etc/kubernetes/pki/apiserver.{end}, mountPath: /etc/pinned/tls.{end}, readOnly: true}}"
        )
    };
    let flag = |name: &str, end: &str| format!("{{name: {name}, value: /etc/pinned/tls.{end}}}");
    let lines = format!(
        "apiServer: {{extraArgs: [{}, {}], extraVolumes: [{}, {}]}}",
        flag("tls-cert-file", "crt"),
        flag("tls-private-key-file", "key"),
        volume("pinned-crt", "crt"),
        volume("pinned-key", "key")
    );
    init_ok(&node, &with_cluster(&lines));
    assert_shown(&node);
    let (done, lines) = json(&node, &["certs", "renew", "apiserver"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let warnings = events(&lines, "warning");
    let named = |line: &&&Value| line["problem"]["subject"] == "kube-apiserver";
    let warning = warnings.iter().find(named).unwrap_or_else(|| panic!("{lines:?}")).to_string();
    assert!(warning.contains("port 6443: it still shows"), "{warning}");
    assert_shown(&node);
    all_ready(&node);
    assert_eq!(numbers(&node), [1, 2]);
}

/// The timer's own run: systemd starts it, and it renews what ends soon.
#[test]
fn the_timer_renews_and_goes_without_a_trace() {
    const UNITS: &str = "/etc/systemd/system";
    let node = Node::up("timer", &Options::default());
    init_ok(&node, BASE);
    let before = node.exec_ok(&["ls", UNITS]);
    let wrong = node.kubekeel(&["certs", "install-timer", "--on-calendar", "when it rains"]);
    assert_eq!(wrong.status, 3, "{}", wrong.stderr);
    assert_eq!(node.exec_ok(&["ls", UNITS]), before);

    let install = ["certs", "install-timer", "--if-within", "400d", "--on-calendar", "Sat *-*-* 03:00"];
    assert_eq!(node.kubekeel(&install).status, 0);
    let verify = node.exec(&["sh", "-c", &format!("systemd-analyze verify {UNITS}/kubekeel-certs-renew.*")]);
    assert_eq!((verify.status, verify.stdout.as_str(), verify.stderr.as_str()), (0, "", ""));
    let next = node.exec_ok(&["systemctl", "list-timers", "--no-pager", "kubekeel-certs-renew.timer"]);
    assert!(next.contains("Sat ") && next.contains("kubekeel-certs-renew.service"), "{next}");
    assert_eq!(node.exec_ok(&["systemctl", "is-enabled", "kubekeel-certs-renew.timer"]).trim(), "enabled");
    node.exec_ok(&["systemctl", "start", "kubekeel-certs-renew.service"]);
    assert_eq!(numbers(&node), [1, 2]);
    assert_shown(&node);

    // Units belong to the node and to no generation: the way back leaves them alone.
    let units = node.exec_ok(&["ls", UNITS]);
    assert_eq!(node.kubekeel(&["rollback", "1"]).status, 0);
    assert_eq!(node.exec_ok(&["ls", UNITS]), units);
    assert_eq!(node.kubekeel(&["certs", "install-timer", "--remove"]).status, 0);
    let left = node.exec_ok(&["sh", "-c", &format!("ls {UNITS}; ls {UNITS}/timers.target.wants 2> /dev/null || true")]);
    assert!(!left.contains("kubekeel-certs"), "{left}");
    let again = node.kubekeel(&["certs", "install-timer", "--remove"]);
    assert_eq!((again.status, again.stdout.trim()), (0, "There is no timer of kubekeel's."), "{}", again.stderr);
}

/// The night on which everything has expired: nothing answers, and one command brings it back.
#[test]
fn what_has_expired_comes_back() {
    let node = Node::up("expired", &Options::default());
    init_ok(&node, &with_cluster("certificateValidityPeriod: 1m30s"));
    node.wait_until("end of the certificates", Duration::from_secs(150), || {
        // All of them: the youngest is a kubeconfig.
        let check = node.kubekeel(&["certs", "check-expiration"]);
        (check.status == 8 && check.stderr.matches(" has expired ").count() == 11).then_some(())
    });
    assert_ne!(node.kubectl(&["get", "nodes"]).status, 0);
    let (done, lines) = json(&node, &["certs", "renew", "all", "--if-within", "30s"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    println!("all expired, renewed and proven after {} s", events(&lines, "proven")[0]["elapsed"]);
    assert_shown(&node);
    all_ready(&node);
}

/// Three authorities whose keys never reach /etc/kubernetes, and everything that they are asked for, signed by OpenSSL.
const AUTHORITIES: &str = "set -e
mkdir -p /root/ca/etcd /etc/kubernetes/pki/etcd
for ca in ca front-proxy-ca etcd/ca; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=elsewhere-${ca%/ca} \\
    -addext keyUsage=critical,keyCertSign,digitalSignature -keyout /root/ca/$ca.key -out /root/ca/$ca.crt 2> /dev/null
  cp /root/ca/$ca.crt /etc/kubernetes/pki/$ca.crt
done";
const SIGN: &str = "set -e
echo extendedKeyUsage=serverAuth,clientAuth > /root/ca/extensions
for request in $(cd $0; find . -name '*.csr'); do
  case $request in
    ./etcd/* | ./apiserver-etcd-client.csr) ca=etcd/ca;;
    ./front-proxy-client.csr) ca=front-proxy-ca;;
    *) ca=ca;;
  esac
  openssl x509 -req -in $0/$request -out $0/${request%.csr}.crt -CA /root/ca/$ca.crt -CAkey /root/ca/$ca.key \\
    -CAcreateserial -days 365 -copy_extensions copy -extfile /root/ca/extensions 2> /dev/null
done";

#[test]
fn authorities_elsewhere_sign_for_init_and_for_the_years_after() {
    let node = Node::up("elsewhere", &Options::default());
    node.exec_ok(&["sh", "-c", AUTHORITIES]);
    node.write(CONFIG, BASE);
    let request = |directory: &str| {
        let places = ["--cert-dir", directory, "--kubeconfig-dir", directory];
        node.exec_ok(&[&["kubekeel", "certs", "generate-csr", "--config", CONFIG], &places[..]].concat());
        node.exec_ok(&["sh", "-c", SIGN, directory]);
    };
    request("/root/first");
    node.exec_ok(&["kubekeel", "certs", "import", "/root/first", "--config", CONFIG]);
    init_ok(&node, BASE);
    all_ready(&node);
    assert_shown(&node);
    assert_eq!(node.exec(&["sh", "-c", "find / -xdev -name 'ca.key' -path '*kubernetes*' | grep ."]).status, 1);
    let report = node.exec_ok(&["kubekeel", "certs", "check-expiration", "-o", "json"]);
    assert!(!report.contains("\"managedBy\":\"kubekeel\""), "{report}");

    let refused = node.kubekeel(&["certs", "renew", "apiserver"]);
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("kubekeel certs generate-csr"), "{}", refused.stderr);

    request("/root/second");
    let first = tree(&node);
    let (done, lines) = json(&node, &["certs", "import", "/root/second"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert_eq!(events(&lines, "served").len(), 5, "{lines:?}");
    assert_shown(&node);
    all_ready(&node);
    assert_eq!(numbers(&node), [1, 2]);
    assert_eq!(node.kubekeel(&["rollback", "1"]).status, 0);
    assert_eq!(tree(&node), first, "byte for byte");
    assert_shown(&node);
}
