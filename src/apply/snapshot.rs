//! Snapshots of etcd: taken through its API, verified, and kept for a while. Never a copy of a live directory.

use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host::etcd::{Credentials, Etcd};
use crate::host::fs::Files;
use crate::layout;
use crate::pki::CertificateId;

/// How many snapshots are kept.
const KEPT: usize = 3;
/// Bytes that have to stay free beside a snapshot: etcd itself goes on writing.
const RESERVE: u64 = 64 << 20;
/// Length of the checksum at the end of a snapshot (`server/etcdserver/api/v3rpc/maintenance.go`).
const CHECKSUM: usize = 32;

/// Saves a snapshot of the local member and gives its path; what does not match its checksum is not kept.
pub(crate) async fn save(config: &Config, files: &Files, now: SystemTime) -> Result<String> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, "cannot save a snapshot of etcd").because(error)
    };
    let etcd = connect(config, files).await?;
    let status = etcd.status().await.map_err(|error| fail(&error))?;
    let size = u64::try_from(status.db_size).unwrap_or(0);
    let free = files.free_bytes(layout::SNAPSHOTS).map_err(|error| fail(&error))?;
    if free < size.saturating_add(RESERVE) {
        let message = format!("etcd's {} MiB do not fit beside {} MiB of free space", size >> 20, free >> 20);
        return Err(Error::new(Kind::Step, message).hint(format!("free some space for {}", layout::SNAPSHOTS)));
    }
    files.ensure_directory(layout::SNAPSHOTS, 0o700).map_err(|error| fail(&error))?;
    files.sweep(layout::SNAPSHOTS).map_err(|error| fail(&error))?;
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let path = format!("{}/{seconds}.db", layout::SNAPSHOTS);
    let mut file = files.receive(&path).map_err(|error| fail(&error))?;
    let mut checksum = Checksum::default();
    etcd.snapshot(|piece| {
        checksum.update(piece);
        file.write(piece)
    })
    .await
    .map_err(|error| fail(&error))?;
    if !checksum.holds() {
        return Err(Error::new(Kind::Step, "the snapshot of etcd does not match its checksum")
            .hint("ask etcd for its health: a database that cannot be read cannot be saved"));
    }
    file.keep().map_err(|error| fail(&error))?;
    forget_old(files)?;
    Ok(path)
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
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, "cannot remove an old snapshot").because(error)
    };
    let mut names = files.list(layout::SNAPSHOTS).map_err(|error| fail(&error))?;
    names.retain(|name| name.strip_suffix(".db").is_some_and(|seconds| seconds.parse::<u64>().is_ok()));
    let surplus = names.len().saturating_sub(KEPT);
    for name in &names[..surplus] {
        files.remove(&format!("{}/{name}", layout::SNAPSHOTS)).map_err(|error| fail(&error))?;
    }
    Ok(())
}

/// The SHA-256 of all bytes but the last 32, and those: they have to be the same.
#[derive(Default)]
struct Checksum {
    hash: Sha256,
    tail: Vec<u8>,
}

impl Checksum {
    fn update(&mut self, piece: &[u8]) {
        self.tail.extend_from_slice(piece);
        let known = self.tail.len().saturating_sub(CHECKSUM);
        self.hash.update(&self.tail[..known]);
        self.tail.drain(..known);
    }

    fn holds(self) -> bool {
        self.hash.finalize().as_slice() == self.tail.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(bytes: &[u8], piece: usize) -> bool {
        let mut checksum = Checksum::default();
        bytes.chunks(piece).for_each(|piece| checksum.update(piece));
        checksum.holds()
    }

    #[test]
    fn the_checksum_covers_every_byte_in_pieces_of_any_size() {
        let body = b"a database";
        let whole = [&body[..], Sha256::digest(body).as_slice()].concat();
        for piece in 1..=whole.len() {
            assert!(holds(&whole, piece), "pieces of {piece}");
        }
        for length in 0..whole.len() {
            assert!(!holds(&whole[..length], 7), "the first {length} bytes");
        }
        for position in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1;
            assert!(!holds(&flipped, 7), "byte {position}");
        }
    }
}
