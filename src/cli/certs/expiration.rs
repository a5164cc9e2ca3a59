//! `kubekeel certs check-expiration`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use zeroize::Zeroizing;

use super::super::{Global, Output, output};
use super::{Place, period};
use crate::error::{Error, Kind, Problem, Result};
use crate::host::fs::{Files, Publish};
use crate::observe;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel certs check-expiration                  kubeadm's table, and the kubelet's certificates
  kubekeel certs check-expiration --within 30d     exit with 8 when one ends within 30 days
  kubekeel certs check-expiration -o json | jq '.certificates[] | select(.residualTime < 2592000).name'
  kubekeel certs check-expiration --prometheus - | sponge /var/lib/node_exporter/kubekeel.prom

Exit codes: 0 none has expired and none ends within the time asked about, 8 one has or does, 1 one is damaged; a missing \
one is shown and no reason for another exit code";

/// Arguments of `certs check-expiration`.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckExpiration {
    #[command(flatten)]
    place: Place,
    /// Exit with 8 when a certificate ends within this time, such as 30d; what has expired always counts
    #[arg(long, value_name = "DURATION", value_parser = period, default_value = "0s")]
    within: Duration,
    /// Write metrics for the textfile collector of Prometheus' node exporter instead of a table; - for standard output
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
}

pub(super) fn run(global: &Global, args: &CheckExpiration) -> Result<()> {
    let files = Files::new(&global.root);
    let expiries = observe::expiries(&args.place.certificates_dir(&files)?, &files)?;
    match (&args.prometheus, global.output) {
        (Some(path), _) if path == Path::new("-") => output::print(expiries.metrics().trim_end()),
        (Some(path), _) => write(path, expiries.metrics())?,
        (None, Output::Text) => output::print(&expiries.table()),
        (None, form) => output::data(form, &expiries.to_json()),
    }
    let fail = |kind, message: &str, problems: Vec<Problem>| match problems.as_slice() {
        [] => Ok(()),
        _ => Err(Error::problems(kind, message, problems)),
    };
    fail(Kind::Step, "certificates are damaged", expiries.damaged())?;
    fail(Kind::Expiring, "certificates have expired or are about to", expiries.ending(args.within))
}

/// The collector reads whenever it likes, so the file is never there half-written.
fn write(path: &Path, metrics: String) -> Result<()> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, format!("cannot write {}", path.display())).because(error)
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .ok_or_else(|| Error::new(Kind::Configuration, format!("{} is not the name of a file", path.display())))?;
    let content = Zeroizing::new(metrics.into_bytes());
    let file = Publish { path: format!("/{}", name.to_string_lossy()), content, mode: 0o644, replace: true };
    Files::new(directory).publish(&[file]).map_err(|error| fail(&error))
}
