//! A file that shows whether it is whole: its first line holds the format and the digest of all that follows. Pure.
//!
//! What is cut short, or changed by as much as a bit, is an error and never believed: a path that lost a letter would be
//! somebody else's file, and a number would be another generation.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::observe::sha256;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    digest: String,
}

/// The bytes of a file with this content. They may hold keys, like the content.
pub fn seal(format: u32, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let header = Header { format, digest: sha256(content) };
    // A number and a string cannot fail to serialise.
    let mut bytes = Zeroizing::new(serde_json::to_vec(&header).unwrap_or_default());
    bytes.reserve_exact(content.len() + 1);
    bytes.push(b'\n');
    bytes.extend_from_slice(content);
    bytes
}

/// The content of a file of this format, or why it cannot be believed.
pub fn unseal(format: u32, bytes: &[u8]) -> Result<&[u8], String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no header")?;
    let (header, content) = (&bytes[..end], &bytes[end + 1..]);
    let header: Header = serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
    if header.format != format {
        return Err(format!("format {} is not known to this version, which writes format {format}", header.format));
    }
    if sha256(content) != header.digest {
        return Err("its content is not what was written: the digest differs".into());
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_short_or_changed_is_an_error() {
        let bytes = seal(1, b"{\"a\":1}\n");
        assert_eq!(unseal(1, &bytes), Ok(&b"{\"a\":1}\n"[..]));
        assert!(unseal(2, &bytes).is_err_and(|why| why.contains("format 1 is not known")));
        assert!(unseal(1, b"{\"a\":1}\n").is_err(), "no header at all");
        for length in 0..bytes.len() {
            assert!(unseal(1, &bytes[..length]).is_err(), "the first {length} bytes");
        }
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(unseal(1, &flipped).is_err(), "bit {position} of {:?}", String::from_utf8_lossy(&flipped));
        }
    }
}
