//! Every path the program knows, under one root.
//!
//! The paths are kubeadm's (`cmd/kubeadm/app/constants/constants.go`), so that kubeadm, kubectl, Cluster API and
//! monitoring keep working on a kubekeel node. Paths in this module are absolute *inside* the root; [`crate::host::fs`]
//! joins them to `--root`.

/// Directory of the configuration of the control plane.
pub const KUBERNETES: &str = "/etc/kubernetes";
/// Directory that the kubelet watches for static pods (`staticPodPath`).
pub const MANIFESTS: &str = "/etc/kubernetes/manifests";
/// Default of `ClusterConfiguration.certificatesDir`.
pub const PKI: &str = "/etc/kubernetes/pki";
/// Directory of the kubelet's configuration and state.
pub const KUBELET: &str = "/var/lib/kubelet";
/// The kubelet's configuration (`--config`).
pub const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// The node-local store of the CRI socket; kubeadm's upgrade and reset read it back.
pub const KUBELET_INSTANCE_CONFIG: &str = "/var/lib/kubelet/instance-config.yaml";
/// The kubelet's client certificate and key, which it renews by itself; kubeletExtraArgs may name another directory.
pub const KUBELET_CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// Environment file of the kubelet's unit (`KUBELET_KUBEADM_ARGS`).
pub const KUBELET_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// Default of `etcd.local.dataDir`.
pub const ETCD_DATA: &str = "/var/lib/etcd";
/// Volume plug-ins of the host, mounted into kube-controller-manager (`phases/controlplane/volumes.go`).
pub const VOLUME_PLUGINS: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
/// Our own state: inventory and generations.
pub const STATE: &str = "/var/lib/kubekeel";
/// What we own on this node: path, digest, mode.
pub const INVENTORY: &str = "/var/lib/kubekeel/inventory.json";
/// What was proven to run, a file for each generation.
pub const GENERATIONS: &str = "/var/lib/kubekeel/generations";
/// Stands while a change is being made: which generation to put back if it is not finished.
pub const PENDING: &str = "/var/lib/kubekeel/pending.json";
/// What files said that somebody edited and that were replaced all the same.
pub const EDITED: &str = "/var/lib/kubekeel/edited";
/// Snapshots of etcd.
pub const SNAPSHOTS: &str = "/var/lib/kubekeel/snapshots";
/// The unit that finishes what a run that died had begun.
pub const WATCHDOG: &str = "/etc/systemd/system/kubekeel-watchdog.service";
/// Directory of the units of this machine; what we put there belongs to no generation.
pub const UNITS: &str = "/etc/systemd/system/";
/// The unit that renews certificates which end soon.
pub const RENEWAL_SERVICE: &str = "/etc/systemd/system/kubekeel-certs-renew.service";
/// The unit that says when.
pub const RENEWAL_TIMER: &str = "/etc/systemd/system/kubekeel-certs-renew.timer";
/// Held with `flock` from observing to the end of a run.
pub const LOCK: &str = "/run/kubekeel.lock";

/// CRI sockets in the order in which kubeadm probes them (`util/runtime/runtime.go`).
pub const CRI_SOCKETS: [&str; 3] = [
    "unix:///var/run/containerd/containerd.sock",
    "unix:///var/run/crio/crio.sock",
    "unix:///var/run/cri-dockerd.sock",
];

/// CA directories of the host that are mounted into kube-apiserver and kube-controller-manager when they exist
/// (`phases/controlplane/volumes.go`); `/etc/ssl/certs` is always mounted.
pub const HOST_CA_DIRECTORIES: [&str; 5] = [
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// The manifest of a static pod: `/etc/kubernetes/manifests/<name>.yaml`.
pub fn manifest(name: &str) -> String {
    format!("{MANIFESTS}/{name}.yaml")
}

/// A kubeconfig of the control plane: `/etc/kubernetes/<name>` (the name ends in `.conf`).
pub fn kubeconfig(name: &str) -> String {
    format!("{KUBERNETES}/{name}")
}
