//! Patches become part of the configuration when all of them apply: tried before anything of the node is looked at.

use std::collections::BTreeMap;

use super::{Patches, Target};
use crate::cluster::{self, Known, Part};
use crate::config::{Config, Source};
use crate::error::{Error, Kind, Problem};
use crate::kubelet;
use crate::manifest::{self, Component, NodeInputs};

/// The configuration with these patch files, paths and texts; or all that is wrong with them.
pub(crate) fn add(config: Config, files: &[(String, String)]) -> Result<Config, Error> {
    let sources: Vec<_> = files.iter().map(|(name, text)| Source { name, text }).collect();
    let (patches, mut problems) = Patches::read(&sources);
    let config = Config { patches, ..config };
    problems.extend(failing(&config));
    if problems.is_empty() {
        return Ok(config);
    }
    Err(refusal(config.patches_directory.as_deref().unwrap_or_default(), problems))
}

/// Says that the patches of a directory cannot be used.
pub(crate) fn refusal(directory: &str, problems: Vec<Problem>) -> Error {
    let message = format!("the patches in {directory} cannot be applied; nothing was changed");
    Error::problems(Kind::Configuration, message, problems)
}

/// Applies every patch to what it is for.
fn failing(config: &Config) -> Vec<Problem> {
    let node = NodeInputs::default();
    let patched = |component: &Component| !config.patches.is_empty(Target::StaticPod(*component));
    let pods = Component::ALL.into_iter().filter(patched);
    let pods = pods.filter_map(|component| manifest::render(component, config, &node).err());
    let kubelet = (!config.patches.is_empty(Target::KubeletConfiguration)).then(|| kubelet::files(config, false).err());
    let add_ons = [Part::CoreDns, Part::KubeProxy].map(|part| {
        let known = Known { authority: "", live: &BTreeMap::new() };
        cluster::objects(part, config, known).err()
    });
    pods.chain(kubelet.flatten()).chain(add_ons.into_iter().flatten()).flat_map(|error| error.problems).collect()
}
