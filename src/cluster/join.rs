//! The command by which a node joins (`cmd/util/join.go`).

use zeroize::Zeroizing;

use crate::kubeconfig::Kubeconfig;
use crate::observe;
use crate::pki::Certificate;
use crate::token::{CertificateKey, Token};

/// The kubeconfig does not say who signs for the cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kubeconfig embeds no certificate authority to pin")]
pub struct JoinError;

/// The command for a worker, or with a key of uploaded certificates for another control-plane node.
pub fn join_command(
    admin: &Kubeconfig,
    token: &Token,
    certificate_key: Option<&CertificateKey>,
) -> Result<Zeroizing<String>, JoinError> {
    let authority = Certificate::parse(admin.ca_pem.as_bytes()).map_err(|_| JoinError)?;
    // `pubkeypin`: the authority may be renewed, its key is what is trusted.
    let pin = observe::sha256(&authority.spki);
    let mut command = Zeroizing::new(format!(
        "kubeadm join {} --token {} --discovery-token-ca-cert-hash {pin}",
        admin.server.trim_start_matches("https://"),
        token.expose().as_str(),
    ));
    if let Some(key) = certificate_key {
        command.push_str(" --control-plane --certificate-key ");
        command.push_str(&key.expose());
    }
    Ok(command)
}
