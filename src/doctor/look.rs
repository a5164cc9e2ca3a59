//! The examination of a node.

use std::time::Duration;

use super::{Asked, Exam, Served, Watched, watched, words};
use crate::config::Config;
use crate::error::Result;
use crate::host::cri::Cri;
use crate::host::fs::{EntryKind, Files};
use crate::host::{self, checkup, evidence, http, routes, service};
use crate::layout;
use crate::lint;
use crate::manifest::{self, Component};
use crate::pki::Certificate;
use crate::status::look::{self, Looked};

/// How far back the logs are read. A mirror pod that is refused is tried again every 60-90 s.
const BACK: Duration = Duration::from_secs(200);
const LINES: usize = 4000;
const KUBELET_LINES: usize = 200;
const NO_NODE_YET: &str = "because node is not registered yet";
/// Environment files of the kubelet's unit, in its order: kubeadm's, and the user's on Debian and on Red Hat's systems.
const FLAG_FILES: [&str; 3] = [layout::KUBELET_FLAGS, "/etc/default/kubelet", "/etc/sysconfig/kubelet"];

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
    let (evidence, journal, served, time) = tokio::join!(
        evidence::collect(&config, files, cri.as_ref(), &wanted, &view, BACK),
        service::journal(service::KUBELET, host::now() - BACK, LINES),
        served(&config, files),
        checkup::time_sync()
    );
    // What a kubelet before this one complained of is over.
    let since = evidence.kubelet.as_ref().and_then(service::ServiceStatus::last_start);
    let mut evidence = evidence;
    if let Some(since) = since.filter(|since| *since > host::now() - BACK) {
        evidence.kubelet_log = service::journal(service::KUBELET, since, LINES).await;
        // Without a Node it says so ten times a second, and why there is none only every few seconds.
        evidence.kubelet_log.retain(|line| !line.contains(NO_NODE_YET));
        let surplus = evidence.kubelet_log.len().saturating_sub(KUBELET_LINES);
        evidence.kubelet_log.drain(..surplus);
    }
    let directory = lint::look(files, layout::MANIFESTS).unwrap_or_default();
    Ok(Exam {
        manifests: lint::judge(&directory, None),
        watched: watched_directories(files, evidence.kubelet.as_ref()),
        kubelet_is_configured: files.status(layout::KUBELET_CONFIG).is_ok_and(|status| status.is_some()),
        mirror_log: journal.into_iter().filter(|line| is_about_mirrors(line)).collect(),
        served,
        time,
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

/// Where the kubelet that runs looks for static pods, and where the next one will: environment files may have changed since.
fn watched_directories(files: &Files, kubelet: Option<&service::ServiceStatus>) -> Vec<Watched> {
    let text = |path: &str| Some(String::from_utf8_lossy(&files.read(path).ok()??).into_owned());
    let asked = Asked { read: &text, drop_ins: &|directory| drop_ins(files, directory) };
    let pid = kubelet.filter(|kubelet| kubelet.is_running()).map_or(0, |kubelet| kubelet.pid);
    let mut arguments = checkup::command_line(pid).unwrap_or_default();
    let mut all = vec![];
    if !arguments.is_empty() {
        all.push(watched(&arguments, &asked));
    }
    arguments.extend(FLAG_FILES.iter().filter_map(|path| text(path)).flat_map(|text| words(&text)));
    all.push(watched(&arguments, &asked));
    all
}

/// All files `*.conf` below a directory, in the order of their paths.
fn drop_ins(files: &Files, directory: &str) -> Vec<String> {
    let mut names = files.list(directory).unwrap_or_default();
    names.sort();
    let mut found = vec![];
    for path in names.into_iter().map(|name| format!("{}/{name}", directory.trim_end_matches('/'))) {
        match files.status(&path).ok().flatten().map(|status| status.kind) {
            Some(EntryKind::Directory) => found.extend(drop_ins(files, &path)),
            Some(EntryKind::File) if path.rsplit('.').next() == Some("conf") => found.push(path),
            _ => {}
        }
    }
    found
}

async fn served(config: &Config, files: &Files) -> Vec<Served> {
    let components: Vec<_> = manifest::components(config).collect();
    let mut all = vec![];
    for port in manifest::served(config).into_iter().filter(|port| components.contains(&port.component)) {
        let Some(file) = port.certificate else { continue };
        // A file that is not there is drift, and a port that does not answer is another finding.
        let Some(bytes) = files.read(&file).ok().flatten() else { continue };
        let Ok(shown) = http::shown(&port.host, port.port).await else { continue };
        let address = format!("{}:{}", port.host, port.port);
        all.push(Served { component: port.component, address, file, difference: difference(&bytes, shown) });
    }
    all
}

fn difference(file: &[u8], shown: Vec<u8>) -> Option<String> {
    match Certificate::parse(file) {
        Ok(wanted) if wanted.der == shown => None,
        Ok(wanted) => {
            let serial = Certificate::from_der(shown).map_or_else(|_| "no".into(), |shown| shown.serial);
            Some(format!("it shows the certificate with serial {serial}, the file has serial {}", wanted.serial))
        }
        Err(error) => Some(error.to_string()),
    }
}
