//! Kubeconfigs: as kubeadm writes them, and readable whatever the cluster is called. And what is said about damaged
//! files of every kind that holds or embeds a key.

use std::time::{Duration, SystemTime};

use kubekeel::config::KeyAlgorithm;
use kubekeel::kubeconfig;
use kubekeel::pki::{Certificate, CertificateId, Key, KubeconfigId, client_profile, misfits};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::pki::{authority, extensions, fixture, kubeadms_issuer, leaf};
use crate::sample;

#[test]
fn kubeconfigs_are_kubeadms() {
    for (name, algorithm) in [("RSA-2048", KeyAlgorithm::Rsa2048), ("ECDSA-P256", KeyAlgorithm::EcdsaP256)] {
        let mut config = sample::config();
        config.cluster.key_algorithm = algorithm;
        let ca = kubeadms_issuer(name, CertificateId::Ca).certificate;
        for id in KubeconfigId::ALL {
            let bytes = fixture(name, id.file());
            let theirs = kubeconfig::parse(&bytes).expect("kubeadm's kubeconfig");
            let profile = client_profile(id, &config);
            assert_eq!(theirs.server, kubeconfig::server(id, &config), "{}", id.name());
            assert_eq!(theirs.user, profile.common_name, "{}", id.name());
            assert_eq!(theirs.ca_pem, ca.to_pem(), "{}", id.name());
            let (pem, key_pem) = (theirs.certificate_pem.expect("embedded"), theirs.key_pem.expect("embedded"));
            let client = Certificate::parse(pem.as_bytes()).expect("readable");
            let valid =
                SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(client.not_before).expect("positive") + 600);
            assert_eq!(misfits(&client, &profile, Some(&ca), valid), [], "{}", id.name());
            assert_eq!(Key::from_pem(key_pem.expose()).expect("readable").spki(), client.spki, "{}", id.name());
            let ours = leaf(&profile, &kubeadms_issuer(name, CertificateId::Ca)).1;
            assert_eq!(extensions(&ours), extensions(&client), "{}", id.name());
            // With their certificates in it, our document says what theirs says, no more and no less.
            let ours = kubeconfig::render("kubernetes", &theirs.server, &theirs.ca_pem, &theirs.user, &pem, &key_pem);
            let tree = |bytes: &[u8]| -> serde_json::Value {
                serde_yaml::from_str(std::str::from_utf8(bytes).expect("text")).expect("YAML")
            };
            assert_eq!(tree(ours.expose()), tree(&bytes), "{}", id.name());
        }
    }
}

#[test]
fn kubeconfigs_survive_odd_names_and_kube_reads_them() {
    let config = sample::config();
    let issuer = authority(&config, CertificateId::Ca);
    let (key, certificate) = leaf(&client_profile(KubeconfigId::Admin, &config), &issuer);
    for name in [
        "kubernetes",
        "yes",
        "a: b",
        "x #y",
        "1_000",
        "\"quoted\"",
        "möwe",
        "tab\there",
        "'single'",
        "~",
        "null",
        "0x1f",
        "a\\b",
        "- a",
        "🚢",
        "%TAG",
        "2026-11-23",
    ] {
        let secret = kubeconfig::render(
            name,
            "https://192.0.2.10:6443",
            &issuer.certificate.to_pem(),
            "kubernetes-admin",
            &certificate.to_pem(),
            &key.private_pem(),
        );
        let read = kubeconfig::parse(secret.expose()).expect("our own");
        assert_eq!((read.server.as_str(), read.user.as_str()), ("https://192.0.2.10:6443", "kubernetes-admin"));
        assert_eq!(read.key_pem.expect("embedded").expose(), key.private_pem().expose());
        let text = std::str::from_utf8(secret.expose()).expect("text");
        let kube = kube::config::Kubeconfig::from_yaml(text).expect("kube reads it");
        assert_eq!(kube.clusters[0].name, name);
        assert_eq!(kube.current_context.as_deref(), Some(format!("kubernetes-admin@{name}").as_str()));
    }
}

fn signed_part(certificate: &Certificate) -> Vec<u8> {
    let (_, parsed) = X509Certificate::from_der(&certificate.der).expect("readable");
    parsed.tbs_certificate.as_ref().to_vec()
}

#[test]
fn damaged_files_are_errors_that_tell_nothing() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).expect("64 bits")
    };
    // Nothing but these words may be said about a damaged file: so nothing of its content is.
    let words = [
        "there is no certificate in it (a CERTIFICATE block in PEM)",
        "the certificate is damaged",
        "there is no private key in it (PKCS#1, SEC1 or PKCS#8 in PEM)",
        "the EC PRIVATE KEY block is damaged or holds an unsupported kind of key",
        "the RSA PRIVATE KEY block is damaged or holds an unsupported kind of key",
        "it is not a kubeconfig",
        "its current context names a context that it does not have",
        "its current context names a cluster that it does not have",
        "its current context names a user that it does not have",
        "its certificate authority is damaged",
        "its client certificate is damaged",
        "its client key is damaged",
    ];
    for (name, flips) in [("ECDSA-P256", 10_000), ("RSA-2048", 1_000)] {
        let ca = kubeadms_issuer(name, CertificateId::Ca).certificate;
        let whole = Certificate::parse(&fixture(name, "apiserver.crt")).expect("whole");
        let read = |file: &str, bytes: &[u8]| match file {
            "apiserver.crt" => {
                let parsed = Certificate::parse(bytes);
                if let Ok(certificate) = &parsed {
                    // What is signed is the part before the signature's algorithm; damage there never goes unseen.
                    if certificate.is_signed_by(&ca) {
                        assert_eq!(signed_part(certificate), signed_part(&whole), "a forged certificate");
                    }
                }
                parsed.err().map(|error| error.to_string())
            }
            "apiserver.key" => Key::from_pem(bytes).err().map(|error| error.to_string()),
            _ => kubeconfig::parse(bytes).err().map(|error| error.to_string()),
        };
        for file in ["apiserver.crt", "apiserver.key", "admin.conf"] {
            let whole = fixture(name, file);
            let mut refused = 0;
            let mut judge = |bytes: &[u8]| {
                if let Some(error) = read(file, bytes) {
                    refused += 1;
                    assert!(words.contains(&error.as_str()), "{file}: {error}");
                }
            };
            for end in 0..whole.len() {
                judge(&whole[..end]);
            }
            for _ in 0..flips {
                let mut bytes = whole.clone();
                let at = random() % bytes.len();
                bytes[at] ^= 1 << (random() % 8);
                judge(&bytes);
            }
            assert!(refused > whole.len() / 2, "{file}: only {refused} damaged ones were refused");
        }
    }
}
