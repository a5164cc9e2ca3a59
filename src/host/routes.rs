//! The machine's routes (`/proc/net/route`, `/proc/net/ipv6_route`).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A route that is not the default one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub network: IpNet,
    /// Through which device.
    pub device: String,
}

/// All routes to networks: neither the default route nor those to a single address or to this machine.
pub fn routes() -> Vec<Route> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let v4: Vec<_> = read("/proc/net/route").lines().skip(1).filter_map(v4).collect();
    let v6: Vec<_> = read("/proc/net/ipv6_route").lines().filter_map(v6).collect();
    v4.into_iter().chain(v6).filter(|route| !matches!(route.network.prefix_len(), 0 | 32 | 128)).collect()
}

fn v4(line: &str) -> Option<Route> {
    let fields: Vec<_> = line.split_whitespace().collect();
    // The kernel prints addresses in host byte order.
    let address = |field: &str| Some(Ipv4Addr::from(u32::from_str_radix(field, 16).ok()?.to_ne_bytes()));
    let (network, mask) = (address(fields.get(1)?)?, address(fields.get(7)?)?);
    let network = ipnet::Ipv4Net::with_netmask(network, mask).ok()?;
    Some(Route { network: network.into(), device: (*fields.first()?).to_owned() })
}

fn v6(line: &str) -> Option<Route> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let device = (*fields.last()?).to_owned();
    let address = Ipv6Addr::from(u128::from_str_radix(fields.first()?, 16).ok()?);
    let length = u8::from_str_radix(fields.get(1)?, 16).ok()?;
    let is_ordinary = device != "lo" && !address.is_unicast_link_local() && !address.is_multicast();
    let network = ipnet::Ipv6Net::new(address, length).ok().filter(|_| is_ordinary)?;
    Some(Route { network: network.into(), device })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_tables() {
        let line = "eth0\t00600A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        let route = v4(line).expect("a route");
        assert_eq!((route.network.to_string().as_str(), route.device.as_str()), ("10.10.96.0/24", "eth0"));
        let line = "fd000010009600000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0";
        assert_eq!(v6(line).expect("a route").network.to_string(), "fd00:10:96::/64");
        assert!(v6("fe800000000000000000000000000000 40 0 00 0 0 0 0 0 eth0").is_none());
    }
}
