//! Steps of a rotation: an authority's successor, and the certificate that the kubelet renews by itself.

use zeroize::Zeroizing;

use super::pki::{Authority, bytes, unreadable};
use super::{Applier, failed};
use crate::error::{Error, Kind, Result};
use crate::pki::{self, Certificate, CertificateId, Issuer};

impl Applier<'_> {
    /// Makes the successor. Its certificate comes first in the file, because programs that want one take the first.
    pub(super) fn succeed_authority(&mut self, id: CertificateId) -> Result<()> {
        let (path, key_path) =
            (self.pki_path(&format!("{}.crt", id.base())), self.pki_path(&format!("{}.key", id.base())));
        let old = self.read(&path)?;
        let key = self.keys.take()?;
        let (profile, now) = (pki::profile(id, self.config), self.seen.now);
        let refused = |error: &pki::IssueError| {
            Error::new(Kind::Step, format!("cannot issue the successor of {}", id.name())).because(error)
        };
        let own = pki::issue(&profile, &key, None, now).map_err(|error| refused(&error))?;
        let predecessor = &self.authority(id)?.issuer;
        let cross = pki::issue(&profile, &key, Some(predecessor), now).map_err(|error| refused(&error))?;
        let certificate = Certificate::parse(own.as_bytes()).map_err(|error| unreadable(&path, &error))?;
        let trusted = own + &String::from_utf8_lossy(&old);
        self.stage(key_path, bytes(&key.private_pem()), 0o600, true);
        self.stage(path.clone(), Zeroizing::new(trusted.clone().into_bytes()), 0o644, true);
        self.stage(self.pki_path(&id.cross()), Zeroizing::new(cross.clone().into_bytes()), 0o644, true);
        let issuer = Issuer::new(certificate, key).map_err(|error| unreadable(&path, &error))?;
        self.authorities.insert(id, Authority { issuer, trusted, cross: Some(cross) });
        Ok(())
    }

    /// Leaves the successor alone in the file of what is trusted.
    pub(super) fn drop_authority(&mut self, id: CertificateId) -> Result<()> {
        let path = self.pki_path(&format!("{}.crt", id.base()));
        let certificate = Certificate::parse(&self.read(&path)?).map_err(|error| unreadable(&path, &error))?;
        self.stage(path, Zeroizing::new(certificate.to_pem().into_bytes()), 0o644, true);
        self.flush()?;
        let cross = self.pki_path(&id.cross());
        self.files.remove(&cross).map_err(|error| failed(&error))?;
        self.inventory.erase(&cross);
        self.authorities.remove(&id);
        Ok(())
    }
}
