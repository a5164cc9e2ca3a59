//! Service and pod networks: their own rules, and the rules between them and the node's address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::given::{Given, Origin, Problems, Wrong, quoted};
use super::{Arg, Networking, value};

/// kubeadm's default of `networking.serviceSubnet`.
const SERVICE_SUBNET: &str = "10.96.0.0/12";
const SERVICE_SUBJECT: &str = "ClusterConfiguration.networking.serviceSubnet";
/// Both subnets need room: 10 services (the tenth is the DNS) and 14 pods, so four bits.
const SMALLEST_HOST_BITS: u8 = 4;
/// kube-apiserver keeps the service network as a bitmap.
const LARGEST_SERVICE_HOST_BITS: u8 = 20;
/// The controller manager keeps the pod network as a bitmap of node networks.
const LARGEST_NODE_BITS: u8 = 16;

/// What was given of `networking`, flags applied.
pub(super) struct Subnets {
    pub(super) service: Option<Given<String>>,
    pub(super) pod: Option<Given<String>>,
    pub(super) dns_domain: Option<Given<String>>,
}

/// One side: as it was written, and parsed.
struct Side {
    written: Given<String>,
    networks: Vec<IpNet>,
}

/// `networking`, judged against itself, the controller manager's flags and the advertise address.
pub(super) fn networking(
    subnets: Subnets,
    controller_manager: &[Arg],
    advertise: Option<&Given<IpAddr>>,
    problems: &Problems,
) -> Option<Networking> {
    let dns_domain =
        subnets.dns_domain.unwrap_or_else(|| Given::default("networking.dnsDomain", "cluster.local".into()));
    let dns_domain = dns_domain.check(problems, |domain| value::subdomain(domain));
    let service = subnets.service.unwrap_or_else(|| Given::default(SERVICE_SUBJECT, SERVICE_SUBNET.into()));
    let service = side(service, problems);
    let pod = match subnets.pod {
        None => Some(None),
        Some(pod) => side(pod, problems).map(Some),
    };
    if let Some(service) = &service {
        service_size(service, problems);
        if let Some(address) = advertise {
            advertise_family(address, service, problems);
        }
    }
    if let Some(Some(pod)) = &pod {
        node_masks(pod, controller_manager, problems);
        if let Some(service) = &service {
            between(service, pod, problems);
        }
    }
    let sides = [("service", service.as_ref()), ("pod", pod.as_ref().and_then(Option::as_ref))];
    for (what, side) in sides.into_iter().filter_map(|(what, side)| Some((what, side?))) {
        if let Some(address) = advertise {
            advertise_outside(address, what, side, problems);
        }
    }
    let (service, pod) = (service?, pod?);
    let (pod_subnet, pod_networks) = pod.map(|pod| (pod.written.value, pod.networks)).unwrap_or_default();
    Some(Networking {
        service_subnet: service.written.value,
        service_networks: service.networks,
        pod_subnet,
        pod_networks,
        dns_domain: dns_domain?,
    })
}

fn side(written: Given<String>, problems: &Problems) -> Option<Side> {
    let networks = written.check(problems, |text| parse(text))?;
    for network in &networks {
        let bits = host_bits(*network);
        if bits < SMALLEST_HOST_BITS {
            let message =
                format!("{network} has {} addresses; at least {} are needed", 1 << bits, 1 << SMALLEST_HOST_BITS);
            problems.add(&written.origin, Wrong::new(message));
        }
    }
    Some(Side { written, networks })
}

fn parse(text: &str) -> Result<Vec<IpNet>, Wrong> {
    let hint = "write one subnet like 10.96.0.0/12, or an IPv4 and an IPv6 one with a comma between";
    let parse = |part: &str| part.parse::<IpNet>().ok().filter(|net| net.addr() == net.addr().to_canonical());
    let networks: Option<Vec<IpNet>> = text.splitn(4, ',').map(|part| parse(part).map(|net| net.trunc())).collect();
    match networks.as_deref() {
        None => Err(Wrong::new(format!("{} is not a subnet", quoted(text))).hint(hint)),
        Some([_]) => Ok(networks.unwrap_or_default()),
        Some([a, b]) if is_v4(*a) != is_v4(*b) => Ok(networks.unwrap_or_default()),
        Some([_, _]) => Err(Wrong::new("two subnets must be of different families").hint(hint)),
        Some(_) => Err(Wrong::new("at most two subnets are possible").hint(hint)),
    }
}

fn is_v4(network: IpNet) -> bool {
    network.addr().is_ipv4()
}

fn host_bits(network: IpNet) -> u8 {
    network.max_prefix_len() - network.prefix_len()
}

fn family(v4: bool) -> &'static str {
    if v4 { "IPv4" } else { "IPv6" }
}

fn service_size(service: &Side, problems: &Problems) {
    for network in service.networks.iter().filter(|network| host_bits(**network) > LARGEST_SERVICE_HOST_BITS) {
        let longest = network.max_prefix_len() - LARGEST_SERVICE_HOST_BITS;
        let message = format!("{network} is too large; its prefix must be /{longest} or longer");
        problems.add(&service.written.origin, Wrong::new(message));
    }
}

/// The pod network is cut into one network per node; kubeadm reads these flags, and the last of several counts.
fn node_masks(pod: &Side, args: &[Arg], problems: &Problems) {
    let arg = |name: &str| args.iter().rev().find(|arg| arg.name == name).map(|arg| arg.value.as_str());
    if arg("allocate-node-cidrs") == Some("false") {
        return;
    }
    for network in &pod.networks {
        let (name, default) =
            if is_v4(*network) { ("node-cidr-mask-size-ipv4", 24) } else { ("node-cidr-mask-size-ipv6", 64) };
        let node = match arg(name).filter(|value| !value.is_empty()).map(str::parse::<u8>) {
            None => default,
            Some(Ok(node)) if node <= network.max_prefix_len() => node,
            Some(_) => {
                let message = format!("the controller manager's extraArgs have a {name} that is not a prefix length");
                problems.add(&pod.written.origin, Wrong::new(message));
                continue;
            }
        };
        let hint = format!("change the subnet, or set {name} in ClusterConfiguration.controllerManager.extraArgs");
        match node.checked_sub(network.prefix_len()) {
            None => {
                let message = format!("{network} is smaller than the /{node} that every node gets");
                problems.add(&pod.written.origin, Wrong::new(message).hint(hint));
            }
            Some(bits) if bits > LARGEST_NODE_BITS => {
                let message =
                    format!("{network} is too large for a /{node} per node: at most {LARGEST_NODE_BITS} bits apart");
                problems.add(&pod.written.origin, Wrong::new(message).hint(hint));
            }
            Some(_) => {}
        }
    }
}

fn between(service: &Side, pod: &Side, problems: &Problems) {
    for (service_net, pod_net) in service.networks.iter().flat_map(|s| pod.networks.iter().map(move |p| (s, p))) {
        if service_net.contains(&pod_net.addr()) || pod_net.contains(&service_net.addr()) {
            let message = format!("the pod subnet {pod_net} and the service subnet {service_net} overlap");
            problems.add(&pod.written.origin, Wrong::new(message));
        }
    }
    let shared = |network: &IpNet| service.networks.iter().any(|service| is_v4(*service) == is_v4(*network));
    if !pod.networks.iter().any(shared) {
        let message = "the pod subnet and the service subnet are of different families";
        problems.add(&pod.written.origin, Wrong::new(message));
    }
}

/// kube-apiserver refuses to start when these differ.
fn advertise_family(address: &Given<IpAddr>, service: &Side, problems: &Problems) {
    let Some(first) = service.networks.first() else { return };
    if address.value.is_ipv4() != is_v4(*first) {
        let message = format!(
            "the advertise address {} is {}, the first service subnet {first} is {}",
            address.value,
            family(address.value.is_ipv4()),
            family(is_v4(*first)),
        );
        problems.add(blame(address, service), Wrong::new(message).hint("both must be of the same family"));
    }
}

fn advertise_outside(address: &Given<IpAddr>, what: &str, side: &Side, problems: &Problems) {
    for network in side.networks.iter().filter(|network| network.contains(&address.value)) {
        let message = format!("the advertise address {} lies inside the {what} subnet {network}", address.value);
        problems.add(blame(address, side), Wrong::new(message));
    }
}

/// Who gave one of the two is told; the address was probably meant.
fn blame<'a>(address: &'a Given<IpAddr>, side: &'a Side) -> &'a Origin {
    if address.origin.is_given() || !side.written.origin.is_given() { &address.origin } else { &side.written.origin }
}
