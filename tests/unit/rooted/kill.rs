//! SIGKILL between any two steps: what is seen is complete, and the next run finishes.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Root, Run, keys, shape, verify};

/// Points that the undisturbed run passes.
fn points(root: &Root) -> usize {
    let count = root.home.path().join("points");
    Run::of(root.command(&[]).env("KUBEKEEL_COUNT_FAULTS", &count).output().unwrap()).succeeds();
    fs::read_to_string(count).unwrap().lines().count()
}

/// Kills at every point of what `init` does to a root that `prepare` makes.
fn kill_everywhere(least: usize, prepare: impl Fn() -> Root + Sync, then: impl Fn(&Root, usize) + Sync) {
    let undisturbed = prepare();
    let total = points(&undisturbed);
    assert!(total >= least, "only {total} points");
    verify::complete(&undisturbed, "undisturbed");
    let expected = undisturbed.tree();
    let next = AtomicUsize::new(1);
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::SeqCst);
            if n > total {
                return;
            }
            let when = format!("killed at {n} of {total}");
            let root = prepare();
            let before = root.tree();
            let killed = Run::of(root.command(&[]).env("KUBEKEEL_KILL_AT", n.to_string()).output().unwrap());
            assert_eq!(killed.signal, Some(9), "{when}: {killed:#?}");
            verify::safe(&root, &when);
            let after = root.tree();
            for (path, key) in keys(&before) {
                assert_eq!(keys(&after).get(path), Some(&key), "{when}: {path} was overwritten");
            }
            then(&root, n);
            let again = root.init(&[]);
            assert_eq!(again.code, Some(0), "{when}: the next run: {}", again.stderr);
            verify::complete(&root, &when);
            let finished = root.tree();
            assert_eq!(shape(&finished), shape(&expected), "{when}: paths and modes");
            for (path, key) in keys(&after) {
                assert_eq!(keys(&finished).get(path), Some(&key), "{when}: {path} was overwritten by the next run");
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
}

#[test]
fn a_first_run_survives_sigkill_everywhere() {
    kill_everywhere(120, Root::new, |_, _| {});
}

#[test]
fn a_change_survives_sigkill_everywhere() {
    let made = Root::made();
    let change = || {
        let root = made.copy();
        // A new name in a certificate, a new flag, new kubelet files, and new kubeconfigs by their server.
        root.configure(
            "controlPlaneEndpoint: keel.example:6443\n\
             networking:\n\
             \x20 dnsDomain: keel.local\n\
             scheduler:\n\
             \x20 extraArgs:\n\
             \x20 - name: v\n\
             \x20   value: \"4\"\n",
        );
        root
    };
    // Every other time the change is taken back: what was left behind is then nobody's next file.
    let take_back = |root: &Root, n: usize| {
        if n % 2 == 1 {
            root.configure("");
        }
    };
    kill_everywhere(20, change, take_back);
}
