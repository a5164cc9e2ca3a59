//! Loading: every default, every refusal, places, and text that nobody would write.

use std::net::IpAddr;
use std::time::Duration;

use kubekeel::config::{self, Config, Facts, KeyAlgorithm, Overrides, PullPolicy, Source};
use kubekeel::error::{Kind, Problem};
use kubekeel::release;
use proptest::prelude::*;
use serde_json::json;

const FULL: &str = include_str!("../data/config/full.yaml");
const HORRIBLE: &str = include_str!("../data/config/horrible.yaml");
const INIT_DEFAULTS: &str = include_str!("../data/config/init-defaults.yaml");

fn facts() -> Facts {
    Facts {
        hostname: Some("Node-1".into()),
        default_address: Some(IpAddr::from([192, 0, 2, 1])),
        cri_sockets: vec![],
        kubelet_version: None,
    }
}

fn load_with(text: &str, overrides: &Overrides, facts: &Facts) -> Result<Config, Vec<Problem>> {
    config::load(Some(Source { name: "c.yaml", text }), overrides, facts).map_err(|error| {
        assert_eq!(error.kind, Kind::Configuration);
        assert!(!error.problems.is_empty());
        error.problems
    })
}

fn load(text: &str) -> Result<Config, Vec<Problem>> {
    load_with(text, &Overrides::default(), &facts())
}

/// Fields below a kind, as a document.
fn document(kind: &str, fields: &str) -> String {
    let version = match kind {
        "KubeletConfiguration" => "kubelet.config.k8s.io/v1beta1",
        _ => "kubeadm.k8s.io/v1beta4",
    };
    format!("apiVersion: {version}\nkind: {kind}\n{fields}\n")
}

fn cluster(fields: &str) -> Result<Config, Vec<Problem>> {
    load(&document("ClusterConfiguration", fields))
}

fn init(fields: &str) -> Result<Config, Vec<Problem>> {
    load(&document("InitConfiguration", fields))
}

fn rendered(problems: &[Problem]) -> String {
    let hint = |problem: &Problem| problem.hint.as_ref().map(|hint| format!("\n    {hint}")).unwrap_or_default();
    problems.iter().map(|problem| format!("{problem}{}\n", hint(problem))).collect()
}

#[test]
fn smoke() {
    println!("{}", rendered(&load(HORRIBLE).unwrap_err()));
    println!("{:#?}", load(FULL));
}
