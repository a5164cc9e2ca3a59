//! From a file, flags and facts to a [`Config`], or to everything that is wrong with them.

use super::documents::{self, Documents, Reader};
use super::given::{Problems, Wrong, quoted};
use super::{Config, Facts, Overrides, resolve};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Problem};
use crate::patch;

/// A configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name, for places: a path, or `-` for standard input.
    pub name: &'a str,
    /// Its content: YAML or JSON, one or more documents.
    pub text: &'a str,
}

/// All that a configuration was made of. The same input makes the same configuration, so a generation keeps it: no flag
/// has to be said again later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// Name and content of the configuration file.
    pub source: Option<(String, String)>,
    /// The flags.
    pub overrides: Overrides,
    /// What the host contributed.
    pub facts: Facts,
    /// Paths and texts of the files in `patches.directory`, once somebody who may read files has read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<Vec<(String, String)>>,
}

impl Input {
    /// The same input with flags that are said now, over those that were said then.
    #[must_use]
    pub fn with(mut self, now: Overrides) -> Self {
        let then = std::mem::take(&mut self.overrides);
        let list = |now: Vec<String>, then: Vec<String>| if now.is_empty() { then } else { now };
        self.overrides = Overrides {
            advertise_address: now.advertise_address.or(then.advertise_address),
            bind_port: now.bind_port.or(then.bind_port),
            cert_extra_sans: list(now.cert_extra_sans, then.cert_extra_sans),
            certificates_dir: now.certificates_dir.or(then.certificates_dir),
            control_plane_endpoint: now.control_plane_endpoint.or(then.control_plane_endpoint),
            cri_socket: now.cri_socket.or(then.cri_socket),
            ignore_preflight_errors: list(now.ignore_preflight_errors, then.ignore_preflight_errors),
            image_repository: now.image_repository.or(then.image_repository),
            kubernetes_version: now.kubernetes_version.or(then.kubernetes_version),
            node_name: now.node_name.or(then.node_name),
            pod_subnet: now.pod_subnet.or(then.pod_subnet),
            service_subnet: now.service_subnet.or(then.service_subnet),
            dns_domain: now.dns_domain.or(then.dns_domain),
            skip_phases: list(now.skip_phases, then.skip_phases),
            patches_directory: now.patches_directory.clone().or(then.patches_directory),
            kept_etcd_tag: now.kept_etcd_tag.or(then.kept_etcd_tag),
        };
        // The patches of then are part of what runs, whatever became of their files.
        self.patches = self.patches.filter(|_| now.patches_directory.is_none());
        self
    }

    /// Judges every document of the file, and whether the patches apply; see [`judge()`].
    pub fn judge(&self) -> Result<Judged, Error> {
        let Some((name, text)) = &self.source else { return Ok(Judged::default()) };
        let mut judged = judge(Source { name, text }, &self.overrides, &self.facts)?;
        let patched = |config| patch::add(config, self.patches.as_deref().unwrap_or_default());
        judged.config = judged.config.map(patched).transpose()?;
        Ok(judged)
    }

    /// The configuration with its patches, all of which apply; see [`load`].
    pub fn config(&self) -> Result<Config, Error> {
        let source = self.source.as_ref().map(|(name, text)| Source { name, text });
        patch::add(load(source, &self.overrides, &self.facts)?, self.patches.as_deref().unwrap_or_default())
    }
}

/// What a file turned out to be.
#[derive(Debug, Default)]
pub struct Judged {
    /// The kinds that it has, in its order.
    pub kinds: Vec<&'static str>,
    /// The control plane that it makes; none when all its documents belong to other commands.
    pub config: Option<Config>,
    /// The file through which a joining node finds the cluster, and what to say if that node does not have it.
    pub discovery_file: Option<(String, Problem)>,
}

/// Parses the file, puts the flags over its fields, completes it with defaults and facts, and validates the result.
///
/// All problems come at once, as [`Kind::Configuration`], sorted by place.
pub fn load(source: Option<Source<'_>>, overrides: &Overrides, facts: &Facts) -> Result<Config, Error> {
    let problems = Problems::new(source.map_or("", |source| source.name));
    let documents =
        source.map_or_else(Documents::default, |source| documents::read(source.text, Reader::Init, &problems));
    let config = resolve::resolve(documents, overrides, facts, &problems);
    verdict(problems)?;
    config.ok_or_else(|| Error::new(Kind::Configuration, "the configuration is incomplete"))
}

/// Judges every document of a file, those of joining, resetting and upgrading, too.
pub fn judge(source: Source<'_>, overrides: &Overrides, facts: &Facts) -> Result<Judged, Error> {
    let problems = Problems::new(source.name);
    let mut documents = documents::read(source.text, Reader::Judge, &problems);
    let kinds = std::mem::take(&mut documents.kinds);
    let discovery_file = documents.discovery_file.take().map(|path| {
        let wrong = Wrong::new(format!("{} is not a file of this machine", quoted(&path.value)));
        let problem = problems.problem(&path.origin, wrong);
        (path.value, problem)
    });
    let of_others = ["JoinConfiguration", "ResetConfiguration", "UpgradeConfiguration"];
    let makes = kinds.iter().any(|kind| !of_others.contains(kind));
    let config = makes.then(|| resolve::resolve(documents, overrides, facts, &problems)).flatten();
    verdict(problems)?;
    Ok(Judged { kinds, config, discovery_file })
}

pub(super) fn verdict(problems: Problems) -> Result<(), Error> {
    let found = problems.sorted();
    let message = match found.len() {
        0 => return Ok(()),
        1 => "the configuration has a problem".to_owned(),
        count => format!("the configuration has {count} problems"),
    };
    Err(Error::problems(Kind::Configuration, message, found))
}
