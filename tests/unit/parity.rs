//! Our static pods and kubelet files against what kubeadm made of the same configuration.
//!
//! `tests/data/manifest/regenerate.sh` writes kubeadm's side; a case is a directory there and a configuration here.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use kubekeel::config::{Config, Endpoint, EtcdUrl, ExternalEtcd, HostPathMount};
use kubekeel::layout::HOST_CA_DIRECTORIES;
use kubekeel::manifest::{Component, NodeInputs, components, render};
use kubekeel::release;
use serde_json::{Value, json};

use crate::difference::{differences, intended, meaningful};
use crate::sample::{self, arg};

fn cases() -> [(&'static str, Config); 11] {
    [
        ("default", sample::config()),
        ("pod-subnet", with(|c| networks(c, "10.96.0.0/12", "10.244.0.0/16"))),
        ("ipv6", ipv6()),
        ("dual-stack", with(|c| networks(c, "10.96.0.0/16,fd00:10:96::/112", "10.244.0.0/16,fd00:10:244::/56"))),
        ("release-1.36", release_1_36()),
        ("authorization-config", authorization_config()),
        ("listeners", listeners()),
        ("places", places()),
        ("extras", extras()),
        ("external-etcd", external_etcd()),
        ("external-etcd-plain", external_etcd_plain()),
    ]
}

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = sample::config();
    change(&mut config);
    config
}

/// Sets the networks as they are written in a configuration file.
fn networks(config: &mut Config, service: &str, pod: &str) {
    let parse = |networks: &str| networks.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    let networking = &mut config.cluster.networking;
    (networking.service_networks, networking.service_subnet) = (parse(service), service.into());
    (networking.pod_networks, networking.pod_subnet) = (parse(pod), pod.into());
}

fn ipv6() -> Config {
    with(|config| {
        config.advertise_address = "2001:db8::10".parse().unwrap();
        networks(config, "fd00:10:96::/112", "fd00:10:244::/56");
    })
}

fn release_1_36() -> Config {
    with(|config| {
        config.cluster.release = release::release(36).unwrap();
        config.cluster.version = "v1.36.3".parse().unwrap();
        networks(config, "10.96.0.0/12", "10.244.0.0/16");
    })
}

fn authorization_config() -> Config {
    with(|config| {
        config.cluster.api_server.extra_args = vec![
            arg("authorization-config", "/etc/kubernetes/policy/authorization.yaml"),
            arg("service-account-issuer", "https://issuer.example"),
            arg("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        ];
        let policy = "/etc/kubernetes/policy";
        config.cluster.api_server.extra_volumes = vec![volume("policy", policy, policy, true, "Directory")];
    })
}

fn listeners() -> Config {
    with(|config| {
        config.cluster.etcd.extra_args = vec![
            arg("listen-metrics-urls", "https://192.0.2.10:3381,http://127.0.0.1:2381"),
            arg("advertise-client-urls", "https://192.0.2.10:2379,https://etcd.example:2379"),
        ];
        config.cluster.api_server.extra_args = vec![arg("bind-address", "192.0.2.11")];
        config.cluster.controller_manager.extra_args =
            vec![arg("bind-address", "127.0.0.2"), arg("bind-address", "0.0.0.0")];
        config.cluster.scheduler.extra_args = vec![arg("bind-address", "::1")];
    })
}

fn places() -> Config {
    with(|config| {
        config.bind_port = 7443;
        config.timeouts.control_plane_component_health_check = Duration::from_secs(65);
        networks(config, "10.32.0.0/22", "");
        let cluster = &mut config.cluster;
        cluster.networking.dns_domain = "keel.example".into();
        cluster.name = "keel".into();
        cluster.certificates_dir = "/srv/pki".into();
        cluster.image_repository = "mirror.example/k8s".into();
        cluster.etcd.data_dir = "/srv/etcd".into();
        cluster.etcd.image_repository = Some("mirror.example/etcd-io".into());
        cluster.etcd.image_tag = Some("3.7.9-1".into());
    })
}

fn extras() -> Config {
    with(|config| {
        let cluster = &mut config.cluster;
        cluster.etcd.extra_args = vec![arg("snapshot-count", "5000"), arg("quota-backend-bytes", "8589934592")];
        cluster.etcd.extra_envs =
            vec![json!({"name": "GOMEMLIMIT", "value": "2GiB"}), json!({"name": "ETCD_LOGGER", "value": "yes"})];
        cluster.api_server.extra_args = vec![
            arg("tls-sni-cert-key", "/srv/b.crt,/srv/b.key"),
            arg("tls-sni-cert-key", "/srv/a.crt,/srv/a.key"),
            arg("authorization-mode", "Node,RBAC,Webhook"),
            arg("requestheader-allowed-names", ""),
        ];
        cluster.api_server.extra_envs = vec![
            json!({"name": "ZONE", "value": "on"}),
            json!({"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}),
            json!({"name": "ZONE", "value": "1_000"}),
        ];
        let (audit, log) = ("/etc/kubernetes/audit.yaml", "/var/log/audit");
        cluster.api_server.extra_volumes = vec![
            volume("audit", log, log, false, "DirectoryOrCreate"),
            volume("ca-certs", "/srv/trust", "/etc/ssl/certs", true, ""),
            volume("zz-policy", audit, audit, true, "File"),
        ];
        cluster.controller_manager.extra_args = vec![
            arg("controllers", "*,-nodelifecycle"),
            arg("flex-volume-plugin-dir", "/path with spaces/# \" \\ é😀"),
        ];
        let kubeconfig = "/etc/kubernetes/controller-manager.conf";
        cluster.controller_manager.extra_volumes =
            vec![volume("kubeconfig", "/srv/controller-manager.conf", kubeconfig, true, "File")];
        cluster.scheduler.extra_args = vec![arg("v", "4")];
        cluster.scheduler.extra_envs = vec![json!({"name": "A", "value": "a: b\nc"})];
        config.node.kubelet_extra_args = vec![arg("node-labels", "zone=a,rack=1"), arg("v", "2")];
        let kubelet = json!({
            "maxPods": 200, "cgroupDriver": "cgroupfs", "authentication": {"anonymous": {"enabled": true}},
            "healthzPort": 0, "clusterDNS": ["10.96.0.53"], "evictionHard": {"memory.available": "200Mi"},
            "featureGates": {"NodeSwap": true}, "resolvConf": "/run/resolv.conf",
        });
        config.kubelet.clone_from(kubelet.as_object().unwrap());
    })
}

fn member(url: &str) -> EtcdUrl {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, port) = rest.rsplit_once(':').unwrap();
    let endpoint = Endpoint { host: host.trim_matches(['[', ']']).into(), port: port.parse().unwrap() };
    EtcdUrl { url: url.into(), endpoint, tls: scheme == "https" }
}

fn external_etcd() -> Config {
    with(|config| {
        config.cluster.external_etcd = Some(ExternalEtcd {
            endpoints: vec![member("https://etcd-1.example.com:2379"), member("https://[2001:db8::2]:2379")],
            http_endpoints: vec![],
            ca_file: Some("/srv/etcd/authority/ca.crt".into()),
            cert_file: Some("/srv/etcd/client.crt".into()),
            key_file: Some("/srv/private/client.key".into()),
        });
    })
}

fn external_etcd_plain() -> Config {
    with(|config| {
        config.cluster.api_server.extra_args = vec![arg("etcd-prefix", "/blue")];
        config.cluster.external_etcd =
            Some(ExternalEtcd { endpoints: vec![member("http://192.0.2.20:2379")], ..ExternalEtcd::default() });
    })
}

fn volume(name: &str, host_path: &str, mount_path: &str, read_only: bool, path_type: &str) -> HostPathMount {
    let (name, host_path, mount_path) = (name.into(), host_path.into(), mount_path.into());
    HostPathMount { name, host_path, mount_path, read_only, path_type: path_type.into() }
}

#[test]
fn static_pods_are_those_of_kubeadm() {
    let table = intended();
    let mut used = BTreeSet::new();
    let mut unintended = vec![];
    for (case, config) in cases() {
        for component in components(&config) {
            let (theirs, ours) = pods(case, component, &config);
            probes_are_kept(component, &config, &theirs, &ours);
            for path in differences(&theirs, &ours, "") {
                match table.iter().position(|row| row.is_about(component.name(), &path)) {
                    Some(row) => _ = used.insert(row),
                    None => unintended.push(format!("{case}/{component}: {path}")),
                }
            }
        }
    }
    assert!(unintended.is_empty(), "{unintended:#?}");
    let unused: Vec<&str> = (0..table.len()).filter(|row| !used.contains(row)).map(|i| &*table[i].path).collect();
    assert!(unused.is_empty(), "no case needs {unused:?}");
}

#[test]
fn static_pods_of_kubeadm_are_recognised_and_edited_ones_are_not() {
    for (case, config) in cases() {
        for component in kubekeel::manifest::components(&config) {
            let node = node(case);
            let mut theirs = parse(&data(&format!("{case}/{component}.yaml")));
            assert!(kubekeel::adopt::is_same(component, &config, &node, &theirs).unwrap(), "{case}/{component}");
            theirs["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = json!(11);
            assert!(!kubekeel::adopt::is_same(component, &config, &node, &theirs).unwrap(), "{case}/{component}");
        }
    }
}

/// What the listed differences of the probes must amount to.
fn probes_are_kept(component: Component, config: &Config, theirs: &Value, ours: &Value) {
    let (theirs, ours) = (&theirs["spec"]["containers"][0], &ours["spec"]["containers"][0]);
    let allowed = config.timeouts.control_plane_component_health_check.as_secs();
    // The time that a start may take stays: as failures of a probe every second, or as the liveness probe's delay.
    let start = match component {
        Component::Scheduler => &ours["livenessProbe"]["initialDelaySeconds"],
        _ => &ours["startupProbe"]["failureThreshold"],
    };
    assert_eq!(*start, allowed, "{component}");
    for probe in
        ["livenessProbe", "readinessProbe", "startupProbe"].into_iter().filter(|probe| ours.get(probe).is_some())
    {
        assert_eq!(ours[probe]["httpGet"]["port"], theirs["ports"][0]["containerPort"], "{component} {probe}");
    }
}

#[test]
fn kubelet_files_are_those_of_kubeadm() {
    for (case, config) in cases() {
        let [ours, instance, flags] = kubekeel::kubelet::files(&config, false).unwrap().try_into().unwrap();
        let theirs = meaningful(&parse(&data(&format!("{case}/kubelet.yaml"))));
        assert_eq!(meaningful(&parse(&ours.text)), theirs, "{case}");
        assert_eq!(parse(&instance.text), parse(&data(&format!("{case}/instance-config.yaml"))), "{case}");
        assert_eq!(flags.text, data(&format!("{case}/kubeadm-flags.env")), "{case}");
    }
}

/// kubeadm's pod and ours, for the node on which kubeadm ran.
fn pods(case: &str, component: Component, config: &Config) -> (Value, Value) {
    let theirs = parse(&data(&format!("{case}/{component}.yaml")));
    let ours = parse(&render(component, config, &node(case)).unwrap().text);
    (theirs, ours)
}

/// kubeadm mounted what its host had.
fn node(case: &str) -> NodeInputs {
    let api_server = data(&format!("{case}/kube-apiserver.yaml"));
    let present = HOST_CA_DIRECTORIES.iter().filter(|path| api_server.contains(&format!("path: {path}\n")));
    NodeInputs { ca_directories: present.map(|&path| path.into()).collect(), ..NodeInputs::default() }
}

fn parse(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn data(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/manifest").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
