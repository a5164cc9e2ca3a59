//! The screen of `kubekeel status`, and how a node is judged.

use kubekeel::event::{Progress, Rung};
use kubekeel::manifest::Component;
use kubekeel::pki::Managed;
use kubekeel::status::{
    CertificateLeft, ComponentState, EtcdState, Inodes, Paint, Proven, Service, Severity, Status, screen,
};

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
        path: format!("/etc/kubernetes/{name}"),
        authority,
        managed: Managed::Kubekeel,
        not_before: Some(900_000),
        not_after: Some(1_000_000 + days * 86_400),
        days: Some(days),
        damaged: None,
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
    status.certificates[0].days = Some(3);
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

/// The remark that a change makes, alone: severity, cause, subject, remedy.
#[track_caller]
fn says(change: impl FnOnce(&mut Status), severity: Severity, words: [&str; 3]) {
    let mut status = healthy();
    change(&mut status);
    let said: Vec<_> = status
        .remarks()
        .into_iter()
        .map(|remark| (remark.severity, [remark.cause.to_owned(), remark.subject, remark.remedy]))
        .collect();
    assert_eq!(said, [(severity, words.map(str::to_owned))]);
    let text = screen(&status, Paint::Plain);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.ends_with(&format!(": {}", words[2])), "the next command ends the screen: {text}");
}

#[test]
fn each_remark_names_the_next_command() {
    use Severity::{Attention, Broken, Drift};
    says(
        |status| {
            let (component, waiting) = (Component::Scheduler, "its port to open".into());
            status.components[3].progress = Progress { component, rung: Some(Rung::Container), waiting };
        },
        Broken,
        ["not-proven", "kube-scheduler", "kubekeel doctor"],
    );
    says(|status| status.kubelet.running = false, Broken, ["kubelet-down", "kubelet", "kubekeel doctor"]);
    says(|status| status.runtime = Some(Err("refused".into())), Broken, ["runtime-down", "runtime", "kubekeel doctor"]);
    says(|status| status.etcd = Some(Err("refused".into())), Broken, ["etcd-down", "etcd", "kubekeel doctor"]);
    says(
        |status| status.pending = Some("apply".into()),
        Broken,
        ["unfinished", "generation", "run it again, or kubekeel rollback"],
    );
    let edit = |status: &mut Status| status.drift.extend([("/etc/kubernetes/admin.conf".to_owned(), "it is gone")]);
    says(edit, Drift, ["drift", "/etc/kubernetes/admin.conf", "kubekeel rollback"]);
    let unproven = |status: &mut Status| {
        edit(status);
        status.generation = None;
    };
    says(unproven, Drift, ["drift", "/etc/kubernetes/admin.conf", "kubekeel init --force"]);
    says(|status| status.is_ours = false, Attention, ["not-ours", "control plane", "kubekeel adopt"]);
    let space = "free space on its file system";
    says(
        |status| status.free.extend([("/var/log/pods".to_owned(), 1 << 20)]),
        Attention,
        ["disk-low", "/var/log/pods", space],
    );
    let inodes = |free| {
        move |status: &mut Status| status.inodes.extend([("/var/lib/etcd".to_owned(), Inodes { free, total: 1000 })])
    };
    says(inodes(49), Attention, ["disk-low", "/var/lib/etcd", space]);
    says(inodes(0), Broken, ["disk-full", "/var/lib/etcd", "remove files from its file system"]);
    let mut enough = healthy();
    inodes(50)(&mut enough);
    assert_eq!(enough.remarks(), []);
}

#[test]
fn a_certificate_is_renewed_by_whom_it_belongs_to() {
    use Severity::{Attention, Broken};
    let ends = |at: usize, name: &'static str, managed, days: i64| {
        move |status: &mut Status| {
            let certificate = &mut status.certificates[at];
            (certificate.name, certificate.managed) = (name.into(), managed);
            certificate.path = format!("/pki/{name}.crt");
            (certificate.not_after, certificate.days) = (Some(status.now + days * 86_400), Some(days));
        }
    };
    let cause = |days| if days > 0 { "certificate-ends" } else { "certificate-expired" };
    for (at, name, managed, days, severity, remedy) in [
        (0, "admin.conf", Managed::Kubekeel, 29, Attention, "kubekeel certs renew admin.conf"),
        (0, "apiserver", Managed::Kubekeel, 0, Broken, "kubekeel certs renew apiserver"),
        (0, "apiserver", Managed::Externally, -1, Broken, "kubekeel certs generate-csr"),
        (2, "ca", Managed::Externally, 5, Attention, "renew it where its key is"),
        (0, "kubelet-client", Managed::Kubelet, -1, Broken, "kubekeel certs renew kubelet.conf"),
        (2, "ca", Managed::Kubekeel, 5, Attention, "kubekeel certs rotate-ca begin ca"),
        // Nobody verifies it.
        (
            0,
            "kubelet-server",
            Managed::Kubelet,
            -9,
            Attention,
            "remove /pki/kubelet-server.crt and /pki/kubelet-server.key, restart the kubelet",
        ),
    ] {
        let (change, cause) = (ends(at, name, managed, days), cause(days));
        let mut status = healthy();
        change(&mut status);
        let remarks = status.remarks();
        let said: Vec<_> =
            remarks.iter().map(|r| (r.severity, r.cause, r.subject.as_str(), r.remedy.as_str())).collect();
        assert_eq!(said, [(severity, cause, name, remedy)]);
    }
    let theirs = |status: &mut Status| {
        ends(0, "apiserver", Managed::Kubekeel, 1)(status);
        status.is_ours = false;
    };
    let mut status = healthy();
    theirs(&mut status);
    assert_eq!(status.remarks()[1].remedy, "kubeadm certs renew apiserver");
}

#[test]
fn a_damaged_certificate_is_shown_and_judged() {
    let damage = |status: &mut Status, at: usize| {
        let certificate = &mut status.certificates[at];
        (certificate.not_after, certificate.days) = (None, None);
        certificate.damaged = Some("the certificate is damaged".into());
    };
    says(|s| damage(s, 0), Severity::Broken, ["certificate-damaged", "admin.conf", "kubekeel certs renew admin.conf"]);
    says(|s| damage(s, 2), Severity::Broken, ["certificate-damaged", "ca", "put it back from a backup"]);
    let mut status = healthy();
    damage(&mut status, 0);
    let text = screen(&status, Paint::Plain);
    assert!(text.contains("certificates  admin.conf damaged, apiserver 365 d\n"), "{text}");
}
