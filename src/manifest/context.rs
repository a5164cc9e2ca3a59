//! What a template can say: one struct, the same for every component, with every field always present.

use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::probe::{self, Scheme};
use super::{Component, NodeInputs, configured_image};
use crate::config::{Config, ExternalEtcd, HostPathMount};
use crate::layout;
use crate::pki::CertificateId;

/// The variables of the templates. `digest` and `env` are added while rendering.
#[derive(Debug, Serialize)]
pub(super) struct Context<'a> {
    /// Name of the pod.
    pub component: Component,
    /// Image of the container.
    pub image: String,
    /// Over the files of `files_read_once`.
    pub mounted_files_digest: Option<&'a str>,
    /// Minor of Kubernetes 1, for flags that came or went.
    pub minor: u32,
    /// `certificatesDir`.
    pub pki: &'a str,
    /// The component's own kubeconfig; empty for etcd and the API server, which have none.
    pub kubeconfig: String,
    /// The authority's certificate and key with which the controller manager signs; empty when the key is elsewhere.
    pub signing_certificate: String,
    /// The key.
    pub signing_key: String,
    /// Name of the Node, also of the etcd member.
    pub node_name: &'a str,
    /// Address that others use, without brackets.
    pub advertise_address: IpAddr,
    /// The same for URLs.
    pub advertise_host: String,
    /// Port of the API server.
    pub bind_port: u16,
    /// Loopback address of the family of the advertise address, for URLs.
    pub loopback_host: &'static str,
    /// Where others reach etcd.
    pub client_url: String,
    /// Where other members reach etcd.
    pub peer_url: String,
    /// Where the API server reaches etcd.
    pub etcd_servers: String,
    /// Who signs for etcd; the API server has no such flag without.
    pub etcd_cafile: Option<String>,
    /// The API server's client certificate for etcd.
    pub etcd_certfile: Option<String>,
    /// Its key.
    pub etcd_keyfile: Option<String>,
    /// `etcd.local.dataDir`.
    pub etcd_data_dir: &'a str,
    /// `networking.serviceSubnet`.
    pub service_subnet: &'a str,
    /// `networking.podSubnet`, may be empty.
    pub pod_subnet: &'a str,
    /// `networking.dnsDomain`.
    pub dns_domain: &'a str,
    /// `clusterName`.
    pub cluster_name: &'a str,
    /// Names of the flags that the user sets: the template's own of that name are left out.
    pub overridden: Vec<&'a str>,
    /// The user's flags as words of the command, in the user's order.
    pub extra_args: Vec<String>,
    /// The user's environment, each name once, sorted.
    #[serde(skip)]
    pub env: Vec<Value>,
    /// Host paths, in the order of the container's mounts.
    pub mounts: Vec<HostMount>,
    /// Where the kubelet probes.
    pub probe: Probe,
}

/// A path of the host in the container.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HostMount {
    /// Name of the volume.
    pub name: String,
    /// Path on the host.
    pub host_path: String,
    /// Path in the container.
    pub mount_path: String,
    /// `hostPath.type`.
    pub path_type: String,
    /// Mounted read-only.
    pub read_only: bool,
}

/// The kubelet's probes.
#[derive(Debug, Serialize)]
pub(super) struct Probe {
    /// Absent when the component listens on all addresses: the kubelet then takes the pod's.
    pub host: Option<String>,
    /// By number: a named port would need a `ports` entry, of which the kubelet admits one per host port.
    pub port: u16,
    /// HTTP or HTTPS.
    pub scheme: Scheme,
    /// The whole of `timeouts.controlPlaneComponentHealthCheck`: failures of a startup probe with a period of one second, or
    /// the delay of a liveness probe without one.
    pub startup_seconds: u32,
}

impl<'a> Context<'a> {
    pub(super) fn new(component: Component, config: &'a Config, node: &'a NodeInputs) -> Self {
        let cluster = &config.cluster;
        let advertise_host = probe::bracketed(&config.advertise_address.to_string());
        let loopback_host = if config.advertise_address.is_ipv6() { "[::1]" } else { "127.0.0.1" };
        let client_url = format!("https://{advertise_host}:2379");
        let extra_args = component.extra_args(config);
        let pki = &cluster.certificates_dir;
        // It takes a file of one certificate only (pkg/controller/certificates/signer/ca_provider.go).
        let signer = if node.successor { CertificateId::Ca.cross() } else { "ca.crt".into() };
        Self {
            component,
            image: configured_image(component, config),
            mounted_files_digest: node.mounted.get(&component).map(String::as_str),
            minor: cluster.release.minor,
            pki,
            kubeconfig: kubeconfig(component),
            signing_certificate: if node.external_ca { String::new() } else { format!("{pki}/{signer}") },
            signing_key: if node.external_ca { String::new() } else { format!("{pki}/ca.key") },
            node_name: &config.node.name,
            advertise_address: config.advertise_address,
            bind_port: config.bind_port,
            loopback_host,
            peer_url: format!("https://{advertise_host}:2380"),
            advertise_host,
            etcd_servers: etcd_servers(config, loopback_host),
            etcd_cafile: etcd_file(config, "etcd/ca.crt", |etcd| &etcd.ca_file),
            etcd_certfile: etcd_file(config, "apiserver-etcd-client.crt", |etcd| &etcd.cert_file),
            etcd_keyfile: etcd_file(config, "apiserver-etcd-client.key", |etcd| &etcd.key_file),
            client_url,
            etcd_data_dir: &cluster.etcd.data_dir,
            service_subnet: &cluster.networking.service_subnet,
            pod_subnet: &cluster.networking.pod_subnet,
            dns_domain: &cluster.networking.dns_domain,
            cluster_name: &cluster.name,
            overridden: extra_args.iter().map(|arg| arg.name.as_str()).collect(),
            extra_args: extra_args.iter().map(|arg| format!("--{}={}", arg.name, arg.value)).collect(),
            env: environment(component.extra_envs(config)),
            mounts: mounts(component, config, node),
            probe: Probe {
                host: probe::kubelet_host(component, config),
                port: probe::endpoint(component, config).port,
                scheme: probe::endpoint(component, config).scheme,
                startup_seconds: startup_seconds(config),
            },
        }
    }
}

fn etcd_servers(config: &Config, loopback_host: &str) -> String {
    if let Some(external) = &config.cluster.external_etcd {
        return external.endpoints.iter().map(|member| member.url.as_str()).collect::<Vec<_>>().join(",");
    }
    // kubeadm follows the URLs that etcd advertises when the user moves them.
    let advertised = Component::Etcd.argument(config, "advertise-client-urls");
    advertised.map_or_else(|| format!("https://{loopback_host}:2379"), str::to_owned)
}

/// A file for the API server's way to etcd: of our own authority, or the user's.
pub(super) fn etcd_file(config: &Config, own: &str, users: fn(&ExternalEtcd) -> &Option<String>) -> Option<String> {
    match &config.cluster.external_etcd {
        Some(external) => users(external).clone(),
        None => Some(format!("{}/{own}", config.cluster.certificates_dir)),
    }
}

/// The variables that exist for every template; one that uses another would silently see nothing in an `if`.
pub fn context_keys(config: &Config) -> Result<Vec<String>, String> {
    let node = NodeInputs::default();
    let context = serde_json::to_value(Context::new(Component::Etcd, config, &node)).map_err(|e| e.to_string())?;
    let keys = context.as_object().into_iter().flat_map(serde_json::Map::keys).cloned();
    Ok(keys.chain(["digest".into(), "env".into()]).collect())
}

fn kubeconfig(component: Component) -> String {
    match component {
        Component::Etcd | Component::ApiServer => String::new(),
        Component::ControllerManager => layout::kubeconfig("controller-manager.conf"),
        Component::Scheduler => layout::kubeconfig("scheduler.conf"),
    }
}

fn startup_seconds(config: &Config) -> u32 {
    let timeout = config.timeouts.control_plane_component_health_check;
    let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
    // The field of the API is an int32.
    u32::try_from(seconds).unwrap_or(u32::MAX).clamp(1, i32::MAX.cast_unsigned())
}

/// Of a repeated name the last counts; sorted by name, bytewise (kubeadm: `util/env.go`).
fn environment(variables: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = vec![];
    for variable in variables {
        merged.retain(|earlier| earlier["name"] != variable["name"]);
        merged.push(without_nulls(variable));
    }
    merged.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    merged
}

/// A null member is an absent one in the API.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        _ => value.clone(),
    }
}

/// kubeadm: `phases/controlplane/volumes.go` and `phases/etcd/local.go`.
fn mounts(component: Component, config: &Config, node: &NodeInputs) -> Vec<HostMount> {
    let pki = &config.cluster.certificates_dir;
    let directory = |name: &str, path: &str, read_only| HostMount::new(name, path, "DirectoryOrCreate", read_only);
    let mut mounts = match component {
        Component::Etcd => {
            // etcd writes its data; the order is kubeadm's.
            return vec![
                directory("etcd-data", &config.cluster.etcd.data_dir, false),
                directory("etcd-certs", &format!("{pki}/etcd"), false),
            ];
        }
        Component::ApiServer | Component::ControllerManager => {
            let trusted = node.ca_directories.iter().map(|path| {
                let name = path.trim_start_matches('/').replace('/', "-");
                directory(&name, path, true)
            });
            let always = [directory("k8s-certs", pki, true), directory("ca-certs", "/etc/ssl/certs", true)];
            let etcd = if component == Component::ApiServer { etcd_directories(config) } else { vec![] };
            let etcd = etcd.iter().enumerate().map(|(i, path)| directory(&format!("etcd-certs-{i}"), path, true));
            always.into_iter().chain(trusted).chain(etcd).collect()
        }
        Component::Scheduler => vec![],
    };
    if !kubeconfig(component).is_empty() {
        mounts.push(HostMount::new("kubeconfig", &kubeconfig(component), "FileOrCreate", true));
    }
    for extra in component.extra_volumes(config) {
        mounts.retain(|mount| mount.name != extra.name);
        mounts.push(extra.into());
    }
    mounts.sort_by(|a, b| a.name.cmp(&b.name));
    mounts
}

/// Directories of the files for an external etcd, each once and none below another or below what is mounted anyway
/// (kubeadm: `getEtcdCertVolumes`, which takes `/etc/etcd-2` to lie below `/etc/etcd`).
fn etcd_directories(config: &Config) -> Vec<String> {
    let Some(external) = &config.cluster.external_etcd else { return vec![] };
    let mounted = [config.cluster.certificates_dir.as_str(), "/etc/ssl/certs"];
    let mounted: Vec<&str> = mounted.into_iter().chain(layout::HOST_CA_DIRECTORIES).collect();
    let files = [&external.ca_file, &external.cert_file, &external.key_file];
    let directories = files.into_iter().flatten().filter_map(|file| file.rsplit_once('/'));
    let mut directories: Vec<String> =
        directories.map(|(directory, _)| if directory.is_empty() { "/" } else { directory }.to_owned()).collect();
    directories.sort();
    directories.dedup();
    let below = |path: &str, parent: &str| Path::new(path).starts_with(parent);
    let all = directories.clone();
    directories.retain(|path| {
        let covered = all.iter().any(|other| other != path && below(path, other));
        !covered && !mounted.iter().any(|parent| below(path, parent))
    });
    directories
}

impl HostMount {
    fn new(name: &str, path: &str, path_type: &str, read_only: bool) -> Self {
        let (host_path, mount_path) = (path.into(), path.into());
        Self { name: name.into(), host_path, mount_path, path_type: path_type.into(), read_only }
    }
}

impl From<&HostPathMount> for HostMount {
    fn from(extra: &HostPathMount) -> Self {
        Self {
            name: extra.name.clone(),
            host_path: extra.host_path.clone(),
            mount_path: extra.mount_path.clone(),
            path_type: extra.path_type.clone(),
            read_only: extra.read_only,
        }
    }
}
