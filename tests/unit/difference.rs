//! In what two trees differ, and which differences from kubeadm are meant.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// A row of `tests/data/intended-differences.yaml`.
#[derive(serde::Deserialize)]
pub(crate) struct Intended {
    pub(crate) path: String,
    component: Option<String>,
    #[serde(rename = "why")]
    _why: String,
}

impl Intended {
    pub(crate) fn is_about(&self, component: &str, path: &str) -> bool {
        self.path == path && self.component.as_deref().is_none_or(|name| name == component)
    }
}

pub(crate) fn intended() -> Vec<Intended> {
    serde_yaml::from_str(include_str!("../data/intended-differences.yaml")).unwrap()
}

/// kubeadm writes the zero value of every field without `omitempty`; to the kubelet they all mean the default.
pub(crate) fn meaningful(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), meaningful(value)));
            let zero = [json!("0s"), json!("0"), json!(0), json!({}), json!("")];
            members.filter(|(_, value)| !zero.contains(value)).collect()
        }
        _ => value.clone(),
    }
}

/// Every path at which two trees differ; below a list of another length there is only the list.
pub(crate) fn differences(left: &Value, right: &Value, path: &str) -> Vec<String> {
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            let keys: BTreeSet<_> = l.keys().chain(r.keys()).collect();
            let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            keys.into_iter().flat_map(|key| differences(&left[key], &right[key], &at(key))).collect()
        }
        (Value::Array(l), Value::Array(r)) if l.len() == r.len() => {
            let pairs = l.iter().zip(r).enumerate();
            pairs.flat_map(|(index, (l, r))| differences(l, r, &format!("{path}[{index}]"))).collect()
        }
        _ if left == right => vec![],
        _ => vec![path.to_owned()],
    }
}
