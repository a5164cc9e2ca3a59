//! A directory that the kubelet's own file source watches, and our model of that, kept side by side.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use kubekeel::host::fs::Files;
use kubekeel::lint::{Judged, Made, Source, Verdict, When, judge, look};
use kubekeel::manifest::{Component, NodeInputs, render};
use serde_json::Value;

use crate::lint::contents;
use crate::oracle::Oracle;
use crate::sample;

pub(crate) const NAMES: [&str; 8] =
    ["a.yaml", "a.yaml.bak", "b.yaml", "b.json", "c d.yaml", "noextension", ".hidden.yaml", "kube-scheduler.yaml"];
/// A pod; `NUMBER` makes each write another one.
pub(crate) const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, annotations: {v: \"NUMBER\"}}\n\
                   spec: {containers: [{name: c, image: x, command: [run, COMMAND]}]}\n";

/// What is done to a directory.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// Write a content in place, as an editor may.
    Write(usize, usize),
    /// Write it beside and rename it.
    Publish(usize, usize),
    /// Write only the first per mille of a real manifest.
    Cut(usize, usize, usize),
    Copy(usize, usize),
    Rename(usize, usize),
    Remove(usize),
    Directory(usize),
    Link(usize, usize),
    Mode(usize),
    /// Wait for the next scan.
    Scan,
    /// Break every file there is, and wait for a scan that finds no pod at all.
    Break,
}

/// The scan came before the events of an operation were through: nothing can be said of what was at once.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// What runs: pods, each with the number of the write that made it.
pub(crate) type Running = Vec<(String, String)>;

/// One directory, its kubelet with what that keeps, and our model of it.
pub(crate) struct Watched {
    home: tempfile::TempDir,
    lines: Receiver<String>,
    _oracle: Oracle,
    kept: BTreeMap<String, Value>,
    model: Source,
    number: usize,
    /// The number behind the link, which only a scan finds, and whether it was found.
    armed: String,
    scanned: bool,
    manifests: [String; 4],
    /// How many pods ended before the next scan, and with it.
    pub(crate) ended: [usize; 2],
    /// How often what lint says of a file was compared.
    pub(crate) checked: usize,
}

/// A link, whose target changes without an event: it tells that there was a scan.
const SCAN: &str = "zz-scan";
/// The pod that it makes.
const MARKER: &str = "default/scan";
/// A file that is renamed to its place: it tells that all events before it are through.
const EVENT: &str = "zz-event";

impl Watched {
    /// An empty directory, of which the kubelet's watch is known to tell.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("m")).unwrap();
        let mut watched = Self::over(home);
        // Without a scan in between it was inotify that told of the last file.
        while watched.scanned {
            watched.settle();
        }
        watched
    }

    /// A directory with all that the kubelet is to find there, `m` below this one.
    pub(crate) fn over(home: tempfile::TempDir) -> Self {
        fs::create_dir(home.path().join("targets")).unwrap();
        let mut oracle = Oracle::start(&home.path().join("m"));
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(oracle.0.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut watched = Self {
            home,
            lines,
            _oracle: oracle,
            kept: BTreeMap::new(),
            model: Source::default(),
            number: 0,
            armed: String::new(),
            scanned: false,
            manifests: manifests(),
            ended: [0; 2],
            checked: 0,
        };
        watched.arm();
        std::os::unix::fs::symlink(watched.home.path().join("scan"), watched.directory().join(SCAN)).unwrap();
        watched.settle();
        watched
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("m")
    }

    fn number(&mut self) -> String {
        self.number += 1;
        self.number.to_string()
    }

    /// The entry of a name as lint sees it, alone.
    fn judged(&self, name: &str) -> Option<Judged> {
        let entries = look(&Files::new(self.directory()), "/").unwrap();
        judge(&[entries.into_iter().find(|entry| entry.name == name)?], None).pop()
    }

    /// The event of a file that is there, in the model.
    fn written(&mut self, name: &str) {
        if let Some(judged) = self.judged(name) {
            self.model.written(name, judged.made.as_ref());
        }
    }

    fn publish(&self, name: &str, text: String) -> bool {
        let beside = self.directory().join(".beside");
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, self.directory().join(name))).is_ok()
    }

    /// Does it, and tells the model which events it is. What makes no sense fails, and is no operation.
    pub(crate) fn run(&mut self, operation: &Operation) {
        let directory = self.directory();
        let at = |name: usize| directory.join(NAMES[name]);
        let is_link = |name: usize| at(name).is_symlink();
        // Behind a link is another directory, of which there is no event.
        let write = |name: usize, text: &[u8]| (!is_link(name) & fs::write(at(name), text).is_ok()).then_some(name);
        let mut removed = None;
        let written = match operation {
            Operation::Write(name, content) => {
                write(*name, contents()[*content].replace("NUMBER", &self.number()).as_bytes())
            }
            Operation::Publish(name, content) => {
                let text = contents()[*content].replace("NUMBER", &self.number());
                self.publish(NAMES[*name], text).then_some(*name)
            }
            Operation::Cut(name, manifest, thousandths) => {
                let number = self.number();
                let text = self.manifests[*manifest].replace("NUMBER", &number);
                write(*name, &text.as_bytes()[..text.len() * thousandths / 1000])
            }
            Operation::Copy(from, to) => fs::read(at(*from)).ok().and_then(|bytes| write(*to, &bytes)),
            Operation::Rename(from, to) => {
                let is_done = from != to && fs::rename(at(*from), at(*to)).is_ok();
                removed = is_done.then_some(*from);
                is_done.then_some(*to)
            }
            Operation::Remove(name) => {
                let is_done = fs::remove_file(at(*name)).or_else(|_| fs::remove_dir(at(*name))).is_ok();
                removed = is_done.then_some(*name);
                None
            }
            Operation::Directory(name) => fs::create_dir(at(*name)).is_ok().then_some(*name),
            Operation::Link(name, content) => {
                let number = self.number();
                let (path, target) = (at(*name), self.home.path().join("targets").join(&number));
                fs::write(&target, contents()[*content].replace("NUMBER", &number)).unwrap();
                removed = fs::remove_file(&path).is_ok().then_some(*name);
                std::os::unix::fs::symlink(target, path).is_ok().then_some(*name)
            }
            Operation::Mode(name) => {
                use std::os::unix::fs::PermissionsExt as _;
                // A link's mode is its target's, elsewhere.
                let is_done = fs::set_permissions(at(*name), fs::Permissions::from_mode(0o640)).is_ok();
                (is_done && !is_link(*name)).then_some(*name)
            }
            Operation::Scan | Operation::Break => None,
        };
        if let Some(name) = removed {
            self.model.removed(NAMES[name]);
        }
        if let Some(name) = written {
            self.written(NAMES[name]);
        }
    }

    /// Another number behind the link, of which there is no event.
    fn arm(&mut self) {
        (self.armed, self.scanned) = (self.number(), false);
        self.behind_the_link(&pod("scan", &self.armed));
    }

    fn behind_the_link(&self, text: &str) {
        let (beside, target) = (self.home.path().join("beside"), self.home.path().join("scan"));
        fs::write(&beside, text).and_then(|()| fs::rename(beside, target)).unwrap();
    }

    /// Takes what the kubelet says until something is so, maybe by the pod that was added.
    fn until(&mut self, what: impl Fn(&Self, &str, &str) -> bool) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < Duration::from_secs(60), "the kubelet does not scan, or does not listen");
            let Ok(line) = self.lines.recv_timeout(Duration::from_millis(50)) else { continue };
            let told = line.strip_prefix("JSON ").and_then(|rest| rest.split_once(' '));
            let Some((operation, pod)) = told else { continue };
            let pod: Value = serde_json::from_str(pod).unwrap();
            let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
            let (mut name, number) = named(&pod);
            if matches!(operation, "REMOVE" | "DELETE") {
                self.kept.remove(&uid);
                name.clear();
            } else {
                self.kept.insert(uid, pod);
            }
            self.scanned |= name == "default/scan" && number == self.armed;
            if what(self, &name, &number) {
                return;
            }
        }
    }

    /// Waits until the kubelet has done what inotify told it, and has said so: what it adds beside a pod may come after that
    /// one, but not after the next.
    fn catch_up(&mut self) {
        for _ in 0..2 {
            let number = self.number();
            assert!(self.publish(EVENT, pod("event", &number)));
            self.written(EVENT);
            self.until(|_, name, seen| name == "default/event" && seen == number);
        }
    }

    /// Waits for a whole scan after all that was done. Events may come before it or after it.
    pub(crate) fn settle(&mut self) {
        self.arm();
        self.next_scan();
    }

    fn next_scan(&mut self) {
        if !self.scanned {
            self.until(|watched, _, _| watched.scanned);
        }
        self.after_a_scan();
    }

    fn after_a_scan(&mut self) {
        let judged = judge(&look(&Files::new(self.directory()), "/").unwrap(), None);
        let made = judged.iter().filter_map(|judged| Some((judged.file.as_str(), judged.made.as_ref()?)));
        self.model.scanned(made);
        self.arm();
        self.catch_up();
    }

    /// Every file is broken, those that wait for the kubelet among them, until a scan has found none that is a pod.
    fn break_all(&mut self) -> Result<(), Interrupted> {
        for path in NAMES.map(|name| self.directory().join(name)).iter().filter(|path| path.is_file()) {
            // Of what is broken there may be events, which change nothing.
            fs::write(path, "nonsense").unwrap();
        }
        fs::remove_file(self.directory().join(EVENT)).unwrap();
        self.model.removed(EVENT);
        self.behind_the_link("nonsense");
        self.until(|watched, _, _| watched.scanned || !watched.kept.values().any(|pod| named(pod).0 == "default/scan"));
        (!self.scanned).then(|| self.after_a_scan()).ok_or(Interrupted)
    }

    /// One operation; then the kubelet keeps what the model says, first of all at once.
    pub(crate) fn step(&mut self, operation: &Operation) -> Result<(), Interrupted> {
        let before = self.kubelet();
        let claim = self.claim(operation);
        match operation {
            Operation::Scan => self.next_scan(),
            Operation::Break => self.break_all()?,
            operation => {
                self.run(operation);
                self.catch_up();
            }
        }
        let after = self.kubelet();
        // A scan takes the old marker away before it brings the new one.
        let has_marker = |running: &Running| running.iter().any(|(name, _)| name == MARKER);
        if self.scanned || (has_marker(&self.expected()) && !has_marker(&after)) {
            return Err(Interrupted);
        }
        assert_eq!(
            self.expected(),
            after,
            "the model (left) and the kubelet, right after {operation:?}\n{:#?}",
            self.files()
        );
        let is_scan = matches!(operation, Operation::Scan | Operation::Break);
        self.ended[usize::from(is_scan)] += before.iter().filter(|pod| !after.contains(pod)).count();
        if let Some((name, made)) = claim {
            self.check(name, &made, operation);
        }
        Ok(())
    }

    /// A file whose content the operation changes where it stands, and the one pod of it that runs.
    fn claim(&self, operation: &Operation) -> Option<(&'static str, Made)> {
        use Operation::{Copy, Cut, Publish, Write};
        let (Write(name, _) | Publish(name, _) | Cut(name, ..) | Copy(_, name)) = operation else { return None };
        let made = self.judged(NAMES[*name])?.made?;
        (self.own(NAMES[*name]) == [made.uid.as_str()]).then_some((NAMES[*name], made))
    }

    /// UIDs of the pods of a file that run; those with a `metadata.uid` do not tell their file.
    fn own(&self, name: &str) -> Vec<&str> {
        let uids = self.model.running().map(|made| made.uid.as_str());
        uids.filter(|uid| uid.strip_prefix(name).is_some_and(|rest| rest.starts_with('\n'))).collect()
    }

    /// What lint says of the file as it is now, against what runs, of which the kubelet has just said the same.
    fn check(&mut self, name: &'static str, before: &Made, operation: &Operation) {
        let all = judge(&look(&Files::new(self.directory()), "/").unwrap(), None);
        let Some(judged) = all.into_iter().find(|judged| judged.file == name) else { return };
        let now = judged.made.as_ref();
        if now.is_some_and(|made| made.uid == before.uid || !made.uid.starts_with(name)) {
            return;
        }
        let own = self.own(name);
        let stays = now.filter(|_| judged.effect.starts.is_some()).map(|made| made.uid.as_str());
        let is_renamed = now.is_some_and(|made| made.pod != before.pod);
        let ends = if is_renamed { judged.effect.renamed_ends } else { judged.effect.ends };
        let seen = if own.iter().all(|uid| Some(*uid) == stays) { When::AtOnce } else { When::NextScan };
        assert_eq!(
            ends,
            Some(seen),
            "when the pod of {name} ends, after {operation:?}\n{judged:#?}\n{:#?}",
            self.files()
        );
        let starts = stays.is_some_and(|uid| own.contains(&uid));
        assert_eq!(judged.effect.starts == Some(When::AtOnce), starts, "{operation:?}\n{judged:#?}");
        self.checked += 1;
    }

    pub(crate) fn files(&self) -> BTreeMap<&'static str, String> {
        let text = |name: &&'static str| Some((*name, fs::read_to_string(self.directory().join(name)).ok()?));
        NAMES.iter().filter_map(text).collect()
    }

    /// What the kubelet keeps.
    pub(crate) fn kubelet(&self) -> Running {
        sorted(self.kept.values().map(named))
    }

    /// The same without the pod that is armed for the next scan: of what is behind the link now the kubelet does not know yet.
    pub(crate) fn without_the_marker(&self) -> Running {
        self.kubelet().into_iter().filter(|(name, _)| name != MARKER).collect()
    }

    /// What the model says that it keeps.
    fn expected(&self) -> Running {
        sorted(self.model.running().map(|made| (made.pod.clone(), number(&made.content))))
    }

    /// What lint says that it keeps, without the same one.
    pub(crate) fn lint(&self) -> Running {
        let judged = judge(&look(&Files::new(self.directory()), "/").unwrap(), None);
        let runs = judged.into_iter().filter(|judged| judged.verdict == Verdict::Runs).filter_map(|judged| judged.made);
        let runs = runs.filter(|made| made.pod != MARKER);
        sorted(runs.map(|made| (made.pod, number(&made.content))))
    }
}

fn sorted(running: impl Iterator<Item = (String, String)>) -> Running {
    let mut running: Running = running.collect();
    running.sort();
    running
}

/// Our own manifests, numbered like the other pods.
pub(crate) fn manifests() -> [String; 4] {
    Component::ALL.map(|component| {
        let text = render(component, &sample::config(), &NodeInputs::default()).unwrap().text;
        let numbered = text.replacen("  annotations:\n", "  annotations:\n    v: \"NUMBER\"\n", 1);
        assert_ne!(numbered, text);
        numbered
    })
}

fn pod(name: &str, number: &str) -> String {
    POD.replace("NAME", name).replace("NUMBER", number).replace("COMMAND", "x")
}

/// A pod's name as its file has it, and its number.
fn named(pod: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &pod["metadata"];
    let name = text(&metadata["name"]).trim_end_matches("-keel-1").to_owned();
    (format!("{}/{name}", text(&metadata["namespace"])), number(pod))
}

fn number(pod: &Value) -> String {
    pod["metadata"]["annotations"]["v"].as_str().unwrap_or_default().to_owned()
}
