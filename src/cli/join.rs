//! The join command, as `init` and `token create` print it.

use zeroize::Zeroizing;

use crate::cluster;
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::kubeconfig;
use crate::token::{CertificateKey, Token};

/// The join command for the cluster of a kubeconfig.
pub(super) fn join_command(
    files: &Files,
    path: &str,
    token: &Token,
    key: Option<&CertificateKey>,
) -> Result<Zeroizing<String>> {
    let unusable = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, format!("{path} does not tell how to join")).because(error)
    };
    let kubeconfig = kubeconfig::parse(&read(files, path)?).map_err(|error| unusable(&error))?;
    cluster::join_command(&kubeconfig, token, key).map_err(|error| unusable(&error))
}

/// A file that has to be there.
pub(super) fn read(files: &Files, path: &str) -> Result<Zeroizing<Vec<u8>>> {
    let fail = || Error::new(Kind::Step, format!("cannot read {path}"));
    files.read(path).map_err(|error| fail().because(&error))?.ok_or_else(fail)
}
