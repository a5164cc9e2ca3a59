//! Names of directories and links: swapping and replacing them in one rename, and removing whole trees, never through a symbolic
//! link, never into another mount, and past every error.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::fault;
use super::fs::{FileError, Files, TEMPORARY_SUFFIX};

/// A mount below some directory (`/proc/self/mountinfo`, proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub path: String,
    /// What part of its file system stands there.
    pub root: String,
    /// Type of the file system, `tmpfs`, …
    pub kind: String,
}

impl Mount {
    /// Whether a directory was mounted onto itself, which is how the kubelet shares its mounts with pods
    /// (`pkg/util/filesystem`, `MakeRShared`).
    pub fn is_onto_itself(&self) -> bool {
        self.root != "/" && self.path.ends_with(&self.root)
    }
}

/// The mounts at and below a directory, deepest first.
pub fn mounts(directory: &str) -> Vec<Mount> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let below =
        |path: &str| path == directory || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
    let mut mounts: Vec<_> = table.lines().filter_map(parse).filter(|mount| below(&mount.path)).collect();
    mounts.reverse();
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.path.matches('/').count()));
    mounts
}

fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, path) = (unescaped(fields.next()?), unescaped(fields.next()?));
    Some(Mount { path, root, kind: after.split(' ').next()?.to_owned() })
}

/// The kernel writes space, tab, newline and backslash in octal.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// Unmounts a path; a symbolic link there is not followed.
pub fn unmount(path: &str) -> io::Result<()> {
    let result = rustix::mount::unmount(path, UnmountFlags::NOFOLLOW);
    fault::point("unmounted");
    Ok(result?)
}

/// What stands at a path itself, a symbolic link included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else.
    Other,
}

impl Files {
    /// The inode of a directory, by which it is known under any name; none when there is no such directory.
    pub fn inode(&self, path: &str) -> Result<Option<u64>, FileError> {
        match rustix::fs::lstat(self.inside(path)) {
            Ok(stat) => Ok((FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then_some(stat.st_ino)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(source) => Err(FileError { path: path.into(), action: "inspect", source: source.into() }),
        }
    }

    /// Lets two directories of one file system swap their names, in one step; when one is missing the other gets its name.
    pub fn swap(&self, one: &str, other: &str) -> Result<(), FileError> {
        let fail = |source: Errno| FileError { path: one.into(), action: "swap", source: source.into() };
        let (from, to) = match (self.inode(one)?, self.inode(other)?) {
            (None, _) => (other, one),
            _ => (one, other),
        };
        let both = self.inode(to)?.is_some();
        let flags = if both { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        rustix::fs::renameat_with(CWD, self.inside(from), CWD, self.inside(to), flags).map_err(fail)?;
        for path in [one, other] {
            let (parent, _) = path.rsplit_once('/').unwrap_or_default();
            let directory = rustix::fs::open(self.inside(parent), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            rustix::fs::fsync(directory.map_err(fail)?).map_err(fail)?;
        }
        Ok(())
    }

    /// Makes a symbolic link, in place of what has its name, in one rename.
    pub fn link(&self, path: &str, target: &str) -> Result<(), FileError> {
        let fail = |source: Errno| FileError { path: path.into(), action: "link", source: source.into() };
        let (directory, name) = path.rsplit_once('/').unwrap_or_default();
        let temporary = self.inside(&format!("{directory}/.{name}{TEMPORARY_SUFFIX}"));
        match rustix::fs::unlink(&temporary) {
            Err(Errno::NOENT) => {}
            result => result.map_err(fail)?,
        }
        rustix::fs::symlink(target, &temporary).map_err(fail)?;
        rustix::fs::rename(&temporary, self.inside(path)).map_err(fail)?;
        fault::point("link renamed");
        open(&self.inside(directory)).and_then(|directory| rustix::fs::fsync(&directory)).map_err(fail)
    }

    /// What stands at a path, without following it; `None` when nothing does.
    pub fn entry(&self, path: &str) -> Option<Entry> {
        let kind = std::fs::symlink_metadata(self.inside(path)).ok()?.file_type();
        Some(match () {
            () if kind.is_symlink() => Entry::Link,
            () if kind.is_dir() => Entry::Directory,
            () if kind.is_file() => Entry::File,
            () => Entry::Other,
        })
    }

    /// Removes what stands at a path and everything below it. What is mounted there stays, and so do its parents; every
    /// such place is an error, and the rest goes on. What is not there is removed already.
    pub fn remove_tree(&self, path: &str) -> Result<(), Vec<FileError>> {
        let resolved = self.inside(path);
        let (Some(parent), Some(name)) = (resolved.parent(), resolved.file_name()) else { return Ok(()) };
        let fail = |source: io::Error| vec![FileError { path: path.into(), action: "remove", source }];
        let name = std::ffi::CString::new(name.as_encoded_bytes()).map_err(|error| fail(error.into()))?;
        let parent = match open(parent) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            result => result.map_err(|errno| fail(errno.into()))?,
        };
        let mut failures = vec![];
        remove_entry(&parent, &name, path, &mut failures);
        fault::point("tree removed");
        let _ = rustix::fs::fsync(&parent);
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Removes a directory if nothing is in it; false when something is.
    pub fn remove_empty_directory(&self, path: &str) -> Result<bool, FileError> {
        let result = rustix::fs::rmdir(self.inside(path));
        fault::point("directory removed");
        match result {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(FileError { path: path.into(), action: "remove", source: errno.into() }),
        }
    }
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn remove_entry(parent: &OwnedFd, name: &CStr, path: &str, failures: &mut Vec<FileError>) {
    let mut fail = |errno: Errno| {
        if errno != Errno::NOENT {
            failures.push(FileError { path: path.into(), action: "remove", source: errno.into() });
        }
    };
    let kind = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(errno) => return fail(errno),
    };
    if kind != FileType::Directory {
        if let Err(errno) = rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            fail(errno);
        }
        return;
    }
    // The kernel itself keeps us on this mount and off links, whoever changes the directory meanwhile.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    let directory = match rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve) {
        Ok(directory) => directory,
        Err(errno) => return fail(errno),
    };
    let before = failures.len();
    match names(&directory) {
        Ok(names) => {
            for name in names {
                remove_entry(&directory, &name, &format!("{path}/{}", name.to_string_lossy()), failures);
            }
        }
        Err(errno) => failures.push(FileError { path: path.into(), action: "list", source: errno.into() }),
    }
    // A directory in which something had to stay is no second error.
    if failures.len() == before
        && let Err(errno) = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
    {
        failures.push(FileError { path: path.into(), action: "remove", source: errno.into() });
    }
}

fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<std::ffi::CString>> {
    let mut names = vec![];
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table_of_mounts() {
        let line = "36 35 98:0 /var/lib/kubelet /mnt/a\\040b/var/lib/kubelet rw,noatime master:1 - ext3 /dev/root rw";
        let mount = parse(line).expect("a mount");
        assert_eq!((mount.path.as_str(), mount.kind.as_str()), ("/mnt/a b/var/lib/kubelet", "ext3"));
        assert!(mount.is_onto_itself());
        assert!(!Mount { root: "/".into(), ..mount }.is_onto_itself());
    }

    #[test]
    fn a_tree_goes_and_what_its_links_name_stays() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("var/tree/deep/er")).expect("made");
        std::fs::create_dir_all(at("elsewhere/kept")).expect("made");
        std::fs::write(at("elsewhere/kept/file"), "x").expect("written");
        std::fs::write(at("var/tree/deep/file"), "x").expect("written");
        std::os::unix::fs::symlink(at("elsewhere/kept"), at("var/tree/deep/link")).expect("linked");
        let files = Files::new(root.path());
        assert!(files.remove_tree("/var/tree").is_ok());
        assert!(!at("var/tree").exists() && at("elsewhere/kept/file").exists());
        assert!(files.remove_tree("/var/tree").is_ok(), "a second time");
        std::os::unix::fs::symlink(at("elsewhere/kept"), at("var/tree")).expect("linked");
        assert!(files.remove_tree("/var/tree").is_ok(), "the link itself");
        assert!(at("elsewhere/kept/file").exists() && files.entry("/var/tree").is_none());
    }
}
