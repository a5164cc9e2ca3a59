//! What this node was configured with, without anybody naming a file: the newest generation says it, and before there is
//! one the static pods' manifests and the kubelet's files say most of it.

use serde_json::Value;

use crate::apply::Generations;
use crate::config::{Arg, Config, Facts, Input, Overrides};
use crate::error::Result;
use crate::generation::Generation;
use crate::host::facts;
use crate::host::fs::Files;
use crate::layout;
use crate::manifest::{self, Component};
use crate::release;

/// What is known of the node's configuration.
#[derive(Debug)]
pub struct Recalled {
    /// The configuration that was proven last, or the best guess at it.
    pub config: Config,
    /// The generation that was proven last.
    pub generation: Option<Generation>,
    /// Why the newest generation cannot be read, when it cannot.
    pub unreadable: Option<String>,
}

/// Recalls the configuration of this node. Only without a generation the host is asked for its name and addresses.
pub async fn recall(files: &Files) -> Result<Recalled> {
    let (generation, unreadable) = match Generations::new(files).newest() {
        Ok(generation) => (generation, None),
        Err(error) => (None, Some(error.to_string())),
    };
    if let Some(generation) = generation
        && let Ok(config) = generation.input.config()
    {
        return Ok(Recalled { config, generation: Some(generation), unreadable });
    }
    let facts = if files.is_machine() { facts::detect().await } else { Facts::default() };
    let guess = Guess::new(files);
    let input = Input { overrides: guess.overrides(files, &facts), facts, ..Input::default() };
    let mut config = input.config()?;
    if let Some(data_dir) = guess.flag(Component::Etcd, "data-dir") {
        data_dir.clone_into(&mut config.cluster.etcd.data_dir);
    }
    config.cluster.etcd.extra_args = guess.flags(Component::Etcd);
    config.cluster.api_server.extra_args = guess.flags(Component::ApiServer);
    config.cluster.controller_manager.extra_args = guess.flags(Component::ControllerManager);
    config.cluster.scheduler.extra_args = guess.flags(Component::Scheduler);
    Ok(Recalled { config, generation: None, unreadable })
}

/// The command lines of the static pods that are there, whoever wrote them.
struct Guess(Vec<(Component, Value)>);

impl Guess {
    fn new(files: &Files) -> Self {
        let read = |component: Component| {
            let bytes = files.read(&component.path()).ok()??;
            let pod = manifest::read(&String::from_utf8_lossy(&bytes)).ok()?.pod;
            Some((component, pod["spec"]["containers"][0].clone()))
        };
        Self(Component::ALL.into_iter().filter_map(read).collect())
    }

    fn container(&self, component: Component) -> Option<&Value> {
        self.0.iter().find(|(other, _)| *other == component).map(|(_, container)| container)
    }

    /// The last value of a flag.
    fn flag(&self, component: Component, name: &str) -> Option<&str> {
        let words = self.container(component)?["command"].as_array()?.iter().rev().filter_map(Value::as_str);
        let mut values = words.filter_map(|word| word.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='));
        values.next()
    }

    /// All flags with a value: ports and certificates are where they say.
    fn flags(&self, component: Component) -> Vec<Arg> {
        let words = self.container(component).and_then(|container| container["command"].as_array());
        let flag = |word: &Value| {
            let (name, value) = word.as_str()?.strip_prefix("--")?.split_once('=')?;
            Some(Arg { name: name.to_owned(), value: value.to_owned() })
        };
        words.into_iter().flatten().filter_map(flag).collect()
    }

    fn overrides(&self, files: &Files, facts: &Facts) -> Overrides {
        let version = self.container(Component::ApiServer).and_then(|container| container["image"].as_str());
        let version = version.and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag.to_owned());
        let supported = |version: &release::Version| release::release(version.minor).is_some();
        let version = version.filter(|tag| tag.parse().is_ok_and(|version| supported(&version)));
        // A version that this program does not know must not keep it from looking at the rest.
        let default = (!facts.kubelet_version.as_ref().is_some_and(supported)).then(|| release::NEWEST.newest());
        // Below another root nothing is detected; any address and name will do for looking at files.
        let address = facts.default_address.is_none().then(|| "192.0.2.1".to_owned());
        let name = facts.hostname.is_none().then(|| "unknown".to_owned());
        let authority = self.flag(Component::ApiServer, "client-ca-file");
        Overrides {
            advertise_address: self.flag(Component::ApiServer, "advertise-address").map(str::to_owned).or(address),
            bind_port: self.flag(Component::ApiServer, "secure-port").and_then(|port| port.parse().ok()),
            certificates_dir: authority.and_then(|path| path.rsplit_once('/')).map(|(dir, _)| dir.to_owned()),
            cri_socket: socket(files).or_else(|| facts.cri_sockets.first().cloned()),
            kubernetes_version: version.or_else(|| default.map(|version| version.to_string())),
            node_name: self.flag(Component::Etcd, "name").map(str::to_owned).or(name),
            ..Overrides::default()
        }
    }
}

/// The socket of the container runtime that the kubelet was given.
fn socket(files: &Files) -> Option<String> {
    let bytes = files.read(layout::KUBELET_INSTANCE_CONFIG).ok()??;
    let document: Value = serde_yaml::from_str(&String::from_utf8_lossy(&bytes)).ok()?;
    document["containerRuntimeEndpoint"].as_str().filter(|socket| !socket.is_empty()).map(str::to_owned)
}
