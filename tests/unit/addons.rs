//! Our add-ons against those that kubeadm prints for the same configuration file.
//!
//! `tests/data/addons/regenerate.sh` writes kubeadm's side.

use std::collections::BTreeMap;

use kubekeel::cluster::{self, Known, Object, Part};
use kubekeel::config::{Config, Facts, Overrides, Source, load};
use serde_json::{Map, Value, json};

fn data(case: &str, name: &str) -> String {
    let path = format!("{}/tests/data/addons/{case}/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the fixture")
}

fn config(case: &str) -> Config {
    let text = data(case, "config.yaml");
    load(Some(Source { name: "config.yaml", text: &text }), &Overrides::default(), &Facts::default()).expect("valid")
}

fn ours(config: &Config) -> BTreeMap<String, Value> {
    let known = Known { authority: "CA", live: &BTreeMap::new() };
    let objects = cluster::all(&[Part::CoreDns, Part::KubeProxy], config, known).expect("objects");
    by_title(objects.iter().map(|object| object.body().clone()))
}

fn kubeadms(case: &str) -> BTreeMap<String, Value> {
    let texts = ["coredns.yaml", "kube-proxy.yaml"].map(|name| data(case, name));
    let documents = texts.iter().flat_map(|text| serde_yaml::from_multiple::<Value>(text).expect("YAML"));
    by_title(documents.filter(|document| !document.is_null()))
}

fn by_title(objects: impl Iterator<Item = Value>) -> BTreeMap<String, Value> {
    objects.map(|object| (Object::new(object.clone()).title(), prune(read(object)).unwrap_or_default())).collect()
}

/// The object with the documents in a `ConfigMap` as trees, without the mark that `--print-manifest` leaves out, and
/// with the API group of a Group, which the API server would add.
fn read(mut object: Value) -> Value {
    if let Some(annotations) = object["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubeadm.kubernetes.io/component-config.hash");
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if subject["kind"] == "Group" {
            subject["apiGroup"] = json!("rbac.authorization.k8s.io");
        }
    }
    for text in object.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        let document: Option<Map<String, Value>> = text.as_str().and_then(|text| serde_yaml::from_str(text).ok());
        *text = document.map_or_else(|| text.clone(), Value::Object);
    }
    object
}

/// The tree without what says nothing: kubeadm writes every field that has no value, too.
fn prune(tree: Value) -> Option<Value> {
    match tree {
        Value::Object(members) => {
            let members = members.into_iter().filter_map(|(key, value)| Some((key, prune(value)?)));
            Some(members.collect::<Map<_, _>>()).filter(|members| !members.is_empty()).map(Value::Object)
        }
        Value::Array(items) => {
            let items: Vec<_> = items.into_iter().filter_map(prune).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::String(text) if ["", "0", "0s"].contains(&text.as_str()) => None,
        tree => Some(tree),
    }
}

#[test]
fn add_ons_are_kubeadms() {
    for case in ["full", "ipv6", "release-1.36"] {
        let (ours, kubeadms) = (ours(&config(case)), kubeadms(case));
        assert_eq!(kubeadms.len(), 12, "{case}");
        for title in ours.keys().chain(kubeadms.keys()) {
            assert_eq!(ours.get(title), kubeadms.get(title), "{case}: {title}");
        }
    }
}

/// kubeadm's upgrade would replace a configuration that has the mark.
#[test]
fn what_the_user_wrote_is_not_marked_as_ours() {
    let annotations = |case| {
        let known = Known { authority: "CA", live: &BTreeMap::new() };
        let objects = cluster::objects(Part::KubeProxy, &config(case), known).expect("objects");
        let map = objects.iter().find(|object| object.kind() == "ConfigMap").expect("a ConfigMap");
        map.body()["metadata"]["annotations"].clone()
    };
    assert_eq!(annotations("full"), json!(null));
    assert!(annotations("release-1.36")["kubeadm.kubernetes.io/component-config.hash"].is_string());
}
