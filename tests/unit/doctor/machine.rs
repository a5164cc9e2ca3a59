//! The clock, the kubelet's directory, the networks, the disk; and what is wrong before `init`.

use std::time::Duration;

use kubekeel::doctor::{Asked, Exam, Origin, Watched, causes, severity, watched, words};
use kubekeel::host::checkup::TimeSync;
use kubekeel::host::routes::Route;
use kubekeel::host::service::ServiceStatus;
use kubekeel::manifest::Component;
use kubekeel::status::{Proven, Severity, Status};

use super::{exam, falls, finds};
use kubekeel::event::Rung;

#[test]
fn the_clock_that_went_back_weighs_more_than_one_that_nobody_sets() {
    let mut exam = exam();
    exam.time = Some(TimeSync { wanted: true, reached: false });
    let cause = finds(&exam, Severity::Attention, "clock", "node");
    assert_eq!(cause.diagnosis.evidence, ["timedatectl: NTP=yes, NTPSynchronized=no"]);
    exam.status.generation = Some(Proven { number: 2, proven: 1_007_200, command: "init".into() });
    let cause = finds(&exam, Severity::Broken, "clock", "node");
    assert_eq!(cause.diagnosis.evidence, ["generation 2 was proven 2 h later than now"]);
    for time in [None, Some(TimeSync { wanted: false, reached: false }), Some(TimeSync { wanted: true, reached: true })]
    {
        assert_eq!(causes(&Exam { time, ..super::exam() }), []);
    }
}

#[test]
fn a_slow_disk_is_named_from_etcds_own_bound_on() {
    let at = |milliseconds| Exam { sync: Some(Duration::from_millis(milliseconds)), ..exam() };
    assert_eq!(causes(&at(25)), []);
    let cause = finds(&at(80), Severity::Attention, "slow-disk", "etcd");
    assert_eq!(cause.diagnosis.evidence, ["the slowest of a dozen synced writes took 80 ms"]);
}

#[test]
fn a_route_of_the_network_plug_in_is_no_overlap() {
    let route = |network: &str, device: &str| Route { network: network.parse().unwrap(), device: device.into() };
    let mut exam = exam();
    exam.routes = vec![route("10.244.3.0/24", "cni0"), route("192.0.2.0/24", "eth0"), route("172.16.0.0/12", "tun0")];
    assert_eq!(causes(&exam), []);
    exam.routes = vec![route("10.0.0.0/8", "tun0")];
    let cause = finds(&exam, Severity::Attention, "cidr-overlap", "node");
    assert_eq!(
        cause.diagnosis.evidence,
        ["Services 10.96.0.0/12, route 10.0.0.0/8 over tun0", "pods 10.244.0.0/16, route 10.0.0.0/8 over tun0"]
    );
    exam.routes = vec![route("10.244.3.0/24", "eth0")];
    exam.address = [10, 244, 3, 7].into();
    finds(&exam, Severity::Attention, "cidr-overlap", "node");
}

/// Where a kubelet with these words looks, given the files that there are.
fn looks(line: &str, there: &[(&str, &str)]) -> Watched {
    let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let read = |path: &str| there.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
    let drop_ins = |directory: &str| {
        let below = there.iter().map(|(name, _)| (*name).to_owned());
        below.filter(|name| name.starts_with(directory)).collect()
    };
    watched(&arguments, &Asked { read: &read, drop_ins: &drop_ins })
}

#[test]
fn a_flag_goes_before_drop_ins_and_those_before_the_configuration() {
    let there = [
        ("/etc/kubelet.d/10-a.conf", "staticPodPath: /from/a\n"),
        ("/etc/kubelet.d/20-b.conf", "staticPodPath: /from/b/\n"),
        ("/etc/kubelet.d/30-c.conf", "maxPods: 20\n"),
        ("/var/lib/kubelet/config.yaml", "staticPodPath: /from/config\n"),
        ("/etc/other.yaml", "staticPodPath: /from/other\n"),
        ("/etc/none.yaml", "maxPods: 20\n"),
    ];
    let is =
        |line, path: &str, origin| assert_eq!(looks(line, &there), Watched { path: path.into(), origin }, "{line}");
    is("", "/from/config", Origin::Configuration("/var/lib/kubelet/config.yaml".into()));
    is("--v=2 --config=/etc/other.yaml", "/from/other", Origin::Configuration("/etc/other.yaml".into()));
    is("--config /etc/other.yaml --v=2", "/from/other", Origin::Configuration("/etc/other.yaml".into()));
    is("--config=/etc/none.yaml", "", Origin::Configuration("/etc/none.yaml".into()));
    is("--config-dir=/etc/kubelet.d", "/from/b", Origin::DropIn("/etc/kubelet.d/20-b.conf".into()));
    is("--config-dir=/etc/kubelet.d --pod-manifest-path=/flag/", "/flag", Origin::Flag);
    is("--pod-manifest-path=/first --pod-manifest-path /last", "/last", Origin::Flag);
    is("--pod-manifest-path=", "", Origin::Flag);
}

#[test]
fn environment_files_of_the_kubelet_are_read_as_words() {
    let text = "# a comment\nKUBELET_KUBEADM_ARGS=\"--a=1 --pod-manifest-path=/x\"\nOTHER=--b\nexport KUBELET_EXTRA_ARGS='--c d'\n";
    assert_eq!(words(text), ["--a=1", "--pod-manifest-path=/x", "--c", "d"]);
}

#[test]
fn a_kubelet_that_reads_another_directory_is_named_with_what_says_so() {
    let (flag, drop_in) = (Origin::Flag, Origin::DropIn("/etc/kubelet.d/20-b.conf".into()));
    let configuration = Origin::Configuration("/var/lib/kubelet/config.yaml".into());
    for (origin, path, said, remedy) in [
        (flag, "/x", "--pod-manifest-path is /x", "take --pod-manifest-path out of"),
        (drop_in, "/x", "staticPodPath of /etc/kubelet.d/20-b.conf is /x", "take staticPodPath out of /etc/kubelet.d/"),
        (configuration, "", "staticPodPath of /var/lib/kubelet/config.yaml is nothing", "run `kubekeel init`"),
    ] {
        let mut exam = exam();
        // The kubelet that runs is right, the next one will not be; and the other way round.
        exam.watched.push(Watched { path: path.into(), origin });
        let cause = finds(&exam, Severity::Broken, "static-pod-path", "kubelet").diagnosis;
        assert_eq!(cause.evidence, [said]);
        assert!(cause.remedy.starts_with(remedy), "{cause:?}");
        exam.watched.remove(0);
        finds(&exam, Severity::Broken, "static-pod-path", "kubelet");
    }
}

/// A node before `init` whose kubelet is restarted by systemd every 10 s.
fn before_init(exit_code: i32, log: &str) -> Exam {
    let kubelet = ServiceStatus {
        load: "loaded".into(),
        active: "activating".into(),
        sub: "auto-restart".into(),
        result: "exit-code".into(),
        exit_code,
        restarts: 7,
        ..ServiceStatus::default()
    };
    let mut exam = exam();
    exam.status = Status { now: 1_000_000, node: "keel-1".into(), ..Status::default() };
    exam.view.node = Err("nobody to ask".into());
    (exam.manifests, exam.watched, exam.kubelet_is_configured) = (vec![], vec![], false);
    (exam.evidence.kubelet, exam.evidence.kubelet_log) = (Some(kubelet), vec![log.into()]);
    exam
}

const NO_CONFIGURATION: &str = r#"E1123 10:00:00.000000 1 run.go:72] "command failed" err="failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: open /var/lib/kubelet/config.yaml: no such file or directory""#;

#[test]
fn before_init_a_kubelet_without_configuration_is_no_cause() {
    let exam = before_init(1, NO_CONFIGURATION);
    assert_eq!(causes(&exam), []);
    assert_eq!(severity(&exam, &[]), Severity::Waiting);
    // Its last words may not be in the journal yet.
    assert_eq!(causes(&before_init(1, "")), []);
}

#[test]
fn before_init_what_would_keep_it_from_coming_up_is_named() {
    let mut dead = before_init(1, NO_CONFIGURATION);
    dead.evidence.runtime_error = Some("connection refused".into());
    finds(&dead, Severity::Broken, "runtime-down", "container-runtime");
    // Between two restarts the kubelet runs for a moment.
    dead.status.kubelet.running = true;
    finds(&dead, Severity::Broken, "runtime-down", "container-runtime");
    // A kubelet that cannot even be started.
    finds(&before_init(203, ""), Severity::Broken, "kubelet-down", "kubelet");
    let flag = r#"E1123 10:00:00.000000 1 run.go:72] "command failed" err="failed to parse kubelet flag: unknown flag: --nope""#;
    finds(&before_init(1, flag), Severity::Broken, "bad-flag", "kubelet");
    // One that has a configuration, and does not take it.
    let mut configured = before_init(1, NO_CONFIGURATION);
    configured.kubelet_is_configured = true;
    finds(&configured, Severity::Broken, "kubelet-config", "kubelet");
    let mut full = before_init(1, NO_CONFIGURATION);
    full.evidence.full = vec![("/var/lib/kubelet".into(), 4096)];
    finds(&full, Severity::Broken, "disk-full", "node");
}

#[test]
fn the_exit_code_is_the_worst_of_the_causes_and_the_status() {
    let mut exam = exam();
    falls(&mut exam, Component::Scheduler, Rung::Container, "its port to open");
    exam.sync = Some(Duration::from_millis(80));
    let all = causes(&exam);
    let found: Vec<_> = all.iter().map(|one| (one.severity, one.diagnosis.cause)).collect();
    assert_eq!(found, [(Severity::Broken, "not-proven"), (Severity::Attention, "slow-disk")]);
    assert_eq!(severity(&exam, &all).exit_code(), 1);
    // Whatever was found, the status counts.
    assert_eq!(severity(&exam, &all[1..]).exit_code(), 1);
}
