//! Causes on the machine: its clock, its kubelet, its networks, its disk, and what `init` would name.

use std::time::Duration;

use ipnet::IpNet;

use super::Severity::{Attention, Broken};
use super::{Cause, Exam, Origin, Watched, cause, pods};
use crate::diagnose::{self, Diagnosis};
use crate::layout;
use crate::manifest::Component;

pub(super) fn clock(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    if let Some(generation) = exam.status.generation.as_ref().filter(|generation| generation.proven > exam.status.now) {
        let hours = (generation.proven - exam.status.now) / 3600;
        let seen = vec![format!("generation {} was proven {hours} h later than now", generation.number)];
        let remedy = "set the clock (`timedatectl set-ntp true`)";
        causes.extend(cause(Broken, "clock", "node", "the clock went back", seen, remedy));
    }
    if exam.time.is_some_and(|time| time.wanted && !time.reached) {
        let seen = vec!["timedatectl: NTP=yes, NTPSynchronized=no".to_owned()];
        let remedy = "see why no time server answers: `timedatectl timesync-status`, or `chronyc tracking`";
        causes.extend(cause(Attention, "clock", "node", "the clock is not synchronised", seen, remedy));
    }
    causes
}

pub(super) fn static_pod_path(exam: &Exam) -> Vec<Cause> {
    let wrong: Vec<_> = exam.watched.iter().filter(|watched| watched.path != layout::MANIFESTS).collect();
    let Some(first) = wrong.first() else { return vec![] };
    let said = |watched: &&Watched| {
        let path = if watched.path.is_empty() { "nothing" } else { &watched.path };
        match &watched.origin {
            Origin::Flag => format!("--pod-manifest-path is {path}"),
            Origin::DropIn(file) | Origin::Configuration(file) => format!("staticPodPath of {file} is {path}"),
        }
    };
    let mut seen: Vec<_> = wrong.iter().map(said).collect();
    seen.dedup();
    let remedy = match &first.origin {
        Origin::Flag => {
            "take --pod-manifest-path out of the kubelet's flags (`systemctl cat kubelet` names their files), restart it"
                .into()
        }
        Origin::DropIn(file) => format!("take staticPodPath out of {file}, and restart the kubelet"),
        Origin::Configuration(_) if exam.status.is_ours => {
            "run `kubekeel init` or `kubekeel apply` with --force, which writes the kubelet's configuration again".into()
        }
        Origin::Configuration(file) => {
            format!("set staticPodPath in {file} to {}, and restart the kubelet", layout::MANIFESTS)
        }
    };
    let summary = format!("the kubelet does not read {}", layout::MANIFESTS);
    cause(Broken, "static-pod-path", "kubelet", summary, seen, remedy)
}

/// What keeps a control plane from coming up. A control plane that is up may have such words in its logs, too.
pub(super) fn of_init(exam: &Exam) -> Vec<Cause> {
    let mut evidence = exam.evidence.clone();
    // A certificate that ended is named by itself, with the command that renews it.
    for (_, reasons) in &mut evidence.unfit_certificates {
        reasons.retain(|reason| !reason.starts_with("it expired"));
    }
    evidence.unfit_certificates.retain(|(_, reasons)| !reasons.is_empty());
    let all_proven = exam.status.components.iter().all(|state| state.progress.is_proven());
    let machine_is_well = exam.status.kubelet.running
        && evidence.runtime_error.is_none()
        && evidence.unfit_certificates.is_empty()
        && evidence.full.is_empty();
    if all_proven && machine_is_well {
        return vec![];
    }
    // A kubelet tries to register before the API server is there, and says so; once that answers, it tells of the Node.
    let is_told = exam.view.node.is_ok() || !exam.status.initialised;
    let stale: Vec<_> = pods::stale_sandboxes(exam).into_iter().map(|cause| cause.diagnosis.component).collect();
    let all = diagnose::all(&evidence).into_iter();
    all.filter(|diagnosis| !(diagnosis.cause == "registration" && is_told))
        // Two pods of one name fight for its port.
        .filter(|diagnosis| !(diagnosis.cause == "port-taken" && stale.contains(&diagnosis.component)))
        .filter(|diagnosis| !only_waits_for_init(exam, diagnosis))
        .map(|diagnosis| Cause { severity: Broken, diagnosis: with_next_command(exam, diagnosis) })
        .collect()
}

/// A kubelet without a configuration does not start, or exits with 1 again and again, until `init` writes one.
fn only_waits_for_init(exam: &Exam, diagnosis: &Diagnosis) -> bool {
    let exit = exam.evidence.kubelet.as_ref().map_or(0, |kubelet| kubelet.exit_code);
    !exam.status.initialised
        && !exam.kubelet_is_configured
        && matches!(diagnosis.cause, "kubelet-config" | "kubelet-down")
        && matches!(exit, 0 | 1)
}

/// What `init` advises is to correct the configuration and run again; on a node that ran there is something nearer.
fn with_next_command(exam: &Exam, mut diagnosis: Diagnosis) -> Diagnosis {
    let component = Component::named(&diagnosis.component);
    match (diagnosis.cause, component) {
        ("bad-flag", Some(_)) if exam.status.generation.is_some() => {
            diagnosis.remedy = "kubekeel rollback; or correct its extraArgs and run `kubekeel apply`".into();
        }
        ("bad-flag", Some(component)) if !exam.status.is_ours => {
            diagnosis.remedy = format!("correct the flag in {}", component.path());
        }
        ("certificate-expired", _) => {
            let tool = if exam.status.is_ours { "kubekeel" } else { "kubeadm" };
            diagnosis.remedy = format!("if the clock is right: {tool} certs renew all; else set it first");
        }
        _ => {}
    }
    diagnosis
}

/// Networks of the cluster that the machine reaches some other way.
pub(super) fn networks(exam: &Exam) -> Vec<Cause> {
    let overlap = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
    let mut seen = vec![];
    for route in &exam.routes {
        let services = exam.services.iter().filter(|network| overlap(network, &route.network));
        seen.extend(
            services.map(|network| format!("Services {network}, route {} over {}", route.network, route.device)),
        );
        // A network plug-in routes parts of the pods' network; the machine's own network is no part of it.
        let is_own = route.network.contains(&exam.address);
        let wider = |network: &&IpNet| {
            overlap(network, &route.network) && (is_own || route.network.prefix_len() < network.prefix_len())
        };
        let pods = exam.pods.iter().filter(wider);
        seen.extend(pods.map(|network| format!("pods {network}, route {} over {}", route.network, route.device)));
    }
    if seen.is_empty() {
        return vec![];
    }
    let remedy = "choose other networks, or change the route: packets of one kind end at the other";
    cause(Attention, "cidr-overlap", "node", "networks of the cluster overlap with routes of the machine", seen, remedy)
}

pub(super) fn slow_disk(exam: &Exam) -> Vec<Cause> {
    /// etcd's own bound for the 99th percentile (etcd.io, FAQ, "slow disk"), with room for a busy moment.
    const BOUND: Duration = Duration::from_millis(25);
    let Some(slowest) = exam.sync.filter(|slowest| *slowest > BOUND) else { return vec![] };
    let seen = vec![format!("the slowest of a dozen synced writes took {} ms", slowest.as_millis())];
    let remedy = "give etcd a disk of its own; leases and elections fail when writes take this long";
    cause(Attention, "slow-disk", "etcd", "the disk under etcd is slow", seen, remedy)
}
