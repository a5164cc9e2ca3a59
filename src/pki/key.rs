//! Private keys. They are wiped when dropped, and the bytes of a key that was read are never written again.

use pem::Pem;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use zeroize::Zeroize as _;

use crate::config::KeyAlgorithm;
use crate::secret::Secret;

/// A private key with its public half.
pub struct Key(pub(super) KeyPair);

/// A key cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The backend failed.
    #[error("the key cannot be generated: {0}")]
    Generate(String),
    /// There is no PEM block that holds a private key.
    #[error("there is no private key in it (PKCS#1, SEC1 or PKCS#8 in PEM)")]
    Missing,
    /// The block does not hold what its label says.
    #[error("the {0} block is damaged or holds an unsupported kind of key")]
    Damaged(String),
}

/// Labels that Kubernetes reads (`client-go/util/keyutil/key.go`).
const LABELS: [&str; 3] = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"];

impl Key {
    /// Makes a key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
            KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        };
        pair.map(Self).map_err(|error| KeyError::Generate(error.to_string()))
    }

    /// Reads the first private key of a PEM file; other blocks before it (`EC PARAMETERS`) are passed over.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::parse_many(bytes).map_err(|_| KeyError::Missing)?;
        let mut block = None;
        for found in blocks {
            // Every block may hold a key: all of them are wiped.
            let label = LABELS.into_iter().find(|label| *label == found.tag());
            let mut der = found.into_contents();
            match label {
                Some(label) if block.is_none() => block = Some((label, zeroize::Zeroizing::new(der))),
                _ => der.zeroize(),
            }
        }
        let (label, der) = block.ok_or(KeyError::Missing)?;
        let damaged = || KeyError::Damaged(label.to_owned());
        let der = rustls::pki_types::PrivateKeyDer::try_from(der.as_slice()).map_err(|_| damaged())?;
        KeyPair::try_from(&der).map(Self).map_err(|_| damaged())
    }

    /// The private key in PEM. Only for keys that were made here: a key that was read keeps its own bytes on disk.
    pub fn private_pem(&self) -> Secret {
        let mut pem = self.0.serialize_pem();
        let secret = Secret::new(pem.as_bytes().to_vec());
        pem.zeroize();
        secret
    }

    /// The public key in PEM (PKIX, RFC 5280 SubjectPublicKeyInfo).
    pub fn public_pem(&self) -> String {
        pem::encode_config(
            &Pem::new("PUBLIC KEY", self.spki()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        )
    }

    /// The public key in DER (SubjectPublicKeyInfo).
    pub fn spki(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}
