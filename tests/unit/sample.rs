//! A complete configuration to start from.

use std::time::Duration;

use kubekeel::config::{
    Arg, BootstrapToken, Cluster, Component, Config, Dns, KeyAlgorithm, LocalEtcd, Networking, NodeRegistration,
    PullPolicy, Taint, Timeouts,
};
use kubekeel::patch::Patches;
use kubekeel::release::NEWEST;

/// What `advertiseAddress: 192.0.2.10` and the node name `keel-1` make, everything else by default.
pub(crate) fn config() -> Config {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    Config {
        node: node(),
        advertise_address: [192, 0, 2, 10].into(),
        bind_port: 6443,
        cluster: cluster(),
        kubelet: serde_json::Map::new(),
        kube_proxy: serde_json::Map::new(),
        timeouts: Timeouts {
            control_plane_component_health_check: minutes(4),
            kubelet_health_check: minutes(4),
            kubernetes_api_call: minutes(1),
            etcd_api_call: minutes(2),
        },
        skip_phases: vec![],
        patches_directory: None,
        patches: Patches::default(),
        dry_run: false,
        bootstrap_tokens: vec![BootstrapToken::default()],
        upload_certificates: false,
        certificate_key: None,
        detected: vec![],
    }
}

/// A flag.
pub(crate) fn arg(name: &str, value: &str) -> Arg {
    Arg { name: name.into(), value: value.into() }
}

fn node() -> NodeRegistration {
    NodeRegistration {
        name: "keel-1".into(),
        hostname: "host".into(),
        cri_socket: "unix:///run/containerd/containerd.sock".into(),
        taints: vec![Taint {
            key: "node-role.kubernetes.io/control-plane".into(),
            value: String::new(),
            effect: "NoSchedule".into(),
        }],
        kubelet_extra_args: vec![],
        ignore_preflight_errors: vec![],
        image_pull_policy: PullPolicy::IfNotPresent,
        image_pull_serial: true,
    }
}

fn cluster() -> Cluster {
    Cluster {
        version: NEWEST.newest(),
        release: NEWEST,
        feature_gates: std::collections::BTreeMap::new(),
        name: "kubernetes".into(),
        control_plane_endpoint: None,
        certificates_dir: kubekeel::layout::PKI.into(),
        image_repository: "registry.k8s.io".into(),
        etcd: LocalEtcd {
            data_dir: kubekeel::layout::ETCD_DATA.into(),
            image_repository: None,
            image_tag: None,
            kept_tag: None,
            extra_args: vec![],
            extra_envs: vec![],
            server_cert_sans: vec![],
            peer_cert_sans: vec![],
        },
        external_etcd: None,
        dns: Dns::default(),
        networking: Networking {
            service_subnet: "10.96.0.0/12".into(),
            service_networks: vec!["10.96.0.0/12".parse().unwrap()],
            pod_subnet: String::new(),
            pod_networks: vec![],
            dns_domain: "cluster.local".into(),
        },
        api_server: Component::default(),
        api_server_cert_sans: vec![],
        controller_manager: Component::default(),
        scheduler: Component::default(),
        key_algorithm: KeyAlgorithm::EcdsaP256,
        certificate_validity: Duration::from_secs(365 * 86400),
        ca_certificate_validity: Duration::from_secs(3650 * 86400),
    }
}
