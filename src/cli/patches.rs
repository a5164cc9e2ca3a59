//! The directory of patches, read through the host.

use crate::config::Input;
use crate::error::{Problem, Result};
use crate::host::fs::{EntryKind, FileError, Files};
use crate::patch;

/// The input with the files of its directory of patches, unless it has them already.
pub(super) fn read(mut input: Input, files: &Files) -> Result<Input> {
    if input.patches.is_some() {
        return Ok(input);
    }
    let Some(directory) = input.config()?.patches_directory else { return Ok(input) };
    let (texts, mut problems) = texts(&directory, files);
    input.patches = Some(texts);
    if problems.is_empty() {
        return Ok(input);
    }
    // What is wrong with those that could be read is told with the rest.
    problems.extend(input.config().err().into_iter().flat_map(|error| error.problems));
    Err(patch::refusal(&directory, problems))
}

/// The files by their paths, and what cannot be read. Names that begin with a dot are not for us: an editor's, version
/// control's, those of a mounted volume.
fn texts(directory: &str, files: &Files) -> (Vec<(String, String)>, Vec<Problem>) {
    let names = match files.status(directory) {
        Ok(Some(status)) if status.kind == EntryKind::Directory => files.list(directory),
        Ok(Some(_)) => return (vec![], vec![Problem::new(directory, "it is not a directory")]),
        Ok(None) => return (vec![], vec![Problem::new(directory, "there is no such directory")]),
        Err(error) => Err(error),
    };
    let names = match names {
        Ok(names) => names,
        Err(error) => return (vec![], vec![unreadable(directory, &error)]),
    };
    let (mut texts, mut problems) = (vec![], vec![]);
    for name in names.into_iter().filter(|name| !name.starts_with('.')) {
        let path = format!("{directory}/{name}");
        match text(&path, files) {
            Ok(text) => texts.push((path, text)),
            Err(problem) => problems.push(problem),
        }
    }
    (texts, problems)
}

fn text(path: &str, files: &Files) -> Result<String, Problem> {
    /// The reader of YAML takes no more.
    const LARGEST: u64 = 1 << 20;
    match files.status(path).map_err(|error| unreadable(path, &error))? {
        Some(status) if status.kind == EntryKind::File && status.size <= LARGEST => {}
        Some(status) if status.kind == EntryKind::File => return Err(Problem::new(path, "it is larger than 1 MiB")),
        _ => return Err(Problem::new(path, "it is not a file").hint("put the patches into the directory itself")),
    }
    let bytes = files.read(path).map_err(|error| unreadable(path, &error))?.unwrap_or_default();
    std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| Problem::new(path, "it is not UTF-8"))
}

fn unreadable(path: &str, error: &FileError) -> Problem {
    use std::error::Error as _;
    Problem::new(path, error.source().map_or_else(|| error.to_string(), ToString::to_string))
}
