//! unit

mod manifest;
mod sample;
