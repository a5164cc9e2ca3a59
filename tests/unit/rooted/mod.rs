//! The real program against temporary roots: files, and nothing of the machine.

#![allow(clippy::disallowed_methods, reason = "these tests are about what happens on disk")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "the names are exact")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kubekeel::config::{Config, Facts, Overrides, Source};
use tempfile::TempDir;

mod concurrent;
mod config;
mod damage;
mod documents;
mod drift;
mod expiry;
mod external;
#[cfg(feature = "faults")]
mod kill;
mod modes;
mod patches;
mod plan;
mod progress;
mod renewal;
mod requests;
mod rerun;
mod reset;
mod secrets;
mod signals;
mod space;
mod status;
mod unfit;
mod upgrade;
mod verify;

pub(crate) const LOCK: &str = "/run/kubekeel.lock";
pub(crate) const INVENTORY: &str = "/var/lib/kubekeel/inventory.json";
pub(crate) const PKI: &str = "/etc/kubernetes/pki";

/// A configuration as for kubeadm; `more` are further lines of the `ClusterConfiguration`.
pub(crate) fn configuration(more: &str) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\n\
         kind: InitConfiguration\n\
         localAPIEndpoint:\n\
         \x20 advertiseAddress: 192.0.2.10\n\
         nodeRegistration:\n\
         \x20 name: keel-1\n\
         \x20 criSocket: unix:///run/containerd/containerd.sock\n\
         ---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\n\
         kind: ClusterConfiguration\n\
         kubernetesVersion: v1.37.2\n\
         {more}"
    )
}

/// A root with its configuration file beside it.
pub(crate) struct Root {
    home: TempDir,
    tree: PathBuf,
}

impl Root {
    /// An empty root.
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let tree = home.path().join("root");
        fs::create_dir(&tree).unwrap();
        let root = Self { home, tree };
        root.configure("");
        root
    }

    /// A root on which `init` ran.
    pub(crate) fn made() -> Self {
        let root = Self::new();
        root.init(&[]).succeeds();
        root
    }

    /// A copy with all attributes.
    pub(crate) fn copy(&self) -> Self {
        let home = TempDir::new().unwrap();
        let tree = home.path().join("root");
        let copied = Command::new("cp").arg("-a").arg(&self.tree).arg(&tree).status().unwrap();
        assert!(copied.success());
        fs::copy(self.config_path(), home.path().join("config.yaml")).unwrap();
        Self { home, tree }
    }

    /// Sets further lines of the `ClusterConfiguration`.
    pub(crate) fn configure(&self, more: &str) {
        fs::write(self.config_path(), configuration(more)).unwrap();
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.home.path().join("config.yaml")
    }

    /// The configuration as the library reads it.
    pub(crate) fn config(&self) -> Config {
        let text = fs::read_to_string(self.config_path()).unwrap();
        let source = Source { name: "config.yaml", text: &text };
        kubekeel::config::load(Some(source), &Overrides::default(), &Facts::default()).unwrap()
    }

    /// Where a path inside the root is.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.tree.join(path.trim_start_matches('/'))
    }

    /// The root's directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.tree
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Writes content over a file that keeps its mode.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// `init …` with the arguments, ready to run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
        command.arg("--root").arg(&self.tree).arg("init").args(args).arg("--config").arg(self.config_path());
        command.stdin(Stdio::null()).env_remove("KUBEKEEL_KILL_AT").env_remove("KUBEKEEL_COUNT_FAULTS");
        command
    }

    /// Runs `init …`.
    pub(crate) fn init(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    /// All entries below the root.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        collect(&self.tree, "", &mut tree);
        tree
    }

    /// All entries but the lock, which every run touches.
    pub(crate) fn settled(&self) -> Tree {
        let mut tree = self.tree();
        tree.remove(LOCK);
        tree.remove("/run");
        tree
    }
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        let run = Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!run.stderr.contains("panicked"), "a panic: {run:#?}");
        run
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless stderr has all of these words.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in:\n{}", self.stderr);
        }
        self
    }
}

/// Entries by path inside the root.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// All of an entry that a writer could change.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: u32,
    pub(crate) inode: u64,
    pub(crate) modified: (i64, i64),
    pub(crate) content: Option<Vec<u8>>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o} inode {} {:?}", self.mode, self.inode, self.modified)
    }
}

fn collect(directory: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        let metadata = entry.metadata().unwrap();
        let content = metadata.is_file().then(|| fs::read(entry.path()).unwrap());
        if metadata.is_dir() {
            collect(&entry.path(), &path, tree);
        }
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        tree.insert(path, Entry { mode: metadata.mode() & 0o7777, inode: metadata.ino(), modified, content });
    }
}

/// Paths whose entries differ.
pub(crate) fn changed(before: &Tree, after: &Tree) -> Vec<String> {
    let mut paths: Vec<_> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    paths.sort();
    paths.dedup();
    paths.into_iter().cloned().collect()
}

/// Files whose content differs, and files that came or went.
pub(crate) fn rewritten(before: &Tree, after: &Tree) -> Vec<String> {
    let content = |tree: &Tree, path: &String| tree.get(path).map(|entry| entry.content.clone());
    changed(before, after).into_iter().filter(|path| content(before, path) != content(after, path)).collect()
}

#[track_caller]
pub(crate) fn assert_same(before: &Tree, after: &Tree) {
    assert_eq!(changed(before, after), Vec::<String>::new(), "these entries changed");
}

/// Paths and modes, which is what two runs with different keys have in common.
pub(crate) fn shape(tree: &Tree) -> BTreeMap<&str, u32> {
    tree.iter().map(|(path, entry)| (path.as_str(), entry.mode)).collect()
}

/// The private keys of a tree: paths ending in `.key`.
pub(crate) fn keys(tree: &Tree) -> BTreeMap<&str, &[u8]> {
    let keys = tree.iter().filter(|(path, _)| path.ends_with(".key"));
    keys.filter_map(|(path, entry)| Some((path.as_str(), entry.content.as_deref()?))).collect()
}
