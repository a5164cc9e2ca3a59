//! unit
mod config;
