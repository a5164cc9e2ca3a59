//! Causes in what the control plane keeps: etcd, certificates, files of ours; and what the status says beyond all of them.

use super::Severity::{Attention, Broken};
use super::{Cause, Exam, Severity, cause};
use crate::diagnose::Diagnosis;
use crate::manifest::Component;
use crate::status::{CertificateLeft, DOCTOR, Remark};

pub(super) fn etcd_alarms(exam: &Exam) -> Vec<Cause> {
    let Some(Ok(etcd)) = &exam.status.etcd else { return vec![] };
    let has = |word: &str| etcd.alarms.iter().any(|alarm| alarm.contains(word));
    let mib = |bytes: u64| bytes >> 20;
    let used = format!("{} MiB of {} MiB are used", mib(etcd.size), mib(etcd.quota));
    if has("NOSPACE") {
        let mut seen = etcd.alarms.clone();
        seen.push(used);
        let remedy =
            "compact and defragment etcd, raise quota-backend-bytes, then disarm the alarm (etcdctl alarm disarm)";
        return cause(Broken, "etcd-quota", "etcd", "etcd takes no more writes: its quota is used up", seen, remedy);
    }
    if has("CORRUPT") {
        let remedy = "do not write to this member; kubekeel etcd snapshot restore (`list` names those that are kept)";
        return cause(Broken, "etcd-corrupt", "etcd", "etcd found its data corrupt", etcd.alarms.clone(), remedy);
    }
    if !etcd.alarms.is_empty() {
        return cause(Broken, "etcd-alarm", "etcd", "etcd has an alarm", etcd.alarms.clone(), "read its log");
    }
    if etcd.is_nearly_full() {
        let remedy = "compact and defragment etcd, or raise quota-backend-bytes";
        return cause(Attention, "etcd-quota", "etcd", "etcd comes close to its quota", vec![used], remedy);
    }
    vec![]
}

pub(super) fn served_certificates(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for served in &exam.served {
        let Some(difference) = &served.difference else { continue };
        causes.extend(cause(
            Broken,
            "stale-certificate",
            served.component.name(),
            format!("{} does not serve the certificate of its file", served.component),
            vec![format!("{}, {}: {difference}", served.address, served.file)],
            "see that the file's key belongs to it (`kubekeel init --dry-run`); it is read again within a minute, or at a restart",
        ));
    }
    causes
}

pub(super) fn expired_certificates(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    let remarks = exam.status.remarks();
    for remark in remarks.into_iter().filter(|remark| remark.cause == "certificate-expired") {
        let certificate = exam.status.certificates.iter().find(|certificate| certificate.name == remark.subject);
        let Some((certificate, end)) = certificate.and_then(|one| Some((one, one.not_after?))) else { continue };
        let now = exam.status.now;
        let mut seen = vec![format!("{} ended on {}, and it is {}", certificate.path, date(end), date(now))];
        let doubt = doubt(exam, certificate, end);
        let renew = &remark.remedy;
        let remedy = if doubt.is_some() {
            format!("if the clock is wrong, set it (`timedatectl set-ntp true`); else {renew}")
        } else {
            renew.clone()
        };
        seen.extend(doubt);
        let summary = format!("the certificate {} expired", remark.subject);
        causes.extend(cause(remark.severity, remark.cause, &remark.subject, summary, seen, remedy));
    }
    causes
}

/// Why the clock may be what is wrong, and not the certificate: somebody would have noticed.
fn doubt(exam: &Exam, certificate: &CertificateLeft, end: i64) -> Option<String> {
    let life = end - certificate.not_before?;
    if exam.status.now - end > life {
        return Some(format!("that is longer ago than its whole life of {} days", life / 86_400));
    }
    let generation = exam.status.generation.as_ref().filter(|generation| generation.proven > end)?;
    let (number, proven) = (generation.number, date(generation.proven));
    Some(format!("generation {number} was proven after that, on {proven}"))
}

fn date(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |moment| moment.date().to_string())
}

pub(super) fn drift(exam: &Exam) -> Vec<Cause> {
    if exam.status.drift.is_empty() {
        return vec![];
    }
    let seen = exam.status.drift.iter().map(|(path, what)| format!("{path}: {what}")).collect();
    let remedy = "`kubekeel rollback` puts back what was proven; `kubekeel apply --force` writes it anew";
    cause(Severity::Drift, "drift", "node", "files are not as kubekeel wrote them", seen, remedy)
}

/// What the status says and no cause explains is a cause itself: nobody shall be told that nothing was found.
pub(super) fn remaining(exam: &Exam, found: &[Cause]) -> Vec<Cause> {
    let remarks = exam.status.remarks().into_iter();
    let unexplained =
        |remark: &Remark| remark.severity != Severity::Waiting && !found.iter().any(|cause| explains(cause, remark));
    let as_cause = |remark: Remark| {
        let remedy = match remark.remedy.as_str() {
            DOCTOR => "read `journalctl -u kubelet`, and the log of the container below /var/log/pods",
            remedy => remedy,
        };
        cause(
            remark.severity,
            remark.cause,
            &remark.subject,
            format!("{}: {}", remark.subject, remark.message),
            vec![],
            remedy,
        )
    };
    remarks.filter(unexplained).flat_map(as_cause).collect()
}

fn explains(cause: &Cause, remark: &Remark) -> bool {
    let Diagnosis { cause: name, component, evidence, .. } = &cause.diagnosis;
    if cause.severity < remark.severity {
        return false;
    }
    if remark.cause == "not-proven" {
        // A static pod waits for what is wrong with itself, with the machine, or with one that all of them need.
        return Component::named(component).is_none_or(|other| {
            matches!(other, Component::Etcd | Component::ApiServer) || other.name() == remark.subject
        });
    }
    let of_node = *name == remark.cause && matches!(component.as_str(), "node" | "kubelet" | "container-runtime");
    of_node || *component == remark.subject || evidence.iter().any(|line| line.starts_with(&remark.subject))
}
