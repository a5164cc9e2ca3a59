//! A generation: everything that a proven control plane of this node consists of, so that it can be put back byte for
//! byte without asking anybody. Pure.
//!
//! One file holds one generation, because one rename then makes it whole; it is [`sealed`], and holds private keys.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::config::Input;
use crate::manifest::{self, Component};
use crate::observe::sha256;
use crate::sealed;
use crate::secret::Secret;

/// What was proven to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generation {
    /// From 1, in the order in which they were proven.
    pub number: u32,
    /// When it was proven, Unix seconds.
    pub proven: u64,
    /// What made it: `init`, `apply`, `rollback to generation 2`.
    pub command: String,
    /// Version of the control plane.
    pub version: String,
    /// What its configuration was made of.
    pub input: Input,
    /// The files, by path.
    pub files: BTreeMap<String, Saved>,
}

/// A file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Permission bits.
    pub mode: u32,
    /// Its bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub content: Secret,
    /// The kubelet's hash of an adopted static pod ([`crate::plan::Entry::pod`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

impl Saved {
    /// `sha256:<hex>` of its bytes.
    pub fn digest(&self) -> String {
        sha256(self.content.expose())
    }
}

/// The version that this program writes and reads.
const FORMAT: u32 = 1;

impl Generation {
    /// Reads a generation's file. What was cut short or changed by as much as a bit is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(sealed::unseal(FORMAT, bytes)?).map_err(|error| error.to_string())
    }

    /// Its file.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Maps of strings and numbers cannot fail to serialise.
        sealed::seal(FORMAT, &Zeroizing::new(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Whether another one would write and configure the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let files = |generation: &Self| -> Vec<(String, u32, String)> {
            generation.files.iter().map(|(path, saved)| (path.clone(), saved.mode, saved.digest())).collect()
        };
        self.input == other.input && files(self) == files(other)
    }

    /// What identifies a static pod, the digest in its manifest or the hash of an adopted one; `None` when the generation has no such pod.
    pub fn manifest_digest(&self, component: Component) -> Option<String> {
        let saved = self.files.get(&component.path())?;
        if saved.pod.is_some() {
            return saved.pod.clone();
        }
        let text = String::from_utf8_lossy(saved.content.expose()).into_owned();
        manifest::read(&text).ok().filter(manifest::Read::is_genuine).map(|read| read.digest)
    }
}

fn to_base64<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(BASE64_STANDARD.encode(secret.expose())))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    BASE64_STANDARD.decode(text.as_bytes()).map(Secret::new).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Generation {
        let saved = Saved { mode: 0o600, content: Secret::new(b"pem\xff\x00".to_vec()), pod: None };
        Generation {
            number: 3,
            proven: 1_790_000_000,
            command: "apply".into(),
            version: "v1.37.2".into(),
            input: Input { source: Some(("c.yaml".into(), "kind: X\n".into())), ..Input::default() },
            files: BTreeMap::from([("/etc/kubernetes/pki/ca.key".into(), saved)]),
        }
    }

    #[test]
    fn survives_a_round_trip() {
        let read = Generation::parse(&sample().to_bytes()).expect("whole");
        assert!(read.is_same(&sample()));
        assert_eq!((read.number, read.proven, read.command.as_str()), (3, 1_790_000_000, "apply"));
        let saved = &read.files["/etc/kubernetes/pki/ca.key"];
        assert_eq!((saved.mode, saved.content.expose()), (0o600, &b"pem\xff\x00"[..]));
    }

    #[test]
    fn what_was_cut_short_or_changed_is_an_error() {
        let bytes = sample().to_bytes();
        for length in 0..bytes.len() {
            assert!(Generation::parse(&bytes[..length]).is_err(), "the first {length} bytes");
        }
        for position in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(Generation::parse(&flipped).is_err(), "bit {position} of {:?}", String::from_utf8_lossy(&flipped));
        }
    }
}
