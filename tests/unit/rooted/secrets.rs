//! Nothing that is secret is ever printed.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{PKI, Root, Run};

/// Every line of base64 that belongs to a private key, in files and embedded in kubeconfigs.
fn secrets(root: &Root) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, entry) in root.tree() {
        let Some(content) = entry.content else { continue };
        let mut texts = vec![String::from_utf8_lossy(&content).into_owned()];
        if path.ends_with(".conf") {
            // What is damaged is a part of what was collected when it was whole.
            let data =
                texts[0].lines().find_map(|line| line.trim().strip_prefix("client-key-data: ")).map(str::to_owned);
            texts = data.iter().filter_map(|data| String::from_utf8(STANDARD.decode(data).ok()?).ok()).collect();
            found.extend(data);
        }
        for text in texts.iter().filter(|text| text.contains("PRIVATE KEY")) {
            found.extend(text.lines().filter(|line| !line.starts_with("-----") && line.len() > 20).map(str::to_owned));
        }
    }
    found
}

#[test]
fn nothing_secret_is_printed() {
    let root = Root::new();
    let mut runs: Vec<(String, Run)> = vec![];
    let mut secret = BTreeSet::new();
    let mut run = |root: &Root, what: &str, args: &[&str]| {
        secret.extend(secrets(root));
        runs.push((what.to_owned(), root.init(args)));
        secret.extend(secrets(root));
    };
    run(&root, "dry-run", &["--dry-run"]);
    run(&root, "init", &[]);
    run(&root, "second", &["-o", "json"]);
    run(&root, "dry-run json", &["--dry-run", "-o", "json"]);
    root.configure("networking:\n  serviceSubnet: 10.128.0.0/16\n  dnsDomain: keel.local\n");
    run(&root, "dry-run of changes", &["--dry-run"]);
    run(&root, "changes", &["-o", "json"]);
    // Every file with a secret, damaged in a way that a parser may quote: the first half stays, a line is broken.
    let files: Vec<String> =
        root.tree().into_keys().filter(|path| path.ends_with(".key") || path.ends_with(".conf")).collect();
    assert_eq!(files.len(), 16);
    for path in &files {
        for damage in [damage_end, damage_middle, damage_syntax] {
            let damaged = root.copy();
            let text = String::from_utf8(damaged.read(path)).unwrap();
            damaged.write(path, damage(&text));
            run(&damaged, path, &["-o", "json"]);
            let damaged = root.copy();
            damaged.write(path, damage(&text));
            run(&damaged, path, &[]);
        }
    }
    // A key where a file is shown as it is: somebody else's secret is not ours to print, but ours must not come there.
    let swapped = root.copy();
    swapped.write(&format!("{PKI}/apiserver.crt"), root.read(&format!("{PKI}/apiserver.key")));
    run(&swapped, "a key in the place of its certificate", &[]);
    assert!(secret.len() > 60, "only {} lines of secrets", secret.len());
    for (what, run) in &runs {
        for line in &secret {
            assert!(
                !run.stdout.contains(line.as_str()) && !run.stderr.contains(line.as_str()),
                "{what} prints a secret"
            );
        }
    }
}

fn damage_end(text: &str) -> String {
    text[..text.len() * 2 / 3].to_owned()
}

fn damage_middle(text: &str) -> String {
    let middle = text.len() / 2;
    format!("{}\u{1}!{}", &text[..middle], &text[middle + 2..])
}

fn damage_syntax(text: &str) -> String {
    format!("{{{text}\n: : [\n")
}
