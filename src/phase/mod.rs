//! The phases of `init`, in order. This list generates `init phase …`, `--skip-phases` and the help.

use crate::cluster::Part;
use crate::manifest::Component;
use crate::pki::{CertificateId as C, KubeconfigId as K, Renewable};

/// What a phase says should exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A node that is fit, and the images.
    Preflight,
    /// A certificate and its key.
    Certificate(C),
    /// The service account key pair.
    ServiceAccountKey,
    /// A kubeconfig with a client certificate of its own.
    Kubeconfig(K),
    /// A static pod's manifest and what it needs on disk.
    StaticPod(Component),
    /// The kubelet's files, and a running kubelet.
    Kubelet,
    /// The kubelet's files alone: a tree under `--root` has no kubelet.
    KubeletFiles,
    /// Proof that every wanted static pod runs.
    Proof,
    /// Labels and taints of the Node.
    NodeMarks,
    /// Objects in the cluster.
    Objects(Part),
    /// The certificates of further control-plane nodes in the cluster, if somebody asks for that.
    UploadedCertificates,
    /// A kubelet.conf that names the certificate which the kubelet renews.
    KubeletRotation,
    /// The command by which nodes join.
    JoinCommand,
}

impl Want {
    /// Whether it belongs to a renewal: what is renewed, and what runs with it. Nothing else is made on that occasion.
    pub fn is_renewed(self, renewed: &[Renewable]) -> bool {
        match self {
            Self::Certificate(id) => renewed.contains(&Renewable::Certificate(id)),
            Self::Kubeconfig(id) => renewed.contains(&Renewable::Kubeconfig(id)),
            Self::KubeletRotation => renewed.contains(&Renewable::Kubeconfig(K::Kubelet)),
            Self::StaticPod(_) | Self::Kubelet | Self::Proof => true,
            _ => false,
        }
    }

    /// Whether it is about what runs, and not about the files of a node.
    pub fn needs_a_cluster(self) -> bool {
        matches!(
            self,
            Self::Proof
                | Self::NodeMarks
                | Self::Objects(_)
                | Self::UploadedCertificates
                | Self::KubeletRotation
                | Self::JoinCommand
        )
    }
}

impl Want {
    /// Whether it is about an etcd of this node's own, which nobody wants when another one is configured.
    pub fn is_of_local_etcd(self) -> bool {
        match self {
            Self::StaticPod(component) => component == Component::Etcd,
            Self::Certificate(id) => id.is_of_etcd(),
            _ => false,
        }
    }
}

/// One phase, or one part of a phase (`certs/apiserver`).
#[derive(Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name as kubeadm has it, with the parent's before a slash.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// What it says should exist; a parent says what its parts say.
    pub want: Option<Want>,
}

const fn parent(name: &'static str, about: &'static str) -> Phase {
    Phase { name, about, want: None }
}

const fn phase(name: &'static str, want: Want, about: &'static str) -> Phase {
    Phase { name, about, want: Some(want) }
}

/// All phases of kubeadm's `init` (`cmd/init.go`), parents before their parts.
#[rustfmt::skip]
pub const PHASES: [Phase; 39] = [
    phase("preflight", Want::Preflight, "Check that the node is fit, and pull the images"),
    parent("certs", "Certificates and the service account key pair"),
    phase("certs/ca", Want::Certificate(C::Ca), "The certificate authority of the cluster"),
    phase("certs/apiserver", Want::Certificate(C::ApiServer), "The serving certificate of the API server"),
    phase("certs/apiserver-kubelet-client", Want::Certificate(C::ApiServerKubeletClient), "The API server's client certificate for kubelets"),
    phase("certs/front-proxy-ca", Want::Certificate(C::FrontProxyCa), "The certificate authority of the front proxy"),
    phase("certs/front-proxy-client", Want::Certificate(C::FrontProxyClient), "The client certificate of the front proxy"),
    phase("certs/etcd-ca", Want::Certificate(C::EtcdCa), "The certificate authority of etcd"),
    phase("certs/etcd-server", Want::Certificate(C::EtcdServer), "The serving certificate of etcd"),
    phase("certs/etcd-peer", Want::Certificate(C::EtcdPeer), "The peer certificate of etcd"),
    phase("certs/etcd-healthcheck-client", Want::Certificate(C::EtcdHealthcheckClient), "The client certificate of etcd health checks"),
    phase("certs/apiserver-etcd-client", Want::Certificate(C::ApiServerEtcdClient), "The API server's client certificate for etcd"),
    phase("certs/sa", Want::ServiceAccountKey, "The key pair that signs service account tokens"),
    parent("kubeconfig", "Kubeconfigs of the administrator and the components"),
    phase("kubeconfig/admin", Want::Kubeconfig(K::Admin), "The administrator's kubeconfig"),
    phase("kubeconfig/super-admin", Want::Kubeconfig(K::SuperAdmin), "The kubeconfig that no RBAC rule can lock out"),
    phase("kubeconfig/kubelet", Want::Kubeconfig(K::Kubelet), "The kubelet's kubeconfig"),
    phase("kubeconfig/controller-manager", Want::Kubeconfig(K::ControllerManager), "The controller manager's kubeconfig"),
    phase("kubeconfig/scheduler", Want::Kubeconfig(K::Scheduler), "The scheduler's kubeconfig"),
    parent("etcd", "The static pod of etcd"),
    phase("etcd/local", Want::StaticPod(Component::Etcd), "The static pod and the data directory of a local etcd"),
    parent("control-plane", "The static pods of the Kubernetes components"),
    phase("control-plane/apiserver", Want::StaticPod(Component::ApiServer), "The static pod of kube-apiserver"),
    phase("control-plane/controller-manager", Want::StaticPod(Component::ControllerManager), "The static pod of kube-controller-manager"),
    phase("control-plane/scheduler", Want::StaticPod(Component::Scheduler), "The static pod of kube-scheduler"),
    phase("kubelet-start", Want::Kubelet, "The kubelet's files, and the kubelet itself"),
    phase("wait-control-plane", Want::Proof, "Proof that exactly the rendered static pods run"),
    parent("upload-config", "Upload the configuration to the cluster"),
    phase("upload-config/kubeadm", Want::Objects(Part::KubeadmConfig), "Upload the ClusterConfiguration"),
    phase("upload-config/kubelet", Want::Objects(Part::KubeletConfig), "Upload the KubeletConfiguration"),
    phase("upload-certs", Want::UploadedCertificates, "Upload the certificates for further control-plane nodes (with --upload-certs)"),
    phase("mark-control-plane", Want::NodeMarks, "Labels and taints of the Node"),
    phase("bootstrap-token", Want::Objects(Part::BootstrapToken), "Bootstrap tokens for joining nodes"),
    parent("kubelet-finalize", "Settings of the kubelet after its TLS bootstrap"),
    phase("kubelet-finalize/enable-client-cert-rotation", Want::KubeletRotation, "Client certificate rotation of the kubelet"),
    parent("addon", "Add-ons that a conformant cluster needs"),
    phase("addon/coredns", Want::Objects(Part::CoreDns), "CoreDNS"),
    phase("addon/kube-proxy", Want::Objects(Part::KubeProxy), "kube-proxy"),
    phase("show-join-command", Want::JoinCommand, "Print the join command"),
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

/// What a whole `init` wants, without the phases that are skipped.
pub fn wants_of_init(skipped: &[String]) -> Vec<Want> {
    PHASES.iter().filter(|phase| !is_skipped(phase.name, skipped)).filter_map(|phase| phase.want).collect()
}

/// What one phase wants, with its parts.
pub fn wants_of_phase(name: &str) -> Vec<Want> {
    let below = format!("{name}/");
    PHASES
        .iter()
        .filter(|phase| phase.name == name || phase.name.starts_with(&below))
        .filter_map(|phase| phase.want)
        .collect()
}
