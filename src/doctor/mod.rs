//! What is wrong with a node now: everything that `init` would name, and what only shows on a node that ran before. Pure;
//! [`look`] examines the node.
//!
//! The rules are a table, root causes first.

pub mod bundle;
pub mod look;
mod node;
mod pods;
mod redact;
mod state;
mod watched;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use crate::diagnose::{Diagnosis, Evidence};
use crate::host::checkup::TimeSync;
use crate::host::routes::Route;
use crate::lint::Judged;
use crate::manifest::Component;
use crate::prove::ladder::View;
use crate::status::{Severity, Status};

pub use redact::Redactor;
pub use watched::{Asked, Origin, Watched, watched, words};

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
    /// Where the kubelet that runs looks for static pods, and where the next one will.
    pub watched: Vec<Watched>,
    /// Whether the kubelet has its configuration: before `init` it has none, and fails.
    pub kubelet_is_configured: bool,
    /// What the kubelet said of mirror pods lately.
    pub mirror_log: Vec<String>,
    /// Certificates that are served, against the files that they come from.
    pub served: Vec<Served>,
    /// The slowest of some synced writes where etcd writes.
    pub sync: Option<Duration>,
    /// Whether somebody sets the clock; `None` when systemd does not tell.
    pub time: Option<TimeSync>,
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
    /// In what it is not the file's.
    pub difference: Option<String>,
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

/// What may be wrong before `init`, too.
const ALWAYS: [Rule; 2] = [node::clock, node::of_init];

const RULES: [Rule; 13] = [
    node::clock,
    node::static_pod_path,
    pods::manifests,
    pods::stale_sandboxes,
    node::of_init,
    state::etcd_alarms,
    pods::waiting_for_predecessor,
    pods::mirror_pods,
    state::served_certificates,
    state::expired_certificates,
    state::drift,
    node::networks,
    node::slow_disk,
];

/// All causes, root causes first; empty when nothing is wrong, or nothing but that there is no control plane yet.
pub fn causes(exam: &Exam) -> Vec<Cause> {
    let rules: &[Rule] = if exam.status.initialised { &RULES } else { &ALWAYS };
    let mut found: Vec<Cause> = rules.iter().flat_map(|rule| rule(exam)).collect();
    found.extend(state::remaining(exam, &found));
    found.sort_by_key(|cause| std::cmp::Reverse(cause.severity));
    let mut causes: Vec<Cause> = vec![];
    for cause in found {
        let same = |other: &Cause| {
            other.diagnosis.cause == cause.diagnosis.cause && other.diagnosis.component == cause.diagnosis.component
        };
        if !causes.iter().any(same) {
            causes.push(cause);
        }
    }
    causes
}

/// The worst of what was found and what the status says.
pub fn severity(exam: &Exam, causes: &[Cause]) -> Severity {
    causes.iter().map(|cause| cause.severity).chain([exam.status.severity()]).max().unwrap_or(Severity::Well)
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
