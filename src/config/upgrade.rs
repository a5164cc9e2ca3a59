//! `UpgradeConfiguration`: what the commands below `upgrade` of kubeadm take from a file
//! (`ValidateUpgradeConfiguration`).

use super::fields::Fields;
use super::{init, node, resolve, value};

/// Judges the document.
pub(super) fn judge(fields: &mut Fields<'_>) {
    let problems = fields.problems();
    fields.object("apply", |fields| {
        version(fields);
        for name in ["allowExperimentalUpgrades", "allowRCUpgrades", "forceUpgrade", "printConfig"] {
            fields.boolean(name);
        }
        changes(fields);
    });
    fields.object("node", changes);
    fields.object("plan", |fields| {
        version(fields);
        for name in ["allowExperimentalUpgrades", "allowRCUpgrades", "dryRun", "etcdUpgrade", "printConfig"] {
            fields.boolean(name);
        }
        init::ignored_checks(fields);
    });
    fields.object("diff", |fields| {
        version(fields);
        fields.integer("contextLines");
    });
    fields.object("timeouts", |fields| init::timeouts(fields).judge(problems));
}

/// What `apply` and `node` share.
fn changes(fields: &mut Fields<'_>) {
    let problems = fields.problems();
    for name in ["certificateRenewal", "dryRun", "etcdUpgrade", "imagePullSerial"] {
        fields.boolean(name);
    }
    init::ignored_checks(fields);
    fields.strings("skipPhases");
    if let Some(policy) = fields.string("imagePullPolicy") {
        policy.check(problems, |text| node::pull_policy(text));
    }
    if let Some(directory) = fields.object("patches", |fields| fields.string("directory")).flatten() {
        directory.check(problems, |path| value::directory(path));
    }
}

fn version(fields: &mut Fields<'_>) {
    if let Some(version) = fields.string("kubernetesVersion") {
        version.check(fields.problems(), |text| resolve::judge_version(text));
    }
}
