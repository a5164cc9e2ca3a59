//! Driving the kubelet's unit.

use super::Applier;
use crate::error::{Error, Kind, Result};
use crate::host::service::{self, ServiceError};
use crate::plan::KubeletAction;

impl Applier<'_> {
    pub(super) async fn kubelet(&mut self, action: KubeletAction) -> Result<()> {
        self.flush()?;
        let unit = service::KUBELET;
        let result = match action {
            KubeletAction::Enable => service::control("enable", unit).await,
            KubeletAction::Stop => service::control("stop", unit).await,
            KubeletAction::Restart => restart_kubelet().await,
        };
        result.map_err(|error: ServiceError| {
            Error::new(Kind::Step, "the init system did not do as told")
                .because(&error)
                .hint("read `journalctl -u kubelet`")
        })
    }
}

async fn restart_kubelet() -> Result<(), ServiceError> {
    let status = service::status(service::KUBELET).await?;
    if status.needs_reload {
        service::reload().await?;
    }
    if status.active == "failed" {
        // A unit that gave up after too many starts has to be forgiven first.
        service::control("reset-failed", service::KUBELET).await?;
    }
    service::control("restart", service::KUBELET).await
}
