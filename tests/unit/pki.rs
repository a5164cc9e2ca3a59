//! Certificates, keys and kubeconfigs: issued as kubeadm does, and kubeadm's own are read and found fit.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use kubekeel::config::{Config, Endpoint, KeyAlgorithm};
use kubekeel::kubeconfig;
use kubekeel::pki::{
    Certificate, CertificateId, Issuer, Key, KubeconfigId, Misfit, Profile, San, Usage, client_profile, issue, misfits,
    profile,
};
use kubekeel::release;

use crate::sample;

const ALGORITHMS: [KeyAlgorithm; 5] = [
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::Rsa3072,
    KeyAlgorithm::Rsa4096,
    KeyAlgorithm::EcdsaP256,
    KeyAlgorithm::EcdsaP384,
];

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn authority(config: &Config, id: CertificateId) -> Issuer {
    let key = Key::generate(config.cluster.key_algorithm).expect("a key");
    let pem = issue(&profile(id, config), &key, None, now()).expect("an authority");
    Issuer::new(Certificate::parse(pem.as_bytes()).expect("readable"), key).expect("they belong together")
}

fn leaf(profile: &Profile, issuer: &Issuer) -> (Key, Certificate) {
    let key = Key::generate(profile.algorithm).expect("a key");
    let pem = issue(profile, &key, Some(issuer), now()).expect("a certificate");
    (key, Certificate::parse(pem.as_bytes()).expect("readable"))
}

fn fixture(algorithm: &str, file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pki").join(algorithm).join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program openssl is there");
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

/// Subject and extensions as openssl prints them, sorted: their order has no meaning.
fn extensions(certificate: &Certificate) -> Vec<String> {
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
        let ca = Certificate::parse(&fixture(name, "ca.crt")).expect("kubeadm's authority");
        let etcd_ca = Certificate::parse(&fixture(name, "etcd/ca.crt")).expect("kubeadm's authority of etcd");
        let issuer =
            Issuer::new(ca.clone(), Key::from_pem(&fixture(name, "ca.key")).expect("kubeadm's key")).expect("a pair");
        let rows = [
            (CertificateId::Ca, None),
            (CertificateId::ApiServer, Some(&ca)),
            (CertificateId::ApiServerKubeletClient, Some(&ca)),
            (CertificateId::EtcdCa, None),
            (CertificateId::EtcdServer, Some(&etcd_ca)),
        ];
        for (id, signer) in rows {
            let theirs =
                Certificate::parse(&fixture(name, &format!("{}.crt", id.base()))).expect("kubeadm's certificate");
            let profile = profile(id, &config);
            let valid =
                SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(theirs.not_before).expect("positive") + 600);
            assert_eq!(misfits(&theirs, &profile, signer, valid), [], "{}", id.name());
            let ours = if signer.is_some() { leaf(&profile, &issuer).1 } else { authority(&config, id).certificate };
            assert_eq!(ours.sans, theirs.sans, "{}", id.name());
            assert_eq!(ours.not_after - ours.not_before, theirs.not_after - theirs.not_before, "{}", id.name());
            assert_eq!(extensions(&ours), extensions(&theirs), "{}", id.name());
        }
        let service_account = Key::from_pem(&fixture(name, "sa.key")).expect("kubeadm's key");
        assert_eq!(service_account.public_pem().trim(), String::from_utf8_lossy(&fixture(name, "sa.pub")).trim());
        let admin = kubeconfig::parse(&fixture(name, "admin.conf")).expect("kubeadm's kubeconfig");
        assert_eq!(admin.server, kubeconfig::server(KubeconfigId::Admin, &config));
        let client = Certificate::parse(admin.certificate_pem.expect("embedded").as_bytes()).expect("readable");
        let valid =
            SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(client.not_before).expect("positive") + 600);
        assert_eq!(misfits(&client, &client_profile(KubeconfigId::Admin, &config), Some(&ca), valid), []);
        assert_eq!(Key::from_pem(admin.key_pem.expect("embedded").expose()).expect("readable").spki(), client.spki);
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
    config.cluster.release = release::release(36).expect("a row");
    assert_eq!(
        profile(CertificateId::ApiServerKubeletClient, &config).organization.as_deref(),
        Some("kubeadm:cluster-admins")
    );
    assert_eq!(kubeconfig::server(KubeconfigId::Admin, &config), "https://api.example.com:6443");
    assert_eq!(kubeconfig::server(KubeconfigId::Scheduler, &config), "https://192.0.2.10:6443");
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
            certificate.serial
        })
        .collect();
    assert_eq!(serials.len(), 50);
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
    let key = Key::generate(KeyAlgorithm::EcdsaP256).expect("a key");
    assert!(Issuer::new(issuer.certificate.clone(), key).is_err(), "another key signs nothing");
}

#[test]
fn kubeconfigs_survive_odd_names_and_kube_reads_them() {
    let config = sample::config();
    let issuer = authority(&config, CertificateId::Ca);
    let (key, certificate) = leaf(&client_profile(KubeconfigId::Admin, &config), &issuer);
    for name in ["kubernetes", "yes", "a: b", "x #y", "1_000", "\"quoted\"", "möwe", "tab\there"] {
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

#[test]
fn damaged_files_are_errors_that_tell_nothing() {
    let files = [("ca.crt", 0), ("apiserver.key", 1), ("admin.conf", 2)];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).expect("64 bits")
    };
    let read = |kind: usize, bytes: &[u8]| match kind {
        0 => Certificate::parse(bytes).err().map(|error| error.to_string()),
        1 => Key::from_pem(bytes).err().map(|error| error.to_string()),
        _ => kubeconfig::parse(bytes).err().map(|error| error.to_string()),
    };
    for (file, kind) in files {
        let whole = fixture("ECDSA-P256", file);
        let content = String::from_utf8_lossy(&whole).into_owned();
        let secret: Vec<_> =
            content.lines().filter(|line| line.len() > 40).map(|line| line.trim()[..40].to_owned()).collect();
        let judge = |bytes: &[u8]| {
            if let Some(error) = read(kind, bytes) {
                assert!(secret.iter().all(|line| !error.contains(line)), "{file}: {error}");
            }
        };
        for end in 0..whole.len() {
            judge(&whole[..end]);
        }
        for _ in 0..10_000 {
            let mut bytes = whole.clone();
            let at = random() % bytes.len();
            bytes[at] ^= 1 << (random() % 8);
            judge(&bytes);
        }
    }
    // A parameters block before the key is what `openssl ecparam -genkey` writes.
    let key = String::from_utf8(fixture("ECDSA-P256", "apiserver.key")).expect("text");
    let with_parameters =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}");
    assert!(Key::from_pem(with_parameters.as_bytes()).is_ok());
}
