//! `kubekeel lint`: verdicts, reasons and lines; no input is a panic.

use std::fs;
use std::sync::Arc;

use kubekeel::host::fs::Files;
use kubekeel::lint::{Judged, LARGEST, Made, Named, Source, Verdict, What, When, judge, look};
use kubekeel::manifest::{Component, NodeInputs, render};
use kubekeel::release::{RELEASES, Release};
use proptest::prelude::*;

use crate::sample;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n  - name: c\n    image: x\n";

fn named(name: &str, text: impl AsRef<[u8]>) -> Named {
    let bytes = text.as_ref().to_vec();
    Named { name: name.into(), is_link: false, what: What::File(bytes.len() as u64, Some(bytes)) }
}

fn one(text: &str) -> Judged {
    judge(&[named("p.yaml", text)], None).remove(0)
}

/// Every note in a line: its place, whether it is wrong, what it says.
fn told(judged: &Judged) -> Vec<String> {
    let line = |line: Option<usize>| line.map_or_else(String::new, |line| format!("{line}: "));
    judged
        .notes
        .iter()
        .map(|note| format!("{}{}{}", if note.is_wrong { "!" } else { "" }, line(note.line), note.message))
        .collect()
}

#[track_caller]
fn says(text: &str, verdict: Verdict, words: &str) {
    let judged = one(text);
    assert_eq!(judged.verdict, verdict, "{judged:#?}");
    assert!(told(&judged).iter().any(|note| note.contains(words)), "{words:?} in {:#?}", told(&judged));
}

#[test]
fn each_file_has_a_verdict_and_a_reason() {
    use Verdict::{Refused, Runs};
    assert_eq!(one(POD).notes, []);
    says(&format!("{POD}---\nkind: Pod\n"), Runs, "!10: only the first document counts");
    says(&format!("{POD}  hostNetwrok: true\n"), Runs, "spec.hostNetwrok is no field of a pod");
    says(&format!("{POD}    image: z\n"), Runs, "!9: image is given twice");
    says(&format!("{POD}    command: [run, yes]\n"), Refused, "!9: yes is a boolean to the kubelet");
    says(&format!("{POD}    command:\n    - run\n    - 0123\n"), Refused, "the wrong type");
    says(&POD.replace("  name: p\n", "  name: p\n  uid: abc\n"), Runs, "metadata.uid is set");
    says(&format!("{POD}  serviceAccountName: x\n"), Refused, "serviceAccountName names a ServiceAccount");
    says(
        &format!("{POD}  volumes: [{{name: s, secret: {{secretName: s}}}}]\n"),
        Refused,
        "the volume s needs a Secret",
    );
    says(&format!("{POD}    envFrom: [{{configMapRef: {{name: s}}}}]\n"), Refused, "envFrom of c needs a ConfigMap");
    says("apiVersion: v1\nkind: PodList\nitems: []\n", Refused, "this is v1 PodList");
    says("kind: [\n", Refused, "it is not YAML");
    says("\u{0}", Refused, "");
    says("", Refused, "it is empty");
    let api = POD.replace(
        "image: x\n",
        "image: registry.example/kube-apiserver:v1.37.0\n    command: [/bin/kube-apiserver, --nosuch=1]\n",
    );
    says(&api, Runs, "kube-apiserver 1.37 has no flag --nosuch");
    says(
        &POD.replace("name: p", "name: kube-apiserver\n  namespace: kube-system"),
        Runs,
        "whose file is kube-apiserver.yaml",
    );
}

/// What the kubelet reads otherwise than YAML 1.2 would is told even where it fits.
#[test]
fn traps_of_yaml_1_1_are_told() {
    use Verdict::{Refused, Runs};
    let port = |number: &str| format!("{POD}    ports: [{{containerPort: {number}}}]\n");
    says(&port("010"), Runs, "!9: 010 is a number to the kubelet, 8, and 10 by YAML 1.2: write 8, or \"010\"");
    says(&port("1_0"), Runs, "!9: 1_0 is a number to the kubelet, 10, and a text by YAML 1.2");
    says(&port("0b11"), Runs, "!9: 0b11 is a number to the kubelet, 3, and a text by YAML 1.2");
    says(&port("0o17"), Runs, "9: 0o17 is 15 to the kubelet, and a text by YAML 1.1");
    assert!(!one(&port("0o17")).is_wrong());
    says(
        &format!("{POD}  hostNetwork: yes\n"),
        Runs,
        "!9: yes is a boolean to the kubelet, true, and a text by YAML 1.2",
    );
    says(&format!("{POD}  priority: 1:30\n"), Refused, "!9: 1:30 is a text to the kubelet; base 60 is of YAML 1.1");
    says(&format!("{POD}    command: [run, 1e3]\n"), Refused, "!9: 1e3 is a number to the kubelet; quotes make it");
    says(&format!("{POD}    args: [.inf]\n"), Refused, "!9: it cannot be parsed: .inf cannot be said in JSON");
    says(&port(".5"), Refused, "the wrong type");
    for same in ["0x1f", "08", "1e3", "+1", "80"] {
        assert_eq!(told(&one(&port(same))), [""; 0], "{same}");
    }
}

/// Anchors and tags hide nothing.
#[test]
fn traps_are_told_of_files_with_anchors_and_tags() {
    use Verdict::{Refused, Runs};
    let yes = format!("{POD}  hostNetwork: &yes yes\n  hostPID: *yes\n");
    says(&yes, Runs, "!9: yes is a boolean to the kubelet");
    says(&format!("{POD}  priority: !!int \"010\"\n"), Runs, "!9: 010 is a number to the kubelet, 8");
    says(
        &format!("{POD}    command: [&a run, *a, !!str yes]\n    image: z\n---\nx: 1\n"),
        Runs,
        "!10: image is given twice",
    );
    says(&format!("{POD}    command: [&a run, *a]\n---\nx: 1\n"), Runs, "!11: only the first document counts");
    says(&format!("{POD}    args: [*nowhere]\n"), Refused, "");
    let merged = POD.replace("  - name: c\n", "  - <<: &more {stdin: yes, name: d}\n    name: c\n");
    says(&merged, Runs, "!7: yes is a boolean to the kubelet");
    assert_eq!(one(&merged).notes.len(), 1, "a key beside << is not given twice");
    says(&POD.replace("  - name: c\n", "  - <<: c\n    name: c\n"), Refused, "!7: it cannot be parsed: << takes a map");
}

#[test]
fn names_links_sizes_and_twins_are_told() {
    let other = |name: &str, what| Named { name: name.into(), is_link: false, what };
    let judged = judge(
        &[
            other("z", What::Directory),
            other("fifo", What::Special),
            other("large", What::File(11 << 20, None)),
            other("nowhere", What::Dangling),
            other("secret", What::Unreadable("Permission denied".into())),
            other(".p.yaml.swp", What::File(3, None)),
            Named { is_link: true, ..named("link.yaml", POD.replace("name: p", "name: q")) },
            named("p.yaml", POD),
            named("p.yaml.bak", POD),
            named("u1", POD.replace("name: p", "name: u1\n  uid: same")),
            named("u2", POD.replace("name: p", "name: u2\n  uid: same")),
        ],
        None,
    );
    let table: Vec<_> =
        judged.iter().map(|one| (one.file.clone(), one.verdict.name(), one.effect.words(), told(one))).collect();
    insta::assert_debug_snapshot!(table);
}

/// What is there, without a file that gives the same pod.
#[test]
fn what_ends_and_when_is_said_of_each_file() {
    use When::{AtOnce, NextScan};
    let other = |what| Named { name: "p.yaml".into(), is_link: false, what };
    let link = |entry| Named { is_link: true, ..entry };
    let effect = |entry: Named| {
        let effect = judge(&[entry], None).remove(0).effect;
        (effect.starts, effect.ends, effect.renamed_ends)
    };
    assert_eq!(effect(named("p.yaml", POD)), (Some(AtOnce), Some(AtOnce), Some(NextScan)));
    assert_eq!(effect(link(named("p.yaml", POD))), (Some(NextScan), Some(NextScan), Some(NextScan)));
    for broken in [named("p.yaml", "kind: ["), link(named("p.yaml", "kind: [")), link(other(What::Dangling))] {
        assert_eq!(effect(broken), (None, Some(NextScan), Some(NextScan)));
    }
    for broken in [other(What::File(11 << 20, None)), other(What::Unreadable("Input/output error".into()))] {
        assert_eq!(effect(broken), (None, Some(NextScan), Some(NextScan)));
    }
    for gone in [other(What::Directory), other(What::Special)] {
        assert_eq!(effect(gone), (None, Some(AtOnce), Some(AtOnce)));
    }
    assert_eq!(effect(named(".p.yaml", POD)), (None, None, None));
    let twins = judge(&[named("p.yaml", POD), named("p.yaml.bak", POD)], None);
    let ends: Vec<_> = twins.iter().map(|one| (one.effect.starts, one.effect.ends)).collect();
    assert_eq!(ends, [(None, Some(NextScan)), (Some(AtOnce), Some(AtOnce))]);
    let json = serde_json::to_value(&twins[0]).unwrap();
    assert_eq!(json["effect"]["starts"], serde_json::Value::Null);
    assert_eq!(json["effect"]["ends"], "next-scan");
}

fn made(pod: &str, uid: &str) -> Made {
    Made { pod: pod.into(), uid: uid.into(), content: Arc::default() }
}

fn runs(source: &Source) -> Vec<&str> {
    source.running().map(|made| made.uid.as_str()).collect()
}

/// Each of these was seen with the kubelet's own code.
#[test]
fn the_file_source_forgets_and_remembers_as_the_kubelets_does() {
    let (first, second, renamed) = (made("p", "1"), made("p", "2"), made("q", "3"));
    let mut source = Source::default();
    source.scanned([("a", &first)]);
    source.written("a", Some(&second));
    assert_eq!(runs(&source), ["2"], "a new content replaces at once");
    source.written("a", None);
    assert_eq!(runs(&source), ["2"], "a broken one does nothing before the scan");
    source.scanned([]);
    assert_eq!(runs(&source), [""; 0]);
    source.written("b", Some(&renamed));
    assert_eq!(runs(&source), ["2", "3"], "a scan without a pod leaves the store, and the next event brings it back");
    source.scanned([("b", &renamed)]);
    assert_eq!(runs(&source), ["3"]);

    let mut source = Source::default();
    source.scanned([("a", &first)]);
    source.written("a", Some(&renamed));
    assert_eq!(runs(&source), ["1", "3"], "a pod of another name stays until the scan");
    source.removed("a");
    assert_eq!(runs(&source), ["1"]);

    let mut source = Source::default();
    source.scanned([("a", &first), ("a.bak", &second)]);
    assert_eq!(runs(&source), ["2"], "of two files the last by name counts");
    source.written("a", Some(&first));
    assert_eq!(runs(&source), ["1"], "until the other one is written");
    source.removed("a.bak");
    assert_eq!(runs(&source), [""; 0], "whose end is the end of the pod");
    source.removed("a");
    source.scanned([("a", &first)]);
    assert_eq!(runs(&source), ["1"]);
}

#[test]
fn our_own_manifests_are_well_on_every_minor() {
    for release in RELEASES.iter().filter(|release: &&Release| release.minor >= 36) {
        let mut config = sample::config();
        (config.cluster.release, config.cluster.version) = (release, release.newest());
        let files: Vec<_> = Component::ALL
            .iter()
            .map(|component| {
                let manifest = render(*component, &config, &NodeInputs::default()).unwrap();
                named(&format!("{component}.yaml"), manifest.text)
            })
            .collect();
        for judged in judge(&files, Some(release.minor)) {
            assert_eq!((judged.verdict, judged.notes.clone()), (Verdict::Runs, vec![]), "{judged:#?}");
        }
    }
}

#[test]
fn an_upgrade_is_warned_of_flags_that_went() {
    let mut config = sample::config();
    config.cluster.etcd.extra_args = vec![sample::arg("experimental-initial-corrupt-check", "true")];
    let etcd = render(Component::Etcd, &config, &NodeInputs::default()).unwrap().text;
    let judged = |minor| judge(&[named("etcd.yaml", &etcd)], Some(minor)).remove(0);
    assert_eq!(told(&judged(36)), [""; 0]);
    assert_eq!(told(&judged(37)), ["!etcd 1.37 has no flag --experimental-initial-corrupt-check"]);
}

/// A program of a minor, and what is said of it.
fn api_server(tag: &str, argument: &str, minor: Option<u32>) -> Judged {
    let image =
        format!("image: registry.example/kube-apiserver:{tag}\n    command: [kube-apiserver, \"{argument}\"]\n");
    judge(&[named("p.yaml", POD.replace("image: x\n", &image))], minor).remove(0)
}

#[test]
fn gates_that_a_minor_does_not_know_are_told() {
    let gates = "--feature-gates=AllAlpha=false,NoSuchGate=true,kube:NorThisOne=true";
    let expected = ["NoSuchGate", "NorThisOne"].map(|gate| format!("!kube-apiserver 1.37 has no feature gate {gate}"));
    assert_eq!(told(&api_server("v1.37.2", gates, None)), expected);
    assert_eq!(told(&api_server("v1.36.3", gates, Some(37))), expected);
}

/// Silence would look like a good word.
#[test]
fn a_minor_without_a_table_is_said_to_be_unknown() {
    let sentence = "the flags of kube-apiserver are not judged: of 1.35 nothing is known here, only of 1.36 and 1.37";
    assert_eq!(told(&api_server("v1.37.2", "--nosuch=1", Some(35))), [format!("!{sentence}")]);
    assert_eq!(told(&api_server("v1.35.1", "--nosuch=1", None)), [sentence]);
    assert_eq!(told(&judge(&[named("p.yaml", POD)], Some(35)).remove(0)), [""; 0], "no program of Kubernetes");
}

/// What stands in a real directory, and none of it keeps the look waiting.
#[test]
fn a_look_takes_what_is_there() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join("m").join(name);
    fs::create_dir_all(at("directory")).unwrap();
    let comment = |size: usize| POD.to_owned() + &format!("#{}\n", "x".repeat(62)).repeat(size / 64);
    let largest = usize::try_from(LARGEST).unwrap();
    // 10 MiB is the first size that is refused; 2 MiB is more than our own reader takes and the kubelet runs it.
    for (name, text) in [("large.yaml", comment(largest)), ("long.yaml", comment(2 << 20))] {
        fs::write(at(name), text.replace("name: p", &format!("name: {}", &name[..4]))).unwrap();
    }
    let mut least = comment(largest).into_bytes();
    least.truncate(largest - 1);
    fs::write(at("most.yaml"), least).unwrap();
    fs::write(home.path().join("target"), POD.replace("name: p", "name: linked")).unwrap();
    symlink("../target", at("link")).unwrap();
    symlink("nowhere", at("link-to-nothing")).unwrap();
    symlink("link-to-itself", at("link-to-itself")).unwrap();
    symlink("directory", at("link-to-directory")).unwrap();
    fs::write(at(".hidden"), POD).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::write(at("unreadable"), POD).unwrap();
    fs::set_permissions(at("unreadable"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads whatever its mode says, and so does the kubelet.
    let is_root = fs::read(at("unreadable")).is_ok();

    let entries = look(&Files::new(home.path()), "/m").unwrap();
    let judged = judge(&entries, None);
    let seen: Vec<_> = judged.iter().map(|one| (one.file.as_str(), one.verdict.name(), one.effect.ends)).collect();
    let (at_once, scan) = (Some(When::AtOnce), Some(When::NextScan));
    assert_eq!(
        seen,
        [
            (".hidden", "ignored", None),
            ("directory", "ignored", at_once),
            ("fifo", "ignored", at_once),
            ("large.yaml", "refused", scan),
            ("link", "runs", scan),
            ("link-to-directory", "ignored", scan),
            ("link-to-itself", "refused", scan),
            ("link-to-nothing", "ignored", scan),
            ("long.yaml", "runs", at_once),
            ("most.yaml", if is_root { "replaced" } else { "runs" }, if is_root { scan } else { at_once }),
            ("socket", "ignored", at_once),
            ("unreadable", if is_root { "runs" } else { "refused" }, if is_root { at_once } else { scan }),
        ]
    );
    assert!(entries.iter().any(|entry| entry.is_link && entry.what == What::Directory));
    let unread =
        |name: &str| entries.iter().any(|entry| entry.name == name && matches!(entry.what, What::File(_, None)));
    assert!(unread("large.yaml") && unread(".hidden") && !unread("most.yaml"));
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), name in "[.a-z/ \\PC]{0,8}") {
        let _ = judge(&[named(&name, bytes)], None);
    }

    #[test]
    fn no_damaged_pod_is_a_panic(at in 0..POD.len(), cut in 0..40usize, into in "[ -~\\n\\t]{0,12}", minor in prop::option::of(0..99u32)) {
        let mut text = POD.as_bytes().to_vec();
        text.splice(at..(at + cut).min(POD.len()), into.bytes());
        let _ = judge(&[named("p.yaml", &text), named("q.yaml", &text)], minor);
    }

    /// A tree of pods' words, in places where they may or may not belong.
    #[test]
    fn no_tree_is_a_panic(tree in tree()) {
        let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": tree, "spec": tree});
        let _ = judge(&[named("p.yaml", pod.to_string())], Some(37));
        let _ = judge(&[named("p.yaml", format!("apiVersion: v1\nkind: Pod\nspec: {tree}\n"))], Some(37));
    }
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let words = prop::sample::select(vec![
        "name",
        "namespace",
        "uid",
        "containers",
        "initContainers",
        "command",
        "args",
        "env",
        "valueFrom",
        "image",
        "volumes",
        "projected",
        "sources",
        "secret",
        "volumeMounts",
        "ports",
        "containerPort",
        "livenessProbe",
        "httpGet",
        "port",
        "etcd",
        "--feature-gates=a:b=,=c",
        "--",
        "--=",
        "x:v1.37.2",
        "limits",
        "requests",
    ]);
    let leaf = prop_oneof![
        words.clone().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map(words.clone(), inner, 0..5)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}
