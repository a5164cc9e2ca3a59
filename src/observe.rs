//! One look at the machine, before anything is planned.

mod expiry;
mod rotation;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use crate::cluster::{self, Known, Part, TokenState};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::api::ApiServer;
use crate::host::cri::Cri;
use crate::host::fs::{EntryKind, FileError, Files};
use crate::host::service::{self, ServiceStatus};
use crate::kubeconfig;
use crate::layout;
use crate::manifest::{self, Component, NodeInputs};
use crate::observed::NodeState;
use crate::pki::{Certificate, CertificateId, Key, KubeconfigId};
use crate::plan::{CertificateState, FileState, Inventory, KubeconfigState, ManifestEntry, Snapshot, Successor};

pub use expiry::expiries;
pub use rotation::{needing_the_old_authority, other_control_planes, rotating};

/// `sha256:<hex>` of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Looks at everything that a plan may depend on.
pub async fn observe(config: &Config, files: &Files) -> Result<Snapshot> {
    let read = |error: FileError| Error::new(Kind::Preflight, "cannot look at the node").because(&error);
    let machine = files.is_machine();
    let authority = files.read(&pki_path(config, "ca.crt")).map_err(read)?;
    let pem = authority.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let ((kubelet, successor), resolved, pods, cluster) = if machine {
        let (kubelet, resolved, pods, cluster) = tokio::join!(
            kubelet(),
            service::is_active("systemd-resolved"),
            pods(&config.node.cri_socket),
            cluster(config, files, &pem)
        );
        (kubelet, resolved, pods, cluster?)
    } else {
        ((None, None), false, None, ClusterState::default())
    };
    Ok(Snapshot {
        now: host::now(),
        files: file_states(config, files).map_err(read)?,
        manifests: manifest_entries(files).map_err(read)?,
        certificates: certificates(config, files).map_err(read)?,
        service_account: service_account(config, files).map_err(read)?,
        kubeconfigs: kubeconfigs(files, authority.as_deref().map(Vec::as_slice)).map_err(read)?,
        inventory: inventory(files)?,
        kubelet,
        successor,
        resolved,
        pods,
        answers: cluster.answers,
        node: cluster.node,
        authority: pem,
        objects: cluster.objects,
        tokens: cluster.tokens,
        free_memory_mib: host::machine::free_memory_mib(),
        inputs: inputs(config, files).map_err(read)?,
    })
}

/// Reads the inventory.
pub fn inventory(files: &Files) -> Result<Inventory> {
    let bytes = files
        .read(layout::INVENTORY)
        .map_err(|error| Error::new(Kind::Preflight, "cannot read the inventory").because(&error))?;
    Inventory::parse(bytes.as_deref().map(Vec::as_slice)).map_err(|error| {
        Error::new(Kind::Preflight, format!("{} is unreadable: {error}", layout::INVENTORY))
            .hint("put the file back from a backup; without it every file on this node counts as somebody else's")
    })
}

/// What the manifests take from the node as it is now.
pub fn inputs(config: &Config, files: &Files) -> Result<NodeInputs, FileError> {
    let mut inputs = NodeInputs::default();
    for directory in layout::HOST_CA_DIRECTORIES {
        if files.status(directory)?.is_some_and(|status| status.kind == EntryKind::Directory) {
            inputs.ca_directories.push(directory.to_owned());
        }
    }
    let there = |name: &str| files.status(&pki_path(config, name)).map(|status| status.is_some());
    inputs.external_ca = there("ca.crt")? && !there("ca.key")?;
    inputs.successor = there(&CertificateId::Ca.cross())?;
    for component in manifest::components(config) {
        let mut all = Sha256::new();
        let mut complete = true;
        for path in manifest::files_read_once(component, config) {
            match files.read(&path)? {
                Some(bytes) => {
                    all.update(path.as_bytes());
                    all.update([0]);
                    all.update(Sha256::digest(bytes.as_slice()));
                }
                None => complete = false,
            }
        }
        if complete {
            inputs.mounted.insert(component, sha256(&all.finalize()));
        }
    }
    Ok(inputs)
}

fn pki_path(config: &Config, name: &str) -> String {
    format!("{}/{name}", config.cluster.certificates_dir)
}

/// The kubelet's unit, and the kubelet that its next start brings when that is another one.
async fn kubelet() -> (Option<ServiceStatus>, Option<Successor>) {
    let Ok(unit) = service::status(service::KUBELET).await else { return (None, None) };
    let successor = host::facts::successor(unit.pid).await;
    (Some(unit), successor)
}

async fn pods(socket: &str) -> Option<Vec<crate::observed::PodRun>> {
    Cri::connect(socket).await.ok()?.static_pods().await.ok()
}

/// What was seen through the API server.
#[derive(Default)]
struct ClusterState {
    answers: bool,
    node: Option<NodeState>,
    objects: BTreeMap<String, Value>,
    tokens: Vec<TokenState>,
}

/// A look into the cluster; it is empty when the API server does not answer.
async fn cluster(config: &Config, files: &Files, authority: &str) -> Result<ClusterState> {
    let live = BTreeMap::new();
    let wanted = cluster::all(&Part::ALL, config, Known { authority, live: &live })?;
    let look = async {
        let bytes = files.read(&layout::kubeconfig("admin.conf")).ok()??;
        let server = kubeconfig::server(KubeconfigId::Kubelet, config);
        let api = ApiServer::connect(&bytes, &server).await.ok()?;
        let node = api.node(&config.node.name).await.ok()?;
        let mut tasks = JoinSet::new();
        for object in wanted {
            let api = api.clone();
            tasks.spawn(async move { api.get(&object).await.ok().flatten().map(|live| (object.title(), live)) });
        }
        let (objects, tokens) = tokio::join!(tasks.join_all(), api.bootstrap_tokens());
        let tokens = cluster::token_states(&tokens.unwrap_or_default());
        Some(ClusterState { answers: true, node, objects: objects.into_iter().flatten().collect(), tokens })
    };
    // A control plane that is down must not hold up the look at the rest.
    let seen = tokio::time::timeout(Duration::from_secs(2), look).await;
    Ok(seen.ok().flatten().unwrap_or_default())
}

fn file_states(config: &Config, files: &Files) -> Result<BTreeMap<String, FileState>, FileError> {
    let mut states = BTreeMap::new();
    let certificates_dir = &config.cluster.certificates_dir;
    let directories = [
        layout::STATE,
        layout::KUBERNETES,
        certificates_dir,
        &format!("{certificates_dir}/etcd"),
        &config.cluster.etcd.data_dir,
        layout::KUBELET,
        layout::MANIFESTS,
    ];
    for path in directories {
        if let Some(status) = files.status(path)? {
            states.insert(path.to_owned(), FileState { mode: status.mode, digest: String::new(), text: None });
        }
    }
    for (path, is_open) in paths(config) {
        let Some(found) = files.status(&path)? else { continue };
        if found.kind != EntryKind::File {
            states.insert(path, FileState { mode: 0, digest: String::new(), text: None });
            continue;
        }
        if let Some(bytes) = files.read(&path)? {
            let text = is_open.then(|| String::from_utf8_lossy(&bytes).into_owned());
            states.insert(path, FileState { mode: found.mode, digest: sha256(&bytes), text });
        }
    }
    Ok(states)
}

/// Every file that a control plane on this node may consist of, and whether it holds no secret.
pub fn paths(config: &Config) -> impl Iterator<Item = (String, bool)> {
    let mut open =
        vec![layout::KUBELET_CONFIG.to_owned(), layout::KUBELET_INSTANCE_CONFIG.into(), layout::KUBELET_FLAGS.into()];
    open.extend(Component::ALL.map(Component::path));
    open.extend([manifest::beside::path(), manifest::unpack::path()]);
    let mut secret = vec![pki_path(config, "sa.key"), pki_path(config, "sa.pub")];
    secret.extend(KubeconfigId::ALL.map(|id| layout::kubeconfig(id.file())));
    for id in CertificateId::ALL {
        secret.extend(["crt", "key"].map(|end| pki_path(config, &format!("{}.{end}", id.base()))));
    }
    secret.extend(CertificateId::authorities().map(|id| pki_path(config, &id.cross())));
    open.into_iter().map(|path| (path, true)).chain(secret.into_iter().map(|path| (path, false)))
}

/// Names that the kubelet reads: all that do not begin with a dot (`pkg/kubelet/config/file.go`).
fn manifest_entries(files: &Files) -> Result<Vec<ManifestEntry>, FileError> {
    const LARGEST: u64 = 10 << 20;
    let mut entries = vec![];
    for name in files.list(layout::MANIFESTS)?.into_iter().filter(|name| !name.starts_with('.')) {
        let path = format!("{}/{name}", layout::MANIFESTS);
        let status = files.status(&path)?;
        let pod = match status {
            Some(status) if status.kind == EntryKind::File && status.size < LARGEST => {
                let bytes = files.read(&path)?.unwrap_or_default();
                manifest::read(&String::from_utf8_lossy(&bytes))
                    .map(|read| pod_name(&read))
                    .map_err(|error| error.to_string())
            }
            Some(status) if status.kind == EntryKind::File => Err("it is larger than 10 MiB".into()),
            Some(status) if status.kind == EntryKind::Directory => Err("it is a directory".into()),
            Some(_) => Err("it is neither a file nor a directory".into()),
            None => continue,
        };
        entries.push(ManifestEntry { name, pod });
    }
    Ok(entries)
}

fn pod_name(read: &manifest::Read) -> String {
    read.pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Names in the manifest directory beside the control plane's own.
pub fn foreign_manifests(files: &Files) -> Vec<ManifestEntry> {
    let own = Component::ALL.map(Component::path);
    let entries = manifest_entries(files).unwrap_or_default();
    entries.into_iter().filter(|entry| !own.contains(&format!("{}/{}", layout::MANIFESTS, entry.name))).collect()
}

fn certificates(config: &Config, files: &Files) -> Result<BTreeMap<CertificateId, CertificateState>, FileError> {
    let mut states = BTreeMap::new();
    for id in CertificateId::ALL {
        let certificate = files.read(&pki_path(config, &format!("{}.crt", id.base())))?;
        let key = files.read(&pki_path(config, &format!("{}.key", id.base())))?;
        let state = CertificateState {
            certificate: certificate.map(|bytes| Certificate::parse(&bytes).map_err(|error| error.to_string())),
            key: key.map(|bytes| Key::from_pem(&bytes).map(|key| key.spki()).map_err(|error| error.to_string())),
        };
        states.insert(id, state);
    }
    Ok(states)
}

fn service_account(config: &Config, files: &Files) -> Result<Option<Result<bool, String>>, FileError> {
    let Some(private) = files.read(&pki_path(config, "sa.key"))? else { return Ok(None) };
    let public = files.read(&pki_path(config, "sa.pub"))?;
    Ok(Some(
        Key::from_pem(&private)
            .map_err(|error| error.to_string())
            .map(|key| public.is_some_and(|public| String::from_utf8_lossy(&public).trim() == key.public_pem().trim())),
    ))
}

fn kubeconfigs(
    files: &Files,
    authority: Option<&[u8]>,
) -> Result<BTreeMap<KubeconfigId, Result<KubeconfigState, String>>, FileError> {
    let authority = authority.and_then(|bytes| Certificate::parse(bytes).ok());
    let mut states = BTreeMap::new();
    for id in KubeconfigId::ALL {
        if let Some(bytes) = files.read(&layout::kubeconfig(id.file()))? {
            states.insert(id, kubeconfig_state(&bytes, authority.as_ref()));
        }
    }
    Ok(states)
}

fn kubeconfig_state(bytes: &[u8], authority: Option<&Certificate>) -> Result<KubeconfigState, String> {
    let parsed = kubeconfig::parse(bytes).map_err(|error| error.to_string())?;
    let own = Certificate::parse(parsed.ca_pem.as_bytes()).ok();
    let certificate = parsed
        .certificate_pem
        .as_ref()
        .map(|pem| Certificate::parse(pem.as_bytes()).map_err(|error| error.to_string()));
    let key = parsed.key_pem.as_ref().and_then(|key| Key::from_pem(key.expose()).ok());
    Ok(KubeconfigState {
        authority_matches: own.zip(authority).is_some_and(|(own, authority)| own.der == authority.der),
        key_matches: match (&certificate, key) {
            (Some(Ok(certificate)), Some(key)) => certificate.spki == key.spki(),
            _ => false,
        },
        server: parsed.server,
        user: parsed.user,
        certificate,
    })
}
