//! A static pod after its patches: what they may not change, and the same checks and digest as without them.

use serde_json::{Map, Value};

use super::check::{self, DIGEST_ANNOTATION, FILES_ANNOTATION};
use super::{Component, Manifest, NodeInputs, yaml};
use crate::config::Config;
use crate::error::Problem;
use crate::patch::Target;

/// By these the pod is found again: its mirror pod, its sandbox, its logs.
const IDENTITY: [&str; 5] =
    ["/metadata/name", "/metadata/namespace", "/metadata/uid", "/metadata/labels/component", "/metadata/labels/tier"];
/// Flags that say where a component listens, which probes, preflight and proof take from the configuration.
const LISTENING: [&str; 5] =
    ["bind-address", "secure-port", "listen-client-urls", "listen-metrics-urls", "listen-peer-urls"];

/// Patches a rendered pod and makes its manifest.
pub(super) fn render(component: Component, config: &Config, pod: &Value) -> Result<Manifest, Vec<Problem>> {
    let target = Target::StaticPod(component);
    let mut patched = config.patches.apply(target, pod.clone()).map_err(|problem| vec![problem])?;
    // Which of them is to blame for the result cannot be told.
    let subject = config.patches.files(target).join(", ");
    let fail = |message: String| vec![Problem::new(&subject, message)];
    quantities(&mut patched);
    let forbidden = changes(component, pod, &patched);
    if !forbidden.is_empty() {
        return Err(forbidden.into_iter().map(|problem| Problem { subject: subject.clone(), ..problem }).collect());
    }
    let digest = annotate(pod, &mut patched).ok_or_else(|| fail("the annotations are no map any more".into()))?;
    let text = yaml::block(&patched);
    let read = check::strict(&text).map_err(|why| fail(format!("the patched pod is not fit: {why}")))?;
    if check::digest(&read) != digest {
        return Err(fail("the patched pod would not reach the kubelet as it is".into()));
    }
    Ok(Manifest { component, text, digest })
}

/// The images of a patched pod, the component's own first; none without a patch.
pub(super) fn images(component: Component, config: &Config) -> Vec<String> {
    if config.patches.is_empty(Target::StaticPod(component)) {
        return vec![];
    }
    // A pod that cannot be rendered is refused before anybody asks for its images.
    let rendered = super::render(component, config, &NodeInputs::default()).ok();
    let pod = rendered.and_then(|manifest| check::read(&manifest.text).ok()).map(|read| read.pod).unwrap_or_default();
    let lists = ["containers", "initContainers"].into_iter().filter_map(|list| pod["spec"][list].as_array());
    let (own, others): (Vec<&Value>, _) = lists.flatten().partition(|container| container["name"] == component.name());
    own.into_iter().chain(others).filter_map(|container| container["image"].as_str()).map(str::to_owned).collect()
}

/// Two manifests as they can be compared line by line: a patched one has the order of its keys, another one that of its
/// template. None when both come from templates, or when one is no pod.
pub fn in_one_layout(old: &str, new: &str) -> Option<(String, String)> {
    let layout = |text: &str| Some(yaml::block(&check::read(text).ok()?.pod));
    let laid_out = (layout(old)?, layout(new)?);
    (laid_out.0 == old || laid_out.1 == new).then_some(laid_out)
}

/// What a patch changed and may not.
fn changes(component: Component, pod: &Value, patched: &Value) -> Vec<Problem> {
    let moved = IDENTITY.iter().filter(|path| pod.pointer(path) != patched.pointer(path));
    let moved = moved.map(|path| Problem::new("", format!("{} is changed", path[1..].replace('/', "."))));
    let (before, after) = (container(component, pod), container(component, patched));
    if after.is_none() {
        return moved.chain([Problem::new("", format!("the container {component} is gone"))]).collect();
    }
    let flags = LISTENING.iter().filter(|name| values(before, name) != values(after, name)).map(|name| {
        Problem::new("", format!("--{name} is changed, and health would be asked for at the old place"))
            .hint(format!("set {name} in {}.extraArgs", component.field()))
    });
    moved.chain(flags).collect()
}

/// The container of the component itself.
fn container(component: Component, pod: &Value) -> Option<&Value> {
    pod["spec"]["containers"].as_array()?.iter().find(|container| container["name"] == component.name())
}

/// The values of a flag, from `command` and `args`.
fn values<'p>(container: Option<&'p Value>, flag: &str) -> Vec<&'p str> {
    let words = ["command", "args"].into_iter().filter_map(|field| container?.get(field)?.as_array()).flatten();
    let value = |word: &'p Value| word.as_str()?.strip_prefix("--")?.strip_prefix(flag)?.strip_prefix('=');
    words.filter_map(value).collect()
}

/// Puts our annotations over whatever the patches made of them, and tells the digest.
fn annotate(pod: &Value, patched: &mut Value) -> Option<String> {
    let files = pod["metadata"]["annotations"].get(FILES_ANNOTATION);
    let annotations = patched.get_mut("metadata")?.as_object_mut()?.entry("annotations");
    let annotations = annotations.or_insert_with(|| Map::new().into()).as_object_mut()?;
    annotations.remove(FILES_ANNOTATION);
    annotations.extend(files.map(|digest| (FILES_ANNOTATION.to_owned(), digest.clone())));
    let digest = check::digest(patched);
    patched["metadata"]["annotations"][DIGEST_ANNOTATION] = digest.clone().into();
    Some(digest)
}

/// The kubelet takes `cpu: 1`; our types want every quantity as a string, and so it is written.
fn quantities(pod: &mut Value) {
    for list in ["containers", "initContainers"] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for kind in ["limits", "requests"] {
                let amounts = container.pointer_mut(&format!("/resources/{kind}")).and_then(Value::as_object_mut);
                for amount in amounts.into_iter().flat_map(Map::values_mut).filter(|amount| amount.is_number()) {
                    *amount = amount.to_string().into();
                }
            }
        }
    }
}
