//! The screen of `kubekeel status`, and how a node is judged.

use kubekeel::event::{Progress, Rung};
use kubekeel::manifest::Component;
use kubekeel::status::{CertificateLeft, ComponentState, EtcdState, Paint, Proven, Service, Severity, Status, screen};

fn healthy() -> Status {
    let state = |component, image: &str| ComponentState {
        progress: Progress { component, rung: Some(Rung::MirrorPod), waiting: String::new() },
        desired: Some("sha256:0123456789".into()),
        running: Some("sha256:0123456789".into()),
        image: format!("registry.example/{image}"),
        since: Some(1_000_000 - 7_320),
        restarts: 0,
        ready: true,
    };
    let left = |name: &str, authority, days| CertificateLeft {
        name: name.into(),
        authority,
        not_after: 1_000_000 + days * 86_400,
        days,
    };
    Status {
        now: 1_000_000,
        node: "keel-1".into(),
        node_ready: Some(Ok(true)),
        version: "v1.37.2".into(),
        initialised: true,
        is_ours: true,
        generation: Some(Proven { number: 3, proven: 992_000, command: "apply".into() }),
        components: vec![
            state(Component::Etcd, "etcd:3.7.0-0"),
            state(Component::ApiServer, "kube-apiserver:v1.37.2"),
            state(Component::ControllerManager, "kube-controller-manager:v1.37.2"),
            state(Component::Scheduler, "kube-scheduler:v1.37.2"),
        ],
        kubelet: Service {
            version: Some("v1.37.2".into()),
            running: true,
            state: "active (running)".into(),
            since: Some(992_600),
            restarts: 0,
        },
        runtime: Some(Ok("containerd v2.4.2".into())),
        certificates: vec![left("admin.conf", false, 364), left("apiserver", false, 365), left("ca", true, 3649)],
        etcd: Some(Ok(EtcdState { version: "3.7.0".into(), size: 2_400_000, quota: 2 << 30, alarms: vec![] })),
        free: [("/var/lib/etcd".to_owned(), 12 << 30)].into(),
        ..Status::default()
    }
}

#[test]
fn a_healthy_node_fits_on_a_screen() {
    insta::assert_snapshot!(screen(&healthy(), Paint::Plain));
    assert_eq!(healthy().severity(), Severity::Well);
}

#[test]
fn what_is_wrong_is_told_worst_first_within_eighty_columns() {
    let mut status = healthy();
    status.components[1].progress =
        Progress { component: Component::ApiServer, rung: Some(Rung::Container), waiting: "x".repeat(200) };
    status.components[1].desired = Some("sha256:fedcba9876".into());
    status.certificates[0].days = 3;
    status.free.insert("/var/lib/kubelet".into(), 5 << 20);
    status.drift.insert("/etc/kubernetes/admin.conf".into(), "it is gone");
    status.pending = Some("apply".into());
    let text = screen(&status, Paint::Plain);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
    assert_eq!(status.severity(), Severity::Broken);
    assert!(!text.contains('\x1b') && screen(&status, Paint::Colours).contains("\x1b[31m"));
}

#[test]
fn before_init_it_waits() {
    let kubelet = Service { state: "activating (auto-restart)".into(), ..Service::default() };
    let status = Status { node: "keel-1".into(), kubelet, ..Status::default() };
    insta::assert_snapshot!(screen(&status, Paint::Plain));
    assert_eq!(status.severity().exit_code(), 2);
}
