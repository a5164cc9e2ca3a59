//! What doctor measures and asks on the machine itself.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsConnector;

use super::http;

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

/// The certificate that a server shows, in DER; nothing is said about whether it should be trusted.
pub async fn served_certificate(host: &str, port: u16) -> Result<Vec<u8>, String> {
    let shake = async {
        let stream = tokio::net::TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(Arc::new(http::self_signed()?));
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|error| error.to_string())?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        chain.first().map(|leaf| leaf.to_vec()).ok_or_else(|| "it shows no certificate".to_owned())
    };
    tokio::time::timeout(Duration::from_secs(2), shake).await.unwrap_or_else(|_| Err("it does not answer".into()))
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
