//! upload-config: what kubeadm and the kubelets of later nodes read (`phases/uploadconfig`, `phases/kubelet`).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Object, config_map, rbac, sign};
use crate::config::{Arg, Cluster, Component, Config, EtcdUrl, ExternalEtcd, KeyAlgorithm, LocalEtcd};
use crate::error::Result;
use crate::kubelet;
use crate::manifest::yaml;
use crate::phase;

const SYSTEM: &str = "kube-system";

/// The ClusterConfiguration, and who may read it.
pub(super) fn kubeadm(config: &Config) -> Vec<Object> {
    let name = "kubeadm-config";
    let text = yaml::block(&cluster_configuration(config));
    let readers = [rbac::group(rbac::BOOTSTRAPPERS), rbac::group(rbac::NODES)];
    let mut objects = vec![Object::new(config_map(SYSTEM, name, "ClusterConfiguration", &text))];
    objects.extend(rbac::may_get(SYSTEM, "kubeadm:nodes-kubeadm-config", ("configmaps", name), &readers));
    objects
}

/// The KubeletConfiguration, and who may read it.
pub(super) fn kubelet(config: &Config) -> Result<Vec<Object>> {
    let name = "kubelet-config";
    let mut map = config_map(SYSTEM, name, "kubelet", &kubelet::shared(config)?);
    if config.kubelet.is_empty() {
        sign(&mut map);
    }
    let readers = [rbac::group(rbac::NODES), rbac::group(rbac::BOOTSTRAPPERS)];
    let mut objects = vec![Object::new(map)];
    objects.extend(rbac::may_get(SYSTEM, "kubeadm:kubelet-config", ("configmaps", name), &readers));
    Ok(objects)
}

/// `kubeadm.k8s.io/v1beta4` ClusterConfiguration with every default filled in; kubeadm's upgrade and join read it back.
pub(crate) fn cluster_configuration(config: &Config) -> Value {
    let cluster = &config.cluster;
    let mut api_server = component(&cluster.api_server);
    put(&mut api_server, "certSANs", json!(cluster.api_server_cert_sans));
    let addon = |phase| {
        let mut fields = Map::new();
        if phase::is_skipped(phase, &config.skip_phases) {
            fields.insert("disabled".into(), true.into());
        }
        fields
    };
    let mut dns = addon("addon/coredns");
    put(&mut dns, "imageRepository", json!(cluster.dns.image_repository));
    put(&mut dns, "imageTag", json!(cluster.dns.image_tag));
    let mut document = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "apiServer": api_server,
        "caCertificateValidityPeriod": duration(cluster.ca_certificate_validity),
        "certificateValidityPeriod": duration(cluster.certificate_validity),
        "certificatesDir": cluster.certificates_dir,
        "clusterName": cluster.name,
        "controllerManager": component(&cluster.controller_manager),
        "dns": dns,
        "encryptionAlgorithm": algorithm(cluster.key_algorithm),
        "etcd": etcd(cluster),
        "imageRepository": cluster.image_repository,
        "kubernetesVersion": cluster.version.to_string(),
        "networking": networking(cluster),
        "proxy": addon("addon/kube-proxy"),
        "scheduler": component(&cluster.scheduler),
    });
    if !cluster.feature_gates.is_empty() {
        document["featureGates"] = json!(cluster.feature_gates);
    }
    if let Some(endpoint) = &cluster.control_plane_endpoint {
        let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
        document["controlPlaneEndpoint"] = json!(format!("{host}:{}", endpoint.port));
    }
    document
}

fn networking(cluster: &Cluster) -> Map<String, Value> {
    let networking = &cluster.networking;
    let mut fields = Map::new();
    put(&mut fields, "dnsDomain", json!(networking.dns_domain));
    put(&mut fields, "podSubnet", json!(networking.pod_subnet));
    put(&mut fields, "serviceSubnet", json!(networking.service_subnet));
    fields
}

fn component(component: &Component) -> Map<String, Value> {
    let volumes: Vec<_> = component
        .extra_volumes
        .iter()
        .map(|volume| {
            let mut fields = Map::new();
            put(&mut fields, "name", json!(volume.name));
            put(&mut fields, "hostPath", json!(volume.host_path));
            put(&mut fields, "mountPath", json!(volume.mount_path));
            put(&mut fields, "pathType", json!(volume.path_type));
            if volume.read_only {
                put(&mut fields, "readOnly", json!(true));
            }
            fields
        })
        .collect();
    let mut fields = Map::new();
    put(&mut fields, "extraArgs", args(&component.extra_args));
    put(&mut fields, "extraEnvs", json!(component.extra_envs));
    put(&mut fields, "extraVolumes", json!(volumes));
    fields
}

fn etcd(cluster: &Cluster) -> Value {
    match &cluster.external_etcd {
        Some(external) => json!({"external": external_etcd(external)}),
        None => json!({"local": local_etcd(&cluster.etcd)}),
    }
}

fn external_etcd(etcd: &ExternalEtcd) -> Map<String, Value> {
    let urls = |members: &[EtcdUrl]| members.iter().map(|member| json!(member.url)).collect::<Value>();
    let mut fields = Map::new();
    put(&mut fields, "endpoints", urls(&etcd.endpoints));
    let http = if etcd.http_endpoints.is_empty() { &etcd.endpoints } else { &etcd.http_endpoints };
    put(&mut fields, "httpEndpoints", urls(http));
    // kubeadm has these three even when they are empty.
    for (name, file) in [("caFile", &etcd.ca_file), ("certFile", &etcd.cert_file), ("keyFile", &etcd.key_file)] {
        fields.insert(name.to_owned(), json!(file.clone().unwrap_or_default()));
    }
    fields
}

fn local_etcd(etcd: &LocalEtcd) -> Map<String, Value> {
    let mut fields = Map::new();
    put(&mut fields, "dataDir", json!(etcd.data_dir));
    put(&mut fields, "imageRepository", json!(etcd.image_repository));
    put(&mut fields, "imageTag", json!(etcd.image_tag));
    put(&mut fields, "extraArgs", args(&etcd.extra_args));
    put(&mut fields, "extraEnvs", json!(etcd.extra_envs));
    put(&mut fields, "serverCertSANs", json!(etcd.server_cert_sans));
    put(&mut fields, "peerCertSANs", json!(etcd.peer_cert_sans));
    fields
}

fn args(args: &[Arg]) -> Value {
    args.iter().map(|Arg { name, value }| json!({"name": name, "value": value})).collect()
}

/// Sets a field, unless there is nothing to set it to.
fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let nothing = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if !nothing {
        fields.insert(name.to_owned(), value);
    }
}

fn algorithm(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::Rsa2048 => "RSA-2048",
        KeyAlgorithm::Rsa3072 => "RSA-3072",
        KeyAlgorithm::Rsa4096 => "RSA-4096",
        KeyAlgorithm::EcdsaP256 => "ECDSA-P256",
        KeyAlgorithm::EcdsaP384 => "ECDSA-P384",
    }
}

/// A duration in Go's notation, `8760h0m0s`; below a second it is told in nanoseconds, which Go reads, too.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let whole = format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match duration.subsec_nanos() {
        0 => whole,
        nanos => format!("{whole}{nanos}ns"),
    }
}
