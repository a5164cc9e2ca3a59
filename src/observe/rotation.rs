//! A look at a rotation of authorities: how far it is, and who may need the old one.

use super::pki_path;
use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::host::api::ApiServer;
use crate::host::fs::Files;
use crate::kubeconfig;
use crate::layout;
use crate::pki::{self, Certificate, CertificateId, KubeconfigId};

/// More pods than this are told as a number.
const TOLD: usize = 10;

/// The authorities whose predecessors are still trusted.
pub fn rotating(config: &Config, files: &Files) -> Result<Vec<CertificateId>> {
    let mut rotating = vec![];
    for id in CertificateId::authorities() {
        if files.status(&pki_path(config, &id.cross())).map_err(|error| blind(&error))?.is_some() {
            rotating.push(id);
        }
    }
    Ok(rotating)
}

/// An error when there are further control-plane nodes: they would go on with the authority of now, which this node has no more.
pub async fn other_control_planes(config: &Config, files: &Files) -> Result<()> {
    let nodes = api(config, files).await?.nodes().await.map_err(|error| blind(&error))?;
    let others = nodes.iter().filter(|(name, labels)| {
        *name != config.node.name && labels.contains_key("node-role.kubernetes.io/control-plane")
    });
    let problem =
        |(name, _): &(String, _)| Problem::new(format!("Node {name}"), "it has the keys of the authorities, too");
    let problems: Vec<_> = others.map(problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let message = "there are other control-plane nodes, and a rotation is made on one; nothing was changed";
    Err(Error::problems(Kind::Preflight, message, problems))
}

/// Who may need the old authority of the cluster: other nodes, and pods that read what they trust before the new one was there.
pub async fn needing_the_old_authority(config: &Config, files: &Files) -> Result<Vec<Problem>> {
    let read = |name: &str| files.read(&pki_path(config, name)).map_err(|error| blind(&error));
    let (Some(authority), Some(cross)) = (read("ca.crt")?, read(&CertificateId::Ca.cross())?) else {
        return Ok(vec![]);
    };
    let certificate = |bytes: &[u8]| Certificate::parse(bytes).map_err(|error| blind(&error));
    let (authority, begun) = (certificate(&authority)?, pki::issued_at(&certificate(&cross)?));
    let api = api(config, files).await?;
    let mut problems = vec![];
    let published = api.published_authority().await.map_err(|error| blind(&error))?;
    if !published.contains(authority.to_pem().trim()) {
        let message = "the controller manager has not put the new authority into it yet";
        problems.push(Problem::new("ConfigMap kube-system/kube-root-ca.crt", message).hint("wait a moment"));
    }
    for (name, _) in api.nodes().await.map_err(|error| blind(&error))? {
        if name != config.node.name {
            let message = "its kubelet may trust only the old authority, and have its certificate from it";
            problems.push(Problem::new(format!("Node {name}"), message));
        }
    }
    let pods = api.pods_running_since_before(begun).await.map_err(|error| blind(&error))?;
    for pod in pods.iter().take(TOLD) {
        let message = "it read what it trusts before the new authority was there";
        problems.push(Problem::new(format!("Pod {pod}"), message).hint("restart it"));
    }
    if pods.len() > TOLD {
        let message = format!("{} more read what they trust before the new authority was there", pods.len() - TOLD);
        problems.push(Problem::new("Pods", message));
    }
    Ok(problems)
}

async fn api(config: &Config, files: &Files) -> Result<ApiServer> {
    let path = layout::kubeconfig(KubeconfigId::Admin.file());
    let bytes = files.read(&path).map_err(|error| blind(&error))?;
    let bytes = bytes.ok_or_else(|| Error::new(Kind::Preflight, format!("{path} is missing; nothing was changed")))?;
    let server = kubeconfig::server(KubeconfigId::Kubelet, config);
    ApiServer::connect(&bytes, &server).await.map_err(|error| blind(&error))
}

fn blind(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Preflight, "cannot see who trusts what; nothing was changed").because(error)
}
