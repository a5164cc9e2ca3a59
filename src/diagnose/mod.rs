//! From evidence (kubelet, CRI, logs, ports, TLS) to one named cause and its remedy. Pure.

use serde::Serialize;

/// Why the control plane does not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Stable name of the cause, for programs: `bad-flag`, `image-missing`, `port-taken`, …
    pub cause: &'static str,
    /// The component that suffers from it: a static pod's name, `kubelet`, `containerd` or `node`.
    pub component: String,
    /// One sentence for a person.
    pub summary: String,
    /// What was seen: exit codes, last log lines, the port's holder, the TLS error.
    pub evidence: Vec<String>,
    /// What to do, one command or one change.
    pub remedy: String,
}
