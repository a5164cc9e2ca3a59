//! What the cluster is asked before an upgrade.

use serde_json::json;
use zeroize::Zeroizing;

use crate::cluster::Object;
use crate::config::Shared;
use crate::error::{Error, Kind, Result};
use crate::host::api::ApiServer;
use crate::host::fs::Files;
use crate::kubeconfig::{self, Kubeconfig};
use crate::layout;
use crate::pki::Certificate;

/// The API server as a kubeconfig names it.
pub(super) async fn connect(path: &str, files: &Files) -> Result<ApiServer> {
    let (bytes, named) = read(path, files)?;
    ApiServer::connect(&bytes, &named.server).await.map_err(|error| unreadable(&error))
}

/// Who we are by the certificate of a kubeconfig of this node: what it calls its user is anybody's choice (the kubelet writes
/// `default-auth`).
pub(super) fn user(path: &str, files: &Files) -> Result<String> {
    let (_, named) = read(path, files)?;
    let certificate = match (named.certificate_pem, named.certificate_file) {
        (Some(pem), _) => pem.into_bytes(),
        (None, Some(file)) => files.read(&file).map_err(|error| unreadable(&error))?.unwrap_or_default().to_vec(),
        (None, None) => vec![],
    };
    let certificate = Certificate::parse(&certificate).map_err(|error| unreadable(&error))?;
    Ok(certificate.common_name)
}

fn read(path: &str, files: &Files) -> Result<(Zeroizing<Vec<u8>>, Kubeconfig)> {
    let bytes = files.read(path).map_err(|error| unreadable(&error))?.ok_or_else(|| {
        // Only a kubeconfig of the node's own says what the node is.
        if !path.starts_with(layout::KUBERNETES) {
            return Error::new(Kind::Preflight, format!("{path} is missing; nothing was changed"))
                .hint("name another file with --kubeconfig");
        }
        Error::new(Kind::Preflight, format!("{path} is missing: this node belongs to no cluster; nothing was changed"))
            .hint("bring it to one with `kubeadm join`, or make one with `kubekeel init`")
            .hint("another kubeconfig of the cluster is taken with --kubeconfig")
    })?;
    let named = kubeconfig::parse(&bytes).map_err(|error| unreadable(&error).hint(format!("look at {path}")))?;
    Ok((bytes, named))
}

/// What the cluster says of itself.
pub(super) async fn shared(api: &ApiServer) -> Result<Shared> {
    Ok(Shared {
        cluster: text(api, "kubeadm-config", "ClusterConfiguration").await?,
        kubelet: text(api, "kubelet-config", "kubelet").await?,
    })
}

async fn text(api: &ApiServer, name: &str, key: &str) -> Result<String> {
    let metadata = json!({"name": name, "namespace": "kube-system"});
    let map = Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}));
    let found = api.get(&map).await.map_err(|error| unreadable(&error))?.unwrap_or_default();
    found["data"][key].as_str().map(str::to_owned).ok_or_else(|| {
        Error::new(Kind::Preflight, format!("the cluster has no {key} in the {}; nothing was changed", map.title()))
    })
}

pub(super) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Preflight, "cannot learn what this node should be; nothing was changed").because(error)
}
