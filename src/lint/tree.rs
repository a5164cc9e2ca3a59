//! A document as Kubernetes' YAML 1.1 reader sees it (`sigs.k8s.io/yaml`), with the places where it differs from what a
//! person may have meant.

use serde_json::{Map, Number, Value as Json};

use super::Note;
use crate::config::yaml::{self, Meaning, Node, Scalar, Value};

/// A document.
pub(super) struct Document {
    pub(super) json: Json,
    /// Plain scalars that are no strings and do not look it: line, text, and what they are.
    pub(super) traps: Vec<(usize, String, &'static str)>,
    pub(super) notes: Vec<Note>,
}

/// Reads the first document; `Ok(None)` when positions cannot be told (aliases, tags) and another reader has to do.
pub(super) fn read(text: &str) -> Result<Option<Document>, Note> {
    let stream = yaml::parse(text);
    let first = stream.documents.first();
    if let Some(broken) = stream.broken.first() {
        let is_first = first.is_none_or(|node| broken.mark < node.mark);
        // Aliases and tags are fine with the kubelet, and so is whatever comes after the first document.
        let ours = broken.message.contains("not supported") || broken.message.contains("a key must be");
        if is_first && !ours {
            return Err(Note::wrong(format!("it is not YAML: {}", broken.message)).at(broken.mark.line));
        }
        if is_first {
            return Ok(None);
        }
    }
    let Some(first) = first else { return Ok(None) };
    let mut document = Document { json: Json::Null, traps: vec![], notes: vec![] };
    document.json = document.value(first);
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
                let mut map = Map::new();
                for entry in entries {
                    let value = self.value(&entry.node);
                    if map.insert(entry.key.clone(), value).is_some() {
                        let message = format!("{} is given twice, and the last one counts", entry.key);
                        self.notes.push(Note::wrong(message).at(entry.mark.line));
                    }
                }
                Json::Object(map)
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar, line: usize) -> Json {
        let mut trap = |what| self.traps.push((line, scalar.text.clone(), what));
        match scalar.meaning() {
            Meaning::Null => Json::Null,
            Meaning::Bool(value) => {
                trap("a boolean");
                Json::Bool(value)
            }
            Meaning::Number(Some(number)) => {
                trap("a number");
                // 1e3 and 1.0 are whole to a reader of JSON numbers written by Go.
                whole(&number).map_or(Json::Number(number), |whole| Json::Number(whole.into()))
            }
            Meaning::Number(None) => {
                trap("a number");
                Json::Number(based(&scalar.text).unwrap_or_else(|| 0.into()))
            }
            Meaning::Text(text) => Json::String(text.to_owned()),
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: &Number) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|_| number.is_f64())?;
    (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
}

/// Octal, hexadecimal, binary and numbers with underscores.
fn based(text: &str) -> Option<Number> {
    let joined = text.replace(['_', '+'], "").to_lowercase();
    let digits = |prefix, base| joined.strip_prefix(prefix).and_then(|rest| i64::from_str_radix(rest, base).ok());
    let number = digits("0x", 16).or_else(|| digits("0o", 8)).or_else(|| digits("0b", 2)).or_else(|| digits("0", 8));
    number.or_else(|| joined.parse().ok()).map(Number::from)
}
