//! lab

mod oracle;
#[path = "../unit/sample.rs"]
mod sample;
