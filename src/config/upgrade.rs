//! `UpgradeConfiguration`: what the commands below `upgrade` take from a file (`ValidateUpgradeConfiguration`).

use std::time::Duration;

use super::documents::{self, Reader};
use super::fields::Fields;
use super::given::Problems;
use super::load::{Source, verdict};
use super::{PullPolicy, init, node, resolve, value};
use crate::error::Result;
use crate::release::Version;

/// An `UpgradeConfiguration`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// What `upgrade apply` takes.
    pub apply: UpgradeWishes,
    /// What `upgrade node` takes.
    pub node: UpgradeWishes,
    /// What `upgrade plan` takes.
    pub plan: UpgradeWishes,
    /// What `upgrade diff` takes.
    pub diff: UpgradeWishes,
    /// How long things may take.
    pub timeouts: UpgradeTimeouts,
    /// The kinds of the documents beside it, which belong to other commands.
    pub beside: Vec<&'static str>,
}

/// What somebody wishes of an upgrade, with flags or in a section of the file. What nobody said is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpgradeWishes {
    /// `kubernetesVersion`.
    pub kubernetes_version: Option<Version>,
    /// `allowExperimentalUpgrades`.
    pub allow_experimental_upgrades: Option<bool>,
    /// `allowRCUpgrades`.
    pub allow_rc_upgrades: Option<bool>,
    /// `certificateRenewal`.
    pub certificate_renewal: Option<bool>,
    /// `dryRun`.
    pub dry_run: Option<bool>,
    /// `etcdUpgrade`.
    pub etcd_upgrade: Option<bool>,
    /// `forceUpgrade`.
    pub force_upgrade: Option<bool>,
    /// `ignorePreflightErrors`.
    pub ignore_preflight_errors: Vec<String>,
    /// `patches.directory`.
    pub patches_directory: Option<String>,
    /// `printConfig`.
    pub print_config: Option<bool>,
    /// `skipPhases`.
    pub skip_phases: Vec<String>,
    /// `imagePullPolicy`.
    pub image_pull_policy: Option<PullPolicy>,
    /// `imagePullSerial`.
    pub image_pull_serial: Option<bool>,
    /// `contextLines`.
    pub context_lines: Option<usize>,
}

/// `timeouts`, as far as they mean something for an upgrade.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpgradeTimeouts {
    /// `controlPlaneComponentHealthCheck`.
    pub control_plane_component_health_check: Option<Duration>,
    /// `kubernetesAPICall`.
    pub kubernetes_api_call: Option<Duration>,
    /// `upgradeManifests`.
    pub upgrade_manifests: Option<Duration>,
}

impl UpgradeWishes {
    /// These over those of a file: what is said here counts, and checks to ignore are united, as in kubeadm.
    #[must_use]
    pub fn over(self, file: Self) -> Self {
        let mut ignored = self.ignore_preflight_errors;
        ignored.extend(file.ignore_preflight_errors);
        Self {
            kubernetes_version: self.kubernetes_version.or(file.kubernetes_version),
            allow_experimental_upgrades: self.allow_experimental_upgrades.or(file.allow_experimental_upgrades),
            allow_rc_upgrades: self.allow_rc_upgrades.or(file.allow_rc_upgrades),
            // `true` is what a file says that was printed with its defaults; only a flag asks for a renewal whatever changes.
            certificate_renewal: self.certificate_renewal.or(file.certificate_renewal.filter(|renews| !renews)),
            dry_run: self.dry_run.or(file.dry_run),
            etcd_upgrade: self.etcd_upgrade.or(file.etcd_upgrade),
            force_upgrade: self.force_upgrade.or(file.force_upgrade),
            ignore_preflight_errors: ignored,
            patches_directory: self.patches_directory.or(file.patches_directory),
            print_config: self.print_config.or(file.print_config),
            skip_phases: if self.skip_phases.is_empty() { file.skip_phases } else { self.skip_phases },
            image_pull_policy: self.image_pull_policy.or(file.image_pull_policy),
            image_pull_serial: self.image_pull_serial.or(file.image_pull_serial),
            context_lines: self.context_lines.or(file.context_lines),
        }
    }
}

/// Reads the `UpgradeConfiguration` of a file. The documents of other commands are not judged, as in kubeadm; all problems come at
/// once.
pub fn upgrade(source: Source<'_>) -> Result<Upgrade> {
    let problems = Problems::new(source.name);
    let documents = documents::read(source.text, Reader::Upgrade, &problems);
    verdict(problems)?;
    let beside = documents.kinds.into_iter().filter(|kind| *kind != "UpgradeConfiguration").collect();
    Ok(Upgrade { beside, ..documents.upgrade.unwrap_or_default() })
}

/// Reads and judges the document.
pub(super) fn read(fields: &mut Fields<'_>) -> Upgrade {
    Upgrade {
        apply: fields.object("apply", apply).unwrap_or_default(),
        node: fields.object("node", changes).unwrap_or_default(),
        plan: fields.object("plan", plan).unwrap_or_default(),
        diff: fields.object("diff", diff).unwrap_or_default(),
        timeouts: fields.object("timeouts", timeouts).unwrap_or_default(),
        beside: vec![],
    }
}

fn apply(fields: &mut Fields<'_>) -> UpgradeWishes {
    UpgradeWishes {
        kubernetes_version: version(fields),
        allow_experimental_upgrades: fields.boolean("allowExperimentalUpgrades"),
        allow_rc_upgrades: fields.boolean("allowRCUpgrades"),
        force_upgrade: fields.boolean("forceUpgrade"),
        print_config: fields.boolean("printConfig"),
        ..changes(fields)
    }
}

/// What `apply` and `node` share.
fn changes(fields: &mut Fields<'_>) -> UpgradeWishes {
    let problems = fields.problems();
    let directory = fields.object("patches", |fields| fields.string("directory")).flatten();
    let policy = fields.string("imagePullPolicy");
    UpgradeWishes {
        certificate_renewal: fields.boolean("certificateRenewal"),
        dry_run: fields.boolean("dryRun"),
        etcd_upgrade: fields.boolean("etcdUpgrade"),
        ignore_preflight_errors: ignored_checks(fields),
        patches_directory: directory.and_then(|given| given.check(problems, |path| value::directory(path))),
        skip_phases: fields.strings("skipPhases").into_iter().flatten().map(|given| given.value).collect(),
        image_pull_policy: policy.and_then(|given| given.check(problems, |text| node::pull_policy(text))),
        image_pull_serial: fields.boolean("imagePullSerial"),
        ..UpgradeWishes::default()
    }
}

fn plan(fields: &mut Fields<'_>) -> UpgradeWishes {
    UpgradeWishes {
        kubernetes_version: version(fields),
        allow_experimental_upgrades: fields.boolean("allowExperimentalUpgrades"),
        allow_rc_upgrades: fields.boolean("allowRCUpgrades"),
        dry_run: fields.boolean("dryRun"),
        etcd_upgrade: fields.boolean("etcdUpgrade"),
        ignore_preflight_errors: ignored_checks(fields),
        print_config: fields.boolean("printConfig"),
        ..UpgradeWishes::default()
    }
}

fn diff(fields: &mut Fields<'_>) -> UpgradeWishes {
    UpgradeWishes {
        kubernetes_version: version(fields),
        // kubeadm takes a negative number, and shows no context then.
        context_lines: fields.integer("contextLines").map(|given| usize::try_from(given.value).unwrap_or_default()),
        ..UpgradeWishes::default()
    }
}

fn timeouts(fields: &mut Fields<'_>) -> UpgradeTimeouts {
    let given = init::timeouts(fields);
    let seconds = |text: &Option<super::given::Given<String>>| value::duration(&text.as_ref()?.value).ok();
    let read = UpgradeTimeouts {
        control_plane_component_health_check: seconds(&given.control_plane_component_health_check),
        kubernetes_api_call: seconds(&given.kubernetes_api_call),
        upgrade_manifests: seconds(&given.upgrade_manifests),
    };
    given.judge(fields.problems());
    read
}

fn ignored_checks(fields: &mut Fields<'_>) -> Vec<String> {
    node::ignored_checks(fields.strings("ignorePreflightErrors").unwrap_or_default(), fields.problems())
}

fn version(fields: &mut Fields<'_>) -> Option<Version> {
    let given = fields.string("kubernetesVersion")?;
    given.check(fields.problems(), |text| resolve::judge_version(text)).map(|(version, _)| version)
}
