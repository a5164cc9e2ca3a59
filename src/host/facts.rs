//! What the host contributes to the defaults of a configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use crate::config::Facts;
use crate::layout::CRI_SOCKETS;
use crate::plan::Successor;
use crate::release::Version;

/// Reads all facts; the kubelet's version costs a process and is read beside the rest.
pub async fn detect() -> Facts {
    let version = tokio::spawn(kubelet_version());
    let mut cri_sockets = vec![];
    for socket in CRI_SOCKETS {
        let path = socket.trim_start_matches("unix://");
        // kubeadm's own probe is a dial as well: a socket file alone proves nothing.
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            cri_sockets.push(socket.to_owned());
        }
    }
    Facts {
        hostname: hostname(),
        default_address: default_address(),
        cri_sockets,
        kubelet_version: version.await.unwrap_or(None),
    }
}

/// The host's name as the kernel has it.
pub fn hostname() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty() && name != "(none)")
}

/// The source address of the default route, IPv4 before IPv6. Asking costs no packet: a datagram socket that is
/// connected only looks the route up (the targets are the documentation networks of RFC 5737 and RFC 3849).
pub fn default_address() -> Option<IpAddr> {
    let ask = |local: IpAddr, target: IpAddr| {
        let socket = UdpSocket::bind((local, 0)).ok()?;
        socket.connect((target, 9)).ok()?;
        let address = socket.local_addr().ok()?.ip();
        let usable = !address.is_loopback() && !address.is_unspecified() && !address.is_multicast();
        usable.then_some(address)
    };
    ask(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into())
        .or_else(|| ask(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()))
}

/// The kubelet that was installed in place of the running one, whose process is `pid`.
pub async fn successor(pid: u32) -> Option<Successor> {
    let runs = format!("/proc/{pid}/exe");
    let installed = super::service::program(super::service::KUBELET).await?;
    let identity = |path: &str| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    // Almost always they are one file, and nobody has to be asked.
    if pid == 0 || identity(&runs)? == identity(&installed)? {
        return None;
    }
    let (runs, installed) = (version_of(&runs).await?, version_of(&installed).await?);
    (runs != installed).then_some(Successor { runs, installed })
}

/// The version of the installed kubelet. The path is the one in the unit when the shell has none.
pub async fn kubelet_version() -> Option<Version> {
    match super::service::program(super::service::KUBELET).await {
        Some(program) => version_of(&program).await,
        None => version_of("kubelet").await,
    }
}

/// `kubelet --version`, for example `Kubernetes v1.37.2`.
async fn version_of(program: &str) -> Option<Version> {
    let run = tokio::process::Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(5), run).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().last()?.parse().ok()
}
