//! kubekeel: a control-plane bootstrap installer. It tells you what will restart, swaps atomically, proves that
//! exactly that runs, and puts it back if not, with the API server down.
//!
//! One pipeline serves every command: configuration and observation make a desired state, the difference makes a plan,
//! and the plan is either printed or applied and proven. ARCHITECTURE.md shows the rooms.

pub mod adopt;
pub mod apply;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod diagnose;
pub mod doctor;
pub mod error;
pub mod etcd;
pub mod event;
pub mod generation;
pub mod host;
pub mod kubeconfig;
pub mod kubelet;
pub mod layout;
pub mod lint;
pub mod manifest;
pub mod observe;
pub mod observed;
pub mod patch;
pub mod phase;
pub mod pki;
pub mod plan;
pub mod preflight;
pub mod prove;
pub mod recall;
pub mod release;
pub mod reset;
pub mod sealed;
pub mod secret;
pub mod status;
pub mod token;
