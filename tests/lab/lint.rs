//! `kubekeel lint` against the kubelet's own file source: after any sequence of file operations both say the same of what
//! runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use kubekeel::host::fs::Files;
use kubekeel::lint::{Verdict, judge, look};
use kubekeel::manifest::{Component, NodeInputs, render};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as Cases, RngSeed, TestRunner};
use serde_json::Value;

use crate::oracle::Oracle;
use crate::sample;

/// How many sequences, over how many directories at the same time.
const SEQUENCES: usize = 1_200;
const AT_ONCE: usize = 40;
const NAMES: [&str; 8] =
    ["a.yaml", "a.yaml.bak", "b.yaml", "b.json", "c d.yaml", "noextension", ".hidden.yaml", "kube-scheduler.yaml"];
const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, annotations: {v: \"NUMBER\"}}\n\
                   spec: {containers: [{name: c, image: x, command: [run, COMMAND]}]}\n";

/// Contents that a kubelet takes, or does not, for some reason of its own. `NUMBER` makes each write another pod.
fn contents() -> Vec<String> {
    let pod = |name: &str, command: &str| POD.replace("NAME", name).replace("COMMAND", command);
    let with = |line: &str| pod("p", "x").replace("spec: {", &format!("spec: {{{line}, "));
    let mut all = vec![
        pod("p", "x"),
        pod("q", "x"),
        pod("p", "'yes'"),
        pod("p", "x") + "---\n" + &pod("second", "x"),
        pod("p", "x") + "---\n[broken\n",
        pod("p", "x").replace("name: p,", "name: p, namespace: kube-system,"),
        pod("p", "x").replace("metadata: {", "metadata: {uid: abc, "),
        pod("p", "x").replace("kind: Pod", "kind: Pod\nkind: Pod\nnoField: 1"),
        format!("# a comment\n---\n{}", pod("q", "x")),
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j", "annotations": {"v": "NUMBER"}},
            "spec": {"containers": [{"name": "c", "image": "x"}]}}"#.to_owned(),
        r#"{"apiVersion": "v1", "kind": "Pod", metadata: {"name": "j"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}"#.to_owned(),
        String::new(),
        "nonsense".to_owned(),
        "a: [\n".to_owned(),
        pod("p", "x").replace("kind: Pod", "kind: Deployment").replace("v1", "apps/v1"),
        "apiVersion: v1\nkind: PodList\nitems: []\n".to_owned(),
        pod("Upper_case", "x"),
        pod("p", "x").replace("name: p, ", ""),
        pod("p", "x").replace("name: c, image: x", "name: c"),
        pod("p", "x").replace("containers: [", "containers: [{name: c, image: y}, "),
        with("serviceAccountName: default"),
        with("imagePullSecrets: [{name: s}]"),
        with("volumes: [{name: s, secret: {secretName: s}}]"),
        with("volumes: [{name: s, configMap: {name: s}}]"),
        with("volumes: [{name: s, projected: {sources: [{serviceAccountToken: {path: t}}]}}]"),
        with("volumes: [{name: s, hostPath: {path: /x}}, {name: s, hostPath: {path: /y}}]"),
        with("volumes: [{name: s, hostPath: {path: /x}}]"),
        with("volumes: [{name: s, emptyDir: {sizeLimit: 1}}]"),
        with("restartPolicy: Sometimes"),
        with("hostNetwork: true"),
        with("priority: high"),
        with("terminationGracePeriodSeconds: 1_0"),
        pod("p", "x").replace("image: x", "image: x, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
        pod("p", "x").replace("image: x", "image: x, envFrom: [{configMapRef: {name: s}}]"),
        pod("p", "x").replace("image: x", "image: x, volumeMounts: [{name: none, mountPath: /x}]"),
        pod("p", "x").replace("image: x", "image: x, resources: {requests: {cpu: 1, memory: 1Gi}}"),
        pod("p", "&a x").replace("command: [run,", "command: [*a,"),
        pod("p", "x").replace("command: [run,", "args: [&a y, *a], command: [run,"),
    ];
    // Each of these is a string to YAML 1.2 and to most readers.
    all.extend(
        [
            "yes",
            "On",
            "n",
            "~",
            "012",
            "1_000",
            "0x1f",
            "1e3",
            "12",
            "1.5",
            ".5",
            "2026-11-23",
            "12:30",
            "0o7",
            "+1",
            "=",
            "<<",
            "!!str 1",
            "1.2.3",
            ".inf",
        ]
        .map(|trap| pod("p", trap)),
    );
    all
}

/// What is done to a directory.
#[derive(Debug, Clone)]
enum Operation {
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
    Pause,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let name = || 0..NAMES.len();
    let content = || 0..contents().len();
    let one = prop_oneof![
        4 => (name(), content()).prop_map(|(n, c)| Operation::Write(n, c)),
        4 => (name(), content()).prop_map(|(n, c)| Operation::Publish(n, c)),
        3 => (name(), 0..4usize, 0..=1000usize).prop_map(|(n, c, cut)| Operation::Cut(n, c, cut)),
        2 => (name(), name()).prop_map(|(a, b)| Operation::Copy(a, b)),
        2 => (name(), name()).prop_map(|(a, b)| Operation::Rename(a, b)),
        2 => name().prop_map(Operation::Remove),
        1 => name().prop_map(Operation::Directory),
        1 => (name(), content()).prop_map(|(n, c)| Operation::Link(n, c)),
        1 => name().prop_map(Operation::Mode),
        1 => Just(Operation::Pause),
    ];
    prop::collection::vec(one, 1..9)
}

/// One directory, its kubelet, and what that keeps.
struct Watched {
    home: tempfile::TempDir,
    lines: Receiver<String>,
    _oracle: Oracle,
    kept: BTreeMap<String, Value>,
    number: usize,
    manifests: Vec<String>,
}

impl Watched {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("m")).unwrap();
        fs::create_dir(home.path().join("targets")).unwrap();
        let mut oracle = Oracle::start(&home.path().join("m"));
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(oracle.0.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let manifests =
            Component::ALL.map(|component| render(component, &sample::config(), &NodeInputs::default()).unwrap().text);
        let mut watched =
            Self { home, lines, _oracle: oracle, kept: BTreeMap::new(), number: 0, manifests: manifests.into() };
        // The new link is an event, and no scan; from then on the marker changes behind it.
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

    /// What makes no sense fails, and is no operation.
    fn run(&mut self, operation: &Operation) {
        let at = |name: usize| self.directory().join(NAMES[name]);
        match operation {
            Operation::Write(name, content) => {
                let path = at(*name);
                let text = contents()[*content].replace("NUMBER", &self.number());
                let _ = fs::write(path, text);
            }
            Operation::Publish(name, content) => {
                let (path, beside) = (at(*name), self.directory().join(".beside"));
                let text = contents()[*content].replace("NUMBER", &self.number());
                let _ = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
            }
            Operation::Cut(name, manifest, thousandths) => {
                let text = &self.manifests[*manifest];
                let _ = fs::write(at(*name), &text.as_bytes()[..text.len() * thousandths / 1000]);
            }
            Operation::Copy(from, to) => drop(fs::read(at(*from)).and_then(|bytes| fs::write(at(*to), bytes))),
            Operation::Rename(from, to) => drop(fs::rename(at(*from), at(*to))),
            Operation::Remove(name) => {
                let _ = fs::remove_file(at(*name)).or_else(|_| fs::remove_dir(at(*name)));
            }
            Operation::Directory(name) => drop(fs::create_dir(at(*name))),
            Operation::Link(name, content) => {
                let path = at(*name);
                let number = self.number();
                let target = self.home.path().join("targets").join(&number);
                fs::write(&target, contents()[*content].replace("NUMBER", &number)).unwrap();
                let _ = fs::remove_file(&path);
                let _ = std::os::unix::fs::symlink(target, path);
            }
            Operation::Mode(name) => {
                use std::os::unix::fs::PermissionsExt as _;
                drop(fs::set_permissions(at(*name), fs::Permissions::from_mode(0o640)));
            }
            Operation::Pause => std::thread::sleep(Duration::from_millis(30)),
        }
    }

    /// Waits until the kubelet has read the whole directory once more. It does not see an edit behind a link but then.
    fn settle(&mut self) {
        let number = self.number();
        let (target, marker) = (self.home.path().join("marker"), self.directory().join("zz-marker"));
        fs::write(&target, POD.replace("NAME", "marker").replace("NUMBER", &number).replace("COMMAND", "x")).unwrap();
        if !marker.exists() {
            std::os::unix::fs::symlink(&target, marker).unwrap();
        }
        let began = Instant::now();
        let mut seen = None;
        while seen.is_none_or(|seen: Instant| seen.elapsed() < Duration::from_millis(250)) {
            assert!(began.elapsed() < Duration::from_secs(60), "the kubelet does not scan");
            let Ok(line) = self.lines.recv_timeout(Duration::from_millis(50)) else { continue };
            let Some((operation, pod)) = line.strip_prefix("JSON ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            let pod: Value = serde_json::from_str(pod).unwrap();
            let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
            if pod["metadata"]["annotations"]["v"] == number.as_str() && operation == "ADD" {
                seen = Some(Instant::now());
            }
            match operation {
                "REMOVE" | "DELETE" => drop(self.kept.remove(&uid)),
                _ => drop(self.kept.insert(uid, pod)),
            }
        }
    }

    /// What the kubelet keeps: pods, with the number of the write that made each.
    fn kubelet(&self) -> BTreeMap<String, String> {
        let pod = |pod: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let metadata = &pod["metadata"];
            let name = text(&metadata["name"]).trim_end_matches("-keel-1").to_owned();
            (format!("{}/{name}", text(&metadata["namespace"])), text(&metadata["annotations"]["v"]))
        };
        self.kept.values().map(pod).collect()
    }

    /// What lint says that it keeps.
    fn lint(&self) -> BTreeMap<String, String> {
        let judged = judge(&look(&Files::new(self.directory()), "/").unwrap(), None);
        let runs = judged.into_iter().filter(|judged| judged.verdict == Verdict::Runs);
        runs.map(|judged| (judged.pod.unwrap(), written(&self.directory().join(judged.file)))).collect()
    }
}

fn written(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let after = text.split_once("v: \"").or_else(|| text.split_once("\"v\": \"")).map(|(_, rest)| rest);
    after.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

#[test]
fn what_lint_says_runs_is_what_the_kubelet_keeps() {
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|worker| {
            std::thread::spawn(move || {
                let seed = RngSeed::Fixed(worker as u64);
                let mut runner = TestRunner::new(Cases { rng_seed: seed, ..Cases::default() });
                let mut watched = Watched::new();
                let mut counted = 0;
                for _ in 0..SEQUENCES / AT_ONCE {
                    let sequence = operations().new_tree(&mut runner).unwrap().current();
                    for operation in &sequence {
                        watched.run(operation);
                    }
                    watched.settle();
                    let (lint, kubelet) = (watched.lint(), watched.kubelet());
                    let files: BTreeMap<_, _> = NAMES
                        .iter()
                        .filter_map(|name| Some((name, fs::read_to_string(watched.directory().join(name)).ok()?)))
                        .collect();
                    assert_eq!(lint, kubelet, "lint (left) and the kubelet after {sequence:?}\n{files:#?}");
                    counted += lint.len();
                }
                counted
            })
        })
        .collect();
    let results: Vec<_> = workers.into_iter().map(std::thread::JoinHandle::join).collect();
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 0, "of {AT_ONCE} directories");
    let pods: usize = results.into_iter().flatten().sum();
    assert!(pods > 2 * SEQUENCES, "the sequences leave something to compare: {pods} pods");
}

/// One file each, so that no other one hides it.
#[test]
fn every_content_is_judged_as_the_kubelet_judges_it() {
    let mut watched = Watched::new();
    let mut differences = vec![];
    for (index, content) in contents().iter().enumerate() {
        watched.run(&Operation::Publish(0, index));
        watched.settle();
        let (lint, kubelet) = (watched.lint(), watched.kubelet());
        if lint != kubelet {
            differences.push((content.clone(), lint, kubelet));
        }
    }
    assert!(differences.is_empty(), "content, lint, kubelet: {differences:#?}");
}

/// A manifest that was cut short is often a valid pod; all in one directory, each under a name of its own.
#[test]
fn every_prefix_of_a_manifest_is_judged_as_the_kubelet_judges_it() {
    let mut watched = Watched::new();
    let mut cuts = BTreeMap::new();
    for (component, text) in Component::ALL.iter().zip(watched.manifests.clone()) {
        for length in (0..text.len()).step_by(5) {
            let (name, own) = (format!("{component}-{length}"), format!("  name: \"{component}\"\n  namespace"));
            let prefix = text[..length].replace(&own, &format!("  name: \"{name}\"\n  namespace"));
            fs::write(watched.directory().join(format!(".{name}")), &prefix).unwrap();
            fs::rename(watched.directory().join(format!(".{name}")), watched.directory().join(&name)).unwrap();
            cuts.insert(format!("kube-system/{name}"), prefix);
        }
    }
    watched.settle();
    let (lint, kubelet) = (watched.lint(), watched.kubelet());
    let differ = |name: &&String| lint.contains_key(*name) != kubelet.contains_key(*name);
    let last = |text: &str| text[text.len().saturating_sub(120)..].to_owned();
    let differences: Vec<_> = cuts
        .iter()
        .filter(|(name, _)| differ(name))
        .map(|(name, text)| (name, lint.contains_key(name), last(text)))
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {}: name, whether lint says that it runs, end: {differences:#?}",
        differences.len(),
        cuts.len()
    );
    assert!(kubelet.len() > 100, "{} prefixes run", kubelet.len());
}
