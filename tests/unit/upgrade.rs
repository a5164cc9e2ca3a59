//! `UpgradeConfiguration`: which wishes a file has, and what becomes of the documents beside it.

use std::time::Duration;

use kubekeel::config::{self, PullPolicy, Source, Upgrade, UpgradeTimeouts, UpgradeWishes};
use kubekeel::error::{Error, Kind};

/// `kubeadm config print upgrade-defaults`.
const DEFAULTS: &str = include_str!("../data/defaults/upgrade.yaml");
const HEAD: &str = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\n";

fn read(text: &str) -> Result<Upgrade, Error> {
    config::upgrade(Source { name: "upgrade.yaml", text })
}

fn wishes() -> UpgradeWishes {
    UpgradeWishes::default()
}

#[test]
fn every_field_arrives() {
    let changes = "\x20 certificateRenewal: false\n  dryRun: true\n  etcdUpgrade: false\n\
                   \x20 ignorePreflightErrors: [NumCPU, Mem]\n  skipPhases: [addon/coredns]\n\
                   \x20 patches: {directory: /p}\n  imagePullPolicy: Always\n  imagePullSerial: false\n";
    let text = format!(
        "{HEAD}apply:\n  kubernetesVersion: 1.37.2\n  allowExperimentalUpgrades: true\n  allowRCUpgrades: false\n\
         \x20 forceUpgrade: true\n  printConfig: true\n{changes}node:\n{changes}\
         plan: {{kubernetesVersion: v1.37.0-rc.1, allowRCUpgrades: true, etcdUpgrade: false, printConfig: false}}\n\
         diff: {{kubernetesVersion: v1.37.2, contextLines: 7}}\n\
         timeouts: {{kubernetesAPICall: 90s, upgradeManifests: 10m, controlPlaneComponentHealthCheck: 5m}}\n"
    );
    let read = read(&text).unwrap();
    let node = UpgradeWishes {
        certificate_renewal: Some(false),
        dry_run: Some(true),
        etcd_upgrade: Some(false),
        ignore_preflight_errors: vec!["numcpu".into(), "mem".into()],
        skip_phases: vec!["addon/coredns".into()],
        patches_directory: Some("/p".into()),
        image_pull_policy: Some(PullPolicy::Always),
        image_pull_serial: Some(false),
        ..wishes()
    };
    let apply = UpgradeWishes {
        kubernetes_version: "v1.37.2".parse().ok(),
        allow_experimental_upgrades: Some(true),
        allow_rc_upgrades: Some(false),
        force_upgrade: Some(true),
        print_config: Some(true),
        ..node.clone()
    };
    let plan = UpgradeWishes {
        kubernetes_version: "v1.37.0-rc.1".parse().ok(),
        allow_rc_upgrades: Some(true),
        etcd_upgrade: Some(false),
        print_config: Some(false),
        ..wishes()
    };
    let diff = UpgradeWishes { kubernetes_version: "v1.37.2".parse().ok(), context_lines: Some(7), ..wishes() };
    let timeouts = UpgradeTimeouts {
        control_plane_component_health_check: Some(Duration::from_secs(300)),
        kubernetes_api_call: Some(Duration::from_secs(90)),
        upgrade_manifests: Some(Duration::from_secs(600)),
    };
    assert_eq!(read, Upgrade { apply, node, plan, diff, timeouts, beside: vec![] });
}

#[test]
fn flags_count_and_checks_are_united() {
    let file = UpgradeWishes {
        kubernetes_version: "v1.36.3".parse().ok(),
        dry_run: Some(true),
        certificate_renewal: Some(true),
        ignore_preflight_errors: vec!["mem".into()],
        skip_phases: vec!["addon".into()],
        ..wishes()
    };
    let flags = UpgradeWishes {
        kubernetes_version: "v1.37.2".parse().ok(),
        dry_run: Some(false),
        ignore_preflight_errors: vec!["NumCPU".into()],
        ..wishes()
    };
    let both = flags.over(file.clone());
    assert_eq!(both.kubernetes_version, "v1.37.2".parse().ok());
    assert_eq!(both.dry_run, Some(false));
    assert_eq!(both.ignore_preflight_errors, ["NumCPU", "mem"]);
    assert_eq!(both.skip_phases, ["addon"]);
    // A file that was printed with its defaults does not ask for a renewal in every run.
    assert_eq!(both.certificate_renewal, None);
    let never = UpgradeWishes { certificate_renewal: Some(false), ..wishes() };
    assert_eq!(wishes().over(never.clone()).certificate_renewal, Some(false));
    let asked = UpgradeWishes { certificate_renewal: Some(true), ..wishes() };
    assert_eq!(asked.over(never).certificate_renewal, Some(true));
}

#[test]
fn kubeadms_defaults_are_read() {
    let read = read(DEFAULTS).unwrap();
    assert_eq!(
        (read.apply.etcd_upgrade, read.plan.etcd_upgrade, read.node.etcd_upgrade),
        (Some(true), Some(true), Some(true))
    );
    assert_eq!(read.apply.image_pull_policy, Some(PullPolicy::IfNotPresent));
    assert_eq!(read.timeouts.upgrade_manifests, Some(Duration::from_secs(300)));
    assert_eq!(read.diff, wishes());
}

#[test]
fn documents_of_other_commands_are_named_and_not_judged() {
    let cluster = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnoSuchField: 1\n";
    let read = read(&format!("{cluster}---\n{HEAD}apply: {{kubernetesVersion: v1.37.2}}\n")).unwrap();
    assert_eq!(read.beside, ["ClusterConfiguration"]);
    assert_eq!(read.apply.kubernetes_version, "v1.37.2".parse().ok());
}

#[test]
fn what_is_wrong_comes_at_once_with_its_place() {
    let text = format!(
        "{HEAD}apply:\n  kubernetesVersion: stable-1\n  certificateRenewal: \"yes\"\n  ignorePreflightErrors: [all, Mem]\n\
         \x20 etcdUpgrad: false\n  patches: {{directory: relative}}\n"
    );
    let error = read(&text).unwrap_err();
    assert_eq!(error.kind, Kind::Configuration);
    let told: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
    for (line, words) in
        [(4, "is a label"), (5, "expected true or false"), (6, "stand alone"), (7, "unknown field"), (8, "absolute")]
    {
        let place = format!("upgrade.yaml:{line}:");
        assert!(told.iter().any(|problem| problem.starts_with(&place) && problem.contains(words)), "{words}: {told:?}");
    }
    let cluster = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";
    let error = read(cluster).unwrap_err();
    assert!(error.problems[0].to_string().contains("the file has no UpgradeConfiguration"), "{:?}", error.problems);
}
