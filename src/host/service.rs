//! The init system: the kubelet's unit, and its journal.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::process::Command;

/// The kubelet's unit.
pub const KUBELET: &str = "kubelet";

/// What systemd says of a unit (`systemctl show`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, …
    pub active: String,
    /// `running`, `auto-restart`, `dead`, …
    pub sub: String,
    /// `success`, `exit-code`, `signal`, `oom-kill`, …
    pub result: String,
    /// `enabled`, `disabled`, `static`, …
    pub enabled: String,
    /// Exit code of the last main process.
    pub exit_code: i32,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
    /// When the main process started, monotonic microseconds; 0 when it does not run.
    pub started: u64,
    /// Process id, 0 when it does not run.
    pub pid: u32,
    /// Whether its unit files changed since systemd read them.
    pub needs_reload: bool,
}

impl ServiceStatus {
    /// Whether its main process runs.
    pub fn is_running(&self) -> bool {
        self.active == "active" && self.sub == "running"
    }

    /// When its main process started, by the wall clock; `None` when it does not run.
    pub fn started_at(&self) -> Option<SystemTime> {
        if !self.is_running() {
            return None;
        }
        self.last_start()
    }

    /// When its main process was started last, by the wall clock; `None` when it never was.
    pub fn last_start(&self) -> Option<SystemTime> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.try_into().ok()?, now.tv_nsec.try_into().ok()?);
        let age = now.checked_sub(Duration::from_micros(self.started)).filter(|_| self.started > 0)?;
        SystemTime::now().checked_sub(age)
    }

    /// Whether the unit exists.
    pub fn exists(&self) -> bool {
        self.load == "loaded"
    }
}

/// A command of the init system that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{command}` failed: {message}")]
pub struct ServiceError {
    /// The command as it could be typed.
    pub command: String,
    /// Its last words.
    pub message: String,
}

/// Whether systemd is the init system (`sd_booted(3)`).
pub fn systemd_is_running() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

async fn run(program: &str, args: &[&str]) -> Result<String, ServiceError> {
    let command = format!("{program} {}", args.join(" "));
    let fail = |message: String| ServiceError { command: command.clone(), message };
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| fail(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(fail(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The status of a unit; an unknown unit has `load == "not-found"`.
pub async fn status(unit: &str) -> Result<ServiceStatus, ServiceError> {
    let properties = "LoadState,ActiveState,SubState,Result,UnitFileState,ExecMainStatus,NRestarts,MainPID,ExecMainStartTimestampMonotonic,NeedDaemonReload";
    let text = run("systemctl", &["show", unit, "--property", properties]).await?;
    let fields: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let field = |name: &str| fields.get(name).map_or_else(String::new, ToString::to_string);
    Ok(ServiceStatus {
        load: field("LoadState"),
        active: field("ActiveState"),
        sub: field("SubState"),
        result: field("Result"),
        enabled: field("UnitFileState"),
        exit_code: field("ExecMainStatus").parse().unwrap_or(0),
        restarts: field("NRestarts").parse().unwrap_or(0),
        started: field("ExecMainStartTimestampMonotonic").parse().unwrap_or(0),
        pid: field("MainPID").parse().unwrap_or(0),
        needs_reload: field("NeedDaemonReload") == "yes",
    })
}

/// Whether a unit is active.
pub async fn is_active(unit: &str) -> bool {
    run("systemctl", &["is-active", "--quiet", unit]).await.is_ok()
}

/// `systemctl <verb> <unit>`, waiting until it is done.
pub async fn control(verb: &str, unit: &str) -> Result<(), ServiceError> {
    super::fault::point("before systemctl");
    let result = run("systemctl", &[verb, unit]).await.map(drop);
    super::fault::point("after systemctl");
    result
}

/// Stops a unit and has it not start again; one that is not there is as good as disabled.
pub async fn disable(unit: &str) -> Result<(), ServiceError> {
    match run("systemctl", &["disable", "--now", unit]).await {
        Err(error) if error.message.contains("does not exist") => Ok(()),
        result => result.map(drop),
    }
}

/// Starts a unit anew without waiting for it: one that is just ending would take a mere start for granted.
pub async fn launch(unit: &str) -> Result<(), ServiceError> {
    run("systemctl", &["restart", "--no-block", unit]).await.map(drop)
}

/// Makes systemd read its unit files again.
pub async fn reload() -> Result<(), ServiceError> {
    run("systemctl", &["daemon-reload"]).await.map(drop)
}

/// Whether systemd understands a calendar expression; its words when it does not.
pub async fn check_calendar(expression: &str) -> Result<(), ServiceError> {
    if expression.contains(char::is_control) {
        let message = "it contains a control character".to_owned();
        return Err(ServiceError { command: "systemd-analyze calendar".into(), message });
    }
    run("systemd-analyze", &["calendar", "--", expression]).await.map(drop)
}

/// The last lines that a unit wrote since `since`, oldest first. What it said before it was configured is no evidence.
pub async fn journal(unit: &str, since: SystemTime, lines: usize) -> Vec<String> {
    let lines = lines.to_string();
    let since = format!("@{}", since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs());
    let text = run("journalctl", &["-u", unit, "--since", &since, "-n", &lines, "--no-pager", "-o", "cat"])
        .await
        .unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The program that a unit starts, from its `ExecStart`.
pub async fn program(unit: &str) -> Option<String> {
    let text = run("systemctl", &["show", unit, "--property", "ExecStart", "--value"]).await.ok()?;
    let path = text.split("path=").nth(1)?.split([' ', ';']).next()?;
    Some(path.to_owned()).filter(|path| path.starts_with('/'))
}
