//! Certificates and keys: issued as kubeadm does, and kubeadm's own are read and found fit.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use kubekeel::config::{Config, Endpoint, KeyAlgorithm};
use kubekeel::kubeconfig;
use kubekeel::pki::{
    Certificate, CertificateId, Issuer, Key, KeyError, KubeconfigId, Misfit, Profile, San, Usage, client_profile,
    issue, misfits, profile,
};

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::sample;

const ALGORITHMS: [KeyAlgorithm; 5] = [
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::Rsa3072,
    KeyAlgorithm::Rsa4096,
    KeyAlgorithm::EcdsaP256,
    KeyAlgorithm::EcdsaP384,
];

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn authority(config: &Config, id: CertificateId) -> Issuer {
    let key = Key::generate(config.cluster.key_algorithm).expect("a key");
    let pem = issue(&profile(id, config), &key, None, now()).expect("an authority");
    Issuer::new(Certificate::parse(pem.as_bytes()).expect("readable"), key).expect("they belong together")
}

pub(crate) fn leaf(profile: &Profile, issuer: &Issuer) -> (Key, Certificate) {
    let key = Key::generate(profile.algorithm).expect("a key");
    let pem = issue(profile, &key, Some(issuer), now()).expect("a certificate");
    (key, Certificate::parse(pem.as_bytes()).expect("readable"))
}

pub(crate) fn fixture(algorithm: &str, file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pki").join(algorithm).join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An authority that kubeadm made.
pub(crate) fn kubeadms_issuer(algorithm: &str, id: CertificateId) -> Issuer {
    let certificate = Certificate::parse(&fixture(algorithm, &format!("{}.crt", id.base()))).expect("an authority");
    let key = Key::from_pem(&fixture(algorithm, &format!("{}.key", id.base()))).expect("its key");
    Issuer::new(certificate, key).expect("they belong together")
}

fn authority_key_identifier(certificate: &Certificate) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(&certificate.der).expect("readable");
    parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

fn subject_key_identifier(certificate: &Certificate) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(&certificate.der).expect("readable");
    let found = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(found) => Some(found.0.to_vec()),
        _ => None,
    });
    assert!(found.is_some(), "an authority has a key identifier");
    found
}

fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need the program openssl (package openssl)");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn every_algorithm_makes_chains_that_openssl_accepts() {
    for algorithm in ALGORITHMS {
        let mut config = sample::config();
        config.cluster.key_algorithm = algorithm;
        let issuer = authority(&config, CertificateId::Ca);
        let directory = tempfile::tempdir().expect("a directory");
        let ca: PathBuf = directory.path().join("ca.pem");
        std::fs::write(&ca, issuer.certificate.to_pem()).expect("written");
        let ca = ca.to_str().expect("UTF-8");
        for (id, purpose) in
            [(CertificateId::ApiServer, "sslserver"), (CertificateId::ApiServerKubeletClient, "sslclient")]
        {
            let (key, certificate) = leaf(&profile(id, &config), &issuer);
            assert!(certificate.is_signed_by(&issuer.certificate), "{algorithm:?}");
            let seconds = (certificate.not_before + 60).to_string();
            openssl(
                &["verify", "-x509_strict", "-attime", &seconds, "-purpose", purpose, "-CAfile", ca],
                &certificate.to_pem(),
            );
            // What goes to disk comes back as the same key.
            let again = Key::from_pem(key.private_pem().expose()).expect("readable");
            assert_eq!(again.spki(), certificate.spki);
        }
    }
}

/// Who trusts only the old authority follows the cross certificate, who trusts only the new one does not need it.
#[test]
fn what_a_successor_signs_is_accepted_by_who_trusts_either() {
    for algorithm in ALGORITHMS {
        let mut config = sample::config();
        config.cluster.key_algorithm = algorithm;
        let (old, stranger) = (authority(&config, CertificateId::Ca), authority(&config, CertificateId::Ca));
        let directory = tempfile::tempdir().expect("a directory");
        let place = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        };
        let key = Key::generate(algorithm).expect("a key");
        let own = issue(&profile(CertificateId::Ca, &config), &key, None, now()).expect("a successor");
        let cross =
            issue(&profile(CertificateId::Ca, &config), &key, Some(&old), now()).expect("its cross certificate");
        let successor = Certificate::parse(own.as_bytes()).expect("readable");
        let bridge = Certificate::parse(cross.as_bytes()).expect("readable");
        assert!(bridge.is_signed_by(&old.certificate) && bridge.is_ca && bridge.spki == successor.spki);
        assert_eq!(subject_key_identifier(&bridge), subject_key_identifier(&successor));
        assert_eq!(authority_key_identifier(&bridge), subject_key_identifier(&old.certificate));
        let (_, signed) = leaf(
            &profile(CertificateId::ApiServer, &config),
            &Issuer::new(successor.clone(), key).expect("they belong together"),
        );
        assert!(signed.is_signed_by(&bridge) && signed.is_signed_by(&successor));
        let seconds = (signed.not_before + 60).to_string();
        let chain = place("chain.pem", &cross);
        let verify = |trusted: &str| {
            let mut command = Command::new("openssl");
            command.args(["verify", "-attime", &seconds, "-CAfile", trusted, "-untrusted", &chain]);
            let leaf = place("leaf.pem", &signed.to_pem());
            command.arg(leaf).output().expect("it runs").status.success()
        };
        assert!(verify(&place("old.pem", &old.certificate.to_pem())), "{algorithm:?}: the old one alone");
        assert!(verify(&place("new.pem", &own)), "{algorithm:?}: the new one alone");
        assert!(!verify(&place("other.pem", &stranger.certificate.to_pem())), "{algorithm:?}");
    }
}

/// Subject and extensions as openssl prints them, sorted: their order has no meaning.
pub(crate) fn extensions(certificate: &Certificate) -> Vec<String> {
    let text = openssl(
        &["x509", "-noout", "-text", "-certopt", "no_pubkey,no_sigdump,no_serial,no_validity,no_issuer"],
        &certificate.to_pem(),
    );
    let mut blocks: Vec<String> = vec![];
    for line in text.lines().map(str::trim) {
        match blocks.last_mut() {
            Some(block) if !line.starts_with("X509v3") && !line.starts_with("Subject:") => {
                *block += &format!(" {line}");
            }
            _ => blocks.push(line.to_owned()),
        }
    }
    // Key identifiers differ from key to key, and kubeadm's leaves have none of their own (RFC 5280 only recommends it).
    blocks.retain(|block| !block.contains("Key Identifier"));
    blocks.sort();
    blocks
}

#[test]
fn certificates_say_what_kubeadms_say() {
    let mut config = sample::config();
    for (name, algorithm) in [("RSA-2048", KeyAlgorithm::Rsa2048), ("ECDSA-P256", KeyAlgorithm::EcdsaP256)] {
        config.cluster.key_algorithm = algorithm;
        for id in CertificateId::ALL {
            let signer = id.signer().map(|signer| kubeadms_issuer(name, signer));
            let theirs =
                Certificate::parse(&fixture(name, &format!("{}.crt", id.base()))).expect("kubeadm's certificate");
            let profile = profile(id, &config);
            let valid =
                SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(theirs.not_before).expect("positive") + 600);
            let authority_of_theirs = signer.as_ref().map(|signer| &signer.certificate);
            assert_eq!(misfits(&theirs, &profile, authority_of_theirs, valid), [], "{}", id.name());
            let key = Key::from_pem(&fixture(name, &format!("{}.key", id.base()))).expect("kubeadm's key");
            assert_eq!(key.spki(), theirs.spki, "{}", id.name());
            let ours = match &signer {
                Some(signer) => {
                    let pem = issue(&profile, &key, Some(signer), now()).expect("a certificate for kubeadm's key");
                    let ours = Certificate::parse(pem.as_bytes()).expect("readable");
                    assert!(ours.is_signed_by(&signer.certificate), "{}", id.name());
                    assert_eq!(authority_key_identifier(&ours), subject_key_identifier(&signer.certificate));
                    assert_eq!(authority_key_identifier(&theirs), subject_key_identifier(&signer.certificate));
                    ours
                }
                None => authority(&config, id).certificate,
            };
            assert_eq!(ours.sans, theirs.sans, "{}", id.name());
            assert_eq!(ours.not_after - ours.not_before, theirs.not_after - theirs.not_before, "{}", id.name());
            assert_eq!(extensions(&ours), extensions(&theirs), "{}", id.name());
        }
        let service_account = Key::from_pem(&fixture(name, "sa.key")).expect("kubeadm's key");
        assert_eq!(service_account.public_pem().trim(), String::from_utf8_lossy(&fixture(name, "sa.pub")).trim());
    }
}

#[test]
fn names_and_groups_follow_the_configuration() {
    let dns = |name: &str| San::Dns(name.into());
    let ip = |address: &str| San::Ip(address.parse::<IpAddr>().expect("an address"));
    let mut config = sample::config();
    config.cluster.control_plane_endpoint = Some(Endpoint { host: "api.example.com".into(), port: 6443 });
    config.cluster.api_server_cert_sans = vec!["*.example.com".into(), "192.0.2.99".into(), "192.0.2.10".into()];
    config.cluster.networking.service_networks =
        vec!["fd00::/112".parse().expect("a network"), "10.96.0.0/12".parse().expect("a network")];
    let sans = profile(CertificateId::ApiServer, &config).sans;
    let wanted = [
        dns("*.example.com"),
        dns("api.example.com"),
        dns("keel-1"),
        dns("kubernetes"),
        dns("kubernetes.default"),
        dns("kubernetes.default.svc"),
        dns("kubernetes.default.svc.cluster.local"),
        ip("fd00::1"),
        ip("192.0.2.10"),
        ip("192.0.2.99"),
    ];
    assert_eq!(sans, wanted);
    config.cluster.etcd.peer_cert_sans = vec!["peer.example.com".into()];
    assert_eq!(
        profile(CertificateId::EtcdPeer, &config).sans,
        [dns("keel-1"), dns("localhost"), dns("peer.example.com"), ip("192.0.2.10"), ip("127.0.0.1"), ip("::1")]
    );
    assert_eq!(profile(CertificateId::ApiServerKubeletClient, &config).organization, None);
    assert_eq!(kubeconfig::server(KubeconfigId::Admin, &config), "https://api.example.com:6443");
    assert_eq!(kubeconfig::server(KubeconfigId::Scheduler, &config), "https://192.0.2.10:6443");
    config.cluster.etcd.server_cert_sans = vec!["192.0.2.20".into(), "etcd.example.com".into()];
    assert_eq!(
        profile(CertificateId::EtcdServer, &config).sans,
        [
            dns("etcd.example.com"),
            dns("keel-1"),
            dns("localhost"),
            ip("192.0.2.10"),
            ip("127.0.0.1"),
            ip("::1"),
            ip("192.0.2.20")
        ]
    );
    // An endpoint that is an address stands among the addresses, in brackets only in the URL.
    config.cluster.api_server_cert_sans = vec![];
    for (host, url) in [("192.0.2.50", "https://192.0.2.50:8443"), ("fd00::50", "https://[fd00::50]:8443")] {
        config.cluster.control_plane_endpoint = Some(Endpoint { host: host.into(), port: 8443 });
        assert_eq!(kubeconfig::server(KubeconfigId::SuperAdmin, &config), url);
        let sans = profile(CertificateId::ApiServer, &config).sans;
        assert_eq!(sans[sans.len() - 3..], [ip("fd00::1"), ip("192.0.2.10"), ip(host)]);
        let certificate = leaf(&profile(CertificateId::ApiServer, &config), &authority(&config, CertificateId::Ca)).1;
        assert_eq!(certificate.sans, sans, "the certificate has them all, in this order");
    }
    config.advertise_address = "fd00::10".parse().expect("an address");
    assert_eq!(kubeconfig::server(KubeconfigId::Kubelet, &config), "https://[fd00::10]:6443");
}

#[test]
fn serial_numbers_differ_and_validity_begins_five_minutes_ago() {
    let config = sample::config();
    let issuer = authority(&config, CertificateId::Ca);
    let profile = profile(CertificateId::ApiServer, &config);
    let key = Key::generate(KeyAlgorithm::EcdsaP256).expect("a key");
    let serials: std::collections::BTreeSet<_> = (0..50)
        .map(|_| {
            let pem = issue(&profile, &key, Some(&issuer), now()).expect("a certificate");
            let certificate = Certificate::parse(pem.as_bytes()).expect("readable");
            assert_eq!(certificate.not_before, 1_800_000_000 - 300);
            assert_eq!(certificate.not_after, 1_800_000_000 + 8760 * 3600);
            let (_, parsed) = X509Certificate::from_der(&certificate.der).expect("readable");
            let serial = parsed.raw_serial();
            assert!(serial.len() <= 20 && serial[0] & 0x80 == 0, "positive, and of at most 20 octets");
            certificate.serial
        })
        .collect();
    assert_eq!(serials.len(), 50);
}

#[test]
fn certificates_are_valid_as_long_as_the_configuration_says() {
    let mut config = sample::config();
    config.cluster.certificate_validity = Duration::from_secs(36 * 3600);
    config.cluster.ca_certificate_validity = Duration::from_secs(99 * 3600);
    for id in CertificateId::ALL {
        let wanted = if id.signer().is_none() { 99 } else { 36 };
        assert_eq!(profile(id, &config).validity, Duration::from_secs(wanted * 3600), "{}", id.name());
    }
    let issuer = authority(&config, CertificateId::Ca);
    assert_eq!(issuer.certificate.not_after, 1_800_000_000 + 99 * 3600);
    for id in KubeconfigId::ALL {
        let certificate = leaf(&client_profile(id, &config), &issuer).1;
        assert_eq!(certificate.not_after, 1_800_000_000 + 36 * 3600, "{}", id.name());
    }
}

#[test]
fn keys_of_every_form_are_read_and_sign() {
    for name in ["RSA-2048", "ECDSA-P256"] {
        let own = fixture(name, "ca.key");
        let text = String::from_utf8(own.clone()).expect("text");
        let pkcs8 = openssl(&["pkcs8", "-topk8", "-nocrypt"], &text);
        assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY-----"), "the third form");
        // `openssl ecparam -genkey` writes a block of parameters first; explanations may stand before any block.
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let forms = [text.clone(), pkcs8, format!("{parameters}{text}"), format!("a key of mine\n\n{text}")];
        for form in forms {
            let issuer = Issuer::new(
                Certificate::parse(&fixture(name, "ca.crt")).expect("readable"),
                Key::from_pem(form.as_bytes()).expect("readable"),
            );
            let issuer = issuer.expect("the key is the authority's");
            let certificate = leaf(&profile(CertificateId::ApiServer, &sample::config()), &issuer).1;
            assert!(certificate.is_signed_by(&issuer.certificate), "{name}");
        }
        assert_eq!(Key::from_pem(parameters.as_bytes()).err(), Some(KeyError::Missing));
        assert_eq!(Key::from_pem(&fixture(name, "ca.crt")).err(), Some(KeyError::Missing));
    }
}

#[test]
fn each_misfit_is_found() {
    let config = sample::config();
    let (issuer, other) = (authority(&config, CertificateId::Ca), authority(&config, CertificateId::Ca));
    let wanted = profile(CertificateId::ApiServer, &config);
    let of = |change: &dyn Fn(&mut Profile), issuer: &Issuer| {
        let mut changed = wanted.clone();
        change(&mut changed);
        leaf(&changed, issuer).1
    };
    let check =
        |certificate: &Certificate, at: SystemTime| misfits(certificate, &wanted, Some(&issuer.certificate), at);
    assert_eq!(check(&of(&|_| (), &issuer), now()), []);
    assert_eq!(check(&of(&|_| (), &other), now()), [Misfit::WrongAuthority]);
    let certificate = of(&|_| (), &issuer);
    assert_eq!(check(&certificate, now() + Duration::from_secs(9000 * 3600)), [Misfit::Expired(certificate.not_after)]);
    assert_eq!(check(&certificate, now() - Duration::from_secs(3600)), [Misfit::NotYetValid(certificate.not_before)]);
    let certificate = of(&|profile| profile.sans.retain(|san| *san != San::Dns("kubernetes".into())), &issuer);
    assert_eq!(check(&certificate, now()), [Misfit::SansMissing(vec![San::Dns("kubernetes".into())])]);
    let certificate = of(&|profile| profile.usages = vec![Usage::Client], &issuer);
    assert_eq!(check(&certificate, now()), [Misfit::UsageMissing(Usage::Server)]);
    let certificate = of(&|profile| profile.common_name = "other".into(), &issuer);
    assert!(matches!(check(&certificate, now())[..], [Misfit::WrongSubject { .. }]));
    let mut admin = client_profile(KubeconfigId::Admin, &config);
    admin.organization = None;
    let certificate = leaf(&admin, &issuer).1;
    let found = misfits(&certificate, &client_profile(KubeconfigId::Admin, &config), Some(&issuer.certificate), now());
    assert_eq!(found, [Misfit::OrganizationMissing("kubeadm:cluster-admins".into())]);
    assert_eq!(misfits(&certificate, &profile(CertificateId::Ca, &config), None, now()), [Misfit::NotAuthority]);
    let mut server_only = profile(CertificateId::EtcdPeer, &config);
    server_only.usages = vec![Usage::Server];
    let certificate = leaf(&server_only, &issuer).1;
    let found = misfits(&certificate, &profile(CertificateId::EtcdPeer, &config), Some(&issuer.certificate), now());
    assert_eq!(found, [Misfit::UsageMissing(Usage::Client)]);
    // All at once; names beyond the wanted ones are no misfit.
    let certificate = of(&|profile| profile.sans.push(San::Dns("more.example.com".into())), &issuer);
    assert_eq!(check(&certificate, now()), []);
    let certificate = of(&|profile| (profile.sans, profile.usages) = (vec![], vec![]), &other);
    let found = check(&certificate, now() + Duration::from_secs(9000 * 3600));
    assert!(matches!(
        found[..],
        [Misfit::WrongAuthority, Misfit::Expired(_), Misfit::SansMissing(_), Misfit::UsageMissing(Usage::Server)]
    ));
    let words: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(words[1].starts_with("it expired on 2028-01-15T08:00:00Z"), "{words:?}");
    // A leaf is no authority, even with its own key.
    let (key, certificate) = leaf(&wanted, &issuer);
    assert!(Issuer::new(certificate, key).is_err(), "a leaf signs nothing");
    let key = Key::generate(KeyAlgorithm::EcdsaP256).expect("a key");
    assert!(Issuer::new(issuer.certificate.clone(), key).is_err(), "another key signs nothing");
}
