//! A document as Kubernetes' YAML 1.1 reader sees it (`sigs.k8s.io/yaml`), with the places where it differs from what a
//! person may have meant.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::Note;
use super::scalar::{Trap, is_sexagesimal, is_unspeakable, number};
use crate::config::yaml::{self, Meaning, Node, Scalar, Value};

/// A document.
pub(super) struct Document {
    pub(super) json: Json,
    /// Plain scalars that are no strings, or look it.
    pub(super) traps: Vec<Trap>,
    pub(super) notes: Vec<Note>,
    /// What is YAML and the kubelet cannot take all the same.
    broken: Option<Note>,
}

/// Reads the first document; `Ok(None)` when that is beyond our reader (size, depth, odd keys) and another one has to do.
pub(super) fn read(text: &str) -> Result<Option<Document>, Note> {
    const BEYOND: [&str; 4] = ["not supported", "a key must be", "are read", "nested deeper"];
    let stream = yaml::expand(text);
    let first = stream.documents.first();
    if let Some(broken) = stream.broken.first() {
        let is_first = first.is_none_or(|node| broken.mark < node.mark);
        // Whatever comes after the first document is fine with the kubelet.
        let ours = BEYOND.iter().any(|words| broken.message.contains(words));
        if is_first && !ours {
            return Err(Note::wrong(format!("it is not YAML: {}", broken.message)).at(broken.mark.line));
        }
        if is_first {
            return Ok(None);
        }
    }
    let Some(first) = first else { return Ok(None) };
    let mut document = Document { json: Json::Null, traps: vec![], notes: vec![], broken: None };
    document.json = document.value(first);
    if let Some(note) = document.broken.take() {
        return Err(note);
    }
    if let Some(second) =
        stream.documents.get(1).map(|node| node.mark).or_else(|| stream.broken.first().map(|b| b.mark))
    {
        let message = "only the first document counts: the kubelet drops what follows without a word";
        document.notes.push(Note::wrong(message).at(second.line));
    }
    Ok(Some(document))
}

impl Document {
    fn value(&mut self, node: &Node) -> Json {
        match &node.value {
            Value::Scalar(scalar) => self.scalar(scalar, node.mark.line),
            Value::List(nodes) => nodes.iter().map(|node| self.value(node)).collect(),
            Value::Map(entries) => {
                let (mut map, mut given) = (Map::new(), BTreeSet::new());
                for entry in entries {
                    if entry.key == "<<" {
                        self.merge(&mut map, &entry.node);
                        continue;
                    }
                    let value = self.value(&entry.node);
                    map.insert(entry.key.clone(), value);
                    if !given.insert(&entry.key) {
                        let message = format!("{} is given twice, and the last one counts", entry.key);
                        self.notes.push(Note::wrong(message).at(entry.mark.line));
                    }
                }
                Json::Object(map)
            }
        }
    }

    /// Maps below `<<` are put in where they stand, and what comes later counts; of several the first does.
    fn merge(&mut self, map: &mut Map<String, Json>, node: &Node) {
        let sources = match &node.value {
            Value::List(nodes) => nodes.iter().rev().collect(),
            _ => vec![node],
        };
        for source in sources {
            match self.value(source) {
                Json::Object(entries) => map.extend(entries),
                _ => self.fail(node.mark.line, "<< takes a map, or a list of maps"),
            }
        }
    }

    fn fail(&mut self, line: usize, why: &str) {
        self.broken.get_or_insert_with(|| Note::wrong(format!("it cannot be parsed: {why}")).at(line));
    }

    fn scalar(&mut self, scalar: &Scalar, line: usize) -> Json {
        let text = scalar.text.as_str();
        let value = match scalar.meaning() {
            Meaning::Null => return Json::Null,
            Meaning::Bool(value) => Json::Bool(value),
            Meaning::Number(_) => {
                if is_unspeakable(text) {
                    self.fail(line, &format!("{text} cannot be said in JSON, and quotes make it a string"));
                }
                number(text).unwrap_or_else(|| text.into())
            }
            Meaning::Text(text) => text.into(),
        };
        if !value.is_string() || (scalar.plain && is_sexagesimal(text)) {
            self.traps.push(Trap { line, text: text.to_owned(), value: value.clone() });
        }
        value
    }
}
