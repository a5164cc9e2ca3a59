//! Flags over fields, then defaults, then judgement: from what was given to a complete [`Config`].

use std::collections::HashSet;
use std::time::Duration;

use super::cluster::Cluster as GivenCluster;
use super::documents::Documents;
use super::given::{Given, Origin, Problems, Wrong, did_you_mean, quoted};
use super::init::Timeouts as GivenTimeouts;
use super::network::{Subnets, networking};
use super::{
    BootstrapToken, Cluster, Config, Dns, Facts, KeyAlgorithm, Networking, Overrides, Timeouts, etcd, gates, node,
    value,
};
use crate::patch::Patches;
use crate::release::{self, RELEASES, Release, Version};
use crate::{layout, phase};

/// kubeadm's default of `localAPIEndpoint.bindPort`.
const BIND_PORT: i64 = 6443;
/// kubeadm's default of `imageRepository`.
const IMAGE_REPOSITORY: &str = "registry.k8s.io";
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// What every part of the judgement needs.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) overrides: &'a Overrides,
    pub(super) facts: &'a Facts,
    pub(super) problems: &'a Problems,
    /// What is missing may be in a document that could not be read: say nothing of it.
    pub(super) broken: bool,
}

impl Context<'_> {
    /// Judges a value; nothing given is fine.
    pub(super) fn optional<T>(self, given: Option<Given<String>>, judge: fn(&str) -> Result<T, Wrong>) -> Option<T> {
        given.and_then(|given| given.check(self.problems, |text| judge(text)))
    }

    /// Judges every element of a list; one that comes again is dropped.
    pub(super) fn all(self, given: Vec<Given<String>>, judge: fn(&str) -> Result<String, Wrong>) -> Vec<String> {
        let judged = given.into_iter().filter_map(|given| self.optional(Some(given), judge));
        let mut seen = HashSet::new();
        judged.filter(|value| seen.insert(value.clone())).collect()
    }
}

/// The flag when it says something, else the field.
pub(super) fn pick(flag: &'static str, value: Option<&String>, field: Option<Given<String>>) -> Option<Given<String>> {
    value.filter(|value| !value.is_empty()).map(|value| Given::flag(flag, value.clone())).or(field)
}

/// The complete configuration; `None` only after a problem was reported, and incomplete judgement never hides another.
pub(super) fn resolve(given: Documents, overrides: &Overrides, facts: &Facts, problems: &Problems) -> Option<Config> {
    let Documents { mut init, cluster, kubelet, kubelet_since, kube_proxy, broken, .. } = given;
    let context = Context { overrides, facts, problems, broken };
    let mut detected = vec![];
    let skipped = skip_phases(context, std::mem::take(&mut init.skip_phases), &cluster);
    let bind_port = overrides.bind_port.map(|port| Given::flag("--apiserver-bind-port", i64::from(port)));
    let bind_port =
        bind_port.or(init.bind_port).unwrap_or_else(|| Given::default("localAPIEndpoint.bindPort", BIND_PORT));
    let bind_port = bind_port.check(problems, |port| value::port(*port));
    let node = node::registration(context, init.node, &mut detected);
    let advertise = node::advertise_address(context, init.advertise_address, &mut detected);
    // Displayed as: name, address, socket, version.
    detected.sort_by_key(|(name, _)| [node::NAME, node::ADDRESS, node::SOCKET].iter().position(|known| known == name));
    let version = version(context, cluster.version.clone(), &mut detected);
    if let Some((version, _)) = &version {
        refuse_newer(problems, version, &kubelet_since);
    }
    let subnets = Subnets {
        service: pick("--service-cidr", overrides.service_subnet.as_ref(), cluster.service_subnet.clone()),
        pod: pick("--pod-network-cidr", overrides.pod_subnet.as_ref(), cluster.pod_subnet.clone()),
        dns_domain: pick("--service-dns-domain", overrides.dns_domain.as_ref(), cluster.dns_domain.clone()),
    };
    let networking = networking(subnets, &cluster.controller_manager.extra_args, advertise.as_ref(), problems);
    let timeouts = timeouts(context, init.timeouts);
    let patches_directory = pick("--patches", overrides.patches_directory.as_ref(), init.patches_directory);
    let patches_directory = context.optional(patches_directory, value::directory);
    let cluster = complete(context, cluster, bind_port, version, networking);
    let mut bootstrap_tokens = init.bootstrap_tokens;
    if bootstrap_tokens.is_empty() {
        bootstrap_tokens.push(BootstrapToken::default());
    }
    Some(Config {
        node: node?,
        advertise_address: advertise?.value,
        bind_port: bind_port?,
        cluster: cluster?,
        kubelet,
        kube_proxy,
        timeouts,
        skip_phases: skipped,
        patches_directory,
        patches: Patches::default(),
        dry_run: init.dry_run,
        bootstrap_tokens,
        upload_certificates: false,
        certificate_key: init.certificate_key,
        detected,
    })
}

/// Phases to skip: the flag's or the file's, each known, with the add-ons that the cluster has disabled.
fn skip_phases(context: Context<'_>, given: Vec<Given<String>>, cluster: &GivenCluster) -> Vec<String> {
    let flags = &context.overrides.skip_phases;
    let given = if flags.is_empty() {
        given
    } else {
        flags.iter().map(|name| Given::flag("--skip-phases", name.clone())).collect()
    };
    let mut skipped = context.all(given, |name| {
        let hint = || did_you_mean(name, phase::PHASES.iter().map(|phase| phase.name));
        match phase::find(name) {
            Some(phase) => Ok(phase.name.to_owned()),
            None => Err(Wrong::new(format!("there is no phase {}", quoted(name))).maybe(hint())),
        }
    });
    for (name, disabled) in [("addon/coredns", cluster.dns_disabled), ("addon/kube-proxy", cluster.proxy_disabled)] {
        if disabled && !phase::is_skipped(name, &skipped) {
            skipped.push(name.to_owned());
        }
    }
    skipped
}

fn refuse_newer(problems: &Problems, version: &Version, since: &[(Origin, u32)]) {
    for (origin, minor) in since.iter().filter(|(_, minor)| version.minor < *minor) {
        problems.add(origin, Wrong::new(format!("the kubelet knows this field from v1.{minor} on, not in {version}")));
    }
}

/// The version that was given, else the installed kubelet's, else the newest.
fn version(
    context: Context<'_>,
    field: Option<Given<String>>,
    detected: &mut Vec<(&'static str, String)>,
) -> Option<(Version, &'static Release)> {
    let flag = context.overrides.kubernetes_version.as_ref();
    if let Some(given) = pick("--kubernetes-version", flag, field) {
        return given.check(context.problems, |text| judge_version(text));
    }
    let kubelet = context.facts.kubelet_version.as_ref();
    let supported = kubelet.and_then(|version| Some((version.clone(), release::release(version.minor)?)));
    let chosen = supported.unwrap_or_else(|| (release::NEWEST.newest(), release::NEWEST));
    detected.push(("Kubernetes version", chosen.0.to_string()));
    Some(chosen)
}

pub(super) fn judge_version(text: &str) -> Result<(Version, &'static Release), Wrong> {
    let [oldest, .., newest] = &RELEASES;
    let example = release::NEWEST.newest();
    if ["stable", "latest", "ci/", "ci-", "release/"].iter().any(|label| text.starts_with(label)) {
        let message = format!("{} is a label, and the network is never asked what it means", quoted(text));
        return Err(Wrong::new(message).hint(format!("name the version itself, for example {example}")));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    let version = text.parse::<Version>().ok().filter(|version| text.len() <= 64 && version.suffix.chars().all(word));
    let Some(version) = version else {
        return Err(Wrong::new(format!("{} is not a version", quoted(text))).hint(format!("write it like {example}")));
    };
    if let Some(release) = release::release(version.minor) {
        return Ok((version, release));
    }
    let window = format!("v1.{} to v1.{} are supported", oldest.minor, newest.minor);
    Err(Wrong::new(format!("Kubernetes {version} is not supported")).hint(window))
}

fn timeouts(context: Context<'_>, given: GivenTimeouts) -> Timeouts {
    let or = |given, default| context.optional(given, value::positive_duration).unwrap_or(default);
    for other in given.others.into_iter().chain(given.upgrade_manifests) {
        context.optional(Some(other), value::duration);
    }
    Timeouts {
        control_plane_component_health_check: or(given.control_plane_component_health_check, 4 * MINUTE),
        kubelet_health_check: or(given.kubelet_health_check, 4 * MINUTE),
        kubernetes_api_call: or(given.kubernetes_api_call, MINUTE),
        etcd_api_call: or(given.etcd_api_call, 2 * MINUTE),
    }
}

fn complete(
    context: Context<'_>,
    given: GivenCluster,
    bind_port: Option<u16>,
    version: Option<(Version, &'static Release)>,
    networking: Option<Networking>,
) -> Option<Cluster> {
    let Context { overrides, problems, .. } = context;
    let endpoint = overrides.control_plane_endpoint.as_ref();
    let endpoint = pick("--control-plane-endpoint", endpoint, given.control_plane_endpoint);
    let endpoint = endpoint.and_then(|e| e.check(problems, |text| value::endpoint(text, bind_port.unwrap_or(6443))));
    let certificates_dir = pick("--cert-dir", overrides.certificates_dir.as_ref(), given.certificates_dir);
    let repository = pick("--image-repository", overrides.image_repository.as_ref(), given.image_repository);
    let flags = overrides.cert_extra_sans.iter().map(|san| Given::flag("--apiserver-cert-extra-sans", san.clone()));
    let sans = given.api_server_cert_sans.into_iter().chain(flags).collect();
    let algorithm = context.optional(given.encryption_algorithm, key_algorithm);
    let validity = |given, default| context.optional(given, value::positive_duration).unwrap_or(default);
    // Judge with stand-ins for what is wrong already, so that nothing stays unsaid.
    let complete = version.is_some() && networking.is_some();
    let (version, release) = version.unwrap_or_else(|| (release::NEWEST.newest(), release::NEWEST));
    let feature_gates = gates::judge(given.feature_gates, release.minor, problems);
    let (etcd, external_etcd) = etcd::etcd(context, given.etcd);
    let cluster = Cluster {
        version,
        release,
        name: context.optional(given.name, value::printable).unwrap_or_else(|| "kubernetes".into()),
        control_plane_endpoint: endpoint,
        certificates_dir: context.optional(certificates_dir, value::directory).unwrap_or_else(|| layout::PKI.into()),
        image_repository: context
            .optional(repository, value::image_repository)
            .unwrap_or_else(|| IMAGE_REPOSITORY.into()),
        etcd,
        external_etcd,
        dns: Dns {
            image_repository: context.optional(given.dns_image_repository, value::image_repository),
            image_tag: context.optional(given.dns_image_tag, value::image_tag),
        },
        networking: networking.unwrap_or_default(),
        api_server: given.api_server,
        api_server_cert_sans: context.all(sans, |san| value::san(&san.to_lowercase())),
        controller_manager: given.controller_manager,
        scheduler: given.scheduler,
        key_algorithm: gates::key_algorithm(&feature_gates).or(algorithm).unwrap_or(KeyAlgorithm::EcdsaP256),
        feature_gates,
        certificate_validity: validity(given.certificate_validity, 8760 * HOUR),
        ca_certificate_validity: validity(given.ca_certificate_validity, 87600 * HOUR),
    };
    complete.then_some(cluster)
}

fn key_algorithm(text: &str) -> Result<KeyAlgorithm, Wrong> {
    match value::one_of(text, &["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"])?.as_str() {
        "RSA-2048" => Ok(KeyAlgorithm::Rsa2048),
        "RSA-3072" => Ok(KeyAlgorithm::Rsa3072),
        "RSA-4096" => Ok(KeyAlgorithm::Rsa4096),
        "ECDSA-P384" => Ok(KeyAlgorithm::EcdsaP384),
        _ => Ok(KeyAlgorithm::EcdsaP256),
    }
}
