//! Requests for an authority elsewhere.

use std::process::Command;

use kubekeel::kubeconfig;
use kubekeel::pki::{CertificateId, Key, KubeconfigId, San, client_profile, profile};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use super::{Root, Run, assert_same, keys};

/// Common name, organization, names as kubeadm writes them, and the public key of a request.
fn request(root: &Root, path: &str) -> (String, Option<String>, Vec<San>, Vec<u8>) {
    let block = pem::parse(root.read(path)).expect("PEM");
    assert_eq!(block.tag(), "CERTIFICATE REQUEST", "{path}");
    let (rest, request) = X509CertificationRequest::from_der(block.contents()).expect("a request");
    assert!(rest.is_empty());
    request.verify_signature().expect("signed with its own key");
    let info = &request.certification_request_info;
    let text = |name: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        name.map(|name| name.as_str().expect("text").to_owned())
    };
    let names = request.requested_extensions().into_iter().flatten().flat_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => names.general_names.iter().map(san).collect::<Vec<_>>(),
        other => panic!("{path}: {other:?} is the authority's to say"),
    });
    let organization = text(info.subject.iter_organization().next());
    let common_name = text(info.subject.iter_common_name().next()).expect("a common name");
    (common_name, organization, names.collect(), info.subject_pki.raw.to_vec())
}

fn san(name: &GeneralName<'_>) -> San {
    match name {
        GeneralName::DNSName(name) => San::Dns((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(bytes) => San::Ip(bytes.into()),
            Err(_) => San::Ip(<[u8; 16]>::try_from(*bytes).expect("an address").into()),
        },
        other => panic!("{other:?}"),
    }
}

fn certs(root: &Root, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).arg("certs").args(args);
    Run::of(command.output().unwrap())
}

#[test]
fn requests_say_what_the_certificates_would_and_replace_nothing() {
    let root = Root::new();
    let config_path = root.config_path();
    let args =
        ["generate-csr", "--config", config_path.to_str().unwrap(), "--cert-dir", "/out", "--kubeconfig-dir", "/out"];
    let run = certs(&root, &args).succeeds();
    assert_eq!(run.stdout.lines().count(), 7 * 2 + 5 * 2, "{}", run.stdout);
    let config = root.config();
    for id in CertificateId::ALL.into_iter().filter(|id| id.signer().is_some()) {
        let (base, wanted) = (format!("/out/{}", id.base()), profile(id, &config));
        let (name, organization, names, spki) = request(&root, &format!("{base}.csr"));
        assert_eq!((name, organization, names), (wanted.common_name, wanted.organization, wanted.sans), "{base}");
        assert_eq!(Key::from_pem(&root.read(&format!("{base}.key"))).expect("a key").spki(), spki, "{base}");
    }
    for id in KubeconfigId::ALL {
        let (path, wanted) = (format!("/out/{}", id.file()), client_profile(id, &config));
        let (name, organization, names, spki) = request(&root, &format!("{path}.csr"));
        assert_eq!((name, organization, names), (wanted.common_name, wanted.organization, vec![]), "{path}");
        let document = kubeconfig::parse(&root.read(&path)).expect("a kubeconfig");
        assert_eq!(Key::from_pem(document.key_pem.expect("a key").expose()).expect("a key").spki(), spki, "{path}");
        assert_eq!((document.certificate_pem, document.server), (None, kubeconfig::server(id, &config)), "{path}");
    }
    // kubeadm's names and modes.
    for (path, entry) in root.tree() {
        let mode = if entry.content.is_some() { 0o600 } else { 0o700 };
        assert_eq!(entry.mode, mode, "{path} has mode {:o}", entry.mode);
    }
    let pairs = ["apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"];
    let pairs = pairs.into_iter().chain(["etcd/healthcheck-client", "etcd/peer", "etcd/server"]);
    let mut names: Vec<_> = pairs.flat_map(|base| [format!("/out/{base}.csr"), format!("/out/{base}.key")]).collect();
    for name in ["admin", "controller-manager", "kubelet", "scheduler", "super-admin"] {
        names.extend([format!("/out/{name}.conf"), format!("/out/{name}.conf.csr")]);
    }
    names.sort();
    let files = root.tree().into_iter().filter(|(_, entry)| entry.content.is_some());
    assert_eq!(files.map(|(path, _)| path).collect::<Vec<_>>(), names);
    let before = root.tree();
    assert_eq!(keys(&before).len(), 7);
    root.remove("/out/apiserver.csr");
    let before_again = root.tree();
    let again = certs(&root, &args).exits(2).says(&["/out/apiserver.key: it is there already", "/out/admin.conf.csr"]);
    assert!(!again.stderr.contains("/out/apiserver.csr"), "{}", again.stderr);
    assert_same(&before_again, &root.tree());
}

/// kubeadm makes those of etcd, too, when etcd is elsewhere.
#[test]
fn requests_are_made_with_an_external_etcd_as_well() {
    let root = Root::new();
    root.configure("etcd: {external: {endpoints: ['http://192.0.2.20:2379']}}\n");
    let config = root.config_path().display().to_string();
    let args = ["generate-csr", "--config", &config, "--cert-dir", "/out", "--kubeconfig-dir", "/out", "-o", "json"];
    let told = certs(&root, &args).succeeds().stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["files"].as_array().map(Vec::len), Some(24), "{told}");
    assert!(root.at("/out/etcd/peer.csr").exists());
}

#[test]
fn a_certificate_key_is_what_init_takes() {
    let root = Root::new();
    let key = certs(&root, &["certificate-key"]).succeeds().stdout;
    // Nothing else, so that it can stand in `$(…)`: 32 bytes in lower-case hexadecimal digits.
    let digits = key.strip_suffix('\n').unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{key}");
    assert!(digits.parse::<kubekeel::token::CertificateKey>().is_ok());
    assert_ne!(key, certs(&root, &["certificate-key"]).succeeds().stdout);
    let json = certs(&root, &["certificate-key", "-o", "json"]).succeeds().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["certificateKey"].as_str().map(str::len), Some(64));
    assert!(root.tree().is_empty(), "nothing is written");
}
