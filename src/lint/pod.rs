//! One file: whether the kubelet makes a pod of it, and what a person should know of it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::scalar::Trap;
use super::valid::{containers, invalid, list, references, word};
use super::{Made, Note, tree};
use crate::manifest::{self, ReadError};
use crate::release::{Version, options};

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The pod without what the API's types do not know, when the kubelet takes it.
    content: Option<Value>,
    pub(super) name: Option<String>,
    uid: Option<String>,
    pub(super) notes: Vec<Note>,
}

impl Read {
    /// The pod, as made of a file of this name.
    pub(super) fn made(&self, file: &str) -> Option<Made> {
        let (content, pod) = (self.content.as_ref()?, self.name.clone()?);
        let uid = self.uid.clone().unwrap_or_else(|| format!("{file}\n{content}"));
        Some(Made { pod, uid, content: Arc::new(content.clone()) })
    }
}

/// Reads a file's content.
pub(super) fn read(bytes: &[u8], minor: Option<u32>) -> Read {
    let refused = |note: Note| Read { notes: vec![note], ..Read::default() };
    let Ok(text) = std::str::from_utf8(bytes) else { return refused(Note::wrong("it is not UTF-8")) };
    if text.trim().is_empty() {
        return refused(Note::wrong("it is empty"));
    }
    let (pod, traps, mut notes) = match document(text) {
        Ok(document) => document,
        Err(note) => return refused(note),
    };
    if pod["apiVersion"] != "v1" || pod["kind"] != "Pod" {
        let what = format!("{} {}", word(&pod["apiVersion"]), word(&pod["kind"]));
        return refused(Note::wrong(format!("the kubelet takes one v1 Pod from a file, and this is {what}")));
    }
    notes.extend(traps.iter().filter_map(|trap| {
        let (is_wrong, message) = trap.note()?;
        Some(Note { is_wrong, line: Some(trap.line), message })
    }));
    let mut read = Read::default();
    let metadata = &pod["metadata"];
    let namespace = metadata["namespace"].as_str().filter(|namespace| !namespace.is_empty()).unwrap_or("default");
    read.name = metadata["name"].as_str().map(|name| format!("{namespace}/{name}"));
    read.uid = metadata["uid"].as_str().filter(|uid| !uid.is_empty()).map(str::to_owned);
    match typed(&pod) {
        Err(why) => {
            let suspects = traps.iter().filter(|trap| trap.note().is_none() && trap.is_suspect(&why));
            notes.extend(suspects.take(3).map(|trap| {
                let remedy = if trap.value.is_string() { "base 60 is of YAML 1.1" } else { "quotes make it a string" };
                Note::wrong(format!("{} is {} to the kubelet; {remedy}", trap.text, trap.what())).at(trap.line)
            }));
            notes.insert(0, Note::wrong(format!("a value has the wrong type: {why}")));
        }
        Ok(known) => {
            let unknown = unknown_fields(&pod, &known, "");
            notes
                .extend(unknown.iter().map(|path| Note::wrong(format!("{path} is no field of a pod, and is dropped"))));
            let invalid: Vec<_> = invalid(&known).into_iter().chain(references(&known)).collect();
            read.content = invalid.is_empty().then_some(known);
            notes.splice(0..0, invalid.into_iter().map(Note::wrong));
        }
    }
    if read.uid.is_some() {
        notes.push(Note::wrong(
            "metadata.uid is set: a change of anything but name and image would not restart the pod",
        ));
    }
    notes.extend(commands(&pod, minor));
    read.notes = notes;
    read
}

fn document(text: &str) -> Result<(Value, Vec<Trap>, Vec<Note>), Note> {
    let by_the_other = || match manifest::read(text) {
        Ok(read) => Ok((read.pod, vec![], vec![])),
        Err(ReadError::NotAPod) => Ok((Value::Null, vec![], vec![])),
        Err(ReadError::Syntax(why)) => Err(Note::wrong(format!("it cannot be parsed: {why}"))),
    };
    // What begins with a brace is JSON, and no rule of YAML holds.
    if text.trim_start().starts_with('{') {
        return by_the_other();
    }
    match tree::read(text)? {
        Some(document) => Ok((document.json, document.traps, document.notes)),
        None => by_the_other(),
    }
}

/// The pod as the API's types see it: what they do not know is gone, what has another type is an error.
fn typed(pod: &Value) -> Result<Value, String> {
    let mut pod = pod.clone();
    quantities(&mut pod);
    nulls(&mut pod, "");
    let typed: Pod = serde_json::from_value(pod).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// Quantities may be numbers, and one of a map that is null is 0 (`resource.Quantity`, `UnmarshalJSON`).
fn quantities(value: &mut Value) {
    const NAMES: [&str; 5] = ["limits", "requests", "overhead", "sizeLimit", "divisor"];
    let text = |value: &mut Value| {
        if value.is_number() {
            *value = value.to_string().into();
        }
    };
    match value {
        Value::Array(values) => values.iter_mut().for_each(quantities),
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                match value {
                    Value::Object(inner) if NAMES.contains(&name.as_str()) => inner.values_mut().for_each(|value| {
                        text(value);
                        if value.is_null() {
                            *value = "0".into();
                        }
                    }),
                    value if NAMES.contains(&name.as_str()) => text(value),
                    value => quantities(value),
                }
            }
        }
        _ => {}
    }
}

/// Go makes an empty value of a null in a list.
fn nulls(value: &mut Value, name: &str) {
    const OF_STRINGS: [&str; 7] = ["args", "command", "add", "drop", "hostnames", "nameservers", "searches"];
    match value {
        Value::Array(values) => {
            for value in values.iter_mut() {
                nulls(value, "");
            }
            let of_strings = OF_STRINGS.contains(&name);
            for null in values.iter_mut().filter(|value| value.is_null()) {
                *null = if of_strings { Value::String(String::new()) } else { Value::Object(serde_json::Map::new()) };
            }
        }
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| nulls(value, name)),
        _ => {}
    }
}

/// Paths of the written tree that the typed one lost.
fn unknown_fields(written: &Value, known: &Value, path: &str) -> Vec<String> {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            let below = |(name, value): (&String, &Value)| {
                let path = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
                match known.get(name) {
                    Some(known) => unknown_fields(value, known, &path),
                    // An empty list or nothing is not carried on.
                    None if value.is_null()
                        || value == &Value::Array(vec![])
                        || value == &Value::Object([].into_iter().collect()) =>
                    {
                        vec![]
                    }
                    None => vec![path],
                }
            };
            written.iter().flat_map(below).collect()
        }
        (Value::Array(written), Value::Array(known)) => {
            let pairs = written.iter().zip(known).enumerate();
            pairs.flat_map(|(index, (w, k))| unknown_fields(w, k, &format!("{path}[{index}]"))).collect()
        }
        _ => vec![],
    }
}

/// Flags and gates that the program of a container does not know. Where that cannot be judged, it is said, and is wrong when
/// it was asked for.
fn commands(pod: &Value, asked: Option<u32>) -> Vec<Note> {
    let mut notes = vec![];
    for container in containers(pod) {
        let words: Vec<_> =
            list(container, "command").chain(list(container, "args")).filter_map(Value::as_str).collect();
        let Some((program, arguments)) = words.split_first() else { continue };
        let program = program.rsplit('/').next().unwrap_or(program);
        let tag = container["image"].as_str().and_then(|image| image.rsplit_once(':')).map_or("", |(_, tag)| tag);
        let own = tag.parse::<Version>().ok().filter(|_| program != "etcd").map(|version| version.minor);
        // etcd's tag is its own: 3.7 comes with 1.37, 3.6 with the minors before.
        let etcd = (program == "etcd").then(|| if tag.starts_with("3.7.") { 37 } else { 36 });
        let Some(minor) = asked.or(own).or(etcd).filter(|_| options::is_known(program)) else { continue };
        if options::options(minor).is_none() {
            let message = format!(
                "the flags of {program} are not judged: of 1.{minor} nothing is known here, only of {}",
                options::minors()
            );
            notes.push(Note { is_wrong: asked.is_some(), ..Note::told(message) });
        }
        notes.extend(options::unknown(minor, program, arguments).into_iter().map(Note::wrong));
    }
    notes
}
