//! Who listens on a TCP port (`/proc/net/tcp`, proc(5)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its address, unspecified for all addresses.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    inode: u64,
}

impl Listener {
    /// Whether it keeps others from listening on `address`; `None` stands for all addresses.
    pub fn blocks(&self, address: Option<IpAddr>, port: u16) -> bool {
        let overlaps = match address {
            None => true,
            Some(address) => address.is_unspecified() || self.address.is_unspecified() || self.address == address,
        };
        self.port == port && overlaps
    }

    /// The process that holds it, `pid 42 (nginx)`, when it can be found.
    pub fn holder(&self) -> Option<String> {
        let wanted = format!("socket:[{}]", self.inode);
        let processes = std::fs::read_dir("/proc").ok()?;
        for process in processes.flatten() {
            let name = process.file_name();
            let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) else { continue };
            let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
            let holds = descriptors.flatten().any(|descriptor| {
                std::fs::read_link(descriptor.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
            });
            if holds {
                let command = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("pid {pid} ({})", command.trim()));
            }
        }
        None
    }
}

/// All listening TCP sockets of this network namespace.
pub fn listeners() -> Vec<Listener> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .collect()
}

const LISTEN: &str = "0A";

fn parse(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // The kernel prints each 32-bit word of the address in host byte order.
    let word =
        |index: usize| u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for index in 0..4 {
                bytes[index * 4..index * 4 + 4].copy_from_slice(&word(index)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(Listener { address, port, inode: inode.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table() {
        let line = "   1: 0100007F:2823 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 123 1 0 100 0 0 10 0";
        let listener = parse(line).expect("a listening socket");
        assert_eq!((listener.address, listener.port), (IpAddr::from([127, 0, 0, 1]), 10275));
        assert!(listener.blocks(None, 10275));
        assert!(!listener.blocks(Some(IpAddr::from([127, 0, 0, 2])), 10275));
        assert_eq!(parse(&line.replace(" 0A ", " 01 ")), None);
    }

    #[test]
    fn names_the_holder_of_a_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        let listener = listeners().into_iter().find(|listener| listener.port == port).expect("it is listed");
        assert!(listener.holder().expect("this process").contains(&std::process::id().to_string()));
    }
}
