//! Reading certificates that are there, and saying in what they do not fit.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Profile, San, Usage};

/// A certificate, as far as its fitness goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Common name of the subject.
    pub common_name: String,
    /// Organizations of the subject.
    pub organizations: Vec<String>,
    /// Subject alternative names.
    pub sans: Vec<San>,
    /// Extended key usages that we know.
    pub usages: Vec<Usage>,
    /// Whether it is an authority.
    pub is_ca: bool,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// Public key (SubjectPublicKeyInfo) in DER.
    pub spki: Vec<u8>,
    /// All of it in DER.
    pub der: Vec<u8>,
}

/// A certificate cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in the file.
    #[error("there is no certificate in it (a CERTIFICATE block in PEM)")]
    Missing,
    /// There is one, but it is damaged.
    #[error("the certificate is damaged")]
    Damaged,
}

impl Certificate {
    /// Reads the first certificate of a PEM file; the others of a bundle do not count, as with kubeadm.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        let blocks = pem::parse_many(bytes).map_err(|_| CertificateError::Missing)?;
        let block = blocks.into_iter().find(|block| block.tag() == "CERTIFICATE").ok_or(CertificateError::Missing)?;
        Self::from_der(block.into_contents())
    }

    /// Reads a certificate in DER.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|_| CertificateError::Damaged)?;
        if !rest.is_empty() {
            return Err(CertificateError::Damaged);
        }
        let texts = |mut attributes: Vec<&str>| attributes.drain(..).map(str::to_owned).collect::<Vec<_>>();
        let usage = parsed.extended_key_usage().ok().flatten().map(|extension| extension.value);
        let mut usages = vec![];
        usages.extend(usage.filter(|usage| usage.server_auth).map(|_| Usage::Server));
        usages.extend(usage.filter(|usage| usage.client_auth).map(|_| Usage::Client));
        Ok(Self {
            common_name: texts(parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect())
                .into_iter()
                .next()
                .unwrap_or_default(),
            organizations: texts(parsed.subject().iter_organization().filter_map(|name| name.as_str().ok()).collect()),
            sans: sans(&parsed),
            usages,
            is_ca: parsed.is_ca(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            serial: parsed.raw_serial_as_string(),
            spki: parsed.public_key().raw.to_vec(),
            der,
        })
    }

    /// The certificate in PEM.
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.clone()), config)
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        X509Certificate::from_der(&self.der).is_ok_and(|(_, own)| own.issuer() == own.subject())
    }

    /// Whether `issuer` signed it; the signature itself is verified.
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let (Ok((_, own)), Ok((_, issuer))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        own.issuer() == issuer.subject() && own.verify_signature(Some(issuer.public_key())).is_ok()
    }
}

fn sans(parsed: &X509Certificate<'_>) -> Vec<San> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return vec![] };
    let san = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(San::Dns((*name).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| San::Ip(IpAddr::from(bytes))),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| San::Ip(IpAddr::from(bytes))),
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(san).collect()
}

/// In what a certificate does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Another authority signed it, or its signature is wrong.
    WrongAuthority,
    /// It is valid only from then on, Unix seconds.
    NotYetValid(i64),
    /// It was valid until then, Unix seconds.
    Expired(i64),
    /// It has another common name.
    WrongSubject {
        /// The one it has.
        found: String,
        /// The one it should have.
        wanted: String,
    },
    /// It lacks the organization that gives its bearer the rights.
    OrganizationMissing(String),
    /// It lacks names or addresses.
    SansMissing(Vec<San>),
    /// It lacks a usage.
    UsageMissing(Usage),
    /// It should be an authority and is none.
    NotAuthority,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongAuthority => f.write_str("its certificate authority did not sign it"),
            Self::NotYetValid(from) => write!(f, "it is not yet valid, only from {}", date(*from)),
            Self::Expired(until) => write!(f, "it expired on {}", date(*until)),
            Self::WrongSubject { found, wanted } => write!(f, "it is for {found:?}, not for {wanted:?}"),
            Self::OrganizationMissing(organization) => write!(f, "it lacks the organization {organization}"),
            Self::SansMissing(sans) => {
                let names: Vec<_> = sans.iter().map(ToString::to_string).collect();
                write!(f, "it lacks the names {}", names.join(", "))
            }
            Self::UsageMissing(Usage::Server) => f.write_str("it lacks the usage serverAuth"),
            Self::UsageMissing(Usage::Client) => f.write_str("it lacks the usage clientAuth"),
            Self::NotAuthority => f.write_str("it is not the certificate of an authority"),
        }
    }
}

fn date(seconds: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|date| date.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} s after 1970"))
}

/// All misfits of a certificate. More names than wanted are fine, fewer are not.
pub fn misfits(
    certificate: &Certificate,
    profile: &Profile,
    issuer: Option<&Certificate>,
    now: SystemTime,
) -> Vec<Misfit> {
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let mut misfits = vec![];
    // An authority may be signed by one above it, which nobody here knows; one that names itself has signed itself.
    let itself = certificate.is_self_issued().then_some(certificate);
    if issuer.or(itself).is_some_and(|issuer| !certificate.is_signed_by(issuer)) {
        misfits.push(Misfit::WrongAuthority);
    }
    if certificate.not_before > now {
        misfits.push(Misfit::NotYetValid(certificate.not_before));
    }
    if certificate.not_after <= now {
        misfits.push(Misfit::Expired(certificate.not_after));
    }
    if profile.ca {
        // The name of an authority is its own affair: kubeadm takes any.
        misfits.extend((!certificate.is_ca).then_some(Misfit::NotAuthority));
        return misfits;
    }
    if certificate.common_name != profile.common_name {
        misfits
            .push(Misfit::WrongSubject { found: certificate.common_name.clone(), wanted: profile.common_name.clone() });
    }
    if let Some(organization) = &profile.organization
        && !certificate.organizations.contains(organization)
    {
        misfits.push(Misfit::OrganizationMissing(organization.clone()));
    }
    let missing: Vec<_> = profile.sans.iter().filter(|san| !certificate.sans.contains(san)).cloned().collect();
    if !missing.is_empty() {
        misfits.push(Misfit::SansMissing(missing));
    }
    misfits.extend(
        profile
            .usages
            .iter()
            .filter(|usage| !certificate.usages.contains(usage))
            .map(|usage| Misfit::UsageMissing(*usage)),
    );
    misfits
}
