//! Issuing certificates, as kubeadm does it (`util/pkiutil/pki_helpers.go`).

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::{Certificate, Key, Profile, San, Usage};

/// A certificate cannot be issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The authority's certificate is not one of an authority.
    #[error("it is not the certificate of an authority")]
    NotAuthority,
    /// The authority's key is another one's.
    #[error("its key does not belong to it")]
    KeyMismatch,
    /// A name cannot be put into a certificate.
    #[error("{0} cannot stand in a certificate")]
    Name(String),
    /// The backend failed.
    #[error("the backend refused: {0}")]
    Backend(String),
}

/// An authority with its key.
pub struct Issuer {
    /// Its certificate.
    pub certificate: Certificate,
    key: Key,
}

impl Issuer {
    /// Joins an authority's certificate and its key, after checking that they belong together.
    pub fn new(certificate: Certificate, key: Key) -> Result<Self, IssueError> {
        if !certificate.is_ca {
            return Err(IssueError::NotAuthority);
        }
        if certificate.spki != key.spki() {
            return Err(IssueError::KeyMismatch);
        }
        Ok(Self { certificate, key })
    }
}

/// Clocks of a cluster differ a little: certificates are valid from five minutes ago (`CertificateBackdate`).
const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// Issues a certificate for a key, signed by `issuer`, or by itself without one. PEM.
///
/// With the profile of an authority and another one as `issuer` it is a cross certificate: whoever trusts only `issuer` follows it
/// from what the new authority signed (RFC 4949, "cross-certificate").
pub fn issue(profile: &Profile, key: &Key, issuer: Option<&Issuer>, now: SystemTime) -> Result<String, IssueError> {
    let backend = |error: rcgen::Error| IssueError::Backend(error.to_string());
    let mut params = params(profile, now)?;
    // Which of several authorities of one name it was.
    params.use_authority_key_identifier_extension = issuer.is_some();
    let certificate = match issuer {
        None => params.self_signed(&key.0).map_err(backend)?,
        Some(issuer) => {
            let der = rustls::pki_types::CertificateDer::from(issuer.certificate.der.as_slice());
            let authority = rcgen::Issuer::from_ca_cert_der(&der, &issuer.key.0).map_err(backend)?;
            params.signed_by(&key.0, &authority).map_err(backend)?
        }
    };
    Ok(pem::encode_config(
        &pem::Pem::new("CERTIFICATE", certificate.der().to_vec()),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    ))
}

/// A certificate signing request (PKCS#10, RFC 2986) in PEM: subject and names. The usages are the authority's to say, as
/// with kubeadm.
pub fn request(profile: &Profile, key: &Key) -> Result<String, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(profile);
    params.subject_alt_names = names(profile)?;
    let request = params.serialize_request(&key.0).map_err(|error| IssueError::Backend(error.to_string()))?;
    Ok(pem::encode_config(
        &pem::Pem::new("CERTIFICATE REQUEST", request.der().to_vec()),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    ))
}

/// When we issued a certificate, Unix seconds.
pub fn issued_at(certificate: &Certificate) -> i64 {
    certificate.not_before.saturating_add(i64::try_from(BACKDATE.as_secs()).unwrap_or_default())
}

fn subject(profile: &Profile) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = &profile.organization {
        name.push(DnType::OrganizationName, organization.as_str());
    }
    name.push(DnType::CommonName, profile.common_name.as_str());
    name
}

fn names(profile: &Profile) -> Result<Vec<SanType>, IssueError> {
    let name = |san: &San| match san {
        San::Ip(address) => Ok(SanType::IpAddress(*address)),
        San::Dns(name) => name.clone().try_into().map(SanType::DnsName).map_err(|_| IssueError::Name(name.clone())),
    };
    profile.sans.iter().map(name).collect()
}

fn params(profile: &Profile, now: SystemTime) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(profile);
    params.subject_alt_names = names(profile)?;
    params.serial_number = Some(serial()?);
    params.not_before = OffsetDateTime::from(now - BACKDATE);
    params.not_after = OffsetDateTime::from(now) + profile.validity;
    params.key_identifier_method = KeyIdMethod::Sha256;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    if profile.ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    } else {
        params.is_ca = IsCa::ExplicitNoCa;
    }
    params.extended_key_usages = profile
        .usages
        .iter()
        .map(|usage| match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    Ok(params)
}

/// 128 random bits; the first is cleared to keep the number positive (RFC 5280, 4.1.2.2), the second is set to keep it
/// from being short.
fn serial() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0_u8; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| IssueError::Backend("no random numbers".into()))?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
