//! The rules of `kubekeel doctor` that no lab test can cause, and those that must stay silent.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kubekeel::diagnose::{Evidence, PodEvidence};
use kubekeel::doctor::{Exam, causes};
use kubekeel::event::{Progress, Rung};
use kubekeel::host::routes::Route;
use kubekeel::lint::judge;
use kubekeel::manifest::{Component, NodeInputs, render};
use kubekeel::observed::PodRun;
use kubekeel::prove::ladder::View;
use kubekeel::status::{ComponentState, EtcdState, Proven, Service, Severity, Status};

use crate::sample;

fn evidence() -> Evidence {
    Evidence {
        now: SystemTime::UNIX_EPOCH,
        waited: Duration::from_secs(200),
        node_name: "keel-1".into(),
        kubelet: None,
        kubelet_log: vec!["E1 \"Unable to register node with API server\"".into()],
        runtime_error: None,
        runtime_cgroup_driver: None,
        cgroup_v1: false,
        pods: vec![],
        missing_images: vec![],
        taken_ports: vec![],
        foreign_manifests: vec![],
        unfit_certificates: vec![],
        full: vec![],
        node_error: None,
        external_etcd: vec![],
    }
}

/// A node that is well.
fn exam() -> Exam {
    let config = sample::config();
    let state = |component| ComponentState {
        progress: Progress { component, rung: Some(Rung::MirrorPod), waiting: String::new() },
        desired: None,
        running: None,
        image: String::new(),
        since: None,
        restarts: 0,
        ready: true,
    };
    let files = Component::ALL.map(|component| {
        let text = render(component, &config, &NodeInputs::default()).unwrap().text;
        kubekeel::lint::Named {
            name: format!("{component}.yaml"),
            is_link: false,
            what: kubekeel::lint::What::File(text.len() as u64, Some(text.into_bytes())),
        }
    });
    Exam {
        status: Status {
            now: 1_000_000,
            initialised: true,
            is_ours: true,
            components: Component::ALL.map(state).into(),
            kubelet: Service { running: true, ..Service::default() },
            etcd: Some(Ok(EtcdState { version: "3.7.0".into(), size: 1 << 20, quota: 2 << 30, alarms: vec![] })),
            ..Status::default()
        },
        view: View { node: Ok(true), mirrors: Ok(BTreeMap::new()), ..View::default() },
        evidence: evidence(),
        manifests: judge(&files, None),
        static_pod_path: Some("/etc/kubernetes/manifests".into()),
        mirror_log: vec![],
        served: vec![],
        sync: Some(Duration::from_millis(3)),
        routes: vec![],
        services: vec!["10.96.0.0/12".parse().unwrap()],
        pods: vec!["10.244.0.0/16".parse().unwrap()],
        address: [192, 0, 2, 10].into(),
    }
}

#[track_caller]
fn finds(exam: &Exam, severity: Severity, cause: &str, component: &str) {
    let found: Vec<_> =
        causes(exam).iter().map(|one| (one.severity, one.diagnosis.cause, one.diagnosis.component.clone())).collect();
    assert_eq!(found, [(severity, cause, component.to_owned())]);
}

#[test]
fn a_node_that_is_well_has_no_cause_whatever_its_logs_say() {
    assert_eq!(causes(&exam()), []);
}

#[test]
fn the_clock_the_disk_and_the_quota() {
    let mut back = exam();
    back.status.generation = Some(Proven { number: 2, proven: 1_007_200, command: "init".into() });
    finds(&back, Severity::Broken, "clock", "node");
    let mut slow = exam();
    slow.sync = Some(Duration::from_millis(80));
    finds(&slow, Severity::Attention, "slow-disk", "etcd");
    let mut full = exam();
    full.status.etcd = Some(Ok(EtcdState { version: String::new(), size: 1 << 30, quota: 1 << 30, alarms: vec![] }));
    finds(&full, Severity::Attention, "etcd-quota", "etcd");
    let mut corrupt = exam();
    let alarms = vec!["memberID:1 alarm:CORRUPT ".into()];
    corrupt.status.etcd = Some(Ok(EtcdState { version: String::new(), size: 0, quota: 1 << 30, alarms }));
    finds(&corrupt, Severity::Broken, "etcd-corrupt", "etcd");
}

#[test]
fn a_route_of_the_network_plug_in_is_no_overlap() {
    let route = |network: &str, device: &str| Route { network: network.parse().unwrap(), device: device.into() };
    let mut exam = exam();
    exam.routes = vec![route("10.244.3.0/24", "cni0"), route("192.0.2.0/24", "eth0"), route("172.16.0.0/12", "tun0")];
    assert_eq!(causes(&exam), []);
    exam.routes = vec![route("10.0.0.0/8", "tun0")];
    finds(&exam, Severity::Attention, "cidr-overlap", "node");
    exam.routes = vec![route("10.244.3.0/24", "eth0")];
    exam.address = [10, 244, 3, 7].into();
    finds(&exam, Severity::Attention, "cidr-overlap", "node");
}

#[test]
fn two_pods_of_one_component_are_a_stale_sandbox_and_not_a_taken_port() {
    let run = |sandbox: &str, digest: &str| PodRun {
        name: "kube-scheduler".into(),
        sandbox: sandbox.into(),
        ready: true,
        digest: Some(digest.into()),
        ..PodRun::default()
    };
    let pod = |runs| PodEvidence {
        component: Component::Scheduler,
        digest: Some("new".into()),
        runs,
        log: vec!["address already in use".into()],
        health: None,
    };
    let mut exam = exam();
    exam.status.components[3].progress.rung = Some(Rung::File);
    exam.evidence.pods = vec![pod(vec![run("b", "new"), run("a", "old")])];
    exam.evidence.taken_ports = vec![(Component::Scheduler, 10259, "pid 1".into())];
    finds(&exam, Severity::Broken, "stale-sandbox", "kube-scheduler");
    exam.evidence.pods = vec![pod(vec![run("a", "old")])];
    finds(&exam, Severity::Broken, "predecessor", "kube-scheduler");
}

#[test]
fn a_missing_node_is_named_before_its_mirror_pods() {
    let mut exam = exam();
    exam.view.node = Ok(false);
    exam.status.components[0].progress.rung = Some(Rung::Health);
    assert!(causes(&exam).iter().any(|cause| cause.diagnosis.cause == "node-missing"), "{:?}", causes(&exam));
}
