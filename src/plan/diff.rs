//! From what is wanted and what was seen to the steps between them.

use std::collections::BTreeSet;

use similar::TextDiff;

use super::{Change, KubeletAction, Options, Plan, Reason, Snapshot, Step, Turn, cluster, pods};
use crate::config::Config;
use crate::error::{Problem, Result};
use crate::kubeconfig;
use crate::kubelet;
use crate::layout;
use crate::manifest::{self, Component, NodeInputs};
use crate::phase::Want;
use crate::pki::{self, CertificateId, KubeconfigId, Renewable};

/// Makes the plan.
pub fn plan(wants: &[Want], config: &Config, seen: &Snapshot, options: Options) -> Result<Plan> {
    let mut planner = Planner::new(config, seen, options);
    planner.directories(wants);
    for want in wants {
        match *want {
            Want::Certificate(id) => planner.certificate(id),
            Want::ServiceAccountKey => planner.service_account_key(),
            Want::Kubeconfig(id) => planner.kubeconfig(id),
            Want::Preflight
            | Want::StaticPod(_)
            | Want::Kubelet
            | Want::KubeletFiles
            | Want::Proof
            | Want::NodeMarks
            | Want::Objects(_)
            | Want::UploadedCertificates
            | Want::KubeletRotation
            | Want::JoinCommand => {}
        }
    }
    let kubelet_files = wants.iter().any(|want| matches!(want, Want::Kubelet | Want::KubeletFiles));
    let mut kubelet_changes = if kubelet_files { planner.kubelet_files()? } else { false };
    kubelet_changes |= planner.touched.contains(&layout::kubeconfig(KubeconfigId::Kubelet.file()));
    pods::plan(&mut planner, wants, kubelet_changes)?;
    pods::served(&mut planner, wants.contains(&Want::Proof));
    cluster::plan(&mut planner, wants)?;
    Ok(planner.plan)
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) config: &'a Config,
    pub(super) seen: &'a Snapshot,
    pub(super) options: Options,
    pub(super) plan: Plan,
    /// Paths that earlier steps change.
    pub(super) touched: BTreeSet<String>,
    /// What the manifests take from the node when those steps are done, but for the digests of what they write.
    pub(super) inputs: NodeInputs,
}

impl<'a> Planner<'a> {
    pub(super) fn new(config: &'a Config, seen: &'a Snapshot, options: Options) -> Self {
        let inputs = seen.inputs.clone();
        Self { config, seen, options, plan: Plan::default(), touched: BTreeSet::new(), inputs }
    }

    fn directories(&mut self, wants: &[Want]) {
        let has = |test: fn(&Want) -> bool| wants.iter().any(test);
        let certificates_dir = self.config.cluster.certificates_dir.clone();
        let pki = has(|want| matches!(want, Want::Certificate(_) | Want::ServiceAccountKey));
        let pods = has(|want| matches!(want, Want::StaticPod(_)));
        let etcd = wants.contains(&Want::StaticPod(Component::Etcd));
        let directories = [
            (layout::STATE.to_owned(), 0o700, true),
            (layout::KUBERNETES.to_owned(), 0o755, pki || pods || has(|want| matches!(want, Want::Kubeconfig(_)))),
            (certificates_dir.clone(), 0o755, pki),
            (format!("{certificates_dir}/etcd"), 0o755, pki && self.config.cluster.external_etcd.is_none()),
            (self.config.cluster.etcd.data_dir.clone(), 0o700, etcd),
            (layout::KUBELET.to_owned(), 0o700, has(|want| matches!(want, Want::Kubelet | Want::KubeletFiles))),
            (layout::MANIFESTS.to_owned(), 0o700, pods),
        ];
        for (path, mode, wanted) in directories {
            if wanted && !self.seen.files.contains_key(&path) {
                self.plan.steps.push(Step::EnsureDirectory { path, mode });
            }
        }
    }

    fn certificate(&mut self, id: CertificateId) {
        let base = format!("{}/{}", self.config.cluster.certificates_dir, id.base());
        let (certificate_path, key_path) = (format!("{base}.crt"), format!("{base}.key"));
        if self.imports(Renewable::Certificate(id), &[&certificate_path, &key_path]) || self.rotates(id) {
            return;
        }
        let external = id.signer().is_some_and(|signer| self.is_external(signer));
        let ours = self.seen.inventory.owns(&certificate_path);
        let state = self.seen.certificates.get(&id);
        let key = state.and_then(|state| state.key.as_ref());
        let certificate = state.and_then(|state| state.certificate.as_ref());

        if let Some(Err(error)) = key {
            return self.refuse(&key_path, format!("the key is unreadable: {error}"), KEEP_HINT);
        }
        let misfits: Vec<String> = match certificate {
            None if external => return self.refuse(&certificate_path, EXTERNAL, EXTERNAL_HINT),
            None => {
                if key.is_some() && !self.seen.inventory.owns(&key_path) {
                    return self.refuse(&certificate_path, "there is a key, but its certificate is missing", KEEP_HINT);
                }
                let new_key = key.is_none();
                return self.issue(id, Reason::Missing, new_key, &certificate_path, &key_path);
            }
            Some(Err(error)) => vec![format!("it is unreadable: {error}")],
            Some(Ok(certificate)) => {
                let profile = pki::profile(id, self.config);
                let issuer = profile.signer.and_then(|signer| self.authority(signer));
                let mut misfits: Vec<_> = pki::misfits(certificate, &profile, issuer, self.seen.now)
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                match key {
                    // An authority elsewhere: what it has to sign is judged one by one.
                    None if id.signer().is_none() => {}
                    None => misfits.push("its key is missing".into()),
                    Some(Ok(spki)) if *spki != certificate.spki => misfits.push("its key is another one".into()),
                    Some(_) => {}
                }
                misfits
            }
        };
        let signer_changes = id.signer().is_some_and(|signer| {
            self.touched.contains(&format!("{}/{}.crt", self.config.cluster.certificates_dir, signer.base()))
        });
        let requested = self.renews(Renewable::Certificate(id), &certificate_path, external);
        if misfits.is_empty() && !signer_changes && !requested {
            self.plan.kept.push(certificate_path.clone());
            return self.narrow(&key_path, 0o600);
        }
        if external {
            return self.refuse(&certificate_path, misfits.join("; "), EXTERNAL_HINT);
        }
        if id.signer().is_none() {
            // Everything hangs on an authority: replacing it is a rotation, never a repair.
            return self.refuse(
                &certificate_path,
                misfits.join("; "),
                "put the matching authority back, or remove both files to start anew",
            );
        }
        if !ours {
            let all =
                if misfits.is_empty() { "its certificate authority is new".to_owned() } else { misfits.join("; ") };
            return self.refuse(
                &certificate_path,
                all,
                "move the file and its key away; kubekeel then issues a fitting one",
            );
        }
        let reason = Reason::of(misfits, requested);
        self.issue(id, reason, key.is_none() || requested, &certificate_path, &key_path);
    }

    /// Whether an authority is there without its key: it signs elsewhere.
    pub(super) fn is_external(&self, id: CertificateId) -> bool {
        let state = self.seen.certificates.get(&id);
        state.is_some_and(|state| matches!(state.certificate, Some(Ok(_))) && state.key.is_none())
    }

    fn authority(&self, id: CertificateId) -> Option<&pki::Certificate> {
        self.seen.certificates.get(&id)?.certificate.as_ref()?.as_ref().ok()
    }

    /// Refuses once what an authority would have to sign when it is neither there nor made by an earlier step.
    fn needs_authority(&mut self, id: CertificateId) {
        let base = format!("{}/{}", self.config.cluster.certificates_dir, id.base());
        let (path, key) = (format!("{base}.crt"), format!("{base}.key"));
        let whole = self
            .seen
            .certificates
            .get(&id)
            .is_some_and(|state| matches!(state.certificate, Some(Ok(_))) && matches!(state.key, Some(Ok(_))));
        let told = self.plan.refusals.iter().any(|refusal| refusal.subject == path || refusal.subject == key);
        if let Some(Some(Err(error))) = self.seen.certificates.get(&id).map(|state| &state.key)
            && !told
        {
            return self.refuse(&key, format!("the key is unreadable: {error}"), KEEP_HINT);
        }
        if !whole && !told && !self.touched.contains(&path) {
            let hint = format!("run `kubekeel init phase certs {}` first, or the whole `kubekeel init`", id.name());
            self.refuse(&path, "the certificate authority, or its key, is missing", &hint);
        }
    }

    fn issue(&mut self, id: CertificateId, reason: Reason, new_key: bool, certificate_path: &str, key_path: &str) {
        if let Some(signer) = id.signer() {
            self.needs_authority(signer);
        }
        self.touched.insert(certificate_path.to_owned());
        if new_key {
            self.touched.insert(key_path.to_owned());
        }
        self.plan.steps.push(Step::IssueCertificate { id, reason, new_key });
    }

    fn service_account_key(&mut self) {
        let directory = &self.config.cluster.certificates_dir;
        let (private, public) = (format!("{directory}/sa.key"), format!("{directory}/sa.pub"));
        match &self.seen.service_account {
            Some(Err(error)) => self.refuse(&private, format!("the key is unreadable: {error}"), KEEP_HINT),
            Some(Ok(true)) => {
                self.plan.kept.push(private.clone());
                self.narrow(&private, 0o600);
            }
            Some(Ok(false)) if self.seen.files.contains_key(&public) && !self.seen.inventory.owns(&public) => {
                self.refuse(&public, "it is not the public half of sa.key", KEEP_HINT);
            }
            Some(Ok(false)) => {
                self.touched.insert(public);
                self.plan.steps.push(Step::GenerateServiceAccountKey { new_key: false });
            }
            None if self.seen.files.contains_key(&public) && !self.seen.inventory.owns(&public) => {
                self.refuse(&public, "there is a public key, but sa.key is missing", KEEP_HINT);
            }
            None => {
                self.touched.extend([private, public]);
                self.plan.steps.push(Step::GenerateServiceAccountKey { new_key: true });
            }
        }
    }

    fn kubeconfig(&mut self, id: KubeconfigId) {
        let path = layout::kubeconfig(id.file());
        let authority = format!("{}/ca.crt", self.config.cluster.certificates_dir);
        if self.imports(Renewable::Kubeconfig(id), &[&path]) {
            return;
        }
        let external = self.is_external(CertificateId::Ca);
        let misfits = match self.seen.kubeconfigs.get(&id) {
            None if external => return self.refuse(&path, EXTERNAL, EXTERNAL_HINT),
            // Who took super-admin.conf away did so on purpose.
            None if self.options.in_use && id == KubeconfigId::SuperAdmin => return,
            None => {
                self.needs_authority(CertificateId::Ca);
                self.touched.insert(path);
                return self.plan.steps.push(Step::WriteKubeconfig { id, reason: Reason::Missing });
            }
            Some(Err(error)) => vec![format!("it is unreadable: {error}")],
            Some(Ok(state)) => self.kubeconfig_misfits(id, state),
        };
        let requested = self.renews(Renewable::Kubeconfig(id), &path, external);
        if misfits.is_empty() && !self.touched.contains(&authority) && !requested {
            self.plan.kept.push(path.clone());
            return self.narrow(&path, 0o600);
        }
        if external {
            return self.refuse(&path, misfits.join("; "), EXTERNAL_HINT);
        }
        if !self.seen.inventory.owns(&path) {
            let all =
                if misfits.is_empty() { "the certificate authority is new".to_owned() } else { misfits.join("; ") };
            return self.refuse(&path, all, "move the file away; kubekeel then writes a fitting one");
        }
        let reason = Reason::of(misfits, requested);
        self.needs_authority(CertificateId::Ca);
        self.touched.insert(path);
        self.plan.steps.push(Step::WriteKubeconfig { id, reason });
        let begins = self.options.rotation.as_ref().is_some_and(|rotation| rotation.turn == Turn::Begin);
        if id == KubeconfigId::Kubelet && (requested || begins) {
            self.plan.steps.push(Step::RenewKubeletCertificate);
        }
    }

    fn kubeconfig_misfits(&self, id: KubeconfigId, state: &super::KubeconfigState) -> Vec<String> {
        let mut misfits = vec![];
        let server = kubeconfig::server(id, self.config);
        if state.server != server {
            misfits.push(format!("its server is {}, not {server}", state.server));
        }
        if !state.authority_matches {
            misfits.push("its certificate authority is another one".into());
        }
        match &state.certificate {
            None => {}
            Some(Err(error)) => misfits.push(format!("its client certificate is unreadable: {error}")),
            Some(Ok(certificate)) => {
                let profile = pki::client_profile(id, self.config);
                let issuer = self.authority(CertificateId::Ca);
                misfits
                    .extend(pki::misfits(certificate, &profile, issuer, self.seen.now).iter().map(ToString::to_string));
                if !state.key_matches {
                    misfits.push("its client key is another one".into());
                }
            }
        }
        misfits
    }

    /// Plans the kubelet's files; true when one changes.
    fn kubelet_files(&mut self) -> Result<bool> {
        let mut changes = false;
        for file in kubelet::files(self.config, self.seen.resolved)? {
            let path = file.path.to_owned();
            let Some(change) = self.change(&path, &file.text) else {
                self.narrow(&path, file.mode);
                self.plan.kept.push(path);
                continue;
            };
            changes = true;
            self.touched.insert(path.clone());
            self.plan.steps.push(Step::WriteFile { path, mode: file.mode, content: file.text, change });
        }
        Ok(changes)
    }

    /// What becomes of a text file; `None` when it is right, or when it is somebody else's and stays.
    pub(super) fn change(&mut self, path: &str, wanted: &str) -> Option<Change> {
        let Some(state) = self.seen.files.get(path) else { return Some(Change::Create) };
        let text = state.text.as_deref().unwrap_or_default();
        // What was taken over as it is may be written otherwise.
        let recorded = self.seen.inventory.records(path, &state.digest);
        if text == wanted || (recorded && manifest::is_same_document(text, wanted)) {
            return None;
        }
        let diff = self.line_diff(text, wanted);
        if self.seen.inventory.is_edited(path, &state.digest) && !self.options.force {
            let drift = Problem::new(path, "somebody edited this file since kubekeel wrote it")
                .hint("put the change into the configuration, or replace the file with --force");
            self.plan.drift.push(drift);
            return None;
        }
        if !self.seen.inventory.owns(path) && !self.options.force {
            self.refuse(
                path,
                "the file is there already and kubekeel did not write it",
                "move it away, or replace it with --force",
            );
            return None;
        }
        Some(Change::Replace { diff })
    }

    pub(super) fn line_diff(&self, old: &str, new: &str) -> String {
        line_diff(old, new, self.options.context_lines.unwrap_or(CONTEXT))
    }

    pub(super) fn kubelet(&mut self, action: KubeletAction) {
        self.plan.steps.push(Step::Kubelet { action });
    }

    fn narrow(&mut self, path: &str, mode: u32) {
        if self.seen.files.get(path).is_some_and(|state| state.mode & !mode != 0) {
            self.plan.steps.push(Step::SetMode { path: path.to_owned(), mode });
        }
    }

    pub(super) fn refuse(&mut self, path: &str, message: impl Into<String>, hint: &str) {
        self.plan.refusals.push(Problem::new(path, message).hint(hint));
    }
}

pub(super) const EXTERNAL_KEY: &str = "the key of this certificate authority is not on this node";
pub(super) const EXTERNAL_KEY_HINT: &str = "rotate it where its key is";
const EXTERNAL: &str = "it is missing, and the key of its certificate authority is not on this node";
const EXTERNAL_HINT: &str = "have it signed where that key is: kubekeel certs generate-csr, then kubekeel certs import";
const KEEP_HINT: &str = "kubekeel never overwrites keys: put the matching file back, or move both away to start anew";

/// What becomes of a text file that has to say something; `None` when it says that already, in whatever layout.
pub fn change(current: Option<&str>, wanted: &str) -> Option<Change> {
    match current {
        None => Some(Change::Create),
        Some(text) if manifest::is_same_document(text, wanted) => None,
        Some(text) => Some(Change::Replace { diff: line_diff(text, wanted, CONTEXT) }),
    }
}

/// Lines of context that `diff -u` has.
pub(super) const CONTEXT: usize = 3;

/// A line diff, without a header.
pub(super) fn line_diff(old: &str, new: &str, context: usize) -> String {
    let laid_out = manifest::in_one_layout(old, new);
    let (old, new) = laid_out.as_ref().map_or((old, new), |(old, new)| (old.as_str(), new.as_str()));
    TextDiff::from_lines(old, new).unified_diff().context_radius(context).to_string()
}
