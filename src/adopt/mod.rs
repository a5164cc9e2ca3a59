//! From a control plane that kubeadm made to the configuration and the patches that make the same one. Pure.
//!
//! Whatever somebody edited in a manifest since is found as the difference to what kubeadm writes for its own
//! configuration: flags become `extraArgs`, everything else becomes a patch.

mod document;
mod kubeadm;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

pub use document::Found;

use crate::config::{Config, Facts, Input};
use crate::error::{Error, Kind, Problem, Result};
use crate::manifest::{self, Component, NodeInputs, yaml};
use crate::patch::{self, Target};

/// An edit that was found in a manifest, and where it is kept from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Edit {
    /// A flag with other values than the configuration gives it.
    Flag {
        /// Whose.
        component: Component,
        /// Without dashes.
        name: String,
        /// Its values.
        values: Vec<String>,
    },
    /// Anything else.
    Patch {
        /// Whose.
        component: Component,
        /// The strategic merge patch.
        text: String,
    },
}

/// A control plane as we would configure it.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// Makes pods that are equal to those that run.
    pub input: Input,
    /// What was found edited.
    pub edits: Vec<Edit>,
}

/// Where the patches of an adopted node come from, for messages.
const PATCHES: &str = "adopted";

/// Finds the configuration of what is there; the error names what cannot be expressed.
pub fn adopt(found: &Found, facts: &Facts, look: &dyn Fn(&Config) -> Result<NodeInputs>) -> Result<Adoption> {
    let mut documents = document::Documents::new(found)?;
    let mut input = Input { source: None, facts: facts.clone(), ..Input::default() };
    let mut edits = vec![];
    input.source = Some(documents.source());
    let config = input.config()?;
    let inputs = look(&config)?;
    for (component, pod) in &found.pods {
        let expected = expected(*component, &config, &inputs)?;
        for (name, values) in flags(*component, &expected, pod) {
            documents.set_flag(*component, &name, &values);
            edits.push(Edit::Flag { component: *component, name, values });
        }
    }
    input.source = Some(documents.source());
    let config = input.config()?;
    let (mut patches, mut problems) = (vec![], vec![]);
    for (component, pod) in &found.pods {
        let target = Target::StaticPod(*component);
        match patch::difference(target, &expected(*component, &config, &inputs)?, &comparable(*component, pod)) {
            Some(patch) if patch == json!({}) => {}
            Some(patch) => {
                let text = yaml::block(&patch);
                patches.push((format!("{PATCHES}/{component}+strategic.yaml"), text.clone()));
                edits.push(Edit::Patch { component: *component, text });
            }
            None => problems.push(
                Problem::new(component.path(), "its edits cannot be expressed as a strategic merge patch")
                    .hint("make it what kubeadm wrote, or put the difference into the configuration"),
            ),
        }
    }
    if !patches.is_empty() {
        input.patches = Some(patches);
        let config = input.config()?;
        for (component, pod) in &found.pods {
            if !is_same(*component, &config, &inputs, pod)? {
                problems.push(Problem::new(component.path(), "what its patch makes is not what is there"));
            }
        }
    }
    if problems.is_empty() {
        return Ok(Adoption { input, edits });
    }
    Err(Error::problems(Kind::Preflight, "the control plane cannot be adopted; nothing was changed", problems))
}

/// Whether a manifest that kubeadm wrote is, but for the intended differences, the one that we would write.
pub fn is_same(component: Component, config: &Config, inputs: &NodeInputs, pod: &Value) -> Result<bool> {
    let expected = expected(component, config, inputs)?;
    Ok(patch::equal(Target::StaticPod(component), &expected, &comparable(component, pod)))
}

/// The pod that kubeadm would write for this configuration.
fn expected(component: Component, config: &Config, inputs: &NodeInputs) -> Result<Value> {
    let rendered = manifest::render(component, config, inputs)?;
    let read = manifest::read(&rendered.text)
        .map_err(|error| Error::new(Kind::Step, format!("the rendered {component} is unreadable")).because(&error))?;
    Ok(comparable(component, &kubeadm::pod(component, config, read.pod)))
}

/// A pod without what means nothing: the order of flags, what the Go types write although it is empty or the default, and the
/// scheduler's startup probe, which ours has no use for.
fn comparable(component: Component, pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(members) = pod.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null());
    }
    let containers = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut).into_iter().flatten();
    if let Some(own) = containers.into_iter().find(|container| container["name"] == component.name()) {
        let flags = own.get_mut("command").and_then(Value::as_array_mut).and_then(|command| command.get_mut(1..));
        if let Some(flags) = flags {
            flags.sort_by_key(ToString::to_string);
        }
        for variable in own.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef").and_then(Value::as_object_mut) {
                field.remove("apiVersion");
            }
        }
        if let Some(own) = own.as_object_mut().filter(|_| component == Component::Scheduler) {
            own.remove("startupProbe");
        }
    }
    pod
}

/// Flags that have other values in `pod` than in `expected`; one that is missing there is no flag's matter.
fn flags(component: Component, expected: &Value, pod: &Value) -> BTreeMap<String, Vec<String>> {
    let (expected, mut found) = (command(component, expected), command(component, pod));
    found.retain(|name, values| expected.get(name) != Some(values));
    found
}

/// The flags of a component, with their values in order.
fn command(component: Component, pod: &Value) -> BTreeMap<String, Vec<String>> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let own = containers.into_iter().find(|container| container["name"] == component.name());
    let words = own.and_then(|container| container["command"].as_array());
    let words = words.into_iter().flatten().skip(1).filter_map(Value::as_str);
    let mut flags = BTreeMap::<String, Vec<String>>::new();
    for word in words {
        let (name, value) =
            word.trim_start_matches('-').split_once('=').unwrap_or((word.trim_start_matches('-'), "true"));
        flags.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    flags
}
