//! Causes on the node itself: runtime, disk, kubelet, manifests, certificates, clock.

use std::time::Duration;

use super::{Evidence, Finding, finding, last, lines_with};
use crate::layout;
use crate::manifest::Component;

/// Services need a moment to start; nothing about them is certain before.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) fn runtime_down(evidence: &Evidence) -> Option<Finding> {
    let error = evidence.runtime_error.as_ref()?;
    finding(
        evidence.waited >= SETTLED,
        "runtime-down",
        "container-runtime",
        "the container runtime does not answer",
        vec![error.clone()],
        "start it (`systemctl start containerd`) and read its log (`journalctl -u containerd`)",
    )
}

pub(super) fn disk_full(evidence: &Evidence) -> Option<Finding> {
    if evidence.full.is_empty() {
        return None;
    }
    let seen = evidence.full.iter().map(|(path, free)| format!("{path}: {} KiB free", free >> 10)).collect();
    finding(
        true,
        "disk-full",
        "node",
        "a file system that the control plane writes to is full",
        seen,
        "free space on it and run again",
    )
}

/// What keeps a kubelet from starting: words of its log, cause, summary, remedy.
const KUBELET_CAUSES: [(&[&str], &str, &str, &str); 6] = [
    (
        &["using cgroup v1"],
        "cgroup-v1",
        "the kubelet refuses to run on cgroup v1",
        "boot with cgroup v2, or set `failCgroupV1: false` in a KubeletConfiguration",
    ),
    (
        &["cgroup driver", "cgroupdriver", "misconfiguration: kubelet cgroup"],
        "cgroup-driver",
        "the kubelet's cgroup driver is not the container runtime's",
        "set `cgroupDriver` in a KubeletConfiguration to the runtime's driver",
    ),
    (
        &["running with swap on is not supported", "swap on"],
        "swap",
        "the kubelet refuses to run with swap on",
        "swapoff -a, or set `failSwapOn: false` in a KubeletConfiguration",
    ),
    (
        &[
            "failed to load kubelet config",
            "failed to decode",
            "strict decoding error",
            "invalid configuration",
            "failed to validate kubelet configuration",
        ],
        "kubelet-config",
        "the kubelet does not accept its configuration",
        "correct the KubeletConfiguration",
    ),
    (
        &["unknown flag", "unknown shorthand flag", "invalid argument", "failed to parse kubelet flag"],
        "bad-flag",
        "the kubelet does not know one of its flags",
        "correct nodeRegistration.kubeletExtraArgs",
    ),
    (
        &["certificate has expired", "x509:", "tls: private key does not match"],
        "certificate",
        "the kubelet cannot use its client certificate",
        "remove /etc/kubernetes/kubelet.conf and run again; kubekeel then writes a new one",
    ),
];

pub(super) fn kubelet_down(evidence: &Evidence) -> Option<Finding> {
    let kubelet = evidence.kubelet.as_ref()?;
    if kubelet.is_running() && kubelet.restarts == 0 {
        return None;
    }
    // A unit that crash-looped before it was configured has restarts, too: only what it says since counts.
    let running = kubelet.is_running();
    // The kubelet logs its whole configuration when it starts: only what is not information is a complaint.
    let complaint = |line: &&String| !line.starts_with(['I', ' ', '\t']);
    let complaints: Vec<_> = evidence.kubelet_log.iter().filter(complaint).cloned().collect();
    for (words, cause, summary, remedy) in KUBELET_CAUSES {
        let seen = lines_with(&complaints, words, 2);
        if !seen.is_empty() && !running {
            return finding(true, cause, "kubelet", summary, seen, remedy);
        }
    }
    if running {
        return None;
    }
    let mut seen = vec![format!(
        "systemd: {} ({}), result {}, exit code {}, {} restarts",
        kubelet.active, kubelet.sub, kubelet.result, kubelet.exit_code, kubelet.restarts
    )];
    seen.extend(last(&evidence.kubelet_log, 3));
    let loops = kubelet.active == "failed" || kubelet.sub == "auto-restart" || kubelet.exit_code != 0;
    let summary = if loops { "the kubelet crashes" } else { "the kubelet does not run" };
    finding(
        evidence.waited >= SETTLED && loops,
        "kubelet-down",
        "kubelet",
        summary,
        seen,
        "read `journalctl -u kubelet` and correct what it complains about",
    )
}

pub(super) fn duplicate_manifest(evidence: &Evidence) -> Option<Finding> {
    for entry in &evidence.foreign_manifests {
        let Ok(pod) = &entry.pod else { continue };
        let Some(component) = Component::ALL.into_iter().find(|component| component.name() == pod) else { continue };
        return finding(
            true,
            "foreign-manifest",
            component.name(),
            format!("two files in the manifest directory define the pod {pod}"),
            vec![format!("{}/{}", layout::MANIFESTS, entry.name), component.path()],
            format!(
                "move {}/{} out of the directory: the kubelet reads every name that does not begin with a dot",
                layout::MANIFESTS,
                entry.name
            ),
        );
    }
    None
}

pub(super) fn node_name(evidence: &Evidence) -> Option<Finding> {
    let words =
        ["invalid value: \"", "metadata.name: invalid", "spec.nodename: invalid", "a lowercase rfc 1123 subdomain"];
    let seen: Vec<_> = lines_with(&evidence.kubelet_log, &words, 20)
        .into_iter()
        .filter(|line| line.to_lowercase().contains("rfc 1123"))
        .collect();
    if seen.is_empty() {
        return None;
    }
    finding(
        true,
        "node-name",
        "kubelet",
        format!("the kubelet does not accept the node name {}", evidence.node_name),
        last(&seen, 2),
        "give the node a lower-case RFC 1123 name with --node-name, or correct --hostname-override in kubeletExtraArgs",
    )
}

pub(super) fn certificates(evidence: &Evidence) -> Option<Finding> {
    if evidence.unfit_certificates.is_empty() {
        return None;
    }
    let seen: Vec<_> =
        evidence.unfit_certificates.iter().map(|(path, why)| format!("{path}: {}", why.join("; "))).collect();
    let clock = seen.iter().any(|line| line.contains("not yet valid"));
    if clock {
        return finding(
            true,
            "clock",
            "node",
            "the clock stands before the certificates became valid",
            seen,
            "set the clock (`timedatectl set-ntp true`) and run again",
        );
    }
    finding(
        true,
        "certificate",
        "node",
        "certificates do not fit",
        seen,
        "run `kubekeel init` again: it issues its own certificates anew; move away those of others",
    )
}

pub(super) fn registration(evidence: &Evidence) -> Option<Finding> {
    let words = [
        "unable to register node",
        "failed to ensure lease exists",
        "certificate signed by unknown authority",
        "certificate has expired",
    ];
    let seen = lines_with(&evidence.kubelet_log, &words, 2);
    if seen.is_empty() {
        return None;
    }
    let about_tls = seen.iter().any(|line| line.contains("x509") || line.contains("certificate"));
    let denied = seen.iter().any(|line| line.contains("forbidden") || line.contains("Unauthorized"));
    let long = evidence.waited >= Duration::from_secs(15);
    match () {
        () if about_tls => finding(
            long,
            "certificate",
            "kubelet",
            "the kubelet and the API server do not trust each other",
            seen,
            "remove /etc/kubernetes/kubelet.conf and run again",
        ),
        () if denied => finding(
            long,
            "node-name",
            "kubelet",
            "the API server does not let the kubelet register this node",
            seen,
            "see that --hostname-override in kubeletExtraArgs agrees with nodeRegistration.name",
        ),
        () => finding(
            false,
            "registration",
            "kubelet",
            "the kubelet cannot register the Node",
            seen,
            "read `journalctl -u kubelet`",
        ),
    }
}
