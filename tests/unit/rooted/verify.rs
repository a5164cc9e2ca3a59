//! What must hold of a tree: at any moment, and when a run is done.

use std::collections::BTreeSet;
use std::time::SystemTime;

use kubekeel::host::fs::Files;
use kubekeel::manifest::{self, Component};
use kubekeel::pki::{self, Certificate, CertificateId, Key, KubeconfigId};
use kubekeel::plan::Inventory;
use kubekeel::{kubeconfig, kubelet, layout, observe};

use super::{INVENTORY, LOCK, PKI, Root};

/// What holds at any moment, whoever is killed: nothing secret is open, and every name that counts is complete.
#[track_caller]
pub(super) fn safe(root: &Root, when: &str) {
    for (path, entry) in root.tree() {
        let Some(content) = &entry.content else { continue };
        let name = path.rsplit('/').next().unwrap();
        let is_certificate = name.trim_start_matches('.').trim_end_matches(".kubekeel-new").ends_with(".crt");
        if entry.mode & 0o077 != 0 {
            assert!(is_certificate, "{when}: {path} has mode {:04o}", entry.mode);
            assert!(!String::from_utf8_lossy(content).contains("PRIVATE"), "{when}: a key in {path}");
        }
        if !name.starts_with('.') {
            complete_file(&path, content, when);
        }
    }
}

#[track_caller]
fn complete_file(path: &str, content: &[u8], when: &str) {
    let text = || String::from_utf8_lossy(content);
    let extension = path.rsplit('.').next().unwrap();
    match extension {
        "crt" => assert!(Certificate::parse(content).is_ok(), "{when}: {path} is partial"),
        "key" => assert!(Key::from_pem(content).is_ok(), "{when}: {path} is partial"),
        "pub" => assert!(text().trim_end().ends_with("-----END PUBLIC KEY-----"), "{when}: {path} is partial"),
        "conf" => {
            let parsed = kubeconfig::parse(content).unwrap_or_else(|error| panic!("{when}: {path}: {error}"));
            let certificate = Certificate::parse(parsed.certificate_pem.unwrap().as_bytes()).unwrap();
            let key = Key::from_pem(parsed.key_pem.unwrap().expose()).unwrap();
            assert_eq!(certificate.spki, key.spki(), "{when}: the key of {path} is another one");
        }
        "yaml" if path.starts_with(layout::MANIFESTS) => {
            let read = manifest::read(&text()).unwrap_or_else(|error| panic!("{when}: {path}: {error}"));
            assert!(read.is_genuine(), "{when}: {path} is not what was rendered");
        }
        "yaml" | "env" => assert!(text().ends_with('\n'), "{when}: {path} is partial"),
        "json" => assert!(Inventory::parse(Some(content)).is_ok(), "{when}: {path} is partial"),
        _ => assert_eq!(path, LOCK, "{when}: nobody asked for {path}"),
    }
}

/// What holds after a run that succeeded.
#[track_caller]
pub(super) fn complete(root: &Root, when: &str) {
    safe(root, when);
    let leftovers: Vec<_> = root.tree().into_keys().filter(|path| path.contains("/.")).collect();
    assert!(leftovers.is_empty(), "{when}: left behind: {leftovers:?}");
    certificates(root, when);
    kubeconfigs(root, when);
    let config = root.config();
    let inputs = observe::inputs(&config, &Files::new(root.directory())).unwrap();
    for component in Component::ALL {
        assert!(inputs.mounted.contains_key(&component), "{when}: files of {component} are missing");
        let rendered = manifest::render(component, &config, &inputs).unwrap();
        let there = manifest::read(&String::from_utf8(root.read(&component.path())).unwrap()).unwrap();
        assert_eq!(there.digest, rendered.digest, "{when}: {component}");
    }
    for file in kubelet::files(&config, false).unwrap() {
        assert_eq!(String::from_utf8(root.read(file.path)).unwrap(), file.text, "{when}: {}", file.path);
    }
    inventory(root, when);
}

#[track_caller]
fn certificates(root: &Root, when: &str) {
    let config = root.config();
    let certificate = |id: CertificateId| Certificate::parse(&root.read(&format!("{PKI}/{}.crt", id.base()))).unwrap();
    for id in CertificateId::ALL {
        let profile = pki::profile(id, &config);
        let own = certificate(id);
        let issuer = id.signer().map_or_else(|| own.clone(), certificate);
        let misfits = pki::misfits(&own, &profile, Some(&issuer), SystemTime::now());
        assert!(misfits.is_empty(), "{when}: {}: {misfits:?}", id.name());
        let key = Key::from_pem(&root.read(&format!("{PKI}/{}.key", id.base()))).unwrap();
        assert_eq!(own.spki, key.spki(), "{when}: the key of {} is another one", id.name());
    }
    let key = Key::from_pem(&root.read(&format!("{PKI}/sa.key"))).unwrap();
    assert_eq!(String::from_utf8(root.read(&format!("{PKI}/sa.pub"))).unwrap(), key.public_pem(), "{when}: sa.pub");
}

#[track_caller]
fn kubeconfigs(root: &Root, when: &str) {
    let config = root.config();
    let authority = Certificate::parse(&root.read(&format!("{PKI}/ca.crt"))).unwrap();
    for id in KubeconfigId::ALL {
        let parsed = kubeconfig::parse(&root.read(&layout::kubeconfig(id.file()))).unwrap();
        assert_eq!(parsed.server, kubeconfig::server(id, &config), "{when}: {}", id.file());
        assert_eq!(Certificate::parse(parsed.ca_pem.as_bytes()).unwrap().der, authority.der, "{when}: {}", id.file());
        let certificate = Certificate::parse(parsed.certificate_pem.unwrap().as_bytes()).unwrap();
        let profile = pki::client_profile(id, &config);
        let misfits = pki::misfits(&certificate, &profile, Some(&authority), SystemTime::now());
        assert!(misfits.is_empty(), "{when}: {}: {misfits:?}", id.file());
    }
}

/// The inventory knows every file by its digest, so that an edit will be seen, and nothing that is not there.
#[track_caller]
fn inventory(root: &Root, when: &str) {
    let inventory = Inventory::parse(Some(&root.read(INVENTORY))).unwrap();
    let tree = root.tree();
    let foreign = ["/etc", "/run", "/var", "/var/lib", LOCK, INVENTORY];
    let expected: BTreeSet<_> = tree.keys().filter(|path| !foreign.contains(&path.as_str())).collect();
    assert_eq!(inventory.entries.keys().collect::<BTreeSet<_>>(), expected, "{when}: what the inventory owns");
    for (path, entry) in &inventory.entries {
        let digest = tree[path].content.as_ref().map(|content| observe::sha256(content));
        // A key that somebody put in the place of ours is used, and never recorded as our own work.
        let recorded = if path.ends_with(".key") { entry.digest.is_some() } else { entry.digest == digest };
        assert!(recorded, "{when}: recorded digest of {path}: {:?}", entry.digest);
    }
}
