//! addon/coredns and addon/kube-proxy: the objects of `phases/addons`, from the templates below `templates/addons`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Object, config_map, rbac, sign};
use crate::config::{Cluster, Config};
use crate::error::{Error, Kind, Result};
use crate::kubeconfig;
use crate::kubelet;
use crate::manifest::{self, yaml};
use crate::patch::Target;
use crate::pki::KubeconfigId;

const SYSTEM: &str = "kube-system";
const COREFILE: &str = include_str!("../../templates/addons/Corefile");
const COREDNS: &str = include_str!("../../templates/addons/coredns.yaml");
const KUBE_PROXY: &str = include_str!("../../templates/addons/kube-proxy.yaml");

/// `CoreDNS`. Its Corefile and its number of replicas belong to the user once they are there (`addons/dns/dns.go`).
pub(super) fn coredns(config: &Config, live: &BTreeMap<String, Value>) -> Result<Vec<Object>> {
    let found = |title: &str, field: &str| live.get(title).and_then(|object| object.pointer(field)).cloned();
    let corefile = found("ConfigMap kube-system/coredns", "/data/Corefile")
        .as_ref()
        .and_then(Value::as_str)
        .map_or_else(|| COREFILE.replace("@domain@", &config.cluster.networking.dns_domain), ToOwned::to_owned);
    let replicas = found("Deployment kube-system/coredns", "/spec/replicas").unwrap_or_else(|| json!(2));
    let (image, address) = (coredns_image(config), kubelet::cluster_dns(config));
    let mut objects = vec![
        Object::new(config_map(SYSTEM, "coredns", "Corefile", &corefile)),
        rbac::cluster_role_binding("system:coredns", "system:coredns", &rbac::service_account("coredns")),
    ];
    let values = [("image", json!(image)), ("address", json!(address)), ("replicas", replicas)];
    objects.extend(patched(template(COREDNS, &values)?, "Deployment", Target::CoreDnsDeployment, config)?);
    Ok(objects)
}

/// The image's name has one level more where it is at home, and only there (`images/images.go`, `GetDNSImage`).
pub(super) fn coredns_image(config: &Config) -> String {
    let Cluster { dns, image_repository, release, .. } = &config.cluster;
    let repository = dns.image_repository.as_ref().unwrap_or(image_repository);
    let name = if repository == "registry.k8s.io" { "coredns/coredns" } else { "coredns" };
    format!("{repository}/{name}:{}", dns.image_tag.as_deref().unwrap_or(release.coredns))
}

pub(super) fn kube_proxy_image(config: &Config) -> String {
    format!("{}/kube-proxy:{}", config.cluster.image_repository, manifest::version_tag(config))
}

/// kube-proxy.
pub(super) fn kube_proxy(config: &Config) -> Result<Vec<Object>> {
    let mut map = config_map(SYSTEM, "kube-proxy", "config.conf", yaml::block(&proxy_configuration(config)).trim_end());
    map["metadata"]["labels"] = json!({"app": "kube-proxy"});
    map["data"]["kubeconfig.conf"] = json!(yaml::block(&proxy_kubeconfig(config)).trim_end());
    if config.kube_proxy.is_empty() {
        sign(&mut map);
    }
    let image = kube_proxy_image(config);
    let mut objects = vec![
        Object::new(map),
        rbac::cluster_role_binding("kubeadm:node-proxier", "system:node-proxier", &rbac::service_account("kube-proxy")),
    ];
    let readers = [rbac::group(rbac::BOOTSTRAPPERS)];
    objects.extend(rbac::may_get(SYSTEM, "kube-proxy", ("configmaps", "kube-proxy"), &readers));
    let workload = template(KUBE_PROXY, &[("image", json!(image))])?;
    objects.extend(patched(workload, "DaemonSet", Target::KubeProxyDaemonSet, config)?);
    Ok(objects)
}

/// The user's `KubeProxyConfiguration` with kubeadm's defaults (`componentconfigs/kubeproxy.go`), which stand where the
/// user left a field empty.
pub(super) fn proxy_configuration(config: &Config) -> Value {
    let everywhere = if config.advertise_address.is_ipv4() { "0.0.0.0" } else { "::" };
    let mut document = Value::Object(config.kube_proxy.clone());
    document["apiVersion"] = json!("kubeproxy.config.k8s.io/v1alpha1");
    document["kind"] = json!("KubeProxyConfiguration");
    let connection = &mut document["clientConnection"];
    default(connection, "kubeconfig", "/var/lib/kube-proxy/kubeconfig.conf");
    default(&mut document, "bindAddress", everywhere);
    default(&mut document, "clusterCIDR", &config.cluster.networking.pod_subnet);
    default(&mut document, "mode", config.cluster.release.kube_proxy_mode.unwrap_or_default());
    document
}

fn default(fields: &mut Value, name: &str, text: &str) {
    if fields[name].as_str().is_none_or(str::is_empty) && !text.is_empty() {
        fields[name] = json!(text);
    }
}

fn proxy_kubeconfig(config: &Config) -> Value {
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let server = kubeconfig::server(KubeconfigId::Admin, config);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "default",
            "cluster": {"certificate-authority": format!("{account}/ca.crt"), "server": server},
        }],
        "contexts": [{
            "name": "default",
            "context": {"cluster": "default", "namespace": "default", "user": "default"},
        }],
        "current-context": "default",
        "users": [{"name": "default", "user": {"tokenFile": format!("{account}/token")}}],
    })
}

/// The documents of a template, each scalar `@name@` replaced by the value of that name. Values are put into the parsed
/// tree, so nothing in them can be taken for YAML.
fn template(text: &str, values: &[(&str, Value)]) -> Result<Vec<Value>> {
    let mut parsed: Vec<Value> = serde_yaml::from_multiple(text)
        .map_err(|error| Error::new(Kind::Step, "the template of an add-on does not parse").because(&error))?;
    for body in &mut parsed {
        replace(body, values);
    }
    Ok(parsed)
}

/// The objects, the one of that kind with the user's patches.
fn patched(bodies: Vec<Value>, kind: &str, target: Target, config: &Config) -> Result<Vec<Object>> {
    let patch = |body: Value| if body["kind"] == kind { config.patches.apply(target, body) } else { Ok(body) };
    let fail = |problem| Error::problems(Kind::Configuration, format!("{target} cannot be made"), vec![problem]);
    bodies.into_iter().map(|body| patch(body).map(Object::new).map_err(fail)).collect()
}

fn replace(tree: &mut Value, values: &[(&str, Value)]) {
    match tree {
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, values)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, values)),
        Value::String(text) => {
            let name = text.strip_prefix('@').and_then(|rest| rest.strip_suffix('@'));
            if let Some((_, value)) = values.iter().find(|(known, _)| Some(*known) == name) {
                *tree = value.clone();
            }
        }
        _ => {}
    }
}
