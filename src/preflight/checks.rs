//! The checks, one function each. Their names are kubeadm's where it has the same check (`preflight/checks.go`).

use std::time::{Duration, SystemTime};

use super::{Finding, Inputs, Severity, external_etcd};
use crate::config::PullPolicy;
use crate::layout;
use crate::manifest::{self, Component};

/// A check.
pub(super) type Check = fn(&Inputs<'_>) -> Vec<Finding>;

/// All checks, in the order in which they are told.
pub(super) const CHECKS: [Check; 19] = [
    user,
    processors,
    memory,
    init_system,
    kubelet_unit,
    kubelet_version,
    runtime,
    cgroups,
    cgroup_driver,
    swap,
    forwarding,
    ports,
    manifest_directory,
    etcd_data,
    external_etcd::check,
    writable,
    disk,
    clock,
    images,
];

pub(super) fn error(check: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Vec<Finding> {
    vec![Finding { check: check.into(), severity: Severity::Error, message: message.into(), hint: hint.into() }]
}

fn warning(check: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Vec<Finding> {
    vec![Finding { check: check.into(), severity: Severity::Warning, message: message.into(), hint: hint.into() }]
}

fn user(inputs: &Inputs<'_>) -> Vec<Finding> {
    match inputs.machine.user {
        0 => vec![],
        user => error("IsPrivilegedUser", format!("user {user} cannot set up a node"), "run kubekeel as root"),
    }
}

fn processors(inputs: &Inputs<'_>) -> Vec<Finding> {
    match inputs.machine.processors {
        0 | 1 => error(
            "NumCPU",
            "there is one processor, and a control plane needs two",
            "give the machine another processor",
        ),
        _ => vec![],
    }
}

fn memory(inputs: &Inputs<'_>) -> Vec<Finding> {
    const LEAST_MIB: u64 = 1700;
    match inputs.machine.memory_mib {
        mib if mib < LEAST_MIB => error(
            "Mem",
            format!("there are {mib} MiB of memory, and a control plane needs {LEAST_MIB}"),
            "give the machine more memory",
        ),
        _ => vec![],
    }
}

fn init_system(inputs: &Inputs<'_>) -> Vec<Finding> {
    if inputs.machine.systemd {
        return vec![];
    }
    error(
        "InitSystem",
        "systemd is not the init system of this machine, so nothing can start the kubelet",
        "run on a machine with systemd, or run the phases that only write files: `kubekeel init phase certs` and so on",
    )
}

fn kubelet_unit(inputs: &Inputs<'_>) -> Vec<Finding> {
    match &inputs.seen.kubelet {
        Some(kubelet) if kubelet.load == "masked" => {
            error("Service-kubelet", "the unit kubelet.service is masked", "systemctl unmask kubelet")
        }
        Some(kubelet) if !kubelet.exists() => {
            error("Service-kubelet", "there is no unit kubelet.service", "install the kubelet with its systemd unit")
        }
        Some(_) => vec![],
        None => {
            error("Service-kubelet", "systemd does not tell about kubelet.service", "see that systemd runs and answers")
        }
    }
}

fn kubelet_version(inputs: &Inputs<'_>) -> Vec<Finding> {
    /// The kubelet may be three minors older than the API server, never newer (Kubernetes' version skew policy).
    const SKEW: u32 = 3;
    let wanted = &inputs.config.cluster.version;
    match &inputs.kubelet_version {
        Some(kubelet) if kubelet.minor > wanted.minor => error(
            "KubeletVersion",
            format!("the kubelet is {kubelet}, newer than the control plane {wanted}"),
            "install a kubelet of the control plane's minor, or raise kubernetesVersion",
        ),
        Some(kubelet) if kubelet.minor + SKEW < wanted.minor => error(
            "KubeletVersion",
            format!("the kubelet is {kubelet}, more than {SKEW} minors older than the control plane {wanted}"),
            "install a kubelet of the control plane's minor",
        ),
        Some(_) => vec![],
        None => error("KubeletVersion", "the kubelet does not tell its version", "see that `kubelet --version` works"),
    }
}

fn runtime(inputs: &Inputs<'_>) -> Vec<Finding> {
    let socket = &inputs.config.node.cri_socket;
    match &inputs.runtime {
        Err(message) => error(
            "CRI",
            format!("the container runtime does not answer: {message}"),
            format!(
                "start it (`systemctl start containerd`), or name its socket with --cri-socket instead of {socket}"
            ),
        ),
        Ok(state) => match &state.not_ready {
            Some(reason) => error("CRI", format!("{} is not ready: {reason}", state.runtime.name), "read its log"),
            None => vec![],
        },
    }
}

fn kubelet_setting<'a>(inputs: &'a Inputs<'_>, name: &str) -> Option<&'a serde_json::Value> {
    inputs.config.kubelet.get(name)
}

fn cgroups(inputs: &Inputs<'_>) -> Vec<Finding> {
    /// Since this minor the kubelet refuses to start on cgroup v1 unless `failCgroupV1` is false (KEP-5573).
    const REFUSED_SINCE: u32 = 35;
    if !inputs.machine.cgroup_v1 || inputs.kubelet_version.as_ref().is_some_and(|version| version.minor < REFUSED_SINCE)
    {
        return vec![];
    }
    match kubelet_setting(inputs, "failCgroupV1").and_then(serde_json::Value::as_bool) {
        Some(false) => warning(
            "SystemVerification",
            "the machine has cgroup v1, which Kubernetes is about to drop",
            "move to cgroup v2",
        ),
        _ => error(
            "SystemVerification",
            "the machine has cgroup v1, and the kubelet refuses to start on it",
            "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or set `failCgroupV1: false` in a KubeletConfiguration",
        ),
    }
}

fn cgroup_driver(inputs: &Inputs<'_>) -> Vec<Finding> {
    let wanted = kubelet_setting(inputs, "cgroupDriver").and_then(serde_json::Value::as_str).unwrap_or("systemd");
    let actual = inputs.runtime.as_ref().ok().and_then(|state| state.cgroup_driver);
    match actual {
        // Since 1.36 the kubelet takes the runtime's word (KEP-4033), so a difference is no fault, only a surprise.
        Some(actual) if actual != wanted => warning(
            "CgroupDriver",
            format!("the kubelet's cgroup driver is {wanted}, the runtime's is {actual}; the runtime's will be used"),
            format!("set `cgroupDriver: {actual}` in a KubeletConfiguration"),
        ),
        _ => vec![],
    }
}

fn swap(inputs: &Inputs<'_>) -> Vec<Finding> {
    if inputs.machine.swaps.is_empty() {
        return vec![];
    }
    let areas = inputs.machine.swaps.join(", ");
    match kubelet_setting(inputs, "failSwapOn").and_then(serde_json::Value::as_bool) {
        Some(false) => warning("Swap", format!("swap is on: {areas}"), "the kubelet was told to live with it"),
        _ => error(
            "Swap",
            format!("swap is on ({areas}), and the kubelet refuses to start"),
            "swapoff -a, or set `failSwapOn: false` in a KubeletConfiguration",
        ),
    }
}

fn forwarding(inputs: &Inputs<'_>) -> Vec<Finding> {
    let networks =
        inputs.config.cluster.networking.service_networks.iter().chain(&inputs.config.cluster.networking.pod_networks);
    let (mut v4, mut v6) = (inputs.config.advertise_address.is_ipv4(), inputs.config.advertise_address.is_ipv6());
    for network in networks {
        v4 |= matches!(network, ipnet::IpNet::V4(_));
        v6 |= matches!(network, ipnet::IpNet::V6(_));
    }
    let mut findings = vec![];
    if v4 && inputs.machine.ipv4_forward != Some(true) {
        findings.extend(error(
            "FileContent--proc-sys-net-ipv4-ip_forward",
            "IPv4 forwarding is off",
            "sysctl -w net.ipv4.ip_forward=1",
        ));
    }
    if v6 && inputs.machine.ipv6_forward != Some(true) {
        findings.extend(error(
            "FileContent--proc-sys-net-ipv6-conf-default-forwarding",
            "IPv6 forwarding is off",
            "sysctl -w net.ipv6.conf.default.forwarding=1",
        ));
    }
    findings
}

fn ports(inputs: &Inputs<'_>) -> Vec<Finding> {
    /// The kubelet's own API.
    const KUBELET: u16 = 10250;
    let mut findings = vec![];
    if inputs.seen.pods.is_none() {
        // Without the runtime's word our own containers look like anybody; that it does not answer is told already.
        return findings;
    }
    for component in manifest::components(inputs.config) {
        // What runs already holds its own ports.
        if inputs.seen.alive(component).next().is_some() {
            continue;
        }
        for (address, port) in manifest::ports(component, inputs.config) {
            let holder = inputs.listeners.iter().find(|listener| listener.blocks(address, port));
            if let Some(listener) = holder {
                findings.extend(taken(port, component.name(), listener));
            }
        }
    }
    let kubelet_runs = inputs.seen.kubelet.as_ref().is_some_and(crate::host::service::ServiceStatus::is_running);
    if !kubelet_runs && let Some(listener) = inputs.listeners.iter().find(|listener| listener.blocks(None, KUBELET)) {
        findings.extend(taken(KUBELET, "kubelet", listener));
    }
    findings
}

fn taken(port: u16, component: &str, listener: &crate::host::ports::Listener) -> Vec<Finding> {
    let holder = listener.holder().unwrap_or_else(|| "a process of another namespace".into());
    error(
        format!("Port-{port}"),
        format!("port {port}, which {component} needs, is taken by {holder}"),
        "stop that process, or give the component another port",
    )
}

fn manifest_directory(inputs: &Inputs<'_>) -> Vec<Finding> {
    let mut findings = vec![];
    for entry in &inputs.seen.manifests {
        let path = format!("{}/{}", layout::MANIFESTS, entry.name);
        let own = Component::ALL.into_iter().find(|component| component.path() == path);
        let hint = "move it out of the directory: the kubelet reads every name that does not begin with a dot";
        match (&entry.pod, own) {
            (_, Some(Component::Etcd)) if inputs.config.cluster.external_etcd.is_some() => {
                let message = format!("{path} runs an etcd here, and etcd.external names another one");
                findings.extend(error(
                    "ManifestDirectory",
                    message,
                    "kubekeel does not move data from one to the other",
                ));
            }
            // A manifest of ours that is broken is replaced by the plan, or refused there as an edit.
            (_, Some(_)) => {}
            (Err(why), None) => {
                findings.extend(error("ManifestDirectory", format!("{path} is not a static pod: {why}"), hint));
            }
            (Ok(pod), None) => {
                let twin = Component::ALL.into_iter().find(|component| component.name() == pod);
                match twin {
                    Some(component) => findings.extend(error(
                        "ManifestDirectory",
                        format!(
                            "{path} defines the pod {pod} as well: the kubelet would switch between it and {}",
                            component.path()
                        ),
                        hint,
                    )),
                    None => findings.extend(warning(
                        "ManifestDirectory",
                        format!("{path} runs another static pod, {pod}"),
                        "nothing, when it is meant to",
                    )),
                }
            }
        }
    }
    findings
}

fn etcd_data(inputs: &Inputs<'_>) -> Vec<Finding> {
    let directory = &inputs.config.cluster.etcd.data_dir;
    if !inputs.etcd_data || inputs.seen.inventory.owns(directory) || inputs.seen.inventory.owns(&Component::Etcd.path())
    {
        return vec![];
    }
    error(
        format!("DirAvailable-{}", directory.replace('/', "-")),
        format!("{directory} holds data that another cluster left"),
        "move it away (kubekeel never deletes data), or choose another etcd.local.dataDir",
    )
}

fn writable(inputs: &Inputs<'_>) -> Vec<Finding> {
    let finding = |(path, reason): &(String, String)| {
        error(
            "Writable",
            format!("{path} cannot be written: {reason}"),
            "remount the file system read-write, or free space on it",
        )
    };
    inputs.unwritable.iter().flat_map(finding).collect()
}

fn disk(inputs: &Inputs<'_>) -> Vec<Finding> {
    /// Certificates and manifests need little; below this etcd and the container logs do not get far.
    const LEAST_MIB: u64 = 100;
    let low = inputs.free.iter().filter(|(_, free)| *free < LEAST_MIB << 20);
    low.flat_map(|(path, free)| {
        error(
            "DiskSpace",
            format!("the file system of {path} has {} MiB left, and {LEAST_MIB} are needed", free >> 20),
            "free space on it",
        )
    })
    .collect()
}

fn clock(inputs: &Inputs<'_>) -> Vec<Finding> {
    /// 2026-01-01T00:00:00Z, before the first release of this program.
    const EPOCH: Duration = Duration::from_secs(1_767_225_600);
    let now = inputs.seen.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let hint = "set the clock (`timedatectl set-ntp true`) before certificates are issued by it";
    if now < EPOCH {
        let message = "the clock is before 2026: certificates issued by it would be expired everywhere else";
        return error("Clock", message, hint);
    }
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let authorities = inputs.seen.certificates.iter().filter(|(id, _)| id.signer().is_none());
    let early = authorities.filter_map(|(id, state)| match &state.certificate {
        Some(Ok(certificate)) if certificate.not_before > seconds => Some((id, certificate)),
        _ => None,
    });
    early
        .flat_map(|(id, certificate)| {
            let hours = (certificate.not_before - seconds) / 3600;
            let message = format!("the certificate authority {} becomes valid only in {hours} h: the clock is wrong, or it was when it was issued", id.name());
            error("Clock", message, hint)
        })
        .collect()
}

fn images(inputs: &Inputs<'_>) -> Vec<Finding> {
    let Ok(state) = &inputs.runtime else { return vec![] };
    if inputs.config.node.image_pull_policy != PullPolicy::Never {
        return vec![];
    }
    let missing = state.missing_images.iter();
    missing
        .flat_map(|image| {
            error(
                "ImagePull",
                format!("the image {image} is missing, and imagePullPolicy is Never"),
                "load it into the runtime",
            )
        })
        .collect()
}
