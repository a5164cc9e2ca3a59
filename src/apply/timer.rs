//! A timer that renews certificates before they end: two units of systemd, ours in the inventory.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Problem, Result};
use crate::host;
use crate::host::fs::{Files, Publish};
use crate::host::service;
use crate::layout;
use crate::observe::{self, sha256};

/// When the timer goes off, and what it renews then.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// systemd's calendar expression (systemd.time(7)).
    pub calendar: String,
    /// What ends within this time is renewed.
    pub within: Duration,
}

const TIMER: &str = "kubekeel-certs-renew.timer";

impl Schedule {
    /// The units by path.
    fn units(&self, program: &str) -> [(&'static str, String); 2] {
        let within = match self.within.as_secs() {
            seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
            seconds => format!("{seconds}s"),
        };
        let service = format!(
            "\
# Renews the certificates of the control plane that end soon. Written by kubekeel.
[Unit]
Description=Renews certificates of the control plane before they end
After=containerd.service crio.service kubelet.service

[Service]
Type=oneshot
ExecStart={program} certs renew all --if-within {within}
",
        );
        // The nodes of a control plane must not restart at the same time.
        let timer = format!(
            "\
# Written by kubekeel.
[Unit]
Description=Looks whether certificates of the control plane end soon

[Timer]
OnCalendar={}
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
",
            self.calendar
        );
        [(layout::RENEWAL_SERVICE, service), (layout::RENEWAL_TIMER, timer)]
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Step, "cannot install the timer").because(error)
}

/// Writes the units and starts the timer; gives their paths.
pub async fn install_timer(schedule: &Schedule, files: &Files) -> Result<Vec<&'static str>> {
    service::check_calendar(&schedule.calendar).await.map_err(|error| {
        Error::new(Kind::Configuration, format!("{:?} is no calendar expression", schedule.calendar))
            .because(&error)
            .hint("write it like daily or Mon *-*-* 03:00, see systemd.time(7)")
    })?;
    let program = host::program().map_err(|error| failed(&error))?;
    let units = schedule.units(&program.display().to_string());
    let mut inventory = observe::inventory(files)?;
    let mut problems = vec![];
    for (path, _) in &units {
        if files.status(path).map_err(|error| failed(&error))?.is_some() && !inventory.owns(path) {
            problems
                .push(Problem::new(*path, "it is there already and kubekeel did not write it").hint("move it away"));
        }
    }
    if !problems.is_empty() {
        return Err(Error::problems(Kind::Preflight, "units are in the way; nothing was changed", problems));
    }
    let publish = |path: &str, content: Vec<u8>, mode| {
        let file = Publish { path: path.to_owned(), content: Zeroizing::new(content), mode, replace: true };
        files.publish(&[file]).map_err(|error| failed(&error))
    };
    for (path, _) in &units {
        inventory.claim(path);
    }
    files.ensure_directory(layout::STATE, 0o700).map_err(|error| failed(&error))?;
    publish(layout::INVENTORY, inventory.to_bytes(), 0o600)?;
    for (path, text) in &units {
        publish(path, text.clone().into_bytes(), 0o644)?;
        inventory.record(path, sha256(text.as_bytes()));
    }
    publish(layout::INVENTORY, inventory.to_bytes(), 0o600)?;
    service::reload().await.map_err(|error| failed(&error))?;
    service::control("enable", TIMER).await.map_err(|error| failed(&error))?;
    // A timer that runs takes a new calendar only when it starts again.
    service::control("restart", TIMER).await.map_err(|error| failed(&error))?;
    Ok(units.map(|(path, _)| path).to_vec())
}

/// Stops the timer and removes the units that are ours; gives their paths.
pub async fn remove_timer(files: &Files) -> Result<Vec<&'static str>> {
    let mut inventory = observe::inventory(files)?;
    let ours: Vec<_> =
        [layout::RENEWAL_TIMER, layout::RENEWAL_SERVICE].into_iter().filter(|path| inventory.owns(path)).collect();
    if ours.is_empty() {
        return Ok(ours);
    }
    if files.status(layout::RENEWAL_TIMER).map_err(|error| failed(&error))?.is_some() {
        service::control("disable", TIMER).await.map_err(|error| failed(&error))?;
        service::control("stop", TIMER).await.map_err(|error| failed(&error))?;
    }
    for path in &ours {
        files.remove(path).map_err(|error| failed(&error))?;
        inventory.erase(path);
    }
    let content = Zeroizing::new(inventory.to_bytes());
    let file = Publish { path: layout::INVENTORY.into(), content, mode: 0o600, replace: true };
    files.publish(&[file]).map_err(|error| failed(&error))?;
    service::reload().await.map_err(|error| failed(&error))?;
    Ok(ours)
}
