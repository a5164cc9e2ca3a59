//! The rotation of authorities: a successor beside the old one, later the successor alone.
//!
//! Between the two turns everybody who can be told trusts both. Who cannot be told yet, a pod that read its bundle when it
//! started or another node, still accepts everything that the successor signed: it comes with a cross certificate, which the
//! old authority gave the new one. So neither turn has to be made everywhere at the same time.

use super::Step;
use super::diff::{EXTERNAL_KEY, EXTERNAL_KEY_HINT, Planner};
use crate::cluster::Part;
use crate::phase::Want;
use crate::pki::{CertificateId, Renewable};

/// A turn of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Of which authorities.
    pub authorities: Vec<CertificateId>,
    /// Which turn.
    pub turn: Turn,
}

/// The two turns of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Make a successor, trust both, renew everything that the old one signed.
    Begin,
    /// Trust the successor alone.
    Finish,
}

impl Rotation {
    /// Whether it has to do with what is wanted.
    pub fn concerns(&self, want: Want) -> bool {
        match want {
            Want::Certificate(id) => self.authorities.contains(&id.signer().unwrap_or(id)),
            Want::Kubeconfig(_) | Want::Objects(Part::BootstrapToken) | Want::KubeletRotation => {
                self.authorities.contains(&CertificateId::Ca)
            }
            Want::StaticPod(_) | Want::Kubelet | Want::Proof => true,
            _ => false,
        }
    }

    /// What gets a new key: all that the old authorities signed, when it begins.
    pub fn renewed(&self) -> Vec<Renewable> {
        let signer = |renewable: &Renewable| match renewable {
            Renewable::Certificate(id) => id.signer(),
            Renewable::Kubeconfig(_) => Some(CertificateId::Ca),
        };
        let ours = |renewable: &Renewable| signer(renewable).is_some_and(|id| self.authorities.contains(&id));
        if self.turn == Turn::Begin { Renewable::all().filter(ours).collect() } else { vec![] }
    }
}

impl Planner<'_> {
    /// Plans an authority's turn; false when it has none.
    pub(super) fn rotates(&mut self, id: CertificateId) -> bool {
        let rotation = self.options.rotation.as_ref().filter(|rotation| rotation.authorities.contains(&id));
        let Some(turn) = rotation.map(|rotation| rotation.turn) else { return false };
        let path = |name: &str| format!("{}/{name}", self.config.cluster.certificates_dir);
        let (certificate, key) = (path(&format!("{}.crt", id.base())), path(&format!("{}.key", id.base())));
        let cross = path(&id.cross());
        let state = self.seen.certificates.get(&id);
        let fits = state.is_some_and(|state| match (&state.certificate, &state.key) {
            (Some(Ok(certificate)), Some(Ok(key))) => certificate.spki == *key,
            _ => false,
        });
        match (turn, self.seen.files.contains_key(&cross)) {
            _ if self.is_external(id) => self.refuse(&key, EXTERNAL_KEY, EXTERNAL_KEY_HINT),
            _ if !fits => self.refuse(&certificate, "it and its key do not belong together, or cannot be read", REPAIR),
            (Turn::Begin, true) => {
                self.refuse(&certificate, "its successor is there already", "go on: kubekeel certs rotate-ca finish");
            }
            (Turn::Finish, false) => {
                self.refuse(&certificate, "it has no predecessor that is trusted", "kubekeel certs rotate-ca begin");
            }
            (Turn::Begin, false) => {
                self.inputs.successor |= id == CertificateId::Ca;
                self.touched.extend([certificate, key, cross]);
                self.plan.steps.push(Step::SucceedAuthority { id });
            }
            (Turn::Finish, true) => {
                self.inputs.successor &= id != CertificateId::Ca;
                self.touched.extend([certificate, cross]);
                self.plan.steps.push(Step::DropAuthority { id });
            }
        }
        true
    }
}

const REPAIR: &str = "look at `kubekeel certs check-expiration`";
