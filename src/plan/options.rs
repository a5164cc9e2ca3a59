//! What the user decided beyond the configuration.

use super::Rotation;
use crate::pki::Renewable;

/// What the user decided beyond the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Replace files that we wrote and somebody edited.
    pub force: bool,
    /// The control plane is in use: etcd is saved before its pod is replaced, and the API goes on where it can.
    pub in_use: bool,
    /// What the cluster was given before, and does not get again.
    pub given: Given,
    /// What gets a successor with a new key although it fits.
    pub renew: Renewal,
    /// Lines of context in the diffs of the plan; three when nobody says.
    pub context_lines: Option<usize>,
    /// Authorities that get successors, or lose their predecessors.
    pub rotation: Option<Rotation>,
}

impl Options {
    /// Whether the occasion is certificates, and nothing else.
    pub fn is_of_certificates(&self) -> bool {
        self.rotation.is_some() || self.renew.alone
    }
}

/// What a cluster is given once; from then on it is its users' own. A change of it in the configuration is another gift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// Labels and taints of the Node.
    pub marks: bool,
    /// Bootstrap tokens.
    pub tokens: bool,
}

/// Certificates that are renewed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Which.
    pub ids: Vec<Renewable>,
    /// The directory of those that an authority elsewhere signed; without one they are issued here.
    pub signed_in: Option<String>,
    /// Nothing else is made on that occasion, and what cannot be renewed is an error. Otherwise they are renewed besides everything
    /// else that changes, and what is not ours to renew is left alone and told.
    pub alone: bool,
}
