//! Roles and bindings, in as many words as they differ in.

use serde_json::{Value, json};

use super::Object;

const GROUP: &str = "rbac.authorization.k8s.io";
const VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Nodes that joined.
pub(super) const NODES: &str = "system:nodes";
/// Nodes that are joining, by the group of their bootstrap token (`constants.go`, `NodeBootstrapTokenAuthGroup`).
pub(super) const BOOTSTRAPPERS: &str = "system:bootstrappers:kubeadm:default-node-token";

/// A group as the subject of a binding.
pub(super) fn group(name: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": "Group", "name": name})
}

/// A user as the subject of a binding.
pub(super) fn user(name: &str) -> Value {
    json!({"apiGroup": GROUP, "kind": "User", "name": name})
}

/// A service account of kube-system as the subject of a binding.
pub(super) fn service_account(name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"})
}

/// Binds a ClusterRole.
pub(super) fn cluster_role_binding(name: &str, role: &str, subject: &Value) -> Object {
    Object::new(json!({
        "apiVersion": VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }))
}

/// A Role that may get one object, and its binding of the same name: nobody shall list what else is there.
pub(super) fn may_get(namespace: &str, name: &str, resource: (&str, &str), subjects: &[Value]) -> [Object; 2] {
    let (plural, object) = resource;
    let metadata = json!({"name": name, "namespace": namespace});
    let role = json!({
        "apiVersion": VERSION,
        "kind": "Role",
        "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": [plural], "resourceNames": [object], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": VERSION,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": name},
        "subjects": subjects,
    });
    [role, binding].map(Object::new)
}
