//! What belongs into the cluster itself.

use std::collections::BTreeMap;

/// Labels of a control-plane Node (`phases/markcontrolplane`).
pub fn labels() -> BTreeMap<String, String> {
    ["node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers"]
        .map(|label| (label.to_owned(), String::new()))
        .into()
}

/// A ClusterRoleBinding that we apply: name, ClusterRole, kind and name of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Name of the binding.
    pub name: &'static str,
    /// The ClusterRole.
    pub role: &'static str,
    /// `Group` or `User`.
    pub kind: &'static str,
    /// Name of the subject.
    pub subject: &'static str,
}

/// Who administers the cluster (`phases/kubeconfig`, `EnsureAdminClusterRoleBinding`), and whom the kubelets obey
/// (`phases/bootstraptoken`, since 1.37).
pub const ADMINISTRATORS: [Binding; 2] = [
    Binding { name: "kubeadm:cluster-admins", role: "cluster-admin", kind: "Group", subject: "kubeadm:cluster-admins" },
    Binding {
        name: "kubeadm:apiserver-kubelet-client",
        role: "system:kubelet-api-admin",
        kind: "User",
        subject: "kube-apiserver-kubelet-client",
    },
];
