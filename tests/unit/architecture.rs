//! The effect boundary: only `src/host/` touches files, processes, sockets, the clock and the environment.

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: [&str; 8] = [
    "std::fs",
    "tokio::fs",
    "std::process::Command",
    "tokio::process",
    "std::env::",
    "SystemTime::now",
    "TcpStream",
    "UnixStream",
];

/// Modules that may not even know of the host: they plan, and a plan is a function of its input.
const PURE: [&str; 10] = [
    "src/config",
    "src/patch",
    "src/pki",
    "src/manifest",
    "src/phase",
    "src/release.rs",
    "src/layout.rs",
    "src/kubeconfig.rs",
    "src/kubelet.rs",
    "src/sealed.rs",
];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("inside the package").display().to_string()
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("readable");
    let text = text.split("#[cfg(test)]").next().expect("a first part").to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect()
}

#[test]
fn effects_live_in_host() {
    let mut leaks = vec![];
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let name = relative(&path);
        if name.starts_with("src/host/") {
            continue;
        }
        for line in code(&path) {
            leaks.extend(
                FORBIDDEN.iter().filter(|word| line.contains(*word)).map(|word| format!("{name}: {word}: {line}")),
            );
        }
    }
    assert!(leaks.is_empty(), "effects outside src/host/:\n{}", leaks.join("\n"));
}

#[test]
fn planning_does_not_know_the_host() {
    let mut leaks = vec![];
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let name = relative(&path);
        if PURE.iter().any(|pure| name.starts_with(pure)) {
            leaks.extend(
                code(&path)
                    .into_iter()
                    .filter(|line| line.contains("crate::host"))
                    .map(|line| format!("{name}: {line}")),
            );
        }
    }
    assert!(leaks.is_empty(), "pure modules that use the host:\n{}", leaks.join("\n"));
}

#[test]
fn source_files_stay_small() {
    let long: Vec<_> = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .into_iter()
        .map(|path| (fs::read_to_string(&path).expect("readable").lines().count(), relative(&path)))
        .filter(|(lines, _)| *lines > 400)
        .collect();
    assert!(long.is_empty(), "files over 400 lines, look for the seam: {long:?}");
}
