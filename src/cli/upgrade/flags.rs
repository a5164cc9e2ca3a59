//! The flags of the commands below `upgrade`, which are kubeadm's, and ours.

use std::path::PathBuf;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::super::{completion, init};
use super::Upgrade as Command;
use crate::config::{self, Source, Upgrade, UpgradeWishes};
use crate::error::{Error, Kind, Result};
use crate::release::Version;

/// A truth, as Go writes it (`strconv.ParseBool`).
fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// Where the file and the cluster are.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Place {
    /// File with an `UpgradeConfiguration`; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Kubeconfig with which the cluster is asked; what is written, this node writes with its own admin.conf
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

/// Which versions may be taken.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Versions {
    /// Take a version that is no release, be it alpha, beta or a candidate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    allow_experimental_upgrades: Option<bool>,
    /// Take a release candidate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    allow_release_candidate_upgrades: Option<bool>,
    /// Print the `ClusterConfiguration` of the new version first
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    print_config: Option<bool>,
}

/// What `plan`, `apply` and `node` have.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Checks {
    /// With `=false` etcd keeps the image that it runs
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    etcd_upgrade: Option<bool>,
    /// Preflight checks whose errors become warnings, in this run
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    ignore_preflight_errors: Vec<String>,
}

/// What `apply` and `node` have.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Changes {
    #[command(flatten)]
    checks: Checks,
    /// Renew all certificates of this node that it can sign: by default when the version changes, with the flag in any case
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    certificate_renewal: Option<bool>,
    /// Directory of patches, in place of those that this node has; kept for later changes
    #[arg(long, value_name = "DIR")]
    patches: Option<String>,
    /// Phases of kubeadm's upgrade that are left out, in this run
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    skip_phases: Vec<String>,
    /// Print the plan and change nothing
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    dry_run: Option<bool>,
    /// Replace files that somebody edited, never keys; and overrule what kubeadm's --force overrules of the rules about versions
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    force: Option<bool>,
    /// How long new pods have to go on running before the change is kept
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(super) min_ready_seconds: u64,
}

/// Arguments of `upgrade plan`.
#[derive(Debug, Clone, Args)]
pub(super) struct Plan {
    /// The version; without it the newest that can come next
    #[arg(value_name = "VERSION", add = ArgValueCandidates::new(completion::versions))]
    version: Option<Version>,
    #[command(flatten)]
    versions: Versions,
    #[command(flatten)]
    checks: Checks,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `upgrade diff`.
#[derive(Debug, Clone, Args)]
pub(super) struct Diff {
    /// The version; without it the newest that can come next
    #[arg(value_name = "VERSION", add = ArgValueCandidates::new(completion::versions))]
    version: Option<Version>,
    /// Lines of context; three by default
    #[arg(short, long, value_name = "N")]
    context_lines: Option<usize>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `upgrade apply`.
#[derive(Debug, Clone, Args)]
pub(super) struct Apply {
    /// The version, unless the file says it
    #[arg(value_name = "VERSION", add = ArgValueCandidates::new(completion::versions))]
    version: Option<Version>,
    #[command(flatten)]
    versions: Versions,
    #[command(flatten)]
    changes: Changes,
    /// Accepted for kubeadm's sake: nothing is asked
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    yes: Option<bool>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `upgrade node`.
#[derive(Debug, Clone, Args)]
pub(super) struct Node {
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    place: Place,
}

impl Versions {
    fn wishes(&self) -> UpgradeWishes {
        UpgradeWishes {
            allow_experimental_upgrades: self.allow_experimental_upgrades,
            allow_rc_upgrades: self.allow_release_candidate_upgrades,
            print_config: self.print_config,
            ..UpgradeWishes::default()
        }
    }
}

impl Checks {
    fn wishes(&self) -> UpgradeWishes {
        UpgradeWishes {
            etcd_upgrade: self.etcd_upgrade,
            ignore_preflight_errors: self.ignore_preflight_errors.clone(),
            ..UpgradeWishes::default()
        }
    }
}

impl Changes {
    fn wishes(&self) -> UpgradeWishes {
        UpgradeWishes {
            certificate_renewal: self.certificate_renewal,
            dry_run: self.dry_run,
            force_upgrade: self.force,
            patches_directory: self.patches.clone(),
            skip_phases: self.skip_phases.clone(),
            ..self.checks.wishes()
        }
    }
}

impl Command {
    /// What the flags say.
    pub(super) fn wishes(&self) -> UpgradeWishes {
        match self {
            Self::Plan(args) => {
                let version = UpgradeWishes { kubernetes_version: args.version.clone(), ..args.versions.wishes() };
                version.over(args.checks.wishes())
            }
            Self::Diff(args) => UpgradeWishes {
                kubernetes_version: args.version.clone(),
                context_lines: args.context_lines,
                ..UpgradeWishes::default()
            },
            Self::Apply(args) => {
                let version = UpgradeWishes { kubernetes_version: args.version.clone(), ..args.changes.wishes() };
                version.over(args.versions.wishes())
            }
            Self::Node(args) => args.changes.wishes(),
        }
    }

    /// The section of the file that is about this command.
    pub(super) fn section(&self, file: &Upgrade) -> UpgradeWishes {
        match self {
            Self::Plan(_) => file.plan.clone(),
            Self::Diff(_) => file.diff.clone(),
            Self::Apply(_) => file.apply.clone(),
            Self::Node(_) => file.node.clone(),
        }
    }

    /// Where the file and the cluster are.
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Plan(args) => &args.place,
            Self::Diff(args) => &args.place,
            Self::Apply(args) => &args.place,
            Self::Node(args) => &args.place,
        }
    }

    /// The stability window in seconds; none where nothing is changed.
    pub(super) fn min_ready_seconds(&self) -> u64 {
        match self {
            Self::Plan(_) | Self::Diff(_) => 0,
            Self::Apply(args) => args.changes.min_ready_seconds,
            Self::Node(args) => args.changes.min_ready_seconds,
        }
    }
}

impl Place {
    /// The file that was named.
    pub(super) fn file(&self) -> Result<Upgrade> {
        let Some(path) = &self.config else { return Ok(Upgrade::default()) };
        let (name, text) = init::read_config(path)?;
        config::upgrade(Source { name: &name, text: &text })
    }

    /// The kubeconfig that was named, absolute.
    pub(super) fn kubeconfig(&self) -> Result<Option<String>> {
        let absolute = |path: &PathBuf| {
            std::path::absolute(path)
                .map(|path| path.display().to_string())
                .map_err(|error| Error::new(Kind::Configuration, "no such kubeconfig").because(&error))
        };
        self.kubeconfig.as_ref().map(absolute).transpose()
    }
}
