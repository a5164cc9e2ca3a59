//! etcd, certificates, files of ours, and what the status says beyond every rule.

use kubekeel::doctor::{Exam, Served, causes, severity};
use kubekeel::manifest::Component;
use kubekeel::pki::Managed;
use kubekeel::status::{CertificateLeft, EtcdState, Inodes, Proven, Severity};

use super::{exam, finds};
use Severity::{Attention, Broken, Drift};

fn etcd(size: u64, alarms: &[&str]) -> Exam {
    let mut exam = exam();
    let alarms = alarms.iter().map(ToString::to_string).collect();
    exam.status.etcd = Some(Ok(EtcdState { version: "3.7.0".into(), size, quota: 1 << 30, alarms }));
    exam
}

#[test]
fn etcds_alarms_and_its_quota() {
    assert_eq!(causes(&etcd(850 << 20 >> 1, &[])), []);
    let close = finds(&etcd(900 << 20, &[]), Attention, "etcd-quota", "etcd").diagnosis;
    assert_eq!(close.evidence, ["900 MiB of 1024 MiB are used"]);
    let full = finds(&etcd(1 << 30, &["memberID:1 alarm:NOSPACE "]), Broken, "etcd-quota", "etcd").diagnosis;
    assert_eq!(full.evidence, ["memberID:1 alarm:NOSPACE ", "1024 MiB of 1024 MiB are used"]);
    let corrupt = finds(&etcd(0, &["memberID:1 alarm:CORRUPT "]), Broken, "etcd-corrupt", "etcd").diagnosis;
    assert!(corrupt.remedy.contains("kubekeel etcd snapshot restore"), "{corrupt:?}");
    finds(&etcd(0, &["something new"]), Broken, "etcd-alarm", "etcd");
}

#[test]
fn an_etcd_that_does_not_answer_is_named() {
    let mut exam = exam();
    exam.status.etcd = Some(Err("connect at 127.0.0.1:2379: Connection refused (os error 111)".into()));
    let cause = finds(&exam, Broken, "etcd-down", "etcd").diagnosis;
    assert_eq!(cause.summary, "etcd: connect at 127.0.0.1:2379: Connection refused (os error 111)");
    assert!(cause.remedy.contains("/var/log/pods") && !cause.remedy.contains("doctor"), "{cause:?}");
    // What weighs less explains nothing.
    exam.sync = Some(std::time::Duration::from_millis(80));
    let found: Vec<_> = causes(&exam).iter().map(|one| (one.severity, one.diagnosis.cause)).collect();
    assert_eq!(found, [(Broken, "etcd-down"), (Attention, "slow-disk")]);
}

#[test]
fn little_space_is_named_once() {
    let mut exam = exam();
    exam.status.free.insert("/var/lib/etcd".into(), 900 << 20);
    let cause = finds(&exam, Attention, "disk-low", "/var/lib/etcd").diagnosis;
    assert_eq!(cause.summary, "/var/lib/etcd: 900 MiB are free");
    exam.status.free.insert("/var/lib/etcd".into(), 4 << 20);
    exam.evidence.full = vec![("/var/lib/etcd".into(), 4 << 20)];
    finds(&exam, Broken, "disk-full", "node");
    let mut few = super::exam();
    few.status.inodes.insert("/var/log/pods".into(), Inodes { free: 10, total: 1000 });
    finds(&few, Attention, "disk-low", "/var/log/pods");
    few.status.inodes.insert("/var/log/pods".into(), Inodes { free: 0, total: 1000 });
    finds(&few, Broken, "disk-full", "/var/log/pods");
}

const DAY: i64 = 86_400;

/// A node with a certificate that lives for a year and has so many days left.
fn certificate(name: &str, days: i64) -> Exam {
    let mut exam = exam();
    exam.status.now = 2_000 * DAY;
    let end = exam.status.now + days * DAY;
    exam.status.generation = Some(Proven { number: 2, proven: end - 300 * DAY, command: "init".into() });
    exam.status.certificates = vec![CertificateLeft {
        name: name.into(),
        path: format!("/etc/kubernetes/pki/{name}.crt"),
        authority: false,
        managed: Managed::Kubekeel,
        not_before: Some(end - 365 * DAY),
        not_after: Some(end),
        days: Some(days),
        damaged: None,
    }];
    exam
}

#[test]
fn certificates_that_end_are_named_with_the_command_that_renews_them() {
    assert_eq!(causes(&certificate("apiserver", 31)), []);
    let soon = finds(&certificate("apiserver", 29), Attention, "certificate-ends", "apiserver").diagnosis;
    assert_eq!(soon.remedy, "kubekeel certs renew apiserver");
    let mut over = certificate("apiserver", -2);
    // What init would say of the same file is the same.
    over.evidence.unfit_certificates =
        vec![("/etc/kubernetes/pki/apiserver.crt".into(), vec!["it expired on 1975-06-22T00:00:00Z".into()])];
    let expired = finds(&over, Broken, "certificate-expired", "apiserver").diagnosis;
    assert_eq!(expired.remedy, "kubekeel certs renew apiserver");
    assert_eq!(expired.evidence, ["/etc/kubernetes/pki/apiserver.crt ended on 1975-06-22, and it is 1975-06-24"]);
    let mut damaged = certificate("apiserver", 300);
    (damaged.status.certificates[0].not_after, damaged.status.certificates[0].days) = (None, None);
    damaged.status.certificates[0].damaged = Some("the certificate is damaged".into());
    let cause = finds(&damaged, Broken, "certificate-damaged", "apiserver").diagnosis;
    assert_eq!(
        (cause.summary.as_str(), cause.remedy.as_str()),
        ("apiserver: the certificate is damaged", "kubekeel certs renew apiserver")
    );
}

#[test]
fn an_expired_certificate_names_the_clock_where_somebody_would_have_noticed() {
    let cause = finds(&certificate("apiserver", -400), Broken, "certificate-expired", "apiserver").diagnosis;
    assert_eq!(cause.evidence[1], "that is longer ago than its whole life of 365 days");
    assert!(cause.remedy.starts_with("if the clock is wrong") && cause.remedy.ends_with("certs renew apiserver"));
    let mut later = certificate("apiserver", -9);
    later.status.generation = Some(Proven { number: 3, proven: 1_995 * DAY, command: "apply".into() });
    let cause = finds(&later, Broken, "certificate-expired", "apiserver").diagnosis;
    assert_eq!(cause.evidence[1], "generation 3 was proven after that, on 1975-06-19");
    assert!(cause.remedy.starts_with("if the clock is wrong"), "{cause:?}");
}

#[test]
fn a_served_certificate_that_is_not_the_files_is_named() {
    let mut exam = exam();
    let served = |difference: Option<&str>| Served {
        component: Component::Etcd,
        address: "127.0.0.1:2379".into(),
        file: "/etc/kubernetes/pki/etcd/server.crt".into(),
        difference: difference.map(str::to_owned),
    };
    exam.served = vec![served(None)];
    assert_eq!(causes(&exam), []);
    exam.served.push(served(Some("it shows the certificate with serial 01, the file has serial 02")));
    let cause = finds(&exam, Broken, "stale-certificate", "etcd").diagnosis;
    assert_eq!(
        cause.evidence,
        [
            "127.0.0.1:2379, /etc/kubernetes/pki/etcd/server.crt: it shows the certificate with serial 01, the file has serial 02"
        ]
    );
}

#[test]
fn what_the_status_says_is_always_a_cause() {
    let is = |change: &dyn Fn(&mut Exam), severity, cause, component| {
        let mut exam = exam();
        change(&mut exam);
        finds(&exam, severity, cause, component);
    };
    is(&|exam| exam.status.pending = Some("apply".into()), Broken, "unfinished", "generation");
    is(&|exam| exam.status.kubelet.running = false, Broken, "kubelet-down", "kubelet");
    is(&|exam| exam.status.runtime = Some(Err("refused".into())), Broken, "runtime-down", "runtime");
    let unseen = |exam: &mut Exam| drop(exam.status.unseen.insert("/var/lib/x".into(), "not JSON".into()));
    is(&unseen, Broken, "unreadable", "/var/lib/x");
    is(&|exam| exam.status.is_ours = false, Attention, "not-ours", "control plane");
    let edits = |exam: &mut Exam| {
        exam.status.drift = [("/a".to_owned(), "it is gone"), ("/b".to_owned(), "it cannot be read")].into();
    };
    is(&edits, Drift, "drift", "node");
    // All of it at once: nothing explains another one away.
    let mut exam = exam();
    unseen(&mut exam);
    edits(&mut exam);
    exam.status.pending = Some("apply".into());
    exam.status.free.insert("/var/lib/etcd".into(), 900 << 20);
    let all = causes(&exam);
    let found: Vec<_> = all.iter().map(|one| (one.severity, one.diagnosis.cause)).collect();
    assert_eq!(
        found,
        [(Broken, "unreadable"), (Broken, "unfinished"), (Drift, "drift"), (Attention, "disk-low")],
        "{all:#?}"
    );
    assert_eq!(severity(&exam, &all), Broken);
}
