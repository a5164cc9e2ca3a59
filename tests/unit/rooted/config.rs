//! `config`, `version`, `completion`: what needs no node.

use std::process::Command;

use super::{Root, Run};

pub(super) fn kubekeel(args: &[&str]) -> Run {
    Run::of(Command::new(env!("CARGO_BIN_EXE_kubekeel")).args(args).output().unwrap())
}

#[test]
fn a_file_is_judged_without_touching_anything() {
    let root = Root::new();
    let file = root.config_path().display().to_string();
    kubekeel(&["config", "validate", "--config", &file]).succeeds();
    let judged = kubekeel(&["config", "validate", "--config", &file, "-o", "json"]).succeeds();
    assert!(judged.stdout.contains("\"valid\":true"), "{}", judged.stdout);
    root.configure("schedular: {}\n");
    kubekeel(&["config", "validate", "--config", &file]).exits(3).says(&["schedular", "scheduler"]);
    kubekeel(&["config", "validate", "--config", "/nonexistent"]).exits(3).says(&["cannot read /nonexistent"]);
}

#[test]
fn the_images_are_those_that_kubeadm_lists() {
    let minors = [
        ("v1.36.3", include_str!("../../data/config/images-1.36.txt")),
        ("v1.37.2", include_str!("../../data/config/images-1.37.txt")),
    ];
    for (version, theirs) in minors {
        let ours = kubekeel(&["config", "images", "list", "--kubernetes-version", version]).succeeds();
        assert_eq!(ours.stdout, theirs, "{version}");
    }
    let mirror = kubekeel(&["config", "images", "list", "--image-repository", "mirror.example/k8s"]).succeeds();
    assert!(mirror.stdout.lines().all(|image| image.starts_with("mirror.example/k8s/")), "{}", mirror.stdout);
    assert!(mirror.stdout.contains("mirror.example/k8s/coredns:"), "one level less elsewhere: {}", mirror.stdout);
}

#[test]
fn shells_and_programs_are_told() {
    for shell in ["bash", "zsh", "fish"] {
        let script = kubekeel(&["completion", shell]).succeeds().stdout;
        assert!(script.contains("KUBEKEEL_COMPLETE"), "{shell}: {script}");
    }
    kubekeel(&["completion", "tcsh"]).exits(3);
    let yaml = kubekeel(&["version", "-o", "yaml"]).succeeds();
    assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml.stdout).unwrap()["kubernetes"][1], "1.36");
    let version = kubekeel(&["version", "-o", "json"]).succeeds();
    let version: serde_json::Value = serde_json::from_str(&version.stdout).unwrap();
    assert_eq!(version["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    assert_eq!(version["kubernetes"][2], "1.37");
}

/// What bash is offered for the last of the words.
fn offered(words: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.env("KUBEKEEL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true").env("_CLAP_IFS", "\n");
    let run = Run::of(command.arg("--").args(words).output().unwrap()).succeeds();
    run.stdout.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_shell_is_offered_what_there_is() {
    assert!(offered(&["kubekeel", "roll"]).contains(&"rollback".to_owned()));
    assert!(offered(&["kubekeel", "upgrade", "apply", "v1.37"]).contains(&"v1.37.2".to_owned()));
    let root = Root::new();
    let snapshots = root.at("/var/lib/kubekeel/snapshots");
    std::fs::create_dir_all(&snapshots).unwrap();
    std::fs::write(snapshots.join("7.db"), "").unwrap();
    let tree = root.directory().display().to_string();
    let names = offered(&["kubekeel", "--root", &tree, "etcd", "snapshot", "verify", ""]);
    assert!(names.iter().any(|name| name.ends_with("/7.db")), "{names:?}");
}
