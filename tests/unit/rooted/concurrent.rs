//! One run at a time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use super::{LOCK, Root, Run, verify};

#[test]
fn a_held_lock_names_its_holder() {
    let root = Root::new();
    fs::create_dir(root.at("/run")).unwrap();
    fs::write(root.at(LOCK), "pid 4711 (init)\n").unwrap();
    fs::set_permissions(root.at(LOCK), PermissionsExt::from_mode(0o600)).unwrap();
    let holder = fs::File::open(root.at(LOCK)).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let before = root.tree();
    let began = Instant::now();
    root.init(&[]).exits(7).says(&["pid 4711 (init)", "kubekeel.lock", "hint:"]);
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait");
    super::assert_same(&before, &root.tree());
    // A dry-run takes no lock: it looks and goes.
    root.init(&["--dry-run"]).succeeds();
    drop(holder);
    root.init(&[]).succeeds();
    verify::complete(&root, "after the lock");
}

#[test]
fn a_stopped_run_holds_the_lock() {
    for _ in 0..20 {
        let root = Root::new();
        let mut child = root.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let note = format!("pid {} (init)", child.id());
        while fs::read_to_string(root.at(LOCK)).map_or(true, |text| !text.contains(&note)) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::yield_now();
        }
        kill_process(pid, Signal::STOP).unwrap();
        if child.try_wait().unwrap().is_some() {
            continue;
        }
        let second = root.init(&[]);
        kill_process(pid, Signal::CONT).unwrap();
        let first = child.wait().unwrap();
        assert!(first.success());
        verify::complete(&root, "the first run");
        if second.code == Some(0) {
            continue; // It was done already, and only about to exit.
        }
        second.exits(7).says(&[&note]);
        return;
    }
    panic!("no run could be stopped while it held the lock");
}

#[test]
fn eight_at_once_do_no_harm() {
    for round in 0..5 {
        let root = Root::new();
        let start = || root.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..8).map(|_| start()).collect();
        let runs: Vec<_> = children.into_iter().map(|child| Run::of(child.wait_with_output().unwrap())).collect();
        let done = runs.iter().filter(|run| run.code == Some(0)).count();
        assert!(done >= 1, "round {round}: nobody got through: {runs:#?}");
        for run in runs {
            if run.code != Some(0) {
                run.exits(7).says(&["another run holds"]);
            }
        }
        verify::complete(&root, "eight at once");
        let before = root.settled();
        root.init(&[]).succeeds();
        super::assert_same(&before, &root.settled());
    }
}
