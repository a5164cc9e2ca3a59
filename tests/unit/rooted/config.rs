//! `config`, `version`, `completion`: what needs no node.

use std::process::Command;

use super::{Root, Run};

fn kubekeel(args: &[&str]) -> Run {
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
        assert!(script.contains("rollback") && script.contains("check-expiration"), "{shell}: {script}");
    }
    kubekeel(&["completion", "tcsh"]).exits(3);
    let version = kubekeel(&["version", "-o", "json"]).succeeds();
    let version: serde_json::Value = serde_json::from_str(&version.stdout).unwrap();
    assert_eq!(version["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    assert_eq!(version["kubernetes"][2], "1.37");
}
