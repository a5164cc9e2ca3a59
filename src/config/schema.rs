//! Every field of kubeadm's documents with its type and a word about it (`apis/kubeadm/v1beta4/types.go`): what an editor
//! is told, and where a field belongs that stands in the wrong place.

use super::init::ENV;
use super::shape::Shape::{self, Bool, Duration, Int, List, Map as MapOf, Object, OneOf, Refused, Text, Told};
use super::{kube_proxy, kubelet};

const TEXTS: Shape = List(&Text);
const ARGS: Shape = List(&Object(&[
    ("name", Told("name of the flag, without dashes", &Text)),
    ("value", Told("value of the flag", &Text)),
]));
const ENVS: Shape = List(&ENV);
const ALGORITHMS: Shape = OneOf(&["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"]);
const PULL_POLICY: Shape =
    Told("when images are pulled; IfNotPresent by default", &OneOf(&["Always", "IfNotPresent", "Never"]));
const PATCHES: Shape = Told(
    "changes to what is generated",
    &Object(&[("directory", Told("absolute path of a directory of files like kube-apiserver0+merge.yaml", &Text))]),
);
const PHASES: Shape = Told("names of phases that are left out", &TEXTS);
const IGNORED: Shape = Told("preflight checks whose errors become warnings; all stands alone", &TEXTS);
const ENDPOINT: Shape = Told(
    "where this node's API server listens",
    &Object(&[
        ("advertiseAddress", Told("its IP address; the one of the default route by default", &Text)),
        ("bindPort", Told("its port, 6443 by default", &Int)),
    ]),
);
const TIMEOUTS: Shape = Told(
    "how long things may take",
    &Object(&[
        ("controlPlaneComponentHealthCheck", Told("until the control plane is proven, 4m by default", &Duration)),
        ("kubeletHealthCheck", Told("until the kubelet answers, 4m by default", &Duration)),
        ("kubernetesAPICall", Told("for one object in the API, 1m by default", &Duration)),
        ("etcdAPICall", Told("until etcd answers, 2m by default", &Duration)),
        ("tlsBootstrap", Told("until a joining kubelet has its certificate, 5m by default", &Duration)),
        ("discovery", Told("until a joining node found the cluster, 5m by default", &Duration)),
        ("upgradeManifests", Told("until an upgraded static pod runs, 5m by default", &Duration)),
    ]),
);
const NODE: Shape = Told(
    "this node and its kubelet",
    &Object(&[
        ("name", Told("name of the Node; the host's by default", &Text)),
        ("criSocket", Told("container runtime, unix:///run/containerd/containerd.sock; detected by default", &Text)),
        (
            "taints",
            Told(
                "taints of the Node; an empty list means none",
                &List(&Object(&[
                    ("key", Text),
                    ("value", Text),
                    ("effect", OneOf(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
                    ("timeAdded", Refused("the cluster sets it", "remove it")),
                ])),
            ),
        ),
        ("kubeletExtraArgs", Told("further flags of the kubelet", &ARGS)),
        ("ignorePreflightErrors", IGNORED),
        ("imagePullPolicy", PULL_POLICY),
        ("imagePullSerial", Told("images are pulled one after another, true by default", &Bool)),
    ]),
);
const CERTIFICATE_KEY: Shape = Told("key of the uploaded certificates, 64 hexadecimal digits", &Text);

const INIT: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    (
        "bootstrapTokens",
        Told(
            "tokens with which nodes join; one is made by default",
            &List(&Object(&[
                ("token", Told("abcdef.0123456789abcdef", &Text)),
                ("description", Text),
                ("ttl", Told("how long it lives, 24h by default; 0 is for ever", &Duration)),
                ("expires", Told("when it ends, 2030-01-31T12:00:00Z; instead of ttl", &Text)),
                ("usages", List(&OneOf(&["signing", "authentication"]))),
                ("groups", Told("each begins with system:bootstrappers:", &TEXTS)),
            ])),
        ),
    ),
    ("dryRun", Told("nothing is changed", &Bool)),
    ("nodeRegistration", NODE),
    ("localAPIEndpoint", ENDPOINT),
    ("certificateKey", CERTIFICATE_KEY),
    ("skipPhases", PHASES),
    ("patches", PATCHES),
    ("timeouts", TIMEOUTS),
]);

const VOLUMES: Shape = List(&Object(&[
    ("name", Text),
    ("hostPath", Told("absolute path on the host", &Text)),
    ("mountPath", Told("absolute path in the container", &Text)),
    ("readOnly", Bool),
    (
        "pathType",
        OneOf(&["DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"]),
    ),
]));
const FLAGS: Shape = Told("further flags; one that is there already is replaced", &ARGS);
const VARIABLES: Shape = Told("environment variables", &ENVS);
const COMPONENT: Shape =
    Object(&[("extraArgs", FLAGS), ("extraEnvs", VARIABLES), ("extraVolumes", Told("mounted paths", &VOLUMES))]);
const REPOSITORY: Shape = Told("registry and path of its image, instead of the cluster's", &Text);
const TAG: Shape = Told("tag of its image, instead of the release's", &Text);
const ETCD: Shape = Object(&[
    (
        "local",
        Told(
            "etcd as a static pod of this node",
            &Object(&[
                ("dataDir", Told("/var/lib/etcd by default", &Text)),
                ("imageRepository", REPOSITORY),
                ("imageTag", TAG),
                ("extraArgs", FLAGS),
                ("extraEnvs", VARIABLES),
                ("serverCertSANs", Told("further names of its serving certificate", &TEXTS)),
                ("peerCertSANs", Told("further names of its peer certificate", &TEXTS)),
            ]),
        ),
    ),
    (
        "external",
        Told(
            "etcd that runs elsewhere",
            &Object(&[
                ("endpoints", Told("URLs of its members, with ports", &TEXTS)),
                ("httpEndpoints", Told("where its members answer HTTP, if elsewhere", &TEXTS)),
                ("caFile", Told("authority of its members' certificates", &Text)),
                ("certFile", Told("client certificate of the API server", &Text)),
                ("keyFile", Told("key of that certificate", &Text)),
            ]),
        ),
    ),
]);

const CLUSTER: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("etcd", Told("where the cluster keeps its data", &ETCD)),
    (
        "networking",
        Told(
            "networks of the cluster",
            &Object(&[
                ("serviceSubnet", Told("of Services, 10.96.0.0/12 by default; two with a comma for dual-stack", &Text)),
                ("podSubnet", Told("of pods; two with a comma for dual-stack", &Text)),
                ("dnsDomain", Told("cluster.local by default", &Text)),
            ]),
        ),
    ),
    ("kubernetesVersion", Told("version of the control plane, v1.37.2; the installed kubelet's by default", &Text)),
    ("controlPlaneEndpoint", Told("name or address of all API servers together, with an optional port", &Text)),
    (
        "apiServer",
        Told(
            "kube-apiserver",
            &Object(&[
                ("certSANs", Told("further names of its serving certificate", &TEXTS)),
                ("extraArgs", FLAGS),
                ("extraEnvs", VARIABLES),
                ("extraVolumes", Told("mounted paths", &VOLUMES)),
            ]),
        ),
    ),
    ("controllerManager", Told("kube-controller-manager", &COMPONENT)),
    ("scheduler", Told("kube-scheduler", &COMPONENT)),
    (
        "dns",
        Told("the add-on CoreDNS", &Object(&[("disabled", Bool), ("imageRepository", REPOSITORY), ("imageTag", TAG)])),
    ),
    ("proxy", Told("the add-on kube-proxy", &Object(&[("disabled", Bool)]))),
    ("certificatesDir", Told("/etc/kubernetes/pki by default", &Text)),
    ("imageRepository", Told("registry and path of all images, registry.k8s.io by default", &Text)),
    ("featureGates", Told("kubeadm's own feature gates", &MapOf(&Bool))),
    ("clusterName", Told("kubernetes by default", &Text)),
    ("encryptionAlgorithm", Told("of new keys, ECDSA-P256 by default", &ALGORITHMS)),
    ("certificateValidityPeriod", Told("8760h by default", &Duration)),
    ("caCertificateValidityPeriod", Told("87600h by default", &Duration)),
]);

const JOIN: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("dryRun", Told("nothing is changed", &Bool)),
    ("nodeRegistration", NODE),
    ("caCertPath", Told("/etc/kubernetes/pki/ca.crt by default; ends with .crt", &Text)),
    (
        "discovery",
        Told(
            "how the node finds the cluster: by bootstrapToken or by file",
            &Object(&[
                (
                    "bootstrapToken",
                    Object(&[
                        ("token", Told("abcdef.0123456789abcdef", &Text)),
                        ("apiServerEndpoint", Told("host:port", &Text)),
                        ("caCertHashes", Told("sha256: and 64 hexadecimal digits, of the public key", &TEXTS)),
                        ("unsafeSkipCAVerification", Told("anybody may pretend to be the cluster", &Bool)),
                    ]),
                ),
                ("file", Object(&[("kubeConfigPath", Told("path or https URL of a kubeconfig", &Text))])),
                ("tlsBootstrapToken", Told("token of the kubelet; bootstrapToken.token by default", &Text)),
            ]),
        ),
    ),
    (
        "controlPlane",
        Told(
            "the node becomes one of the control plane; a worker without it",
            &Object(&[("localAPIEndpoint", ENDPOINT), ("certificateKey", CERTIFICATE_KEY)]),
        ),
    ),
    ("skipPhases", PHASES),
    ("patches", PATCHES),
    ("timeouts", TIMEOUTS),
]);

const RESET: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("cleanupTmpDir", Told("/etc/kubernetes/tmp goes, too", &Bool)),
    ("certificatesDir", Told("/etc/kubernetes/pki by default", &Text)),
    ("criSocket", Told("container runtime; detected by default", &Text)),
    ("dryRun", Told("nothing is changed", &Bool)),
    ("force", Told("without asking", &Bool)),
    ("ignorePreflightErrors", IGNORED),
    ("skipPhases", PHASES),
    (
        "unmountFlags",
        Told("of umount2(2)", &List(&OneOf(&["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"]))),
    ),
    ("timeouts", TIMEOUTS),
]);

const VERSION: Shape = Told("the version to go to", &Text);
const UPGRADE: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    (
        "apply",
        Object(&[
            ("kubernetesVersion", VERSION),
            ("allowExperimentalUpgrades", Bool),
            ("allowRCUpgrades", Bool),
            ("certificateRenewal", Told("true by default", &Bool)),
            ("dryRun", Bool),
            ("etcdUpgrade", Told("true by default", &Bool)),
            ("forceUpgrade", Bool),
            ("ignorePreflightErrors", IGNORED),
            ("patches", PATCHES),
            ("printConfig", Bool),
            ("skipPhases", PHASES),
            ("imagePullPolicy", PULL_POLICY),
            ("imagePullSerial", Bool),
        ]),
    ),
    (
        "node",
        Object(&[
            ("certificateRenewal", Told("true by default", &Bool)),
            ("dryRun", Bool),
            ("etcdUpgrade", Told("true by default", &Bool)),
            ("ignorePreflightErrors", IGNORED),
            ("skipPhases", PHASES),
            ("patches", PATCHES),
            ("imagePullPolicy", PULL_POLICY),
            ("imagePullSerial", Bool),
        ]),
    ),
    (
        "plan",
        Object(&[
            ("kubernetesVersion", VERSION),
            ("allowExperimentalUpgrades", Bool),
            ("allowRCUpgrades", Bool),
            ("dryRun", Bool),
            ("etcdUpgrade", Told("true by default", &Bool)),
            ("ignorePreflightErrors", IGNORED),
            ("printConfig", Bool),
        ]),
    ),
    ("diff", Object(&[("kubernetesVersion", VERSION), ("contextLines", Told("3 by default", &Int))])),
    ("timeouts", TIMEOUTS),
]);

/// Kind, version and fields of every document that is read; kubeadm's own come first.
pub(super) const DOCUMENTS: [(&str, &str, &Shape); 7] = [
    ("InitConfiguration", "kubeadm.k8s.io/v1beta4", &INIT),
    ("ClusterConfiguration", "kubeadm.k8s.io/v1beta4", &CLUSTER),
    ("JoinConfiguration", "kubeadm.k8s.io/v1beta4", &JOIN),
    ("ResetConfiguration", "kubeadm.k8s.io/v1beta4", &RESET),
    ("UpgradeConfiguration", "kubeadm.k8s.io/v1beta4", &UPGRADE),
    ("KubeletConfiguration", "kubelet.config.k8s.io/v1beta1", &kubelet::CONFIGURATION),
    ("KubeProxyConfiguration", "kubeproxy.config.k8s.io/v1alpha1", &kube_proxy::CONFIGURATION),
];

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Map, Value, json};

    use super::super::shape::Shape::{Any, Number, Quantity};
    use super::*;
    use crate::config::{Facts, Overrides, Source, judge};

    type Objects = BTreeMap<String, BTreeSet<String>>;

    thread_local! {
        /// The objects that were read, with the fields that somebody asked for.
        static READ: RefCell<Objects> = RefCell::default();
    }

    pub(in super::super) fn record(path: &str, known: &[&str]) {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        READ.with_borrow_mut(|read| read.insert(path.to_owned(), known));
    }

    /// A value that has everything, and the objects in it.
    fn sample(shape: &Shape, path: &str, objects: &mut Objects) -> Value {
        match shape {
            Told(_, shape) => sample(shape, path, objects),
            List(shape) => json!([sample(shape, &format!("{path}[0]"), objects)]),
            Object(fields) => {
                objects.insert(path.to_owned(), fields.iter().map(|(name, _)| (*name).to_owned()).collect());
                let field = |(name, shape): &(&str, Shape)| {
                    ((*name).to_owned(), sample(shape, &format!("{path}.{name}"), objects))
                };
                fields.iter().map(field).collect::<Map<_, _>>().into()
            }
            Bool => json!(true),
            Int | Number => json!(1),
            Duration => json!("1s"),
            OneOf(words) => json!(words[0]),
            MapOf(_) | Any => json!({}),
            Text | Quantity | Refused(..) => json!("x"),
        }
    }

    #[test]
    fn the_schema_has_the_fields_that_are_read() {
        for (kind, version, shape) in &DOCUMENTS[..5] {
            let mut expected = Objects::new();
            let mut document = sample(shape, kind, &mut expected);
            (document["apiVersion"], document["kind"]) = (json!(version), json!(kind));
            READ.with_borrow_mut(BTreeMap::clear);
            let text = document.to_string();
            let source = Source { name: "c.json", text: &text };
            let _ = judge(source, &Overrides::default(), &Facts::default());
            // What is the API's own is read by its shape.
            expected.retain(|path, _| !path.contains("extraEnvs"));
            assert_eq!(READ.take(), expected);
        }
    }
}
