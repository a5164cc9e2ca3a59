//! The certificates of a control plane: which there are, how they are issued, and whether those that exist fit.

mod expiry;
mod inspect;
mod issue;
mod key;
mod table;

pub use expiry::{Expiries, Expiry, Managed, Validity};
pub use inspect::{Certificate, CertificateError, Misfit, misfits};
pub use issue::{IssueError, Issuer, issue, issued_at, request};
pub use key::{Key, KeyError};
pub use table::{CertificateId, KubeconfigId, Profile, Renewable, San, Usage, client_profile, profile, user_profile};
