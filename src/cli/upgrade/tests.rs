//! What kubeadm's command lines mean here.

use clap::FromArgMatches as _;

use super::wishes::Wishes;
use super::{Upgrade, next};
use crate::config::{Facts, Input, Overrides, PullPolicy, Shared};
use crate::generation::Generation;
use crate::pki::Renewable;
use crate::release::Version;

const ETCD_OF_36: &str = "3.6.8-0";

fn parse(line: &str) -> Result<Upgrade, String> {
    let words = std::iter::once("upgrade").chain(line.split_whitespace());
    let matches = super::command().try_get_matches_from(words).map_err(|error| error.to_string())?;
    Upgrade::from_arg_matches(&matches).map_err(|error| error.to_string())
}

fn wishes(line: &str) -> Wishes {
    let command = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    Wishes::of(&command).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// A generation of 1.36.3.
fn generation() -> Generation {
    let overrides = Overrides {
        advertise_address: Some("192.0.2.10".into()),
        cri_socket: Some("unix:///run/containerd/containerd.sock".into()),
        kubernetes_version: Some("v1.36.3".into()),
        node_name: Some("keel-1".into()),
        ..Overrides::default()
    };
    let input = Input { overrides, facts: Facts::default(), ..Input::default() };
    Generation {
        number: 1,
        proven: 0,
        command: "init".into(),
        version: "v1.36.3".into(),
        input,
        files: std::collections::BTreeMap::default(),
    }
}

/// The generation after an upgrade with these flags, and its configuration's etcd.
fn upgraded(from: &Generation, line: &str, to: &str) -> (Generation, String) {
    let runs = from.input.config().expect("a configuration");
    let input = wishes(line).input(from, &runs, &version(to));
    let config = input.config().expect("a configuration");
    assert_eq!(config.cluster.version, version(to));
    let tag = config.cluster.etcd_tag().to_owned();
    (Generation { input, ..from.clone() }, tag)
}

#[test]
fn every_flag_of_kubeadm_is_taken() {
    for line in [
        "plan",
        "plan v1.37.2 --allow-experimental-upgrades --allow-release-candidate-upgrades=false --etcd-upgrade=false \
         --ignore-preflight-errors=all --kubeconfig /etc/kubernetes/admin.conf --print-config",
        "diff -c 5",
        "diff 1.37.2 --context-lines=0 --kubeconfig=/etc/kubernetes/admin.conf",
        "apply v1.37.2 -y",
        "apply -f 1.37.2 --yes=true --certificate-renewal=false --dry-run=false --etcd-upgrade \
         --allow-experimental-upgrades=true --allow-release-candidate-upgrades --print-config=false \
         --ignore-preflight-errors NumCPU,Mem --ignore-preflight-errors Swap --patches /p --skip-phases addon/coredns",
        "node --certificate-renewal=true --dry-run --etcd-upgrade=false --ignore-preflight-errors=KubeletVersion \
         --kubeconfig /etc/kubernetes/kubelet.conf --patches /p --skip-phases=addon,post-upgrade",
    ] {
        wishes(line);
    }
    for (line, words) in [
        ("apply v1.37.2 --etcd-upgrade=maybe", "true or false"),
        ("apply v1.37.2 --feature-gates=X=true", "--feature-gates"),
        ("diff --patches /p", "--patches"),
        ("plan --force", "--force"),
        ("apply stable-1", "not a version"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[test]
fn a_version_and_lonely_checks_are_asked_for() {
    for (line, words) in [
        ("apply", "no version was named"),
        ("apply v1.37.2 --ignore-preflight-errors all,Mem", "must stand alone"),
        ("apply v1.37.2 --skip-phases control-plane", "--skip-phases cannot be followed"),
    ] {
        let error = Wishes::of(&parse(line).expect("flags")).expect_err(line);
        assert!(error.to_string().contains(words) && error.kind.exit_code() == 3, "{line}: {error}");
    }
}

#[test]
fn what_is_said_for_one_run_is_not_in_what_is_kept() {
    let said = wishes("apply v1.37.2 --ignore-preflight-errors Mem --skip-phases preflight");
    assert_eq!(said.once.ignored, ["Mem", "all"]);
    assert_eq!(said.once.pull_policy, Some(PullPolicy::Never));
    let from = generation();
    let runs = from.input.config().expect("a configuration");
    let kept = said.input(&from, &runs, &version("v1.37.2"));
    let config = kept.config().expect("a configuration");
    assert_eq!(config.node.ignore_preflight_errors, [""; 0]);
    assert_eq!(config.skip_phases, [""; 0]);
    let adjusted = said.once.adjusted(config);
    assert_eq!(adjusted.node.ignore_preflight_errors, ["mem", "all"]);
    assert_eq!(adjusted.node.image_pull_policy, PullPolicy::Never);
    assert_eq!(adjusted.skip_phases, [""; 0], "the cluster would hear that the add-on is disabled");
}

#[test]
fn certificates_are_renewed_with_the_version_or_when_somebody_asks() {
    let (runs, to) = (version("v1.36.3"), version("v1.37.2"));
    let renews = |line: &str, to: &Version| {
        let renewal = wishes(line).renewal(&runs, to);
        assert!(!renewal.alone && renewal.signed_in.is_none());
        renewal.ids
    };
    let all: Vec<_> = Renewable::all().collect();
    for command in ["apply v1.37.2", "node", "plan", "diff"] {
        assert_eq!(renews(command, &to), all, "{command}");
        assert_eq!(renews(command, &runs), [], "{command}: a second run changes nothing");
    }
    assert_eq!(renews("apply v1.37.2 --certificate-renewal", &runs), all);
    assert_eq!(renews("node --certificate-renewal=false", &to), []);
}

#[test]
fn etcd_keeps_its_image_until_an_upgrade_that_does_not_say_so() {
    let of_37 = crate::release::NEWEST.etcd;
    let from = generation();
    assert_eq!(upgraded(&from, "apply v1.37.2", "v1.37.2").1, of_37);
    let (kept, tag) = upgraded(&from, "apply v1.37.2 --etcd-upgrade=false", "v1.37.2");
    assert_eq!(tag, ETCD_OF_36);
    // What comes in between keeps it, too, and so does a second such upgrade.
    let other = kept.input.clone().with(Overrides { bind_port: Some(7443), ..Overrides::default() });
    assert_eq!(other.config().expect("a configuration").cluster.etcd_tag(), ETCD_OF_36);
    assert_eq!(upgraded(&kept, "apply v1.37.2 --etcd-upgrade=false", "v1.37.2").1, ETCD_OF_36);
    assert_eq!(upgraded(&kept, "apply v1.37.2", "v1.37.2").1, of_37);
    // The cluster is not told: another node decides for itself.
    let told = crate::cluster::cluster_configuration(&kept.input.config().expect("a configuration")).to_string();
    assert!(told.contains("v1.37.2") && !told.contains(ETCD_OF_36), "{told}");
}

#[test]
fn a_control_plane_that_follows_the_cluster_keeps_its_etcd_and_takes_patches() {
    let from = generation();
    let runs = from.input.config().expect("a configuration");
    let newer =
        from.input.clone().with(Overrides { kubernetes_version: Some("v1.37.2".into()), ..Overrides::default() });
    let newer = newer.config().expect("a configuration");
    let shared = Shared {
        cluster: crate::cluster::cluster_configuration(&newer).to_string(),
        kubelet: crate::kubelet::shared(&newer).expect("a KubeletConfiguration"),
    };
    let follow = |line: &str| {
        let input = wishes(line).input_of_cluster(&from, &runs, &shared).expect("an input");
        let config = input.config().expect("a configuration");
        assert_eq!(config.cluster.version, version("v1.37.2"));
        (config.cluster.etcd_tag().to_owned(), config.patches_directory)
    };
    assert_eq!(follow("node"), (crate::release::NEWEST.etcd.to_owned(), None));
    assert_eq!(follow("node --etcd-upgrade=false --patches /p"), (ETCD_OF_36.to_owned(), Some("/p".to_owned())));
}

#[test]
fn a_release_can_come_after_its_candidates() {
    let offered = |runs: &str| next(&version(runs)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(offered("v1.37.2-rc.1"), ["v1.37.2"]);
    assert_eq!(offered("v1.36.3"), ["v1.37.2"]);
    assert_eq!(offered("v1.36.1"), ["v1.36.3", "v1.37.2"]);
    assert_eq!(offered("v1.37.2"), [""; 0]);
}
