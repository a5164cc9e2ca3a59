//! `ClusterConfiguration` as it was given.

use std::collections::HashSet;

use super::etcd::{self, Etcd};
use super::fields::{Fields, Item};
use super::given::{Given, Wrong, quoted};
use super::init::{args, envs};
use super::{Component, HostPathMount, gates, value};

#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) etcd: Etcd,
    pub(super) service_subnet: Option<Given<String>>,
    pub(super) pod_subnet: Option<Given<String>>,
    pub(super) dns_domain: Option<Given<String>>,
    pub(super) version: Option<Given<String>>,
    pub(super) control_plane_endpoint: Option<Given<String>>,
    pub(super) api_server: Component,
    pub(super) api_server_cert_sans: Vec<Given<String>>,
    pub(super) controller_manager: Component,
    pub(super) scheduler: Component,
    pub(super) dns_disabled: bool,
    pub(super) proxy_disabled: bool,
    pub(super) dns_image_repository: Option<Given<String>>,
    pub(super) dns_image_tag: Option<Given<String>>,
    pub(super) certificates_dir: Option<Given<String>>,
    pub(super) image_repository: Option<Given<String>>,
    pub(super) feature_gates: Vec<(String, Given<bool>)>,
    pub(super) name: Option<Given<String>>,
    pub(super) encryption_algorithm: Option<Given<String>>,
    pub(super) certificate_validity: Option<Given<String>>,
    pub(super) ca_certificate_validity: Option<Given<String>>,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Cluster {
    let mut cluster = Cluster {
        feature_gates: fields.item("featureGates", gates::read).unwrap_or_default(),
        etcd: fields.object("etcd", etcd::read).unwrap_or_default(),
        version: fields.string("kubernetesVersion"),
        control_plane_endpoint: fields.string("controlPlaneEndpoint"),
        controller_manager: fields.object("controllerManager", component).unwrap_or_default(),
        scheduler: fields.object("scheduler", component).unwrap_or_default(),
        certificates_dir: fields.string("certificatesDir"),
        image_repository: fields.string("imageRepository"),
        name: fields.string("clusterName"),
        encryption_algorithm: fields.string("encryptionAlgorithm"),
        certificate_validity: fields.string("certificateValidityPeriod"),
        ca_certificate_validity: fields.string("caCertificateValidityPeriod"),
        ..Cluster::default()
    };
    fields.object("networking", |networking| {
        cluster.service_subnet = networking.string("serviceSubnet");
        cluster.pod_subnet = networking.string("podSubnet");
        cluster.dns_domain = networking.string("dnsDomain");
    });
    fields.object("apiServer", |server| {
        cluster.api_server = component(server);
        cluster.api_server_cert_sans = server.strings("certSANs").unwrap_or_default();
    });
    fields.object("dns", |dns| {
        cluster.dns_disabled = dns.boolean("disabled").unwrap_or_default();
        cluster.dns_image_repository = dns.string("imageRepository");
        cluster.dns_image_tag = dns.string("imageTag");
    });
    fields.object("proxy", |proxy| cluster.proxy_disabled = proxy.boolean("disabled").unwrap_or_default());
    cluster
}

fn component(fields: &mut Fields<'_>) -> Component {
    Component {
        extra_args: args(fields, "extraArgs"),
        extra_envs: envs(fields),
        extra_volumes: fields.item("extraVolumes", volumes).unwrap_or_default(),
    }
}

fn volumes(item: Item<'_>) -> Option<Vec<HostPathMount>> {
    let mut volumes = item.list(|item| item.object(volume).flatten().map(|volume| (item.origin(), volume)))?;
    for (what, value) in [("name", (|v| &v.name) as fn(&HostPathMount) -> &String), ("mountPath", |v| &v.mount_path)] {
        let mut seen = HashSet::new();
        for (origin, volume) in &volumes {
            if !seen.insert(value(volume)) {
                let message = format!("another volume has the same {what} {}", quoted(value(volume)));
                item.problems.add(origin, Wrong::new(message));
            }
        }
    }
    Some(volumes.drain(..).map(|(_, volume)| volume).collect())
}

/// `core/v1` `HostPathType`.
const PATH_TYPES: [&str; 7] =
    ["DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

fn volume(fields: &mut Fields<'_>) -> Option<HostPathMount> {
    let [name, host_path, mount_path] = ["name", "hostPath", "mountPath"].map(|name| {
        let given = fields.string(name);
        if given.is_none() {
            fields.missing(name);
        }
        given
    });
    let read_only = fields.boolean("readOnly").unwrap_or_default();
    let path_type = fields.string("pathType");
    let problems = fields.problems();
    let path_type = path_type.and_then(|given| given.check(problems, |text| value::one_of(text, &PATH_TYPES)));
    let name = name.and_then(|given| given.check(problems, |name| value::volume_name(name)));
    let host_path = host_path.and_then(|given| given.check(problems, |path| value::host_path(path)));
    let mount_path = mount_path.and_then(|given| given.check(problems, |path| value::mount_path(path)));
    Some(HostPathMount {
        name: name?,
        host_path: host_path?,
        mount_path: mount_path?,
        read_only,
        path_type: path_type.unwrap_or_default(),
    })
}
