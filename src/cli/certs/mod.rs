//! `kubekeel certs`: until when certificates are valid, and their renewal.

mod expiration;
mod import;
mod renew;
mod request;
mod rotate;
mod timer;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};

use super::{Global, init, patches};
use crate::apply::Generations;
use crate::config::{self, Config, Facts, Input};
use crate::error::{Error, Kind, Result};
use crate::host::facts;
use crate::host::fs::Files;
use crate::layout;

const EXAMPLES: &str = "\
Examples:
  kubekeel certs check-expiration                            until when everything is valid
  kubekeel certs check-expiration --within 30d               exit with 8 when something ends before
  kubekeel certs check-expiration --prometheus /var/lib/node_exporter/kubekeel.prom
  kubekeel certs renew all --if-within 30d                   renew what ends before, prove it, or put the old ones back";

#[derive(Debug, Args)]
struct Certs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Says until when the certificates of this node are valid
    #[command(after_help = expiration::EXAMPLES)]
    CheckExpiration(expiration::CheckExpiration),
    /// Renews certificates with new keys, proves that the new ones are shown, or puts the old ones back
    #[command(after_help = renew::EXAMPLES)]
    Renew(renew::Renew),
    /// Replaces certificate authorities: first trust both, later the new ones alone
    #[command(after_help = rotate::EXAMPLES)]
    RotateCa(rotate::RotateCa),
    /// Installs a systemd timer that renews what ends soon
    #[command(after_help = timer::EXAMPLES)]
    InstallTimer(timer::InstallTimer),
    /// Makes keys and signing requests for certificates that an authority elsewhere signs
    #[command(after_help = request::EXAMPLES)]
    GenerateCsr(request::GenerateCsr),
    /// Takes certificates that an authority elsewhere signed
    #[command(after_help = import::EXAMPLES)]
    Import(import::Import),
    /// Prints a new key that uploaded certificates can be encrypted with
    #[command(after_help = request::KEY_EXAMPLES)]
    CertificateKey,
}

/// Where the certificates are.
#[derive(Debug, Clone, Args)]
struct Place {
    /// Configuration file with kubeadm's documents; without it the one that runs, or defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the certificates
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<String>,
}

impl Place {
    /// The directory: the flag's, the one of the configuration, or kubeadm's.
    fn certificates_dir(&self, files: &Files) -> Result<String> {
        if let Some(directory) = &self.cert_dir {
            return Ok(directory.clone());
        }
        Ok(self.given(files)?.map_or_else(|| layout::PKI.to_owned(), |config| config.cluster.certificates_dir))
    }

    /// The configuration of the file, or the one that runs; `None` before `init`.
    fn given(&self, files: &Files) -> Result<Option<Config>> {
        let Some(path) = &self.config else {
            return Generations::new(files).newest()?.map(|newest| newest.input.config()).transpose();
        };
        Self::read(Some(path), files).map(Some)
    }

    /// The configuration, with what this host contributes when none is given and none runs.
    fn complete(&self, files: &Files) -> Result<Config> {
        self.given(files)?.map_or_else(|| Self::read(None, files), Ok)
    }

    fn read(path: Option<&PathBuf>, files: &Files) -> Result<Config> {
        let (hostname, default_address) = (facts::hostname(), facts::default_address());
        let facts = Facts { hostname, default_address, ..Facts::default() };
        let source = path.map(|path| init::read_config(path)).transpose()?;
        patches::read(Input { source, facts, ..Input::default() }, files)?.config()
    }
}

pub(super) fn command() -> Command {
    Certs::augment_args(Command::new("certs"))
        .alias("certificates")
        .about("Looks after the certificates of this node")
        .long_about(None)
        .after_help(EXAMPLES)
        .arg_required_else_help(true)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let Certs { verb } =
        Certs::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    match verb {
        Verb::CheckExpiration(args) => expiration::run(global, &args),
        Verb::Renew(args) => Box::pin(renew::run(global, &args)).await,
        Verb::RotateCa(args) => Box::pin(rotate::run(global, &args)).await,
        Verb::InstallTimer(args) => timer::run(global, &args).await,
        Verb::GenerateCsr(args) => request::generate(global, &args),
        Verb::Import(args) => Box::pin(import::run(global, &args)).await,
        Verb::CertificateKey => request::certificate_key(global),
    }
}

/// A time as people say it of certificates: `30d`, or Go's notation.
fn period(text: &str) -> Result<Duration, String> {
    const DAY: u64 = 24 * 60 * 60;
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()?.checked_mul(DAY));
    days.map_or_else(
        || config::duration(text).map_err(|_| "write it like 30d, 720h or 1h30m".to_owned()),
        |seconds| Ok(Duration::from_secs(seconds)),
    )
}
