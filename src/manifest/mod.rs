//! Static pod manifests: rendering, the check of the final bytes, the digest that identifies a pod.
//!
//! A template under `templates/static-pods` is the pod as a person writes it; [`context`] fills it, [`check`] reads
//! the result as the kubelet will and refuses whatever would mean something else there. Everything here is pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::config::{self, Arg, Config, HostPathMount};
use crate::error::{Error, Kind, Problem};
use crate::layout;
use crate::patch::Target;
use crate::release;

pub mod beside;
mod check;
mod context;
mod inputs;
mod patched;
mod probe;
mod served;
mod template;
pub mod unpack;
pub(crate) mod yaml;

pub use check::{DIGEST_ANNOTATION, FILES_ANNOTATION, Read, ReadError, digest, is_same_document, read};
pub use context::context_keys;
pub use patched::in_one_layout;
pub use probe::{HealthEndpoint, Scheme, endpoint, ports};
pub use served::{Served, served};
pub use template::{PARTS, TEMPLATES, variables};

/// A component of the control plane that runs as a static pod, in the order in which they depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
}

impl Component {
    /// All of them, etcd first.
    pub const ALL: [Self; 4] = [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler];

    /// Name of the pod, its container, its binary and its manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
        }
    }

    /// The component of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.name() == name)
    }

    /// Where its manifest is.
    pub fn path(self) -> String {
        layout::manifest(self.name())
    }

    /// The part of `ClusterConfiguration` that is about it, for findings.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Etcd => "ClusterConfiguration.etcd.local",
            Self::ApiServer => "ClusterConfiguration.apiServer",
            Self::ControllerManager => "ClusterConfiguration.controllerManager",
            Self::Scheduler => "ClusterConfiguration.scheduler",
        }
    }

    fn settings(self, config: &Config) -> Option<&config::Component> {
        match self {
            Self::Etcd => None,
            Self::ApiServer => Some(&config.cluster.api_server),
            Self::ControllerManager => Some(&config.cluster.controller_manager),
            Self::Scheduler => Some(&config.cluster.scheduler),
        }
    }

    fn extra_args(self, config: &Config) -> &[Arg] {
        self.settings(config).map_or(&config.cluster.etcd.extra_args, |settings| &settings.extra_args)
    }

    fn extra_envs(self, config: &Config) -> &[serde_json::Value] {
        self.settings(config).map_or(&config.cluster.etcd.extra_envs, |settings| &settings.extra_envs)
    }

    /// etcd has no `extraVolumes`.
    fn extra_volumes(self, config: &Config) -> &[HostPathMount] {
        self.settings(config).map_or(&[], |settings| &settings.extra_volumes)
    }

    /// The user's value of a flag; of a repeated one the last counts, as for the component.
    fn argument<'a>(self, config: &'a Config, name: &str) -> Option<&'a str> {
        self.extra_args(config).iter().rev().find(|arg| arg.name == name).map(|arg| arg.value.as_str())
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Component {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What depends on the node. The default knows nothing of any node: the result is the configuration's alone.
///
/// Proxy variables are not among them: the environment of whoever runs us is never consulted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeInputs {
    /// Those of [`layout::HOST_CA_DIRECTORIES`] that exist.
    pub ca_directories: Vec<String>,
    /// `sha256:<hex>` over the files of [`files_read_once`], for each component whose files are known.
    pub mounted: BTreeMap<Component, String>,
    /// Whether the key of the cluster's authority is elsewhere, so that the controller manager signs nothing.
    pub external_ca: bool,
    /// Whether the cluster's authority is a successor whose predecessor is still trusted, so that `ca.crt` holds both.
    pub successor: bool,
}

/// A static pod, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Which one.
    pub component: Component,
    /// The bytes of the file.
    pub text: String,
    /// `sha256:<hex>`, also in the pod as [`DIGEST_ANNOTATION`].
    pub digest: String,
}

/// Renders a static pod, patches it and checks the bytes: what is returned means to the kubelet what the configuration
/// and the patches say.
pub fn render(component: Component, config: &Config, node: &NodeInputs) -> Result<Manifest, Error> {
    let refuse = |problems| {
        let message = format!("the static pod {component} cannot be made from this configuration");
        Error::problems(Kind::Configuration, message, problems)
    };
    let context = context::Context::new(component, config, node);
    let problems = inputs::problems(component, config, &context.mounts);
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    let rejected = |message| refuse(vec![Problem::new(component.field(), message)]);
    // The digest is the pod's without itself, so the first pass carries none.
    let draft = template::render(&context, "").map_err(rejected)?;
    let pod = check::strict(&draft).map_err(rejected)?;
    let digest = digest(&pod);
    let text = template::render(&context, &digest).map_err(rejected)?;
    check::is_intended(&text, &digest, &context).map_err(rejected)?;
    if config.patches.is_empty(Target::StaticPod(component)) {
        return Ok(Manifest { component, text, digest });
    }
    patched::render(component, config, &pod).map_err(refuse)
}

/// Flags and feature gates that the version does not know, patches included: of the static pods, and of the kubelet, which is to
/// have the same minor sooner or later. Who meets one ends at once.
pub fn unknown_options(config: &Config, node: &NodeInputs) -> Result<Vec<Problem>, Error> {
    let mut problems = vec![];
    for component in components(config) {
        let Ok(read) = check::read(&render(component, config, node)?.text) else { continue };
        let containers = read.pod["spec"]["containers"].as_array().into_iter().flatten();
        for container in containers.filter(|container| container["name"] == component.name()) {
            let words = ["command", "args"].into_iter().filter_map(|list| container[list].as_array()).flatten();
            let words: Vec<_> = words.filter_map(serde_json::Value::as_str).collect();
            let unknown = release::options::unknown(config.cluster.version.minor, component.name(), &words);
            problems.extend(unknown.into_iter().map(|message| Problem::new(component.field(), message)));
        }
    }
    problems.extend(unknown_to_kubelet(config));
    Ok(problems)
}

fn unknown_to_kubelet(config: &Config) -> impl Iterator<Item = Problem> {
    let of = |field: &'static str, word: String| {
        let unknown = release::options::unknown(config.cluster.version.minor, "kubelet", &[&word]);
        unknown.into_iter().map(move |message| Problem::new(field, message))
    };
    let flags = config.node.kubelet_extra_args.iter().map(|arg| format!("--{}={}", arg.name, arg.value));
    let gates = config.kubelet.get("featureGates").and_then(serde_json::Value::as_object);
    let gates = gates.into_iter().flat_map(|gates| gates.keys()).map(|gate| format!("--feature-gates={gate}="));
    flags
        .flat_map(move |word| of("nodeRegistration.kubeletExtraArgs", word))
        .chain(gates.flat_map(move |word| of("KubeletConfiguration.featureGates", word)))
}

/// The static pods of this configuration: all, or all but etcd when that runs elsewhere.
pub fn components(config: &Config) -> impl Iterator<Item = Component> {
    let local = config.cluster.external_etcd.is_none();
    Component::ALL.into_iter().filter(move |component| local || *component != Component::Etcd)
}

/// The image that a component runs: the configured one, or that of a patch.
pub fn image(component: Component, config: &Config) -> String {
    let patched = patched::images(component, config).into_iter().next();
    patched.unwrap_or_else(|| configured_image(component, config))
}

/// The image of a component before patches (kubeadm: `images/images.go`).
fn configured_image(component: Component, config: &Config) -> String {
    let cluster = &config.cluster;
    let (repository, tag) = match component {
        Component::Etcd => {
            (cluster.etcd.image_repository.as_ref().unwrap_or(&cluster.image_repository), cluster.etcd_tag().to_owned())
        }
        _ => (&cluster.image_repository, version_tag(config)),
    };
    format!("{repository}/{component}:{tag}")
}

/// The tag of the images that have Kubernetes' own version; a tag has no `+` of build metadata.
pub fn version_tag(config: &Config) -> String {
    config.cluster.version.to_string().replace(|c| !is_tag_character(c), "_")
}

fn is_tag_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// The images that the control plane needs: its components', of what patches put beside them, and the sandbox's.
pub fn images(config: &Config) -> Vec<String> {
    let of = |component| {
        let patched = patched::images(component, config);
        if patched.is_empty() { vec![configured_image(component, config)] } else { patched }
    };
    components(config).flat_map(of).chain([pause_image(config)]).collect()
}

/// The image of every pod's sandbox.
pub fn pause_image(config: &Config) -> String {
    format!("{}/pause:{}", config.cluster.image_repository, config.cluster.release.pause)
}

/// Host files that a component reads at its start and never again: a change of one must restart it.
///
/// Serving certificates, client certificates and client authorities are not here: every component rereads them
/// (`dynamiccertificates` in Kubernetes, `GetCertificate` per handshake in etcd).
pub fn files_read_once(component: Component, config: &Config) -> Vec<String> {
    let pki = &config.cluster.certificates_dir;
    let defaults = match component {
        // client/pkg/transport/listener.go: the pool of authorities is built with the listener.
        Component::Etcd => {
            vec![
                ("peer-trusted-ca-file", pki.clone() + "/etcd/ca.crt"),
                ("trusted-ca-file", pki.clone() + "/etcd/ca.crt"),
            ]
        }
        Component::ApiServer => vec![
            // apiserver/pkg/storage/storagebackend/factory/etcd3.go: one TLS configuration per client.
            ("etcd-cafile", context::etcd_file(config, "etcd/ca.crt", |etcd| &etcd.ca_file).unwrap_or_default()),
            // pkg/kubeapiserver/options/authentication.go: the keys are static.
            ("service-account-key-file", pki.clone() + "/sa.pub"),
            // pkg/controlplane/apiserver/options/options.go: the signer is made from the file when options complete.
            ("service-account-signing-key-file", pki.clone() + "/sa.key"),
        ],
        Component::ControllerManager => vec![
            // client-go/tools/clientcmd: a kubeconfig with embedded credentials is loaded once.
            ("kubeconfig", layout::kubeconfig("controller-manager.conf")),
            // cmd/kube-controller-manager/app/{certificates,service_accounts}.go.
            ("root-ca-file", pki.clone() + "/ca.crt"),
            ("service-account-private-key-file", pki.clone() + "/sa.key"),
        ],
        Component::Scheduler => vec![("kubeconfig", layout::kubeconfig("scheduler.conf"))],
    };
    let mut files: Vec<String> = defaults
        .into_iter()
        .flat_map(|(flag, default)| {
            let given = component.extra_args(config).iter().filter(|arg| arg.name == flag);
            let values: Vec<String> = given.map(|arg| arg.value.clone()).collect();
            if values.is_empty() { vec![default] } else { values }
        })
        // The mount of a file pins its inode: the pod sees a replaced file only after a restart.
        .chain(single_files(component, config))
        .filter(|file| !file.is_empty())
        .collect();
    files.sort();
    files.dedup();
    files
}

fn single_files(component: Component, config: &Config) -> impl Iterator<Item = String> {
    let volumes = component.extra_volumes(config).iter();
    volumes.filter(|v| matches!(v.path_type.as_str(), "File" | "FileOrCreate")).map(|v| v.host_path.clone())
}
