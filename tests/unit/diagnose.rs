//! Causes from evidence. The log lines are what the components print on a real node (see tests/lab/faults.rs, which causes
//! each of these for real).

mod last_words;

use std::time::{Duration, SystemTime};

use kubekeel::diagnose::{Evidence, PodEvidence, certain, likely};
use kubekeel::host::http::Health;
use kubekeel::host::service::ServiceStatus;
use kubekeel::manifest::Component;
use kubekeel::observed::{ContainerRun, ContainerState, PodRun};
use kubekeel::plan::ManifestEntry;

fn running_kubelet() -> ServiceStatus {
    ServiceStatus { load: "loaded".into(), active: "active".into(), sub: "running".into(), ..ServiceStatus::default() }
}

/// A node on which nothing is wrong.
fn healthy() -> Evidence {
    let pods = Component::ALL.map(|component| pod(component, &[(ContainerState::Running, 0)], &[], Health::Ready));
    Evidence {
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        waited: Duration::from_secs(10),
        node_name: "keel-1".into(),
        kubelet: Some(running_kubelet()),
        kubelet_log: vec![],
        runtime_error: None,
        runtime_cgroup_driver: Some("systemd"),
        cgroup_v1: false,
        pods: pods.into(),
        missing_images: vec![],
        taken_ports: vec![],
        foreign_manifests: vec![],
        unfit_certificates: vec![],
        full: vec![],
        external_etcd: vec![],
        node_error: None,
    }
}

/// A pod whose containers, newest first, have these states and exit codes.
fn pod(component: Component, containers: &[(ContainerState, i32)], log: &[&str], health: Health) -> PodEvidence {
    let count = u32::try_from(containers.len()).expect("few");
    let containers = containers.iter().zip((0..count).rev()).map(|((state, exit_code), attempt)| ContainerRun {
        id: format!("c{attempt}"),
        state: *state,
        exit_code: *exit_code,
        attempt,
        reason: if *exit_code == 137 { "OOMKilled".into() } else { String::new() },
        ..ContainerRun::default()
    });
    let run = PodRun {
        name: component.name().into(),
        ready: true,
        digest: Some("sha256:new".into()),
        containers: containers.collect(),
        ..PodRun::default()
    };
    PodEvidence {
        component,
        digest: Some("sha256:new".into()),
        runs: vec![run],
        log: log.iter().map(ToString::to_string).collect(),
        health: Some(health),
    }
}

fn with_pod(pod: PodEvidence) -> Evidence {
    let mut evidence = healthy();
    evidence.pods.retain(|other| other.component != pod.component);
    evidence.pods.push(pod);
    evidence
}

const EXITED: &[(ContainerState, i32)] = &[(ContainerState::Exited, 1)];

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn each_cause_is_named() {
    let container = |component, log: &[&str]| with_pod(pod(component, EXITED, log, Health::Refused));
    let kubelet = |log: &[&str]| {
        let mut evidence = healthy();
        evidence.kubelet = Some(ServiceStatus {
            active: "activating".into(),
            sub: "auto-restart".into(),
            exit_code: 1,
            restarts: 3,
            ..running_kubelet()
        });
        evidence.kubelet_log = log.iter().map(ToString::to_string).collect();
        evidence
    };
    let mut rows = vec![
        ("bad-flag", "kube-apiserver", container(Component::ApiServer, &["Error: unknown flag: --no-such-flag"])),
        ("bad-flag", "etcd", container(Component::Etcd, &["flag provided but not defined: -no-such", "Usage:"])),
        (
            "port-taken",
            "kube-scheduler",
            container(
                Component::Scheduler,
                &[
                    "E1 run.go:72] \"command failed\" err=\"failed to create listener: failed to listen on 127.0.0.1:10259: listen tcp 127.0.0.1:10259: bind: address already in use\"",
                ],
            ),
        ),
        (
            "disk-full",
            "etcd",
            container(
                Component::Etcd,
                &["{\"level\":\"fatal\",\"error\":\"write /var/lib/etcd/member/wal/0.tmp: no space left on device\"}"],
            ),
        ),
        (
            "certificate",
            "kube-apiserver",
            container(
                Component::ApiServer,
                &["E1 run.go:72] \"command failed\" err=\"tls: private key does not match public key\""],
            ),
        ),
        (
            "certificate-expired",
            "kube-controller-manager",
            container(
                Component::ControllerManager,
                &[
                    "err=\"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-23T00:00:00Z is after 2026-11-22T00:00:00Z\"",
                ],
            ),
        ),
        (
            "file-missing",
            "kube-apiserver",
            container(
                Component::ApiServer,
                &[
                    "err=\"loading audit policy file: failed to read file path \\\"/nope.yaml\\\": open /nope.yaml: no such file or directory\"",
                ],
            ),
        ),
        (
            "out-of-memory",
            "etcd",
            with_pod(pod(Component::Etcd, &[(ContainerState::Exited, 137)], &[], Health::Refused)),
        ),
        (
            "crash-loop",
            "kube-scheduler",
            with_pod(pod(Component::Scheduler, &[(ContainerState::Exited, 2); 3], &["panic: oh no"], Health::Refused)),
        ),
        (
            "bad-flag",
            "kubelet",
            kubelet(&[
                "E1123 run.go:72] \"command failed\" err=\"failed to parse kubelet flag: unknown flag: --no-such-flag\"",
            ]),
        ),
        (
            "cgroup-v1",
            "kubelet",
            kubelet(&[
                "\tfailCgroupV1: true",
                "E1123 run.go:72] \"command failed\" err=\"failed to validate kubelet configuration, error: kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported\"",
            ]),
        ),
        (
            "swap",
            "kubelet",
            kubelet(&[
                "E1123 run.go:72] \"command failed\" err=\"failed to run Kubelet: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false\"",
            ]),
        ),
        (
            "kubelet-config",
            "kubelet",
            kubelet(&[
                "E1123 run.go:72] \"command failed\" err=\"failed to load kubelet config file, path: /var/lib/kubelet/config.yaml\"",
            ]),
        ),
        (
            "cgroup-driver",
            "kubelet",
            kubelet(&[
                "E1123 run.go:72] \"command failed\" err=\"failed to run Kubelet: misconfiguration: kubelet cgroup driver: \\\"systemd\\\" is different from docker cgroup driver\"",
            ]),
        ),
        ("kubelet-down", "kubelet", kubelet(&["E1123 something else"])),
    ];
    rows.push((
        "runtime-down",
        "container-runtime",
        Evidence { runtime_error: Some("no such file".into()), ..healthy() },
    ));
    rows.push(("disk-full", "node", Evidence { full: vec![("/var/lib/etcd".into(), 0)], ..healthy() }));
    rows.push((
        "foreign-manifest",
        "etcd",
        Evidence {
            foreign_manifests: vec![ManifestEntry { name: "etcd.yaml.bak".into(), pod: Ok("etcd".into()) }],
            ..healthy()
        },
    ));
    rows.push((
        "certificate",
        "node",
        Evidence {
            unfit_certificates: vec![("/etc/kubernetes/pki/apiserver.crt".into(), vec!["it expired on 2026".into()])],
            ..healthy()
        },
    ));
    rows.push((
        "clock",
        "node",
        Evidence {
            unfit_certificates: vec![(
                "/etc/kubernetes/pki/ca.crt".into(),
                vec!["it is not yet valid, only from 2030".into()],
            )],
            ..healthy()
        },
    ));
    let mut missing = with_pod(pod(Component::Etcd, &[], &[], Health::Refused));
    missing.missing_images.push((Component::Etcd, "registry.k8s.io/etcd:9.9.9-0".into()));
    rows.push(("image-missing", "etcd", missing));
    let mut away = with_pod(pod(
        Component::ApiServer,
        &[(ContainerState::Running, 0)],
        &[
            "W1 logging.go:55] grpc: addrConn.createTransport failed to connect to {Addr: \"127.0.0.1:2379\"}. Err: connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused\"",
        ],
        Health::Silent,
    ));
    // The same of an etcd elsewhere, at another port: no static pod of this node has to be ready first.
    let mut elsewhere = away.clone();
    elsewhere.pods.retain(|pod| pod.component != Component::Etcd);
    elsewhere.external_etcd = vec!["192.0.2.20:12379".into()];
    for line in elsewhere.pods.iter_mut().flat_map(|pod| &mut pod.log) {
        *line = line.replace("127.0.0.1:2379", "192.0.2.20:12379");
    }
    rows.push(("etcd-unreachable", "kube-apiserver", elsewhere));
    rows.push(("etcd-unreachable", "kube-apiserver", away.clone()));
    away.pods.last_mut().expect("a pod").log = vec!["W1 failed to connect to {Addr: \"127.0.0.1:2379\"}. Err: \"transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority\"".into()];
    rows.push(("certificate", "kube-apiserver", away));
    let mut name = healthy();
    name.kubelet_log = vec!["E1123 file.go:186] \"Could not process manifest file\" err=\"invalid pod: [metadata.name: Invalid value: \\\"etcd-bad_name\\\": a lowercase RFC 1123 subdomain must consist of\"".into()];
    rows.push(("node-name", "kubelet", name));

    for (cause, component, evidence) in rows {
        let diagnosis = certain(&evidence).unwrap_or_else(|| panic!("{cause} of {component} is not named"));
        assert_eq!((diagnosis.cause, diagnosis.component.as_str()), (cause, component), "{diagnosis:?}");
        assert!(!diagnosis.evidence.is_empty() && !diagnosis.remedy.is_empty(), "{diagnosis:?}");
    }
}

#[test]
fn nothing_is_certain_about_a_control_plane_that_is_still_starting() {
    assert_eq!(certain(&healthy()), None);
    assert_eq!(likely(&healthy()), None);
    // A unit that crash-looped before it was configured.
    let mut restarted = healthy();
    restarted.kubelet = Some(ServiceStatus { restarts: 7, ..running_kubelet() });
    restarted.kubelet_log = vec!["I1123 Starting kubelet".into()];
    assert_eq!(certain(&restarted), None);
    // The API server gives up once while etcd is being elected, and controllers lose their lease.
    let once = |component, log: &str| {
        let mut evidence = with_pod(pod(component, EXITED, &[log], Health::Refused));
        for pod in evidence.pods.iter_mut().filter(|pod| pod.component == Component::Etcd) {
            pod.health = Some(Health::Refused);
        }
        evidence
    };
    let evidence = once(Component::ApiServer, "err=\"context deadline exceeded: etcd 127.0.0.1:2379\"");
    assert_eq!(certain(&Evidence { waited: Duration::from_secs(4), ..evidence }), None);
    assert_eq!(certain(&once(Component::ControllerManager, "\"leaderelection lost\"")), None);
    // etcd that is slow is waited for.
    let slow = with_pod(pod(Component::Etcd, &[(ContainerState::Running, 0)], &[], Health::NotReady("503".into())));
    assert_eq!(certain(&slow), None);
    assert_eq!(likely(&slow).map(|diagnosis| diagnosis.cause), Some("unhealthy"));
}
