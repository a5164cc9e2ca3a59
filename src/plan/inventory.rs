//! What we own on a node: recorded before it is created, erased after it is removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::Component;
use crate::sealed;

/// The inventory of a node, `/var/lib/kubekeel/inventory.json`, which is [`sealed`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// What we own, by path.
    pub entries: BTreeMap<String, Entry>,
}

/// One owned path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `sha256:<hex>` of what we wrote; absent for directories, and while a run that writes it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The kubelet's own hash of an adopted static pod, whose manifest carries no digest: `kubelet:<hash>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// The version that this program writes and reads.
const FORMAT: u32 = 1;

impl Inventory {
    /// Reads an inventory; `None` stands for a node that we never touched. What was cut short or changed by as much as a
    /// bit is an error.
    pub fn parse(bytes: Option<&[u8]>) -> Result<Self, String> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        serde_json::from_slice(sealed::unseal(FORMAT, bytes)?).map_err(|error| error.to_string())
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A map of strings cannot fail to serialise.
        let mut content = serde_json::to_vec_pretty(self).unwrap_or_default();
        content.push(b'\n');
        sealed::seal(FORMAT, &content).to_vec()
    }

    /// Whether a path is ours.
    pub fn owns(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Whether a path is ours and its content is what was recorded.
    pub fn records(&self, path: &str, digest: &str) -> bool {
        self.entries.get(path).is_some_and(|entry| entry.digest.as_deref() == Some(digest))
    }

    /// Whether a path is ours and somebody changed it since: its content is not what we recorded.
    pub fn is_edited(&self, path: &str, digest: &str) -> bool {
        let recorded = self.entries.get(path).and_then(|entry| entry.digest.as_deref());
        recorded.is_some_and(|recorded| recorded != digest)
    }

    /// Whether a path is ours and what we wrote there is not recorded: a directory, or a run was killed.
    pub fn is_pending(&self, path: &str) -> bool {
        self.entries.get(path).is_some_and(|entry| entry.digest.is_none())
    }

    /// Takes possession of a path whose content is about to change.
    pub fn claim(&mut self, path: &str) {
        self.entries.insert(path.to_owned(), Entry::default());
    }

    /// Gives up a path that is gone.
    pub fn erase(&mut self, path: &str) {
        self.entries.remove(path);
    }

    /// Records what was written.
    pub fn record(&mut self, path: &str, digest: String) {
        self.entries.insert(path.to_owned(), Entry { digest: Some(digest), pod: None });
    }

    /// What identifies the static pods that are adopted.
    pub fn adopted_pods(&self) -> impl Iterator<Item = (Component, String)> {
        Component::ALL.into_iter().filter_map(|pod| Some((pod, self.entries.get(&pod.path())?.pod.clone()?)))
    }

    /// Records an adopted static pod: the digest of its manifest and the kubelet's hash of the pod.
    pub fn record_pod(&mut self, path: &str, digest: String, pod: Option<String>) {
        self.entries.insert(path.to_owned(), Entry { digest: Some(digest), pod });
    }

    /// The kubelet's hash of an adopted static pod, as long as its manifest is as it was then.
    pub fn adopted(&self, path: &str, digest: &str) -> Option<&str> {
        let entry = self.entries.get(path).filter(|entry| entry.digest.as_deref() == Some(digest))?;
        entry.pod.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip_and_refuses_what_it_does_not_know() {
        let mut inventory = Inventory::parse(None).expect("empty");
        inventory.claim("/a");
        inventory.record("/b", "sha256:00".into());
        assert_eq!(Inventory::parse(Some(&inventory.to_bytes())), Ok(inventory.clone()));
        assert!(inventory.owns("/a") && !inventory.is_edited("/a", "sha256:ff"));
        assert!(inventory.is_edited("/b", "sha256:ff") && !inventory.is_edited("/b", "sha256:00"));
        assert!(Inventory::parse(Some(b"{\"format\":1,\"entries\":{}}")).is_err(), "it was never sealed");
        assert!(Inventory::parse(Some(&sealed::seal(FORMAT, b"{\"entr"))).is_err());
        assert!(Inventory::parse(Some(&sealed::seal(9, b"{\"entries\":{}}"))).is_err());
    }
}
