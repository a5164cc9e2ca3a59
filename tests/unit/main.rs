//! Tests that need no lab: pure functions, and real files below a temporary root.

#![allow(clippy::disallowed_methods, reason = "tests touch the machine themselves")]

mod addons;
mod architecture;
mod cluster;
mod config;
mod diagnose;
mod difference;
mod doctor;
mod help;
mod kubeconfig;
mod kubelet;
mod ladder;
mod lint;
mod manifest;
mod parity;
mod patch;
mod pki;
mod rooted;
mod running;
mod sample;
mod status;
mod upgrade;
mod verdict;
