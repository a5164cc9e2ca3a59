//! Files that are there and do not fit: refused when they are somebody else's, made fit when they are ours, keys never
//! touched.

use std::time::{Duration, SystemTime};

use kubekeel::config::KeyAlgorithm;
use kubekeel::pki::{self, Certificate, CertificateId, Issuer, Key, Profile};

use super::{INVENTORY, PKI, Root, assert_same, keys, verify};

/// One way to spoil a tree.
struct Case {
    /// The path that the refusal names.
    path: &'static str,
    /// A word of the reason.
    reason: &'static str,
    spoil: fn(&Root),
    /// What becomes of it when the files are ours.
    ours: Ours,
}

#[derive(Clone, Copy, PartialEq)]
enum Ours {
    /// The next run makes it fit.
    Repaired,
    /// A run refuses, as with somebody else's.
    Refused,
}

use Ours::{Refused, Repaired};

const fn case(path: &'static str, reason: &'static str, ours: Ours, spoil: fn(&Root)) -> Case {
    Case { path, reason, spoil, ours }
}

fn pki(name: &str) -> String {
    format!("{PKI}/{name}")
}

fn key(root: &Root, base: &str) -> Key {
    Key::from_pem(&root.read(&pki(&format!("{base}.key")))).unwrap()
}

fn issuer(root: &Root, base: &str) -> Issuer {
    let certificate = Certificate::parse(&root.read(&pki(&format!("{base}.crt")))).unwrap();
    Issuer::new(certificate, key(root, base)).unwrap()
}

/// Issues a certificate for the key that is there, after a change of its profile, at another time.
fn issue(root: &Root, id: CertificateId, now: SystemTime, change: fn(&mut Profile)) {
    let mut profile = pki::profile(id, &root.config());
    change(&mut profile);
    let issuer = id.signer().map(|signer| issuer(root, signer.base()));
    let pem = pki::issue(&profile, &key(root, id.base()), issuer.as_ref(), now).unwrap();
    root.write(&pki(&format!("{}.crt", id.base())), pem);
}

fn years(count: u64) -> Duration {
    Duration::from_secs(count * 366 * 86400)
}

fn another_key(root: &Root, path: &str) {
    root.write(&pki(path), Key::generate(KeyAlgorithm::EcdsaP256).unwrap().private_pem().expose());
}

const GARBAGE: &[u8] = b"-----BEGIN CERTIFICATE-----\n\xff\xfe\0garbage\n-----END CERTIFICATE-----\n";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("/etc/kubernetes/pki/apiserver.crt", "certificate authority did not sign it", Repaired, |root| {
        let other = Root::made();
        let profile = pki::profile(CertificateId::ApiServer, &root.config());
        let pem = pki::issue(&profile, &key(root, "apiserver"), Some(&issuer(&other, "ca")), SystemTime::now());
        root.write(&pki("apiserver.crt"), pem.unwrap());
    }),
    case("/etc/kubernetes/pki/etcd/peer.crt", "certificate authority did not sign it", Repaired, |root| {
        let profile = pki::profile(CertificateId::EtcdPeer, &root.config());
        let pem = pki::issue(&profile, &key(root, "etcd/peer"), Some(&issuer(root, "ca")), SystemTime::now());
        root.write(&pki("etcd/peer.crt"), pem.unwrap());
    }),
    case("/etc/kubernetes/pki/apiserver.crt", "it expired on", Repaired, |root| {
        issue(root, CertificateId::ApiServer, SystemTime::now() - years(2), |_| {});
    }),
    case("/etc/kubernetes/pki/front-proxy-client.crt", "it is not yet valid", Repaired, |root| {
        issue(root, CertificateId::FrontProxyClient, SystemTime::now() + years(2), |_| {});
    }),
    case("/etc/kubernetes/pki/etcd/server.crt", "it lacks the names", Repaired, |root| {
        issue(root, CertificateId::EtcdServer, SystemTime::now(), |profile| { profile.sans.pop(); });
    }),
    case("/etc/kubernetes/pki/apiserver.crt", "it lacks the usage serverAuth", Repaired, |root| {
        issue(root, CertificateId::ApiServer, SystemTime::now(), |profile| profile.usages = vec![pki::Usage::Client]);
    }),
    case("/etc/kubernetes/pki/apiserver-etcd-client.crt", "not for", Repaired, |root| {
        issue(root, CertificateId::ApiServerEtcdClient, SystemTime::now(), |profile| profile.common_name = "other".into());
    }),
    case("/etc/kubernetes/pki/apiserver.crt", "its key is missing", Repaired, |root| root.remove(&pki("apiserver.key"))),
    case("/etc/kubernetes/pki/apiserver.crt", "its key is another one", Repaired, |root| another_key(root, "apiserver.key")),
    case("/etc/kubernetes/pki/apiserver.crt", "unreadable", Repaired, |root| root.write(&pki("apiserver.crt"), GARBAGE)),
    case("/etc/kubernetes/pki/apiserver.crt", "unreadable", Repaired, |root| root.write(&pki("apiserver.crt"), "")),
    case("/etc/kubernetes/pki/apiserver.crt", "its certificate is missing", Repaired, |root| root.remove(&pki("apiserver.crt"))),
    case("/etc/kubernetes/pki/apiserver.key", "the key is unreadable", Refused, |root| root.write(&pki("apiserver.key"), GARBAGE)),
    case("/etc/kubernetes/pki/etcd/peer.key", "the key is unreadable", Refused, |root| root.write(&pki("etcd/peer.key"), "")),
    case("/etc/kubernetes/pki/ca.crt", "it expired on", Refused, |root| {
        issue(root, CertificateId::Ca, SystemTime::now() - years(12), |_| {});
    }),
    case("/etc/kubernetes/pki/ca.crt", "not the certificate of an authority", Refused, |root| {
        issue(root, CertificateId::Ca, SystemTime::now(), |profile| profile.ca = false);
    }),
    case("/etc/kubernetes/pki/ca.crt", "unreadable", Refused, |root| root.write(&pki("ca.crt"), GARBAGE)),
    case("/etc/kubernetes/pki/ca.key", "the key is unreadable", Refused, |root| root.write(&pki("ca.key"), GARBAGE)),
    case("/etc/kubernetes/pki/etcd/ca.crt", "its key is another one", Refused, |root| another_key(root, "etcd/ca.key")),
    case("/etc/kubernetes/pki/front-proxy-ca.crt", "its certificate is missing", Repaired, |root| root.remove(&pki("front-proxy-ca.crt"))),
    case("/etc/kubernetes/pki/sa.key", "the key is unreadable", Refused, |root| root.write(&pki("sa.key"), GARBAGE)),
    case("/etc/kubernetes/pki/sa.pub", "not the public half", Repaired, |root| root.write(&pki("sa.pub"), GARBAGE)),
    case("/etc/kubernetes/pki/sa.pub", "sa.key is missing", Repaired, |root| root.remove(&pki("sa.key"))),
    case("/etc/kubernetes/admin.conf", "unreadable", Repaired, |root| root.write("/etc/kubernetes/admin.conf", GARBAGE)),
    case("/etc/kubernetes/kubelet.conf", "unreadable", Repaired, |root| root.write("/etc/kubernetes/kubelet.conf", "kind: Config\n")),
    case("/etc/kubernetes/scheduler.conf", "certificate authority", Repaired, |root| {
        let other = Root::made().read("/etc/kubernetes/scheduler.conf");
        root.write("/etc/kubernetes/scheduler.conf", other);
    }),
    case("/etc/kubernetes/scheduler.conf", "it is for", Repaired, |root| {
        let other = root.read("/etc/kubernetes/controller-manager.conf");
        root.write("/etc/kubernetes/scheduler.conf", other);
    }),
    case("/etc/kubernetes/admin.conf", "its server is", Repaired, |root| {
        let text = String::from_utf8(root.read("/etc/kubernetes/admin.conf")).unwrap();
        root.write("/etc/kubernetes/admin.conf", text.replace("192.0.2.10", "192.0.2.99"));
    }),
];

#[test]
fn somebody_elses_files_are_refused_and_stay() {
    let foreign = Root::made();
    foreign.remove(INVENTORY);
    for case in CASES {
        let root = foreign.copy();
        (case.spoil)(&root);
        let before = root.settled();
        let when = format!("{}: {}", case.path, case.reason);
        for args in [&["--dry-run"] as &[_], &[], &["--force"]] {
            let run = root.init(args);
            assert_eq!(run.code, Some(2), "{when} {args:?}: {}", run.stderr);
            run.says(&[&format!("{}: ", case.path), case.reason, "hint:", "nothing was changed"]);
            assert_same(&before, &root.settled());
        }
    }
}

#[test]
fn our_files_are_made_fit_and_keys_stay() {
    let ours = Root::made();
    for case in CASES {
        let root = ours.copy();
        (case.spoil)(&root);
        let before = root.settled();
        let when = format!("{}: {}", case.path, case.reason);
        let run = root.init(&[]);
        if case.ours == Refused {
            run.exits(2).says(&[&format!("{}: ", case.path), case.reason, "hint:"]);
            assert_same(&before, &root.settled());
            continue;
        }
        assert_eq!(run.code, Some(0), "{when}: {}", run.stderr);
        // What somebody put in the place of a file of ours is not lost.
        let _ = std::fs::remove_dir_all(root.at(kubekeel::layout::EDITED));
        verify::complete(&root, &when);
        let after = root.settled();
        for (path, key) in keys(&before) {
            assert_eq!(keys(&after)[path], key, "{when}: {path} was overwritten");
        }
    }
}

#[test]
fn a_foreign_authority_is_taken_over() {
    // kubeadm's `external CA with its key`: only the authorities are there, everything else is made below them.
    let other = Root::made();
    let root = Root::new();
    std::fs::create_dir_all(root.at(&pki("etcd"))).unwrap();
    for base in ["ca", "front-proxy-ca", "etcd/ca"] {
        for end in ["crt", "key"] {
            let path = pki(&format!("{base}.{end}"));
            root.write(&path, other.read(&path));
        }
    }
    let before = root.settled();
    root.init(&[]).succeeds();
    let after = root.settled();
    for (path, entry) in before.iter().filter(|(_, entry)| entry.content.is_some()) {
        assert_eq!(after[path].content, entry.content, "{path}");
    }
    // An open key was narrowed.
    assert_eq!(after[&pki("ca.key")].mode, 0o600);
    let inventory = String::from_utf8(root.read(INVENTORY)).unwrap();
    assert!(!inventory.contains("pki/ca.key") && !inventory.contains("pki/etcd/ca.crt"), "they are not ours");
    root.init(&[]).succeeds();
    super::assert_same(&after, &root.settled());
}

#[test]
fn all_misfits_are_told_at_once() {
    let root = Root::made();
    root.remove(INVENTORY);
    another_key(&root, "ca.key");
    root.write(&pki("sa.key"), GARBAGE);
    root.write("/etc/kubernetes/admin.conf", GARBAGE);
    another_key(&root, "etcd/server.key");
    root.init(&[]).exits(2).says(&["pki/ca.crt: ", "pki/sa.key: ", "admin.conf: ", "etcd/server.crt: "]);
}
