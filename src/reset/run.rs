//! Carrying a reset out: past every error, and with all of them told in the end.

use std::time::Duration;

use super::{Action, Left, Plan, snapshots_stay};
use crate::apply::snapshot;
use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::host;
use crate::host::cri::Cri;
use crate::host::fs::Files;
use crate::host::service;
use crate::host::signal::Interrupt;
use crate::host::tree;
use crate::layout;

/// How long a container may take to end once it was killed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Run<'a> {
    config: &'a Config,
    files: &'a Files,
    problems: Vec<Problem>,
    /// Sandboxes that did not end: what they write to stays.
    alive: bool,
}

/// Carries out the steps; gives what stays beside what the plan said, and how it went. `unswept` failed before.
pub async fn run(
    plan: &Plan,
    config: &Config,
    files: &Files,
    unswept: Vec<Problem>,
    interrupt: &Interrupt,
    reporter: &mut dyn Reporter,
) -> (Vec<Left>, Result<()>) {
    let mut run = Run { config, files, problems: unswept, alive: false };
    let mut left = vec![];
    for (index, step) in plan.steps.iter().enumerate() {
        if let Err(mut stopped) = interrupt.check() {
            // What failed until then is not forgotten.
            stopped.problems = run.problems;
            return (left, Err(stopped));
        }
        reporter.event(&Event::Step { number: index + 1, total: plan.steps.len(), text: step.to_string() });
        if run.alive && matches!(step, Action::RemoveTree { path } if path.ends_with("/member")) {
            left.push(Left { what: step.to_string(), why: "not while etcd may still write to it".into() });
            continue;
        }
        match run.step(step, reporter).await {
            Err(problem) if matches!(step, Action::SnapshotEtcd) => {
                // etcd may be the very reason for the reset.
                reporter.event(&Event::Warning { problem });
                left.extend(files.entry(layout::SNAPSHOTS).map(|_| snapshots_stay()));
            }
            Err(problem) => run.problems.push(problem),
            Ok(more) => left.extend(more),
        }
    }
    let result = run.end();
    (left, result)
}

/// The error that tells all problems.
pub fn failed(problems: Vec<Problem>) -> Error {
    let message = format!("{} steps of the reset failed; the others are done", problems.len());
    Error::problems(Kind::Step, message, problems)
        .hint("run `kubekeel reset` again when the causes are gone: it goes on with what is left")
}

impl Run<'_> {
    async fn step(&mut self, step: &Action, reporter: &mut dyn Reporter) -> Result<Option<Left>, Problem> {
        let failed = |error: &dyn std::error::Error| problem(&step.to_string(), error);
        match step {
            Action::SnapshotEtcd => {
                let saved = snapshot::save(self.config, self.files, host::now(), reporter).await;
                saved.map_err(|error| {
                    Problem::new("etcd", format!("no snapshot could be made: {error}")).hint(
                        "what etcd held is removed with its directory; interrupt now, or use --keep-etcd, to keep it",
                    )
                })?;
                return Ok(Some(snapshots_stay()));
            }
            Action::DisableUnit { unit } => {
                service::disable(unit).await.map_err(|error| failed(&error))?;
            }
            Action::StopKubelet => service::control("stop", service::KUBELET).await.map_err(|error| failed(&error))?,
            Action::RemoveFile { path } => self.files.remove(path).map_err(|error| failed(&error))?,
            Action::EndPod { sandbox, .. } => {
                let cri = Cri::connect(&self.config.node.cri_socket).await.map_err(|error| failed(&error))?;
                let ended = cri.end_sandbox(sandbox).await;
                host::fault::point("sandbox ended");
                ended.map_err(|error| failed(&error))?;
            }
            Action::AwaitEnd { sandboxes } => {
                let alive = self.await_end(sandboxes).await.inspect_err(|_| self.alive = true)?;
                if !alive.is_empty() {
                    self.alive = true;
                    let message = format!("{} did not end within {} s", alive.join(", "), PATIENCE.as_secs());
                    return Err(Problem::new("container runtime", message).hint("read its log, and reset again"));
                }
            }
            Action::Unmount { path } => tree::unmount(path).map_err(|error| failed(&error))?,
            Action::RemoveTree { path } => self.files.remove_tree(path).map_err(|errors| {
                let words: Vec<_> = errors.iter().map(chain).collect();
                Problem::new(path, words.join("; "))
            })?,
            Action::RemoveDirectory { path } => {
                if !self.files.remove_empty_directory(path).map_err(|error| failed(&error))? {
                    return Ok(Some(Left { what: path.clone(), why: "something came into it meanwhile".into() }));
                }
            }
            Action::ReloadUnits => service::reload().await.map_err(|error| failed(&error))?,
        }
        Ok(None)
    }

    /// The pods of which something still runs once the time is up.
    async fn await_end(&self, sandboxes: &[String]) -> Result<Vec<String>, Problem> {
        let began = std::time::Instant::now();
        loop {
            let fail = |error: &dyn std::error::Error| problem("container runtime", error);
            let cri = Cri::connect(&self.config.node.cri_socket).await.map_err(|error| fail(&error))?;
            let all = cri.sandboxes().await.map_err(|error| fail(&error))?;
            let alive = all.into_iter().filter(|sandbox| sandboxes.contains(&sandbox.id));
            let alive: Vec<_> = alive.map(|sandbox| format!("{}/{}", sandbox.namespace, sandbox.name)).collect();
            if alive.is_empty() || began.elapsed() > PATIENCE {
                return Ok(alive);
            }
            host::sleep(Duration::from_millis(100)).await;
        }
    }

    /// When everything is gone nothing has to be remembered.
    fn end(self) -> Result<()> {
        if self.problems.is_empty() { self.forget() } else { Err(failed(self.problems)) }
    }

    fn forget(&self) -> Result<()> {
        let fail = |error: &dyn std::error::Error| {
            Error::problems(Kind::Step, "cannot remove the inventory", vec![problem(layout::INVENTORY, error)])
        };
        self.files.remove(layout::INVENTORY).map_err(|error| fail(&error))?;
        self.files.remove_empty_directory(layout::STATE).map(drop).map_err(|error| fail(&error))
    }
}

fn problem(subject: &str, error: &dyn std::error::Error) -> Problem {
    Problem::new(subject, chain(error))
}

fn chain(error: &(impl std::error::Error + ?Sized)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
