//! The JSON Schema of the configuration, for editors.

use serde_json::{Map, Value, json};

use super::schema::DOCUMENTS;
use super::shape::Shape;

/// `time.ParseDuration`; an empty text is not given.
const DURATION: &str = r"^([-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+))?$";

/// The JSON Schema (draft 7, which editors know) of a document. A field without a value is not given, as in kubeadm.
pub fn schema() -> Value {
    let definition = |(kind, version, shape): &(&str, &str, &Shape)| {
        let mut schema = of(shape);
        schema["type"] = "object".into();
        schema["required"] = json!(["apiVersion", "kind"]);
        schema["properties"]["apiVersion"] = json!({"const": version});
        schema["properties"]["kind"] = json!({"const": kind});
        ((*kind).to_owned(), schema)
    };
    let reference = |(kind, ..): &(&str, &str, &Shape)| json!({"$ref": format!("#/definitions/{kind}")});
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of a control plane, as kubeadm and kubekeel read it",
        "oneOf": DOCUMENTS.iter().map(reference).collect::<Value>(),
        "definitions": DOCUMENTS.iter().map(definition).collect::<Map<_, _>>(),
    })
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({"type": ["boolean", "null"]}),
        Shape::Int => json!({"type": ["integer", "null"]}),
        Shape::Number => json!({"type": ["number", "null"]}),
        Shape::Text => json!({"type": ["string", "null"]}),
        Shape::OneOf(words) => {
            json!({"enum": words.iter().map(|word| json!(word)).chain([json!(""), json!(null)]).collect::<Value>()})
        }
        Shape::Duration => json!({"type": ["string", "null"], "pattern": DURATION}),
        Shape::Quantity => json!({"type": ["string", "number", "null"]}),
        Shape::List(shape) => json!({"type": ["array", "null"], "items": of(shape)}),
        Shape::Map(shape) => json!({"type": ["object", "null"], "additionalProperties": of(shape)}),
        Shape::Object(fields) => {
            let properties: Map<_, _> = fields.iter().map(|(name, shape)| ((*name).to_owned(), of(shape))).collect();
            json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false})
        }
        Shape::Any => json!({}),
        Shape::Refused(why, _) => json!({"type": "null", "description": why}),
        Shape::Told(word, shape) => {
            let mut schema = of(shape);
            schema["description"] = (*word).into();
            schema
        }
    }
}
