//! Gathers the evidence for a diagnosis. Everything here is best effort: what cannot be read is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cri::Cri;
use super::fs::Files;
use super::{machine, now, ports, service};
use crate::config::Config;
use crate::diagnose::{Evidence, PodEvidence};
use crate::layout;
use crate::manifest::{self, Component};
use crate::observe;
use crate::observed::PodRun;
use crate::pki::{self, CertificateId};
use crate::prove::ladder::View;

const LOG_LINES: usize = 40;
const KUBELET_LINES: usize = 200;
/// A file system with less than this counts as full.
const FULL_BYTES: u64 = 8 << 20;

/// Looks for everything that may explain why a static pod does not come up.
pub async fn collect(
    config: &Config,
    files: &Files,
    cri: Option<&Cri>,
    digests: &BTreeMap<Component, String>,
    view: &View,
    waited: Duration,
) -> Evidence {
    let (kubelet, kubelet_log) = tokio::join!(
        service::status(service::KUBELET),
        service::journal(service::KUBELET, now() - waited, KUBELET_LINES)
    );
    let runs = view.pods.clone().unwrap_or_default();
    let mut missing_images = vec![];
    let mut runtime_cgroup_driver = None;
    if let Some(cri) = cri {
        runtime_cgroup_driver = cri.cgroup_driver().await;
        for component in digests.keys() {
            let image = image(*component, files).unwrap_or_else(|| manifest::image(*component, config));
            if cri.has_image(&image).await.is_ok_and(|present| !present) {
                missing_images.push((*component, image));
            }
        }
    }
    let pods = digests.iter().map(|(component, digest)| {
        let own: Vec<_> = runs.iter().filter(|run| run.name == component.name()).cloned().collect();
        PodEvidence {
            component: *component,
            digest: Some(digest.clone()),
            log: log(&own),
            runs: own,
            health: view.health.get(component).cloned(),
        }
    });
    Evidence {
        now: now(),
        waited,
        node_name: config.node.name.clone(),
        kubelet: kubelet.ok(),
        kubelet_log,
        runtime_error: view.pods.as_ref().err().cloned(),
        runtime_cgroup_driver,
        cgroup_v1: machine::read().cgroup_v1,
        pods: pods.collect(),
        missing_images,
        taken_ports: taken_ports(config, digests, &runs),
        foreign_manifests: observe::foreign_manifests(files),
        unfit_certificates: unfit_certificates(config, files),
        full: full(config, files),
        external_etcd: external_etcd(config),
        node_error: view.node.as_ref().err().cloned(),
    }
}

/// The image that the manifest names: of a pod that is not ours no configuration tells it.
fn image(component: Component, files: &Files) -> Option<String> {
    let bytes = files.read(&component.path()).ok()??;
    let pod = manifest::read(&String::from_utf8_lossy(&bytes)).ok()?.pod;
    let containers = pod["spec"]["containers"].as_array()?;
    let own = containers.iter().find(|container| container["name"] == component.name())?;
    own["image"].as_str().map(str::to_owned)
}

/// As logs name the members.
fn external_etcd(config: &Config) -> Vec<String> {
    let members = config.cluster.external_etcd.iter().flat_map(|etcd| &etcd.endpoints);
    members.filter_map(|member| Some(member.url.split_once("://")?.1.trim_end_matches('/').to_owned())).collect()
}

pub(crate) fn log(runs: &[PodRun]) -> Vec<String> {
    let containers = runs.iter().flat_map(|run| &run.containers);
    for container in containers.filter(|container| !container.log_path.is_empty()) {
        let Ok(bytes) = std::fs::read(&container.log_path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        // `<time> <stream> <tag> <line>` (the CRI logging format)
        let lines = text.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or(line).to_owned());
        let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            return lines[lines.len().saturating_sub(LOG_LINES)..].to_vec();
        }
    }
    vec![]
}

fn taken_ports(
    config: &Config,
    digests: &BTreeMap<Component, String>,
    runs: &[PodRun],
) -> Vec<(Component, u16, String)> {
    let listeners = ports::listeners();
    let mut taken = vec![];
    for component in digests.keys() {
        let runs_now = runs.iter().any(|run| {
            run.name == component.name()
                && run.containers.iter().any(|c| c.state == crate::observed::ContainerState::Running)
        });
        if runs_now {
            continue;
        }
        for (address, port) in manifest::ports(*component, config) {
            if let Some(listener) = listeners.iter().find(|listener| listener.blocks(address, port))
                && let Some(holder) = listener.holder()
            {
                taken.push((*component, port, holder));
            }
        }
    }
    taken
}

fn unfit_certificates(config: &Config, files: &Files) -> Vec<(String, Vec<String>)> {
    let directory = &config.cluster.certificates_dir;
    let read = |id: CertificateId| {
        let bytes = files.read(&format!("{directory}/{}.crt", id.base())).ok()??;
        pki::Certificate::parse(&bytes).ok()
    };
    let mut unfit = vec![];
    let external = config.cluster.external_etcd.is_some();
    for id in CertificateId::ALL.into_iter().filter(|id| !(external && id.is_of_etcd())) {
        let Some(certificate) = read(id) else { continue };
        let issuer = id.signer().and_then(read);
        let misfits = pki::misfits(&certificate, &pki::profile(id, config), issuer.as_ref(), now());
        if !misfits.is_empty() {
            let path = format!("{directory}/{}.crt", id.base());
            unfit.push((path, misfits.iter().map(ToString::to_string).collect()));
        }
    }
    unfit
}

fn full(config: &Config, files: &Files) -> Vec<(String, u64)> {
    let paths = [layout::KUBELET, config.cluster.etcd.data_dir.as_str(), "/var/log/pods", "/var/lib/containerd"];
    let free = paths.iter().filter_map(|path| Some(((*path).to_owned(), files.free_bytes(path).ok()?)));
    free.filter(|(_, free)| *free < FULL_BYTES).collect()
}
