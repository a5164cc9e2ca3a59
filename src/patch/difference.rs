//! The strategic merge patch that leads from one object to another: the way back of [`super::strategic`].

use serde_json::{Map, Value, json};

use super::schema::{self, Merge, Type};
use super::{Target, strategic};

type Object = Map<String, Value>;

/// The patch that makes `to` of `from`, or `None` when no strategic patch can.
///
/// Elements of a keyed list are named by their keys, so the patch still fits when others come and go around them; what
/// order they have among each other is not part of it.
pub fn difference(target: Target, from: &Value, to: &Value) -> Option<Value> {
    let (from, to) = (from.as_object()?, to.as_object()?);
    let of = schema::of(target);
    let patch = objects(from, to, of);
    let made = strategic::merge(from.clone(), patch.clone(), of).ok()?;
    is_same(&Value::Object(made), &Value::Object(to.clone()), of).then_some(Value::Object(patch))
}

/// Whether two objects are equal but for the order of keyed lists.
pub fn equal(target: Target, left: &Value, right: &Value) -> bool {
    is_same(left, right, schema::of(target))
}

fn objects(from: &Object, to: &Object, of: Type) -> Object {
    let gone = from.keys().filter(|name| !to.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    let changed = to.iter().filter_map(|(name, to)| {
        let Some(from) = from.get(name) else { return Some((name.clone(), to.clone())) };
        Some((name.clone(), values(from, to, of.field(name))?))
    });
    gone.chain(changed).collect()
}

/// What a field needs to become another one; `None` when it is that already.
fn values(from: &Value, to: &Value, merge: Merge) -> Option<Value> {
    match (from, to, merge) {
        _ if from == to => None,
        (Value::Object(from), Value::Object(to), Merge::Plain(of)) => Some(objects(from, to, of).into()),
        (Value::Array(from), Value::Array(to), Merge::Keyed(key, of)) => {
            let patch = keyed(from, to, key, of);
            (!patch.is_empty()).then(|| patch.into())
        }
        _ => Some(to.clone()),
    }
}

fn keyed(from: &[Value], to: &[Value], key: &str, of: Type) -> Vec<Value> {
    let find = |list: &[Value], element: &Value| list.iter().find(|other| other[key] == element[key]).cloned();
    let gone = from.iter().filter(|element| find(to, element).is_none());
    let gone = gone.map(|element| json!({ key: element[key], "$patch": "delete" }));
    let changed = to.iter().filter_map(|to| match find(from, to) {
        None => Some(to.clone()),
        Some(from) => {
            let mut patch = values(&from, to, Merge::Plain(of))?;
            if let Some(patch) = patch.as_object_mut() {
                patch.insert(key.to_owned(), to[key].clone());
            }
            Some(patch)
        }
    });
    gone.chain(changed).collect()
}

fn is_same(left: &Value, right: &Value, of: Type) -> bool {
    let (Value::Object(left), Value::Object(right)) = (left, right) else { return left == right };
    left.len() == right.len()
        && left.iter().all(|(name, left)| {
            right.get(name).is_some_and(|right| match (left, right, of.field(name)) {
                (Value::Array(left), Value::Array(right), Merge::Keyed(key, of)) => {
                    let alike = |l: &Value, r: &Value| l[key] == r[key] && is_same(l, r, of);
                    left.len() == right.len() && left.iter().all(|l| right.iter().any(|r| alike(l, r)))
                }
                (left, right, Merge::Plain(of)) => is_same(left, right, of),
                (left, right, _) => left == right,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Component;

    const POD: Target = Target::StaticPod(Component::Scheduler);

    fn pod() -> Value {
        json!({
            "metadata": {"labels": {"tier": "control-plane"}},
            "spec": {
                "priority": 7,
                "containers": [{
                    "name": "kube-scheduler", "command": ["a", "b"], "resources": {"requests": {"cpu": "100m"}},
                    "volumeMounts": [{"mountPath": "/a", "name": "a"}, {"mountPath": "/b", "name": "b"}],
                }],
                "volumes": [{"name": "a", "hostPath": {"path": "/a"}}, {"name": "b", "hostPath": {"path": "/b"}}],
            },
        })
    }

    #[test]
    fn the_patch_leads_there_and_names_only_what_differs() {
        let mut edited = pod();
        edited["spec"]["containers"][0]["resources"]["requests"]["memory"] = json!("1Gi");
        edited["spec"]["containers"][0]["volumeMounts"] =
            json!([{"mountPath": "/c", "name": "c"}, {"mountPath": "/b", "name": "b"}]);
        edited["spec"]["volumes"][1]["hostPath"]["type"] = json!("File");
        edited["spec"]["hostAliases"] = json!([{"ip": "192.0.2.1", "hostnames": ["x"]}]);
        edited["spec"].as_object_mut().expect("a map").remove("priority");
        let patch = difference(POD, &pod(), &edited).expect("a patch");
        assert_eq!(
            patch,
            json!({"spec": {
                "priority": null,
                "containers": [{
                    "name": "kube-scheduler",
                    "resources": {"requests": {"memory": "1Gi"}},
                    "volumeMounts": [{"mountPath": "/a", "$patch": "delete"}, {"mountPath": "/c", "name": "c"}],
                }],
                "volumes": [{"name": "b", "hostPath": {"type": "File"}}],
                "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["x"]}],
            }})
        );
    }

    #[test]
    fn equal_objects_need_none_and_the_order_of_keyed_lists_is_none() {
        assert_eq!(difference(POD, &pod(), &pod()), Some(json!({})));
        let mut turned = pod();
        turned["spec"]["volumes"].as_array_mut().expect("a list").reverse();
        assert!(equal(POD, &pod(), &turned));
        turned["spec"]["containers"][0]["command"].as_array_mut().expect("a list").reverse();
        assert!(!equal(POD, &pod(), &turned));
    }
}
