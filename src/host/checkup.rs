//! What doctor measures and asks on the machine itself.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use tokio::io::AsyncWriteExt as _;

/// The slowest of some synced writes to the file system of a directory; the file has no name, so nothing stays behind.
/// `None` where the file system has no such files.
pub fn sync_latency(directory: &str) -> Option<Duration> {
    const WRITES: usize = 12;
    // What etcd writes at a time is about as large (`wal` with a small entry).
    let block = [0_u8; 2300];
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let mut file: std::fs::File = rustix::fs::open(directory, flags, Mode::from_raw_mode(0o600)).ok()?.into();
    let mut slowest = Duration::ZERO;
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&block).and_then(|()| file.sync_data()).ok()?;
        slowest = slowest.max(began.elapsed());
    }
    Some(slowest)
}

/// Whether somebody sets the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSync {
    /// A service for that is active.
    pub wanted: bool,
    /// The kernel was told that the clock is right.
    pub reached: bool,
}

/// What systemd knows of the clock; `None` without `systemd-timedated` and the bus that leads to it.
pub async fn time_sync() -> Option<TimeSync> {
    // The bus waits for half a minute for a service that does not come up.
    const PATIENCE: Duration = Duration::from_secs(3);
    let asked = say("timedatectl", &["show", "--property", "NTP", "--property", "NTPSynchronized"]);
    let said = tokio::time::timeout(PATIENCE, asked).await.ok()?;
    read_time_sync(&String::from_utf8_lossy(&said))
}

fn read_time_sync(text: &str) -> Option<TimeSync> {
    let is = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')? == "yes"));
    Some(TimeSync { wanted: is("NTP")?, reached: is("NTPSynchronized")? })
}

/// The command line of a process, without the program.
pub fn command_line(pid: u32) -> Option<Vec<String>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|byte| *byte == 0).skip(1).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// Free inodes on the file system of a path and all of them; `None` where it is not there, and where the file system makes
/// them as it goes.
pub fn inodes(path: &str) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    (stat.f_files > 0).then_some((stat.f_favail, stat.f_files))
}

/// The last lines of a file that may be large.
pub fn tail(path: &str, bytes: u64) -> Option<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes))).ok()?;
    let mut text = vec![];
    file.take(bytes).read_to_end(&mut text).ok()?;
    Some(text)
}

/// What a program says on standard output, or why it says nothing.
pub async fn say(program: &str, arguments: &[&str]) -> Vec<u8> {
    let run = tokio::process::Command::new(program).args(arguments).stdin(Stdio::null()).output();
    match tokio::time::timeout(Duration::from_secs(10), run).await {
        Ok(Ok(output)) => output.stdout,
        Ok(Err(error)) => error.to_string().into_bytes(),
        Err(_) => b"no answer within 10 s".to_vec(),
    }
}

/// Compresses with gzip(1).
pub async fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut command = tokio::process::Command::new("gzip");
    let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or_else(|| std::io::Error::other("gzip has no input"))?;
    let (written, output) = tokio::join!(
        async {
            let result = input.write_all(bytes).await;
            drop(input);
            result
        },
        child.wait_with_output()
    );
    written?;
    let output = output?;
    if output.status.success() { Ok(output.stdout) } else { Err(std::io::Error::other("gzip failed")) }
}

/// Writes a file that nobody else may read and that was not there before.
pub fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_timedatectl_says() {
        let sync = |wanted, reached| Some(TimeSync { wanted, reached });
        assert_eq!(read_time_sync("NTP=yes\nNTPSynchronized=no\n"), sync(true, false));
        assert_eq!(read_time_sync("NTPSynchronized=yes\nNTP=no\n"), sync(false, true));
        assert_eq!(read_time_sync("Failed to connect to bus: No such file or directory"), None);
    }

    #[test]
    fn a_command_line_is_its_arguments() {
        let own = command_line(std::process::id()).expect("it runs");
        assert_eq!(own, std::env::args().skip(1).collect::<Vec<_>>());
        assert_eq!(command_line(0), None);
    }
}
