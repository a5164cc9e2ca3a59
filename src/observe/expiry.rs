//! A look at the certificates alone: needs neither the API server nor a runtime, and reads each file once.

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::host::fs::{FileError, Files};
use crate::kubeconfig;
use crate::layout;
use crate::pki::{Certificate, CertificateId, Expiries, Expiry, KubeconfigId, Managed, Misfit, Validity};

/// The kubelet's serving certificate, when the cluster's authority signs it (`serverTLSBootstrap`).
const KUBELET_SERVER: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";
/// The one that it signs for itself, once, and never renews (`cmd/kubelet/app/server.go`, `InitializeTLS`).
const KUBELET_OWN_SERVER: &str = "/var/lib/kubelet/pki/kubelet.crt";

/// Until when the certificates of a node are valid. A file that cannot be read is an error; one that is damaged is a row.
pub fn expiries(certificates_dir: &str, files: &Files) -> Result<Expiries> {
    let read = |error: FileError| Error::new(Kind::Step, "cannot look at the certificates").because(&error);
    let now = crate::host::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut look = Look { certificates_dir, files, authorities: BTreeMap::new(), rows: vec![] };
    look.certificates().map_err(read)?;
    look.kubeconfigs().map_err(read)?;
    look.kubelet().map_err(read)?;
    if look.rows.iter().all(|row| row.validity == Validity::Missing) {
        let message = format!("there are no certificates in {certificates_dir} and {}", layout::KUBERNETES);
        return Err(
            Error::new(Kind::Preflight, message).hint("run `kubekeel init` first, or name their place: --cert-dir")
        );
    }
    look.rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Expiries { now, rows: look.rows })
}

/// Who signed a certificate, as far as the table says it.
#[derive(Clone, Copy)]
enum Signer {
    /// Itself: it is an authority.
    Itself,
    /// An authority of the table.
    Authority(CertificateId),
    /// The kubelet, with an authority that it forgot at once.
    Kubelet,
}

/// A file's certificate; `None` when there is no file.
type Found = Option<Result<Certificate, String>>;

struct Look<'a> {
    certificates_dir: &'a str,
    files: &'a Files,
    authorities: BTreeMap<CertificateId, Certificate>,
    rows: Vec<Expiry>,
}

impl Look<'_> {
    fn certificates(&mut self) -> Result<(), FileError> {
        let (authorities, leaves): (Vec<_>, Vec<_>) =
            CertificateId::ALL.into_iter().partition(|id| id.signer().is_none());
        for id in authorities.into_iter().chain(leaves) {
            let path = format!("{}/{}.crt", self.certificates_dir, id.base());
            let found = self.files.read(&path)?.map(|bytes| read(&bytes));
            if let Some(Ok(certificate)) = &found
                && id.signer().is_none()
            {
                self.authorities.insert(id, certificate.clone());
            }
            let managed = self.managed(id.signer().unwrap_or(id))?;
            self.add(id.name(), path, id.signer().map_or(Signer::Itself, Signer::Authority), managed, found);
        }
        Ok(())
    }

    /// An authority without its key is somebody else's to use.
    fn managed(&self, authority: CertificateId) -> Result<Managed, FileError> {
        let path = |end: &str| format!("{}/{}.{end}", self.certificates_dir, authority.base());
        let external = self.files.status(&path("crt"))?.is_some() && self.files.status(&path("key"))?.is_none();
        Ok(if external { Managed::Externally } else { Managed::Kubekeel })
    }

    fn kubeconfigs(&mut self) -> Result<(), FileError> {
        let managed = self.managed(CertificateId::Ca)?;
        for id in KubeconfigId::ALL {
            let path = layout::kubeconfig(id.file());
            let parsed = self.files.read(&path)?.map(|bytes| kubeconfig::parse(&bytes));
            let found = match parsed {
                None => None,
                Some(Err(error)) => Some(Err(error.to_string())),
                // The kubelet renews it in a file of its own, which has a row of its own.
                Some(Ok(parsed)) if parsed.certificate_pem.is_none() && parsed.certificate_file.is_some() => continue,
                Some(Ok(parsed)) => Some(read(parsed.certificate_pem.unwrap_or_default().as_bytes())),
            };
            // kubeadm never renews the kubelet's either: the kubelet does, from the first day on.
            let by_kubelet = id == KubeconfigId::Kubelet && managed == Managed::Kubekeel;
            let managed = if by_kubelet { Managed::Kubelet } else { managed };
            self.add(id.file(), path, Signer::Authority(CertificateId::Ca), managed, found);
        }
        Ok(())
    }

    fn kubelet(&mut self) -> Result<(), FileError> {
        let kubeconfig = self.files.read(&layout::kubeconfig(KubeconfigId::Kubelet.file()))?;
        let named = kubeconfig.and_then(|bytes| kubeconfig::parse(&bytes).ok()?.certificate_file);
        let client = named.unwrap_or_else(|| layout::KUBELET_CLIENT.to_owned());
        let authority = Signer::Authority(CertificateId::Ca);
        if let Some(bytes) = self.files.read(&client)? {
            self.add("kubelet-client", client, authority, Managed::Kubelet, Some(read(&bytes)));
        }
        for (path, signer) in [(KUBELET_SERVER, authority), (KUBELET_OWN_SERVER, Signer::Kubelet)] {
            if let Some(bytes) = self.files.read(path)? {
                self.add("kubelet-server", path.into(), signer, Managed::Kubelet, Some(read(&bytes)));
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, path: String, signer: Signer, managed: Managed, found: Found) {
        let since = found.as_ref().and_then(|found| Some(found.as_ref().ok()?.not_before));
        let validity = match found {
            None => Validity::Missing,
            Some(Err(why)) => Validity::Damaged(why),
            // Whose signature is wrong may say any date.
            Some(Ok(certificate)) if !self.is_genuine(&certificate, signer) => {
                Validity::Damaged(Misfit::WrongAuthority.to_string())
            }
            Some(Ok(certificate)) => Validity::Until(certificate.not_after),
        };
        let authority = match signer {
            Signer::Itself => None,
            Signer::Authority(id) => Some(id.name().to_owned()),
            Signer::Kubelet => Some("the kubelet's own".to_owned()),
        };
        self.rows.push(Expiry { name: name.to_owned(), path, authority, managed, validity, since });
    }

    fn is_genuine(&self, certificate: &Certificate, signer: Signer) -> bool {
        match signer {
            // An authority may be signed by one above it, which nobody here knows.
            Signer::Itself => !certificate.is_self_issued() || certificate.is_signed_by(certificate),
            Signer::Authority(id) => self.authorities.get(&id).is_none_or(|issuer| certificate.is_signed_by(issuer)),
            Signer::Kubelet => true,
        }
    }
}

fn read(bytes: &[u8]) -> Result<Certificate, String> {
    Certificate::parse(bytes).map_err(|error| error.to_string())
}
