//! The only side effects of the program: files, processes, sockets, clock and environment.
//!
//! Everything else is pure or drives what is here; `clippy.toml` forbids the standard library's doors elsewhere.

#![allow(clippy::disallowed_methods, reason = "this is where the effects are")]

pub mod api;
pub mod checkup;
pub mod cri;
pub mod etcd;
pub mod evidence;
pub mod facts;
pub mod fault;
pub mod fs;
pub mod http;
pub mod lock;
pub mod machine;
pub mod ports;
pub mod routes;
pub mod service;
pub mod signal;
pub mod steer;
pub mod tree;

use std::time::{Duration, SystemTime};

/// The clock. The rest of the program is handed the time.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Waits without blocking the others.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Path of this program.
pub fn program() -> std::io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// Fills a buffer with random bytes, as good as keys need them.
pub fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| std::io::Error::other("there is no randomness"))
}

/// The bytes of a file that the user named.
pub fn read_file(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// All of standard input.
pub fn read_stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
    Ok(bytes)
}

/// A line of standard input.
pub fn read_line() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}

/// Whether nobody asked for plain text (no-color.org).
pub fn colours_are_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The word of the command line that follows this one.
pub fn word_after(flag: &str) -> Option<String> {
    std::env::args_os().skip_while(|word| word != flag).nth(1)?.into_string().ok()
}

/// Whether the terminal behind standard error knows how wide it is.
pub fn terminal_has_size() -> bool {
    rustix::termios::tcgetwinsize(std::io::stderr()).is_ok_and(|size| size.ws_col > 0)
}
