//! Tests that need no lab: pure functions, and real files below a temporary root.

mod architecture;
mod config;
mod kubelet;
mod manifest;
mod parity;
mod rooted;
mod sample;
