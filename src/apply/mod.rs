//! Applying a plan: the one match over [`Step`], in order, with a safe point before each.

pub mod adoption;
mod beside;
mod cluster;
mod downgrade;
mod files;
mod generations;
mod import;
mod keys;
mod kubelet;
mod pki;
mod restore;
mod rotation;
mod served;
pub(crate) mod snapshot;
mod timer;
mod transaction;
mod watchdog;
mod worker;

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Reporter};
use crate::generation::Generation;
use crate::host;
use crate::host::cri::Cri;
use crate::host::fs::{Files, Publish};
use crate::host::signal::Interrupt;
use crate::manifest::Component;
use crate::pki::CertificateId;
use crate::plan::{Inventory, Plan, Snapshot, Step};
use crate::prove::Prover;
use crate::token::{CertificateKey, Token};
use keys::KeyPool;
use pki::Authority;

pub use generations::{Generations, Pending};
pub use import::{Signed, signed};
pub use restore::EtcdData;
pub use timer::{Schedule, install_timer, remove_timer};
pub use transaction::Transaction;
pub use watchdog::{recover, watch};
pub use worker::Worker;

/// What the steps work on.
pub struct Applier<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The node's files.
    pub files: &'a Files,
    /// Safe points.
    pub interrupt: &'a Interrupt,
    /// Who is told.
    pub reporter: &'a mut dyn Reporter,
    /// Where restored files come from.
    generation: Option<&'a Generation>,
    inventory: Inventory,
    /// Files that are made and not yet published: they are synced together, which costs one wait instead of many.
    batch: Vec<Publish>,
    authorities: BTreeMap<CertificateId, Authority>,
    keys: KeyPool,
    /// What the plan was made from.
    seen: &'a Snapshot,
    made: Made,
    /// kubelet.conf as it was, while the kubelet runs without an API server.
    kubeconfig: Option<Zeroizing<Vec<u8>>>,
}

/// Secrets that a plan made and that somebody has to be told.
#[derive(Debug, Default)]
pub struct Made {
    /// The first bootstrap token.
    pub token: Option<Token>,
    /// The key of the uploaded certificates.
    pub certificate_key: Option<CertificateKey>,
    /// Static pods that were restarted although the plan did not say so, each for a reason that was told.
    pub restarted: Vec<Component>,
}

/// Applies a plan that has no refusals; `generation` is the one that it puts back, if it does.
pub async fn apply(
    plan: &Plan,
    seen: &Snapshot,
    config: &Config,
    files: &Files,
    interrupt: &Interrupt,
    reporter: &mut dyn Reporter,
    generation: Option<&Generation>,
) -> Result<Made> {
    let keys = KeyPool::start(config.cluster.key_algorithm, plan.steps.iter().map(keys::needed).sum());
    let mut applier = Applier {
        config,
        files,
        interrupt,
        reporter,
        generation,
        inventory: seen.inventory.clone(),
        batch: vec![],
        authorities: BTreeMap::new(),
        keys,
        seen,
        made: Made::default(),
        kubeconfig: None,
    };
    applier.sweep()?;
    let settled = applier.settle(plan, seen);
    if plan.changes_anything() {
        applier.claim(plan)?;
    } else if settled {
        applier.store_inventory()?;
    }
    let result = applier.steps(plan).await;
    if plan.changes_anything() {
        // What was written is recorded whatever came after it.
        let stored = applier.store_inventory();
        result.and(stored)?;
    } else {
        result?;
    }
    Ok(applier.made)
}

impl Applier<'_> {
    async fn steps(&mut self, plan: &Plan) -> Result<()> {
        for (index, step) in plan.steps.iter().enumerate() {
            self.interrupt.check()?;
            self.reporter.event(&Event::Step { number: index + 1, total: plan.steps.len(), text: step.to_string() });
            self.step(step).await?;
        }
        self.flush()
    }

    async fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::EnsureDirectory { path, mode } => {
                self.files.ensure_directory(path, *mode).map_err(|error| failed(&error))
            }
            Step::IssueCertificate { id, new_key, reason } => self.issue_certificate(*id, *new_key, reason),
            Step::Import { id, directory } => self.import(*id, directory),
            Step::SucceedAuthority { id } => self.succeed_authority(*id),
            Step::DropAuthority { id } => self.drop_authority(*id),
            Step::GenerateServiceAccountKey { new_key } => self.generate_service_account_key(*new_key),
            Step::WriteKubeconfig { id, .. } => self.write_kubeconfig(*id),
            Step::WriteFile { path, mode, content, .. } => {
                self.stage(path.clone(), Zeroizing::new(content.clone().into_bytes()), *mode, true);
                Ok(())
            }
            Step::SetMode { path, mode } => self.files.set_mode(path, *mode).map_err(|error| failed(&error)),
            Step::WriteManifest { component, .. } => self.write_manifest(*component),
            Step::Restore { path, .. } => self.restore(path),
            Step::Remove { path } => self.remove(path).await,
            Step::DowngradeEtcd { minor } => downgrade::run(self.config, self.files, minor, self.reporter).await,
            Step::UnpackSnapshot { snapshot, directory } => self.unpack_snapshot(snapshot, directory).await,
            Step::SwapEtcdData { directory } => self.swap_etcd_data(directory),
            Step::SnapshotEtcd => self.snapshot_etcd().await,
            Step::Kubelet { action } => self.kubelet(*action).await,
            Step::StartBeside => self.start_beside().await,
            Step::EndBeside => self.end_beside().await,
            Step::EndPod { component, grace } => self.end_pod(*component, *grace).await,
            Step::AwaitApiServer => self.await_api_server().await,
            Step::Prove { components } => {
                self.flush()?;
                self.prover().prove(components).await
            }
            Step::ProveServed { components } => self.prove_served(components).await,
            Step::BindAdministrators => self.bind_administrators().await,
            Step::MarkNode => self.mark_node().await,
            Step::ApplyObjects { parts, titles } => self.apply_objects(parts, titles).await,
            Step::MakeBootstrapToken { index } => self.make_bootstrap_token(*index).await,
            Step::UploadCertificates => self.upload_certificates().await,
            Step::RotateKubeletCertificate { awaited } => self.rotate_kubelet_certificate(*awaited).await,
            Step::RenewKubeletCertificate => self.renew_kubelet_certificate(),
            Step::RelinkKubeletCertificate => self.relink_kubelet_certificate(),
        }
    }

    fn prover(&mut self) -> Prover<'_> {
        let mut prover = Prover::new(self.config, self.files, self.interrupt, self.reporter);
        prover.digests.extend(self.inventory.adopted_pods());
        prover
    }

    /// Saves a snapshot of etcd, and records it for who may have to put it back.
    async fn snapshot_etcd(&mut self) -> Result<()> {
        let etcd = snapshot::connect(self.config, self.files).await?;
        let members = etcd.members().await.map_err(|error| failed(&error))?;
        let path = snapshot::save(self.config, self.files, self.seen.now, self.reporter).await?;
        let generations = Generations::new(self.files);
        match generations.pending()? {
            Some(pending) => generations.begin(&Pending { before: Some(path), members, ..pending }),
            None => Ok(()),
        }
    }

    async fn end_pod(&mut self, component: Component, grace: u32) -> Result<()> {
        self.flush()?;
        let fail = |error: &crate::host::cri::CriError| {
            Error::new(Kind::Step, format!("cannot end the running {}", component.name())).because(error)
        };
        let cri = Cri::connect(&self.config.node.cri_socket).await.map_err(|error| fail(&error))?;
        for run in cri.static_pods().await.map_err(|error| fail(&error))? {
            if run.name == component.name() && run.is_alive() {
                cri.end_pod(&run, grace).await.map_err(|error| fail(&error))?;
                host::fault::point("pod ended");
            }
        }
        Ok(())
    }

    /// Waits for the API server, and has it accept mirror pods as early as it can.
    ///
    /// The kubelet makes the mirror pods of what it runs once, when the Node is registered; one that is refused then comes
    /// at the pod's next sync, 60-90 s later. The API server makes the priority class that they need only a second after
    /// it starts, and in that second kubelets register.
    async fn await_api_server(&mut self) -> Result<()> {
        self.flush()?;
        let mut prover = self.prover();
        let api = prover.api().await.ok();
        let prepare = async {
            let Some(api) = api else { return };
            while api.create_node_critical_class().await.is_err() {
                host::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::pin!(prepare);
        let ready = prover.await_api_server();
        tokio::pin!(ready);
        tokio::select! {
            result = &mut ready => result,
            () = &mut prepare => ready.await,
        }
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Step, "a step failed")
        .because(error)
        .hint("run the same command again when the cause is gone: it goes on with what is left")
}
