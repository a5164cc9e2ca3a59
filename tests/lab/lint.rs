//! `kubekeel lint` against the kubelet's own file source: after any sequence of file operations both say the same of what
//! runs, and of what ends and when.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kubekeel::manifest::Component;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as Cases, RngSeed, TestRunner};

use crate::watched::{Interrupted, NAMES, Operation, POD, Running, Watched, manifests};

/// How many sequences, over how many directories at the same time.
const SEQUENCES: usize = 1_200;
const AT_ONCE: usize = 24;

/// Contents that a kubelet takes, or does not, for some reason of its own.
pub(crate) fn contents() -> Vec<String> {
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
        with("terminationGracePeriodSeconds: 010"),
        with("terminationGracePeriodSeconds: 0o17"),
        with("terminationGracePeriodSeconds: 1:30"),
        with("terminationGracePeriodSeconds: .5"),
        with("terminationGracePeriodSeconds: !!int \"30\""),
        with("hostNetwork: yes"),
        with("hostNetwork: &yes on, hostPID: *yes"),
        with("unknown: .nan"),
        pod("p", "x").replace("{name: c,", "{<<: {name: d, stdin: yes}, name: c,"),
        pod("p", "x").replace("name: c, image: x", "name: c, image: x, <<: [{name: D}]"),
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
        3 => Just(Operation::Scan),
        1 => Just(Operation::Break),
    ];
    prop::collection::vec(one, 1..9)
}

/// Starts again when a scan came too early for the question; a directory that was left so is of no more use.
fn play(watched: &mut Watched, sequence: &[Operation]) -> Result<(), Interrupted> {
    for operation in sequence.iter().chain([&Operation::Scan]) {
        watched.step(operation)?;
    }
    assert_eq!(
        watched.lint(),
        watched.without_the_marker(),
        "lint (left) and the kubelet after {sequence:?}\n{:#?}",
        watched.files()
    );
    Ok(())
}

/// What the worker's directories saw: pods that lint says run; ends at once and at a scan; judgements that were compared.
fn work(seed: u64) -> [usize; 4] {
    let mut runner = TestRunner::new(Cases { rng_seed: RngSeed::Fixed(seed), ..Cases::default() });
    let mut watched = Watched::new();
    let (mut counted, mut interrupted) = ([0; 4], 0);
    for _ in 0..SEQUENCES / AT_ONCE {
        let sequence = operations().new_tree(&mut runner).unwrap().current();
        while play(&mut watched, &sequence).is_err() {
            interrupted += 1;
            assert!(interrupted < SEQUENCES / AT_ONCE, "the machine is too busy: every second sequence meets a scan");
            watched = Watched::new();
        }
        let found = [watched.lint().len(), watched.ended[0], watched.ended[1], watched.checked];
        (watched.ended, watched.checked) = ([0; 2], 0);
        counted = std::array::from_fn(|index| counted[index] + found[index]);
    }
    counted
}

/// After every operation of every sequence the kubelet keeps what our model says, both before the next scan and after it,
/// and each file's judgement says the same.
#[test]
fn what_runs_and_what_ends_and_when_is_what_the_kubelet_does() {
    let workers: Vec<_> = (0..AT_ONCE).map(|worker| std::thread::spawn(move || work(worker as u64))).collect();
    let results: Vec<_> = workers.into_iter().map(std::thread::JoinHandle::join).collect();
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 0, "of {AT_ONCE} directories");
    let [pods, at_once, scanned, checked] =
        results.into_iter().flatten().fold([0; 4], |sum, seen| std::array::from_fn(|index| sum[index] + seen[index]));
    // The pod that tells of events is in each.
    assert!(pods > SEQUENCES + SEQUENCES / 2, "the sequences leave something to compare: {pods} pods");
    assert!(at_once > SEQUENCES / 2 && scanned > SEQUENCES / 2, "{at_once} pods ended at once, {scanned} at a scan");
    assert!(checked > SEQUENCES / 8, "{checked} judgements were compared");
}

/// One file each, so that no other one hides it.
#[test]
fn every_content_is_judged_as_the_kubelet_judges_it() {
    let mut watched = Watched::new();
    let mut differences = vec![];
    for (index, content) in contents().iter().enumerate() {
        watched.run(&Operation::Publish(0, index));
        watched.settle();
        let (lint, kubelet) = (watched.lint(), watched.without_the_marker());
        if lint != kubelet {
            differences.push((content.clone(), lint, kubelet));
        }
    }
    assert!(differences.is_empty(), "content, lint, kubelet: {differences:#?}");
}

/// A manifest that was cut short is often a valid pod; all in one directory, each under a name of its own.
#[test]
fn every_prefix_of_a_manifest_is_judged_as_the_kubelet_judges_it() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("m")).unwrap();
    let mut cuts = BTreeMap::new();
    for (component, text) in Component::ALL.iter().zip(manifests()) {
        for length in (0..text.len()).step_by(5) {
            let (name, own) = (format!("{component}-{length}"), format!("  name: \"{component}\"\n  namespace"));
            let prefix = text[..length].replace(&own, &format!("  name: \"{name}\"\n  namespace"));
            fs::write(home.path().join("m").join(&name), &prefix).unwrap();
            cuts.insert(format!("kube-system/{name}"), prefix);
        }
    }
    let watched = Watched::over(home);
    let names = |running: Running| running.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    let (lint, kubelet) = (names(watched.lint()), names(watched.kubelet()));
    let differ = |name: &&String| lint.contains(*name) != kubelet.contains(*name);
    let last = |text: &str| text[text.len().saturating_sub(120)..].to_owned();
    let differences: Vec<_> = cuts
        .iter()
        .filter(|(name, _)| differ(name))
        .map(|(name, text)| (name, lint.contains(name), last(text)))
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {}: name, whether lint says that it runs, end: {differences:#?}",
        differences.len(),
        cuts.len()
    );
    assert!(kubelet.len() > 100, "{} prefixes run", kubelet.len());
}
