//! The certificate table: one row per certificate of kubeadm (`phases/certs/certlist.go`), one per kubeconfig
//! (`phases/kubeconfig/kubeconfig.go`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use crate::config::{Config, KeyAlgorithm};

/// A certificate of the control plane, in the order in which they are issued: an authority before its leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the table says what each is")]
pub enum CertificateId {
    Ca,
    #[serde(rename = "apiserver")]
    ApiServer,
    #[serde(rename = "apiserver-kubelet-client")]
    ApiServerKubeletClient,
    FrontProxyCa,
    FrontProxyClient,
    EtcdCa,
    EtcdServer,
    EtcdPeer,
    EtcdHealthcheckClient,
    #[serde(rename = "apiserver-etcd-client")]
    ApiServerEtcdClient,
}

/// A kubeconfig with a client certificate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the table says what each is")]
pub enum KubeconfigId {
    Admin,
    SuperAdmin,
    Kubelet,
    ControllerManager,
    Scheduler,
}

/// Extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    /// `serverAuth`.
    Server,
    /// `clientAuth`.
    Client,
}

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum San {
    /// DNS name, may begin with `*.`.
    Dns(String),
    /// IP address.
    Ip(IpAddr),
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Common name.
    pub common_name: String,
    /// Organization: the group of a client.
    pub organization: Option<String>,
    /// Extended key usages, none for an authority.
    pub usages: Vec<Usage>,
    /// Names and addresses: sorted DNS names, then addresses in their order.
    pub sans: Vec<San>,
    /// Whether it is a certificate authority.
    pub ca: bool,
    /// Who signs it; `None` signs itself.
    pub signer: Option<CertificateId>,
    /// How long it is valid from now.
    pub validity: Duration,
    /// Algorithm of its key.
    pub algorithm: KeyAlgorithm,
}

struct Row {
    name: &'static str,
    base: &'static str,
    signer: Option<CertificateId>,
}

impl CertificateId {
    /// All, in the order in which they are issued.
    pub const ALL: [Self; 10] = [
        Self::Ca,
        Self::ApiServer,
        Self::ApiServerKubeletClient,
        Self::FrontProxyCa,
        Self::FrontProxyClient,
        Self::EtcdCa,
        Self::EtcdServer,
        Self::EtcdPeer,
        Self::EtcdHealthcheckClient,
        Self::ApiServerEtcdClient,
    ];

    fn row(self) -> Row {
        let row = |name, base, signer| Row { name, base, signer };
        match self {
            Self::Ca => row("ca", "ca", None),
            Self::ApiServer => row("apiserver", "apiserver", Some(Self::Ca)),
            Self::ApiServerKubeletClient => row("apiserver-kubelet-client", "apiserver-kubelet-client", Some(Self::Ca)),
            Self::FrontProxyCa => row("front-proxy-ca", "front-proxy-ca", None),
            Self::FrontProxyClient => row("front-proxy-client", "front-proxy-client", Some(Self::FrontProxyCa)),
            Self::EtcdCa => row("etcd-ca", "etcd/ca", None),
            Self::EtcdServer => row("etcd-server", "etcd/server", Some(Self::EtcdCa)),
            Self::EtcdPeer => row("etcd-peer", "etcd/peer", Some(Self::EtcdCa)),
            Self::EtcdHealthcheckClient => {
                row("etcd-healthcheck-client", "etcd/healthcheck-client", Some(Self::EtcdCa))
            }
            Self::ApiServerEtcdClient => row("apiserver-etcd-client", "apiserver-etcd-client", Some(Self::EtcdCa)),
        }
    }

    /// Name of its phase, `etcd-server`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Path below the certificates directory without extension, `etcd/server`.
    pub fn base(self) -> &'static str {
        self.row().base
    }

    /// Path below the certificates directory of the certificate that an authority's predecessor gave it; it is there from the
    /// beginning of a rotation to its end.
    pub fn cross(self) -> String {
        format!("{}-cross.crt", self.base())
    }

    /// The authorities.
    pub fn authorities() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|id| id.signer().is_none())
    }

    /// Whether the authority of this node's own etcd, or who it signs.
    pub fn is_of_etcd(self) -> bool {
        self == Self::EtcdCa || self.signer() == Some(Self::EtcdCa)
    }

    /// Who signs it; `None` for an authority.
    pub fn signer(self) -> Option<Self> {
        self.row().signer
    }
}

impl KubeconfigId {
    /// All, in kubeadm's order.
    pub const ALL: [Self; 5] = [Self::Admin, Self::SuperAdmin, Self::Kubelet, Self::ControllerManager, Self::Scheduler];

    /// Name of its phase, `super-admin`.
    pub fn name(self) -> &'static str {
        self.file().trim_end_matches(".conf")
    }

    /// Name of its file, `super-admin.conf`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Admin => "admin.conf",
            Self::SuperAdmin => "super-admin.conf",
            Self::Kubelet => "kubelet.conf",
            Self::ControllerManager => "controller-manager.conf",
            Self::Scheduler => "scheduler.conf",
        }
    }
}

/// What can be renewed: everything that an authority of ours signed. The kubelet renews its own, unless it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Renewable {
    /// A certificate and its key.
    Certificate(CertificateId),
    /// The client certificate in a kubeconfig, and its key.
    Kubeconfig(KubeconfigId),
}

impl Renewable {
    /// All, certificates first.
    pub fn all() -> impl Iterator<Item = Self> {
        let leaves = CertificateId::ALL.into_iter().filter(|id| id.signer().is_some()).map(Self::Certificate);
        let kubeconfigs = KubeconfigId::ALL.into_iter().filter(|id| *id != KubeconfigId::Kubelet);
        leaves.chain(kubeconfigs.map(Self::Kubeconfig))
    }

    /// kubeadm's name: `apiserver`, `admin.conf`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate(id) => id.name(),
            Self::Kubeconfig(id) => id.file(),
        }
    }
}

/// What the certificate `id` says in this configuration.
pub fn profile(id: CertificateId, config: &Config) -> Profile {
    use CertificateId as C;
    let cluster = &config.cluster;
    let ca = id.signer().is_none();
    let (common_name, organization, usages) = match id {
        C::Ca => ("kubernetes", None, vec![]),
        C::FrontProxyCa => ("front-proxy-ca", None, vec![]),
        C::EtcdCa => ("etcd-ca", None, vec![]),
        C::ApiServer => ("kube-apiserver", None, vec![Usage::Server]),
        // Bound to its ClusterRole by name; releases before that gave it the administrators' group.
        C::ApiServerKubeletClient => ("kube-apiserver-kubelet-client", None, vec![Usage::Client]),
        C::FrontProxyClient => ("front-proxy-client", None, vec![Usage::Client]),
        C::EtcdServer | C::EtcdPeer => (config.node.name.as_str(), None, vec![Usage::Server, Usage::Client]),
        C::EtcdHealthcheckClient => ("kube-etcd-healthcheck-client", None, vec![Usage::Client]),
        C::ApiServerEtcdClient => ("kube-apiserver-etcd-client", None, vec![Usage::Client]),
    };
    let sans = match id {
        C::ApiServer => api_server_sans(config),
        C::EtcdServer => etcd_sans(config, &cluster.etcd.server_cert_sans),
        C::EtcdPeer => etcd_sans(config, &cluster.etcd.peer_cert_sans),
        _ if ca => vec![San::Dns(common_name.to_owned())],
        _ => vec![],
    };
    Profile {
        common_name: common_name.to_owned(),
        organization: organization.map(str::to_owned),
        usages,
        sans,
        ca,
        signer: id.signer(),
        validity: if ca { cluster.ca_certificate_validity } else { cluster.certificate_validity },
        algorithm: cluster.key_algorithm,
    }
}

/// What the client certificate in the kubeconfig `id` says.
pub fn client_profile(id: KubeconfigId, config: &Config) -> Profile {
    let (common_name, organization) = match id {
        KubeconfigId::Admin => ("kubernetes-admin".to_owned(), Some("kubeadm:cluster-admins")),
        KubeconfigId::SuperAdmin => ("kubernetes-super-admin".to_owned(), Some("system:masters")),
        KubeconfigId::Kubelet => (format!("system:node:{}", config.node.name), Some("system:nodes")),
        KubeconfigId::ControllerManager => ("system:kube-controller-manager".to_owned(), None),
        KubeconfigId::Scheduler => ("system:kube-scheduler".to_owned(), None),
    };
    Profile {
        common_name,
        organization: organization.map(str::to_owned),
        usages: vec![Usage::Client],
        sans: vec![],
        ca: false,
        signer: Some(CertificateId::Ca),
        validity: config.cluster.certificate_validity,
        algorithm: config.cluster.key_algorithm,
    }
}

/// What the client certificate of a person says (`kubeadm kubeconfig user`).
pub fn user_profile(name: &str, organization: Option<&str>, validity: Duration, config: &Config) -> Profile {
    Profile {
        common_name: name.to_owned(),
        organization: organization.map(str::to_owned),
        validity,
        ..client_profile(KubeconfigId::Admin, config)
    }
}

fn api_server_sans(config: &Config) -> Vec<San> {
    let networking = &config.cluster.networking;
    let mut sans: Vec<San> = [
        config.node.name.clone(),
        "kubernetes".into(),
        "kubernetes.default".into(),
        "kubernetes.default.svc".into(),
        format!("kubernetes.default.svc.{}", networking.dns_domain),
    ]
    .map(San::Dns)
    .into();
    // Only the first Service network contributes, even in dual-stack.
    sans.extend(networking.service_networks.first().map(|network| San::Ip(first_address(network))));
    sans.push(San::Ip(config.advertise_address));
    sans.extend(config.cluster.control_plane_endpoint.iter().map(|endpoint| san(&endpoint.host)));
    sans.extend(config.cluster.api_server_cert_sans.iter().map(|name| san(name)));
    ordered(sans)
}

fn etcd_sans(config: &Config, more: &[String]) -> Vec<San> {
    let mut sans = vec![
        San::Dns(config.node.name.clone()),
        San::Dns("localhost".into()),
        San::Ip(config.advertise_address),
        San::Ip(Ipv4Addr::LOCALHOST.into()),
        San::Ip(Ipv6Addr::LOCALHOST.into()),
    ];
    sans.extend(more.iter().map(|name| san(name)));
    ordered(sans)
}

fn san(text: &str) -> San {
    text.parse().map_or_else(|_| San::Dns(text.to_owned()), San::Ip)
}

/// The address of the Service `kubernetes`: the first usable one of the network.
fn first_address(network: &IpNet) -> IpAddr {
    match network.network() {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address).saturating_add(1)).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).saturating_add(1)).into(),
    }
}

/// kubeadm's order: DNS names sorted bytewise, then addresses as they came; each once.
fn ordered(sans: Vec<San>) -> Vec<San> {
    let (mut names, addresses): (Vec<_>, Vec<_>) = sans.into_iter().partition(|san| matches!(san, San::Dns(_)));
    names.sort();
    for address in addresses {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    names.dedup();
    names
}
