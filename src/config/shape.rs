//! Checking free parts of a document against a table of names and types, and turning them into JSON.

use serde_json::{Map, Value as Json};

use super::elsewhere;
use super::fields::Item;
use super::given::{Wrong, did_you_mean};
use super::value;
use super::yaml::{Entry, Meaning, Value};

/// The type of a JSON value, as the Go types of Kubernetes have it.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    Int,
    /// `float64`.
    Number,
    Text,
    /// One of a few words; an empty text is not given.
    OneOf(&'static [&'static str]),
    /// `metav1.Duration`: a string in Go's notation.
    Duration,
    /// `resource.Quantity`: a string, or a number.
    Quantity,
    /// A list of one type.
    List(&'static Shape),
    /// A map with free keys.
    Map(&'static Shape),
    /// A map with these fields.
    Object(&'static [(&'static str, Shape)]),
    /// Anything.
    Any,
    /// The same, with a word about it.
    Told(&'static str, &'static Shape),
    /// A field that exists and cannot be used here: why, and what to do.
    Refused(&'static str, &'static str),
}

impl Shape {
    /// The value as JSON; `None` when it is null or wrong, which was then reported.
    pub(super) fn read(&self, item: Item<'_>) -> Option<Json> {
        if item.is_null() {
            return None;
        }
        match self {
            Self::Bool => item.boolean().map(|given| given.value.into()),
            Self::Int => item.integer().map(|given| given.value.into()),
            Self::Text => item.string().map(|given| given.value.into()),
            Self::OneOf(words) => {
                let given = item.string().filter(|given| !given.value.is_empty())?;
                given.check(item.problems, |text| value::one_of(text, words)).map(Json::String)
            }
            Self::Duration => {
                let given = item.string()?;
                given.check(item.problems, |text| value::duration(text))?;
                Some(given.value.into())
            }
            Self::Number => match any(item) {
                Some(Json::Number(number)) => Some(number.into()),
                Some(_) => {
                    item.mismatch("a number", None);
                    None
                }
                None => None,
            },
            Self::Quantity => match any(item) {
                Some(Json::Array(_) | Json::Object(_) | Json::Bool(_)) => {
                    item.mismatch("a quantity", None);
                    None
                }
                found => found,
            },
            Self::List(shape) => item.list(|item| shape.read(item)).map(Json::Array),
            Self::Map(shape) => map(item, |_| Some(shape)),
            Self::Object(fields) => {
                map(item, |key| fields.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape))
                    .inspect(|_| report_unknown(item, fields))
            }
            Self::Any => any(item),
            Self::Told(_, shape) => shape.read(item),
            Self::Refused(why, hint) => {
                item.report(Wrong::new(*why).hint(*hint));
                None
            }
        }
    }
}

fn map<'s>(item: Item<'_>, shape: impl Fn(&str) -> Option<&'s Shape>) -> Option<Json> {
    let mut result = Map::new();
    for Entry { key, node, .. } in item.entries()? {
        let inner = Item { node, path: item.child(key), problems: item.problems };
        if let Some(json) = shape(key).and_then(|shape| shape.read(inner)) {
            result.insert(key.clone(), json);
        }
    }
    Some(Json::Object(result))
}

fn report_unknown(item: Item<'_>, fields: &[(&'static str, Shape)]) {
    let Value::Map(entries) = &item.node.value else { return };
    for Entry { key, mark, .. } in entries {
        if !fields.iter().any(|(name, _)| name == key) && !item.problems.is_full() {
            let hint = did_you_mean(key, fields.iter().map(|(name, _)| *name)).or_else(|| elsewhere::hint(key));
            item.problems.at(&item.child(key).to_string(), *mark, Wrong::new("unknown field").maybe(hint));
        }
    }
}

/// Whatever it is, as JSON; the depth of the tree is bounded by its parser.
pub(super) fn any(item: Item<'_>) -> Option<Json> {
    match &item.node.value {
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => None,
            Meaning::Bool(value) => Some(value.into()),
            Meaning::Text(text) => Some(text.into()),
            Meaning::Number(Some(number)) => Some(number.into()),
            Meaning::Number(None) => {
                item.mismatch("a plain decimal number", Some("write it in quotes if it is meant as a string".into()));
                None
            }
        },
        Value::List(_) => item.list(any).map(Json::Array),
        Value::Map(_) => map(item, |_| Some(&Shape::Any)),
    }
}
