//! The final bytes, read as the kubelet reads them.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use serde_yaml::options::DuplicateKeyPolicy;
use sha2::{Digest, Sha256};

use super::context::Context;

/// Annotation with the digest of the pod without this annotation. It reaches the mirror pod and the CRI sandbox.
pub const DIGEST_ANNOTATION: &str = "kubekeel.io/manifest-digest";
/// Annotation with the digest of the mounted files that the component reads only at its start.
pub const FILES_ANNOTATION: &str = "kubekeel.io/mounted-files-digest";

/// A manifest as the kubelet sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The pod; unknown fields included, which the kubelet drops.
    pub pod: Value,
    /// The digest that the pod carries.
    pub annotated: Option<String>,
    /// The digest that the pod should carry.
    pub digest: String,
}

impl Read {
    /// Whether the pod is still what it was when its digest was written.
    pub fn is_genuine(&self) -> bool {
        self.annotated.as_ref() == Some(&self.digest)
    }
}

/// Why the kubelet would not run a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not YAML, or not JSON when it begins with a brace.
    #[error("{0}")]
    Syntax(String),
    /// The first document is something else than a pod.
    #[error("the document is not a v1 Pod")]
    NotAPod,
}

/// Reads a manifest file as the kubelet does: the first document counts, of a repeated key the last
/// (`pkg/kubelet/config/common.go`).
pub fn read(text: &str) -> Result<Read, ReadError> {
    let pod = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| ReadError::Syntax(error.to_string()))?
    } else {
        let options = serde_yaml::options! {
            duplicate_keys: DuplicateKeyPolicy::LastWins,
            legacy_octal_numbers: true,
            with_snippet: false,
        };
        serde_yaml::from_str_with_options::<Value>(first_document(text), options)
            .map_err(|error| ReadError::Syntax(error.to_string()))?
    };
    if pod["apiVersion"] != "v1" || pod["kind"] != "Pod" {
        return Err(ReadError::NotAPod);
    }
    let annotated = pod["metadata"]["annotations"][DIGEST_ANNOTATION].as_str().map(str::to_owned);
    let digest = digest(&pod);
    Ok(Read { pod, annotated, digest })
}

/// Whether two texts are the same YAML document, however it is written. Texts that are no maps are compared as texts.
pub fn is_same_document(left: &str, right: &str) -> bool {
    let tree = |text: &str| serde_yaml::from_str::<Value>(text).ok().filter(Value::is_object);
    left == right || tree(left).zip(tree(right)).is_some_and(|(left, right)| left == right)
}

/// What stands before the second document, or before the end mark of the first.
fn first_document(text: &str) -> &str {
    let (mut offset, mut begun) = (0, false);
    for line in text.split_inclusive('\n') {
        let mark = ["---", "..."].into_iter().find(|mark| {
            line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        });
        match mark {
            Some(_) if begun => return &text[..offset],
            Some(_) => begun = true,
            // Comments and directives may stand before the first mark.
            None => begun |= !line.trim().is_empty() && !line.starts_with(['#', '%']),
        }
        offset += line.len();
    }
    text
}

/// `sha256:<hex>` over the pod as JSON with sorted keys and no spaces, without [`DIGEST_ANNOTATION`].
pub fn digest(pod: &Value) -> String {
    let mut pod = pod.clone();
    if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(DIGEST_ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    // No effect while serde_json's maps are sorted; a dependency may turn that off for the whole build.
    pod.sort_all_objects();
    let hash = Sha256::digest(pod.to_string());
    hash.iter().fold(String::from("sha256:"), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Reads one document without any tolerance: every field known, every value of its type.
pub(super) fn strict(text: &str) -> Result<Value, String> {
    let options = serde_yaml::options! { legacy_octal_numbers: true, with_snippet: false };
    let pod = serde_yaml::from_str_with_options::<Value>(text, options).map_err(|error| error.to_string())?;
    match difference(&pod, &typed(&pod)?, "") {
        None => Ok(pod),
        Some(path) => {
            let path = path.trim_start_matches('.');
            Err(format!("{path} is not a field of a pod, or has a value of the wrong type"))
        }
    }
}

/// What is left of the pod after the API's types: unknown fields are gone, values of a wrong type are errors.
fn typed(pod: &Value) -> Result<Value, String> {
    let typed: Pod = serde_json::from_value(pod.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// The first path at which two trees differ.
fn difference(left: &Value, right: &Value, path: &str) -> Option<String> {
    let at = |key: &str| format!("{path}.{key}");
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            let missing = l.keys().find(|key| !r.contains_key(*key)).or_else(|| r.keys().find(|k| !l.contains_key(*k)));
            missing
                .map(|key| at(key))
                .or_else(|| l.iter().find_map(|(key, value)| difference(value, &r[key], &at(key))))
        }
        (Value::Array(l), Value::Array(r)) if l.len() == r.len() => {
            let mut pairs = l.iter().zip(r).enumerate();
            pairs.find_map(|(index, (l, r))| difference(l, r, &format!("{path}[{index}]")))
        }
        _ => (left != right).then(|| path.to_owned()),
    }
}

/// The last line of defence: what the text means to a reader is what the context says.
pub(super) fn is_intended(text: &str, digest_written: &str, context: &Context) -> Result<(), String> {
    let pod = strict(text)?;
    let name = context.component.name();
    let container = &pod["spec"]["containers"][0];
    let read_mounts = context.mounts.iter().map(|mount| {
        let read_only = if mount.read_only { json!(true) } else { Value::Null };
        json!([mount.name, mount.mount_path, mount.host_path, mount.path_type, read_only])
    });
    let expected = [
        ("the digest", json!(digest_written), json!(digest(&pod))),
        ("the annotated digest", json!(digest_written), pod["metadata"]["annotations"][DIGEST_ANNOTATION].clone()),
        ("the name", json!(name), pod["metadata"]["name"].clone()),
        ("the number of containers", json!(1), json!(pod["spec"]["containers"].as_array().map(Vec::len))),
        ("the image", json!(context.image), container["image"].clone()),
        ("the environment", json!(context.env), container.get("env").cloned().unwrap_or_else(|| json!([]))),
        ("the volumes", read_mounts.collect(), mounts(&pod, container)),
    ];
    let wrong = expected.iter().find(|(_, wanted, found)| wanted != found).map(|(what, ..)| (*what).to_owned());
    match wrong.or_else(|| command(container, context)) {
        Some(what) => Err(format!("{what} would not reach the kubelet as it is configured")),
        None => Ok(()),
    }
}

/// The mounts of the container with the host path that each stands for.
fn mounts(pod: &Value, container: &Value) -> Value {
    let volumes = pod["spec"]["volumes"].as_array().map_or(&[][..], Vec::as_slice);
    let mounts = container["volumeMounts"].as_array().map_or(&[][..], Vec::as_slice);
    let resolve = |mount: &Value| {
        let mut named = volumes.iter().filter(|volume| volume["name"] == mount["name"]);
        let volume = named.next().filter(|_| named.next().is_none()).map_or(&Value::Null, |volume| &volume["hostPath"]);
        json!([mount["name"], mount["mountPath"], volume["path"], volume["type"], mount["readOnly"]])
    };
    mounts.iter().map(resolve).collect()
}

/// The command is the binary, then flags that the user did not set, each once, then the user's.
fn command(container: &Value, context: &Context) -> Option<String> {
    let words: Vec<&str> = container["command"].as_array()?.iter().filter_map(Value::as_str).collect();
    let own = words.len().checked_sub(context.extra_args.len());
    let (Some((binary, flags)), Some(own)) = (words.split_first(), own.filter(|own| *own > 0)) else {
        return Some("the command".into());
    };
    let (flags, extra) = flags.split_at(own - 1);
    let mut names = vec![];
    for flag in flags {
        let name = flag.strip_prefix("--").and_then(|flag| flag.split_once('=')).map(|(name, _)| name);
        if name.is_none_or(|name| names.contains(&name) || context.overridden.contains(&name)) {
            return Some(format!("the flag {flag:?}"));
        }
        names.extend(name);
    }
    let intended = *binary == context.component.name() && extra == context.extra_args;
    (!intended).then(|| "the command".into())
}
