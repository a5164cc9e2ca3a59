//! What is wrong with a node now: everything that `init` would name, and what only shows on a node that ran before. Pure;
//! [`look`] examines the node.
//!
//! The rules are a table, root causes first.

pub mod bundle;
pub mod look;
mod redact;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use crate::diagnose::{self, Diagnosis, Evidence};
use crate::event::Rung;
use crate::host::routes::Route;
use crate::layout;
use crate::lint::{Judged, Verdict};
use crate::manifest::Component;
use crate::prove::ladder::View;
use crate::status::{Severity, Status};

pub use redact::Redactor;

/// Everything that was examined.
#[derive(Debug)]
pub struct Exam {
    /// The look behind `kubekeel status`.
    pub status: Status,
    /// Sandboxes, health ports and mirror pods.
    pub view: View,
    /// What `init` gathers when something does not come up.
    pub evidence: Evidence,
    /// The manifest directory as the kubelet reads it.
    pub manifests: Vec<Judged>,
    /// `staticPodPath` of the kubelet's configuration; `None` when there is none.
    pub static_pod_path: Option<String>,
    /// What the kubelet said of mirror pods lately.
    pub mirror_log: Vec<String>,
    /// Certificates that are served, against the files that they come from.
    pub served: Vec<Served>,
    /// The slowest of some synced writes where etcd writes.
    pub sync: Option<Duration>,
    /// Routes of the machine.
    pub routes: Vec<Route>,
    /// Networks of the Services.
    pub services: Vec<IpNet>,
    /// Networks of the pods.
    pub pods: Vec<IpNet>,
    /// The address of the API server.
    pub address: IpAddr,
}

/// A certificate that a port serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Whose.
    pub component: Component,
    /// Host and port.
    pub address: String,
    /// The file that it should come from.
    pub file: String,
    /// Whether it does.
    pub is_the_files: bool,
}

/// A cause, and how much it weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
}

type Rule = fn(&Exam) -> Vec<Cause>;

const RULES: [Rule; 12] = [
    clock,
    static_pod_path,
    manifests,
    stale_sandboxes,
    of_init,
    etcd_alarms,
    waiting_for_predecessor,
    mirror_pods,
    served_certificates,
    unfinished_and_drift,
    networks,
    slow_disk,
];

/// All causes, root causes first; empty when nothing is wrong.
pub fn causes(exam: &Exam) -> Vec<Cause> {
    let mut causes: Vec<Cause> = vec![];
    for cause in RULES.iter().flat_map(|rule| rule(exam)) {
        let same = |other: &Cause| {
            other.diagnosis.cause == cause.diagnosis.cause && other.diagnosis.component == cause.diagnosis.component
        };
        if !causes.iter().any(same) {
            causes.push(cause);
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.severity));
    causes
}

fn cause(
    severity: Severity,
    cause: &'static str,
    component: &str,
    summary: impl Into<String>,
    evidence: Vec<String>,
    remedy: impl Into<String>,
) -> Vec<Cause> {
    let (component, summary, remedy) = (component.to_owned(), summary.into(), remedy.into());
    vec![Cause { severity, diagnosis: Diagnosis { cause, component, summary, evidence, remedy } }]
}

use Severity::{Attention, Broken};

fn clock(exam: &Exam) -> Vec<Cause> {
    let Some(generation) = &exam.status.generation else { return vec![] };
    if generation.proven <= exam.status.now {
        return vec![];
    }
    let hours = (generation.proven - exam.status.now) / 3600;
    let seen = vec![format!("generation {} was proven {hours} h later than now", generation.number)];
    cause(Broken, "clock", "node", "the clock went back", seen, "set the clock (`timedatectl set-ntp true`)")
}

fn static_pod_path(exam: &Exam) -> Vec<Cause> {
    if !exam.status.initialised || exam.static_pod_path.as_deref() == Some(layout::MANIFESTS) {
        return vec![];
    }
    let path = exam.static_pod_path.as_deref().filter(|path| !path.is_empty()).unwrap_or("nothing");
    let seen = vec![format!("staticPodPath of {} is {path}", layout::KUBELET_CONFIG)];
    let summary = format!("the kubelet does not read {}", layout::MANIFESTS);
    let remedy = "run `kubekeel init` or `kubekeel apply` with --force, which writes the kubelet's configuration again";
    cause(Broken, "static-pod-path", "kubelet", summary, seen, remedy)
}

fn manifests(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for component in Component::ALL.into_iter().filter(|_| exam.status.initialised) {
        if !exam.manifests.iter().any(|judged| component.path().ends_with(&format!("/{}", judged.file))) {
            let seen = vec![format!("{} is gone", component.path())];
            let summary = format!("the static pod {component} has no manifest, so the kubelet ended it");
            causes.extend(cause(
                Broken,
                "manifest-missing",
                component.name(),
                summary,
                seen,
                "kubekeel rollback --dry-run",
            ));
        }
    }
    let bad = |judged: &&Judged| matches!(judged.verdict, Verdict::Refused | Verdict::Replaced);
    for judged in exam.manifests.iter().filter(bad) {
        let seen = judged.notes.iter().filter(|note| note.is_wrong).map(|note| note.message.clone()).collect();
        let summary =
            format!("the kubelet does not run {}/{}: it is {}", layout::MANIFESTS, judged.file, judged.verdict.name());
        causes.extend(cause(
            Broken,
            "foreign-manifest",
            &judged.file,
            summary,
            seen,
            "kubekeel lint; then move it out, or mend it",
        ));
    }
    causes
}

/// What keeps a control plane from coming up. A control plane that is up may have such words in its logs, too.
fn of_init(exam: &Exam) -> Vec<Cause> {
    let all_proven = exam.status.components.iter().all(|state| state.progress.is_proven());
    let expired = !exam.evidence.unfit_certificates.is_empty() || !exam.evidence.full.is_empty();
    if all_proven && exam.status.kubelet.running && !expired {
        return vec![];
    }
    let registered = exam.view.node == Ok(true);
    let stale: Vec<_> = stale_sandboxes(exam).into_iter().map(|cause| cause.diagnosis.component).collect();
    let all = diagnose::all(&exam.evidence).into_iter();
    // A kubelet tries to register before the API server is there, and says so; two pods of one name fight for its port.
    all.filter(|diagnosis| !(diagnosis.cause == "registration" && registered))
        .filter(|diagnosis| !(diagnosis.cause == "port-taken" && stale.contains(&diagnosis.component)))
        .map(|diagnosis| Cause { severity: Broken, diagnosis })
        .collect()
}

fn etcd_alarms(exam: &Exam) -> Vec<Cause> {
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
        let remedy = "restore a snapshot; do not write to this member";
        return cause(Broken, "etcd-corrupt", "etcd", "etcd found its data corrupt", etcd.alarms.clone(), remedy);
    }
    if !etcd.alarms.is_empty() {
        return cause(Broken, "etcd-alarm", "etcd", "etcd has an alarm", etcd.alarms.clone(), "read its log");
    }
    if etcd.size / 4 >= etcd.quota / 5 {
        let remedy = "compact and defragment etcd, or raise quota-backend-bytes";
        return cause(Attention, "etcd-quota", "etcd", "etcd comes close to its quota", vec![used], remedy);
    }
    vec![]
}

/// A changed manifest whose old pod has not ended: the kubelet starts no second pod of a name.
fn waiting_for_predecessor(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for pod in &exam.evidence.pods {
        let alive: Vec<_> = pod.runs.iter().filter(|run| run.is_alive()).collect();
        let is_wanted = |run: &&&crate::observed::PodRun| run.digest == pod.digest;
        if alive.is_empty() || alive.iter().any(|run| is_wanted(&run)) {
            continue;
        }
        let name = pod.component.name();
        let seen = alive.iter().map(|run| format!("sandbox {} runs another manifest", short(&run.sandbox))).collect();
        let api = exam.view.node.is_ok();
        let why = if api { "it has not ended yet" } else { "a kubelet ends no pod before it has seen the API server" };
        causes.extend(cause(
            Broken,
            "predecessor",
            name,
            format!("the new {name} waits for the old one to end: {why}"),
            seen,
            "run `kubekeel init` again: it stops the kubelet, ends the old pod and starts the new one",
        ));
    }
    causes
}

fn stale_sandboxes(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for pod in &exam.evidence.pods {
        let alive: Vec<_> = pod.runs.iter().filter(|run| run.is_alive()).collect();
        let has_wanted = alive.iter().any(|run| run.digest == pod.digest);
        if alive.len() < 2 || !has_wanted {
            continue;
        }
        let name = pod.component.name();
        let seen = alive.iter().map(|run| format!("sandbox {} is alive", short(&run.sandbox))).collect();
        causes.extend(cause(
            Broken,
            "stale-sandbox",
            name,
            format!("{} pods of {name} run at the same time", alive.len()),
            seen,
            "run `kubekeel init` again: it ends all but the one of the manifest",
        ));
    }
    causes
}

fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

/// What keeps a mirror pod from being made: words of the kubelet's log, and what they mean.
const MIRROR_CAUSES: [(&str, &str, &str); 7] = [
    ("webhook", "an admission webhook refuses it", "exclude kube-system from the webhook, or bring its service back"),
    // The range's maximum becomes the limit, and then the request is above it.
    ("to cpu limit of", "a LimitRange in kube-system refuses it", "delete the LimitRange from kube-system"),
    ("per container is", "a LimitRange in kube-system refuses it", "delete the LimitRange from kube-system"),
    ("per pod is", "a LimitRange in kube-system refuses it", "delete the LimitRange from kube-system"),
    ("exceeded quota", "a ResourceQuota in kube-system refuses it", "delete the ResourceQuota from kube-system"),
    ("priorityclass", "its priority class is missing", "restart the API server, which makes system-node-critical"),
    ("forbidden", "the API server refuses it", "read the reason in `journalctl -u kubelet`"),
];

fn mirror_pods(exam: &Exam) -> Vec<Cause> {
    if exam.view.node == Ok(false) {
        let seen = vec![format!("the API server knows no Node {}", exam.status.node)];
        let remedy = "restart the kubelet, which registers it; see that its name is right";
        return cause(Broken, "node-missing", "kubelet", "the Node is not registered", seen, remedy);
    }
    let Ok(mirrors) = &exam.view.mirrors else { return vec![] };
    let mut causes = vec![];
    for state in exam.status.components.iter().filter(|state| state.progress.rung == Some(Rung::Node)) {
        let name = state.progress.component.name();
        let lines: Vec<_> = exam.mirror_log.iter().filter(|line| line.contains(name)).rev().take(2).cloned().collect();
        let known =
            MIRROR_CAUSES.into_iter().find(|(word, ..)| lines.iter().any(|line| line.to_lowercase().contains(word)));
        let missing = if mirrors.contains_key(name) { "is not the running pod's" } else { "is missing" };
        let (why, remedy) = known.map_or(
            ("the kubelet makes it at the pod's next sync", "wait 90 s, or restart the kubelet"),
            |(_, why, remedy)| (why, remedy),
        );
        let seen = if lines.is_empty() { vec![format!("it waits for {}", state.progress.waiting)] } else { lines };
        let summary = format!("{name} runs, and its mirror pod {missing}: {why}");
        causes.extend(cause(Broken, "mirror-pod", name, summary, seen, remedy));
    }
    causes
}

fn served_certificates(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for served in exam.served.iter().filter(|served| !served.is_the_files) {
        causes.extend(cause(
            Broken,
            "stale-certificate",
            served.component.name(),
            format!("{} does not serve the certificate of its file", served.component),
            vec![format!("{} shows another one than {}", served.address, served.file)],
            "see that the file's key belongs to it (`kubekeel init --dry-run`); it is read again within a minute, or at a restart",
        ));
    }
    causes
}

fn unfinished_and_drift(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    if let Some(command) = &exam.status.pending {
        let seen = vec![layout::PENDING.to_owned()];
        let summary = format!("`{command}` was not finished");
        causes.extend(cause(Broken, "unfinished", "node", summary, seen, "run it again, or `kubekeel rollback`"));
    }
    if !exam.status.drift.is_empty() {
        let seen = exam.status.drift.iter().map(|(path, what)| format!("{path}: {what}")).collect();
        let remedy = "`kubekeel rollback` puts back what was proven; `kubekeel apply --force` writes it anew";
        causes.extend(cause(Severity::Drift, "drift", "node", "files are not as kubekeel wrote them", seen, remedy));
    }
    for (path, why) in &exam.status.unseen {
        causes.extend(cause(
            Broken,
            "unreadable",
            "node",
            format!("{path} cannot be used"),
            vec![why.clone()],
            "put it back from a backup",
        ));
    }
    for certificate in exam.status.certificates.iter().filter(|certificate| certificate.not_after <= exam.status.now) {
        let (name, remedy) = (&certificate.name, "run `kubekeel init` again: it issues its own certificates anew");
        causes.extend(cause(
            Broken,
            "certificate-expired",
            name,
            format!("the certificate {name} expired"),
            vec![],
            remedy,
        ));
    }
    causes
}

/// Networks of the cluster that the machine reaches some other way.
fn networks(exam: &Exam) -> Vec<Cause> {
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

fn slow_disk(exam: &Exam) -> Vec<Cause> {
    /// etcd's own bound for the 99th percentile (etcd.io, FAQ, "slow disk"), with room for a busy moment.
    const BOUND: Duration = Duration::from_millis(25);
    let Some(slowest) = exam.sync.filter(|slowest| *slowest > BOUND) else { return vec![] };
    let seen = vec![format!("the slowest of a dozen synced writes took {} ms", slowest.as_millis())];
    let remedy = "give etcd a disk of its own; leases and elections fail when writes take this long";
    cause(Attention, "slow-disk", "etcd", "the disk under etcd is slow", seen, remedy)
}
