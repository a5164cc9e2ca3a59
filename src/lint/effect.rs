//! What a kubelet that runs does about a file, and when: played through on its file source.

use std::sync::Arc;

use serde::Serialize;

use super::source::{Made, SCAN_SECONDS, Source};
use super::{Named, What};

/// When something takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// With the change itself, which inotify tells.
    AtOnce,
    /// When the directory is read again, within [`SCAN_SECONDS`].
    NextScan,
}

/// What a change to what the file is now does, by whatever way it came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// When its pod starts; nothing when none is there to stay.
    pub starts: Option<When>,
    /// When a pod ends that runs of this file and is not the one that stays; nothing when there can be none.
    pub ends: Option<When>,
    /// The same of a pod that has another name than what the file defines now.
    pub renamed_ends: Option<When>,
}

/// A UID that no file gives.
const BEFORE: &str = "\n";

impl Effect {
    /// Of a file that gives a pod, or none; `same` are all files that give this pod, it among them, in the order of names.
    pub(super) fn of(entry: &Named, made: Option<&Made>, same: &[(&str, &Made)]) -> Self {
        if entry.name.starts_with('.') {
            return Self::default();
        }
        let (starts, ends) = course(entry, made, same, made.map_or("", |made| &made.pod));
        let renamed_ends = course(entry, made, same, "").1;
        Self { starts, ends, renamed_ends }
    }

    /// In words.
    pub fn words(&self) -> String {
        let scan = format!("at the next scan, within {SCAN_SECONDS} s");
        match (self.starts, self.ends) {
            (Some(When::AtOnce), _) => {
                format!("starts at once; what it replaces ends with that, a pod of another name {scan}")
            }
            (Some(When::NextScan), _) => format!("starts {scan}; what it replaces ends with that"),
            (None, Some(When::AtOnce)) => {
                "nothing of it runs; the pod of a file that was here ended at once".to_owned()
            }
            (None, Some(When::NextScan)) => format!("nothing of it stays: a pod of it that runs now ends {scan}"),
            (None, None) => "nothing of it runs, and nothing ends".to_owned(),
        }
    }
}

/// Plays what a file becomes while a pod of it runs: when the new one starts to stay, and when all others are gone.
fn course(entry: &Named, made: Option<&Made>, same: &[(&str, &Made)], earlier: &str) -> (Option<When>, Option<When>) {
    let file = entry.name.as_str();
    let before = Made { pod: earlier.to_owned(), uid: BEFORE.to_owned(), content: Arc::default() };
    let mut source = Source::default();
    source.scanned(same.iter().copied().filter(|(name, _)| *name != file));
    source.written(file, Some(&before));
    match entry.what {
        // Behind the link is another directory, of which inotify tells nothing.
        _ if entry.is_link => {}
        // A file cannot become one of these, it has to go first.
        What::Directory | What::Special => {
            source.removed(file);
            source.written(file, None);
        }
        _ => source.written(file, made),
    }
    let at_once = source.clone();
    source.scanned(same.iter().copied());
    let new = |source: &Source| made.is_some_and(|made| source.runs(&made.uid));
    let stays = new(&source);
    let others = |source: &Source| source.runs(BEFORE) || (new(source) && !stays);
    let when = |at_once, later| match (at_once, later) {
        (true, _) => Some(When::AtOnce),
        (false, true) => Some(When::NextScan),
        _ => None,
    };
    (when(stays && new(&at_once), stays), when(!others(&at_once), !others(&source)))
}
