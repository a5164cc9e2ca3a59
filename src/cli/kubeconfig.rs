//! `kubekeel kubeconfig user`: a kubeconfig for somebody else, as `kubeadm kubeconfig user` prints it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Global, Output, init, join, output};
use crate::apply::Generations;
use crate::config::{Config, Facts, Input, Overrides, duration};
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::fs::Files;
use crate::kubeconfig;
use crate::pki::{self, Certificate, CertificateId, Issuer, Key, KubeconfigId};

const EXAMPLES: &str = "\
Examples:
  kubekeel kubeconfig user --client-name jane --org developers > jane.conf
  kubekeel kubeconfig user --client-name jane --token \"$TOKEN\"";

#[derive(Debug, Args)]
struct Kubeconfig {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Prints a kubeconfig for a user, with a new client certificate or a token
    #[command(after_help = EXAMPLES)]
    User(User),
}

#[derive(Args)]
struct User {
    /// Name of the user: the common name of the certificate
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    client_name: String,
    /// Group of the user: the organization of the certificate
    #[arg(long, value_name = "GROUP", conflicts_with = "token")]
    org: Option<String>,
    /// Token that the kubeconfig holds instead of a certificate
    #[arg(long, value_name = "TOKEN")]
    token: Option<Zeroizing<String>>,
    /// How long the certificate is valid
    #[arg(long, value_name = "DURATION", default_value = "8760h0m0s", value_parser = duration, conflicts_with = "token")]
    validity_period: Duration,
    /// Configuration file with kubeadm's documents; without it the one that runs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// It may hold a token.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("client_name", &self.client_name).finish_non_exhaustive()
    }
}

pub(super) fn command() -> Command {
    Kubeconfig::augment_args(Command::new("kubeconfig"))
        .about("Prints kubeconfigs for other users")
        .long_about(None)
        .after_help(EXAMPLES)
        .arg_required_else_help(true)
}

pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let Kubeconfig { verb: Verb::User(user) } =
        Kubeconfig::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    let config = config(&user, &files)?;
    let document = match &user.token {
        Some(token) => with_token(&user, token, &config, &files)?,
        None => with_certificate(&user, &config, &files)?,
    };
    match global.output {
        Output::Text => output::print(document.trim_end()),
        form => output::data(form, &json!({"kubeconfig": document.as_str()})),
    }
    Ok(())
}

fn config(user: &User, files: &Files) -> Result<Config> {
    let Some(path) = &user.config else { return super::apply::proven(&Generations::new(files))?.input.config() };
    let (source, overrides) = (Some(init::read_config(path)?), Overrides::default());
    let facts = Facts { default_address: host::facts::default_address(), ..Facts::default() };
    Input { source, overrides, patches: None, facts: Facts { hostname: host::facts::hostname(), ..facts } }.config()
}

fn with_token(user: &User, token: &str, config: &Config, files: &Files) -> Result<Zeroizing<String>> {
    let authority = join::read(files, &format!("{}/ca.crt", config.cluster.certificates_dir))?;
    let (server, authority) = (kubeconfig::server(KubeconfigId::Admin, config), String::from_utf8_lossy(&authority));
    let credentials = json!({"token": token});
    Ok(kubeconfig::render_with(&config.cluster.name, &server, &authority, &user.client_name, &credentials))
}

fn damaged(path: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Preflight, format!("{path} cannot be used: {why}"))
        .hint("put it back from a backup, or with `kubekeel rollback`; nothing was issued")
}

fn with_certificate(user: &User, config: &Config, files: &Files) -> Result<Zeroizing<String>> {
    let pki = &config.cluster.certificates_dir;
    let fail = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, "cannot issue the certificate of the user").because(error)
    };
    let (path, key_path) = (format!("{pki}/ca.crt"), format!("{pki}/ca.key"));
    let trusted = join::read(files, &path)?;
    let authority = Certificate::parse(&trusted).map_err(|error| damaged(&path, &error))?;
    if authority.is_self_issued() && !authority.is_signed_by(&authority) {
        return Err(damaged(&path, &pki::Misfit::WrongAuthority));
    }
    // While a rotation goes on there are two authorities, and what the new one signs comes with the word of the old one.
    let cross = files.read(&format!("{pki}/{}", CertificateId::Ca.cross())).map_err(|error| fail(&error))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let trusted = if cross.is_some() { text(&trusted) } else { authority.to_pem() };
    let signer = Key::from_pem(&join::read(files, &key_path)?).map_err(|error| damaged(&key_path, &error))?;
    let issuer = Issuer::new(authority, signer).map_err(|error| damaged(&key_path, &error))?;
    let profile = pki::user_profile(&user.client_name, user.org.as_deref(), user.validity_period, config);
    let key = Key::generate(profile.algorithm).map_err(|error| fail(&error))?;
    let certificate = pki::issue(&profile, &key, Some(&issuer), host::now()).map_err(|error| fail(&error))?;
    let certificate = certificate + &cross.map(|bytes| text(&bytes)).unwrap_or_default();
    let document = kubeconfig::render(
        &config.cluster.name,
        &kubeconfig::server(KubeconfigId::Admin, config),
        &trusted,
        &user.client_name,
        &certificate,
        &key.private_pem(),
    );
    Ok(Zeroizing::new(String::from_utf8_lossy(document.expose()).into_owned()))
}
