//! From a file, flags and facts to a [`Config`], or to everything that is wrong with them.

use super::documents::{self, Documents};
use super::given::Problems;
use super::{Config, Facts, Overrides, resolve};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
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
        };
        // The patches of then are part of what runs, whatever became of their files.
        self.patches = self.patches.filter(|_| now.patches_directory.is_none());
        self
    }

    /// The configuration with its patches, all of which apply; see [`load`].
    pub fn config(&self) -> Result<Config, Error> {
        let source = self.source.as_ref().map(|(name, text)| Source { name, text });
        patch::add(load(source, &self.overrides, &self.facts)?, self.patches.as_deref().unwrap_or_default())
    }
}

/// Parses the file, puts the flags over its fields, completes it with defaults and facts, and validates the result.
///
/// All problems come at once, as [`Kind::Configuration`], sorted by place.
pub fn load(source: Option<Source<'_>>, overrides: &Overrides, facts: &Facts) -> Result<Config, Error> {
    let problems = Problems::new(source.map_or("", |source| source.name));
    let documents = source.map_or_else(Documents::default, |source| documents::read(source.text, &problems));
    let config = resolve::resolve(documents, overrides, facts, &problems);
    let found = problems.sorted();
    match config {
        Some(config) if found.is_empty() => Ok(config),
        _ => {
            let message = match found.len() {
                1 => "the configuration has a problem".to_owned(),
                count => format!("the configuration has {count} problems"),
            };
            Err(Error::problems(Kind::Configuration, message, found))
        }
    }
}
