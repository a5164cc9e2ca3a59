//! Steps that bring keys and certificates to life.

use zeroize::Zeroizing;

use super::{Applier, failed};
use crate::error::{Error, Kind, Result};
use crate::kubeconfig;
use crate::layout;
use crate::pki::{self, Certificate, CertificateId, Issuer, Key, KubeconfigId, Profile};
use crate::plan::Reason;
use crate::secret::Secret;

/// An authority at work.
pub(super) struct Authority {
    /// It and its key.
    pub(super) issuer: Issuer,
    /// What kubeconfigs hold of it in PEM: its certificate, and its predecessor's while a rotation goes on.
    pub(super) trusted: String,
    /// The certificate that its predecessor gave it, which goes with everything that it signs.
    pub(super) cross: Option<String>,
}

impl Applier<'_> {
    pub(super) fn issue_certificate(&mut self, id: CertificateId, new_key: bool, reason: &Reason) -> Result<()> {
        let base = self.pki_path(id.base());
        let key = if new_key { self.keys.take()? } else { self.read_key(&format!("{base}.key"))? };
        let profile = pki::profile(id, self.config);
        let pem = self.issue(&profile, &key)?;
        if new_key {
            // The key's name appears first: a key without a certificate is finished by the next run, the other way
            // round would be a certificate that nobody can use.
            self.stage(format!("{base}.key"), bytes(&key.private_pem()), 0o600, *reason == Reason::Requested);
        }
        self.stage(format!("{base}.crt"), Zeroizing::new(pem.clone().into_bytes()), 0o644, true);
        if profile.ca {
            let certificate =
                Certificate::parse(pem.as_bytes()).map_err(|error| unreadable(&format!("{base}.crt"), &error))?;
            let issuer = Issuer::new(certificate, key).map_err(|error| unreadable(&format!("{base}.crt"), &error))?;
            self.authorities.insert(id, Authority { issuer, trusted: pem, cross: None });
        }
        Ok(())
    }

    pub(super) fn generate_service_account_key(&mut self, new_key: bool) -> Result<()> {
        let (private, public) = (self.pki_path("sa.key"), self.pki_path("sa.pub"));
        let key = if new_key { self.keys.take()? } else { self.read_key(&private)? };
        if new_key {
            self.stage(private, bytes(&key.private_pem()), 0o600, false);
        }
        self.stage(public, Zeroizing::new(key.public_pem().into_bytes()), 0o600, true);
        Ok(())
    }

    pub(super) fn write_kubeconfig(&mut self, id: KubeconfigId) -> Result<()> {
        let key = self.keys.take()?;
        let profile = pki::client_profile(id, self.config);
        let certificate = self.issue(&profile, &key)?;
        let authority = self.authority(CertificateId::Ca)?.trusted.clone();
        let document = kubeconfig::render(
            &self.config.cluster.name,
            &kubeconfig::server(id, self.config),
            &authority,
            &profile.common_name,
            &certificate,
            &key.private_pem(),
        );
        self.stage(layout::kubeconfig(id.file()), bytes(&document), 0o600, true);
        Ok(())
    }

    fn issue(&mut self, profile: &Profile, key: &Key) -> Result<String> {
        let now = self.seen.now;
        let authority = match profile.signer {
            Some(signer) => Some(self.authority(signer)?),
            None => None,
        };
        let pem = pki::issue(profile, key, authority.map(|authority| &authority.issuer), now).map_err(|error| {
            Error::new(Kind::Step, format!("cannot issue the certificate of {}", profile.common_name)).because(&error)
        })?;
        Ok(pem + authority.and_then(|authority| authority.cross.as_deref()).unwrap_or_default())
    }

    /// The authority, from this run or from disk.
    pub(super) fn authority(&mut self, id: CertificateId) -> Result<&Authority> {
        if !self.authorities.contains_key(&id) {
            let path = self.pki_path(&format!("{}.crt", id.base()));
            let bytes = self.read(&path)?;
            let certificate = Certificate::parse(&bytes).map_err(|error| unreadable(&path, &error))?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let cross = self.files.read(&self.pki_path(&id.cross())).map_err(|error| failed(&error))?;
            let trusted = if cross.is_some() { text(&bytes) } else { certificate.to_pem() };
            let key = self.read_key(&self.pki_path(&format!("{}.key", id.base())))?;
            let issuer = Issuer::new(certificate, key).map_err(|error| unreadable(&path, &error))?;
            self.authorities.insert(id, Authority { issuer, trusted, cross: cross.map(|bytes| text(&bytes)) });
        }
        self.authorities
            .get(&id)
            .ok_or_else(|| Error::new(Kind::Step, format!("the certificate authority {} is missing", id.name())))
    }

    pub(super) fn read(&self, path: &str) -> Result<Zeroizing<Vec<u8>>> {
        self.files.read(path).map_err(|error| failed(&error))?.ok_or_else(|| {
            Error::new(Kind::Step, format!("{path} is missing")).hint("run the phase that makes it first")
        })
    }

    fn read_key(&self, path: &str) -> Result<Key> {
        Key::from_pem(&self.read(path)?).map_err(|error| unreadable(path, &error))
    }

    pub(super) fn pki_path(&self, name: &str) -> String {
        format!("{}/{name}", self.config.cluster.certificates_dir)
    }
}

pub(super) fn bytes(secret: &Secret) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(secret.expose().to_vec())
}

pub(super) fn unreadable(path: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Step, format!("{path} cannot be used")).because(error)
}
