//! What a snapshot of etcd has to be: a bbolt database with a checksum behind it. Pure.

use sha2::{Digest as _, Sha256};

/// Length of the checksum at the end of a snapshot (`server/etcdserver/api/v3rpc/maintenance.go`).
const CHECKSUM: usize = 32;
/// What stands at the head of a database: its first page holds a meta page (`go.etcd.io/bbolt`, `internal/common/meta.go`).
const HEAD: usize = 80;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

/// What was found out about a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Bytes, the checksum included.
    pub size: u64,
    /// Bytes of a page of the database.
    pub page_size: u32,
    /// The transaction that the first meta page is of.
    pub transaction: u64,
}

/// Reads a snapshot piece by piece.
#[derive(Debug, Default)]
pub struct Inspection {
    head: Vec<u8>,
    hash: Sha256,
    tail: Vec<u8>,
    size: u64,
}

impl Inspection {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        let missing = HEAD.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(&piece[..missing]);
        self.size += piece.len() as u64;
        self.tail.extend_from_slice(piece);
        let known = self.tail.len().saturating_sub(CHECKSUM);
        self.hash.update(&self.tail[..known]);
        self.tail.drain(..known);
    }

    /// What it was, or why it is no snapshot.
    pub fn end(self) -> Result<Findings, String> {
        let (page_size, transaction) = meta(&self.head)?;
        if self.hash.finalize().as_slice() != self.tail.as_slice() {
            return Err("it does not match its checksum".into());
        }
        Ok(Findings { size: self.size, page_size, transaction })
    }
}

/// Page size and transaction of a meta page: 16 bytes of page header, the meta, and its FNV-1a sum.
fn meta(head: &[u8]) -> Result<(u32, u64), String> {
    let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let long = |at: usize| head.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let short = || "it is too short for a database".to_owned();
    if word(16).ok_or_else(short)? != MAGIC || word(20) != Some(VERSION) {
        return Err("it is no database of etcd".into());
    }
    let sum = head
        .get(16..72)
        .ok_or_else(short)?
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    if long(72).ok_or_else(short)? != sum {
        return Err("the head of its database is damaged".into());
    }
    Ok((word(24).ok_or_else(short)?, long(64).ok_or_else(short)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot with one meta page, made by hand.
    fn snapshot() -> Vec<u8> {
        let mut meta = vec![];
        for word in [MAGIC, VERSION, 4096, 0] {
            meta.extend_from_slice(&word.to_le_bytes());
        }
        for long in [3_u64, 0, 2, 4, 7] {
            meta.extend_from_slice(&long.to_le_bytes());
        }
        let sum = meta
            .iter()
            .fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
        let mut bytes = [vec![0; 16], meta, sum.to_le_bytes().to_vec(), b"the rest".to_vec()].concat();
        bytes.extend_from_slice(&Sha256::digest(&bytes));
        bytes
    }

    fn inspect(bytes: &[u8], piece: usize) -> Result<Findings, String> {
        let mut inspection = Inspection::default();
        bytes.chunks(piece).for_each(|piece| inspection.update(piece));
        inspection.end()
    }

    #[test]
    fn every_byte_counts_in_pieces_of_any_size() {
        let whole = snapshot();
        for piece in 1..=whole.len() {
            let findings = inspect(&whole, piece).expect("a snapshot");
            assert_eq!(findings, Findings { size: whole.len() as u64, page_size: 4096, transaction: 7 }, "{piece}");
        }
        for length in 0..whole.len() {
            assert!(inspect(&whole[..length], 7).is_err(), "the first {length} bytes");
        }
        for position in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(inspect(&flipped, 7).is_err(), "bit {position}");
        }
    }
}
