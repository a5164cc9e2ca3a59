//! Valid configurations over the whole schema.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

/// A document, and where in it something is said.
type Row = (usize, &'static str, BoxedStrategy<Value>);

const INIT: usize = 0;
const CLUSTER: usize = 1;
const KUBELET: usize = 2;
const PROXY: usize = 3;

/// A configuration file: JSON documents, which are YAML.
pub(super) fn configuration() -> BoxedStrategy<String> {
    let rows = rows();
    let places: Vec<(usize, &str)> = rows.iter().map(|(document, path, _)| (*document, *path)).collect();
    let values: Vec<_> = rows.into_iter().map(|(_, _, values)| proptest::option::of(values)).collect();
    (always(), proptest::option::weighted(0.15, external_etcd()), values)
        .prop_map(move |(mut documents, external, values)| {
            for ((document, path), value) in places.iter().zip(values) {
                if let Some(value) = value {
                    put(&mut documents[*document], path, value);
                }
            }
            if let Some(external) = external {
                documents[CLUSTER]["etcd"] = json!({"external": external});
            }
            documents.map(|document| format!("{document:#}\n")).join("---\n")
        })
        .boxed()
}

/// What must be said, because kubeadm would ask the machine or the network, and what must fit together.
fn always() -> BoxedStrategy<[Value; 4]> {
    let versions = select(vec!["v1.36.0", "v1.36.3", "v1.37.0", "v1.37.2"]);
    // Keys of the larger kinds take seconds.
    let algorithms = Union::new_weighted(vec![
        (64, Just("ECDSA-P256").boxed()),
        (33, Just("ECDSA-P384").boxed()),
        (2, Just("RSA-2048").boxed()),
        (1, Just("RSA-3072").boxed()),
        (1, Just("RSA-4096").boxed()),
    ]);
    (versions, algorithms, select(networks()), names())
        .prop_map(|(version, algorithm, (address, networking), name)| {
            let init = json!({
                "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "InitConfiguration",
                "localAPIEndpoint": {"advertiseAddress": address},
                "nodeRegistration": {"name": name, "criSocket": "unix:///run/containerd/containerd.sock"},
            });
            let cluster = json!({
                "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration",
                "kubernetesVersion": version, "encryptionAlgorithm": algorithm, "networking": networking,
            });
            let kubelet = json!({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"});
            let proxy = json!({"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"});
            [init, cluster, kubelet, proxy]
        })
        .boxed()
}

/// An etcd that runs elsewhere, with and without certificates.
fn external_etcd() -> BoxedStrategy<Value> {
    let secured = |endpoints: &[&str]| {
        json!({
            "endpoints": endpoints, "caFile": "/srv/etcd/ca.crt", "certFile": "/srv/etcd/client.crt",
            "keyFile": "/srv/etcd/client.key",
        })
    };
    one_of(&[
        secured(&["https://192.0.2.20:2379"]),
        secured(&["https://etcd-0.example:2379", "https://etcd-1.example:2379", "https://[2001:db8::20]:2379"]),
        json!({"endpoints": ["http://192.0.2.20:2379"]}),
        json!({"endpoints": ["https://192.0.2.20:2379"], "caFile": "/etc/etcd/ca.crt"}),
    ])
}

/// Advertise addresses with networks of their families.
fn networks() -> Vec<(&'static str, Value)> {
    vec![
        ("192.0.2.10", json!({})),
        ("192.0.2.10", json!({"podSubnet": "10.244.0.0/16"})),
        ("10.1.2.3", json!({"serviceSubnet": "172.30.0.0/20", "podSubnet": "172.16.0.0/14"})),
        ("192.0.2.10", json!({"serviceSubnet": "10.32.0.0/28", "podSubnet": "10.64.0.0/20"})),
        ("198.51.100.7", json!({"serviceSubnet": "10.96.0.0/16,fd00:10:96::/112"})),
        (
            "192.0.2.10",
            json!({"serviceSubnet": "10.96.0.0/16,fd00:10:96::/112", "podSubnet": "10.244.0.0/16,fd00:10:244::/56"}),
        ),
        ("2001:db8::10", json!({"serviceSubnet": "fd00:10:96::/112"})),
        ("2001:db8::a:1", json!({"serviceSubnet": "fd00:10:96::/108", "podSubnet": "fd00:10:244::/56"})),
        (
            "2001:db8::10",
            json!({"serviceSubnet": "fd00:10:96::/112,10.96.0.0/16", "podSubnet": "fd00:10:244::/56,10.244.0.0/16"}),
        ),
    ]
}

fn rows() -> Vec<Row> {
    let mut rows = kubeadm_rows();
    rows.extend(kubelet_rows());
    rows.extend(cluster_rows());
    for component in ["apiServer", "controllerManager", "scheduler"] {
        let place = |field: &str| -> &'static str { format!("{component}.{field}").leak() };
        rows.push((CLUSTER, place("extraVolumes"), volumes()));
        rows.push((CLUSTER, place("extraEnvs"), environment()));
    }
    rows
}

fn kubeadm_rows() -> Vec<Row> {
    vec![
        (INIT, "localAPIEndpoint.bindPort", one_of(&[json!(443), json!(7443), json!(16443)])),
        (
            INIT,
            "nodeRegistration.criSocket",
            one_of(&[json!("unix:///run/crio/crio.sock"), json!("unix:///srv/c.sock")]),
        ),
        (
            INIT,
            "nodeRegistration.taints",
            one_of(&[
                json!([]),
                json!([{"key": "a", "value": "b", "effect": "NoExecute"}]),
                json!([{"key": "example.com/c", "effect": "NoSchedule"}, {"key": "d", "effect": "PreferNoSchedule"}]),
            ]),
        ),
        (INIT, "nodeRegistration.imagePullPolicy", one_of(&[json!("Always"), json!("IfNotPresent"), json!("Never")])),
        (
            INIT,
            "nodeRegistration.kubeletExtraArgs",
            arguments(&[
                ("v", "2"),
                ("node-labels", "zone=a,rack=1"),
                ("node-ip", "192.0.2.10"),
                ("cgroups-per-qos", "true"),
                ("max-pods", "40"),
            ]),
        ),
        (INIT, "timeouts.controlPlaneComponentHealthCheck", one_of(&[json!("65s"), json!("6m0s"), json!("1m30s")])),
        (INIT, "timeouts.kubeletHealthCheck", one_of(&[json!("3m"), json!("90s")])),
        (CLUSTER, "clusterName", one_of(&[json!("keel"), json!("a b"), json!("yes"), json!("0123")])),
        (CLUSTER, "certificatesDir", one_of(&[json!("/srv/pki"), json!("/etc/kubernetes/other pki")])),
        (CLUSTER, "imageRepository", one_of(&[json!("mirror.example/k8s"), json!("mirror.example:5000/a/b")])),
        (
            CLUSTER,
            "controlPlaneEndpoint",
            one_of(&[
                json!("api.example.com"),
                json!("api.example.com:8443"),
                json!("192.0.2.99"),
                json!("[2001:db8::99]:7443"),
            ]),
        ),
        (CLUSTER, "networking.dnsDomain", one_of(&[json!("keel.example"), json!("a.b.c.d")])),
        (CLUSTER, "certificateValidityPeriod", one_of(&[json!("24h"), json!("100h0m0s"), json!("4000h")])),
        (CLUSTER, "caCertificateValidityPeriod", one_of(&[json!("43800h"), json!("87599h0m0s")])),
        (CLUSTER, "etcd.local.dataDir", one_of(&[json!("/srv/etcd"), json!("/var/lib/etcd data")])),
        (CLUSTER, "etcd.local.imageRepository", one_of(&[json!("mirror.example/etcd-io")])),
        (CLUSTER, "etcd.local.imageTag", one_of(&[json!("3.6.5-0"), json!("v3")])),
        (CLUSTER, "etcd.local.serverCertSANs", sans()),
        (CLUSTER, "etcd.local.peerCertSANs", sans()),
        (
            CLUSTER,
            "etcd.local.extraArgs",
            arguments(&[
                ("snapshot-count", "5000"),
                ("quota-backend-bytes", "8589934592"),
                ("listen-metrics-urls", "http://0.0.0.0:2381"),
                ("name", "other"),
            ]),
        ),
        (CLUSTER, "etcd.local.extraEnvs", environment()),
        (CLUSTER, "apiServer.certSANs", sans()),
        (
            CLUSTER,
            "apiServer.extraArgs",
            arguments(&[
                ("v", "4"),
                ("tls-sni-cert-key", "/srv/b.crt,/srv/b.key"),
                ("tls-sni-cert-key", "/srv/a.crt,/srv/a.key"),
                ("authorization-mode", "Node,RBAC,Webhook"),
                ("requestheader-allowed-names", ""),
                ("service-account-issuer", "https://issuer.example"),
                ("audit-log-path", "/var/log/audit: #1"),
            ]),
        ),
        (
            CLUSTER,
            "controllerManager.extraArgs",
            arguments(&[
                ("controllers", "*,-nodelifecycle"),
                ("terminated-pod-gc-threshold", "10"),
                ("bind-address", "0.0.0.0"),
                ("flex-volume-plugin-dir", "/path with spaces/# é😀"),
            ]),
        ),
        (CLUSTER, "scheduler.extraArgs", arguments(&[("v", "1"), ("kube-api-qps", "100"), ("profiling", "false")])),
    ]
}

/// What comes into the cluster: of the files only the images are told of it.
fn cluster_rows() -> Vec<Row> {
    let token = |more: Value| {
        let mut token = json!({"token": "abcdef.0123456789abcdef"});
        token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token
    };
    vec![
        (
            INIT,
            "bootstrapTokens",
            some_of(vec![
                token(json!({"ttl": "0s", "description": "for ever"})),
                json!({"ttl": "1h", "usages": ["authentication"]}),
                json!({"groups": ["system:bootstrappers:rack-7"]}),
            ]),
        ),
        (INIT, "certificateKey", one_of(&[json!("0011223344556677".repeat(4))])),
        (CLUSTER, "dns.disabled", one_of(&[json!(true), json!(false)])),
        (CLUSTER, "dns.imageRepository", one_of(&[json!("mirror.example/dns")])),
        (CLUSTER, "dns.imageTag", one_of(&[json!("v1.12.0")])),
        (CLUSTER, "proxy.disabled", one_of(&[json!(true), json!(false)])),
        (PROXY, "mode", one_of(&[json!("iptables"), json!("ipvs"), json!("nftables")])),
        (PROXY, "conntrack", one_of(&[json!({"maxPerCore": 0}), json!({"tcpEstablishedTimeout": "1h0m0s"})])),
    ]
}

fn kubelet_rows() -> Vec<Row> {
    vec![
        (KUBELET, "maxPods", one_of(&[json!(50), json!(250)])),
        (KUBELET, "evictionHard", one_of(&[json!({"memory.available": "200Mi", "nodefs.available": "5%"})])),
        (KUBELET, "clusterDNS", one_of(&[json!(["10.96.0.53"]), json!(["169.254.20.10", "10.96.0.10"])])),
        (KUBELET, "cgroupDriver", one_of(&[json!("cgroupfs"), json!("systemd")])),
        (
            KUBELET,
            "authentication",
            one_of(&[json!({"anonymous": {"enabled": true}}), json!({"webhook": {"cacheTTL": "1m0s"}})]),
        ),
        (KUBELET, "rotateCertificates", one_of(&[json!(false), json!(true)])),
        (KUBELET, "syncFrequency", one_of(&[json!("30s"), json!("1m30s")])),
        (KUBELET, "featureGates", one_of(&[json!({"NodeSwap": true})])),
        (KUBELET, "resolvConf", one_of(&[json!("/srv/resolv.conf")])),
        (KUBELET, "kubeReserved", one_of(&[json!({"cpu": "100m", "memory": "1_000"})])),
    ]
}

fn one_of(values: &[Value]) -> BoxedStrategy<Value> {
    select(values.to_vec()).boxed()
}

/// Some of the values, in their order.
fn some_of(values: Vec<Value>) -> BoxedStrategy<Value> {
    let count = values.len();
    proptest::sample::subsequence(values, 0..=count).prop_map(Value::from).boxed()
}

fn arguments(arguments: &[(&str, &str)]) -> BoxedStrategy<Value> {
    some_of(arguments.iter().map(|(name, value)| json!({"name": name, "value": value})).collect())
}

fn sans() -> BoxedStrategy<Value> {
    let names =
        ["api.example.com", "*.keel.example", "192.0.2.77", "2001:db8::77", "localhost", "kubernetes", "127.0.0.1"];
    some_of(names.map(Value::from).into())
}

fn environment() -> BoxedStrategy<Value> {
    let own = json!({"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}}});
    let texts =
        [("GOMEMLIMIT", "2GiB"), ("ZONE", "on"), ("NUMBER", "1_000"), ("LINES", "a: b\nc"), ("ODD", "{{ x }} # \"")];
    some_of(texts.iter().map(|(name, value)| json!({"name": name, "value": value})).chain([own]).collect())
}

fn volumes() -> BoxedStrategy<Value> {
    let volume = |name: &str, path: &str, kind: &str, read_only: bool| json!({"name": name, "hostPath": path, "mountPath": path, "readOnly": read_only, "pathType": kind});
    some_of(vec![
        volume("zz", "/srv/zz", "Directory", true),
        volume("audit", "/var/log/audit", "DirectoryOrCreate", false),
        volume("policy", "/etc/kubernetes/policy.yaml", "File", true),
        volume("socket", "/run/with space.sock", "Socket", false),
        json!({"name": "plain", "hostPath": "/srv/plain", "mountPath": "/plain"}),
    ])
}

fn names() -> BoxedStrategy<String> {
    "[a-z][a-z0-9-]{0,12}[a-z0-9](\\.[a-z0-9]{1,8}){0,2}".boxed()
}

/// Sets what a path with dots leads to.
fn put(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for level in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[level];
    }
    *place = value;
}
