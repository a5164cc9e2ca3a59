//! Files: claimed in the inventory before they are made, published together, recorded afterwards; and what somebody edited is
//! not lost.

use std::time::SystemTime;

use zeroize::Zeroizing;

use super::{Applier, failed};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Event;
use crate::host::fs::Publish;
use crate::layout;
use crate::manifest::{self, Component};
use crate::observe;
use crate::pki::{KubeconfigId, Renewable};
use crate::plan::{KubeletAction, Plan, Snapshot, Step};

impl Applier<'_> {
    /// Removes what a killed run left between creating a dot-file and renaming it.
    pub(super) fn sweep(&self) -> Result<()> {
        let pki = &self.config.cluster.certificates_dir;
        let directories =
            [layout::STATE, layout::KUBERNETES, pki, &format!("{pki}/etcd"), layout::KUBELET, layout::MANIFESTS];
        for directory in directories {
            self.files.sweep(directory).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Records what a killed run had written and not yet recorded; true when there was any. Without a digest a later
    /// edit would not be seen.
    pub(super) fn settle(&mut self, plan: &Plan, seen: &Snapshot) -> bool {
        let pending: Vec<_> = seen
            .files
            .iter()
            .filter(|(path, state)| !state.digest.is_empty() && self.inventory.is_pending(path))
            // An open text that is not kept was not finished; the claim stays.
            .filter(|(path, state)| state.text.is_none() || plan.kept.contains(path))
            .map(|(path, state)| (path.clone(), state.digest.clone()))
            .collect();
        for (path, digest) in &pending {
            self.inventory.record(path, digest.clone());
        }
        !pending.is_empty()
    }

    /// Records every path that the plan will make, before it is made.
    pub(super) fn claim(&mut self, plan: &Plan) -> Result<()> {
        // It holds the inventory, so it may be older than its own entry.
        self.inventory.claim(layout::STATE);
        for step in &plan.steps {
            for path in self.paths(step) {
                self.inventory.claim(&path);
            }
        }
        self.files.ensure_directory(layout::STATE, 0o700).map_err(|error| failed(&error))?;
        self.store_inventory()
    }

    fn paths(&self, step: &Step) -> Vec<String> {
        let pki = &self.config.cluster.certificates_dir;
        match step {
            Step::EnsureDirectory { path, .. } | Step::WriteFile { path, .. } | Step::Restore { path, .. } => {
                vec![path.clone()]
            }
            Step::IssueCertificate { id, new_key, .. } => {
                let base = format!("{pki}/{}", id.base());
                let mut paths = vec![format!("{base}.crt")];
                paths.extend(new_key.then(|| format!("{base}.key")));
                paths
            }
            Step::Import { id: Renewable::Certificate(id), .. } => {
                ["key", "crt"].map(|end| format!("{pki}/{}.{end}", id.base())).to_vec()
            }
            Step::SucceedAuthority { id } => {
                let base = format!("{pki}/{}", id.base());
                vec![format!("{base}.crt"), format!("{base}.key"), format!("{pki}/{}", id.cross())]
            }
            Step::DropAuthority { id } => vec![format!("{pki}/{}.crt", id.base())],
            Step::GenerateServiceAccountKey { new_key } => {
                let mut paths = vec![format!("{pki}/sa.pub")];
                paths.extend(new_key.then(|| format!("{pki}/sa.key")));
                paths
            }
            Step::WriteKubeconfig { id, .. } | Step::Import { id: Renewable::Kubeconfig(id), .. } => {
                vec![layout::kubeconfig(id.file())]
            }
            Step::RotateKubeletCertificate { .. } | Step::Kubelet { action: KubeletAction::Alone } => {
                vec![layout::kubeconfig(KubeconfigId::Kubelet.file())]
            }
            Step::WriteManifest { component, .. } => vec![component.path()],
            Step::StartBeside => vec![manifest::beside::path()],
            Step::UnpackSnapshot { .. } => vec![manifest::unpack::path()],
            Step::SetMode { .. }
            | Step::Remove { .. }
            | Step::SnapshotEtcd
            | Step::SwapEtcdData { .. }
            | Step::DowngradeEtcd { .. }
            | Step::Kubelet { .. }
            | Step::EndBeside
            | Step::EndPod { .. }
            | Step::AwaitApiServer
            | Step::Prove { .. }
            | Step::ProveServed { .. }
            | Step::BindAdministrators
            | Step::MarkNode
            | Step::ApplyObjects { .. }
            | Step::MakeBootstrapToken { .. }
            | Step::RenewKubeletCertificate
            | Step::RelinkKubeletCertificate
            | Step::UploadCertificates => vec![],
        }
    }

    pub(super) fn store_inventory(&self) -> Result<()> {
        let file = Publish {
            path: layout::INVENTORY.into(),
            content: Zeroizing::new(self.inventory.to_bytes()),
            mode: 0o600,
            replace: true,
        };
        self.files.publish(&[file]).map_err(|error| failed(&error))
    }

    pub(super) fn stage(&mut self, path: String, content: Zeroizing<Vec<u8>>, mode: u32, replace: bool) {
        self.batch.push(Publish { path, content, mode, replace });
    }

    /// Publishes what is staged.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.keep_edits(&batch)?;
        let written: Vec<_> = batch.iter().map(|file| (file.path.clone(), observe::sha256(&file.content))).collect();
        self.files.publish(&batch).map_err(|error| failed(&error))?;
        // Only now: a digest of what never got its name would make the old content look edited.
        for (path, digest) in written {
            let saved = self.generation.and_then(|generation| generation.files.get(&path));
            let pod = saved.filter(|saved| saved.digest() == digest).and_then(|saved| saved.pod.clone());
            self.inventory.record_pod(&path, digest, pod);
        }
        Ok(())
    }

    /// Keeps what files say that somebody edited, before they are replaced.
    ///
    /// Who edits a file while a run is going on is not in its plan: the run ends, and the file stays until the way back, which has no
    /// choice.
    fn keep_edits(&mut self, batch: &[Publish]) -> Result<()> {
        let mut surprises = vec![];
        for file in batch.iter().filter(|file| file.replace) {
            let Some(now) = self.files.read(&file.path).map_err(|error| failed(&error))? else { continue };
            let digest = observe::sha256(&now);
            let planned = self.seen.files.get(&file.path).is_some_and(|state| state.digest == digest);
            let is_ours = self.inventory.records(&file.path, &digest) || digest == observe::sha256(&file.content);
            match () {
                () if is_ours || (planned && !self.seen.inventory.is_edited(&file.path, &digest)) => {}
                () if planned || self.generation.is_some() => self.keep_edit(&file.path, now)?,
                () => surprises.push(file.path.clone()),
            }
        }
        if surprises.is_empty() {
            return Ok(());
        }
        // None of them is replaced, so what was recorded of them stands.
        for file in batch {
            match self.seen.files.get(&file.path).filter(|state| !state.digest.is_empty()) {
                Some(state) => self.inventory.record(&file.path, state.digest.clone()),
                None => self.inventory.erase(&file.path),
            }
        }
        Err(edited(surprises))
    }

    fn keep_edit(&mut self, path: &str, content: Zeroizing<Vec<u8>>) -> Result<()> {
        let since = self.seen.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let copy = format!("{}/{since}{}", layout::EDITED, path.replace('/', "_"));
        self.files.ensure_directory(layout::EDITED, 0o700).map_err(|error| failed(&error))?;
        let file = Publish { path: copy.clone(), content, mode: 0o600, replace: true };
        self.files.publish(&[file]).map_err(|error| failed(&error))?;
        let problem = Problem::new(path, format!("somebody edited it; what it said is kept in {copy}"));
        self.reporter.event(&Event::Warning { problem });
        Ok(())
    }

    pub(super) fn write_manifest(&mut self, component: Component) -> Result<()> {
        // The digest of the files that it mounts is only known when they are on disk.
        let staged = manifest::files_read_once(component, self.config);
        if self.batch.iter().any(|file| staged.contains(&file.path)) {
            self.flush()?;
        }
        let inputs = observe::inputs(self.config, self.files).map_err(|error| failed(&error))?;
        let manifest = manifest::render(component, self.config, &inputs)?;
        self.stage(component.path(), Zeroizing::new(manifest.text.into_bytes()), 0o600, true);
        Ok(())
    }

    pub(super) fn restore(&mut self, path: &str) -> Result<()> {
        let saved = self.generation.and_then(|generation| generation.files.get(path));
        let saved = saved.ok_or_else(|| Error::new(Kind::Step, format!("no generation to restore {path} from")))?;
        let content = Zeroizing::new(saved.content.expose().to_vec());
        let (directory, _) = path.rsplit_once('/').unwrap_or_default();
        self.files.ensure_directory(directory, 0o755).map_err(|error| failed(&error))?;
        self.stage(path.to_owned(), content, saved.mode, true);
        Ok(())
    }

    pub(super) async fn remove(&mut self, path: &str) -> Result<()> {
        self.flush()?;
        let beside = path == manifest::beside::path();
        if beside {
            self.put_switch_back();
        }
        self.files.remove(path).map_err(|error| failed(&error))?;
        if beside {
            self.see_beside_end().await?;
        }
        self.inventory.erase(path);
        Ok(())
    }
}

/// Files that somebody edited while a run was going on.
pub(super) fn edited(paths: Vec<String>) -> Error {
    let problem = |path| Problem::new(path, "somebody edited it while this run was going on");
    let problems = paths.into_iter().map(problem).collect();
    Error::problems(Kind::Drift, "files were edited while this run was going on", problems)
        .hint("put the change into the configuration, and run the same command again")
}
