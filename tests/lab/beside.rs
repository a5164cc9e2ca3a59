//! The API server is replaced while clients go on asking it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::apply::{all_ready, json, restarted, tree};
use crate::init::{CONFIG, init_ok, uids, with_cluster};
use crate::node::{Node, Options};

const SHARING: &str = "{name: permit-port-sharing, value: \"true\"}";

pub(crate) fn with_flags(flags: &str) -> String {
    with_cluster(&format!("apiServer: {{extraArgs: [{SHARING}{flags}]}}"))
}

/// Twenty authorized requests a second, each over a connection of its own and every fourth a write, and a watch that is begun again
/// whenever it ends.
pub(crate) struct Clients {
    running: Child,
    directory: tempfile::TempDir,
}

const ASK: &str = r#"
    cd "$0"
    for key in certificate-authority client-certificate client-key; do
      sed -nE "s/^ *$key-data: *\"?([^\"]*)\"?/\1/p" admin.conf | base64 -d > $key
    done
    server=$(sed -nE 's/^ *server: *"?([^"]*)"?/\1/p' admin.conf)
    ask() {
      curl -s -o /dev/null -w '%{http_code}\n' --cacert certificate-authority --cert client-certificate --key client-key \
        "$server/api/v1/namespaces/default/configmaps$@"
    }
    until [ -e enough ]; do ask '?watch=1' --max-time 300 >> watches; sleep 0.05; done &
    watching=$!
    number=0
    until [ -e enough ]; do
      if [ $((number++ % 4)) = 3 ]; then
        ask '' --max-time 15 -H 'Content-Type: application/json' -d '{"metadata":{"generateName":"load-"}}' >> answers &
      else
        ask '?limit=1' --max-time 15 >> answers &
      fi
      sleep 0.05
    done
    pkill -P $watching
    wait"#;

impl Clients {
    pub(crate) fn start(node: &Node) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let conf = node.read("/etc/kubernetes/admin.conf").expect("a kubeconfig");
        fs::write(directory.path().join("admin.conf"), conf).unwrap();
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &format!("kk-{}", node.name), "bash", "-c", ASK]).arg(directory.path());
        Self { running: inside.stderr(Stdio::null()).spawn().unwrap(), directory }
    }

    /// How many requests were made, and the answers that are neither 200 nor 201; those of watches among them, as each ends with the
    /// server that it asked and has to be let in by the next.
    pub(crate) fn stop(mut self) -> (usize, Vec<String>) {
        fs::write(self.directory.path().join("enough"), "").unwrap();
        self.running.wait().unwrap();
        let read = |name: &str| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        let (answers, watches) = (read("answers"), read("watches"));
        println!("{} watches ended meanwhile", watches.lines().count().saturating_sub(1));
        let failed = |answer: &&str| !["200", "201"].contains(answer);
        // The last watch was ended by us.
        let watches = watches.lines().rev().skip(1).filter(failed);
        (answers.lines().count(), answers.lines().filter(failed).chain(watches).map(str::to_owned).collect())
    }
}

/// The kubelet takes the mirror pod of the second one away at its next housekeeping.
fn only_the_four(node: &Node) {
    node.wait_until("end of the mirror pod", Duration::from_secs(60), || {
        (!uids(node).contains("kube-apiserver-beside-beside")).then_some(())
    });
}

/// Nothing restarted, and nothing is left.
fn as_before(node: &Node, ran: &str) {
    only_the_four(node);
    assert_eq!(uids(node), ran);
    all_ready(node);
}

#[test]
fn clients_do_not_notice_that_the_api_server_is_replaced() {
    let node = Node::up("beside", &Options::default());
    init_ok(&node, &with_flags(""));
    let (ran, old) = (uids(&node), tree(&node));

    node.write(CONFIG, with_flags(", {name: v, value: \"3\"}"));
    let planned = node.kubekeel(&["apply", "--config", CONFIG, "--dry-run"]).stdout;
    assert!(planned.contains("a second API server answers on the same port"), "{planned}");
    let clients = Clients::start(&node);
    let (done, lines) = json(&node, &["apply", "--config", CONFIG, "--min-ready-seconds", "1"]);
    let (asked, failed) = clients.stop();
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    only_the_four(&node);
    assert_eq!(restarted(&ran, &uids(&node)), ["kube-apiserver"]);
    let took = lines.iter().find(|line| line["event"] == "proven").map(|line| line["elapsed"].clone());
    println!("{asked} requests, {} failed: {failed:?}; proven after {took:?} s", failed.len());
    assert!(asked > 100 && failed.len() <= 5, "{asked}: {failed:?}");
    all_ready(&node);
    assert_eq!(node.exec_ok(&["cat", "/proc/sys/net/ipv4/tcp_migrate_req"]).trim(), "0");

    // A flag that it does not know costs nobody a request: the old one is not touched before the new one answers.
    let (ran, proven) = (uids(&node), tree(&node));
    node.write(CONFIG, with_flags(", {name: service-account-max-token-expiration, value: 1s}"));
    let clients = Clients::start(&node);
    let (done, lines) = json(&node, &["apply", "--config", CONFIG]);
    let (asked, failed) = clients.stop();
    assert_eq!(done.status, 1, "{}\n{}", done.stdout, done.stderr);
    let error = lines.iter().find(|line| line["event"] == "error").expect("an error");
    println!("{asked} requests, {} failed: {failed:?}; {}", failed.len(), error["diagnosis"]);
    assert!(failed.len() <= 1, "{asked}: {failed:?}");
    assert_eq!(tree(&node), proven);
    as_before(&node, &ran);
    assert!(error["diagnosis"].to_string().contains("service-account-max-token-expiration"), "{error}");

    // A run that dies while the second one answers is put back, and leaves nothing of it.
    node.write(CONFIG, with_flags(", {name: v, value: \"2\"}"));
    let before = tree(&node);
    let counting = ["env", "KUBEKEEL_COUNT_FAULTS=/tmp/points", "kubekeel", "apply", "--config", CONFIG];
    let counted = node.exec(&counting);
    assert_eq!(counted.status, 0, "{}", counted.stderr);
    let points = node.read("/tmp/points").expect("points");
    let back = node.kubekeel(&["rollback", "2"]);
    assert_eq!(back.status, 0, "{}", back.stderr);
    assert_eq!(tree(&node), before);
    for point in ["beside written", "beside answers", "both answer"] {
        let place = points.lines().find(|line| line.ends_with(point)).and_then(|line| line.split(' ').next());
        let place = place.unwrap_or_else(|| panic!("{point} in {points}"));
        let killed = node.exec(&["env", &format!("KUBEKEEL_KILL_AT={place}"), "kubekeel", "apply", "--config", CONFIG]);
        assert_ne!(killed.status, 0, "{point}: {}", killed.stderr);
        node.wait_until("end of the watchdog", Duration::from_secs(90), || {
            let pending = node.exec(&["test", "-e", "/var/lib/kubekeel/pending.json"]).status == 0;
            let active = node.exec(&["systemctl", "is-active", "--quiet", "kubekeel-watchdog"]).status == 0;
            (!pending && !active).then_some(())
        });
        assert_eq!(tree(&node), before, "{point}");
        only_the_four(&node);
        all_ready(&node);
    }
    assert_ne!(before, old);
}

/// A whole minor upgrade: etcd first, under the API server that runs, and then that one, beside another.
#[test]
fn clients_wait_a_moment_and_nothing_fails_while_all_four_are_upgraded() {
    let node = Node::up("waiting", &Options { minor: "1.36", ..Options::default() });
    init_ok(&node, &with_flags(""));
    node.load("1.37");
    let ran = uids(&node);
    let planned = node.kubekeel(&["upgrade", "plan", "v1.37.2"]).stdout;
    assert!(planned.contains("etcd is replaced before that, and requests wait"), "{planned}");
    let clients = Clients::start(&node);
    let (done, lines) = json(&node, &["upgrade", "apply", "v1.37.2", "--min-ready-seconds", "1"]);
    let (asked, failed) = clients.stop();
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    only_the_four(&node);
    assert_eq!(restarted(&ran, &uids(&node)).len(), 4);
    let took = lines.iter().find(|line| line["event"] == "proven").map(|line| line["elapsed"].clone());
    println!("{asked} requests, {} failed: {failed:?}; proven after {took:?} s", failed.len());
    assert!(asked > 100 && failed.len() <= 5, "{asked}: {failed:?}");
    all_ready(&node);
}
