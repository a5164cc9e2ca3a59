//! `kubekeel reset` on real nodes: it leaves what was there before, and nothing else.

use std::time::Duration;

use serde_json::Value;

use crate::apply::all_ready;
use crate::init::{BASE, CONFIG, init_ok, with_cluster};
use crate::node::{Node, Options};

/// Everything that a control plane may touch: names, kinds, modes, owners, links and contents.
fn tree(node: &Node) -> String {
    let script = "for d in /etc/kubernetes /var/lib/kubelet /var/lib/etcd /etc/systemd /var/lib/kubekeel /etc/cni /opt/cni; do \
                  [ ! -e $d ] || find $d -printf '%p %y %m %U:%G %l\\n' -type f -exec sha256sum {} \\; ; done | sort";
    node.exec_ok(&["sh", "-c", script])
}

/// Runs a reset that must succeed; gives what it says that it left.
fn reset(node: &Node, more: &[&str]) -> Vec<(String, String)> {
    let done = node.kubekeel(&[&["reset", "--yes", "-o", "json"], more].concat());
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    left(&done.stdout)
}

fn left(stdout: &str) -> Vec<(String, String)> {
    let last: Value = serde_json::from_str(stdout.lines().last().expect("a line")).expect("JSON");
    let word = |left: &Value, name: &str| left[name].as_str().unwrap_or_default().to_owned();
    let all = last["left"].as_array().unwrap_or_else(|| panic!("nothing left in {last}")).clone();
    all.iter().map(|left| (word(left, "what"), word(left, "why"))).collect()
}

fn says(left: &[(String, String)], what: &str) -> bool {
    left.iter().any(|(left, why)| left == what && !why.is_empty())
}

#[test]
fn after_init_and_reset_the_node_is_what_it_was() {
    let node = Node::up("reset", &Options::default());
    let before = tree(&node);
    assert_eq!(node.kubekeel(&["reset", "--yes"]).stdout.trim(), "Nothing was made on this node.");
    init_ok(&node, BASE);
    // A change makes generations, a snapshot and the watchdog's unit.
    node.write(CONFIG, with_cluster("scheduler: {extraArgs: [{name: v, value: \"2\"}]}"));
    let done = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(node.exec(&["systemctl", "is-enabled", "kubekeel-watchdog"]).status == 0);

    let made = tree(&node);
    let dry = node.kubekeel(&["reset", "--dry-run"]);
    assert!(dry.stdout.contains("remove /etc/kubernetes/pki/ca.key"), "{}", dry.stdout);
    assert_eq!(node.kubekeel(&["reset"]).status, 3, "without a yes nothing happens");
    let socket = |tree: &str| {
        tree.lines().filter(|line| line.contains("/etc/kubernetes")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(socket(&tree(&node)), socket(&made), "a dry-run and a refusal change nothing");
    all_ready(&node);

    let left = reset(&node, &["--remove-etcd-snapshots"]);
    assert_eq!(tree(&node), before);
    assert!(says(&left, "/var/log/pods"), "{left:?}");
    assert_eq!(node.exec_ok(&["ctr", "-n", "k8s.io", "tasks", "ls", "-q"]), "", "nothing runs any more");
    assert_eq!(node.exec(&["grep", "-c", "/var/lib/kubelet", "/proc/mounts"]).stdout.trim(), "0");
    assert_ne!(node.exec(&["systemctl", "is-active", "kubelet"]).status, 0);

    // And all of it again; this time a snapshot is kept, and it is the only thing.
    init_ok(&node, BASE);
    all_ready(&node);
    let left = reset(&node, &[]);
    assert!(says(&left, "/var/lib/kubekeel/snapshots"), "{left:?}");
    let snapshots = node.exec_ok(&["sh", "-c", "find /var/lib/kubekeel -type f -size +100k"]);
    assert_eq!(snapshots.lines().count(), 1, "{snapshots}");
    node.exec_ok(&["rm", "-r", "/var/lib/kubekeel"]);
    assert_eq!(tree(&node), before);
}

/// Somebody's rule and chain in the packet filter; `saved` shows them whole.
const RULES: &str = "iptables -N THEIRS && iptables -A THEIRS -s 198.51.100.7 -j DROP && iptables -A INPUT -j THEIRS && \
                     iptables -t nat -A PREROUTING -p tcp --dport 8081 -j RETURN";
/// Somebody's network, beside the one that is there.
const NETWORK: &str = "/etc/cni/net.d/99-theirs.conflist";

/// Their rules, as the kernel has them.
fn rules(node: &Node) -> String {
    node.exec_ok(&["sh", "-c", "iptables-save | grep -e THEIRS -e 'dport 8081' | sed 's/\\[.*//'"])
}

#[test]
fn what_is_not_ours_stays_and_is_named() {
    let node = Node::up("resetothers", &Options::default());
    node.exec_ok(&["sh", "-c", RULES]);
    node.write(NETWORK, "{\"cniVersion\": \"1.0.0\", \"name\": \"theirs\", \"plugins\": []}\n");
    let (filter, networks) = (rules(&node), node.exec_ok(&["sh", "-c", "sha256sum /etc/cni/net.d/*"]));
    assert_eq!(filter.lines().count(), 4, "{filter}");
    init_ok(&node, BASE);
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: theirs, namespace: kube-system}\n\
               spec: {hostNetwork: true, containers: [{name: p, image: 'registry.k8s.io/pause:3.10.2'}]}\n";
    node.write("/etc/kubernetes/manifests/theirs.yaml", pod);
    let tasks = || node.exec_ok(&["ctr", "-n", "k8s.io", "tasks", "ls", "-q"]).lines().count();
    node.wait_until("their container", Duration::from_secs(60), || {
        (node.exec(&["sh", "-c", "ls /var/log/pods/*_theirs-*/p/0.log"]).status == 0).then_some(())
    });
    // Somebody's files, a link that leads out, a mount, an edited file.
    node.exec_ok(&["sh", "-c", "mkdir -p /srv/precious && echo gold > /srv/precious/gold && \
        echo x > /etc/kubernetes/pki/theirs.crt && echo x > /var/lib/kubelet/theirs && \
        ln -s /srv/precious /var/lib/etcd/member/link && \
        mkdir /var/lib/kubelet/pki/disk && mount -t tmpfs tmpfs /var/lib/kubelet/pki/disk && echo x > /var/lib/kubelet/pki/disk/gold && \
        echo '# by hand' >> /etc/kubernetes/admin.conf"]);
    // etcd does not answer: there is nothing to save, and that is told.
    node.exec_ok(&[
        "sh",
        "-c",
        "systemctl stop kubelet; ctr -n k8s.io tasks kill -s SIGKILL \
        $(ctr -n k8s.io containers ls | awk '/[/]etcd:/ {print $1}')",
    ]);
    let done = node.kubekeel(&["reset", "--yes", "-o", "json"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("no snapshot could be made"), "{}", done.stdout);
    let left = left(&done.stdout);
    for stays in [
        "/etc/kubernetes/manifests/theirs.yaml",
        "/etc/kubernetes/pki/theirs.crt",
        "/var/lib/kubelet/theirs",
        "/var/lib/kubelet/pki/disk",
        "/etc/kubernetes/admin.conf",
    ] {
        assert!(says(&left, stays), "{stays} in {left:?}");
        assert_eq!(node.exec(&["test", "-e", stays]).status, 0, "{stays}");
    }
    assert!(left.iter().any(|(what, _)| what.starts_with("pod kube-system/theirs-")), "{left:?}");
    assert_eq!(rules(&node), filter, "the packet filter is left alone");
    assert_eq!(node.exec_ok(&["sh", "-c", "sha256sum /etc/cni/net.d/*"]), networks);
    assert!(says(&left, "iptables, nftables, IPVS and /etc/cni"), "{left:?}");
    assert_eq!(tasks(), 2, "their sandbox and their container run on");
    assert_eq!(node.read("/srv/precious/gold").as_deref(), Some("gold\n"), "no link was followed");
    assert_eq!(node.read("/var/lib/kubelet/pki/disk/gold").as_deref(), Some("x\n"), "no mount was entered");
    for gone in
        ["/etc/kubernetes/pki/ca.key", "/etc/kubernetes/manifests/etcd.yaml", "/var/lib/etcd", "/var/lib/kubekeel"]
    {
        assert_ne!(node.exec(&["test", "-e", gone]).status, 0, "{gone}");
    }
}

#[cfg(feature = "faults")]
#[test]
fn a_killed_reset_is_finished_by_the_next_one() {
    let node = Node::up("resetkill", &Options::default());
    let before = tree(&node);
    init_ok(&node, BASE);
    let counted = node.exec(&[
        "env",
        "KUBEKEEL_COUNT_FAULTS=/tmp/points",
        "kubekeel",
        "reset",
        "--yes",
        "--remove-etcd-snapshots",
    ]);
    assert_eq!(counted.status, 0, "{}", counted.stderr);
    let points = node.read("/tmp/points").expect("points").lines().count();
    assert!(points > 60, "{points} points");
    for point in (1..=points).step_by(points / 10) {
        init_ok(&node, BASE);
        let kill = format!("KUBEKEEL_KILL_AT={point}");
        let killed = node.exec(&["env", &kill, "kubekeel", "reset", "--yes", "--remove-etcd-snapshots"]);
        assert_ne!(killed.status, 0, "point {point} was not reached");
        reset(&node, &["--remove-etcd-snapshots"]);
        assert_eq!(tree(&node), before, "after point {point} of {points}");
    }
}

#[test]
fn on_a_node_of_kubeadm_what_its_own_reset_removes_goes() {
    let node = Node::up("resetadm", &Options::default());
    node.write("/root/kubeadm.yaml", include_str!("config/kubeadm.yaml"));
    // Files only: kubeadm keeps all directories, and so the comparison ends where a directory is a kubelet's.
    let files =
        || node.exec_ok(&["sh", "-c", "find /etc/kubernetes /var/lib/kubelet /var/lib/etcd -type f -o -type s | sort"]);
    let init = || {
        let done = node.exec(&["kubeadm", "init", "--config", "/root/kubeadm.yaml"]);
        assert_eq!(done.status, 0, "{}", done.stderr);
    };
    init();
    let done = node.exec(&["kubeadm", "reset", "--force"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let theirs = files();
    init();
    assert_ne!(files(), theirs);
    // What another tool made is not proven, and its health is told all the same.
    node.wait_until("health", Duration::from_secs(90), || {
        let status = node.kubekeel(&["status"]);
        (status.status == 4 && status.stdout.matches("] ready").count() == 4).then_some(())
    });
    reset(&node, &["--remove-etcd-snapshots"]);
    assert_eq!(files(), theirs);
    assert_eq!(node.exec_ok(&["ctr", "-n", "k8s.io", "tasks", "ls", "-q"]), "");
    init();
    all_ready_soon(&node);
}

fn all_ready_soon(node: &Node) {
    node.wait_until("Ready mirror pods", Duration::from_secs(120), || (node.ready_pods().len() == 4).then_some(()));
}
