//! unit

mod kubelet;
mod manifest;
mod parity;
mod sample;
