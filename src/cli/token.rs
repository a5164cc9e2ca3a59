//! `kubekeel token`: bootstrap tokens, as `kubeadm token` has them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::join::{join_command, read};
use super::{Global, Output, config, output};
use crate::cluster::{self, TokenState};
use crate::config::{BootstrapToken, Lifetime, Overrides, bootstrap_group, duration};
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::api::{ApiError, ApiServer};
use crate::host::fs::Files;
use crate::kubeconfig;
use crate::token::{self, CertificateKey, Token};

const EXAMPLES: &str = "\
Examples:
  kubekeel token create --print-join-command     the whole command with which a node joins
  kubekeel token create --ttl 2h --description 'rack 7'
  kubekeel token list -o json
  kubekeel token delete abcdef";

const CREATE_EXAMPLES: &str = "\
Examples:
  kubekeel token create --print-join-command
  kubekeel token create --ttl 2h --description 'rack 7'
  kubekeel token create abcdef.0123456789abcdef --ttl 0      one that is known already, for ever";

#[derive(Debug, Args)]
struct TokenArgs {
    /// Kubeconfig of an administrator
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/kubernetes/admin.conf")]
    kubeconfig: String,
    /// Change nothing in the cluster
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes a token in the cluster and prints it
    #[command(after_help = CREATE_EXAMPLES)]
    Create(Create),
    /// Lists the tokens in the cluster
    #[command(after_help = "Examples:\n  kubekeel token list\n  kubekeel token list -o json | jq -r .token")]
    List,
    /// Deletes tokens, given whole or by their first six letters
    #[command(
        after_help = "Examples:\n  kubekeel token delete abcdef\n  kubekeel token delete abcdef ghijkl --dry-run"
    )]
    Delete {
        /// The tokens
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<String>,
    },
    /// Prints a random token and makes nothing in the cluster
    #[command(after_help = "Examples:\n  kubekeel token generate")]
    Generate,
}

#[derive(Debug, Args)]
struct Create {
    /// The token; without it one is made
    token: Option<Token>,
    /// Take the first token of this configuration file instead of flags
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "ttl", "usages", "groups", "description"])]
    config: Option<PathBuf>,
    /// How long it lives; 0 for ever
    #[arg(long, value_name = "DURATION", default_value = "24h0m0s", value_parser = duration)]
    ttl: Duration,
    /// What it is for
    #[arg(long, value_delimiter = ',', default_value = "signing,authentication", value_parser = ["signing", "authentication"])]
    usages: Vec<String>,
    /// Groups of who logs in with it, each beginning with system:bootstrappers:
    #[arg(long, value_delimiter = ',', default_value = "system:bootstrappers:kubeadm:default-node-token", value_parser = bootstrap_group)]
    groups: Vec<String>,
    /// Words about it for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Print the whole command with which a node joins
    #[arg(long)]
    print_join_command: bool,
    /// Key of uploaded certificates, to join as a control plane
    #[arg(long, value_name = "KEY", requires = "print_join_command")]
    certificate_key: Option<CertificateKey>,
}

pub(super) fn command() -> Command {
    TokenArgs::augment_args(Command::new("token"))
        .about("Makes, lists and deletes bootstrap tokens, with which nodes join")
        .long_about(None)
        .after_help(EXAMPLES)
        .arg_required_else_help(true)
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let args =
        TokenArgs::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    match &args.verb {
        Verb::Generate => {
            print(&generate()?, global.output);
            Ok(())
        }
        Verb::Create(create) => self::create(&args, create, &files, global.output).await,
        Verb::List => {
            let secrets = connect(&files, &args.kubeconfig).await?.bootstrap_tokens().await;
            list(&secrets.map_err(|error| refused(&error))?, global.output);
            Ok(())
        }
        Verb::Delete { tokens } => delete(&args, tokens, &files, global.output).await,
    }
}

fn generate() -> Result<Token> {
    Token::generate(host::random).map_err(|error| Error::new(Kind::Step, "cannot make a token").because(&error))
}

fn print(token: &Token, format: Output) {
    match format {
        Output::Text => output::print(&token.expose()),
        form => output::data(form, &json!({"token": token.expose().as_str()})),
    }
}

async fn create(args: &TokenArgs, create: &Create, files: &Files, format: Output) -> Result<()> {
    let wanted = match &create.config {
        Some(file) => configured(file).await?,
        None => BootstrapToken {
            token: create.token.clone(),
            description: create.description.clone(),
            lifetime: Lifetime::of(create.ttl),
            usages: create.usages.clone(),
            groups: create.groups.clone(),
        },
    };
    let token = wanted.token.clone().map_or_else(generate, Ok)?;
    let api = connect(files, &args.kubeconfig).await?;
    let known = cluster::token_states(&api.bootstrap_tokens().await.map_err(|error| refused(&error))?);
    if known.iter().any(|known| known.id == token.id()) {
        return Err(Error::new(Kind::Configuration, format!("there is a token {} already", token.id()))
            .hint(format!("delete it first: kubekeel token delete {}", token.id())));
    }
    if !args.dry_run {
        api.apply(&cluster::token_secret(&token, &wanted, host::now())).await.map_err(|error| refused(&error))?;
    }
    if !create.print_join_command {
        print(&token, format);
        return Ok(());
    }
    let command = join_command(files, &args.kubeconfig, &token, create.certificate_key.as_ref())?;
    match format {
        Output::Text => output::print(&command),
        form => output::data(form, &json!({"joinCommand": command.as_str()})),
    }
    Ok(())
}

/// The first of `bootstrapTokens`, which is the one that kubeadm takes.
async fn configured(file: &PathBuf) -> Result<BootstrapToken> {
    let config = config::input(Some(file), Overrides::default()).await?.config()?;
    Ok(config.bootstrap_tokens.into_iter().next().unwrap_or_default())
}

async fn delete(args: &TokenArgs, tokens: &[String], files: &Files, format: Output) -> Result<()> {
    let ids = tokens.iter().map(|text| match text.parse::<Token>() {
        Ok(token) => Ok(token.id().to_owned()),
        Err(_) if token::is_id(text) => Ok(text.clone()),
        Err(error) => Err(Error::new(Kind::Configuration, error.to_string()).hint("or the first six of it")),
    });
    let ids = ids.collect::<Result<Vec<_>>>()?;
    let api = connect(files, &args.kubeconfig).await?;
    for id in ids {
        let known = args.dry_run || api.delete_bootstrap_token(&id).await.map_err(|error| refused(&error))?;
        if !known {
            return Err(Error::new(Kind::Step, format!("there is no bootstrap token {id}")));
        }
        match format {
            Output::Text => output::print(&format!("bootstrap token \"{id}\" deleted")),
            form => output::data(form, &json!({"event": "deleted", "token": id, "dryRun": args.dry_run})),
        }
    }
    Ok(())
}

/// As `kubeadm token list` does it: a table, or one object of its output API for each token.
fn list(secrets: &[Value], format: Output) {
    let mut rows = vec![["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"].map(str::to_owned)];
    for secret in secrets {
        let [state] = &cluster::token_states(std::slice::from_ref(secret))[..] else { continue };
        let Some(token) = cluster::token(secret) else { continue };
        match format {
            Output::Text => rows.push(row(&token, state)),
            form => output::data(form, &document(&token, state)),
        }
    }
    if format == Output::Text && rows.len() > 1 {
        output::print(&table(&rows));
    }
}

fn document(token: &Token, state: &TokenState) -> Value {
    let mut document = json!({
        "kind": "BootstrapToken",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "token": token.expose().as_str(),
    });
    let texts = [("description", &state.description), ("expires", &state.expires.map(moment).unwrap_or_default())];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        document[name] = json!(text);
    }
    for (name, words) in [("usages", &state.usages), ("groups", &state.groups)] {
        if !words.is_empty() {
            document[name] = json!(words);
        }
    }
    document
}

fn row(token: &Token, state: &TokenState) -> [String; 6] {
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let left = state.expires.map(|expires| expires.duration_since(host::now()).unwrap_or_default());
    [
        token.expose().to_string(),
        left.map_or_else(|| "<forever>".into(), short),
        state.expires.map_or_else(|| "<never>".into(), moment),
        or(state.usages.join(","), "<none>"),
        or(state.description.clone(), "<none>"),
        or(state.groups.join(","), "<none>"),
    ]
}

fn table(rows: &[[String; 6]]) -> String {
    let mut lines = vec![];
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
            line += &format!("{cell:<width$}   ");
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn moment(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

/// The largest unit that it is one of: `23h`, `59m`, `7s` (`ShortHumanDuration`).
fn short(left: Duration) -> String {
    let seconds = left.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, 's'));
    format!("{}{name}", seconds / unit)
}

async fn connect(files: &Files, path: &str) -> Result<ApiServer> {
    let bytes = read(files, path)?;
    let unusable = |error: &(dyn std::error::Error + 'static)| {
        Error::new(Kind::Step, format!("{path} cannot be used")).because(error)
    };
    let server = kubeconfig::parse(&bytes).map_err(|error| unusable(&error))?.server;
    ApiServer::connect(&bytes, &server).await.map_err(|error| unusable(&error))
}

fn refused(error: &ApiError) -> Error {
    Error::new(Kind::Step, "the API server refused").because(error)
}
