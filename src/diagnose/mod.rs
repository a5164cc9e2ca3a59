//! From evidence (kubelet, CRI, logs, ports, TLS) to one named cause and its remedy. Pure.
//!
//! The rules are a table, root causes first: what keeps the kubelet from running is asked before what a container says,
//! and etcd before the API server that needs it.

mod container;
mod evidence;
mod node;

use serde::Serialize;

pub use evidence::{Evidence, PodEvidence};

/// Why the control plane does not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Stable name of the cause, for programs: `bad-flag`, `image-missing`, `port-taken`, …
    pub cause: &'static str,
    /// The component that suffers from it: a static pod's name, `kubelet`, `container-runtime` or `node`.
    pub component: String,
    /// One sentence for a person.
    pub summary: String,
    /// What was seen: exit codes, last log lines, the port's holder, the TLS error.
    pub evidence: Vec<String>,
    /// What to do, one command or one change.
    pub remedy: String,
}

/// A finding of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    diagnosis: Diagnosis,
    /// Waiting longer would not help.
    certain: bool,
}

type Rule = fn(&Evidence) -> Option<Finding>;

const RULES: [Rule; 11] = [
    node::runtime_down,
    node::disk_full,
    node::kubelet_down,
    node::duplicate_manifest,
    node::node_name,
    container::image_missing,
    container::failing,
    node::certificates,
    container::etcd_unreachable,
    node::registration,
    container::unhealthy,
];

/// The cause, when the evidence leaves no doubt: waiting longer would not help.
pub fn certain(evidence: &Evidence) -> Option<Diagnosis> {
    RULES.iter().filter_map(|rule| rule(evidence)).find(|finding| finding.certain).map(|finding| finding.diagnosis)
}

/// The most likely cause once the time is up.
pub fn likely(evidence: &Evidence) -> Option<Diagnosis> {
    certain(evidence).or_else(|| RULES.iter().find_map(|rule| rule(evidence)).map(|finding| finding.diagnosis))
}

/// Every cause that the evidence speaks for, those that leave no doubt first.
pub fn all(evidence: &Evidence) -> Vec<Diagnosis> {
    let mut findings: Vec<_> = RULES.iter().filter_map(|rule| rule(evidence)).collect();
    findings.sort_by_key(|finding| !finding.certain);
    findings.into_iter().map(|finding| finding.diagnosis).collect()
}

/// A finding, in the form that rules return.
#[allow(clippy::unnecessary_wraps, reason = "every rule ends with it")]
fn finding(
    certain: bool,
    cause: &'static str,
    component: &str,
    summary: impl Into<String>,
    evidence: Vec<String>,
    remedy: impl Into<String>,
) -> Option<Finding> {
    let (summary, remedy) = (summary.into(), remedy.into());
    Some(Finding {
        certain,
        diagnosis: Diagnosis { cause, component: component.to_owned(), summary, evidence, remedy },
    })
}

/// The last lines that contain one of `words`, at most `most`, oldest first.
fn lines_with(log: &[String], words: &[&str], most: usize) -> Vec<String> {
    let hit = |line: &&String| {
        let line = line.to_lowercase();
        words.iter().any(|word| line.contains(word))
    };
    let mut lines: Vec<_> = log.iter().rev().filter(hit).take(most).map(|line| shorten(line)).collect();
    lines.reverse();
    lines
}

/// Log lines may be very long; the beginning of a line holds what matters.
fn shorten(line: &str) -> String {
    const LONGEST: usize = 400;
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}

fn last(log: &[String], most: usize) -> Vec<String> {
    log[log.len().saturating_sub(most)..].iter().map(|line| shorten(line)).collect()
}
