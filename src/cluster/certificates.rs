//! upload-certs: the authorities for further control-plane nodes, encrypted (`phases/copycerts`).

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Object, rbac};
use crate::config::{BootstrapToken, Config, Lifetime};
use crate::token::CertificateKey;

/// The files that are uploaded: their names in the Secret, before the slashes go, and their paths (`copycerts.go`).
pub fn uploaded_files(config: &Config) -> Vec<(&'static str, String)> {
    let pki = &config.cluster.certificates_dir;
    let own = |names: &[&'static str]| names.iter().map(|name| (*name, format!("{pki}/{name}"))).collect::<Vec<_>>();
    let mut files = own(&["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key"]);
    match &config.cluster.external_etcd {
        None => files.extend(own(&["etcd/ca.crt", "etcd/ca.key"])),
        Some(etcd) => {
            let names = ["external-etcd-ca.crt", "external-etcd.crt", "external-etcd.key"];
            let paths = [&etcd.ca_file, &etcd.cert_file, &etcd.key_file];
            files.extend(names.into_iter().zip(paths).filter_map(|(name, path)| Some((name, path.clone()?))));
        }
    }
    files
}

/// The nonce, then the ciphertext with its tag (`util/crypto/crypto.go`). The nonce must never come twice with one key.
pub fn encrypt(content: &[u8], key: &CertificateKey, nonce: [u8; NONCE_LEN]) -> Result<Vec<u8>, String> {
    let fail = |_| "the certificates cannot be encrypted".to_owned();
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.bytes()).map_err(fail)?);
    let mut sealed = content.to_vec();
    cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).map_err(fail)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// The token that ends the upload with itself after two hours: the Secret belongs to it, and nobody can log in with it.
pub fn certificates_owner() -> BootstrapToken {
    BootstrapToken {
        token: None,
        description: "Proxy for managing TTL for the kubeadm-certs secret".into(),
        lifetime: Lifetime::For(Duration::from_secs(2 * 3600)),
        usages: vec![],
        groups: vec![],
    }
}

/// The Secret with the encrypted files, and who may read it. `owner` is the token's Secret as the cluster has it.
pub fn certificates_secret(files: &[(&str, Vec<u8>)], owner: &Value) -> Vec<Object> {
    let data: Map<_, _> =
        files.iter().map(|(name, content)| (name.replace('/', "-"), json!(STANDARD.encode(content)))).collect();
    let reference = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    });
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "kubeadm-certs", "namespace": "kube-system", "ownerReferences": [reference]},
        "type": "Opaque",
        "data": data,
    });
    let readers = [rbac::group(rbac::BOOTSTRAPPERS)];
    let mut objects = vec![Object::new(secret)];
    objects.extend(rbac::may_get("kube-system", "kubeadm:kubeadm-certs", ("secrets", "kubeadm-certs"), &readers));
    objects
}
