//! Whether a control plane is well enough to be changed: what is broken already would be blamed on the change.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::host;
use crate::host::fs::Files;
use crate::status;

/// The name of this check, as `--ignore-preflight-errors` takes it.
const NAME: &str = "ControlPlaneHealth";
/// A mirror pod that is written just now is no illness.
const PATIENCE: Duration = Duration::from_secs(6);
const EVERY: Duration = Duration::from_millis(250);

/// Asks all four components until they are well; what stays ill is an error, or a warning when the check is ignored.
pub async fn health(config: &Config, files: &Files, reporter: &mut dyn Reporter) -> Result<()> {
    let began = Instant::now();
    let mut problems = ill(files).await?;
    while !problems.is_empty() && began.elapsed() < PATIENCE {
        host::sleep(EVERY).await;
        problems = ill(files).await?;
    }
    let ignored = &config.node.ignore_preflight_errors;
    if ignored.iter().any(|ignored| ignored == "all" || *ignored == NAME.to_lowercase()) {
        problems.drain(..).for_each(|problem| reporter.event(&Event::Warning { problem }));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::problems(Kind::Preflight, "the control plane is not well; nothing was changed", problems)
        .hint("`kubekeel status` shows all of it, and `kubekeel rollback` puts a proven generation back")
        .hint(format!("if this change is the cure: --ignore-preflight-errors={NAME}")))
}

async fn ill(files: &Files) -> Result<Vec<Problem>> {
    let status = status::look::look(files).await?;
    let ill = status.components.iter().filter(|component| !component.progress.is_proven());
    let problem = |progress: &crate::event::Progress| {
        Problem::new(progress.component.name(), format!("it is not proven to run; it waits for {}", progress.waiting))
    };
    Ok(ill.map(|component| problem(&component.progress)).collect())
}
