//! Reads a directory for [`super::judge`].

use super::{LARGEST, Named, What};
use crate::host::fs::{EntryKind, FileError, Files};
use crate::host::tree::Entry;

/// Every name in a directory. What is no regular file is not opened: a FIFO would not let go.
pub fn look(files: &Files, directory: &str) -> Result<Vec<Named>, FileError> {
    let mut entries = vec![];
    for name in files.list(directory)? {
        let path = format!("{}/{name}", directory.trim_end_matches('/'));
        let is_link = files.entry(&path) == Some(Entry::Link);
        let what = match files.status(&path) {
            Ok(None) => continue,
            Ok(Some(status)) => match status.kind {
                EntryKind::Directory => What::Directory,
                EntryKind::File if status.size >= LARGEST || name.starts_with('.') => What::File(status.size, None),
                EntryKind::File => match files.read(&path) {
                    Ok(Some(bytes)) => What::File(status.size, Some(bytes.to_vec())),
                    Ok(None) => continue,
                    Err(error) => What::Unreadable(word(&error)),
                },
                EntryKind::Other if is_link && status.mode == 0 => What::Dangling,
                EntryKind::Other => What::Special,
            },
            Err(error) => What::Unreadable(word(&error)),
        };
        entries.push(Named { name, is_link, what });
    }
    Ok(entries)
}

fn word(error: &FileError) -> String {
    error.source.to_string()
}
