//! What a pod has to be for the kubelet to take it from a file. It knows what static pods meet in practice, not all of the
//! API server's validation.

use serde_json::Value;

/// A text, for sentences.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("nothing")
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().map_or(&[][..], Vec::as_slice).iter()
}

pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(&pod["spec"], "initContainers").chain(list(&pod["spec"], "containers"))
}

/// What of `ValidatePodCreate` a static pod meets in practice (`pkg/apis/core/validation/validation.go`).
pub(super) fn invalid(pod: &Value) -> Vec<String> {
    let mut wrong = vec![];
    let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
    let name = metadata["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        wrong.push("metadata.name is missing".to_owned());
    } else if !is_subdomain(name) {
        wrong.push(format!("metadata.name {name:?} is not a lower-case RFC 1123 subdomain"));
    }
    if metadata["namespace"].as_str().is_some_and(|namespace| !namespace.is_empty() && !is_label(namespace)) {
        wrong.push(format!("metadata.namespace {} is not a lower-case RFC 1123 label", metadata["namespace"]));
    }
    if list(spec, "containers").next().is_none() {
        wrong.push("it has no containers".to_owned());
    }
    let volumes: Vec<_> = list(spec, "volumes").filter_map(|volume| volume["name"].as_str()).collect();
    wrong.extend(twice(&volumes).map(|name| format!("the volume {name} is given twice")));
    wrong
        .extend(volumes.iter().filter(|name| !is_label(name)).map(|name| format!("a volume cannot be named {name:?}")));
    let names: Vec<_> = containers(pod).map(|container| container["name"].as_str().unwrap_or_default()).collect();
    wrong.extend(twice(&names).map(|name| format!("the container {name} is given twice")));
    for container in containers(pod) {
        let name = container["name"].as_str().unwrap_or_default();
        if !is_label(name) {
            wrong.push(format!("a container cannot be named {name:?}"));
        }
        if container["image"].as_str().is_none_or(|image| image.trim() != image || image.is_empty()) {
            wrong.push(format!("the container {name} has no image"));
        }
        let mounts = list(container, "volumeMounts").filter_map(|mount| mount["name"].as_str());
        wrong.extend(
            mounts
                .filter(|mount| !volumes.contains(mount))
                .map(|mount| format!("{name} mounts {mount}, which is no volume")),
        );
        let paths: Vec<_> = list(container, "volumeMounts").filter_map(|mount| mount["mountPath"].as_str()).collect();
        wrong.extend(twice(&paths).map(|path| format!("{name} mounts two volumes at {path}")));
        wrong.extend(one_of(container, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]));
        wrong.extend(probes(container).into_iter().map(|what| format!("{what} of {name}")));
        for port in list(container, "ports") {
            let number = port["containerPort"].as_i64().unwrap_or(0);
            if !(1..=65535).contains(&number) {
                wrong.push(format!("{name} has no port {number}"));
            }
        }
    }
    wrong.extend(one_of(spec, "restartPolicy", &["Always", "OnFailure", "Never"]));
    wrong.extend(one_of(spec, "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]));
    wrong
}

/// A value that is one of a few; an empty one is defaulted.
fn one_of(holder: &Value, name: &str, values: &[&str]) -> Option<String> {
    let value = holder[name].as_str().filter(|value| !value.is_empty() && !values.contains(value))?;
    Some(format!("{name} cannot be {value:?}"))
}

/// A probe has one handler, which knows where to go (`validateProbe`).
fn probes(container: &Value) -> Vec<String> {
    const HANDLERS: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];
    let mut wrong = vec![];
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[name];
        if probe.is_null() {
            continue;
        }
        let handlers: Vec<_> = HANDLERS.into_iter().filter(|handler| !probe[*handler].is_null()).collect();
        let [handler] = handlers[..] else {
            wrong.push(format!("the {name} has {} handlers", handlers.len()));
            continue;
        };
        let port = &probe[handler]["port"];
        let is_port = port.as_i64().is_some_and(|port| (1..=65535).contains(&port));
        let is_name = port.as_str().is_some_and(|port| port.len() <= 15 && is_label(port));
        if handler != "exec" && !is_port && !is_name {
            wrong.push(format!("the {name} has no port"));
        }
        if handler == "exec" && list(&probe[handler], "command").next().is_none() {
            wrong.push(format!("the {name} has no command"));
        }
        wrong.extend(one_of(&probe[handler], "scheme", &["HTTP", "HTTPS"]));
    }
    wrong
}

/// What a static pod may not refer to, because the kubelet cannot get it from a file (`HasAPIObjectReference`,
/// `pkg/api/pod/util.go`).
pub(super) fn references(pod: &Value) -> Vec<String> {
    const VOLUMES: [(&str, &str); 8] = [
        ("configMap", "a ConfigMap"),
        ("secret", "a Secret"),
        ("csi", "a CSI volume"),
        ("glusterfs", "Endpoints"),
        ("persistentVolumeClaim", "a PersistentVolumeClaim"),
        ("ephemeral", "a PersistentVolumeClaim"),
        ("azureFile", "a Secret"),
        ("projected", ""),
    ];
    const SOURCES: [(&str, &str); 5] = [
        ("configMap", "a ConfigMap"),
        ("secret", "a Secret"),
        ("serviceAccountToken", "a ServiceAccount"),
        ("clusterTrustBundle", "a ClusterTrustBundle"),
        ("podCertificate", "a PodCertificateRequest"),
    ];
    let spec = &pod["spec"];
    let mut found = vec![];
    if spec["serviceAccountName"].as_str().is_some_and(|name| !name.is_empty()) {
        found.push("serviceAccountName names a ServiceAccount".to_owned());
    }
    found.extend(list(spec, "imagePullSecrets").next().map(|_| "imagePullSecrets names a Secret".to_owned()));
    found.extend(list(spec, "resourceClaims").next().map(|_| "resourceClaims names a ResourceClaim".to_owned()));
    for volume in list(spec, "volumes") {
        let name = word(&volume["name"]);
        let (kind, what) = VOLUMES.into_iter().find(|(kind, _)| !volume[*kind].is_null()).unwrap_or_default();
        let sources = list(&volume["projected"], "sources")
            .filter_map(|source| SOURCES.into_iter().find(|(kind, _)| !source[*kind].is_null()));
        found.extend(sources.map(|(_, what)| format!("the volume {name} needs {what}")));
        if !kind.is_empty() && !what.is_empty() {
            found.push(format!("the volume {name} needs {what}"));
        }
        let flexible = ["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"];
        if flexible.iter().any(|kind| !volume[*kind]["secretRef"].is_null()) {
            found.push(format!("the volume {name} needs a Secret"));
        }
    }
    for container in containers(pod) {
        let name = word(&container["name"]);
        for env in list(container, "env") {
            for (kind, what) in [("secretKeyRef", "a Secret"), ("configMapKeyRef", "a ConfigMap")] {
                if !env["valueFrom"][kind].is_null() {
                    found.push(format!("the variable {} of {name} needs {what}", word(&env["name"])));
                }
            }
        }
        for from in list(container, "envFrom") {
            for (kind, what) in [("secretRef", "a Secret"), ("configMapRef", "a ConfigMap")] {
                found.extend((!from[kind].is_null()).then(|| format!("envFrom of {name} needs {what}")));
            }
        }
    }
    found.into_iter().map(|what| format!("{what}, which a static pod cannot have")).collect()
}

fn twice<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)).map(|(_, name)| *name)
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|part| {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
        })
}
