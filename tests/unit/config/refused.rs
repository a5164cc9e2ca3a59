//! Every refusal, with its place, its subject and the words that help.

use kubekeel::config::Overrides;

use super::{cluster, document, flags, init, kubelet, load, refused, rendered};

#[test]
fn wrong_flags_are_named() {
    let some = |text: &str| Some(text.to_owned());
    let none = Overrides::default;
    for (overrides, flag, part) in [
        (Overrides { advertise_address: some("x"), ..none() }, "--apiserver-advertise-address", "not an IP address"),
        (Overrides { advertise_address: some("127.0.0.1"), ..none() }, "--apiserver-advertise-address", "reach"),
        (Overrides { bind_port: Some(0), ..none() }, "--apiserver-bind-port", "1 to 65535"),
        (Overrides { cert_extra_sans: vec!["a b".into()], ..none() }, "--apiserver-cert-extra-sans", "wildcard"),
        (Overrides { certificates_dir: some("pki"), ..none() }, "--cert-dir", "absolute"),
        (Overrides { control_plane_endpoint: some("a:0"), ..none() }, "--control-plane-endpoint", "1 to 65535"),
        (Overrides { cri_socket: some("npipe:////x"), ..none() }, "--cri-socket", "unix"),
        (
            Overrides { ignore_preflight_errors: vec!["ALL".into(), "x".into()], ..none() },
            "--ignore-preflight-errors",
            "alone",
        ),
        (Overrides { image_repository: some("a/B"), ..none() }, "--image-repository", "image repository"),
        (Overrides { kubernetes_version: some("stable-1"), ..none() }, "--kubernetes-version", "label"),
        (Overrides { node_name: some("a_b"), ..none() }, "--node-name", "DNS name"),
        (Overrides { patches_directory: some("./p"), ..none() }, "--patches", "not an absolute path"),
        (Overrides { pod_subnet: some("10.0.0.0"), ..none() }, "--pod-network-cidr", "not a subnet"),
        (Overrides { service_subnet: some("10.0.0.0/8"), ..none() }, "--service-cidr", "too large"),
        (Overrides { dns_domain: some("A"), ..none() }, "--service-dns-domain", "DNS name"),
        (Overrides { skip_phases: vec!["addons".into()], ..none() }, "--skip-phases", "did you mean \"addon\"?"),
    ] {
        refused(flags(&overrides), "", flag, part);
    }
}

#[test]
fn wrong_tokens_are_refused() {
    for (fields, place, subject, part) in [
        ("certificateKey: ab", "3:17", "certificateKey", "64 hexadecimal digits"),
        ("bootstrapTokens: [{token: a}]", "3:27", "bootstrapTokens[0].token", "like abcdef.0123456789abcdef"),
        ("bootstrapTokens: [{tokn: a}]", "3:20", "bootstrapTokens[0].tokn", "\"token\"?"),
        ("bootstrapTokens: [{token: 123456.0123456789012345}]", "3:27", "bootstrapTokens[0].token", "in quotes"),
        ("bootstrapTokens: [{ttl: 1 day}]", "3:25", "bootstrapTokens[0].ttl", "not a duration"),
        ("bootstrapTokens: [{ttl: -1h}]", "3:25", "bootstrapTokens[0].ttl", "negative"),
        ("bootstrapTokens: [{expires: tomorrow}]", "3:29", "bootstrapTokens[0].expires", "2030-01-31T12:00:00Z"),
        (
            "bootstrapTokens: [{ttl: 1h, expires: '2030-01-31T12:00:00Z'}]",
            "3:38",
            "bootstrapTokens[0].expires",
            "exclude each other",
        ),
        ("bootstrapTokens: [{usages: [sign]}]", "3:29", "bootstrapTokens[0].usages[0]", "one of signing"),
        ("bootstrapTokens: [{groups: [system:nodes]}]", "3:29", "bootstrapTokens[0].groups[0]", "bootstrappers:"),
        (
            "bootstrapTokens: [{usages: [signing], groups: ['system:bootstrappers:a']}]",
            "3:47",
            "bootstrapTokens[0].groups",
            "add authentication",
        ),
        (
            "bootstrapTokens: [{token: abcdef.0123456789abcdef}, {token: abcdef.fedcba9876543210}]",
            "3:53",
            "bootstrapTokens[1]",
            "begins with \"abcdef\"",
        ),
    ] {
        refused(init(fields), place, &format!("InitConfiguration.{subject}"), part);
    }
}

#[test]
fn wrong_fields_of_the_node_are_refused() {
    for (fields, place, subject, part) in [
        ("patches: {directory: p}", "3:22", "patches.directory", "not an absolute path"),
        ("patches: {directory: /}", "3:22", "patches.directory", "root directory"),
        ("directory: /p", "3:1", "directory", "belongs to InitConfiguration.patches"),
        ("skipPhases: [certs, cert/ca]", "3:21", "skipPhases[1]", "did you mean \"certs/ca\"?"),
        ("skipPhases: certs", "3:13", "skipPhases", "expected a list, got a string"),
        ("skipPhases: [~]", "3:14", "skipPhases[0]", "empty"),
        ("dryRun: 'true'", "3:9", "dryRun", "without quotes"),
        ("dryRuns: true", "3:1", "dryRuns", "did you mean \"dryRun\"?"),
        ("DryRun: true", "3:1", "DryRun", "did you mean \"dryRun\"?"),
        ("dryRun: true\ndryRun: true", "4:1", "dryRun", "first is at line 3, column 1"),
        ("clusterName: a", "3:1", "clusterName", "belongs to ClusterConfiguration"),
        ("maxPods: 1", "3:1", "maxPods", "belongs to KubeletConfiguration"),
        ("localAPIEndpoint: {bindPort: 70000}", "3:30", "localAPIEndpoint.bindPort", "1 to 65535"),
        ("localAPIEndpoint: {bindPort: '6443'}", "3:30", "localAPIEndpoint.bindPort", "without quotes"),
        ("localAPIEndpoint: {bindPort: 06443}", "3:30", "localAPIEndpoint.bindPort", "decimal digits"),
        ("localAPIEndpoint: {bindPort: 6443.5}", "3:30", "localAPIEndpoint.bindPort", "expected an integer"),
        ("localAPIEndpoint: {advertiseAddress: a}", "3:38", "localAPIEndpoint.advertiseAddress", "not an IP"),
        ("localAPIEndpoint: {advertiseAddress: 169.254.1.1}", "3:38", "localAPIEndpoint.advertiseAddress", "reach"),
        ("localAPIEndpoint: {advertiseAddress: 10.97.0.1}", "3:38", "localAPIEndpoint.advertiseAddress", "inside"),
        ("localAPIEndpoint: {advertiseAddress: '2001:db8::1'}", "3:38", "localAPIEndpoint.advertiseAddress", "family"),
        ("nodeRegistration: [1]", "3:19", "nodeRegistration", "expected a map, got a list"),
        ("nodeRegistration: {name: a_b}", "3:26", "nodeRegistration.name", "DNS name"),
        ("nodeRegistration: {criSocket: 'tcp://a'}", "3:31", "nodeRegistration.criSocket", "unix"),
        ("nodeRegistration: {criSocket: a.sock}", "3:31", "nodeRegistration.criSocket", "absolute"),
        ("nodeRegistration: {imagePullPolicy: always}", "3:37", "nodeRegistration.imagePullPolicy", "\"Always\"?"),
        (
            "nodeRegistration: {ignorePreflightErrors: [a, all]}",
            "3:47",
            "nodeRegistration.ignorePreflightErrors[1]",
            "alone",
        ),
        ("nodeRegistration: {taints: [{key: a}]}", "3:29", "nodeRegistration.taints[0].effect", "missing"),
        ("nodeRegistration: {taints: [{key: a, effect: X}]}", "3:46", "nodeRegistration.taints[0].effect", "NoExecute"),
        (
            "nodeRegistration: {taints: [{key: a, effect: NoExecute}, {key: a, effect: NoExecute}]}",
            "3:28",
            "nodeRegistration.taints",
            "twice",
        ),
        (
            "nodeRegistration: {taints: [{key: a, effect: NoExecute, value: '-'}]}",
            "3:64",
            "nodeRegistration.taints[0].value",
            "valid value",
        ),
        (
            "nodeRegistration: {taints: [{key: a, effect: NoExecute, timeAdded: x}]}",
            "3:68",
            "nodeRegistration.taints[0].timeAdded",
            "not supported",
        ),
        (
            "nodeRegistration: {kubeletExtraArgs: {v: '2'}}",
            "3:38",
            "nodeRegistration.kubeletExtraArgs",
            "v1beta4 takes a list",
        ),
        (
            "nodeRegistration: {kubeletExtraArgs: [{value: a}]}",
            "3:39",
            "nodeRegistration.kubeletExtraArgs[0].name",
            "missing",
        ),
        (
            "nodeRegistration: {kubeletExtraArgs: [{name: --v}]}",
            "3:46",
            "nodeRegistration.kubeletExtraArgs[0].name",
            "without dashes: \"v\"",
        ),
        (
            "nodeRegistration: {kubeletExtraArgs: [{name: v=2}]}",
            "3:46",
            "nodeRegistration.kubeletExtraArgs[0].name",
            "name: \"v\" and value: \"2\"",
        ),
        ("timeouts: {etcdAPICall: 0s}", "3:25", "timeouts.etcdAPICall", "longer than nothing"),
        ("timeouts: {kubeletHealthCheck: 4 minutes}", "3:32", "timeouts.kubeletHealthCheck", "not a duration"),
        ("timeouts: {discovery: 5}", "3:23", "timeouts.discovery", "write it in quotes"),
        ("timeouts: {discovery: 5w}", "3:23", "timeouts.discovery", "not a duration"),
        ("timeouts: {apiCall: 1m}", "3:12", "timeouts.apiCall", "unknown field"),
    ] {
        refused(init(fields), place, &format!("InitConfiguration.{subject}"), part);
    }
}

#[test]
fn feature_gates_that_kubeadm_does_not_have_are_refused() {
    for (fields, place, subject, part) in [
        ("featureGates: {RootlessControlPlane: true}", "3:16", "featureGates.RootlessControlPlane", "run as root"),
        ("featureGates: {Other: false}", "3:16", "featureGates.Other", "not a valid feature name"),
        ("featureGates: {Rootlesscontrolplane: no}", "3:16", "featureGates.Rootlesscontrolplane", "did you mean"),
        ("featureGates: {RootlessControlPlane: 0}", "3:38", "featureGates.RootlessControlPlane", "true or false"),
        ("featureGates: {EtcdLearnerMode: true}", "3:16", "featureGates.EtcdLearnerMode", "any more"),
        ("featureGates: {PublicKeysECDSA: true}", "3:16", "featureGates.PublicKeysECDSA", "encryptionAlgorithm"),
        ("featureGates: {NodeLocalCRISocket: true}", "3:16", "featureGates.NodeLocalCRISocket", "v1.37 does not"),
        (
            "featureGates: {NodeLocalCRISocket: false}\nkubernetesVersion: v1.36.3",
            "3:16",
            "featureGates.NodeLocalCRISocket",
            "set it to true",
        ),
    ] {
        refused(cluster(fields), place, &format!("ClusterConfiguration.{subject}"), part);
    }
}

#[test]
fn an_etcd_that_cannot_be_reached_is_refused() {
    for (fields, column, subject, part) in [
        ("endpoints: []", 18, "external.endpoints", "missing"),
        ("endpoints: [], caFile: /a", 18, "external.endpoints", "missing"),
        ("endpoints: ['a:2379']", 31, "external.endpoints[0]", "https://etcd-1.example.com:2379"),
        ("endpoints: ['https://a']", 31, "external.endpoints[0]", "no port"),
        ("endpoints: ['https://a:2379/v3']", 31, "external.endpoints[0]", "1 to 65535"),
        ("endpoints: ['unix:///a:1']", 31, "external.endpoints[0]", "not the URL of an etcd member"),
        ("endpoints: ['https://a:1', 'http://b:1'], caFile: /a", 46, "external.endpoints[1]", "scheme https"),
        ("endpoints: ['https://a:1'], caFile: ca.crt", 55, "external.caFile", "not an absolute path"),
        ("endpoints: ['https://a:1'], caFile: /a, certFile: /a", 18, "external", "belong together"),
        ("endpoints: ['https://a:1'], certFile: /a, keyFile: /a", 18, "external", "needs caFile"),
        ("endpoints: ['https://a:1'], httpEndpoints: [a]", 63, "external.httpEndpoints[0]", "not the URL"),
        ("endpoints: ['https://a:1'], ca: /a", 47, "external.ca", "unknown field"),
    ] {
        let result = cluster(&format!("etcd: {{external: {{{fields}}}}}"));
        refused(result, &format!("3:{column}"), &format!("ClusterConfiguration.etcd.{subject}"), part);
    }
    let both = "etcd: {external: {endpoints: ['https://a:1']}, local: {dataDir: /a}}";
    refused(cluster(both), "3:18", "ClusterConfiguration.etcd.external", "exclude each other");
}

#[test]
fn wrong_fields_of_the_cluster_are_refused() {
    for (fields, place, subject, part) in [
        ("clusterName: yes", "3:14", "clusterName", "write it in quotes: \"yes\""),
        ("clusterName: 1_000", "3:14", "clusterName", "write it in quotes: \"1_000\""),
        ("clusterName: 0123", "3:14", "clusterName", "write it in quotes: \"0123\""),
        ("clusterName: {}", "3:14", "clusterName", "expected a string, got a map"),
        ("kubernetesVersion: 1.30", "3:20", "kubernetesVersion", "write it in quotes: \"1.30\""),
        ("kubernetesVersion: v1.34.9", "3:20", "kubernetesVersion", "v1.35 to v1.37"),
        ("kubernetesVersion: v1.38.0", "3:20", "kubernetesVersion", "v1.35 to v1.37"),
        ("kubernetesVersion: '1.37'", "3:20", "kubernetesVersion", "not a version"),
        ("kubernetesVersion: v1.37.0-a;b", "3:20", "kubernetesVersion", "not a version"),
        ("kubernetesVersion: latest", "3:20", "kubernetesVersion", "is a label"),
        ("kubernetesVersion: ci/latest-1.37", "3:20", "kubernetesVersion", "is a label"),
        ("controlPlaneEndpoint: https://a", "3:23", "controlPlaneEndpoint", "without a scheme"),
        ("controlPlaneEndpoint: '[::1]'", "3:23", "controlPlaneEndpoint", "[2001:db8::1]:6443"),
        ("controlPlaneEndpoint: a:65536", "3:23", "controlPlaneEndpoint", "1 to 65535"),
        ("controlPlaneEndpoint: A", "3:23", "controlPlaneEndpoint", "DNS name"),
        ("controlPlaneEndpoint: 10.0.0.256:1", "3:23", "controlPlaneEndpoint", "not an IP address"),
        ("certificatesDir: pki", "3:18", "certificatesDir", "absolute"),
        ("certificatesDir: /", "3:18", "certificatesDir", "root directory"),
        ("imageRepository: 'a:b/c'", "3:18", "imageRepository", "image repository"),
        ("imageRepository: https://a", "3:18", "imageRepository", "without a scheme"),
        ("encryptionAlgorithm: RSA", "3:22", "encryptionAlgorithm", "RSA-4096"),
        ("certificateValidityPeriod: 0h", "3:28", "certificateValidityPeriod", "longer than nothing"),
        ("caCertificateValidityPeriod: -1h", "3:30", "caCertificateValidityPeriod", "negative"),
        ("caCertificateValidityPeriod: 10000000h", "3:30", "caCertificateValidityPeriod", "not a duration"),
        ("dns: {imageTag: 'v1 '}", "3:17", "dns.imageTag", "image tag"),
        ("dns: {imageRepository: https://a}", "3:24", "dns.imageRepository", "without a scheme"),
        ("dns: {disabled: true, tag: v1}", "3:23", "dns.tag", "unknown field"),
        ("etcd: {dataDir: /a}", "3:8", "etcd.dataDir", "belongs to ClusterConfiguration.etcd.local"),
        ("etcd: {local: {dataDir: a}}", "3:25", "etcd.local.dataDir", "absolute"),
        ("etcd: {local: {imageTag: 'a b'}}", "3:26", "etcd.local.imageTag", "image tag"),
        ("etcd: {local: {peerCertSANs: [A.b]}}", "3:31", "etcd.local.peerCertSANs[0]", "lower case"),
        ("apiServer: {certSANs: ['*.*.a']}", "3:24", "apiServer.certSANs[0]", "wildcard"),
        ("apiServer: {certSANs: ['']}", "3:24", "apiServer.certSANs[0]", "wildcard"),
        ("apiServer: {extraEnvs: [{value: a}]}", "3:25", "apiServer.extraEnvs[0].name", "missing"),
        ("apiServer: {extraEnvs: [{name: A=b}]}", "3:32", "apiServer.extraEnvs[0].name", "environment variable"),
        ("apiServer: {extraEnvs: [{name: a, value: 1}]}", "3:42", "apiServer.extraEnvs[0].value", "in quotes: \"1\""),
        (
            "apiServer: {extraEnvs: [{name: a, valueFrom: {secretKeyRef: {}}}]}",
            "3:61",
            "apiServer.extraEnvs[0].valueFrom.secretKeyRef",
            "static pod",
        ),
        (
            "apiServer: {extraEnvs: [{name: a, value: b, valueFrom: {}}]}",
            "3:56",
            "apiServer.extraEnvs[0].valueFrom",
            "exclude",
        ),
        (
            "scheduler: {extraVolumes: [{name: A, hostPath: /a, mountPath: /a}]}",
            "3:35",
            "scheduler.extraVolumes[0].name",
            "volume name",
        ),
        (
            "scheduler: {extraVolumes: [{name: a, hostPath: /a/.., mountPath: /a}]}",
            "3:48",
            "scheduler.extraVolumes[0].hostPath",
            "..",
        ),
        (
            "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: a}]}",
            "3:63",
            "scheduler.extraVolumes[0].mountPath",
            "absolute",
        ),
        (
            "scheduler: {extraVolumes: [{name: a, mountPath: /a}]}",
            "3:28",
            "scheduler.extraVolumes[0].hostPath",
            "missing",
        ),
        (
            "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /a, pathType: file}]}",
            "3:77",
            "scheduler.extraVolumes[0].pathType",
            "\"File\"?",
        ),
        (
            "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /a}, {name: a, hostPath: /b, mountPath: /b}]}",
            "3:68",
            "scheduler.extraVolumes[1]",
            "same name",
        ),
        (
            "scheduler: {extraVolumes: [{name: a, hostPath: /a, mountPath: /a}, {name: b, hostPath: /b, mountPath: /a}]}",
            "3:68",
            "scheduler.extraVolumes[1]",
            "same mountPath",
        ),
        ("scheduler: {extraArgs: [{name: a, valeu: b}]}", "3:35", "scheduler.extraArgs[0].valeu", "\"value\"?"),
    ] {
        refused(cluster(fields), place, &format!("ClusterConfiguration.{subject}"), part);
    }
}

#[test]
fn networks_follow_their_rules() {
    let of = |service: &str, pod: &str, args: &str| {
        cluster(&format!(
            "networking:\n  serviceSubnet: '{service}'\n  podSubnet: '{pod}'\ncontrollerManager: {{extraArgs: [{args}]}}"
        ))
    };
    let mask = "{name: node-cidr-mask-size-ipv4, value: '26'}";
    for (service, pod, args) in [
        ("", "10.244.0.0/16", ""),
        ("10.0.0.0/12", "10.244.0.0/24", ""),
        ("10.0.0.0/28", "10.244.0.0/26", mask),
        ("10.0.0.1/16", "10.244.0.0/25", "{name: allocate-node-cidrs, value: 'false'}"),
        ("10.0.0.0/16,fd00::/108", "fd01::/48,10.244.0.0/16", ""),
        ("10.0.0.0/16,fd00::/112", "10.244.0.0/16", ""),
    ] {
        assert_eq!(of(service, pod, args).map(drop).map_err(|p| rendered(&p)), Ok(()), "{service} {pod} {args}");
    }
    for (service, pod, args, field, part) in [
        ("10.0.0.0/11", "", "", "service", "/12 or longer"),
        ("10.0.0.0/29", "", "", "service", "8 addresses"),
        ("10.0.0.0/16,fd00::/107", "", "", "service", "/108 or longer"),
        ("10.0.0.0/16,10.2.0.0/16", "", "", "service", "different families"),
        ("10.0.0.0/16,fd00::/112,10.2.0.0/16", "", "", "service", "at most two"),
        ("10.0.0.0/16, fd00::/112", "", "", "service", "not a subnet"),
        ("10.0.0.0", "", "", "service", "not a subnet"),
        ("fd00::/112", "", "", "service", "IPv6"),
        ("192.0.2.0/24", "", "", "service", "inside the service subnet"),
        ("", "192.0.0.0/16", "", "pod", "inside the pod subnet"),
        ("", "10.100.0.0/16", "", "pod", "overlap"),
        ("10.0.0.0/16", "10.0.0.0/8", "", "pod", "overlap"),
        ("", "10.244.0.0/25", "", "pod", "smaller than the /24"),
        ("10.0.0.0/16", "11.0.0.0/9", mask, "pod", "too large for a /26"),
        ("", "10.244.0.0/16", "{name: node-cidr-mask-size-ipv4, value: x}", "pod", "prefix length"),
        ("", "10.244.0.0/16,fd00::/47", "", "pod", "too large for a /64"),
        ("", "fd00::/56", "", "pod", "different families"),
        ("", "10.244.0.0/30", "{name: allocate-node-cidrs, value: 'false'}", "pod", "4 addresses"),
    ] {
        let (place, name) = if field == "service" { ("4:18", "serviceSubnet") } else { ("5:14", "podSubnet") };
        refused(of(service, pod, args), place, &format!("ClusterConfiguration.networking.{name}"), part);
    }
}

#[test]
fn the_kubelet_is_checked_against_its_types() {
    for (fields, place, subject, part) in [
        ("maxPod: 1", "7:1", "maxPod", "did you mean \"maxPods\"?"),
        ("maxPods: a", "7:10", "maxPods", "expected an integer"),
        ("failSwapOn: 'false'", "7:13", "failSwapOn", "without quotes"),
        ("clusterDNS: 10.0.0.1", "7:13", "clusterDNS", "expected a list"),
        ("clusterDNS: [1]", "7:14", "clusterDNS[0]", "expected a string"),
        ("syncFrequency: 1 m", "7:16", "syncFrequency", "not a duration"),
        ("evictionHard: {a: 1}", "7:19", "evictionHard.a", "in quotes"),
        ("evictionHard: {a: '1', a: '1'}", "7:24", "evictionHard.a", "given twice"),
        ("memoryThrottlingFactor: high", "7:25", "memoryThrottlingFactor", "expected a number"),
        ("authentication: {webhook: {enable: true}}", "7:28", "authentication.webhook.enable", "\"enabled\"?"),
        ("registerWithTaints: [{keys: a}]", "7:23", "registerWithTaints[0].keys", "\"key\"?"),
        ("podSubnet: a", "7:1", "podSubnet", "belongs to ClusterConfiguration.networking"),
    ] {
        refused(kubelet(fields), place, &format!("KubeletConfiguration.{subject}"), part);
    }
    let older = document("ClusterConfiguration", "kubernetesVersion: v1.36.0") + "---\n";
    let text = older + &document("KubeletConfiguration", "defaultPodSysctls: {net.core.somaxconn: '1'}");
    refused(load(&text), "7:20", "KubeletConfiguration.defaultPodSysctls", "from v1.37 on");
    assert!(
        kubelet("defaultPodSysctls: {net.core.somaxconn: '1'}\nlogging: {flushFrequency: 5, verbosity: 2}").is_ok()
    );
}

#[test]
fn kube_proxy_is_checked_against_its_types() {
    for (fields, column, subject, part) in [
        ("mod: ipvs", 1, "mod", "\"mode\"?"),
        ("mode: userspace", 7, "mode", "one of iptables, ipvs, nftables"),
        ("iptables: {masqueradeBits: 1}", 12, "iptables.masqueradeBits", "\"masqueradeBit\"?"),
        ("iptables: {masqueradeBit: '1'}", 27, "iptables.masqueradeBit", "without quotes"),
        ("conntrack: {min: 1, udpTimeout: 5}", 33, "conntrack.udpTimeout", "write it in quotes"),
        ("clientConnection: {qps: fast}", 25, "clientConnection.qps", "a number"),
        ("nodePortAddresses: primary", 20, "nodePortAddresses", "a list"),
        ("detectLocalMode: Bridge", 18, "detectLocalMode", "BridgeInterface"),
        ("podSubnet: 10.244.0.0/16", 1, "podSubnet", "belongs to ClusterConfiguration.networking"),
    ] {
        let proxy =
            format!("---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{fields}\n");
        let text = document("ClusterConfiguration", "") + &proxy;
        let place = format!("{}:{column}", text.lines().count());
        refused(load(&text), &place, &format!("KubeProxyConfiguration.{subject}"), part);
    }
    refused(
        cluster("detectLocalMode: NodeCIDR"),
        "3:1",
        "ClusterConfiguration.detectLocalMode",
        "KubeProxyConfiguration",
    );
}
