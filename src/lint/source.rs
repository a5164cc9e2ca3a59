//! The kubelet's file source as a machine: what it keeps running after a change that inotify tells it, and after a scan of the
//! directory (`pkg/kubelet/config/file.go`, `file_linux.go`; `config.go` for what reaches those who run pods). Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// The longest time until the next scan, in seconds (`fileCheckFrequency`, unless the kubelet's configuration sets it).
pub const SCAN_SECONDS: u64 = 20;

/// A pod that the kubelet makes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `namespace/name`.
    pub pod: String,
    /// What tells it from another: `metadata.uid`, else the file and the content, of which the kubelet takes a hash.
    pub uid: String,
    /// The pod without what the API's types do not know.
    pub content: Arc<Value>,
}

/// A kubelet's file source; one that has just begun has read nothing.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The last pod of each name.
    store: BTreeMap<String, Made>,
    /// Which pod a file gave when it last gave one; a file that broke since then stays here.
    files: BTreeMap<String, String>,
    /// What runs, by UID.
    running: BTreeMap<String, Made>,
}

impl Source {
    /// A file was created, written, renamed to or had its mode changed, and is now the given pod, or none that the kubelet
    /// takes: then all stays as it was.
    pub fn written(&mut self, file: &str, made: Option<&Made>) {
        if file.starts_with('.') {
            return;
        }
        if let Some(made) = made {
            self.files.insert(file.to_owned(), made.pod.clone());
            self.store.insert(made.pod.clone(), made.clone());
            self.tell();
        }
    }

    /// A file was removed or renamed away: the pod that it gave ends, even when another file gave that pod since.
    pub fn removed(&mut self, file: &str) {
        let Some(pod) = self.files.get(file) else { return };
        // Who has nothing to remove reports that, and does not forget the file.
        if self.store.remove(pod).is_some() {
            self.files.remove(file);
            self.tell();
        }
    }

    /// The directory was read, in the order of names. Without any pod everything ends, and the store stays what it was: the
    /// next change of one file brings back what it has, until the scan after that.
    pub fn scanned<'a>(&mut self, files: impl IntoIterator<Item = (&'a str, &'a Made)>) {
        let mut store = BTreeMap::new();
        for (file, made) in files {
            self.files.insert(file.to_owned(), made.pod.clone());
            store.insert(made.pod.clone(), made.clone());
        }
        if store.is_empty() {
            self.running.clear();
        } else {
            self.store = store;
            self.tell();
        }
    }

    /// What runs.
    pub fn running(&self) -> impl Iterator<Item = &Made> {
        self.running.values()
    }

    /// Whether a pod of this UID runs.
    pub fn runs(&self, uid: &str) -> bool {
        self.running.contains_key(uid)
    }

    /// The store becomes what runs. A pod whose UID is known is changed in place and keeps its name (`checkAndUpdatePod`).
    fn tell(&mut self) {
        let next = self.store.values().map(|made| {
            let name = self.running.get(&made.uid).map_or(&made.pod, |known| &known.pod);
            (made.uid.clone(), Made { pod: name.clone(), ..made.clone() })
        });
        self.running = next.collect();
    }
}
