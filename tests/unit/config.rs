//! Loading: every default, every refusal, places, and text that nobody would write.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use kubekeel::config::{self, BootstrapToken, Config, Facts, KeyAlgorithm, Lifetime, Overrides, PullPolicy, Source};
use kubekeel::error::{Kind, Problem};
use kubekeel::release;
use serde_json::json;

mod hostile;
mod refused;

const FULL: &str = include_str!("../data/config/full.yaml");
const HORRIBLE: &str = include_str!("../data/config/horrible.yaml");
/// `kubeadm config print init-defaults` of v1.37.2.
const INIT_DEFAULTS: &str = include_str!("../data/config/init-defaults.yaml");

fn facts() -> Facts {
    Facts {
        hostname: Some("Node-1".into()),
        default_address: Some(IpAddr::from([192, 0, 2, 1])),
        cri_sockets: vec![],
        kubelet_version: None,
    }
}

fn load_with(text: &str, overrides: &Overrides, facts: &Facts) -> Result<Config, Vec<Problem>> {
    config::load(Some(Source { name: "c.yaml", text }), overrides, facts).map_err(|error| {
        assert_eq!(error.kind, Kind::Configuration);
        assert!(!error.problems.is_empty());
        error.problems
    })
}

fn flags(overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    config::load(None, overrides, &facts()).map_err(|error| error.problems)
}

fn load(text: &str) -> Result<Config, Vec<Problem>> {
    load_with(text, &Overrides::default(), &facts())
}

/// Fields below a kind, as a document; the fields begin at line 3.
fn document(kind: &str, fields: &str) -> String {
    let version = match kind {
        "KubeletConfiguration" => "kubelet.config.k8s.io/v1beta1",
        _ => "kubeadm.k8s.io/v1beta4",
    };
    format!("apiVersion: {version}\nkind: {kind}\n{fields}\n")
}

fn cluster(fields: &str) -> Result<Config, Vec<Problem>> {
    load(&document("ClusterConfiguration", fields))
}

fn init(fields: &str) -> Result<Config, Vec<Problem>> {
    load(&document("InitConfiguration", fields))
}

fn kubelet(fields: &str) -> Result<Config, Vec<Problem>> {
    let documents = [document("ClusterConfiguration", ""), document("KubeletConfiguration", fields)];
    load(&documents.join("---\n"))
}

fn rendered(problems: &[Problem]) -> String {
    let hint = |problem: &Problem| problem.hint.as_ref().map(|hint| format!("\n    {hint}")).unwrap_or_default();
    problems.iter().map(|problem| format!("{problem}{}\n", hint(problem))).collect::<Vec<_>>().concat()
}

/// One problem, `line:column subject: message`, whose message and hint contain `part`.
#[track_caller]
fn refused(result: Result<Config, Vec<Problem>>, place: &str, subject: &str, part: &str) {
    let problems = result.expect_err(part);
    let [problem] = problems.as_slice() else { panic!("{part}: {}", rendered(&problems)) };
    let found = problem.place.as_ref().map(|place| format!("{}:{}", place.line, place.column)).unwrap_or_default();
    let text = rendered(&problems);
    assert_eq!((found.as_str(), problem.subject.as_str()), (place, subject), "{text}");
    assert!(text.contains(part), "{part}: {text}");
}

#[test]
fn defaults_are_kubeadms_except_where_ours_are_safer() {
    let config = flags(&Overrides::default()).unwrap();
    let node = &config.node;
    assert_eq!((node.name.as_str(), node.hostname.as_str()), ("node-1", "node-1"));
    assert_eq!(node.cri_socket, "unix:///var/run/containerd/containerd.sock");
    let taints: Vec<_> = node.taints.iter().map(|t| (t.key.as_str(), t.value.as_str(), t.effect.as_str())).collect();
    assert_eq!(taints, [("node-role.kubernetes.io/control-plane", "", "NoSchedule")]);
    assert!(node.kubelet_extra_args.is_empty() && node.ignore_preflight_errors.is_empty());
    assert_eq!((node.image_pull_policy, node.image_pull_serial), (PullPolicy::IfNotPresent, true));
    assert_eq!((config.advertise_address.to_string().as_str(), config.bind_port), ("192.0.2.1", 6443));
    let cluster = &config.cluster;
    assert_eq!((&cluster.version, cluster.release), (&release::NEWEST.newest(), release::NEWEST));
    assert_eq!((cluster.name.as_str(), &cluster.control_plane_endpoint), ("kubernetes", &None));
    assert_eq!(cluster.certificates_dir, "/etc/kubernetes/pki");
    assert_eq!(cluster.image_repository, "registry.k8s.io");
    assert_eq!(cluster.etcd.data_dir, "/var/lib/etcd");
    assert_eq!((&cluster.etcd.image_repository, &cluster.etcd.image_tag), (&None, &None));
    let networking = &cluster.networking;
    assert_eq!((networking.service_subnet.as_str(), networking.pod_subnet.as_str()), ("10.96.0.0/12", ""));
    assert_eq!(networking.service_networks, ["10.96.0.0/12".parse().unwrap()]);
    assert_eq!((networking.pod_networks.len(), networking.dns_domain.as_str()), (0, "cluster.local"));
    assert_eq!(cluster.key_algorithm, KeyAlgorithm::EcdsaP256);
    assert_eq!(cluster.certificate_validity, Duration::from_secs(8760 * 3600));
    assert_eq!(cluster.ca_certificate_validity, Duration::from_secs(87600 * 3600));
    assert_eq!(config.timeouts.control_plane_component_health_check, Duration::from_secs(240));
    assert_eq!(config.timeouts.kubelet_health_check, Duration::from_secs(240));
    assert_eq!(config.timeouts.kubernetes_api_call, Duration::from_secs(60));
    assert_eq!(config.timeouts.etcd_api_call, Duration::from_secs(120));
    assert!(config.kubelet.is_empty() && config.skip_phases.is_empty() && !config.dry_run);
    let detected: Vec<_> = config.detected.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(
        detected,
        [
            ("node name", "node-1"),
            ("advertise address", "192.0.2.1"),
            ("CRI socket", "unix:///var/run/containerd/containerd.sock"),
            ("Kubernetes version", release::NEWEST.newest().to_string().as_str()),
        ]
    );
}

#[test]
fn an_empty_document_and_null_fields_mean_the_defaults() {
    let expected = flags(&Overrides::default()).unwrap();
    for fields in
        ["", "networking:\nclusterName: null\netcd: ~\n", "dns: {}\nproxy: {}\nscheduler: {}\nclusterName: ''"]
    {
        assert_eq!(cluster(fields).unwrap(), expected, "{fields}");
    }
    for fields in ["", "nodeRegistration: {name: , taints: null}", "bootstrapTokens: []\npatches: {directory: ''}"] {
        assert_eq!(init(fields).unwrap(), expected, "{fields}");
    }
    assert!(init("nodeRegistration: {taints: []}").unwrap().node.taints.is_empty());
    let json = r#"{"apiVersion": "kubeadm.k8s.io/v1beta4",
	"kind": "ClusterConfiguration", "networking":{"dnsDomain":"cluster.local"}}"#;
    assert_eq!(load(json).unwrap(), expected);
    assert_eq!(load(&format!("\u{feff}# c\r\n---\r\n---\r\n{}", json.replace('\n', "\r\n"))).unwrap(), expected);
}

#[test]
fn every_field_arrives() {
    insta::assert_debug_snapshot!(load(FULL).unwrap());
    let config = load(FULL).unwrap();
    assert_eq!(config.kubelet["reservedMemory"], json!([{"numaNode": 0, "limits": {"memory": "1Gi"}}]));
    assert!(!config.kubelet.contains_key("clusterDomain"));
}

#[test]
fn kubeadms_own_defaults_load() {
    let config = load(INIT_DEFAULTS).unwrap();
    assert_eq!((config.node.name.as_str(), config.node.taints.len()), ("node", 1));
    assert_eq!(config.cluster.key_algorithm, KeyAlgorithm::Rsa2048);
}

#[test]
fn a_horrible_file_is_told_everything_at_once() {
    insta::assert_snapshot!(rendered(&load(HORRIBLE).unwrap_err()));
}

#[test]
fn flags_win_over_fields() {
    let text = document(
        "InitConfiguration",
        "nodeRegistration: {name: a, criSocket: /a, ignorePreflightErrors: [Mem]}\n\
         localAPIEndpoint: {advertiseAddress: 192.0.2.7, bindPort: 1}\nskipPhases: [certs]\n\
         patches: {directory: /a}\n---",
    ) + &document(
        "ClusterConfiguration",
        "kubernetesVersion: v1.35.0\napiServer: {certSANs: [a.example.com]}\ncertificatesDir: /a\n\
         controlPlaneEndpoint: a\nimageRepository: a\nnetworking: {podSubnet: 10.1.0.0/16, serviceSubnet: 10.2.0.0/16, dnsDomain: a}",
    );
    let overrides = Overrides {
        advertise_address: Some("2001:db8::1".into()),
        bind_port: Some(2),
        cert_extra_sans: vec!["B.example.com".into(), "a.example.com".into()],
        certificates_dir: Some("/b".into()),
        control_plane_endpoint: Some("[2001:db8::2]:3".into()),
        cri_socket: Some("unix:///b".into()),
        ignore_preflight_errors: vec!["Swap".into(), "MEM".into()],
        image_repository: Some("b".into()),
        kubernetes_version: Some("1.36.1-rc.0".into()),
        node_name: Some(" B ".into()),
        pod_subnet: Some("fd00:1::/56".into()),
        service_subnet: Some("fd00:2::/112".into()),
        dns_domain: Some("b".into()),
        skip_phases: vec!["addon".into()],
        patches_directory: Some("/b/".into()),
        kept_etcd_tag: None,
    };
    let config = load_with(&text, &overrides, &facts()).unwrap();
    assert_eq!((config.advertise_address.to_string().as_str(), config.bind_port), ("2001:db8::1", 2));
    assert_eq!(config.cluster.api_server_cert_sans, ["a.example.com", "b.example.com"]);
    let endpoint = config.cluster.control_plane_endpoint.unwrap();
    assert_eq!((endpoint.host.as_str(), endpoint.port), ("2001:db8::2", 3));
    assert_eq!((config.node.name.as_str(), config.node.cri_socket.as_str()), ("b", "unix:///b"));
    assert_eq!(config.node.ignore_preflight_errors, ["mem", "swap"]);
    assert_eq!((config.cluster.certificates_dir.as_str(), config.cluster.image_repository.as_str()), ("/b", "b"));
    assert_eq!(config.cluster.version.to_string(), "v1.36.1-rc.0");
    let networking = config.cluster.networking;
    assert_eq!((networking.pod_subnet.as_str(), networking.service_subnet.as_str()), ("fd00:1::/56", "fd00:2::/112"));
    assert_eq!((networking.dns_domain.as_str(), config.skip_phases.as_slice()), ("b", ["addon".to_owned()].as_slice()));
    assert_eq!(config.patches_directory.as_deref(), Some("/b"));
    assert!(config.detected.is_empty(), "{:?}", config.detected);
}

#[test]
fn the_host_completes_what_nobody_gave() {
    let version = |text: &str| Some(text.parse().unwrap());
    let load = |facts: &Facts| config::load(None, &Overrides::default(), facts).map_err(|error| error.problems);
    for (kubelet, expected) in [("v1.36.7", "v1.36.7".to_owned()), ("v1.20.1", release::NEWEST.newest().to_string())] {
        let config = load(&Facts { kubelet_version: version(kubelet), ..facts() }).unwrap();
        assert_eq!(config.cluster.version.to_string(), expected);
    }
    let sockets = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let config = load(&Facts { cri_sockets: sockets(&["unix:///a"]), ..facts() }).unwrap();
    assert_eq!(config.node.cri_socket, "unix:///a");
    let several = Facts { cri_sockets: sockets(&["unix:///a", "unix:///b"]), ..facts() };
    refused(load(&several), "", "InitConfiguration.nodeRegistration.criSocket", "unix:///a, unix:///b");
    let address = "InitConfiguration.localAPIEndpoint.advertiseAddress";
    refused(load(&Facts { default_address: None, ..facts() }), "", address, "--apiserver-advertise-address");
    let name = "InitConfiguration.nodeRegistration.name";
    refused(load(&Facts { hostname: None, ..facts() }), "", name, "--node-name");
    refused(load(&Facts { hostname: Some("my_host".into()), ..facts() }), "", name, "--node-name");
    let inside = Facts { default_address: Some(IpAddr::from([10, 100, 0, 1])), ..facts() };
    refused(load(&inside), "", address, "inside the service subnet");
    // The wildcard address asks for the host's; a name of its own keeps the host's beside it.
    let config = init("localAPIEndpoint: {advertiseAddress: 0.0.0.0}\nnodeRegistration: {name: other}").unwrap();
    assert_eq!(config.advertise_address.to_string(), "192.0.2.1");
    assert_eq!((config.node.name.as_str(), config.node.hostname.as_str()), ("other", "node-1"));
    // A field of the wrong type is not missing as well.
    let text = document("InitConfiguration", "nodeRegistration: {name: 12}");
    let nothing = Facts { hostname: None, ..facts() };
    refused(load_with(&text, &Overrides::default(), &nothing), "3:26", name, "write it in quotes: \"12\"");
}

#[test]
fn documents_are_told_apart() {
    let good = document("ClusterConfiguration", "");
    for (text, place, subject, part) in [
        ("", "1:1", "kind", "neither"),
        ("# nothing\n", "1:1", "kind", "neither"),
        ("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration", "1:1", "kind", "neither"),
        ("text", "1:1", "document", "expected a map"),
        ("kind: ClusterConfiguration", "1:1", "apiVersion", "has no apiVersion"),
        ("apiVersion: kubeadm.k8s.io/v1beta4", "1:1", "kind", "has no kind"),
        ("apiVersion:\nkind: ClusterConfiguration", "1:11", "apiVersion", "no value"),
        ("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration", "1:13", "apiVersion", "config migrate"),
        ("apiVersion: kubeadm.k8s.io/v1alpha3\nkind: MasterConfiguration", "1:13", "apiVersion", "config migrate"),
        ("apiVersion: kubeadm.k8s.io/v1\nkind: ClusterConfiguration", "1:13", "apiVersion", "experimental"),
        ("apiVersion: kubeadm.k8s.io/v1beta5\nkind: ClusterConfiguration", "1:13", "apiVersion", "v1beta4\"?"),
        ("apiVersion: v1\nkind: ConfigMap", "1:13", "apiVersion", "not known"),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfig", "2:7", "kind", "no kind"),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfigurations", "2:7", "kind", "\"InitConfiguration\"?"),
        (
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: KubeletConfiguration",
            "2:7",
            "kind",
            "kubelet.config.k8s.io/v1beta1",
        ),
        ("a: *b", "1:4", "syntax", "anchor"),
        ("a: &b 1\nc: *b", "2:4", "syntax", "aliases"),
        ("a: !b 1", "1:7", "syntax", "tags"),
        ("a: [1", "1:4", "syntax", "unclosed"),
        (&"[".repeat(65), "1:65", "syntax", "deeper than 64"),
        ("a: 1\n  b: 2", "2:4", "syntax", "mapping values"),
    ] {
        refused(load(text), place, subject, part);
    }
    refused(load(&format!("{good}---\n{good}")), "5:1", "ClusterConfiguration", "first is at line 1, column 1");
    for ignored in ["JoinConfiguration", "ResetConfiguration", "UpgradeConfiguration"] {
        assert!(load(&format!("{good}---\n{}", document(ignored, "whatever: 1"))).is_ok(), "{ignored}");
    }
}

#[test]
fn what_belongs_to_a_skipped_phase_is_accepted() {
    let proxy = "---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n";
    let disabled = document("ClusterConfiguration", "dns: {disabled: true, imageTag: v1}\nproxy: {disabled: true}");
    assert_eq!(load(&(disabled + proxy)).unwrap().skip_phases, ["addon/coredns", "addon/kube-proxy"]);
}

#[test]
fn an_external_etcd_takes_the_place_of_the_local_one() {
    let of =
        |fields: &str| cluster(&format!("etcd: {{external: {{{fields}}}}}")).unwrap().cluster.external_etcd.unwrap();
    let etcd =
        of("endpoints: ['https://a:2379/', 'https://[::1]:2379'], caFile: /a/ca.crt, certFile: /a/b, keyFile: /a/c");
    let members: Vec<_> =
        etcd.endpoints.iter().map(|m| (m.url.as_str(), m.endpoint.host.as_str(), m.endpoint.port, m.tls)).collect();
    assert_eq!(members, [("https://a:2379/", "a", 2379, true), ("https://[::1]:2379", "::1", 2379, true)]);
    assert_eq!((etcd.ca_file.as_deref(), etcd.http_endpoints.len()), (Some("/a/ca.crt"), 0));
    let etcd = of("endpoints: ['http://a:2379'], httpEndpoints: ['http://a:2381']");
    assert_eq!((etcd.endpoints[0].tls, etcd.http_endpoints[0].endpoint.port, etcd.ca_file), (false, 2381, None));
}

#[test]
fn feature_gates_are_those_of_the_minor() {
    let of = |fields: &str| cluster(&format!("kubernetesVersion: v1.36.3\n{fields}")).unwrap().cluster;
    let config = of("featureGates: {NodeLocalCRISocket: true, PublicKeysECDSA: false, RootlessControlPlane: false}");
    assert_eq!((config.feature_gates.len(), config.key_algorithm), (3, KeyAlgorithm::Rsa2048));
    // As in kubeadm, the gate wins.
    let config = of("featureGates: {PublicKeysECDSA: true}\nencryptionAlgorithm: RSA-4096");
    assert_eq!(config.key_algorithm, KeyAlgorithm::EcdsaP256);
}

#[test]
fn bootstrap_tokens_are_kubeadms() {
    let tokens = |fields: &str| init(&format!("bootstrapTokens: [{fields}]")).unwrap().bootstrap_tokens;
    let default = BootstrapToken::default();
    assert_eq!(tokens(""), tokens("{}"));
    assert_eq!(tokens("{}, {usages: [], groups: [], token: ''}"), [default.clone(), default.clone()]);
    let token = |lifetime| BootstrapToken { lifetime, ..default.clone() };
    let hour = Duration::from_secs(3600);
    assert_eq!(tokens("{ttl: 0s}, {ttl: 1h}"), [token(Lifetime::Endless), token(Lifetime::For(hour))]);
    let until = Lifetime::Until(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
    assert_eq!(tokens("{expires: 2030-03-17T19:46:40+02:00}"), [token(until)]);
    // kubeadm gives it a group all the same, and then refuses it.
    let signing = BootstrapToken { usages: vec!["signing".into()], groups: vec![], ..default };
    assert_eq!(tokens("{usages: [signing]}"), [signing]);
}

#[test]
fn secrets_are_never_shown() {
    let text = document(
        "InitConfiguration",
        "certificateKey: 5ec2e75ec2e7\nbootstrapTokens: [{token: abcdef.5ec2e75ec2e75e}, {token: 112233.4455667788112233}]",
    );
    let problems = rendered(&load(&text).unwrap_err());
    assert!(problems.lines().count() > 2 && !problems.contains("5ec2e7") && !problems.contains("4455"), "{problems}");
    let text = document("InitConfiguration", &format!("certificateKey: {}", "5ec2e7e5".repeat(8)));
    let config = load(&text).unwrap();
    assert_eq!(config.certificate_key.as_ref().unwrap().expose().as_str(), "5ec2e7e5".repeat(8));
    assert!(!format!("{config:?}").contains("5ec2e7e5"));
}

/// Each of these passes `kubeadm config validate` of v1.37.2.
#[test]
fn what_kubeadm_accepts_is_accepted() {
    for fields in [
        "clusterName: 1:2",
        "clusterName: 2026-01-01",
        "clusterName: !!str 1",
        "controlPlaneEndpoint: 'a:'",
        "controlPlaneEndpoint: '::1'",
        "controlPlaneEndpoint: '[::1]:6443'",
        "networking: {podSubnet: 10.244.2.3/16}",
        "apiServer: {certSANs: ['*.a', '::1', 12a]}",
        "kubernetesVersion: v1.37.0-rc.1+x",
        "apiServer: {extraArgs: [{name: a, value: }, {name: a}]}",
        "etcd: {local: }\nfeatureGates: {RootlessControlPlane: no}",
    ] {
        assert_eq!(cluster(fields).map(drop).map_err(|problems| rendered(&problems)), Ok(()), "{fields}");
    }
    for fields in [
        "nodeRegistration: {taints: [{key: a/b, effect: NoExecute, timeAdded: null}]}",
        "nodeRegistration: {name: ' A ', imagePullSerial: yes}",
        "nodeRegistration: {name: 12a, imagePullSerial: null}",
    ] {
        assert_eq!(init(fields).map(drop).map_err(|problems| rendered(&problems)), Ok(()), "{fields}");
    }
}

#[test]
fn durations_are_gos() {
    for (text, millis) in [
        ("8760h0m0s", 31_536_000_000),
        ("4m", 240_000),
        ("1.5h", 5_400_000),
        ("+1h", 3_600_000),
        ("100ms", 100),
        (".5s", 500),
        ("1.s", 1000),
        ("1500000us", 1500),
        ("1500000µs", 1500),
        ("1m1m", 120_000),
    ] {
        let config = init(&format!("timeouts: {{etcdAPICall: '{text}'}}")).unwrap();
        assert_eq!(config.timeouts.etcd_api_call, Duration::from_millis(millis), "{text}");
    }
    for text in
        ["1", "h", "1x", "1h ", " 1h", "1h1", "..5s", "1.2.3s", "--1s", "+", "9223372036854775808ns", "1e3s", "𝟏s"]
    {
        assert!(init(&format!("timeouts: {{etcdAPICall: '{text}'}}")).is_err(), "{text}");
    }
}

#[test]
fn image_repositories_are_references() {
    for text in [
        "registry.k8s.io",
        "localhost:5000",
        "a/b-c/d__e",
        "[2001:db8::1]:5000/x",
        "K8S.example.com/x",
        "10.0.0.1:80/a",
    ] {
        assert!(cluster(&format!("imageRepository: '{text}'")).is_ok(), "{text}");
    }
    for text in ["a/", "/a", "a//b", "a/B", "a/b:1", "a b", "-a", "a_.b/c", "a:x/b", "[::1/x", "a/b@c", "ä"] {
        assert!(cluster(&format!("imageRepository: '{text}'")).is_err(), "{text}");
    }
}
