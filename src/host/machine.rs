//! The machine as preflight looks at it: processors, memory, swap, control groups, kernel switches.

use std::path::Path;

/// What preflight wants to know of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Effective user id.
    pub user: u32,
    /// Processors that this process may use.
    pub processors: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Active swap areas.
    pub swaps: Vec<String>,
    /// Whether the control groups are of version 1.
    pub cgroup_v1: bool,
    /// `net.ipv4.ip_forward` is 1; `None` when unreadable.
    pub ipv4_forward: Option<bool>,
    /// `net.ipv6.conf.default.forwarding` is 1; `None` when unreadable.
    pub ipv6_forward: Option<bool>,
    /// Whether systemd is the init system.
    pub systemd: bool,
    /// Programs that the kubelet needs and that are not in PATH.
    pub missing_programs: Vec<&'static str>,
}

const PROGRAMS: [&str; 1] = ["mount"];

/// Looks at the machine.
pub fn read() -> Machine {
    let switch = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim_start().starts_with('1'));
    Machine {
        user: rustix::process::geteuid().as_raw(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: memory_mib().unwrap_or(u64::MAX),
        swaps: swaps(),
        cgroup_v1: !Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        ipv4_forward: switch("/proc/sys/net/ipv4/ip_forward"),
        ipv6_forward: switch("/proc/sys/net/ipv6/conf/default/forwarding"),
        systemd: super::service::systemd_is_running(),
        missing_programs: PROGRAMS.into_iter().filter(|program| !in_path(program)).collect(),
    }
}

/// Memory that is there for new processes without swapping (`MemAvailable`, proc(5)); 0 when nobody knows.
pub fn free_memory_mib() -> u64 {
    meminfo_mib("MemAvailable:").unwrap_or_default()
}

const TCP_MIGRATE_REQ: &str = "/proc/sys/net/ipv4/tcp_migrate_req";

/// Whether connections move from a listening socket that closes to another one of its port; none on a kernel before 5.14.
pub fn tcp_migrate_req() -> Option<String> {
    std::fs::read_to_string(TCP_MIGRATE_REQ).ok().map(|text| text.trim().to_owned())
}

/// Sets it.
pub fn set_tcp_migrate_req(value: &str) -> std::io::Result<()> {
    if value.is_empty() { Ok(()) } else { std::fs::write(TCP_MIGRATE_REQ, value) }
}

fn memory_mib() -> Option<u64> {
    meminfo_mib("MemTotal:")
}

fn meminfo_mib(field: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn swaps() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
