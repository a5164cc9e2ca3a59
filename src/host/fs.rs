//! Files under one root, written so that a reader and a crash see the old file or the new one and nothing between.
//!
//! A file is born as a dot-file in its own directory with its final mode (the kubelet skips names that begin with a
//! dot, `pkg/kubelet/config/file.go`), is synced, renamed over its name, and its directory is synced.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use zeroize::Zeroizing;

use super::fault;

/// What went wrong with a file: the path, the action and the system's word.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct FileError {
    /// The path inside the root.
    pub path: String,
    /// The verb: `read`, `create`, `write`, `sync`, `rename`, …
    pub action: &'static str,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

/// A file to be published.
pub struct Publish {
    /// Path inside the root.
    pub path: String,
    /// The whole content; wiped after writing because some of it is secret.
    pub content: Zeroizing<Vec<u8>>,
    /// Mode from the moment the file exists.
    pub mode: u32,
    /// Whether an existing file may be replaced; keys never are.
    pub replace: bool,
}

/// What is known of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: EntryKind,
    /// When its content last changed, Unix seconds.
    pub modified: i64,
}

/// The kind of a directory entry, after following symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket, a FIFO, a device or a dangling link.
    Other,
}

/// The files of the machine, or of a tree under `--root`.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
}

pub(super) const TEMPORARY_SUFFIX: &str = ".kubekeel-new";

impl Files {
    /// Files under `root`; `/` is the machine itself.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether these are the machine's own files and not a tree under `--root`.
    pub fn is_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    fn resolve(&self, path: &str) -> PathBuf {
        self.inside(path)
    }

    /// Where a path inside the root is.
    pub(super) fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The content of a file, `None` when there is none.
    pub fn read(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
        match std::fs::read(self.resolve(path)) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(FileError { path: path.into(), action: "read", source }),
        }
    }

    /// What is at a path, `None` when nothing is.
    pub fn status(&self, path: &str) -> Result<Option<Status>, FileError> {
        use std::os::unix::fs::MetadataExt as _;
        let resolved = self.resolve(path);
        match std::fs::metadata(&resolved) {
            Ok(metadata) => Ok(Some(Status {
                mode: metadata.mode() & 0o7777,
                size: metadata.len(),
                kind: match () {
                    () if metadata.is_file() => EntryKind::File,
                    () if metadata.is_dir() => EntryKind::Directory,
                    () => EntryKind::Other,
                },
                modified: metadata.mtime(),
            })),
            Err(error) if is_absent(&error) => match std::fs::symlink_metadata(&resolved) {
                Ok(_) => Ok(Some(Status { mode: 0, size: 0, kind: EntryKind::Other, modified: 0 })),
                Err(_) => Ok(None),
            },
            Err(source) => Err(FileError { path: path.into(), action: "inspect", source }),
        }
    }

    /// The names in a directory, sorted; empty when it does not exist.
    pub fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let entries = match std::fs::read_dir(self.resolve(path)) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(vec![]),
            Err(source) => return Err(FileError { path: path.into(), action: "list", source }),
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| FileError { path: path.into(), action: "list", source })?;
        names.sort();
        Ok(names)
    }

    /// Makes a directory and its parents; only what is created gets `mode`, what exists keeps its own.
    pub fn ensure_directory(&self, path: &str, mode: u32) -> Result<(), FileError> {
        make_directory(&self.resolve(path), mode).map_err(|source| FileError {
            path: path.into(),
            action: "create",
            source,
        })
    }

    /// Publishes a batch: all content is durable under dot-names first, then the names appear in the given order.
    ///
    /// On an error nothing that was not yet renamed stays behind, and the error names the path.
    pub fn publish(&self, batch: &[Publish]) -> Result<(), FileError> {
        let mut directories = BTreeMap::new();
        let mut staged: Vec<(OwnedFd, Target<'_>)> = Vec::with_capacity(batch.len());
        let result = self.stage_and_rename(batch, &mut directories, &mut staged);
        if result.is_err() {
            for (_, target) in &staged {
                if let Some(directory) = directories.get(target.directory) {
                    let _ = rustix::fs::unlinkat(directory, &target.temporary, AtFlags::empty());
                }
            }
        }
        result
    }

    fn stage_and_rename<'a>(
        &self,
        batch: &'a [Publish],
        directories: &mut BTreeMap<&'a str, OwnedFd>,
        staged: &mut Vec<(OwnedFd, Target<'a>)>,
    ) -> Result<(), FileError> {
        for file in batch {
            let fail = |action| move |source: io::Error| FileError { path: file.path.clone(), action, source };
            let target = Target::new(&file.path);
            if !directories.contains_key(target.directory) {
                let directory =
                    open_directory(&self.resolve(target.directory)).map_err(fail("open the directory of"))?;
                directories.insert(target.directory, directory);
            }
            let directory = &directories[target.directory];
            let mut out = create(directory, &target.temporary, file.mode).map_err(fail("create"))?;
            staged.push((directory.as_fd().try_clone_to_owned().map_err(fail("open"))?, target));
            fault::point("temporary file created");
            out.write_all(&file.content).map_err(fail("write"))?;
            out.sync_all().map_err(fail("sync"))?;
            fault::point("temporary file synced");
        }
        for (file, (directory, target)) in batch.iter().zip(staged.iter()) {
            let fail = |source: rustix::io::Errno| FileError {
                path: file.path.clone(),
                action: "rename",
                source: source.into(),
            };
            let flags = if file.replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
            rustix::fs::renameat_with(directory, &target.temporary, directory, target.name, flags).map_err(fail)?;
            fault::point("file renamed");
        }
        for (path, directory) in directories.iter() {
            rustix::fs::fsync(directory).map_err(|source| FileError {
                path: (*path).into(),
                action: "sync",
                source: source.into(),
            })?;
        }
        fault::point("directories synced");
        Ok(())
    }

    /// Begins a large file, mode 0600.
    pub fn receive(&self, path: &str) -> Result<Arriving, FileError> {
        let fail = |source: io::Error| FileError { path: path.into(), action: "create", source };
        let target = Target::new(path);
        let directory = open_directory(&self.resolve(target.directory)).map_err(fail)?;
        let file = create(&directory, &target.temporary, 0o600).map_err(fail)?;
        let (name, temporary) = (target.name.to_owned(), target.temporary);
        Ok(Arriving { path: path.to_owned(), directory, name, temporary, file, kept: false })
    }

    /// Reads a large file in pieces.
    pub fn scan(&self, path: &str, mut take: impl FnMut(&[u8])) -> Result<(), FileError> {
        let fail = |source: io::Error| FileError { path: path.into(), action: "read", source };
        let mut file = std::fs::File::open(self.resolve(path)).map_err(fail)?;
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece).map_err(fail)? {
                0 => return Ok(()),
                length => take(&piece[..length]),
            }
        }
    }

    /// Sets the mode of a file that is there already.
    pub fn set_mode(&self, path: &str, mode: u32) -> Result<(), FileError> {
        rustix::fs::chmod(self.resolve(path), Mode::from_raw_mode(mode)).map_err(|source| FileError {
            path: path.into(),
            action: "change the mode of",
            source: source.into(),
        })
    }

    /// Removes a file for good: its directory is synced. What is not there is removed already.
    pub fn remove(&self, path: &str) -> Result<(), FileError> {
        let fail = |source: io::Error| FileError { path: path.into(), action: "remove", source };
        let target = Target::new(path);
        let directory = match open_directory(&self.resolve(target.directory)) {
            Err(error) if is_absent(&error) => return Ok(()),
            result => result.map_err(fail)?,
        };
        match rustix::fs::unlinkat(&directory, target.name, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            result => result.map_err(|error| fail(error.into()))?,
        }
        fault::point("file removed");
        rustix::fs::fsync(&directory).map_err(|error| fail(error.into()))
    }

    /// Removes what an earlier run that was killed left between creating a dot-file and renaming it.
    pub fn sweep(&self, directory: &str) -> Result<(), FileError> {
        for name in self.list(directory)? {
            if name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX) {
                let path = format!("{directory}/{name}");
                std::fs::remove_file(self.resolve(&path)).map_err(|source| FileError {
                    path,
                    action: "remove",
                    source,
                })?;
            }
        }
        Ok(())
    }

    /// Bytes that an unprivileged writer may still use on the file system of the nearest existing parent of `path`.
    pub fn free_bytes(&self, path: &str) -> Result<u64, FileError> {
        let resolved = self.resolve(path);
        let existing = resolved.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
        let stat = rustix::fs::statvfs(existing).map_err(|source| FileError {
            path: path.into(),
            action: "inspect",
            source: source.into(),
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Whether a file can be created where `path` would be; nothing stays behind.
    pub fn probe_writable(&self, path: &str) -> Result<(), FileError> {
        let resolved = self.resolve(path);
        let existing = resolved.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"));
        let fail = |source: io::Error| FileError { path: path.into(), action: "write below", source };
        let directory = open_directory(existing).map_err(fail)?;
        let name = format!(".probe{TEMPORARY_SUFFIX}");
        let file = create(&directory, &name, 0o600).map_err(fail)?;
        drop(file);
        rustix::fs::unlinkat(&directory, &name, AtFlags::empty()).map_err(|error| fail(error.into()))
    }
}

/// A large file that arrives in pieces; it gets its name when it is whole, and leaves nothing behind otherwise.
#[derive(Debug)]
pub struct Arriving {
    path: String,
    directory: OwnedFd,
    name: String,
    temporary: String,
    file: std::fs::File,
    kept: bool,
}

impl Arriving {
    fn fail(&self, action: &'static str) -> impl FnOnce(io::Error) -> FileError {
        let path = self.path.clone();
        move |source| FileError { path, action, source }
    }

    /// Adds a piece.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), FileError> {
        self.file.write_all(piece).map_err(self.fail("write"))
    }

    /// Makes it durable under its name, in place of an older file.
    pub fn keep(mut self) -> Result<(), FileError> {
        self.file.sync_all().map_err(self.fail("sync"))?;
        rustix::fs::renameat(&self.directory, &self.temporary, &self.directory, &self.name)
            .map_err(|error| self.fail("rename")(error.into()))?;
        self.kept = true;
        rustix::fs::fsync(&self.directory).map_err(|error| self.fail("sync")(error.into()))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.kept {
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

struct Target<'a> {
    directory: &'a str,
    name: &'a str,
    temporary: String,
}

impl<'a> Target<'a> {
    fn new(path: &'a str) -> Self {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Self { directory, name, temporary: format!(".{name}{TEMPORARY_SUFFIX}") }
    }
}

/// Makes a directory with `mode` and its missing parents with 0755, whatever the umask says; what exists is left alone.
pub(super) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent, 0o755)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        result => result?,
    }
    fault::point("directory made");
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    fault::point("directory has its mode");
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn create(directory: &OwnedFd, name: &str, mode: u32) -> io::Result<std::fs::File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    let file = match rustix::fs::openat(directory, name, flags, mode) {
        // Only a killed run leaves such a name: the lock keeps a living one away.
        Err(rustix::io::Errno::EXIST) => {
            rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
            rustix::fs::openat(directory, name, flags, mode)?
        }
        result => result?,
    };
    // The umask may have taken bits away; it never adds any, so the file was never wider than `mode`.
    rustix::fs::fchmod(&file, mode)?;
    Ok(file.into())
}
