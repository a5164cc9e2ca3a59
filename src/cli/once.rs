//! What is said for one run alone: it holds for this change, and no generation keeps it.

use std::time::Duration;

use crate::config::{Config, PullPolicy};
use crate::phase::{self, PHASES, Want};

/// What is said for one run alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Once {
    /// Preflight checks whose errors become warnings, besides those of the configuration.
    pub(super) ignored: Vec<String>,
    /// Phases of `init` that are left out, besides those of the configuration. The cluster is told nothing of it: an add-on that is
    /// left out now is not disabled.
    pub(super) skipped: Vec<&'static str>,
    /// When images are pulled.
    pub(super) pull_policy: Option<PullPolicy>,
    /// Whether they are pulled one after another.
    pub(super) pull_serial: Option<bool>,
    /// How long one object may take in the API.
    pub(super) kubernetes_api_call: Option<Duration>,
    /// Lines of context in diffs.
    pub(super) context_lines: Option<usize>,
}

impl Once {
    /// The configuration as this run has it.
    pub(super) fn adjusted(&self, mut config: Config) -> Config {
        let node = &mut config.node;
        node.ignore_preflight_errors.extend(self.ignored.iter().map(|check| check.to_lowercase()));
        node.image_pull_policy = self.pull_policy.unwrap_or(node.image_pull_policy);
        node.image_pull_serial = self.pull_serial.unwrap_or(node.image_pull_serial);
        let call = &mut config.timeouts.kubernetes_api_call;
        *call = self.kubernetes_api_call.unwrap_or(*call);
        config
    }

    /// Whether nothing of this is wanted now.
    pub(super) fn skips(&self, want: Want) -> bool {
        let skipped = |name: &str| self.skipped.iter().any(|skip| phase::is_skipped(name, &[(*skip).to_owned()]));
        PHASES.iter().any(|phase| phase.want == Some(want) && skipped(phase.name))
    }
}
