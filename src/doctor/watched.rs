//! Where a kubelet looks for static pods: a flag says it before the drop-ins of its configuration, and those before the
//! configuration itself (`cmd/kubelet/app/server.go`). Pure.

use serde_json::Value;

use crate::layout;

/// What says where the static pods are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--pod-manifest-path`.
    Flag,
    /// A file below `--config-dir`.
    DropIn(String),
    /// The file of `--config`.
    Configuration(String),
}

/// A directory that a kubelet looks for static pods in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The directory, without a slash at its end; empty when there is none.
    pub path: String,
    /// What says so.
    pub origin: Origin,
}

/// How files are looked at.
pub struct Asked<'a> {
    /// The text of a file.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// The files `*.conf` below a directory, in the order in which the kubelet merges them.
    pub drop_ins: &'a dyn Fn(&str) -> Vec<String>,
}

/// Where a kubelet with this command line looks for static pods.
pub fn watched(arguments: &[String], files: &Asked<'_>) -> Watched {
    let found = |path: &str, origin| Watched { path: path.trim_end_matches('/').to_owned(), origin };
    if let Some(path) = flag(arguments, "--pod-manifest-path") {
        return found(path, Origin::Flag);
    }
    let drop_ins = flag(arguments, "--config-dir").map(files.drop_ins).unwrap_or_default();
    for file in drop_ins.into_iter().rev() {
        if let Some(path) = static_pod_path(&file, files) {
            return found(&path, Origin::DropIn(file));
        }
    }
    let file = flag(arguments, "--config").unwrap_or(layout::KUBELET_CONFIG);
    found(&static_pod_path(file, files).unwrap_or_default(), Origin::Configuration(file.to_owned()))
}

/// The words that an environment file of the kubelet's unit adds to its command line.
pub fn words(text: &str) -> Vec<String> {
    let variable = |line: &str| {
        let (name, value) = line.trim().split_once('=')?;
        let is_ours =
            matches!(name.trim_start_matches("export ").trim(), "KUBELET_KUBEADM_ARGS" | "KUBELET_EXTRA_ARGS");
        is_ours.then(|| value.trim_matches(['"', '\'']).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    text.lines().filter_map(variable).flatten().collect()
}

/// The last value of a flag, behind `=` or as the next word.
fn flag<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let value = |(at, word): (usize, &'a String)| match word.strip_prefix(name)? {
        "" => arguments.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    };
    arguments.iter().enumerate().rev().find_map(value)
}

fn static_pod_path(file: &str, files: &Asked<'_>) -> Option<String> {
    let document: Value = serde_yaml::from_str(&(files.read)(file)?).ok()?;
    document["staticPodPath"].as_str().map(str::to_owned)
}
