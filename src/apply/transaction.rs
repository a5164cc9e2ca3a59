//! A change as a whole: either the new state is proven and kept, or the generation before it is put back and proven.

use std::time::{Duration, Instant};

use super::files::edited;
use super::generations::{Generations, Pending};
use super::restore::{self, EtcdData};
use super::{downgrade, watchdog};
use crate::config::{Config, Input};
use crate::error::{Error, Problem, Result};
use crate::event::{Event, Reporter};
use crate::generation::Generation;
use crate::host::fs::Files;
use crate::host::service::ServiceStatus;
use crate::host::signal::Interrupt;
use crate::manifest::{self, Component};
use crate::observe;
use crate::plan::{self, Inventory, Plan, Snapshot, Step};
use crate::prove::Prover;

/// A change to a node with a proven generation.
pub struct Transaction<'a> {
    /// What makes it, for the history.
    pub command: String,
    /// The generation that is put back when it fails.
    pub from: &'a Generation,
    /// The generation that the plan puts in place, when it is a rollback.
    pub to: Option<&'a Generation>,
    /// What the new configuration is made of.
    pub input: &'a Input,
    /// The new configuration.
    pub config: &'a Config,
    /// The node's files.
    pub files: &'a Files,
    /// When the command began.
    pub began: Instant,
    /// How long the new pods have to go on running before they are kept.
    pub min_ready: Duration,
    /// What etcd held, when the change puts something else in its place.
    pub etcd_data: Option<EtcdData>,
    /// Whether all was well before: then a restart that the plan did not say is a fault of the change.
    pub was_well: bool,
    /// Safe points of the way there; the way back has none.
    pub interrupt: &'a Interrupt,
}

impl Transaction<'_> {
    /// Makes the change; gives the number of the generation that runs now.
    ///
    /// On an error the generation `from` runs again, proven, or the error says that it does not.
    pub async fn run(&self, plan: &Plan, seen: &Snapshot, reporter: &mut dyn Reporter) -> Result<u32> {
        let generations = Generations::new(self.files);
        let mut seen = seen.clone();
        let (from, command) = (self.from.number, self.command.clone());
        // What an earlier change left and nobody could put back is still to be put back if this one fails.
        let left = generations.pending().ok().flatten();
        let etcd_data = self.etcd_data.clone().or_else(|| left.as_ref()?.etcd_data.clone());
        let snapshot = left.and_then(|left| left.snapshot);
        let pending = Pending { from, command, etcd_data, before: None, members: 0, snapshot };
        if plan.changes_anything() {
            watchdog::arm(self.files, &mut seen.inventory).await?;
            watchdog::release().await?;
            generations.begin(&pending)?;
        }
        let applied = super::apply(plan, &seen, self.config, self.files, self.interrupt, reporter, self.to).await;
        // Keeping the generation belongs to the change: what cannot be put back later must not stay.
        let stayed = match applied {
            Ok(made) => {
                reporter.event(&Event::Proven { elapsed: self.began.elapsed() });
                self.stay(plan, &seen, &made.restarted, reporter).await
            }
            Err(error) => Err(error),
        };
        let kept = stayed.and_then(|()| generations.commit(&self.command, self.input));
        let error = match kept {
            Ok(number) => return generations.end().map(|()| number),
            Err(error) if !plan.changes_anything() => return Err(error),
            Err(error) => error,
        };
        let number = self.from.number;
        reporter.event(&Event::RollBack { generation: number, because: reason(&error) });
        let pending = generations.pending().ok().flatten().unwrap_or(pending);
        match Box::pin(put_back(self.from, pending, self.files, reporter)).await {
            Ok(lost) => {
                generations.end()?;
                let error = error.hint(format!("generation {number} was put back and is proven to run"));
                Err(lost.into_iter().fold(error, Error::hint))
            }
            Err(second) => Err(error
                .because(&second)
                .hint(format!("generation {number} could not be put back: {}", reason(&second)))
                .hint(format!("run `kubekeel rollback {number}` when the cause is gone"))),
        }
    }

    /// The stability window; and nothing happened that the plan did not say.
    async fn stay(
        &self,
        plan: &Plan,
        seen: &Snapshot,
        restarted: &[Component],
        reporter: &mut dyn Reporter,
    ) -> Result<()> {
        if !plan.changes_anything() {
            return Ok(());
        }
        let new: Vec<_> = plan.starts.iter().chain(&plan.restarts).chain(restarted).copied().collect();
        let all: Vec<_> = manifest::components(self.config).collect();
        let inventory = observe::inventory(self.files)?;
        let mut prover = Prover::new(self.config, self.files, self.interrupt, reporter);
        prover.digests.extend(inventory.adopted_pods());
        if !new.is_empty() && !self.min_ready.is_zero() {
            let text = format!("watch the new pods for {} s", self.min_ready.as_secs());
            prover.reporter.event(&Event::Work { text, done: 0, total: 1 });
            prover.stay(&all, self.min_ready).await?;
        }
        if self.was_well {
            let said = |pod: &Component| new.contains(pod) || plan.may_restart.contains(pod);
            prover.untouched(seen.pods.iter().flatten(), all.into_iter().filter(|pod| !said(pod))).await?;
        }
        self.unedited(seen, &inventory)
    }

    /// What is kept as proven is what was planned, and not what somebody made of it meanwhile.
    fn unedited(&self, seen: &Snapshot, inventory: &Inventory) -> Result<()> {
        let mut edits = vec![];
        for (path, _) in observe::paths(self.config) {
            let now = self.files.read(&path).map_err(|error| super::failed(&error))?;
            let Some(digest) = now.map(|bytes| observe::sha256(&bytes)) else { continue };
            let was = seen.files.get(&path).is_some_and(|state| state.digest == digest);
            if !was && inventory.is_edited(&path, &digest) {
                edits.push(path);
            }
        }
        if edits.is_empty() { Ok(()) } else { Err(edited(edits)) }
    }
}

fn reason(error: &Error) -> String {
    match &error.diagnosis {
        Some(diagnosis) => format!("{error}: {}", diagnosis.summary),
        None => error.to_string(),
    }
}

/// Puts a generation back and proves it; gives what that lost, when it lost something.
pub(super) async fn put_back(
    generation: &Generation,
    mut pending: Pending,
    files: &Files,
    reporter: &mut dyn Reporter,
) -> Result<Option<String>> {
    let config = generation.input.config()?;
    restore::put_back(pending.etcd_data.as_ref(), &config, files).await?;
    let mut seen = observe::observe(&config, files).await?;
    let mut plan = plan::rollback(generation, &config, &seen)?;
    let takes_back = plan.steps.iter().any(|step| matches!(step, Step::DowngradeEtcd { .. }));
    // After a boot the kubelet is still bringing up what was there; only an etcd that runs can take its data back.
    if takes_back
        && seen.kubelet.as_ref().is_some_and(ServiceStatus::is_running)
        && downgrade::wait_for_etcd(&config, files).await
    {
        seen = observe::observe(&config, files).await?;
        plan = plan::rollback(generation, &config, &seen)?;
    }
    // A newer etcd was put in place, and before that the change took a snapshot. Recorded, because whoever goes on after a death
    // finds the older etcd's manifest in place.
    if takes_back && pending.snapshot.is_none() {
        pending.snapshot.clone_from(&pending.before);
        Generations::new(files).begin(&pending)?;
    }
    // Whoever interrupted the way there does not want to stand between two generations.
    let never = Interrupt::default();
    let applied = Box::pin(super::apply(&plan, &seen, &config, files, &never, reporter, Some(generation))).await;
    let (error, snapshot) = match (applied, pending.snapshot) {
        (Ok(_), _) => return Ok(None),
        (Err(error), Some(snapshot)) if is_of_etcd(&error) && pending.members > 1 => {
            let members = pending.members;
            return Err(
                error.hint(format!("{snapshot} is of all {members} members of etcd: restore it on each of them"))
            );
        }
        (Err(error), Some(snapshot)) if is_of_etcd(&error) => (error, snapshot),
        (Err(error), _) => return Err(error),
    };
    let lost = format!("etcd holds what {snapshot} holds: what was written after it is lost ({})", reason(&error));
    reporter.event(&Event::Warning { problem: Problem::new("etcd", lost.clone()) });
    let seen = observe::observe(&config, files).await?;
    let plan = plan::restore(&snapshot, &config, &seen);
    Box::pin(super::apply(&plan, &seen, &config, files, &never, reporter, None)).await.map(|_| Some(lost))
}

fn is_of_etcd(error: &Error) -> bool {
    error.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.component == Component::Etcd.name())
}
