//! Documents whose fields somebody else knows, read as strictly as the configuration: patches, and what they made of
//! the kubelet's configuration.

use serde_json::{Map, Value as Json};

use super::fields::{Item, Path};
use super::given::{Problems, Wrong};
use super::kubelet;
use super::load::Source;
use super::shape::any;
use super::yaml::{self, Entry, Value};
use crate::error::Problem;
use crate::release::Version;

/// Every document of a YAML or JSON text that is not empty. Unlike in a configuration, `null` is a value.
pub(crate) fn trees(source: Source<'_>) -> Result<Vec<Json>, Vec<Problem>> {
    let problems = Problems::new(source.name);
    let stream = yaml::parse(source.text);
    for broken in stream.broken {
        problems.at("syntax", broken.mark, Wrong::new(broken.message).maybe(broken.hint));
    }
    let items = stream.documents.iter().map(|node| Item { node, path: Path::Root("document"), problems: &problems });
    let trees = items.filter(|item| !item.is_null()).map(tree).collect();
    let found = problems.sorted();
    if found.is_empty() { Ok(trees) } else { Err(found) }
}

pub(super) fn tree(item: Item<'_>) -> Json {
    match &item.node.value {
        Value::Scalar(_) => any(item).unwrap_or(Json::Null),
        Value::List(nodes) => {
            let path = |index| Path::Index(&item.path, index);
            nodes.iter().enumerate().map(|(index, node)| tree(Item { node, path: path(index), ..item })).collect()
        }
        Value::Map(_) => {
            let entries = item.entries().unwrap_or_default().iter();
            let member =
                |Entry { key, node, .. }: &Entry| (key.clone(), tree(Item { node, path: item.child(key), ..item }));
            entries.map(member).collect::<Map<_, _>>().into()
        }
    }
}

/// What a kubelet of that version would not take of its configuration.
pub(crate) fn kubelet_problems(text: &str, version: &Version) -> Vec<Problem> {
    let problems = Problems::new("");
    for node in &yaml::parse(text).documents {
        let item = Item { node, path: Path::Root("KubeletConfiguration"), problems: &problems };
        kubelet::CONFIGURATION.read(item);
        let newer = kubelet::SINCE.iter().filter(|(_, minor)| version.minor < *minor);
        for (name, minor) in newer.filter(|(name, _)| item.entries().unwrap_or_default().iter().any(|e| e.key == *name))
        {
            let wrong = Wrong::new(format!("the kubelet knows this field from v1.{minor} on, not in {version}"));
            problems.at(&item.child(name).to_string(), item.mark_of(name), wrong);
        }
    }
    // The text is ours: its places would say nothing to anybody.
    problems.sorted().into_iter().map(|problem| Problem { place: None, ..problem }).collect()
}
