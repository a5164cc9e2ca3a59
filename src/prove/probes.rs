//! The components' own health ports, each asked by a task of its own: a port that accepts and does not answer yet must not
//! hold up the look at the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::{Arg, Config};
use crate::host;
use crate::host::http::{self, Health, Trust};
use crate::manifest::{self, Component, Scheme};

/// Pause between two questions.
const PERIOD: Duration = Duration::from_millis(50);

/// The probes of some components; they end when this is dropped.
#[derive(Default)]
pub(super) struct Probes {
    last: Arc<Mutex<BTreeMap<Component, Health>>>,
    _tasks: JoinSet<()>,
}

impl Probes {
    /// Starts asking; `authority` is the cluster's CA in PEM.
    pub(super) fn start(components: &[Component], config: &Config, authority: &str) -> Self {
        let last = Arc::new(Mutex::new(BTreeMap::new()));
        let mut tasks = JoinSet::new();
        for component in components.iter().copied() {
            let (last, trust) = (Arc::clone(&last), trust(component, config, authority));
            let endpoint = manifest::endpoint(component, config);
            tasks.spawn(async move {
                loop {
                    let health = http::health(&endpoint.host, endpoint.port, endpoint.readiness_path, &trust).await;
                    last.lock().unwrap_or_else(PoisonError::into_inner).insert(component, health);
                    host::sleep(PERIOD).await;
                }
            });
        }
        Self { last, _tasks: tasks }
    }

    /// The last answers.
    pub(super) fn last(&self) -> BTreeMap<Component, Health> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks each component once, all at the same time.
pub(crate) async fn ask(components: &[Component], config: &Config, authority: &str) -> BTreeMap<Component, Health> {
    let mut tasks = JoinSet::new();
    for component in components.iter().copied() {
        let (endpoint, trust) = (manifest::endpoint(component, config), trust(component, config, authority));
        tasks.spawn(async move {
            (component, http::health(&endpoint.host, endpoint.port, endpoint.readiness_path, &trust).await)
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Asks the second of two API servers, to which only we get.
pub(crate) async fn ask_second(config: &Config, authority: &str, nth: u16) -> Health {
    let (endpoint, trust) =
        (manifest::endpoint(Component::ApiServer, config), trust(Component::ApiServer, config, authority));
    http::privileged_health(&endpoint.host, endpoint.port, endpoint.readiness_path, &trust, nth).await
}

fn trust(component: Component, config: &Config, authority: &str) -> Trust {
    let has_certificate = |args: &[Arg]| args.iter().any(|arg| arg.name == "tls-cert-file");
    let cluster = &config.cluster;
    let own = match component {
        _ if manifest::endpoint(component, config).scheme == Scheme::Http => return Trust::Plain,
        Component::ApiServer => true,
        Component::ControllerManager => has_certificate(&cluster.controller_manager.extra_args),
        Component::Scheduler => has_certificate(&cluster.scheduler.extra_args),
        Component::Etcd => false,
    };
    if own { Trust::Authority(authority.to_owned()) } else { Trust::SelfSigned }
}
