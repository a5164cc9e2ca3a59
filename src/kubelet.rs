//! The kubelet's files: its configuration, the node-local part of it, and its flags (kubeadm: `phases/kubelet`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::config::{self, Arg, Config};
use crate::error::{Error, Kind, Problem};
use crate::layout;
use crate::manifest::yaml;
use crate::patch::Target;

/// The stub resolver's upstream list; the stub itself answers only on the host's loopback address.
const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";
/// For a service network without a tenth address (kubeadm: `componentconfigs/kubelet.go`).
const DEFAULT_CLUSTER_DNS: &str = "10.96.0.10";

/// A file that the kubelet reads at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletFile {
    /// Absolute path inside the root.
    pub path: &'static str,
    /// The bytes of the file.
    pub text: String,
    /// Permission bits.
    pub mode: u32,
}

/// The three files of the kubelet. `resolved_active` says whether the unit systemd-resolved is active on the node.
pub fn files(config: &Config, resolved_active: bool) -> Result<Vec<KubeletFile>, Error> {
    let file = |path, text| KubeletFile { path, text, mode: 0o600 };
    Ok(vec![
        file(layout::KUBELET_CONFIG, configuration(config, resolved_active)?),
        file(layout::KUBELET_INSTANCE_CONFIG, instance_configuration(config)),
        file(layout::KUBELET_FLAGS, flags(config)?),
    ])
}

/// This node's `KubeletConfiguration`.
fn configuration(config: &Config, resolved_active: bool) -> Result<String, Error> {
    let document = common(config, resolved_active)?;
    let mut document = patched(config, document).map_err(|problems| {
        Error::problems(Kind::Configuration, "the kubelet's configuration cannot be made", problems)
    })?;
    // Node-local and last, as kubeadm merges instance-config.yaml.
    document["containerRuntimeEndpoint"] = json!(config.node.cri_socket);
    Ok(yaml::block(&document))
}

/// The `KubeletConfiguration` of all nodes of the cluster: nothing in it is of this node, its patches neither.
pub fn shared(config: &Config) -> Result<String, Error> {
    let mut document = common(config, false)?;
    if let Some(fields) = document.as_object_mut() {
        fields.remove("containerRuntimeEndpoint");
    }
    Ok(yaml::block(&document))
}

/// The user's fields, then defaults where the user left nothing.
fn common(config: &Config, resolved_active: bool) -> Result<Value, Error> {
    let mut document = Value::Object(config.kubelet.clone());
    let mut problems = vec![];
    for (path, default) in defaults(config, resolved_active) {
        if let Err(message) = set_default(&mut document, path, default) {
            problems.push(Problem::new(format!("KubeletConfiguration.{path}"), message));
        }
    }
    if !problems.is_empty() {
        return Err(Error::problems(Kind::Configuration, "the kubelet's configuration cannot be made", problems));
    }
    document["apiVersion"] = json!("kubelet.config.k8s.io/v1beta1");
    document["kind"] = json!("KubeletConfiguration");
    // Without rotation the kubelet's client certificate ends a year after its node joined.
    document["rotateCertificates"] = json!(true);
    Ok(document)
}

/// The configuration after its patches, which go over the defaults; the kubelet has to know every field of it.
fn patched(config: &Config, document: Value) -> Result<Value, Vec<Problem>> {
    let target = Target::KubeletConfiguration;
    if config.patches.is_empty(target) {
        return Ok(document);
    }
    let patched = config.patches.apply(target, document.clone()).map_err(|problem| vec![problem])?;
    let subject = config.patches.files(target).join(", ");
    if ["apiVersion", "kind"].iter().any(|field| document[field] != patched[field]) {
        return Err(vec![Problem::new(subject, "apiVersion or kind is changed")]);
    }
    let problems = config::kubelet_problems(&yaml::block(&patched), &config.cluster.version);
    let blame = |problem: Problem| {
        let message = format!("{}: {}", problem.subject, problem.message);
        Problem { subject: subject.clone(), message, ..problem }
    };
    if problems.is_empty() { Ok(patched) } else { Err(problems.into_iter().map(blame).collect()) }
}

fn defaults(config: &Config, resolved_active: bool) -> Vec<(&'static str, Value)> {
    let mut defaults = vec![
        ("authentication.anonymous.enabled", json!(false)),
        ("authentication.webhook.enabled", json!(true)),
        ("authentication.x509.clientCAFile", json!(format!("{}/ca.crt", config.cluster.certificates_dir))),
        ("authorization.mode", json!("Webhook")),
        ("cgroupDriver", json!("systemd")),
        ("clusterDNS", json!([cluster_dns(config)])),
        ("clusterDomain", json!(config.cluster.networking.dns_domain)),
        ("healthzBindAddress", json!("127.0.0.1")),
        ("healthzPort", json!(10248)),
        ("staticPodPath", json!(layout::MANIFESTS)),
    ];
    if resolved_active {
        defaults.push(("resolvConf", json!(RESOLVED_CONF)));
    }
    defaults
}

/// The address of the cluster's DNS: the tenth of the first service network.
pub fn cluster_dns(config: &Config) -> String {
    let tenth = config.cluster.networking.service_networks.first().and_then(|network| address_at(network, 10));
    tenth.map_or_else(|| DEFAULT_CLUSTER_DNS.into(), |address| address.to_string())
}

fn address_at(network: &IpNet, index: u32) -> Option<IpAddr> {
    let address = match network.network() {
        IpAddr::V4(base) => Ipv4Addr::from(u32::from(base).checked_add(index)?).into(),
        IpAddr::V6(base) => Ipv6Addr::from(u128::from(base).checked_add(index.into())?).into(),
    };
    Some(address).filter(|address| network.contains(address))
}

/// Sets a field unless the user did; an empty string, an empty list or null counts as nothing, as in kubeadm.
fn set_default(document: &mut Value, path: &str, default: Value) -> Result<(), String> {
    let mut field = document;
    for name in path.split('.') {
        if field.is_null() {
            *field = Value::Object(Map::new());
        }
        let members = field.as_object_mut().ok_or_else(|| format!("a map is expected above {name}"))?;
        field = members.entry(name).or_insert(Value::Null);
    }
    let nothing = match field {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if nothing {
        *field = default;
    }
    Ok(())
}

/// One line: kubeadm's upgrade and reset read the socket back from here.
fn instance_configuration(config: &Config) -> String {
    format!("containerRuntimeEndpoint: {}\n", yaml::quote(&config.node.cri_socket))
}

/// `KUBELET_KUBEADM_ARGS`, which the kubelet's unit appends to its command line.
fn flags(config: &Config) -> Result<String, Error> {
    let node = &config.node;
    let given = |name: &str| node.kubelet_extra_args.iter().any(|arg| arg.name == name);
    let mut words = vec![];
    if node.name != node.hostname && !given("hostname-override") {
        words.push(format!("--hostname-override={}", node.name));
    }
    words.extend(node.kubelet_extra_args.iter().map(|Arg { name, value }| format!("--{name}={value}")));
    let problems: Vec<Problem> = words.iter().filter_map(|word| unfit(word)).collect();
    if !problems.is_empty() {
        let message = "flags of the kubelet cannot be passed through its environment file";
        return Err(Error::problems(Kind::Configuration, message, problems));
    }
    Ok(format!("KUBELET_KUBEADM_ARGS=\"{}\"\n", words.join(" ")))
}

/// The value is unquoted once by systemd's reader of environment files, or by a shell on other init systems, and once
/// more when `$KUBELET_KUBEADM_ARGS` is split into words (systemd.service(5)). Readers disagree about what quotes,
/// backslashes and dollars mean in between, so none is let through; kubeadm writes them and the kubelet gets another value.
fn unfit(word: &str) -> Option<Problem> {
    let special = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\' | '$' | '`');
    let found = word.chars().find(special)?;
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let subject = format!("InitConfiguration.nodeRegistration.kubeletExtraArgs.{}", name.escape_default());
    let hint = "set the corresponding field of KubeletConfiguration instead";
    Some(Problem::new(subject, format!("{found:?} does not survive the kubelet's environment file")).hint(hint))
}
