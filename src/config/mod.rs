//! The configuration: kubeadm's `kubeadm.k8s.io/v1beta4` documents and flags, loaded, defaulted and validated.
//!
//! Everything here is pure. What the host contributes to the defaults (its name, its address) arrives as [`Facts`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::patch::Patches;
use crate::release::{Release, Version};
use crate::token::CertificateKey;

mod cluster;
mod documents;
mod editor;
mod elsewhere;
mod etcd;
mod fields;
mod gates;
mod given;
mod init;
mod join;
mod kube_proxy;
mod kubelet;
mod load;
mod migrate;
mod network;
mod node;
mod reset;
mod resolve;
mod schema;
mod shape;
mod shared;
mod tokens;
mod tree;
mod upgrade;
mod value;
pub(crate) mod yaml;

pub use editor::schema;
pub use load::{Input, Judged, Source, judge, load};
pub use migrate::migrate;
pub use shared::Shared;
pub use tokens::{BootstrapToken, Lifetime};
pub(crate) use tree::{kubelet_problems, trees};
pub use upgrade::{Upgrade, UpgradeTimeouts, UpgradeWishes, upgrade};

/// A duration in Go's notation, for flags that are not fields.
pub fn duration(text: &str) -> Result<Duration, String> {
    value::duration(text).map_err(|_| "write it like 4m, 1h30m or 8760h0m0s".to_owned())
}

/// A group of those who log in with a bootstrap token, for flags that are not fields.
pub fn bootstrap_group(text: &str) -> Result<String, String> {
    value::bootstrap_group(text).map_err(|wrong| wrong.to_string())
}

/// A complete configuration: every default filled in, everything validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `InitConfiguration.nodeRegistration`.
    pub node: NodeRegistration,
    /// `InitConfiguration.localAPIEndpoint.advertiseAddress`.
    pub advertise_address: IpAddr,
    /// `InitConfiguration.localAPIEndpoint.bindPort`.
    pub bind_port: u16,
    /// `ClusterConfiguration`.
    pub cluster: Cluster,
    /// `KubeletConfiguration` as the user gave it, without `apiVersion` and `kind`, without our defaults.
    pub kubelet: Map<String, Value>,
    /// `KubeProxyConfiguration` as the user gave it, likewise.
    pub kube_proxy: Map<String, Value>,
    /// `InitConfiguration.timeouts`.
    pub timeouts: Timeouts,
    /// `InitConfiguration.skipPhases`, each name known.
    pub skip_phases: Vec<String>,
    /// `InitConfiguration.patches.directory`, absolute, without a trailing slash.
    pub patches_directory: Option<String>,
    /// What that directory holds; [`load`] leaves it empty, [`Input::config`] fills it.
    pub patches: Patches,
    /// `InitConfiguration.dryRun`.
    pub dry_run: bool,
    /// `InitConfiguration.bootstrapTokens`, or one by default.
    pub bootstrap_tokens: Vec<BootstrapToken>,
    /// `--upload-certs`.
    pub upload_certificates: bool,
    /// `InitConfiguration.certificateKey`; without it one is made.
    pub certificate_key: Option<CertificateKey>,
    /// What was detected or defaulted and matters to a reader: field and value, in display order.
    pub detected: Vec<(&'static str, String)>,
}

/// `nodeRegistration`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRegistration {
    /// The Node's name, lower case, a valid RFC 1123 subdomain.
    pub name: String,
    /// The host's own name in lower case; `--hostname-override` is passed to the kubelet when `name` differs.
    pub hostname: String,
    /// CRI socket with its scheme, `unix:///run/containerd/containerd.sock`.
    pub cri_socket: String,
    /// Taints of the Node.
    pub taints: Vec<Taint>,
    /// Extra flags of the kubelet.
    pub kubelet_extra_args: Vec<Arg>,
    /// Names of preflight checks whose errors become warnings, lower case; `all` stands alone.
    pub ignore_preflight_errors: Vec<String>,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: PullPolicy,
    /// Images are pulled one after another.
    pub image_pull_serial: bool,
}

/// When images are pulled before the static pods start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Pull even what is present.
    Always,
    /// Pull what is missing.
    IfNotPresent,
    /// Pull nothing; a missing image is a preflight error.
    Never,
}

/// A taint of the Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// One flag of a component; the same name may come several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Name without dashes.
    pub name: String,
    /// Value, may be empty.
    pub value: String,
}

/// `ClusterConfiguration`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// `kubernetesVersion`.
    pub version: Version,
    /// The supported minor of `version`.
    pub release: &'static Release,
    /// `featureGates`, kubeadm's own, each of which takes effect.
    pub feature_gates: BTreeMap<String, bool>,
    /// `clusterName`.
    pub name: String,
    /// `controlPlaneEndpoint`, completed with the bind port.
    pub control_plane_endpoint: Option<Endpoint>,
    /// `certificatesDir`, absolute, without a trailing slash.
    pub certificates_dir: String,
    /// `imageRepository`.
    pub image_repository: String,
    /// `etcd.local`, at its defaults when there is an external one.
    pub etcd: LocalEtcd,
    /// `etcd.external`: this node runs no etcd.
    pub external_etcd: Option<ExternalEtcd>,
    /// `dns`.
    pub dns: Dns,
    /// `networking`.
    pub networking: Networking,
    /// `apiServer`.
    pub api_server: Component,
    /// `apiServer.certSANs`, lower case.
    pub api_server_cert_sans: Vec<String>,
    /// `controllerManager`.
    pub controller_manager: Component,
    /// `scheduler`.
    pub scheduler: Component,
    /// `encryptionAlgorithm`; [`KeyAlgorithm::EcdsaP256`] when not given.
    pub key_algorithm: KeyAlgorithm,
    /// `certificateValidityPeriod`.
    pub certificate_validity: Duration,
    /// `caCertificateValidityPeriod`.
    pub ca_certificate_validity: Duration,
}

impl Cluster {
    /// The tag of the image of a local etcd.
    pub fn etcd_tag(&self) -> &str {
        let given = self.etcd.kept_tag.as_deref().or(self.etcd.image_tag.as_deref());
        given.unwrap_or(self.release.etcd)
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// IP address (without brackets) or DNS name.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// `etcd.local`.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalEtcd {
    /// `dataDir`, absolute.
    pub data_dir: String,
    /// `imageRepository`, else the cluster's.
    pub image_repository: Option<String>,
    /// `imageTag`, else the release's.
    pub image_tag: Option<String>,
    /// The tag that this node keeps whatever those say: `--etcd-upgrade=false`.
    pub kept_tag: Option<String>,
    /// `extraArgs`.
    pub extra_args: Vec<Arg>,
    /// `extraEnvs`: core/v1 `EnvVar` objects.
    pub extra_envs: Vec<Value>,
    /// `serverCertSANs`.
    pub server_cert_sans: Vec<String>,
    /// `peerCertSANs`.
    pub peer_cert_sans: Vec<String>,
}

/// `etcd.external`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalEtcd {
    /// `endpoints`, at least one.
    pub endpoints: Vec<EtcdUrl>,
    /// `httpEndpoints`, when the members answer HTTP elsewhere.
    pub http_endpoints: Vec<EtcdUrl>,
    /// `caFile`, absolute.
    pub ca_file: Option<String>,
    /// `certFile`, absolute; given together with `key_file`.
    pub cert_file: Option<String>,
    /// `keyFile`, absolute.
    pub key_file: Option<String>,
}

/// Where a member of an external etcd answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdUrl {
    /// As it was written; a flag takes it verbatim.
    pub url: String,
    /// Its host and port.
    pub endpoint: Endpoint,
    /// Whether the scheme is https.
    pub tls: bool,
}

/// `dns`; whether it is disabled is among the phases to skip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// `imageRepository`, else the cluster's.
    pub image_repository: Option<String>,
    /// `imageTag`, else the release's.
    pub image_tag: Option<String>,
}

/// `networking`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networking {
    /// `serviceSubnet` as it was written; a flag takes it verbatim.
    pub service_subnet: String,
    /// `serviceSubnet` parsed: one network, or two of different families.
    pub service_networks: Vec<IpNet>,
    /// `podSubnet` as it was written; empty when not given.
    pub pod_subnet: String,
    /// `podSubnet` parsed.
    pub pod_networks: Vec<IpNet>,
    /// `dnsDomain`.
    pub dns_domain: String,
}

/// What the three Kubernetes components share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Component {
    /// `extraArgs`, in the user's order.
    pub extra_args: Vec<Arg>,
    /// `extraEnvs`: core/v1 `EnvVar` objects, in the user's order.
    pub extra_envs: Vec<Value>,
    /// `extraVolumes`, in the user's order.
    pub extra_volumes: Vec<HostPathMount>,
}

/// `HostPathMount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPathMount {
    /// Name of the volume; one that equals a default volume's replaces it.
    pub name: String,
    /// Path on the host.
    pub host_path: String,
    /// Path in the container.
    pub mount_path: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// `hostPath.type`; empty means no check.
    pub path_type: String,
}

/// `encryptionAlgorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// ECDSA over NIST P-256.
    EcdsaP256,
    /// ECDSA over NIST P-384.
    EcdsaP384,
}

/// `timeouts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// How long the proof of the control plane may take.
    pub control_plane_component_health_check: Duration,
    /// How long the kubelet may take to answer.
    pub kubelet_health_check: Duration,
    /// How long one object may take in the API.
    pub kubernetes_api_call: Duration,
    /// How long etcd may take to answer.
    pub etcd_api_call: Duration,
}

/// What the host contributes to the defaults. `render` has none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// The host's name.
    pub hostname: Option<String>,
    /// First global unicast address on an interface with a default route, IPv4 before IPv6.
    pub default_address: Option<IpAddr>,
    /// CRI sockets that accept a connection.
    pub cri_sockets: Vec<String>,
    /// Version of the installed kubelet.
    pub kubelet_version: Option<Version>,
}

/// The flags of `kubeadm init` that change the configuration; they win over the file's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overrides {
    /// `--apiserver-advertise-address`.
    pub advertise_address: Option<String>,
    /// `--apiserver-bind-port`.
    pub bind_port: Option<u16>,
    /// `--apiserver-cert-extra-sans`, united with the file's.
    pub cert_extra_sans: Vec<String>,
    /// `--cert-dir`.
    pub certificates_dir: Option<String>,
    /// `--control-plane-endpoint`.
    pub control_plane_endpoint: Option<String>,
    /// `--cri-socket`.
    pub cri_socket: Option<String>,
    /// `--ignore-preflight-errors`, united with the file's.
    pub ignore_preflight_errors: Vec<String>,
    /// `--image-repository`.
    pub image_repository: Option<String>,
    /// `--kubernetes-version`.
    pub kubernetes_version: Option<String>,
    /// `--node-name`.
    pub node_name: Option<String>,
    /// `--pod-network-cidr`.
    pub pod_subnet: Option<String>,
    /// `--service-cidr`.
    pub service_subnet: Option<String>,
    /// `--service-dns-domain`.
    pub dns_domain: Option<String>,
    /// `--skip-phases`; replaces the file's when not empty.
    pub skip_phases: Vec<String>,
    /// `--patches`.
    pub patches_directory: Option<String>,
    /// The tag of the etcd that ran when `upgrade` was given `--etcd-upgrade=false`; the next upgrade decides anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_etcd_tag: Option<String>,
}
