//! Our static pods as kubeadm writes them: the intended differences, the other way round.

use serde_json::{Value, json};

use crate::config::Config;
use crate::manifest::{self, Component, DIGEST_ANNOTATION, FILES_ANNOTATION};

/// kubeadm's name of the port that it probes.
const PORT: &str = "probe-port";
/// kubeadm's `initialDelaySeconds` and `periodSeconds` (`util/staticpod/utils.go`).
const PERIOD: u64 = 10;

/// What kubeadm writes where we write `pod`.
pub(super) fn pod(component: Component, config: &Config, mut pod: Value) -> Value {
    let allowed = config.timeouts.control_plane_component_health_check.as_secs();
    let endpoint = manifest::endpoint(component, config);
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        let none_left = annotations.is_none_or(|annotations| {
            annotations.retain(|name, _| name != DIGEST_ANNOTATION && name != FILES_ANNOTATION);
            annotations.is_empty()
        });
        if none_left {
            metadata.remove("annotations");
        }
    }
    let containers = pod["spec"]["containers"].as_array_mut().into_iter().flatten();
    let Some(container) = containers.into_iter().find(|container| container["name"] == component.name()) else {
        return pod;
    };
    container["ports"] = json!([{"containerPort": endpoint.port, "name": PORT, "protocol": "TCP"}]);
    if component == Component::Scheduler {
        container["startupProbe"] = container["livenessProbe"].clone();
        container["livenessProbe"]["initialDelaySeconds"] = json!(PERIOD);
    }
    let startup = &mut container["startupProbe"];
    startup["failureThreshold"] = json!(allowed.div_ceil(PERIOD));
    startup["initialDelaySeconds"] = json!(PERIOD);
    startup["periodSeconds"] = json!(PERIOD);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe) else { continue };
        probe["httpGet"]["port"] = json!(PORT);
        // kubeadm does not look at `bind-address` here.
        if component == Component::ApiServer && probe["httpGet"].get("host").is_some() {
            probe["httpGet"]["host"] = json!(config.advertise_address.to_string());
        }
    }
    pod
}
