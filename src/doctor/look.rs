//! The examination of a node.

use std::time::Duration;

use serde_json::Value;

use super::{Exam, Served};
use crate::config::Config;
use crate::error::Result;
use crate::host::cri::Cri;
use crate::host::fs::Files;
use crate::host::{self, checkup, evidence, routes, service};
use crate::layout;
use crate::lint;
use crate::manifest::{self, Component};
use crate::pki::{Certificate, CertificateId};
use crate::status::look::{self, Looked};

/// How far back the logs are read. A mirror pod that is refused is tried again every 60-90 s.
const BACK: Duration = Duration::from_secs(200);
const LINES: usize = 4000;
const KUBELET_LINES: usize = 200;

/// Examines the node.
pub async fn look(files: &Files) -> Result<Exam> {
    Box::pin(examine(files)).await
}

async fn examine(files: &Files) -> Result<Exam> {
    let Looked { status, config, view, digests } = look::closely(files).await?;
    let cri = Cri::connect(&config.node.cri_socket).await.ok();
    // What a file says now is what has to run.
    let mut wanted = digests.clone();
    for component in Component::ALL {
        let bytes = files.read(&component.path()).ok().flatten();
        let read = bytes.and_then(|bytes| manifest::read(&String::from_utf8_lossy(&bytes)).ok());
        wanted.extend(read.filter(manifest::Read::is_genuine).map(|read| (component, read.digest)));
    }
    let (evidence, journal, served) = tokio::join!(
        evidence::collect(&config, files, cri.as_ref(), &wanted, &view, BACK),
        service::journal(service::KUBELET, host::now() - BACK, LINES),
        served(&config, files)
    );
    // What a kubelet before this one complained of is over.
    let since = evidence.kubelet.as_ref().and_then(service::ServiceStatus::last_start);
    let mut evidence = evidence;
    if let Some(since) = since.filter(|since| *since > host::now() - BACK) {
        evidence.kubelet_log = service::journal(service::KUBELET, since, KUBELET_LINES).await;
    }
    let directory = lint::look(files, layout::MANIFESTS).unwrap_or_default();
    Ok(Exam {
        manifests: lint::judge(&directory, None),
        static_pod_path: static_pod_path(files),
        mirror_log: journal.into_iter().filter(|line| is_about_mirrors(line)).collect(),
        served,
        sync: checkup::sync_latency(&config.cluster.etcd.data_dir),
        routes: routes::routes(),
        services: config.cluster.networking.service_networks.clone(),
        pods: config.cluster.networking.pod_networks.clone(),
        address: config.advertise_address,
        status,
        view,
        evidence,
    })
}

/// Complaints of the kubelet (`klog`: E and W) about mirror pods.
fn is_about_mirrors(line: &str) -> bool {
    line.starts_with(['E', 'W']) && line.to_lowercase().contains("mirror pod")
}

fn static_pod_path(files: &Files) -> Option<String> {
    let bytes = files.read(layout::KUBELET_CONFIG).ok()??;
    let document: Value = serde_yaml::from_str(&String::from_utf8_lossy(&bytes)).ok()?;
    // The kubelet takes a path with or without its slash.
    document["staticPodPath"].as_str().map(|path| path.trim_end_matches('/').to_owned())
}

async fn served(config: &Config, files: &Files) -> Vec<Served> {
    let api = manifest::endpoint(Component::ApiServer, config);
    let own = config.advertise_address.to_string();
    let ports = [
        (Component::ApiServer, api.host, api.port, CertificateId::ApiServer),
        (Component::Etcd, "127.0.0.1".to_owned(), 2379, CertificateId::EtcdServer),
        (Component::Etcd, own, 2380, CertificateId::EtcdPeer),
    ];
    let mut all = vec![];
    for (component, host, port, id) in ports {
        let file = format!("{}/{}.crt", config.cluster.certificates_dir, id.base());
        let bytes = files.read(&file).ok().flatten();
        let certificate = bytes.and_then(|bytes| Certificate::parse(&bytes).ok());
        // A port that does not answer is another finding.
        if let (Some(certificate), Ok(shown)) = (certificate, checkup::served_certificate(&host, port).await) {
            let address = format!("{host}:{port}");
            all.push(Served { component, address, file, is_the_files: shown == certificate.der });
        }
    }
    all
}
