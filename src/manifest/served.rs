//! Which certificate a component shows on which port, the user's flags considered.

use super::probe::{self, Scheme};
use super::{Component, endpoint};
use crate::config::Config;

/// A port on which a component shows a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Whose.
    pub component: Component,
    /// IP address (without brackets) or DNS name, always one that can be connected to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The file on the host; `None` when the component makes one in memory at its start.
    pub certificate: Option<String>,
}

/// All ports of the control plane that speak TLS.
pub fn served(config: &Config) -> Vec<Served> {
    let pki = &config.cluster.certificates_dir;
    let mut all = vec![];
    for component in [Component::ApiServer, Component::ControllerManager, Component::Scheduler] {
        let default = (component == Component::ApiServer).then(|| format!("{pki}/apiserver.crt"));
        let at = endpoint(component, config);
        let certificate = file(component, config, "tls-cert-file").or(default);
        all.push(Served { component, host: at.host, port: at.port, certificate });
    }
    let addresses = [
        ("listen-client-urls", probe::loopback(config), 2379, "cert-file", "server"),
        ("listen-peer-urls", config.advertise_address, 2380, "peer-cert-file", "peer"),
    ];
    for (urls, host, port, flag, base) in addresses {
        let given = Component::Etcd.argument(config, urls).and_then(|urls| urls.split(',').find_map(probe::parse));
        let at = given.unwrap_or(probe::Url { scheme: Scheme::Https, host: host.to_string(), port });
        let certificate = file(Component::Etcd, config, flag).or_else(|| Some(format!("{pki}/etcd/{base}.crt")));
        if at.scheme == Scheme::Https {
            let host = probe::reachable(at.host);
            all.push(Served { component: Component::Etcd, host, port: at.port, certificate });
        }
    }
    all
}

/// The file that a flag names, as the host has it.
fn file(component: Component, config: &Config, flag: &str) -> Option<String> {
    let path = component.argument(config, flag).filter(|path| !path.is_empty())?;
    let below = |mount: &str| path.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let volumes = component.extra_volumes(config).iter();
    let mounts =
        volumes.filter_map(|v| Some((v.mount_path.len(), format!("{}{}", v.host_path, below(&v.mount_path)?))));
    Some(mounts.max().map_or_else(|| path.to_owned(), |(_, path)| path))
}
