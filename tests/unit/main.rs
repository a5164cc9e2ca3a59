//! Tests that need no lab: pure functions, and real files below a temporary root.

mod architecture;
mod config;
mod diagnose;
mod kubelet;
mod ladder;
mod manifest;
mod parity;
mod pki;
mod rooted;
mod sample;
