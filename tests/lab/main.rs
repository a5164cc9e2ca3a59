//! End-to-end tests on real nodes: systemd, containerd, kubelet and the control plane's own binaries.
//!
//! They need root and the components that `scripts/lab build` makes; `scripts/test` brings both together.

mod node;
mod smoke;
