//! Which of two sockets that share a port gets a new connection.
//!
//! The kernel deals connections out among sockets with `SO_REUSEPORT` by a hash, or as a small program says that is attached to
//! the group (socket(7), `SO_ATTACH_REUSEPORT_CBPF`). Ours says: the socket that came first, until it closes; only who comes
//! from a privileged port, which is this program, or from the loopback address, which is a starting API server that speaks to
//! itself, gets to the second one. So a server that is not ready yet answers nobody
//! else, and takes over in the moment in which the first one stops listening, because the kernel then counts it as the first
//! (`net/core/sock_reuseport.c`, `reuseport_detach_sock`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

use nix::libc::{sock_filter, sock_fprog};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage};
use nix::sys::socket::{bind, listen, setsockopt, socket, sockopt};

use super::ports;

/// The first port that everybody may use.
const UNPRIVILEGED: u32 = 1024;
/// Offset of the network header, from `linux/filter.h`.
const NETWORK: u32 = (-0x10_0000_i32).cast_unsigned();
/// No group has so many sockets, and an index that does not exist means the hash.
const NOBODY: u32 = 0xffff;

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const SHIFT_RIGHT: u16 = 0x74;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_NOT_BELOW: u16 = 0x35;
const RETURN: u16 = 0x06;

const fn op(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Who comes from a privileged port or from the loopback address itself gets to the second socket, everybody else to the first.
const FIRST: [sock_filter; 15] = [
    // The version of the Internet protocol.
    op(LOAD_BYTE, NETWORK, 0, 0),
    op(SHIFT_RIGHT, 4, 0, 0),
    op(JUMP_EQUAL, 6, 4, 0),
    // Behind IPv4's header of 20 bytes is the source port of TCP.
    op(LOAD_WORD, NETWORK + 12, 0, 0),
    op(JUMP_EQUAL, 0x7f00_0001, 9, 0),
    op(LOAD_HALF, NETWORK + 20, 0, 0),
    op(JUMP, 5, 0, 0),
    // No other address that is in use begins with zeros and ends with one.
    op(LOAD_WORD, NETWORK + 8, 0, 0),
    op(JUMP_EQUAL, 0, 0, 2),
    op(LOAD_WORD, NETWORK + 20, 0, 0),
    op(JUMP_EQUAL, 1, 3, 0),
    op(LOAD_HALF, NETWORK + 40, 0, 0),
    op(JUMP_NOT_BELOW, UNPRIVILEGED, 0, 1),
    op(RETURN, 0, 0, 0),
    op(RETURN, 1, 0, 0),
];

/// From now on the first of those who listen on the port gets all connections but ours.
pub fn to_first(port: u16) -> io::Result<()> {
    attach(port, &mut FIRST.clone())
}

/// From now on the kernel deals connections out again.
pub fn to_all(port: u16) -> io::Result<()> {
    attach(port, &mut [op(RETURN, NOBODY, 0, 0)])
}

/// Attaches a program to the group, as a member of it for a moment.
///
/// A connection that comes in that moment may fall to the member, which moves it on when it closes, if `tcp_migrate_req` is set.
fn attach(port: u16, program: &mut [sock_filter]) -> io::Result<()> {
    let listener = ports::listeners().into_iter().find(|listener| listener.port == port);
    let Some(listener) = listener else { return Err(io::Error::new(io::ErrorKind::NotFound, "nobody listens")) };
    let family = match listener.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let member = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&member, sockopt::ReusePort, &true)?;
    if family == AddressFamily::Inet6 {
        setsockopt(&member, sockopt::Ipv6V6Only, &false)?;
    }
    bind(member.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(listener.address, port)))?;
    listen(&member, Backlog::new(16)?)?;
    let length = program.len().try_into().map_err(io::Error::other)?;
    setsockopt(&member, sockopt::AttachReusePortCbpf, &sock_fprog { len: length, filter: program.as_mut_ptr() })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use tokio::net::TcpSocket;

    use super::*;

    const OTHER: [u8; 4] = [127, 0, 0, 2];

    fn sharing(port: u16) -> TcpListener {
        let shared = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        setsockopt(&shared, sockopt::ReusePort, &true).unwrap();
        bind(shared.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))).unwrap();
        listen(&shared, Backlog::new(128).unwrap()).unwrap();
        let listener = TcpListener::from(shared);
        listener.set_nonblocking(true).unwrap();
        listener
    }

    async fn connect(from: [u8; 4], port: u16) -> tokio::net::TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap()
    }

    /// How many of twenty new connections each of the listeners gets.
    async fn dealt(from: [u8; 4], port: u16, listeners: &[&TcpListener]) -> Vec<usize> {
        let mut clients = vec![];
        for _ in 0..20 {
            clients.push(connect(from, port).await);
        }
        let counts = listeners.iter().map(|listener| std::iter::from_fn(|| listener.accept().ok()).count()).collect();
        drop(clients);
        counts
    }

    #[tokio::test]
    async fn the_first_gets_all_until_it_closes() {
        let first = sharing(0);
        let port = first.local_addr().unwrap().port();
        to_first(port).unwrap();
        let second = sharing(port);
        assert_eq!(dealt(OTHER, port, &[&first, &second]).await, [20, 0]);
        assert_eq!(dealt([127, 0, 0, 1], port, &[&first, &second]).await, [0, 20]);
        drop(first);
        let third = sharing(port);
        assert_eq!(dealt(OTHER, port, &[&second, &third]).await, [20, 0]);
        to_all(port).unwrap();
        let counts = dealt(OTHER, port, &[&second, &third]).await;
        assert!(counts.iter().all(|count| *count > 0) && counts.iter().sum::<usize>() == 20, "{counts:?}");
    }
}
