//! Which fields the strategic merge treats in a way of their own: the `patchStrategy` and `patchMergeKey` tags of
//! `k8s.io/api` v0.37.2 (`core/v1`, `apps/v1`) and `k8s.io/apimachinery` (`meta/v1`), `types.go`.
//!
//! A field that is not here is treated by what it holds: maps are merged, lists and all else are replaced. The tag
//! `retainKeys` has no row: it tells those who make patches to send the directive, and the directive is enough.

use super::Target;

/// A Go type, as far as its fields have tags or lead to some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type(&'static [(&'static str, Merge)]);

/// What becomes of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merge {
    /// A map, or a list that is replaced.
    Plain(Type),
    /// A list whose elements are found by the value of a key.
    Keyed(&'static str, Type),
    /// A list of scalars that is a set.
    Set,
}

use Merge::{Keyed, Plain, Set};

impl Type {
    /// How a field of that name is merged.
    pub(super) fn field(self, name: &str) -> Merge {
        self.0.iter().find(|(field, _)| *field == name).map_or(Plain(NOTHING), |(_, merge)| *merge)
    }
}

/// The type of what a target patches.
pub(super) fn of(target: Target) -> Type {
    match target {
        Target::StaticPod(_) => POD,
        // `k8s.io/kubelet` v0.37.2, `config/v1beta1/types.go`: no field has a tag.
        Target::KubeletConfiguration => NOTHING,
        Target::CoreDnsDeployment | Target::KubeProxyDaemonSet => WORKLOAD,
    }
}

const NOTHING: Type = Type(&[]);

/// `Container` and `EphemeralContainer`.
const CONTAINER: Type = Type(&[
    ("ports", Keyed("containerPort", NOTHING)),
    ("env", Keyed("name", NOTHING)),
    ("volumeMounts", Keyed("mountPath", NOTHING)),
    ("volumeDevices", Keyed("devicePath", NOTHING)),
]);

/// `PodSpec`.
const POD_SPEC: Type = Type(&[
    ("volumes", Keyed("name", NOTHING)),
    ("initContainers", Keyed("name", CONTAINER)),
    ("containers", Keyed("name", CONTAINER)),
    ("ephemeralContainers", Keyed("name", CONTAINER)),
    ("imagePullSecrets", Keyed("name", NOTHING)),
    ("hostAliases", Keyed("ip", NOTHING)),
    ("topologySpreadConstraints", Keyed("topologyKey", NOTHING)),
    ("schedulingGates", Keyed("name", NOTHING)),
    ("resourceClaims", Keyed("name", NOTHING)),
    ("evictionResponders", Keyed("name", NOTHING)),
]);

/// `ObjectMeta`.
const METADATA: Type = Type(&[("ownerReferences", Keyed("uid", NOTHING)), ("finalizers", Set)]);

/// `PodStatus`, `DeploymentStatus` and `DaemonSetStatus`; nobody patches them in a file, but the tags exist.
const STATUS: Type = Type(&[
    ("conditions", Keyed("type", NOTHING)),
    ("hostIPs", Keyed("ip", NOTHING)),
    ("podIPs", Keyed("ip", NOTHING)),
    ("resourceClaimStatuses", Keyed("name", NOTHING)),
]);

/// `Pod`, and `PodTemplateSpec`, which has no status.
const POD: Type = Type(&[("metadata", Plain(METADATA)), ("spec", Plain(POD_SPEC)), ("status", Plain(STATUS))]);

/// `Deployment` and `DaemonSet`.
const WORKLOAD: Type = Type(&[
    ("metadata", Plain(METADATA)),
    ("spec", Plain(Type(&[("template", Plain(POD))]))),
    ("status", Plain(STATUS)),
]);
