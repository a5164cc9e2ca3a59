//! What comes between: an edit, a full disk, a clock that is set, while a change is being made. It ends well or is put back, and
//! nothing that somebody wrote is lost.

use serde_json::Value;

use crate::apply::{all_ready, json, numbers, restarted, tree};
use crate::init::{BASE, CONFIG, init_ok, uids, with_cluster};
use crate::node::{Node, Options};

const SCHEDULER: &str = "/etc/kubernetes/manifests/kube-scheduler.yaml";
const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";

fn verbose(level: u32) -> String {
    with_cluster(&format!("scheduler: {{extraArgs: [{{name: v, value: \"{level}\"}}]}}"))
}

/// Makes a change with `command`, stops it in the middle when `until` is true, does `meanwhile`, and lets it go on. Gives the exit
/// code and what it told.
fn interrupted(node: &Node, command: &str, until: &str, meanwhile: &str) -> (i32, Vec<Value>) {
    let script = format!(
        "{command} -o json > /tmp/lines 2> /tmp/words & run=$!
         until {until} || ! kill -0 $run 2> /dev/null; do :; done
         kill -STOP $run
         {meanwhile}
         kill -CONT $run
         wait $run; echo $?; cat /tmp/lines"
    );
    let told = node.exec_ok(&["sh", "-c", &script]);
    let (status, lines) = told.split_once('\n').expect("a status");
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")));
    (status.parse().expect("a number"), lines.collect())
}

const CHANGE: &str = "kubekeel apply --config /etc/kubekeel.yaml";
/// The change has begun, and the first thing that it does takes the kubelet a while to end.
const BEGUN: &str = "[ -e /var/lib/kubekeel/pending.json ]";

fn error(lines: &[Value]) -> &Value {
    lines.iter().find(|line| line["event"] == "error").unwrap_or_else(|| panic!("no error: {lines:?}"))
}

#[test]
fn what_somebody_edits_meanwhile_ends_the_change_and_is_kept() {
    let node = Node::up("edited", &Options::default());
    init_ok(&node, BASE);
    let before = tree(&node);
    let kept = |words: &str| {
        let copies = node.exec_ok(&["sh", "-c", "cat /var/lib/kubekeel/edited/*"]);
        assert!(copies.contains(words), "{copies}");
        node.exec_ok(&["rm", "-r", "/var/lib/kubekeel/edited"]);
    };

    // After the plan, before the write.
    node.write(CONFIG, verbose(2));
    let edit = format!(
        "sed 's/^spec:/# by hand\\n&/' {SCHEDULER} > /root/new; cp -a /root/new {SCHEDULER}; chmod 600 {SCHEDULER}"
    );
    let (status, lines) = interrupted(&node, CHANGE, BEGUN, &edit);
    let failure = error(&lines);
    assert_eq!(status, 5, "{failure}");
    assert!(failure["problems"].to_string().contains(SCHEDULER), "{failure}");
    assert!(failure["hints"].to_string().contains("generation 1 was put back and is proven to run"), "{failure}");
    assert_eq!((tree(&node), numbers(&node)), (before.clone(), vec![1]), "byte for byte");
    kept("# by hand");
    all_ready(&node);

    // After the proof, before it is kept: in a file that no pod is made of.
    let (status, lines) = interrupted(
        &node,
        &format!("{CHANGE} --min-ready-seconds 10"),
        "grep -q '\"event\":\"proven\"' /tmp/lines 2> /dev/null",
        &format!("echo '# by hand, later' >> {KUBELET_CONFIG}"),
    );
    let failure = error(&lines);
    assert_eq!(status, 5, "{failure}");
    assert!(failure["problems"].to_string().contains(KUBELET_CONFIG), "{failure}");
    assert_eq!((tree(&node), numbers(&node)), (before.clone(), vec![1]), "byte for byte");
    kept("# by hand, later");
    all_ready(&node);

    // A rollback that somebody asks for keeps it, too.
    let done = node.kubekeel(&["apply", "--config", CONFIG]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    node.exec_ok(&["sh", "-c", &format!("echo '# by hand, at last' >> {KUBELET_CONFIG}")]);
    let back = node.kubekeel(&["rollback", "1"]);
    assert_eq!(back.status, 0, "{}", back.stderr);
    assert!(back.stderr.contains("what it said is kept in"), "{}", back.stderr);
    kept("# by hand, at last");
    assert_eq!(tree(&node), before, "byte for byte");

    // A plan names the edit beside everything else.
    node.exec_ok(&["sh", "-c", &format!("echo 'maxPods: 99' >> {KUBELET_CONFIG}")]);
    let dry = node.kubekeel(&["apply", "--config", CONFIG, "--dry-run"]);
    assert_eq!(dry.status, 5, "{}", dry.stderr);
    let plan = format!("refuse   {KUBELET_CONFIG}: somebody edited this file");
    assert!(dry.stdout.contains(&plan) && dry.stdout.contains("restart: kube-scheduler"), "{}", dry.stdout);
}

/// A restart that nobody planned, of a component that the change has nothing to do with.
#[test]
fn a_restart_that_the_plan_did_not_say_fails_the_change() {
    let node = Node::up("unplanned", &Options::default());
    init_ok(&node, BASE);
    let before = tree(&node);
    node.write(CONFIG, verbose(2));
    let (status, lines) = interrupted(&node, CHANGE, BEGUN, "pkill -KILL -x kube-controller");
    let failure = error(&lines);
    assert_eq!(status, 1, "{failure}");
    let message = failure["message"].as_str().unwrap_or_default();
    assert_eq!(message, "kube-controller-manager restarted, which the plan did not say");
    assert!(failure["hints"].to_string().contains("generation 1 was put back and is proven to run"), "{failure}");
    assert_eq!((tree(&node), numbers(&node)), (before, vec![1]), "byte for byte");
    all_ready(&node);
}

/// The disk of /etc/kubernetes has not a byte left when manifests are to be written.
#[test]
fn a_disk_that_is_full_when_files_are_written_changes_nothing() {
    let node = Node::up("fullwrite", &Options::default());
    node.exec_ok(&["sh", "-c", "mkdir -p /etc/kubernetes && mount -t tmpfs -o size=1m tmpfs /etc/kubernetes"]);
    let unheeded = |config: &str| {
        config.replace("nodeRegistration:\n", "nodeRegistration:\n  ignorePreflightErrors: [DiskSpace]\n")
    };
    init_ok(&node, &unheeded(BASE));
    let (before, ran) = (tree(&node), uids(&node));
    node.write(CONFIG, unheeded(&verbose(2)));
    let full = "dd if=/dev/zero of=/etc/kubernetes/.filler bs=4k 2> /dev/null; true";
    let (status, lines) = interrupted(&node, CHANGE, BEGUN, full);
    let failure = error(&lines);
    println!("{failure}");
    assert_eq!(status, 1, "{failure}");
    assert!(failure.to_string().contains("No space left on device"), "{failure}");
    assert!(failure["hints"].to_string().contains("generation 1 was put back and is proven to run"), "{failure}");
    node.exec_ok(&["rm", "/etc/kubernetes/.filler"]);
    assert_eq!((tree(&node), numbers(&node)), (before, vec![1]), "byte for byte");
    let again = restarted(&ran, &uids(&node));
    assert!(!again.contains(&"etcd") && !again.contains(&"kube-apiserver"), "{again:?}");
    all_ready(&node);
}

/// The clock of kubekeel, which can be set while it runs; that of the machine is the machine's.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
fn a_clock_that_is_set_meanwhile_does_no_harm_and_one_that_is_behind_stops_the_change() {
    let node = Node::up("clock", &Options::default());
    let library = std::fs::read(FAKETIME).unwrap_or_else(|error| panic!("{FAKETIME}: {error}"));
    node.write("/usr/lib/libfaketime.so.1", library);
    init_ok(&node, BASE);
    let clock = |offset: &str| node.write("/root/clock", offset);
    let set = "LD_PRELOAD=/usr/lib/libfaketime.so.1 FAKETIME_TIMESTAMP_FILE=/root/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1";
    let change = format!("env {set} {CHANGE}");

    // An hour behind what was proven already.
    clock("-1h");
    let before = tree(&node);
    node.write(CONFIG, verbose(2));
    let (status, lines) = interrupted(&node, &change, "false", "true");
    let failure = error(&lines);
    assert_eq!(status, 2, "{failure}");
    let clocks =
        failure["problems"].as_array().expect("problems").iter().filter(|problem| problem["subject"] == "Clock");
    assert!(clocks.count() > 0 && failure.to_string().contains("timedatectl"), "{failure}");
    assert_eq!((tree(&node), numbers(&node)), (before, vec![1]), "nothing was changed");

    // Back by three minutes and forward by an hour, in the middle of changes with a snapshot of etcd and a new certificate.
    let name = |name: &str, level: &str| {
        with_cluster(&format!(
            "apiServer: {{certSANs: [{name}]}}\netcd: {{local: {{extraArgs: [{{name: log-level, value: {level}}}]}}}}"
        ))
    };
    let snapshots =
        || node.exec_ok(&["ls", "/var/lib/kubekeel/snapshots"]).lines().map(str::to_owned).collect::<Vec<_>>();
    let mut seen = vec![];
    // The second begins before the name of the first one's snapshot.
    for (number, (now, then)) in [("+0", "-180"), ("-50", "+1h")].into_iter().enumerate() {
        clock(now);
        node.write(CONFIG, name(&format!("clock{number}.example"), ["warn", "error"][number]));
        let (status, lines) = interrupted(&node, &change, BEGUN, &format!("echo {then} > /root/clock"));
        assert_eq!(status, 0, "{then}: {lines:?}");
        all_ready(&node);
        let later = snapshots();
        assert_eq!(later.len(), seen.len() + 1, "{later:?}");
        assert!(seen.iter().all(|name| later.contains(name)), "the newest is the last by name: {seen:?} {later:?}");
        seen = later;
    }
    // The last one was proven in what is the future again.
    let known = ["--ignore-preflight-errors", "Clock"];
    let (same, lines) = json(&node, &[&["apply", "--config", CONFIG, "--dry-run", "--exit-code"], &known[..]].concat());
    assert_eq!(same.status, 0, "{lines:?}");
}
