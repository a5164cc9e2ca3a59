//! Driving the kubelet's unit, and the client certificate that the kubelet renews by itself.

use std::time::{Duration, Instant};

use serde_json::json;
use zeroize::Zeroizing;

use super::{Applier, failed};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Event;
use crate::host;
use crate::host::api::ApiServer;
use crate::host::fs::Publish;
use crate::host::service::{self, ServiceError};
use crate::kubeconfig;
use crate::layout;
use crate::pki::{Certificate, CertificateId, KubeconfigId};
use crate::plan::KubeletAction;
use crate::secret::Secret;

/// How long the kubelet may take to keep the certificate of kubelet.conf as its own, which it does when it starts.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that refuses every connection: no port is 1 but tcpmux's, which nobody has (RFC 1078).
const NOBODY: &str = "https://127.0.0.1:1";
const PERIOD: Duration = Duration::from_millis(200);

impl Applier<'_> {
    pub(super) async fn kubelet(&mut self, action: KubeletAction) -> Result<()> {
        self.flush()?;
        let unit = service::KUBELET;
        let result = match action {
            KubeletAction::Enable => service::control("enable", unit).await,
            KubeletAction::Stop => service::control("stop", unit).await,
            KubeletAction::Restart => restart_kubelet().await,
            KubeletAction::Alone => {
                self.leave_api_server()?;
                restart_kubelet().await
            }
            KubeletAction::Rejoin => {
                self.rejoin_api_server()?;
                restart_kubelet().await
            }
        };
        result.map_err(|error: ServiceError| {
            Error::new(Kind::Step, "the init system did not do as told")
                .because(&error)
                .hint("read `journalctl -u kubelet`")
        })
    }

    /// Points kubelet.conf to a port where nobody listens, so that the kubelet is refused at once and waits for nothing.
    fn leave_api_server(&mut self) -> Result<()> {
        let bytes = self.read(&layout::kubeconfig(KubeconfigId::Kubelet.file()))?;
        let named = kubeconfig::parse(&bytes).map_err(|error| failed(&error))?;
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        let alone = Zeroizing::new(text.replace(&named.server, NOBODY).into_bytes());
        self.publish_kubeconfig(alone)?;
        self.kubeconfig = Some(bytes);
        host::fault::point("kubelet alone");
        Ok(())
    }

    /// Puts kubelet.conf back as it was.
    fn rejoin_api_server(&mut self) -> Result<()> {
        let Some(content) = self.kubeconfig.take() else { return Ok(()) };
        let path = layout::kubeconfig(KubeconfigId::Kubelet.file());
        self.inventory.record(&path, crate::observe::sha256(&content));
        self.publish_kubeconfig(content)
    }

    /// Writes kubelet.conf at once and without a record: what it says for a moment is no edit.
    fn publish_kubeconfig(&self, content: Zeroizing<Vec<u8>>) -> Result<()> {
        let path = layout::kubeconfig(KubeconfigId::Kubelet.file());
        let file = Publish { path, content, mode: 0o600, replace: true };
        self.files.publish(&[file]).map_err(|error| failed(&error))
    }

    /// Lets kubelet.conf name the certificate that the kubelet renews, once the kubelet has made it, and proves that it
    /// opens the API server. The running kubelet uses that certificate already, whatever the file says
    /// (`cmd/kubelet/app/server.go`, `buildKubeletClientConfig`), so it goes on undisturbed.
    pub(super) async fn rotate_kubelet_certificate(&mut self, awaited: bool) -> Result<()> {
        self.flush()?;
        let config = self.config;
        let pem = self.kubelet_certificate();
        let began = Instant::now();
        let client = loop {
            match self.files.read(&pem).map_err(|error| failed(&error))? {
                Some(client) => break client,
                None if awaited && began.elapsed() < PATIENCE => {}
                None if awaited => {
                    let message = "the kubelet does not keep the certificate of kubelet.conf, and will not renew it";
                    let hint = "read `journalctl -u kubelet`";
                    self.reporter.event(&Event::Warning { problem: Problem::new(&pem, message).hint(hint) });
                    return Ok(());
                }
                // Without it the kubelet does not renew its certificate, and the file stays as it is.
                None => return Ok(()),
            }
            self.interrupt.check()?;
            host::sleep(PERIOD).await;
        };
        let client = Zeroizing::new(String::from_utf8_lossy(&client).into_owned());
        let authority = self.read(&self.pki_path("ca.crt"))?;
        let authority = String::from_utf8_lossy(&authority);
        let server = kubeconfig::server(KubeconfigId::Kubelet, config);
        let user = format!("system:node:{}", config.node.name);
        let embedded = kubeconfig::render(
            &config.cluster.name,
            &server,
            &authority,
            &user,
            &client,
            &Secret::new(client.as_bytes().to_vec()),
        );
        let api = ApiServer::connect(embedded.expose(), &server).await.map_err(|error| failed(&error))?;
        self.retry(|| async { api.node(&config.node.name).await.map(drop) }).await?;
        let files = json!({"client-certificate": pem, "client-key": pem});
        let document = kubeconfig::render_with(&config.cluster.name, &server, &authority, &user, &files);
        self.stage(
            layout::kubeconfig(KubeconfigId::Kubelet.file()),
            Zeroizing::new(document.as_bytes().to_vec()),
            0o600,
            true,
        );
        self.flush()
    }

    /// Takes away the name of the certificate that the kubelet uses. When it starts it finds none, and keeps the one in
    /// kubelet.conf as its own, which it renews from then on (`pkg/kubelet/certificate/kubelet.go`,
    /// `NewKubeletClientCertificateManager`; seen on nodes of 1.37).
    pub(super) fn renew_kubelet_certificate(&mut self) -> Result<()> {
        self.flush()?;
        self.files.remove(&self.kubelet_certificate()).map_err(|error| failed(&error))
    }

    /// Gives the name of the certificate that the kubelet uses to the newest one that it keeps and the authority signed. When
    /// there is none, all stays as it is.
    pub(super) fn relink_kubelet_certificate(&mut self) -> Result<()> {
        self.flush()?;
        let path = self.kubelet_certificate();
        let (directory, current) = path.rsplit_once('/').unwrap_or_default();
        let authority = self.read(&self.pki_path(&format!("{}.crt", CertificateId::Ca.base())))?;
        let Ok(authority) = Certificate::parse(&authority) else { return Ok(()) };
        let names = self.files.list(directory).map_err(|error| failed(&error))?;
        // Their names hold the time at which they came (client-go/util/certificate/certificate_store.go).
        let kept = names.iter().rev().filter(|name| name.starts_with("kubelet-client-") && *name != current);
        for target in kept.map(|name| format!("{directory}/{name}")) {
            let bytes = self.files.read(&target).map_err(|error| failed(&error))?.unwrap_or_default();
            if Certificate::parse(&bytes).is_ok_and(|certificate| certificate.is_signed_by(&authority)) {
                return self.files.link(&path, &target).map_err(|error| failed(&error));
            }
        }
        Ok(())
    }

    fn kubelet_certificate(&self) -> String {
        let extra = self.config.node.kubelet_extra_args.iter().rfind(|arg| arg.name == "cert-dir");
        extra.map_or_else(
            || layout::KUBELET_CLIENT.to_owned(),
            |arg| format!("{}/kubelet-client-current.pem", arg.value.trim_end_matches('/')),
        )
    }
}

pub(super) async fn restart_kubelet() -> Result<(), ServiceError> {
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
