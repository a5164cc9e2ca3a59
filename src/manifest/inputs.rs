//! What the kubelet would refuse, said before anything is rendered: a refused manifest is a pod that does not run.
//!
//! The rules are those of the kubelet's own validation (`pkg/apis/core/validation/validation.go`) for the fields that a
//! configuration reaches: flags, environment and volumes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Component;
use super::context::HostMount;
use crate::config::{Config, HostPathMount};
use crate::error::Problem;

/// Values of `hostPath.type`; empty means no check.
const PATH_TYPES: [&str; 8] =
    ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

/// All problems of a component's flags, environment and volumes; `mounts` are the rendered ones.
pub(super) fn problems(component: Component, config: &Config, mounts: &[HostMount]) -> Vec<Problem> {
    let field = component.field();
    let mut problems = flags(component, config);
    for (index, variable) in component.extra_envs(config).iter().enumerate() {
        let subject = format!("{field}.extraEnvs[{index}]");
        problems.extend(environment_variable(variable).map(|message| Problem::new(subject, message)));
    }
    for (index, extra) in component.extra_volumes(config).iter().enumerate() {
        let subject = format!("{field}.extraVolumes[{index}]");
        problems.extend(volume(extra).map(|message| Problem::new(subject, message)));
    }
    let mut seen = BTreeSet::new();
    for twice in mounts.iter().filter(|mount| !seen.insert(&mount.mount_path)) {
        let message = format!("two volumes are mounted at {:?}, the second is {:?}", twice.mount_path, twice.name);
        let hint = "a volume with the name of a default one replaces it";
        problems.push(Problem::new(format!("{field}.extraVolumes"), message).hint(hint));
    }
    problems
}

fn flags(component: Component, config: &Config) -> Vec<Problem> {
    let subject = || format!("{}.extraArgs", component.field());
    let mut problems = vec![];
    if component != Component::Etcd
        && let Some(port) = component.argument(config, "secure-port")
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        let message = format!("secure-port {port:?} is not a port, and a component without one cannot be probed");
        problems.push(Problem::new(subject(), message).hint("give a number from 1 to 65535"));
    }
    for arg in component.extra_args(config) {
        // A process cannot be given one: arguments end there.
        if arg.name.contains('\0') || arg.value.contains('\0') {
            let message = format!("--{} contains a NUL character", arg.name.escape_default());
            problems.push(Problem::new(subject(), message));
        }
    }
    problems
}

fn environment_variable(variable: &Value) -> Option<String> {
    let Some(name) = variable["name"].as_str().filter(|name| !name.is_empty()) else {
        return Some("has no name".into());
    };
    if !name.chars().all(|c| matches!(c, ' '..='~') && c != '=') {
        return Some(format!("the name {name:?} is not printable ASCII without ="));
    }
    if variable["value"].as_str().is_some_and(|value| value.contains('\0')) {
        return Some("the value contains a NUL character".into());
    }
    let sources = variable["valueFrom"].as_object()?;
    let mut given = sources.iter().filter(|(_, source)| !source.is_null()).map(|(key, _)| key.as_str());
    match (given.next(), given.next()) {
        (None, _) | (_, Some(_)) => Some("valueFrom names exactly one source".into()),
        _ if variable["value"].as_str().is_some_and(|value| !value.is_empty()) => {
            Some("value and valueFrom exclude each other".into())
        }
        // pkg/api/pod/util.go, HasAPIObjectReference.
        (Some(key @ ("configMapKeyRef" | "secretKeyRef")), None) => {
            Some(format!("{key} cannot be used: a static pod may not refer to objects of the API"))
        }
        (Some("fileKeyRef"), None) => Some("fileKeyRef cannot be used: it needs an emptyDir volume".into()),
        _ => None,
    }
}

fn volume(extra: &HostPathMount) -> Option<String> {
    let HostPathMount { name, host_path, mount_path, path_type, .. } = extra;
    if !is_label(name) {
        return Some(format!("the name {name:?} is not a lower-case RFC 1123 label of at most 63 characters"));
    }
    if !PATH_TYPES.contains(&path_type.as_str()) {
        return Some(format!(
            "the pathType {path_type:?} does not exist; it is empty or one of {}",
            PATH_TYPES[1..].join(", ")
        ));
    }
    for (field, path) in [("hostPath", host_path), ("mountPath", mount_path)] {
        if !path.starts_with('/') || path.contains('\0') {
            return Some(format!("the {field} {path:?} is not an absolute path"));
        }
    }
    host_path.split('/').any(|part| part == "..").then(|| format!("the hostPath {host_path:?} goes back with .."))
}

fn is_label(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63
        && name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric)
        && name.chars().all(|c| alphanumeric(c) || c == '-')
}
