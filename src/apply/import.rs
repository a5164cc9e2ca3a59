//! Certificates that an authority elsewhere signed: judged before anything is written, and put where they belong.

use std::time::SystemTime;

use zeroize::Zeroizing;

use super::{Applier, failed};
use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::host::fs::Files;
use crate::kubeconfig;
use crate::layout;
use crate::pki::{self, Certificate, CertificateId, Key, Profile, Renewable};
use crate::secret::Secret;

/// A certificate, and the key that it is for.
pub struct Signed {
    certificate: Certificate,
    key: Zeroizing<Vec<u8>>,
    profile: Profile,
    authority: Certificate,
}

/// Where a certificate is looked for, and where its key is: beside it, or where it belongs already.
struct Place {
    certificate: String,
    keys: [String; 2],
}

impl Place {
    fn new(id: Renewable, directory: &str, config: &Config) -> Self {
        let pki = &config.cluster.certificates_dir;
        match id {
            Renewable::Certificate(id) => Self {
                certificate: format!("{directory}/{}.crt", id.base()),
                keys: [directory, pki].map(|directory| format!("{directory}/{}.key", id.base())),
            },
            Renewable::Kubeconfig(id) => Self {
                certificate: format!("{directory}/{}.crt", id.file()),
                keys: [directory, layout::KUBERNETES].map(|directory| format!("{directory}/{}", id.file())),
            },
        }
    }
}

/// The certificate `id` in `directory`, if there is one and it fits; all that is wrong with it otherwise.
pub fn signed(
    id: Renewable,
    directory: &str,
    config: &Config,
    files: &Files,
    now: SystemTime,
) -> std::result::Result<Option<Signed>, Vec<Problem>> {
    let place = Place::new(id, directory, config);
    let path = place.certificate.as_str();
    let wrong = |path: &str, message: String| vec![Problem::new(path, message)];
    let read = |path: &str| files.read(path).map_err(|error| wrong(path, error.source.to_string()));
    let Some(bytes) = read(path)? else { return Ok(None) };
    let certificate = Certificate::parse(&bytes).map_err(|error| wrong(path, error.to_string()))?;
    let profile = match id {
        Renewable::Certificate(id) => pki::profile(id, config),
        Renewable::Kubeconfig(id) => pki::client_profile(id, config),
    };
    let signer = profile.signer.unwrap_or(CertificateId::Ca);
    let authority_path = format!("{}/{}.crt", config.cluster.certificates_dir, signer.base());
    let authority = read(&authority_path)?
        .ok_or_else(|| wrong(&authority_path, "the certificate of the authority is missing".into()))?;
    let authority = Certificate::parse(&authority).map_err(|error| wrong(&authority_path, error.to_string()))?;
    let misfits = pki::misfits(&certificate, &profile, Some(&authority), now);
    let mut problems: Vec<_> = misfits.iter().map(|misfit| Problem::new(path, misfit.to_string())).collect();
    let mut key = None;
    for place in &place.keys {
        if let Some(bytes) = read(place)? {
            key = Some((place, bytes));
            break;
        }
    }
    let key = match key {
        None => Err(Problem::new(path, format!("its key is in neither {} nor {}", place.keys[0], place.keys[1]))),
        Some((place, bytes)) => {
            private_key(id, &bytes).ok_or_else(|| Problem::new(place, "there is no usable key in it"))
        }
    };
    match key {
        Err(problem) => problems.push(problem),
        Ok((_, spki)) if spki != certificate.spki => {
            problems.push(Problem::new(path, "it is for another key than the request"));
        }
        Ok((key, _)) if problems.is_empty() => return Ok(Some(Signed { certificate, key, profile, authority })),
        Ok(_) => {}
    }
    Err(problems)
}

/// The key in PEM as it is, and its public half.
fn private_key(id: Renewable, bytes: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let pem = match id {
        Renewable::Certificate(_) => Zeroizing::new(bytes.to_vec()),
        Renewable::Kubeconfig(_) => Zeroizing::new(kubeconfig::parse(bytes).ok()?.key_pem?.expose().to_vec()),
    };
    let spki = Key::from_pem(&pem).ok()?.spki();
    Some((pem, spki))
}

impl Applier<'_> {
    pub(super) fn import(&mut self, id: Renewable, directory: &str) -> Result<()> {
        let signed = signed(id, directory, self.config, self.files, self.seen.now)
            .map_err(|problems| Error::problems(Kind::Step, "a signed certificate does not fit any more", problems))?;
        let gone = || Error::new(Kind::Step, format!("the signed certificate {} is gone", id.name()));
        let Signed { certificate, key, profile, authority } = signed.ok_or_else(gone)?;
        match id {
            Renewable::Certificate(id) => {
                let base = self.pki_path(id.base());
                self.stage(format!("{base}.key"), key, 0o600, true);
                self.stage(format!("{base}.crt"), Zeroizing::new(certificate.to_pem().into_bytes()), 0o644, true);
            }
            Renewable::Kubeconfig(id) => {
                let document = kubeconfig::render(
                    &self.config.cluster.name,
                    &kubeconfig::server(id, self.config),
                    &authority.to_pem(),
                    &profile.common_name,
                    &certificate.to_pem(),
                    &Secret::new(key.to_vec()),
                );
                let content = Zeroizing::new(document.expose().to_vec());
                self.stage(layout::kubeconfig(id.file()), content, 0o600, true);
            }
        }
        // Each is a file of a directory that may not be there before the first one.
        self.files.ensure_directory(layout::KUBERNETES, 0o755).map_err(|error| failed(&error))
    }
}
