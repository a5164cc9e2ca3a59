//! Where a component listens and where it is asked for its health.

use std::net::IpAddr;

use serde::Serialize;

use super::Component;
use crate::config::Config;

/// How a health endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

/// Where a component tells its health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthEndpoint {
    /// HTTP or HTTPS.
    pub scheme: Scheme,
    /// IP address (without brackets) or DNS name, always one that can be connected to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path that answers 200 when the component can do its work.
    pub readiness_path: &'static str,
    /// Path that answers 200 unless the component must be restarted.
    pub liveness_path: &'static str,
}

/// Where a component is probed, the user's flags considered.
pub fn endpoint(component: Component, config: &Config) -> HealthEndpoint {
    let (readiness_path, liveness_path) = match component {
        Component::ControllerManager => ("/healthz", "/healthz"),
        _ => ("/readyz", "/livez"),
    };
    let (scheme, host, port) = if component == Component::Etcd {
        let metrics = etcd_metrics(config);
        (metrics.scheme, reachable(metrics.host), metrics.port)
    } else {
        let host = kubelet_host(component, config).unwrap_or_else(|| match component {
            // Its certificate names the advertise address, not the loopback address.
            Component::ApiServer => config.advertise_address.to_string(),
            _ => reachable(component.argument(config, "bind-address").unwrap_or_default().into()),
        });
        (Scheme::Https, host, secure_port(component, config))
    };
    HealthEndpoint { scheme, host, port, readiness_path, liveness_path }
}

/// The host that the kubelet probes; none when the component listens on all addresses.
pub(super) fn kubelet_host(component: Component, config: &Config) -> Option<String> {
    let bind = component.argument(config, "bind-address");
    let specific = |address: &str| Some(address.to_owned()).filter(|host| !is_unspecified(host));
    match component {
        Component::Etcd => Some(etcd_metrics(config).host),
        Component::ApiServer => {
            let advertised = config.advertise_address.to_string();
            bind.and_then(specific).or_else(|| specific(&advertised))
        }
        Component::ControllerManager | Component::Scheduler => bind.map_or_else(|| Some("127.0.0.1".into()), specific),
    }
}

/// TCP addresses that a component listens on; no address means all.
pub fn ports(component: Component, config: &Config) -> Vec<(Option<IpAddr>, u16)> {
    if component == Component::Etcd {
        return etcd_ports(config);
    }
    let bind = component.argument(config, "bind-address");
    let address = match component {
        Component::ApiServer => bind.and_then(listened),
        _ => listened(bind.unwrap_or("127.0.0.1")),
    };
    vec![(address, secure_port(component, config))]
}

fn etcd_ports(config: &Config) -> Vec<(Option<IpAddr>, u16)> {
    let advertised = config.advertise_address;
    let loopback = loopback(config);
    let defaults = [
        ("listen-client-urls", vec![(Some(loopback), 2379), (Some(advertised), 2379)]),
        ("listen-peer-urls", vec![(Some(advertised), 2380)]),
        ("listen-metrics-urls", vec![(Some(loopback), 2381)]),
    ];
    let mut ports = vec![];
    for (flag, default) in defaults {
        let urls = Component::Etcd.argument(config, flag).map(|urls| urls.split(',').filter_map(parse).collect());
        let listened = urls.map(|urls: Vec<Url>| urls.iter().map(|url| (listened(&url.host), url.port)).collect());
        ports.extend(listened.unwrap_or(default));
    }
    let mut seen = std::collections::BTreeSet::new();
    ports.retain(|port| seen.insert(*port));
    ports
}

/// The address that `host` makes a server listen on: none for all addresses, and for a name that is not an address.
fn listened(host: &str) -> Option<IpAddr> {
    host.parse::<IpAddr>().ok().filter(|address| !address.is_unspecified())
}

/// The user's `secure-port` if it is a port; [`super::render`] refuses what is not one.
fn secure_port(component: Component, config: &Config) -> u16 {
    let default = match component {
        Component::ControllerManager => 10257,
        Component::Scheduler => 10259,
        Component::Etcd | Component::ApiServer => config.bind_port,
    };
    component.argument(config, "secure-port").and_then(|port| port.parse().ok()).unwrap_or(default)
}

pub(super) fn loopback(config: &Config) -> IpAddr {
    if config.advertise_address.is_ipv6() {
        std::net::Ipv6Addr::LOCALHOST.into()
    } else {
        std::net::Ipv4Addr::LOCALHOST.into()
    }
}

pub(super) struct Url {
    pub(super) scheme: Scheme,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The first of etcd's metrics URLs; its parts fall back one by one (kubeadm: `GetEtcdProbeEndpoint`).
fn etcd_metrics(config: &Config) -> Url {
    let default = || Url { scheme: Scheme::Http, host: loopback(config).to_string(), port: 2381 };
    let given = Component::Etcd.argument(config, "listen-metrics-urls");
    given.and_then(|urls| urls.split(',').next()).and_then(parse).unwrap_or_else(default)
}

pub(super) fn parse(url: &str) -> Option<Url> {
    let uri: http::Uri = url.trim().parse().ok()?;
    let scheme = if uri.scheme_str()? == "https" { Scheme::Https } else { Scheme::Http };
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    Some(Url { scheme, host, port: uri.port_u16().unwrap_or(2381) })
}

/// An address to connect to when a server listens on all of them.
pub(super) fn reachable(host: String) -> String {
    match host.as_str() {
        "0.0.0.0" => "127.0.0.1".into(),
        "::" => "::1".into(),
        _ => host,
    }
}

fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// A host as URLs want it.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
