//! A node without a control plane: its kubelet gets another configuration, and what ran comes back when it does not take it.

use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

use super::kubelet::restart_kubelet;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Reporter};
use crate::host;
use crate::host::api::ApiServer;
use crate::host::fs::{Files, Publish};
use crate::host::http::{self, Health, Trust};
use crate::host::service;
use crate::kubelet::KubeletFile;
use crate::plan::{self, KubeletAction, Plan, Step};
use crate::release::Version;

/// How long a restarted kubelet may take until the cluster calls its Node Ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// A kubelet that systemd had to start again so often will not come up.
const DEATHS: u32 = 2;
/// Lines of its journal that are searched for the reason then.
const LINES: usize = 200;
const PERIOD: Duration = Duration::from_millis(200);

/// A node without a control plane.
pub struct Worker<'a> {
    /// Its files.
    pub files: &'a Files,
    /// The API server, with the node's own credentials.
    pub api: &'a ApiServer,
    /// Name of the Node.
    pub node: &'a str,
    /// The kubelet's configuration as it should be.
    pub wanted: KubeletFile,
    /// The kubelet on disk, which the next start brings up.
    pub installed: Option<Version>,
}

impl Worker<'_> {
    /// What has to be done: write the configuration when it differs, restart the kubelet when it runs with another one than is on
    /// disk, or is another one.
    pub async fn plan(&self) -> Result<Plan> {
        let path = self.wanted.path;
        let mut plan = Plan::default();
        let change = plan::change(self.current()?.as_deref(), &self.wanted.text);
        let running = service::status(service::KUBELET).await.ok().and_then(|unit| unit.started_at());
        let written = self.files.status(path).map_err(|error| failed(&error))?.map_or(0, |found| found.modified);
        // Of whoever wrote it and did not come as far as the restart.
        let unread = running.is_none_or(|started| seconds(started) < written);
        let node = self.api.node(self.node).await.map_err(|error| failed(&error))?.unwrap_or_default();
        let newer = self.installed.as_ref().is_some_and(|version| version.to_string() != node.kubelet);
        let restarts = change.is_some() || unread || newer;
        match change {
            Some(change) => {
                let content = self.wanted.text.clone();
                plan.steps.push(Step::WriteFile { path: path.to_owned(), mode: self.wanted.mode, content, change });
            }
            None => plan.kept.push(path.to_owned()),
        }
        if restarts {
            plan.steps.push(Step::Kubelet { action: KubeletAction::Restart });
        }
        Ok(plan)
    }

    /// Makes the plan true, and proves it: the kubelet says that it is well, and the cluster that its Node is Ready. Otherwise the
    /// configuration of before is put back, and that is proven.
    pub async fn apply(&self, plan: &Plan, reporter: &mut dyn Reporter) -> Result<()> {
        let before = self.current()?;
        let node = self.api.node(self.node).await.map_err(|error| failed(&error))?.unwrap_or_default();
        for (index, step) in plan.steps.iter().enumerate() {
            reporter.event(&Event::Step { number: index + 1, total: plan.steps.len(), text: step.to_string() });
            if let Step::WriteFile { content, .. } = step {
                self.write(content)?;
            }
        }
        let error = match self.restart(node.ready, reporter).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let Some(before) = before.filter(|before| *before != self.wanted.text) else { return Err(error) };
        self.write(&before)?;
        match self.restart(node.ready, reporter).await {
            Ok(()) => Err(error.hint("the configuration of before was put back, and the kubelet is well with it")),
            Err(second) => {
                Err(error
                    .hint(format!("the configuration of before was put back, and the kubelet is not well: {second}")))
            }
        }
    }

    fn current(&self) -> Result<Option<String>> {
        let bytes = self.files.read(self.wanted.path).map_err(|error| failed(&error))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn write(&self, text: &str) -> Result<()> {
        let content = Zeroizing::new(text.as_bytes().to_vec());
        let file = Publish { path: self.wanted.path.to_owned(), content, mode: self.wanted.mode, replace: true };
        self.files.publish(&[file]).map_err(|error| failed(&error))
    }

    /// Restarts the kubelet, and waits for it to be as well as it was.
    async fn restart(&self, was_ready: bool, reporter: &mut dyn Reporter) -> Result<()> {
        let (began, began_at) = (Instant::now(), host::now());
        // The cluster's times are whole seconds: what the kubelet of before says comes before this one, and what the next says not.
        let since = seconds(began_at) + 1;
        for _ in 0..6 {
            if seconds(host::now()) >= since {
                break;
            }
            host::sleep(PERIOD).await;
        }
        restart_kubelet().await.map_err(|error| failed(&error))?;
        reporter.event(&Event::Work { text: format!("await the Node {}", self.node), done: 0, total: 1 });
        loop {
            let Some(why) = self.ill(since, was_ready).await else { return Ok(()) };
            let unit = service::status(service::KUBELET).await.unwrap_or_default();
            if unit.restarts >= DEATHS {
                let lines = service::journal(service::KUBELET, began_at, LINES).await;
                // klog begins its errors with an E; the last one before the end says why.
                let words = lines.iter().filter(|line| line.starts_with('E')).cloned().collect::<Vec<_>>().join("\n");
                let message = format!("the kubelet ends again and again, with exit code {}", unit.exit_code);
                return Err(Error::new(Kind::Step, message).hint(format!("it complains:\n{words}")));
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::new(Kind::TimedOut, format!("the kubelet did not come up: {why}"))
                    .hint("read `journalctl -u kubelet`"));
            }
            host::sleep(PERIOD).await;
        }
    }

    /// What is missing, as long as something is; what the cluster heard before `since` says nothing.
    async fn ill(&self, since: i64, was_ready: bool) -> Option<String> {
        let document: serde_json::Value = serde_yaml::from_str(&self.current().ok()??).unwrap_or_default();
        let port = document["healthzPort"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(10248);
        if port != 0 {
            let host = document["healthzBindAddress"].as_str().unwrap_or("127.0.0.1");
            match http::health(host, port, "/healthz", &Trust::Plain).await {
                Health::Ready => {}
                other => return Some(format!("its health port {port} says {other:?}")),
            }
        }
        match self.api.node(self.node).await {
            Err(error) => Some(error.to_string()),
            Ok(None) => Some(format!("there is no Node {}", self.node)),
            Ok(Some(node)) if node.heartbeat.is_none_or(|heartbeat| heartbeat < since) => {
                Some("the cluster has not heard of it since".to_owned())
            }
            Ok(Some(node)) if self.installed.as_ref().is_some_and(|version| version.to_string() != node.kubelet) => {
                Some(format!("the cluster still knows it as {}", node.kubelet))
            }
            Ok(Some(node)) if was_ready && !node.ready => Some("its Node is not Ready".to_owned()),
            Ok(Some(_)) => None,
        }
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::new(Kind::Step, "cannot change the kubelet of this node").because(error)
}
