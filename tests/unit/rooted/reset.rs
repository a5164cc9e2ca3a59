//! `reset` below a root: what `init` made goes, what was there before stays, and a killed one is finished by the next.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use kubekeel::event::{Event, Reporter};
use kubekeel::host::fs::Files;
use kubekeel::host::signal::Interrupt;
use kubekeel::host::tree::{Entry, Mount};
use kubekeel::reset::{self, Action, Look, Options, Plan};
use rustix::process::{Pid, Signal, kill_process};

use super::{INVENTORY, Root, Run};

fn reset(root: &Root, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).args(["reset", "--yes"]).args(more);
    command.stdin(Stdio::null()).env_remove("KUBEKEEL_KILL_AT").env_remove("KUBEKEEL_COUNT_FAULTS");
    command
}

fn run(root: &Root, more: &[&str]) -> Run {
    Run::of(reset(root, more).output().unwrap())
}

/// Names, modes and contents; what a directory's entries did to its times does not matter.
fn contents(root: &Root) -> Vec<(String, u32, Option<String>)> {
    let digest = |content: Vec<u8>| kubekeel::observe::sha256(&content);
    root.settled().into_iter().map(|(path, entry)| (path, entry.mode, entry.content.map(digest))).collect()
}

#[test]
fn what_was_there_before_is_there_after_and_nothing_else() {
    let root = Root::new();
    fs::create_dir_all(root.at("/etc/kubernetes/pki")).unwrap();
    fs::create_dir_all(root.at("/var/lib/etcd")).unwrap();
    root.write("/etc/kubernetes/pki/theirs.crt", "x");
    let before = contents(&root);
    root.init(&[]).succeeds();
    let made = contents(&root);
    let dry = run(&root, &["--dry-run"]).succeeds();
    assert!(dry.stdout.contains("remove /etc/kubernetes/pki/ca.key"), "{}", dry.stdout);
    assert_eq!(contents(&root), made, "a dry-run changes nothing");
    run(&root, &[]).succeeds();
    assert_eq!(contents(&root), before);
    assert!(run(&root, &[]).succeeds().stdout.contains("Nothing was made"));
}

#[test]
fn edited_files_and_links_stay_unless_forced() {
    let root = Root::made();
    root.write("/etc/kubernetes/admin.conf", "edited");
    root.remove("/etc/kubernetes/pki/sa.pub");
    fs::write(root.at("/precious"), "gold").unwrap();
    std::os::unix::fs::symlink(root.at("/precious"), root.at("/etc/kubernetes/pki/sa.pub")).unwrap();
    let left = run(&root, &[]).succeeds().stdout;
    assert!(left.contains("/etc/kubernetes/admin.conf: somebody edited it"), "{left}");
    assert!(left.contains("/etc/kubernetes/pki/sa.pub: it is no file any more"), "{left}");
    assert_eq!(root.read("/etc/kubernetes/admin.conf"), b"edited");
    assert_eq!(root.read("/precious"), b"gold");
    assert!(!root.at("/etc/kubernetes/pki/ca.key").exists());
    assert!(!root.at(INVENTORY).exists());

    let root = Root::made();
    root.write("/etc/kubernetes/admin.conf", "edited");
    run(&root, &["--force"]).succeeds();
    assert!(contents(&root).iter().all(|(path, ..)| !path.starts_with("/etc/kubernetes")), "{:?}", contents(&root));
}

#[test]
fn an_inventory_that_cannot_be_read_stops_it_before_anything_is_removed() {
    let root = Root::made();
    let bytes = root.read(INVENTORY);
    root.write(INVENTORY, &bytes[..bytes.len() / 2]);
    let before = contents(&root);
    run(&root, &[]).exits(2).says(&["inventory.json is unreadable"]);
    assert_eq!(contents(&root), before);
}

#[cfg(feature = "faults")]
#[test]
fn killed_at_every_point_it_is_finished_by_the_next() {
    let made = Root::made();
    let counted = made.copy();
    let points = counted.at("/points");
    let done = Run::of(reset(&counted, &[]).env("KUBEKEEL_COUNT_FAULTS", &points).output().unwrap());
    done.succeeds();
    let count = fs::read_to_string(&points).unwrap().lines().count();
    assert!(count > 30, "{count} points");
    fs::remove_file(points).unwrap();
    let after = contents(&counted);
    for point in 1..=count {
        let root = made.copy();
        let killed = Run::of(reset(&root, &[]).env("KUBEKEEL_KILL_AT", point.to_string()).output().unwrap());
        assert_eq!(killed.signal, Some(9), "point {point} was not reached");
        run(&root, &[]).succeeds();
        assert_eq!(contents(&root), after, "after point {point}");
    }
}

/// A future to its end.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn look(root: &Root) -> Look {
    wait(reset::look::look(&root.config(), &Files::new(root.directory()))).unwrap()
}

/// The paths that go, in order.
fn gone(plan: &Plan) -> Vec<&str> {
    let steps = plan.steps.iter();
    let paths = steps.filter_map(|step| match step {
        Action::RemoveFile { path } | Action::RemoveTree { path } | Action::RemoveDirectory { path } => {
            Some(path.as_str())
        }
        _ => None,
    });
    paths.collect()
}

#[test]
fn what_was_made_last_goes_first() {
    let root = Root::made();
    let mut look = look(&root);
    // What a later command made.
    let unit = "/etc/systemd/system/kubekeel-watchdog.service";
    look.inventory.claim(unit);
    look.entries.insert(unit.into(), Entry::File);
    let plan = reset::plan(&look, Options::default());
    assert!(matches!(&plan.steps[0], Action::DisableUnit { unit } if unit == "kubekeel-watchdog.service"), "{plan:?}");
    let expected = "
        manifests/kube-scheduler.yaml manifests/kube-controller-manager.yaml manifests/kube-apiserver.yaml
        manifests/etcd.yaml /etc/systemd/system/kubekeel-watchdog.service
        /var/lib/kubelet/kubeadm-flags.env /var/lib/kubelet/instance-config.yaml /var/lib/kubelet/config.yaml
        scheduler.conf controller-manager.conf kubelet.conf super-admin.conf admin.conf
        pki/sa.pub pki/sa.key
        pki/apiserver-etcd-client.crt pki/apiserver-etcd-client.key
        pki/etcd/healthcheck-client.crt pki/etcd/healthcheck-client.key pki/etcd/peer.crt pki/etcd/peer.key
        pki/etcd/server.crt pki/etcd/server.key pki/etcd/ca.crt pki/etcd/ca.key
        pki/front-proxy-client.crt pki/front-proxy-client.key pki/front-proxy-ca.crt pki/front-proxy-ca.key
        pki/apiserver-kubelet-client.crt pki/apiserver-kubelet-client.key
        pki/apiserver.crt pki/apiserver.key pki/ca.crt pki/ca.key
        pki/etcd manifests /var/lib/kubelet /var/lib/etcd pki /etc/kubernetes";
    let whole = |path: &str| if path.starts_with('/') { path.into() } else { format!("/etc/kubernetes/{path}") };
    assert_eq!(gone(&plan), expected.split_whitespace().map(whole).collect::<Vec<_>>());
}

#[test]
fn what_is_mounted_where_something_goes_stays_and_fails_nothing() {
    let root = Root::made();
    for directory in
        ["/var/lib/etcd/member/wal", "/var/lib/etcd/member/snap", "/var/lib/kubelet/pods", "/var/lib/kubelet/pods-api"]
    {
        fs::create_dir_all(root.at(directory)).unwrap();
    }
    let seen = look(&root);
    let plan_with = |path: &str| {
        let mount = Mount { path: path.into(), root: "/".into(), kind: "ext4".into() };
        let look = Look { mounts: vec![mount], ..seen.clone() };
        let plan = reset::plan(&look, Options::default());
        let told = plan.left.iter().filter(|left| left.what == path && left.why.contains("mounted")).count();
        assert_eq!(told, 1, "{path}: {:?}", plan.left);
        plan
    };
    // Where it is mounted, what goes, what stays with it.
    for (mount, goes, stays) in [
        ("/var/lib/etcd/member", vec!["/var/lib/kubelet/pods"], vec!["/var/lib/etcd/member", "/var/lib/etcd"]),
        ("/var/lib/etcd/member/wal", vec!["/var/lib/etcd/member/snap"], vec!["/var/lib/etcd/member", "/var/lib/etcd"]),
        ("/var/lib/etcd", vec!["/var/lib/etcd/member"], vec!["/var/lib/etcd"]),
        ("/var/lib/kubelet/pods-api/deep", vec!["/var/lib/kubelet/pods"], vec!["/var/lib/kubelet/pods-api"]),
        (
            "/etc/kubernetes/admin.conf",
            vec!["/etc/kubernetes/kubelet.conf"],
            vec!["/etc/kubernetes/admin.conf", "/etc/kubernetes"],
        ),
    ] {
        let plan = plan_with(mount);
        let gone = gone(&plan);
        assert!(goes.iter().all(|path| gone.contains(path)), "{mount}: {gone:?}");
        assert!(!stays.iter().chain([&mount]).any(|path| gone.contains(path)), "{mount}: {gone:?}");
    }
}

/// What the steps were called.
#[derive(Default)]
struct Told(Vec<String>);

impl Reporter for Told {
    fn event(&mut self, event: &Event) {
        if let Event::Step { text, .. } = event {
            self.0.push(text.clone());
        }
    }
}

#[test]
fn a_step_that_fails_keeps_nobody_from_the_rest() {
    let root = Root::made();
    let (config, files) = (root.config(), Files::new(root.directory()));
    fs::create_dir_all(root.at("/etc/kubernetes/pki/full/er")).unwrap();
    let remove = |path: &str| Action::RemoveFile { path: path.into() };
    // A directory is no file, and one that is not empty is left and told.
    let steps = vec![
        remove("/etc/kubernetes/pki/full"),
        remove("/etc/kubernetes/admin.conf"),
        Action::RemoveDirectory { path: "/etc/kubernetes/pki/full".into() },
        remove("/etc/kubernetes/pki/ca.key"),
    ];
    let (plan, mut told) = (Plan { steps, left: vec![] }, Told::default());
    let (left, result) =
        wait(async { reset::run::run(&plan, &config, &files, vec![], &Interrupt::default(), &mut told).await });
    let error = result.unwrap_err();
    assert!(error.message.starts_with("1 steps of the reset failed; the others are done"), "{error:?}");
    assert_eq!(error.problems.len(), 1);
    assert!(error.problems[0].subject.contains("/etc/kubernetes/pki/full") && !error.hints.is_empty(), "{error:?}");
    assert_eq!(left.iter().map(|left| left.what.as_str()).collect::<Vec<_>>(), ["/etc/kubernetes/pki/full"]);
    assert_eq!(told.0.len(), 4, "{:?}", told.0);
    assert!(!root.at("/etc/kubernetes/admin.conf").exists() && !root.at("/etc/kubernetes/pki/ca.key").exists());
    assert!(root.at(INVENTORY).exists(), "the next one has to know what is left");
}

/// Where the sweep of leftovers fails: a directory with the name of a temporary file.
const UNSWEPT: &str = "/etc/kubernetes/.odd.kubekeel-new";

#[test]
fn what_failed_and_what_stays_is_told_and_the_next_run_ends_it() {
    let root = Root::made();
    fs::create_dir(root.at(UNSWEPT)).unwrap();
    let failed = run(&root, &[]).exits(1).says(&["1 steps of the reset failed", UNSWEPT, "kubekeel reset"]);
    assert!(failed.stdout.contains("Stays:") && failed.stdout.contains("/var/log/pods: "), "{}", failed.stdout);
    let there: Vec<_> =
        contents(&root).into_iter().map(|(path, ..)| path).filter(|path| path.starts_with("/etc/kubernetes")).collect();
    assert_eq!(there, ["/etc/kubernetes", UNSWEPT]);
    let lines = run(&root, &["-o", "json"]).exits(1).stdout;
    let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., left, error] = &events[..] else { panic!("{lines}") };
    assert_eq!((&left["event"], &error["event"]), (&"reset".into(), &"error".into()), "{lines}");
    fs::remove_dir(root.at(UNSWEPT)).unwrap();
    run(&root, &[]).succeeds();
    assert!(!root.at("/etc/kubernetes").exists() && !root.at(INVENTORY).exists());
}

#[test]
fn an_interrupted_one_tells_what_failed_until_then() {
    let root = Root::made();
    fs::create_dir(root.at(UNSWEPT)).unwrap();
    let made = root.copy();
    let attempt = |pause: u64| {
        // It waits in the middle of telling its steps.
        let (mut reader, writer) = super::signals::nearly_full(400);
        let mut child = reset(&root, &[]).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let mut told = vec![];
        reader.read_to_end(&mut told).unwrap();
        // On a machine under load the signal may come before the program listens.
        let code = child.wait().unwrap().code()?;
        Some((code, String::from_utf8(told).unwrap()))
    };
    let (code, told) = [300, 1000, 3000, 9000].into_iter().find_map(attempt).expect("it listens in the end");
    assert_eq!(code, 130, "{told}");
    assert!(made.tree().len() > root.tree().len() && root.at(INVENTORY).exists(), "it had begun");
    assert!(
        told.contains("stopped at a safe point") && told.contains(&format!("{UNSWEPT}: cannot clear up")),
        "{told}"
    );
    fs::remove_dir(root.at(UNSWEPT)).unwrap();
    run(&root, &[]).succeeds();
    assert!(!root.at("/etc/kubernetes").exists());
}
