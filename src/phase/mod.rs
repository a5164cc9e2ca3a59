//! The phases of `init`, in order. This list generates `init phase …`, `--skip-phases` and the help.

/// One phase, or one part of a phase (`certs/apiserver`).
#[derive(Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name as kubeadm has it, with the parent's before a slash.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// Whether this version does it; what it does not do is refused by name and may be skipped.
    pub supported: bool,
}

const fn phase(name: &'static str, about: &'static str) -> Phase {
    Phase { name, about, supported: true }
}

const fn later(name: &'static str, about: &'static str) -> Phase {
    Phase { name, about, supported: false }
}

/// All phases of kubeadm's `init` (`cmd/init.go`), parents before their parts.
pub const PHASES: [Phase; 39] = [
    phase("preflight", "Check that the node is fit"),
    phase("certs", "Certificates and the service account key pair"),
    phase("certs/ca", "The certificate authority of the cluster"),
    phase("certs/apiserver", "The serving certificate of the API server"),
    phase("certs/apiserver-kubelet-client", "The API server's client certificate for kubelets"),
    phase("certs/front-proxy-ca", "The certificate authority of the front proxy"),
    phase("certs/front-proxy-client", "The client certificate of the front proxy"),
    phase("certs/etcd-ca", "The certificate authority of etcd"),
    phase("certs/etcd-server", "The serving certificate of etcd"),
    phase("certs/etcd-peer", "The peer certificate of etcd"),
    phase("certs/etcd-healthcheck-client", "The client certificate of etcd health checks"),
    phase("certs/apiserver-etcd-client", "The API server's client certificate for etcd"),
    phase("certs/sa", "The key pair that signs service account tokens"),
    phase("kubeconfig", "Kubeconfigs of the administrator and the components"),
    phase("kubeconfig/admin", "The administrator's kubeconfig"),
    phase("kubeconfig/super-admin", "The kubeconfig that no RBAC rule can lock out"),
    phase("kubeconfig/kubelet", "The kubelet's kubeconfig"),
    phase("kubeconfig/controller-manager", "The controller manager's kubeconfig"),
    phase("kubeconfig/scheduler", "The scheduler's kubeconfig"),
    phase("etcd", "The static pod of etcd"),
    phase("etcd/local", "The static pod and the data directory of a local etcd"),
    phase("control-plane", "The static pods of the Kubernetes components"),
    phase("control-plane/apiserver", "The static pod of kube-apiserver"),
    phase("control-plane/controller-manager", "The static pod of kube-controller-manager"),
    phase("control-plane/scheduler", "The static pod of kube-scheduler"),
    phase("kubelet-start", "The kubelet's files, and the kubelet itself"),
    phase("wait-control-plane", "Proof that exactly the rendered static pods run"),
    later("upload-config", "Upload the configuration to the cluster"),
    later("upload-config/kubeadm", "Upload the ClusterConfiguration"),
    later("upload-config/kubelet", "Upload the KubeletConfiguration"),
    later("upload-certs", "Upload the certificates for further control-plane nodes"),
    phase("mark-control-plane", "Labels and taints of the Node"),
    later("bootstrap-token", "Bootstrap tokens for joining nodes"),
    later("kubelet-finalize", "Settings of the kubelet after its TLS bootstrap"),
    later("kubelet-finalize/enable-client-cert-rotation", "Client certificate rotation of the kubelet"),
    later("addon", "Add-ons that a conformant cluster needs"),
    later("addon/coredns", "CoreDNS"),
    later("addon/kube-proxy", "kube-proxy"),
    later("show-join-command", "Print the join command"),
];

/// The phase of that name.
pub fn find(name: &str) -> Option<&'static Phase> {
    PHASES.iter().find(|phase| phase.name == name)
}

/// Whether `name` or its parent is among `skipped`.
pub fn is_skipped(name: &str, skipped: &[String]) -> bool {
    let parent = name.split('/').next().unwrap_or(name);
    skipped.iter().any(|skip| skip == name || skip == parent)
}
