//! `upgrade` as kubeadm is called: what it says before it looks at anything that runs.

use std::process::Command;

use super::{Root, Run};

/// What every command says below a root, once it took its flags and its file.
const TAKEN: &str = "nothing runs below --root";

fn upgrade(root: &Root, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).arg("upgrade").args(args);
    Run::of(command.output().unwrap()).exits(3)
}

/// A root with an `UpgradeConfiguration` as its configuration file.
fn with_file(fields: &str) -> Root {
    let root = Root::new();
    let head = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\n";
    std::fs::write(root.config_path(), format!("{head}{fields}")).unwrap();
    root
}

#[test]
fn the_version_may_come_from_the_file() {
    let root = with_file("apply: {kubernetesVersion: v1.37.2}\n");
    let file = root.config_path();
    let file = file.to_str().unwrap();
    upgrade(&root, &["apply"]).says(&["no version was named", "apply.kubernetesVersion", "kubekeel upgrade plan"]);
    upgrade(&root, &["apply", "--config", file]).says(&[TAKEN]);
    for command in ["plan", "diff", "node"] {
        upgrade(&root, &[command, "--config", file]).says(&[TAKEN]);
    }
}

#[test]
fn what_the_file_asks_for_and_cannot_be_followed_is_named() {
    let root = with_file(
        "node: {skipPhases: [kubelet-config]}\napply: {skipPhases: [addons], ignorePreflightErrors: [all]}\n",
    );
    let file = root.config_path();
    let file = file.to_str().unwrap();
    upgrade(&root, &["node", "--config", file]).says(&["kubelet-config: it cannot be left out"]);
    upgrade(&root, &["node", "--config", file, "--skip-phases", "addon"]).says(&[TAKEN]);
    upgrade(&root, &["apply", "v1.37.2", "--config", file])
        .says(&["addons: there is no such phase", "addon/kube-proxy"]);
    let mixed = ["apply", "v1.37.2", "--config", file, "--skip-phases=addon", "--ignore-preflight-errors=Mem"];
    upgrade(&root, &mixed).says(&["\"all\" must stand alone"]);
    upgrade(&root, &["apply", "v1.37.2", "--config", "/nowhere.yaml"]).says(&["cannot read /nowhere.yaml"]);
    root.configure("");
    upgrade(&root, &["plan", "--config", file]).says(&["the file has no UpgradeConfiguration"]);
}
