//! Patches become part of the configuration when all of them apply: tried before anything of the node is looked at.

use super::{Patches, Target};
use crate::config::{Config, Source};
use crate::error::{Error, Kind, Problem};
use crate::kubelet;
use crate::manifest::{self, Component, NodeInputs};
use crate::phase;

/// The configuration with these patch files, paths and texts; or all that is wrong with them.
pub(crate) fn add(config: Config, files: &[(String, String)]) -> Result<Config, Error> {
    let sources: Vec<_> = files.iter().map(|(name, text)| Source { name, text }).collect();
    let (patches, mut problems) = Patches::read(&sources);
    let config = Config { patches, ..config };
    problems.extend(unused(&config));
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

/// Patches for a phase that this version does not do would be ignored, so they are refused while it is wanted.
fn unused(config: &Config) -> Vec<Problem> {
    let add_ons = [(Target::CoreDnsDeployment, "addon/coredns"), (Target::KubeProxyDaemonSet, "addon/kube-proxy")];
    let wanted = |name: &str| !phase::is_skipped(name, &config.skip_phases);
    let later = |name: &str| phase::find(name).is_some_and(|phase| !phase.supported);
    let refused = add_ons.into_iter().filter(|(_, name)| wanted(name) && later(name));
    let problems = refused.flat_map(|(target, name)| {
        let hint = format!("add {name} to skipPhases");
        let problem = move |file| Problem::new(file, "not supported yet").hint(hint.clone());
        config.patches.files(target).into_iter().map(problem)
    });
    problems.collect()
}

/// Applies every patch to what it is for.
fn failing(config: &Config) -> Vec<Problem> {
    let node = NodeInputs::default();
    let patched = |component: &Component| !config.patches.is_empty(Target::StaticPod(*component));
    let pods = Component::ALL.into_iter().filter(patched);
    let pods = pods.filter_map(|component| manifest::render(component, config, &node).err());
    let kubelet = (!config.patches.is_empty(Target::KubeletConfiguration)).then(|| kubelet::files(config, false).err());
    pods.chain(kubelet.flatten()).flat_map(|error| error.problems).collect()
}
