//! A change as a whole: either the new state is proven and kept, or the generation before it is put back and proven.

use super::generations::{Generations, Pending};
use super::watchdog;
use crate::config::{Config, Input};
use crate::error::{Error, Result};
use crate::event::{Event, Reporter};
use crate::generation::Generation;
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::observe;
use crate::plan::{self, Plan, Snapshot};

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
        if plan.changes_anything() {
            watchdog::arm(self.files, &mut seen.inventory).await?;
            generations.begin(&Pending { from: self.from.number, command: self.command.clone() })?;
            watchdog::release().await?;
        }
        let applied = super::apply(plan, &seen, self.config, self.files, self.interrupt, reporter, self.to).await;
        // Keeping the generation belongs to the change: what cannot be put back later must not stay.
        let kept = applied.and_then(|_| generations.commit(&self.command, self.input));
        let error = match kept {
            Ok(number) => return generations.end().map(|()| number),
            Err(error) if !plan.changes_anything() => return Err(error),
            Err(error) => error,
        };
        let number = self.from.number;
        reporter.event(&Event::RollBack { generation: number, because: reason(&error) });
        match put_back(self.from, self.files, reporter).await {
            Ok(()) => {
                generations.end()?;
                Err(error.hint(format!("generation {number} was put back and is proven to run")))
            }
            Err(second) => Err(error
                .because(&second)
                .hint(format!("generation {number} could not be put back: {}", reason(&second)))
                .hint(format!("run `kubekeel rollback {number}` when the cause is gone"))),
        }
    }
}

fn reason(error: &Error) -> String {
    match &error.diagnosis {
        Some(diagnosis) => format!("{error}: {}", diagnosis.summary),
        None => error.to_string(),
    }
}

/// Puts a generation back and proves it.
pub(super) async fn put_back(generation: &Generation, files: &Files, reporter: &mut dyn Reporter) -> Result<()> {
    let config = generation.input.config()?;
    let seen = observe::observe(&config, files).await?;
    let plan = plan::rollback(generation, &config, &seen)?;
    // Whoever interrupted the way there does not want to stand between two generations.
    super::apply(&plan, &seen, &config, files, &Interrupt::default(), reporter, Some(generation)).await.map(drop)
}
