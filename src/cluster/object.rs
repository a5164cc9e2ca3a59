//! One object of the cluster, as it is applied.

use serde_json::Value;

/// An object: what we want to stand in it, not all that stands in it.
#[derive(Clone, PartialEq)]
pub struct Object(Value);

impl Object {
    /// Takes a body with `apiVersion`, `kind` and `metadata`.
    pub fn new(body: Value) -> Self {
        Self(body)
    }

    /// The body that is applied.
    pub fn body(&self) -> &Value {
        &self.0
    }

    /// Its `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// Its `kind`.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its namespace, unless it belongs to the whole cluster.
    pub fn namespace(&self) -> Option<&str> {
        self.0.pointer("/metadata/namespace").and_then(Value::as_str)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Kind and full name, `ConfigMap kube-system/kubeadm-config`.
    pub fn title(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }

    /// Whether everything that we want stands in the object as it is; what others added to it does not matter.
    pub fn is_covered_by(&self, live: &Value) -> bool {
        covers(live, &self.0)
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A Secret's data must not end in a log: only the title is shown.
impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.title())
    }
}

fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| covers(live, value)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        _ => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_add_does_not_matter_and_what_is_ours_does() {
        let wanted = Object::new(json!({"kind": "ConfigMap", "data": {"a": "1"}, "list": [{"x": 1}]}));
        for (live, covered) in [
            (json!({"kind": "ConfigMap", "data": {"a": "1", "b": "2"}, "list": [{"x": 1, "y": 2}]}), true),
            (json!({"kind": "ConfigMap", "data": {"a": "2"}, "list": [{"x": 1}]}), false),
            (json!({"kind": "ConfigMap", "data": {}, "list": [{"x": 1}]}), false),
            (json!({"kind": "ConfigMap", "data": {"a": "1"}, "list": [{"x": 1}, {"x": 2}]}), false),
            (json!(null), false),
        ] {
            assert_eq!(wanted.is_covered_by(&live), covered, "{live}");
        }
    }
}
