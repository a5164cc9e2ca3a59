//! `--dry-run` tells everything and writes nothing.

use serde_json::Value;

use super::{PKI, Root, Run, assert_same};

/// Runs a dry-run and fails when it left any trace.
fn dry_run(root: &Root, args: &[&str]) -> Run {
    let before = root.tree();
    let run = root.init(&[&["--dry-run"], args].concat());
    assert_same(&before, &root.tree());
    run
}

fn json(run: &Run) -> Value {
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    lines.into_iter().last().expect("a plan")
}

/// Digests and dates are another each time.
fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("sha256:") {
        let end = at + "sha256:".len();
        let digits = rest[end..].bytes().take_while(u8::is_ascii_hexdigit).count();
        out += &rest[..end];
        out += "…";
        rest = &rest[end + digits..];
    }
    out + rest
}

/// A root on which a name, a flag and a kubelet file are to change, and an authority's key is open to all.
fn with_changes() -> Root {
    let root = Root::made();
    root.configure(
        "apiServer:\n\
         \x20 certSANs: [keel.example]\n\
         scheduler:\n\
         \x20 extraArgs:\n\
         \x20 - name: v\n\
         \x20   value: \"4\"\n\
         networking:\n\
         \x20 serviceSubnet: 10.128.0.0/16\n",
    );
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(root.at(&format!("{PKI}/ca.key")), open).unwrap();
    root
}

#[test]
fn a_first_plan() {
    let root = Root::new();
    let run = dry_run(&root, &[]).succeeds();
    assert!(root.tree().is_empty(), "not even a lock");
    insta::assert_snapshot!("plan-first", run.stdout);
    assert_eq!(json(&dry_run(&root, &["-o", "json"]).succeeds())["steps"].as_array().unwrap().len(), 30);
}

#[test]
fn a_plan_of_changes() {
    let root = with_changes();
    let run = dry_run(&root, &[]).succeeds();
    insta::assert_snapshot!("plan-changes", redact(&run.stdout));
    insta::assert_snapshot!(
        "plan-changes-json",
        redact(&serde_json::to_string_pretty(&json(&dry_run(&root, &["-o", "json"]).succeeds())).unwrap())
    );
    // What it said is what is done: afterwards there is nothing to do.
    root.init(&[]).succeeds();
    let plan = json(&dry_run(&root, &["-o", "json"]).succeeds());
    for part in ["steps", "starts", "restarts"] {
        assert_eq!(plan[part], Value::Array(vec![]), "{part}");
    }
}

#[test]
fn the_exit_code_tells_of_changes() {
    let root = Root::new();
    dry_run(&root, &["--exit-code"]).exits(4);
    dry_run(&root, &[]).exits(0);
    root.init(&[]).succeeds();
    dry_run(&root, &["--exit-code"]).exits(0);
    root.configure("scheduler:\n  extraArgs:\n  - name: v\n    value: \"4\"\n");
    dry_run(&root, &["--exit-code"]).exits(4);
    root.init(&["--exit-code"]).exits(3);
}

#[test]
fn a_dry_run_refuses_what_a_run_refuses() {
    let root = Root::made();
    root.write(&format!("{PKI}/ca.key"), "no key\n");
    dry_run(&root, &[]).exits(2).says(&["pki/ca.key", "hint:"]);
    let root = Root::made();
    root.write("/etc/kubernetes/manifests/etcd.yaml", "edited: true\n");
    dry_run(&root, &[]).exits(5).says(&["manifests/etcd.yaml"]);
    let error = json(&dry_run(&root, &["-o", "json"]).exits(5));
    assert_eq!((error["event"].as_str(), error["exitCode"].as_u64()), (Some("error"), Some(5)));
    assert_eq!(error["problems"][0]["subject"], "/etc/kubernetes/manifests/etcd.yaml");
}
