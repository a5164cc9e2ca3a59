//! SIGINT and SIGTERM stop a run at a safe point, and the next run goes on.

use std::io::{PipeReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use super::{Root, verify};

/// A pipe that takes `bytes` more bytes (at most a page) before its writer waits.
pub(super) fn nearly_full(bytes: usize) -> (PipeReader, std::io::PipeWriter) {
    const PAGE: usize = 4096;
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; PAGE]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    // Whole pages are what a pipe is made of: one is freed, and filled up to the room that is wanted.
    reader.read_exact(&mut [0; PAGE]).unwrap();
    writer.write_all(&vec![b'.'; PAGE - bytes]).unwrap();
    (reader, writer)
}

/// Starts a run that waits in the middle of telling its steps, signals it, and lets it go on.
fn signalled(root: &Root, bytes: usize, signal: Signal) -> (Child, String) {
    let (mut reader, writer) = nearly_full(bytes);
    let child = root.command(&[]).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(250));
    kill_process(Pid::from_child(&child), signal).unwrap();
    // The program's other thread takes the signal while this one waits.
    std::thread::sleep(Duration::from_millis(50));
    let mut told = vec![];
    reader.read_to_end(&mut told).unwrap();
    (child, String::from_utf8(told).unwrap())
}

#[test]
fn a_run_stops_at_a_safe_point() {
    let mut stopped = 0;
    for (index, room) in (0..1800).step_by(75).enumerate() {
        let (signal, code) = if index % 2 == 0 { (Signal::INT, 130) } else { (Signal::TERM, 143) };
        let root = Root::new();
        let (mut child, told) = signalled(&root, room, signal);
        let status = child.wait().unwrap();
        let when = format!("{signal:?} after {room} bytes of steps");
        verify::safe(&root, &when);
        if status.code() == Some(code) {
            stopped += 1;
            assert!(
                told.contains("stopped at a safe point") && told.contains("hint: run the same command again"),
                "{told}"
            );
            let last = told.lines().filter(|line| line.contains("/30] ")).count();
            assert!(last < 30, "{when}: it stopped after its last step");
        } else {
            // A machine under load: the signal came before the program listened.
            let early = std::os::unix::process::ExitStatusExt::signal(&status) == Some(signal.as_raw());
            assert!(early, "{when}: {status:?}\n{told}");
        }
        root.init(&[]).succeeds();
        verify::complete(&root, &when);
    }
    assert!(stopped > 12, "only {stopped} runs stopped at a safe point");
}

#[test]
fn a_change_stops_at_a_safe_point() {
    let made = Root::made();
    let mut stopped = 0;
    for room in (0..400).step_by(40) {
        let root = made.copy();
        root.configure("networking:\n  serviceSubnet: 10.128.0.0/16\n  dnsDomain: keel.local\n");
        let (mut child, told) = signalled(&root, room, Signal::INT);
        let status = child.wait().unwrap();
        stopped += usize::from(status.code() == Some(130));
        let when = format!("after {room} bytes of steps: {told}");
        verify::safe(&root, &when);
        // Nobody edited anything: neither the old configuration nor the new one finds drift.
        if room % 80 == 0 {
            root.configure("");
        }
        root.init(&[]).succeeds();
        verify::complete(&root, &when);
    }
    assert!(stopped > 3, "only {stopped} runs stopped at a safe point");
}

#[test]
fn signals_at_any_time_do_no_harm() {
    for delay in (0..200).step_by(8) {
        let root = Root::new();
        let mut child = root.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let status = child.wait().unwrap();
        let early = std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::INT.as_raw());
        assert!(early || matches!(status.code(), Some(0 | 130)), "after {delay} ms: {status:?}");
        verify::safe(&root, "interrupted");
        root.init(&[]).succeeds();
        verify::complete(&root, "interrupted");
    }
}
