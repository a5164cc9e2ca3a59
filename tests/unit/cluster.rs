//! The objects that go into the cluster, as a function of the configuration.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use kubekeel::cluster::{self, Known, Object, Part};
use kubekeel::config::{BootstrapToken, Config, Endpoint, EtcdUrl, ExternalEtcd, HostPathMount, Lifetime};
use kubekeel::kubeconfig::Kubeconfig;
use kubekeel::release;
use kubekeel::token::{CertificateKey, Token};
use serde_json::{Value, json};

use crate::sample::{self, arg};

fn objects(config: &Config, live: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let known = Known { authority: "CA", live };
    let all = cluster::all(&Part::ALL, config, known).unwrap();
    all.iter().map(|object| (object.title(), object.body().clone())).collect()
}

#[test]
fn objects_of_a_default_configuration() {
    insta::assert_json_snapshot!(objects(&sample::config(), &BTreeMap::new()));
}

#[test]
fn every_setting_of_the_cluster_is_uploaded() {
    let mut config = sample::config();
    let mount = HostPathMount {
        name: "audit".into(),
        host_path: "/var/log/audit".into(),
        mount_path: "/audit".into(),
        read_only: true,
        path_type: "Directory".into(),
    };
    let cluster = &mut config.cluster;
    cluster.control_plane_endpoint = Some(Endpoint { host: "fd00::1".into(), port: 8443 });
    cluster.api_server_cert_sans = vec!["api.example.com".into()];
    cluster.api_server.extra_args = vec![arg("v", "2"), arg("v", "yes")];
    cluster.api_server.extra_volumes = vec![mount];
    cluster.scheduler.extra_envs = vec![json!({"name": "TZ", "value": "UTC"})];
    cluster.etcd.image_tag = Some("3.7.0-1".into());
    cluster.etcd.server_cert_sans = vec!["etcd.example.com".into()];
    cluster.certificate_validity = Duration::from_millis(5_400_500);
    cluster.dns.image_repository = Some("dns.example.com".into());
    cluster.dns.image_tag = Some("v1.13.0".into());
    cluster.feature_gates.insert("RootlessControlPlane".into(), false);
    config.skip_phases = vec!["addon/kube-proxy".into()];
    let objects = objects(&config, &BTreeMap::new());
    let text = objects["ConfigMap kube-system/kubeadm-config"]["data"]["ClusterConfiguration"].as_str().unwrap();
    insta::assert_snapshot!(text);
}

/// As kubeadm v1.37.2 uploads it.
#[test]
fn an_external_etcd_is_uploaded_with_its_files() {
    let mut config = sample::config();
    let endpoint = Endpoint { host: "192.0.2.20".into(), port: 2379 };
    let member = EtcdUrl { url: "https://192.0.2.20:2379".into(), endpoint, tls: true };
    let ca_file = Some("/srv/ca.crt".to_owned());
    config.cluster.external_etcd = Some(ExternalEtcd { endpoints: vec![member], ca_file, ..ExternalEtcd::default() });
    let objects = objects(&config, &BTreeMap::new());
    let text = objects["ConfigMap kube-system/kubeadm-config"]["data"]["ClusterConfiguration"].as_str().unwrap();
    let uploaded: Value = serde_yaml::from_str(text).unwrap();
    let urls = json!(["https://192.0.2.20:2379"]);
    let external =
        json!({"caFile": "/srv/ca.crt", "certFile": "", "endpoints": urls, "httpEndpoints": urls, "keyFile": ""});
    assert_eq!(uploaded["etcd"], json!({"external": external}));
    let files = cluster::uploaded_files(&config);
    assert_eq!(files.last(), Some(&("external-etcd-ca.crt", "/srv/ca.crt".to_owned())));
    assert!(files.iter().all(|(_, path)| !path.contains("etcd/ca")));
}

#[test]
fn what_the_user_changed_of_coredns_stays() {
    let live = BTreeMap::from([
        ("ConfigMap kube-system/coredns".to_owned(), json!({"data": {"Corefile": ".:53 {}"}})),
        ("Deployment kube-system/coredns".to_owned(), json!({"spec": {"replicas": 5}})),
    ]);
    let objects = objects(&sample::config(), &live);
    assert_eq!(objects["ConfigMap kube-system/coredns"]["data"]["Corefile"], ".:53 {}");
    assert_eq!(objects["Deployment kube-system/coredns"]["spec"]["replicas"], 5);
}

#[test]
fn images_follow_the_release_and_the_repository() {
    let mut config = sample::config();
    let images = |config: &Config| {
        let objects = objects(config, &BTreeMap::new());
        ["Deployment kube-system/coredns", "DaemonSet kube-system/kube-proxy"]
            .map(|title| objects[title]["spec"]["template"]["spec"]["containers"][0]["image"].clone())
    };
    assert_eq!(images(&config), ["registry.k8s.io/coredns/coredns:v1.14.6", "registry.k8s.io/kube-proxy:v1.37.2"]);
    config.cluster.release = release::release(36).unwrap();
    config.cluster.version = "v1.36.3+keel".parse().unwrap();
    config.cluster.image_repository = "mirror.example.com/k8s".into();
    assert_eq!(
        images(&config),
        ["mirror.example.com/k8s/coredns:v1.14.2", "mirror.example.com/k8s/kube-proxy:v1.36.3_keel"]
    );
    config.cluster.dns.image_repository = Some("registry.k8s.io".into());
    config.cluster.dns.image_tag = Some("v1.13.0".into());
    assert_eq!(images(&config)[0], "registry.k8s.io/coredns/coredns:v1.13.0");
}

#[test]
fn a_token_is_what_its_secret_says_and_serves_while_it_lives() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_700);
    let (token, wanted): (Token, _) = ("abcdef.0123456789abcdef".parse().unwrap(), BootstrapToken::default());
    let secret = cluster::token_secret(&token, &wanted, now);
    insta::assert_json_snapshot!(secret.body());
    assert_eq!(cluster::token(secret.body()), Some(token.clone()));
    let [state] = &cluster::token_states(&[secret.body().clone(), json!({"data": null})])[..] else { panic!() };
    let day = Duration::from_secs(86_400);
    assert!(state.serves(&wanted, now) && !state.serves(&wanted, now + day));
    let named = |text: &str| BootstrapToken { token: Some(text.parse().unwrap()), ..BootstrapToken::default() };
    assert!(state.serves(&named("abcdef.0000000000000000"), now));
    assert!(!state.serves(&named("fedcba.0123456789abcdef"), now));
    assert!(!state.serves(&BootstrapToken { groups: vec!["system:bootstrappers:x".into()], ..wanted }, now));
    let until = |end| BootstrapToken { lifetime: Lifetime::Until(end), ..BootstrapToken::default() };
    let ends = |wanted: &BootstrapToken| {
        let secret = cluster::token_secret(&token, wanted, now);
        cluster::token_states(&[secret.body().clone()])[0].expires
    };
    assert_eq!(ends(&until(now + day)), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_086_400)));
    assert_eq!(ends(&BootstrapToken { lifetime: Lifetime::Endless, ..BootstrapToken::default() }), None);
    assert!(!format!("{secret:?}{state:?}").contains("MDEyMzQ1"), "no secret is shown");
}

#[test]
fn uploaded_certificates_are_a_nonce_and_a_sealed_text() {
    let digits = "07".repeat(32);
    let key: CertificateKey = digits.parse().unwrap();
    let sealed = cluster::encrypt(b"certificate", &key, [9; 12]).unwrap();
    assert_eq!((&sealed[..12], sealed.len()), (&[9; 12][..], 12 + 11 + 16));
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let mut text = sealed[12..].to_vec();
    let opened = cipher.open_in_place(Nonce::assume_unique_for_key([9; 12]), Aad::empty(), &mut text).unwrap();
    assert_eq!(opened, b"certificate");
    let owner = json!({"metadata": {"name": "bootstrap-token-abcdef", "uid": "1-2-3"}});
    let titles: Vec<_> =
        cluster::certificates_secret(&[("etcd/ca.crt", sealed)], &owner).iter().map(Object::title).collect();
    assert_eq!(titles[0], "Secret kube-system/kubeadm-certs");
}

#[test]
fn the_join_command_pins_the_key_of_the_authority() {
    let ca_pem = include_str!("../data/pki/RSA-2048/ca.crt").to_owned();
    let server = "https://192.0.2.10:6443".to_owned();
    let admin = Kubeconfig {
        server,
        ca_pem,
        user: String::new(),
        certificate_pem: None,
        certificate_file: None,
        key_pem: None,
    };
    let token = "abcdef.0123456789abcdef".parse().unwrap();
    let command = cluster::join_command(&admin, &token, None).unwrap();
    let (front, pin) = command.split_once(" --discovery-token-ca-cert-hash sha256:").unwrap();
    assert_eq!((front, pin.len()), ("kubeadm join 192.0.2.10:6443 --token abcdef.0123456789abcdef", 64));
    let key = "07".repeat(32).parse().unwrap();
    let command = cluster::join_command(&admin, &token, Some(&key)).unwrap();
    assert!(command.ends_with(&format!("{pin} --control-plane --certificate-key {}", "07".repeat(32))));
    assert!(cluster::join_command(&Kubeconfig { ca_pem: String::new(), ..admin }, &token, None).is_err());
}
