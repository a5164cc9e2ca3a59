//! `--patches`: files below the root, tried before anything is written.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use kubekeel::manifest;
use serde_json::Value;

use super::{Root, Run, assert_same};

const DIRECTORY: &str = "/etc/patches";
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const SCHEDULER: &str = "/etc/kubernetes/manifests/kube-scheduler.yaml";
const KUBELET: &str = "/var/lib/kubelet/config.yaml";

fn with(files: &[(&str, &str)]) -> Root {
    let root = Root::new();
    fs::create_dir_all(root.at(DIRECTORY)).unwrap();
    for (name, text) in files {
        root.write(&format!("{DIRECTORY}/{name}"), text);
    }
    root
}

fn pod(root: &Root, path: &str) -> Value {
    let read = manifest::read(&String::from_utf8(root.read(path)).unwrap()).unwrap();
    assert!(read.is_genuine());
    read.pod
}

#[test]
fn patches_reach_the_files_and_stay() {
    let root = with(&[
        ("kube-apiserver0.yaml", "spec: {containers: [{name: kube-apiserver, resources: {requests: {cpu: 500m}}}]}"),
        ("kube-scheduler+json.json", r#"[{"op": "add", "path": "/metadata/labels/team", "value": "on"}]"#),
        ("kubeletconfiguration+merge.yaml", "maxPods: 42"),
        (".notes", "of an editor"),
    ]);
    symlink("kube-scheduler+json.json", root.at(&format!("{DIRECTORY}/.link"))).unwrap();
    root.init(&[]).succeeds();
    let run = root.init(&["--patches", DIRECTORY, "--dry-run"]).succeeds();
    // The patched manifest has another order of keys, which is no change.
    let added: Vec<_> = run.stdout.lines().filter_map(|line| line.trim().strip_prefix("+ ")).map(str::trim).collect();
    let told: Vec<_> = added.iter().filter(|line| !line.contains("manifest-digest")).collect();
    assert_eq!(told, [&"cpu: \"500m\"", &"team: \"on\""]);
    root.init(&["--patches", DIRECTORY]).succeeds();
    assert_eq!(pod(&root, API_SERVER)["spec"]["containers"][0]["resources"]["requests"]["cpu"], "500m");
    assert_eq!(pod(&root, SCHEDULER)["metadata"]["labels"]["team"], "on");
    assert!(String::from_utf8(root.read(KUBELET)).unwrap().contains("\nmaxPods: 42\n"));
    let before = root.settled();
    root.init(&["--patches", DIRECTORY]).succeeds();
    assert_same(&before, &root.settled());
    let run = root.init(&["--dry-run"]).succeeds();
    for path in [API_SERVER, SCHEDULER, KUBELET] {
        assert!(run.stdout.contains(&format!("replace  {path}")), "{}", run.stdout);
    }
}

#[test]
fn render_patches_too() {
    let root = with(&[("kube-scheduler.yaml", "metadata: {labels: {team: blue}}")]);
    let render = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
        command.arg("--root").arg(root.directory()).arg("render").args(args).arg("--config").arg(root.config_path());
        Run::of(command.output().unwrap())
    };
    let (plain, patched) = (render(&[]).succeeds().stdout, render(&["--patches", DIRECTORY]).succeeds().stdout);
    assert!(!plain.contains("team:") && patched.contains("\n    team: \"blue\"\n"), "{patched}");
    root.write(&format!("{DIRECTORY}/kube-scheduler.yaml"), "spec: {containers: {}}");
    render(&["--patches", DIRECTORY]).exits(3).says(&["/etc/patches/kube-scheduler.yaml: "]);
}

#[test]
fn everything_that_is_wrong_is_told_before_anything_is_written() {
    let root = with(&[
        ("README.md", "about these patches"),
        ("etcd+jsonpatch.yaml", "[]"),
        ("etcd0.yaml", "a: [1"),
        ("kube-apiserver+json.yaml", "[{op: remove, path: /absent}]"),
        ("kube-scheduler.yaml", "spec: {hostnetwork: true}"),
        ("kubeletconfiguration.yaml", "maxPod: 1"),
        ("corednsdeployment.yaml", "spec: {replicas: 3}"),
    ]);
    fs::create_dir(root.at(&format!("{DIRECTORY}/etcd"))).unwrap();
    let before = root.tree();
    root.init(&["--patches", DIRECTORY]).exits(3).says(&[
        "the patches in /etc/patches cannot be applied; nothing was changed",
        "/etc/patches/README.md: the name of a patch ends in .json or .yaml",
        "/etc/patches/etcd+jsonpatch.yaml: \"jsonpatch\" is not a type of patch",
        "/etc/patches/etcd0.yaml:1:",
        "/etc/patches/kube-apiserver+json.yaml: the patch does not apply to kube-apiserver",
        "/etc/patches/kube-scheduler.yaml: the patched pod is not fit: spec.hostnetwork",
        "/etc/patches/kubeletconfiguration.yaml: KubeletConfiguration.maxPod: unknown field",
        "did you mean \"maxPods\"?",
        "/etc/patches/etcd: it is not a file",
    ]);
    assert_same(&before, &root.tree());
}

#[test]
fn a_directory_that_is_none_is_named() {
    let root = with(&[("etcd.yaml", "spec: {}")]);
    for (directory, part) in [
        ("/etc/absent", "/etc/absent: there is no such directory"),
        ("/etc/patches/etcd.yaml", "/etc/patches/etcd.yaml: it is not a directory"),
        ("patches", "--patches: \"patches\" is not an absolute path"),
    ] {
        root.init(&["--patches", directory]).exits(3).says(&[part]);
    }
}
