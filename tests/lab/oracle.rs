//! The kubelet's own file source reads our manifests and tells what it would run.
//!
//! Nothing is parsed by our own reader here: what the user wrote must be what the kubelet would pass to the process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use kubekeel::config::{Config, HostPathMount};
use kubekeel::manifest::{Component, DIGEST_ANNOTATION, Manifest, NodeInputs, render};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::sample::{self, arg};

/// Values that some reader of YAML, JSON or templates takes for something else.
const ADVERSARIAL: [&str; 67] = [
    "",
    " ",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "true",
    "null",
    "~",
    "None",
    "1",
    "1_000",
    "0123",
    "0o17",
    "0x1f",
    "1e3",
    ".inf",
    ".nan",
    "12:30:45",
    "2026-11-23",
    "x #y",
    "#x",
    "a: b",
    "a:",
    ": b",
    "- a",
    "? a",
    "!foo",
    "!!int 3",
    "&a",
    "*a",
    "<<",
    "=",
    "|",
    ">",
    "|\n  a",
    "%YAML 1.1",
    "---",
    "...",
    "\n---\nkind: Pod\n",
    "@a",
    "`a`",
    "\"",
    "\"\"",
    "'",
    "\\",
    "\\n",
    "\\u0041",
    "a\nb",
    "\n",
    "a\r\nb",
    "\t",
    " leading",
    "trailing ",
    "{{ digest }}",
    "{% raw %}",
    "{# a #}",
    "[1, 2]",
    "{a: b}",
    "$(HOME)",
    "{\"a\":\"b\"}",
    "é😀\u{fffe}\u{feff}\u{10ffff}",
    "\u{1}\u{1b}\u{7f}\u{80}\u{85}\u{9f}\u{a0}\u{2028}\u{2029}",
];

#[test]
fn adversarial_values_reach_the_kubelet_unchanged() {
    survives(&ADVERSARIAL.map(str::to_owned));
}

#[test]
fn random_values_reach_the_kubelet_unchanged() {
    // Deterministic: a failure comes back.
    let mut runner = TestRunner::deterministic();
    let any = any::<char>().prop_filter("no process takes it", |c| *c != '\0');
    let special = prop::sample::select(
        " \t\n\r:#-?!&*|>%@`'\"\\{}[],=~<_0123yYnN.\u{85}\u{2028}\u{feff}".chars().collect::<Vec<_>>(),
    );
    let text = prop::collection::vec(prop_oneof![2 => special, 1 => any], 0..24);
    for _batch in 0..4 {
        let mut values = vec![];
        for _ in 0..100 {
            values.push(text.new_tree(&mut runner).unwrap().current().into_iter().collect::<String>());
        }
        survives(&values);
    }
}

#[test]
fn the_digest_reaches_the_kubelet() {
    for (component, pod) in seen_by_the_kubelet(&manifests(&sample::config())) {
        let expected = render(component, &sample::config(), &NodeInputs::default()).unwrap().digest;
        assert_eq!(pod["metadata"]["annotations"][DIGEST_ANNOTATION], json!(expected), "{component}");
    }
}

/// What we let through, the kubelet lets through.
#[test]
fn unusual_names_and_volumes_are_accepted() {
    let mut config = sample::config();
    let types = ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];
    let volumes = types.iter().enumerate().map(|(index, path_type)| HostPathMount {
        name: format!("{index}-{}", "x".repeat(61)),
        host_path: format!("/with space: #{index}"),
        mount_path: format!("/é{index}:*"),
        read_only: index % 2 == 0,
        path_type: (*path_type).into(),
    });
    config.cluster.api_server.extra_volumes = volumes.collect();
    let names = ["a b", "1", "a.b-c", "!\"#$%&'()*+,-./:;<>?@[]^_`{|}~\\", "yes"];
    let mut envs: Vec<Value> = names.iter().map(|name| json!({"name": name, "value": "on"})).collect();
    envs.push(json!({"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}));
    envs.push(json!({"name": "CPU", "value": null, "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}));
    config.cluster.api_server.extra_envs = envs;
    let pods = seen_by_the_kubelet(&manifests(&config));
    let container = &pods[&Component::ApiServer]["spec"]["containers"][0];
    assert_eq!(container["env"].as_array().unwrap().len(), names.len() + 2);
    assert_eq!(container["volumeMounts"].as_array().unwrap().len(), types.len() + 2);
}

/// Gives the values to every component as flags and as environment, and asks the kubelet what it read.
fn survives(values: &[String]) {
    let mut config = sample::config();
    let args: Vec<_> = values.iter().enumerate().map(|(i, value)| arg(&format!("a{i:03}"), value)).collect();
    let envs: Vec<_> =
        values.iter().enumerate().map(|(i, v)| json!({"name": format!("E{i:03}"), "value": v})).collect();
    let cluster = &mut config.cluster;
    (cluster.etcd.extra_args, cluster.etcd.extra_envs) = (args.clone(), envs.clone());
    for settings in [&mut cluster.api_server, &mut cluster.controller_manager, &mut cluster.scheduler] {
        (settings.extra_args, settings.extra_envs) = (args.clone(), envs.clone());
    }
    let pods = seen_by_the_kubelet(&manifests(&config));
    assert_eq!(pods.len(), Component::ALL.len());
    for (component, pod) in pods {
        let container = &pod["spec"]["containers"][0];
        let command = container["command"].as_array().unwrap();
        let extra = &command[command.len() - values.len()..];
        for (index, value) in values.iter().enumerate() {
            assert_eq!(extra[index], json!(format!("--a{index:03}={value}")), "{component}");
            // An empty value is left out of JSON: it is the same for the API.
            let env = &container["env"][index];
            assert_eq!(env["value"].as_str().unwrap_or_default(), value, "{component}");
            assert_eq!(env["name"], json!(format!("E{index:03}")), "{component}");
        }
        let own = render(component, &sample::config(), &NodeInputs::default()).unwrap();
        let own = kubekeel::manifest::read(&own.text).unwrap().pod["spec"]["containers"][0]["command"].clone();
        assert_eq!(json!(command[..command.len() - values.len()]), own, "{component}");
    }
}

fn manifests(config: &Config) -> Vec<Manifest> {
    Component::ALL.map(|component| render(component, config, &NodeInputs::default()).unwrap()).into()
}

/// Writes the manifests to a directory of their own and returns the pods that the kubelet makes of them.
fn seen_by_the_kubelet(manifests: &[Manifest]) -> BTreeMap<Component, Value> {
    let directory = tempfile::tempdir().unwrap();
    for manifest in manifests {
        std::fs::write(directory.path().join(format!("{}.yaml", manifest.component)), &manifest.text).unwrap();
    }
    let mut oracle = Oracle::start(directory.path());
    let (sender, lines) = mpsc::channel();
    let output = BufReader::new(oracle.0.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut pods = BTreeMap::new();
    let mut other = vec![];
    while pods.len() < manifests.len() {
        let Ok(line) = lines.recv_timeout(Duration::from_secs(20)) else {
            panic!("the kubelet sees only {:?}; it says {other:#?}", pods.keys());
        };
        match line.strip_prefix("JSON ADD ") {
            Some(json) => {
                let pod: Value = serde_json::from_str(json).unwrap();
                // The kubelet appends the node's name to the pod's.
                let name = pod["metadata"]["name"].as_str().unwrap().trim_end_matches("-keel-1");
                pods.insert(Component::named(name).unwrap(), pod);
            }
            None => other.push(line),
        }
    }
    pods
}

/// A running file source of the kubelet; every operation is a line of its output.
pub(crate) struct Oracle(pub(crate) Child);

impl Oracle {
    pub(crate) fn start(directory: &Path) -> Self {
        let binary = lab().join("bin/tools/kubelet-oracle");
        let mut command = Command::new(&binary);
        command.arg(directory).args(["keel-1", "1s"]).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{}: {error}; build the lab first", binary.display())))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn lab() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache"));
    set("KUBEKEEL_LAB").unwrap_or_else(|| cache().join("kubekeel/lab"))
}
