//! A directory of static pods, as the kubelet will read it (`pkg/kubelet/config/file.go`, `common.go`): what of it will
//! run, what will not, and why. Pure.

mod effect;
mod look;
mod pod;
mod scalar;
mod source;
mod tree;
mod valid;

use std::collections::BTreeMap;

use serde::Serialize;

pub use effect::{Effect, When};
pub use look::look;
pub use source::{Made, SCAN_SECONDS, Source};

use crate::manifest::Component;

/// A name in the directory, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Whether it is a symbolic link; the kubelet follows it.
    pub is_link: bool,
    /// What is there.
    pub what: What,
}

/// What a name stands for once links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A regular file of that many bytes; its content unless it is too large to be read.
    File(u64, Option<Vec<u8>>),
    /// A directory.
    Directory,
    /// A FIFO, a socket or a device.
    Special,
    /// A link that leads nowhere.
    Dangling,
    /// It cannot be read; the system's word.
    Unreadable(String),
}

/// What the kubelet does with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its pod runs.
    Runs,
    /// The kubelet does not look at it.
    Ignored,
    /// Another file says the same pod, and that one counts after the next scan.
    Replaced,
    /// The kubelet does not take it.
    Refused,
}

impl Verdict {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Ignored => "ignored",
            Self::Replaced => "replaced",
            Self::Refused => "refused",
        }
    }
}

/// Something worth knowing of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whether the file should not stay like this.
    pub is_wrong: bool,
    /// Line, from 1, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What it is.
    pub message: String,
}

impl Note {
    fn wrong(message: impl Into<String>) -> Self {
        Self { is_wrong: true, line: None, message: message.into() }
    }

    fn told(message: impl Into<String>) -> Self {
        Self { is_wrong: false, line: None, message: message.into() }
    }

    fn at(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Its name in the directory.
    pub file: String,
    /// What the kubelet does with it.
    pub verdict: Verdict,
    /// The pod, `namespace/name`, when the file is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// What a kubelet that runs does about it, and when.
    pub effect: Effect,
    /// Why, and what else.
    pub notes: Vec<Note>,
    /// What the kubelet makes of it, if it takes it.
    #[serde(skip)]
    pub made: Option<Made>,
}

impl Judged {
    /// Whether something about it should not stay like this.
    pub fn is_wrong(&self) -> bool {
        self.notes.iter().any(|note| note.is_wrong)
    }
}

/// The kubelet reads at most this much of a file, and nothing of a larger one (`maxConfigLength`).
pub const LARGEST: u64 = 10 << 20;

/// Judges a directory; `minor` is the Kubernetes minor that the flags have to fit, else each image's own tag tells.
pub fn judge(entries: &[Named], minor: Option<u32>) -> Vec<Judged> {
    let mut entries: Vec<_> = entries.iter().collect();
    // The kubelet reads in this order, and of two that say the same pod the last one counts.
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut judged: Vec<_> = entries.iter().map(|entry| file(entry, minor)).collect();
    let mut files: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, one) in judged.iter().enumerate() {
        if let Some(made) = &one.made {
            files.entry(made.pod.clone()).or_default().push(index);
        }
    }
    let alone = vec![];
    for (index, entry) in entries.iter().enumerate() {
        let made = judged[index].made.as_ref();
        let same = made.and_then(|made| files.get(&made.pod)).unwrap_or(&alone);
        let same: Vec<_> = same
            .iter()
            .filter_map(|index| judged[*index].made.as_ref().map(|made| (entries[*index].name.as_str(), made)))
            .collect();
        judged[index].effect = Effect::of(entry, made, &same);
    }
    for (pod, same) in &files {
        twins(&mut judged, pod, same);
    }
    of_one_uid(&mut judged);
    judged
}

/// Files that define the same pod, in the order of names.
fn twins(judged: &mut [Judged], pod: &str, same: &[usize]) {
    for pair in same.windows(2) {
        let &[earlier, later] = pair else { continue };
        let (winner, loser) = (judged[later].file.clone(), judged[earlier].file.clone());
        judged[earlier].verdict = Verdict::Replaced;
        judged[earlier].notes.insert(0, Note::wrong(format!("{winner} defines the pod {pod}, too, and comes later")));
        judged[later].notes.insert(
            0,
            Note::wrong(format!(
                "{loser} defines the pod {pod}, too: whichever is written last runs, until the next scan takes this one"
            )),
        );
    }
}

fn of_one_uid(judged: &mut [Judged]) {
    let runs = judged.iter().enumerate().filter(|(_, one)| one.verdict == Verdict::Runs);
    let uids: Vec<_> = runs.filter_map(|(index, one)| Some((one.made.as_ref()?.uid.clone(), index))).collect();
    for (uid, index) in &uids {
        if let Some((_, other)) = uids.iter().find(|(same, other)| same == uid && other != index) {
            let message =
                format!("{} has the same metadata.uid: the kubelet runs one of them, by turns", judged[*other].file);
            judged[*index].notes.insert(0, Note::wrong(message));
        }
    }
}

fn file(entry: &Named, minor: Option<u32>) -> Judged {
    let mut judged = Judged {
        file: entry.name.clone(),
        verdict: Verdict::Refused,
        pod: None,
        effect: Effect::default(),
        notes: vec![],
        made: None,
    };
    if entry.name.starts_with('.') {
        judged.verdict = Verdict::Ignored;
        return judged;
    }
    match &entry.what {
        What::Directory => {
            judged.verdict = Verdict::Ignored;
            judged
                .notes
                .push(Note::wrong("it is a directory: the kubelet does not look into it, and complains at every scan"));
        }
        What::Special => {
            judged.verdict = Verdict::Ignored;
            judged
                .notes
                .push(Note::wrong("it is no regular file: a FIFO here stops the kubelet from reading any other file"));
        }
        What::Dangling => {
            judged.verdict = Verdict::Ignored;
            judged.notes.push(Note::wrong("it is a symbolic link that leads nowhere"));
        }
        What::Unreadable(why) => judged.notes.push(Note::wrong(format!("it cannot be read: {why}"))),
        What::File(size, None) => {
            judged.notes.push(Note::wrong(format!("it has {size} bytes, and the kubelet refuses {LARGEST} and more")));
        }
        What::File(_, Some(bytes)) => {
            let read = pod::read(bytes, minor);
            judged.made = read.made(&entry.name);
            judged.verdict = if judged.made.is_some() { Verdict::Runs } else { Verdict::Refused };
            (judged.pod, judged.notes) = (read.name, read.notes);
            foreign(&mut judged);
        }
    }
    if entry.is_link && !matches!(entry.what, What::Dangling) {
        judged
            .notes
            .push(Note::told("it is a symbolic link: the kubelet notices an edit of its target only at the next scan"));
    }
    judged
}

/// A file of a name, and a pod of another one.
fn foreign(judged: &mut Judged) {
    let own = Component::ALL.into_iter().find(|component| component.path().ends_with(&format!("/{}", judged.file)));
    let pod = judged.pod.as_deref().and_then(|pod| pod.strip_prefix("kube-system/")).and_then(Component::named);
    match (own, pod) {
        (None, Some(component)) => judged.notes.push(Note::wrong(format!(
            "it defines {component}, whose file is {component}.yaml: the kubelet reads every name without a leading dot"
        ))),
        (Some(component), other) if judged.pod.is_some() && other != Some(component) => {
            judged
                .notes
                .push(Note::wrong(format!("by its name it is the file of {component}, and it defines another pod")));
        }
        _ => {}
    }
}
