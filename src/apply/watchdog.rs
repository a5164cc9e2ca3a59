//! The watchdog: a unit that waits until the run that changes something is gone, and puts back what it left unfinished.
//!
//! The run holds the lock and the kernel lets go of it when the run dies, however it dies. The unit is enabled, so a
//! change that was cut short by a power loss is put back after the next boot.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use super::generations::Generations;
use super::transaction::put_back;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Reporter};
use crate::host;
use crate::host::fs::{Files, Publish};
use crate::host::lock;
use crate::host::service::{self, ServiceError};
use crate::layout;
use crate::observe::sha256;
use crate::plan::Inventory;

/// How often it is asked whether the run is gone.
const PERIOD: Duration = Duration::from_millis(250);

const UNIT: &str = "kubekeel-watchdog";

fn unit(program: &str) -> String {
    format!(
        "\
# Puts back what a change that died left unfinished. Written by kubekeel.
[Unit]
Description=Finishes an interrupted change of the control plane
After=containerd.service crio.service kubelet.service

[Service]
ExecStart={program} watchdog
Restart=on-failure
RestartSec=10

[Install]
WantedBy=multi-user.target
",
    )
}

/// Writes the unit when it is not there yet. It must be started before the change is recorded as pending: a run that dies
/// in between has nobody else.
pub(super) async fn arm(files: &Files, inventory: &mut Inventory) -> Result<()> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, "cannot make the watchdog; nothing was changed").because(error)
    };
    let program = host::program().map_err(|error: io::Error| fail(&error))?;
    let text = unit(&program.display().to_string());
    let there = files.read(layout::WATCHDOG).map_err(|error| fail(&error))?;
    if there.is_some_and(|bytes| bytes.as_slice() == text.as_bytes()) {
        return Ok(());
    }
    inventory.claim(layout::WATCHDOG);
    let publish = |path: &str, content: Vec<u8>, mode| {
        let file = Publish { path: path.to_owned(), content: Zeroizing::new(content), mode, replace: true };
        files.publish(&[file]).map_err(|error| fail(&error))
    };
    publish(layout::INVENTORY, inventory.to_bytes(), 0o600)?;
    publish(layout::WATCHDOG, text.clone().into_bytes(), 0o644)?;
    inventory.record(layout::WATCHDOG, sha256(text.as_bytes()));
    service::reload().await.map_err(|error: ServiceError| fail(&error))?;
    service::control("enable", UNIT).await.map_err(|error| fail(&error))
}

/// Starts the unit; it waits for the lock that the run holds.
pub(super) async fn release() -> Result<()> {
    service::launch(UNIT)
        .await
        .map_err(|error| Error::new(Kind::Step, "cannot start the watchdog; nothing was changed").because(&error))
}

/// Waits until the run that holds the lock is gone; then puts back what it left unfinished. Gives the generation that was
/// put back.
pub async fn watch(files: &Files, reporter: &mut dyn Reporter) -> Result<Option<u32>> {
    let generations = Generations::new(files);
    loop {
        if lock::is_held(layout::LOCK.as_ref())? {
            host::sleep(PERIOD).await;
            continue;
        }
        // Without a reason the lock is not taken: the next run may want it.
        if generations.pending()?.is_none() {
            return Ok(None);
        }
        match lock::take(layout::LOCK.as_ref(), "watchdog") {
            Err(error) if error.kind == Kind::Locked => {}
            Err(error) => return Err(error),
            Ok(_lock) => return recover(files, reporter).await,
        }
    }
}

/// Puts back what a run that died left unfinished, if one did; who calls holds the lock. Gives the generation that was put back.
pub async fn recover(files: &Files, reporter: &mut dyn Reporter) -> Result<Option<u32>> {
    let generations = Generations::new(files);
    let Some(pending) = generations.pending()? else { return Ok(None) };
    // A change that was proven and kept had only its record left to remove.
    let finished = generations.numbers()?.last().is_some_and(|newest| *newest > pending.from);
    let from = pending.from;
    if !finished {
        let because = format!("`{}` was not finished", pending.command);
        reporter.event(&Event::RollBack { generation: pending.from, because });
        put_back(&generations.load(pending.from)?, pending, files, reporter).await?;
    }
    generations.end()?;
    Ok((!finished).then_some(from))
}
