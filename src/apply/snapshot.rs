//! Snapshots of etcd: taken through its API, verified, and kept for a while. Never a copy of a live directory.

use std::time::SystemTime;

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::etcd::{Findings, Inspection};
use crate::event::{Meter, Reporter};
use crate::host::etcd::{Credentials, Etcd};
use crate::host::fs::{FileError, Files};
use crate::layout;
use crate::pki::CertificateId;

/// How many snapshots are kept.
const KEPT: usize = 3;
/// Bytes that have to stay free beside a snapshot: etcd itself goes on writing.
const RESERVE: u64 = 64 << 20;

/// Saves a snapshot of the local member among those that are kept, and gives its path.
pub(crate) async fn save(
    config: &Config,
    files: &Files,
    now: SystemTime,
    reporter: &mut dyn Reporter,
) -> Result<String> {
    let fail = |error: FileError| Error::new(Kind::Step, "cannot save a snapshot of etcd").because(&error);
    files.ensure_directory(layout::SNAPSHOTS, 0o700).map_err(fail)?;
    files.sweep(layout::SNAPSHOTS).map_err(fail)?;
    let path = next(now, files)?;
    match save_to(&path, config, files, reporter).await {
        Ok(_) => forget_old(files).map(|()| path),
        Err(error) => {
            // A directory without a snapshot would promise one.
            let _ = files.remove_empty_directory(layout::SNAPSHOTS);
            Err(error)
        }
    }
}

/// The name of the next snapshot, after all that there are, also when the clock was set back.
fn next(now: SystemTime, files: &Files) -> Result<String> {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let newest = kept(files)?.last().and_then(|path| path.rsplit('/').next()?.strip_suffix(".db")?.parse::<u64>().ok());
    let seconds = newest.map_or(seconds, |newest| seconds.max(newest.saturating_add(1)));
    Ok(format!("{}/{seconds}.db", layout::SNAPSHOTS))
}

/// Bytes that a snapshot of what etcd holds now takes; fails when it would not fit on the disk.
pub(crate) async fn room(directory: &str, etcd: &Etcd, files: &Files) -> Result<u64> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Preflight, "cannot tell whether a snapshot of etcd fits").because(error)
    };
    let status = etcd.status().await.map_err(|error| fail(&error))?;
    let size = u64::try_from(status.db_size).unwrap_or(0);
    let free = files.free_bytes(directory).map_err(|error| fail(&error))?;
    if free >= size.saturating_add(RESERVE) {
        return Ok(size);
    }
    let (size, reserve, free) = (size >> 20, RESERVE >> 20, free >> 20);
    let message = format!("a snapshot of etcd needs {size} MiB and {reserve} MiB beside it, and {free} MiB are free");
    Err(Error::new(Kind::Preflight, message).hint(format!("free some space for {directory}")))
}

/// Saves a snapshot of the local member; what does not match its checksum is not kept.
pub(crate) async fn save_to(
    path: &str,
    config: &Config,
    files: &Files,
    reporter: &mut dyn Reporter,
) -> Result<Findings> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, "cannot save a snapshot of etcd").because(error)
    };
    if files.status(path).map_err(|error| fail(&error))?.is_some() {
        return Err(Error::new(Kind::Configuration, format!("{path} is there already, and stays as it is")));
    }
    let etcd = connect(config, files).await?;
    let (directory, _) = path.rsplit_once('/').unwrap_or_default();
    let size = room(directory, &etcd, files).await.map_err(|error| Error { kind: Kind::Step, ..error })?;
    let mut file = files.receive(path).map_err(|error| fail(&error))?;
    let mut inspection = Inspection::default();
    let mut meter = Meter::new(format!("save {path}"), size, reporter);
    etcd.snapshot(|piece| {
        inspection.update(piece);
        meter.add(piece.len());
        file.write(piece)
    })
    .await
    .map_err(|error| fail(&error))?;
    let findings = inspection.end().map_err(|why| {
        Error::new(Kind::Step, format!("etcd sent a snapshot that is none: {why}"))
            .hint("ask etcd for its health: a database that cannot be read cannot be saved")
    })?;
    file.keep().map_err(|error| fail(&error))?;
    Ok(findings)
}

/// Reads a snapshot through; the error says why it is none.
pub(crate) fn verify(path: &str, files: &Files, reporter: &mut dyn Reporter) -> Result<Findings> {
    let mut inspection = Inspection::default();
    let fail = |why: &dyn std::fmt::Display| {
        Error::new(Kind::Configuration, format!("{path} is no snapshot of etcd: {why}"))
            .hint("`kubekeel etcd snapshot list` names those that are kept")
    };
    let size = files.status(path).ok().flatten().map_or(0, |status| status.size);
    let mut meter = Meter::new(format!("verify {path}"), size, reporter);
    let read = files.scan(path, |piece| {
        inspection.update(piece);
        meter.add(piece.len());
    });
    read.map_err(|error| fail(&error).because(&error))?;
    inspection.end().map_err(|why| fail(&why))
}

/// Paths of the snapshots that are kept, oldest first.
pub(crate) fn kept(files: &Files) -> Result<Vec<String>> {
    let names = files
        .list(layout::SNAPSHOTS)
        .map_err(|error| Error::new(Kind::Step, "cannot read the snapshots of etcd").because(&error))?;
    let of_ours = |name: &String| name.strip_suffix(".db").is_some_and(|seconds| seconds.parse::<u64>().is_ok());
    let mut names: Vec<_> = names.into_iter().filter(of_ours).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names.into_iter().map(|name| format!("{}/{name}", layout::SNAPSHOTS)).collect())
}

/// The local member, with the credentials that are there for looking after it.
pub(crate) async fn connect(config: &Config, files: &Files) -> Result<Etcd> {
    let read = |path: String| {
        let fail = || Error::new(Kind::Step, "cannot read the credentials for etcd");
        let bytes = files.read(&path).map_err(|error| fail().because(&error))?;
        bytes.ok_or_else(|| Error::new(Kind::Step, format!("cannot read the credentials for etcd: no {path}")))
    };
    let pki = &config.cluster.certificates_dir;
    let client = CertificateId::EtcdHealthcheckClient.base();
    let authority = read(format!("{pki}/{}.crt", CertificateId::EtcdCa.base()))?;
    let (certificate, key) = (read(format!("{pki}/{client}.crt"))?, read(format!("{pki}/{client}.key"))?);
    let authority = String::from_utf8_lossy(&authority);
    let credentials = Credentials { authority: &authority, certificate: &certificate, key: &key };
    Etcd::connect("127.0.0.1", 2379, &credentials)
        .await
        .map_err(|error| Error::new(Kind::Step, "etcd does not answer, so there is nothing to save").because(&error))
}

fn forget_old(files: &Files) -> Result<()> {
    let kept = kept(files)?;
    for path in &kept[..kept.len().saturating_sub(KEPT)] {
        files.remove(path).map_err(|error| Error::new(Kind::Step, "cannot remove an old snapshot").because(&error))?;
    }
    Ok(())
}
