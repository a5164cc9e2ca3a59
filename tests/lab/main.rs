//! End-to-end tests on real nodes: systemd, containerd, kubelet and the control plane's own binaries.
//!
//! They need root and the components that `scripts/lab build` makes; `scripts/test` brings both together.

#![allow(clippy::disallowed_methods, reason = "tests touch the machine themselves")]

mod adopt;
mod apply;
mod beside;
mod certs;
mod change;
mod cluster;
mod damage;
#[path = "../unit/difference.rs"]
mod difference;
mod doctor;
mod equal;
mod etcd;
mod external_etcd;
mod faults;
mod init;
mod join;
mod joined;
#[cfg(feature = "faults")]
mod kill;
mod lint;
mod node;
mod oracle;
#[cfg(feature = "faults")]
mod power;
mod put_back;
mod reset;
mod restore;
mod rotate;
#[path = "../unit/sample.rs"]
mod sample;
mod smoke;
mod static_pods;
mod status;
mod surprise;
mod upgrade;
mod watched;
