//! Authorities whose keys are elsewhere.

use std::process::Command;
use std::time::SystemTime;

use kubekeel::kubeconfig;
use kubekeel::pki::{self, Certificate, CertificateId, Issuer, Key, KubeconfigId, Profile, San};

use super::{PKI, Root, Run, assert_same};

fn certs(root: &Root, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).arg("certs").args(args).arg("--config").arg(root.config_path());
    Run::of(command.output().unwrap())
}

/// The authority as it is where its key is.
fn issuer(elsewhere: &Root, id: CertificateId) -> Issuer {
    let read = |end: &str| elsewhere.read(&format!("{PKI}/{}.{end}", id.base()));
    Issuer::new(Certificate::parse(&read("crt")).unwrap(), Key::from_pem(&read("key")).unwrap()).unwrap()
}

fn sign(elsewhere: &Root, profile: &Profile, key: &[u8]) -> String {
    let issuer = issuer(elsewhere, profile.signer.unwrap());
    pki::issue(profile, &Key::from_pem(key).unwrap(), Some(&issuer), SystemTime::now()).unwrap()
}

/// A root with the certificates of authorities, requests in /req, and all of them signed.
fn requested(elsewhere: &Root) -> Root {
    let root = Root::new();
    for base in ["ca", "front-proxy-ca", "etcd/ca"] {
        let path = format!("{PKI}/{base}.crt");
        std::fs::create_dir_all(root.at(&path).parent().unwrap()).unwrap();
        root.write(&path, elsewhere.read(&path));
    }
    certs(&root, &["generate-csr", "--cert-dir", "/req", "--kubeconfig-dir", "/req"]).succeeds();
    let config = root.config();
    for id in CertificateId::ALL.into_iter().filter(|id| id.signer().is_some()) {
        let base = format!("/req/{}", id.base());
        let pem = sign(elsewhere, &pki::profile(id, &config), &root.read(&format!("{base}.key")));
        root.write(&format!("{base}.crt"), pem);
    }
    for id in KubeconfigId::ALL {
        let path = format!("/req/{}", id.file());
        let key = kubeconfig::parse(&root.read(&path)).unwrap().key_pem.unwrap();
        root.write(&format!("{path}.crt"), sign(elsewhere, &pki::client_profile(id, &config), key.expose()));
    }
    root
}

#[test]
fn what_was_signed_elsewhere_is_all_that_init_needs() {
    let root = requested(&Root::made());
    let run = root.init(&[]).exits(2);
    for missing in
        ["pki/apiserver.crt", "pki/etcd/peer.crt", "pki/front-proxy-client.crt", "admin.conf", "kubelet.conf"]
    {
        let line = format!("/etc/kubernetes/{missing}: it is missing, and the key of its certificate authority is not");
        assert!(run.stderr.contains(&line), "{missing} in {}", run.stderr);
    }
    let imported = certs(&root, &["import", "/req"]).succeeds().stdout;
    assert!(imported.contains("apiserver") && imported.contains("kubelet.conf"), "{imported}");
    for base in ["apiserver", "etcd/peer"] {
        assert_eq!(root.read(&format!("{PKI}/{base}.key")), root.read(&format!("/req/{base}.key")), "keys are copied");
    }
    root.init(&[]).succeeds();
    let manifest = String::from_utf8(root.read("/etc/kubernetes/manifests/kube-controller-manager.yaml")).unwrap();
    assert!(manifest.contains("\"--cluster-signing-key-file=\""), "{manifest}");
    assert!(manifest.contains("\"--cluster-signing-cert-file=\""), "{manifest}");
    assert!(!root.at(&format!("{PKI}/ca.key")).exists());
    let before = root.settled();
    root.init(&[]).succeeds();
    assert_same(&before, &root.settled());
    // Everything is refused at once that would have to be signed.
    root.remove(&format!("{PKI}/etcd/server.crt"));
    root.configure("apiServer: {certSANs: [more.example]}\n");
    root.init(&[]).exits(2).says(&["etcd/server.crt: it is missing", "apiserver.crt: it lacks the names more.example"]);
}

#[test]
fn a_key_that_is_taken_away_later_is_an_authority_elsewhere() {
    let root = Root::made();
    for base in ["ca", "etcd/ca", "front-proxy-ca"] {
        root.remove(&format!("{PKI}/{base}.key"));
    }
    root.init(&[]).succeeds();
    let whole = root.init(&["--dry-run", "--exit-code"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_written() {
    let elsewhere = Root::made();
    let root = requested(&elsewhere);
    let config = root.config();
    let key = |base: &str| root.read(&format!("/req/{base}.key"));
    let mut names = pki::profile(CertificateId::ApiServer, &config);
    names.sans.retain(|san| *san != San::Dns("kubernetes.default".into()));
    root.write("/req/apiserver.crt", sign(&elsewhere, &names, &key("apiserver")));
    let peer = pki::profile(CertificateId::EtcdPeer, &config);
    root.write("/req/etcd/peer.crt", sign(&elsewhere, &peer, &key("etcd/server")));
    let server = pki::profile(CertificateId::EtcdServer, &config);
    root.write("/req/etcd/server.crt", sign(&Root::made(), &server, &key("etcd/server")));
    root.write("/req/admin.conf.crt", "-----BEGIN CERTIFICATE-----\n");
    root.remove("/req/front-proxy-client.key");
    let before = root.settled();
    certs(&root, &["import", "/req"]).exits(2).says(&[
        "/req/apiserver.crt: it lacks the names kubernetes.default",
        "/req/etcd/peer.crt: it is for another key than the request",
        "/req/etcd/server.crt: its certificate authority did not sign it",
        "/req/admin.conf.crt: there is no certificate in it",
        "/req/front-proxy-client.crt: its key is in neither",
        "nothing was changed",
    ]);
    assert_same(&before, &root.settled());
    certs(&root, &["import", "/nowhere"]).exits(3).says(&["there are no signed certificates in /nowhere"]);
    // What fits is taken by itself.
    for path in ["/req/apiserver.crt", "/req/etcd/peer.crt", "/req/etcd/server.crt", "/req/admin.conf.crt"] {
        root.remove(path);
    }
    root.remove("/req/front-proxy-client.crt");
    certs(&root, &["import", "/req"]).succeeds();
    for end in ["crt", "key"] {
        let (from, to) = (format!("/req/apiserver-etcd-client.{end}"), format!("{PKI}/apiserver-etcd-client.{end}"));
        assert_eq!(root.read(&from), root.read(&to));
    }
}
