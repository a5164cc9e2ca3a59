//! From `v1beta3` to `v1beta4`, by kubeadm's conversion (`apis/kubeadm/v1beta3/conversion.go` of 1.36, the last that has it).
//!
//! The tree is changed before it is read, so every problem is told with its place in the old file.

use serde_json::Value as Json;

use super::documents::{self, Reader};
use super::fields::{Item, Path};
use super::given::Problems;
use super::load::{Source, verdict};
use super::yaml::{self, Entry, Mark, Node, Scalar, Value};
use super::{Facts, Overrides, resolve, tree};
use crate::error::Error;

const OLD: &str = "kubeadm.k8s.io/v1beta3";
const NEW: &str = "kubeadm.k8s.io/v1beta4";

/// Where `v1beta3` has flags as a map.
const FLAGS: [&[&str]; 5] = [
    &["nodeRegistration", "kubeletExtraArgs"],
    &["etcd", "local", "extraArgs"],
    &["apiServer", "extraArgs"],
    &["controllerManager", "extraArgs"],
    &["scheduler", "extraArgs"],
];

/// The documents of a file as `v1beta4` has them, with what was given and nothing else.
///
/// All problems come at once, as those of [`super::judge()`].
pub fn migrate(source: Source<'_>, facts: &Facts) -> Result<Vec<Json>, Error> {
    let problems = Problems::new(source.name);
    let mut stream = yaml::parse(source.text);
    convert(&mut stream.documents);
    let root = |node| Item { node, path: Path::Root("document"), problems: &problems };
    let given = stream.documents.iter().map(root).filter(|item| !item.is_null()).map(tree::tree).collect();
    let documents = documents::of(stream, Reader::Judge, &problems);
    resolve::resolve(documents, &Overrides::default(), facts, &problems);
    verdict(problems)?;
    Ok(given)
}

fn convert(documents: &mut Vec<Node>) {
    let mut control_plane = None;
    for document in documents.iter_mut().filter(|document| text(document, "apiVersion") == Some(OLD)) {
        set(document, "apiVersion", NEW);
        for path in FLAGS {
            at(document, path).into_iter().for_each(list_of_flags);
        }
        match text(document, "kind") {
            Some("ClusterConfiguration") => {
                control_plane = at(document, &["apiServer"]).and_then(|server| take(server, "timeoutForControlPlane"));
            }
            Some("JoinConfiguration") => {
                let timeout = at(document, &["discovery"]).and_then(|discovery| take(discovery, "timeout"));
                add_timeout(document, "discovery", timeout);
            }
            _ => {}
        }
    }
    let Some(timeout) = control_plane else { return };
    let init = documents.iter().position(|document| text(document, "kind") == Some("InitConfiguration"));
    let index = init.unwrap_or_else(|| {
        let mark = timeout.mark;
        let kind = entry("kind", mark, scalar("InitConfiguration", mark));
        let version = entry("apiVersion", mark, scalar(NEW, mark));
        documents.insert(0, Node { mark, value: Value::Map(vec![version, kind]) });
        0
    });
    if let Some(init) = documents.get_mut(index) {
        add_timeout(init, "controlPlaneComponentHealthCheck", Some(timeout));
    }
}

fn add_timeout(document: &mut Node, name: &str, timeout: Option<Entry>) {
    let Some(Entry { mark, node, .. }) = timeout else { return };
    if at(document, &["timeouts"]).is_none()
        && let Value::Map(entries) = &mut document.value
    {
        entries.push(entry("timeouts", mark, Node { mark, value: Value::Map(vec![]) }));
    }
    if let Some(Node { value: Value::Map(entries), .. }) = at(document, &["timeouts"]) {
        entries.push(entry(name, mark, node));
    }
}

/// A map of flags becomes a list, sorted by name as kubeadm does it.
fn list_of_flags(flags: &mut Node) {
    let Value::Map(entries) = &mut flags.value else { return };
    let mut entries = std::mem::take(entries);
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    let flag = |Entry { key, mark, node }| {
        let name = entry("name", mark, scalar(&key, mark));
        Node { mark, value: Value::Map(vec![name, entry("value", node.mark, node)]) }
    };
    flags.value = Value::List(entries.into_iter().map(flag).collect());
}

fn entry(key: &str, mark: Mark, node: Node) -> Entry {
    Entry { key: key.to_owned(), mark, node }
}

fn scalar(text: &str, mark: Mark) -> Node {
    Node { mark, value: Value::Scalar(Scalar { text: text.to_owned(), plain: false }) }
}

fn at<'n>(node: &'n mut Node, path: &[&str]) -> Option<&'n mut Node> {
    path.iter().try_fold(node, |node, name| {
        let Value::Map(entries) = &mut node.value else { return None };
        entries.iter_mut().find(|entry| entry.key == *name).map(|entry| &mut entry.node)
    })
}

fn take(node: &mut Node, name: &str) -> Option<Entry> {
    let Value::Map(entries) = &mut node.value else { return None };
    let index = entries.iter().position(|entry| entry.key == name)?;
    Some(entries.remove(index))
}

fn text<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    let Value::Map(entries) = &node.value else { return None };
    match &entries.iter().find(|entry| entry.key == name)?.node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

fn set(node: &mut Node, name: &str, value: &str) {
    if let Some(node) = at(node, &[name]) {
        *node = scalar(value, node.mark);
    }
}
