//! `kubekeel init`: from a configuration to a proven control plane.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Global, Output, output, patches, report};
use crate::apply::{self, Generations, Made};
use crate::config::{Config, Facts, Input, Lifetime, Overrides, duration};
use crate::error::{Error, Kind, Result};
use crate::event::Event;
use crate::host::fs::Files;
use crate::host::signal::Interrupt;
use crate::host::{facts, lock};
use crate::layout;
use crate::observe;
use crate::phase::{self, PHASES, Want};
use crate::plan::{self, Options, Plan};
use crate::preflight;
use crate::token::{CertificateKey, Token};

const EXAMPLES: &str = "\
Examples:
  kubekeel init                                      with defaults, which are shown
  kubekeel init --config kubeadm.yaml --dry-run      say what would be done and restarted
  kubekeel init --config kubeadm.yaml                do it, and prove it
  kubekeel init phase certs apiserver --config kubeadm.yaml";

const PHASE_EXAMPLES: &str = "\
Examples:
  kubekeel init phase certs all --config kubeadm.yaml
  kubekeel init phase control-plane apiserver --config kubeadm.yaml --dry-run
  kubekeel init phase upload-certs --upload-certs      the certificates that further control planes need, once more";

/// The flags of `kubeadm init`, and ours.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Clone, Args)]
pub(super) struct Init {
    /// Configuration file with kubeadm's documents; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print the plan and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// With --dry-run: exit with 4 when there is something to do
    #[arg(long, requires = "dry_run")]
    pub(super) exit_code: bool,
    /// Replace files that somebody edited or that another tool wrote; never keys
    #[arg(long)]
    pub(super) force: bool,
    /// Name of the Node
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Address that the API server tells others
    #[arg(long, value_name = "IP")]
    apiserver_advertise_address: Option<String>,
    /// Port of the API server
    #[arg(long, value_name = "PORT")]
    apiserver_bind_port: Option<u16>,
    /// Further names and addresses in the API server's certificate
    #[arg(long, value_name = "SAN", value_delimiter = ',')]
    apiserver_cert_extra_sans: Vec<String>,
    /// Directory of the certificates
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<String>,
    /// Stable address of the control plane, with an optional port
    #[arg(long, value_name = "HOST[:PORT]")]
    control_plane_endpoint: Option<String>,
    /// Socket of the container runtime
    #[arg(long, value_name = "SOCKET")]
    cri_socket: Option<String>,
    /// Preflight checks whose errors become warnings
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    ignore_preflight_errors: Vec<String>,
    /// Registry of the images
    #[arg(long, value_name = "REPOSITORY")]
    image_repository: Option<String>,
    /// Version of the control plane
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// Directory of patches for what is rendered, named <target>[suffix][+type].yaml
    #[arg(long, value_name = "DIR")]
    patches: Option<String>,
    /// Network of the pods
    #[arg(long, value_name = "CIDR")]
    pod_network_cidr: Option<String>,
    /// Network of the Services
    #[arg(long, value_name = "CIDR")]
    service_cidr: Option<String>,
    /// DNS domain of the Services
    #[arg(long, value_name = "DOMAIN")]
    service_dns_domain: Option<String>,
    /// Upload the certificates that further control-plane nodes need
    #[arg(long)]
    upload_certs: bool,
    /// Key of the uploaded certificates, 64 hexadecimal digits; without it one is made
    #[arg(long, value_name = "KEY", requires = "upload_certs")]
    certificate_key: Option<CertificateKey>,
    /// Bootstrap token for joining nodes, in place of the first in the file; without it one is made
    #[arg(long, value_name = "TOKEN")]
    token: Option<Token>,
    /// How long that token lives; 0 for ever
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    token_ttl: Option<Duration>,
    /// Phases that are left out
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    skip_phases: Vec<String>,
}

pub(super) fn command() -> Command {
    let phases: Vec<_> = PHASES.iter().map(|phase| format!("  {:<36} {}", phase.name, phase.about)).collect();
    Init::augment_args(Command::new("init"))
        .about("Brings up a control plane on this node and proves it")
        .long_about(None)
        .after_help(EXAMPLES)
        .after_long_help(format!("Phases, in order:\n{}\n\n{EXAMPLES}", phases.join("\n")))
        .subcommand(phase_command())
}

/// `init phase …`, generated from the list of phases.
fn phase_command() -> Command {
    let mut command = Command::new("phase")
        .about("Runs one phase alone")
        .after_help(PHASE_EXAMPLES)
        .subcommand_required(true)
        .arg_required_else_help(true);
    for top in PHASES.iter().filter(|phase| !phase.name.contains('/')) {
        let below = format!("{}/", top.name);
        let mut sub = leaf(top.name, top.name, top.about);
        let part = |phase: &'static phase::Phase| Some((phase.name.strip_prefix(&below)?, phase));
        let parts: Vec<_> = PHASES.iter().filter_map(part).collect();
        if !parts.is_empty() {
            sub = sub.subcommand(leaf("all", &format!("{} all", top.name), "All parts of this phase"));
        }
        for (name, part) in parts {
            sub = sub.subcommand(leaf(name, &format!("{} {name}", top.name), part.about));
        }
        command = command.subcommand(sub);
    }
    command
}

/// A command of one phase; `words` are the ones that call it.
fn leaf(name: &'static str, words: &str, about: &'static str) -> Command {
    let example = format!(
        "Examples:\n  kubekeel init phase {words} --config kubeadm.yaml --dry-run\n  \
         kubekeel init phase {words} --config kubeadm.yaml"
    );
    Init::augment_args(Command::new(name)).about(about).long_about(None).after_help(example)
}

/// The deepest subcommand: its matches and, when it is a phase, the phase's name.
fn chosen(matches: &ArgMatches) -> (&ArgMatches, Option<String>) {
    let Some(("phase", matches)) = matches.subcommand() else { return (matches, None) };
    let Some((top, matches)) = matches.subcommand() else { return (matches, None) };
    match matches.subcommand() {
        Some(("all", matches)) => (matches, Some(top.to_owned())),
        Some((part, matches)) => (matches, Some(format!("{top}/{part}"))),
        None => (matches, Some(top.to_owned())),
    }
}

pub(super) async fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let began = Instant::now();
    let (matches, phase) = chosen(matches);
    let args = Init::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let files = Files::new(&global.root);
    let mut reporter = report::reporter(global.output);
    let interrupt = Interrupt::listen();

    let machine_facts = if files.is_machine() { facts::detect().await } else { Facts::default() };
    let input = patches::read(input(&args, &machine_facts)?, &files)?;
    let mut config = input.config()?;
    config.upload_certificates = args.upload_certs;
    config.certificate_key = args.certificate_key.clone().or(config.certificate_key);
    if let Some(first) = config.bootstrap_tokens.first_mut() {
        first.token = args.token.clone().or(first.token.take());
        first.lifetime = args.token_ttl.map_or(first.lifetime, Lifetime::of);
    }
    for (field, value) in &config.detected {
        reporter.event(&Event::Detected { field: (*field).to_owned(), value: value.clone() });
    }
    let wants = wants(phase.as_deref(), &config, &files);
    let dry_run = args.dry_run || config.dry_run;
    // A dry-run writes nothing at all, and a lock is a file.
    let _lock =
        if dry_run { None } else { Some(lock::take(&global.root.join(layout::LOCK.trim_start_matches('/')), "init")?) };

    let seen = observe::observe(&config, &files).await?;
    let inputs = if wants.contains(&Want::Preflight) {
        let inputs = preflight::look(&config, &seen, &files, machine_facts.kubelet_version.clone()).await;
        preflight::check(&inputs, reporter.as_mut())?;
        Some(inputs)
    } else {
        None
    };
    let mut plan = plan::plan(&wants, &config, &seen, Options { force: args.force, ..Options::default() })?;
    plan.images = inputs.iter().flat_map(preflight::Inputs::missing_images).collect();
    refuse(&plan)?;
    if dry_run {
        reporter.finish();
        return show(&plan, global.output, args.exit_code);
    }
    if let Some(inputs) = &inputs {
        preflight::pull(inputs, &interrupt, reporter.as_mut()).await?;
    }
    let result = apply::apply(&plan, &seen, &config, &files, &interrupt, reporter.as_mut(), None).await;
    if result.is_ok() && wants.contains(&Want::Proof) {
        reporter.event(&Event::Proven { elapsed: began.elapsed() });
    }
    reporter.finish();
    let made = result?;
    if wants == self::wants(None, &config, &files) && wants.contains(&Want::Proof) {
        let generations = Generations::new(&files);
        generations.commit("init", &input)?;
        generations.end()?;
    }
    if !files.is_machine() {
        return Ok(());
    }
    if global.output == Output::Text && phase.is_none() {
        output::print(&next_steps(&config, plan.changes_anything()));
    }
    if wants.contains(&Want::JoinCommand) || made.certificate_key.is_some() {
        how_to_join(&files, &made, global.output)?;
    }
    Ok(())
}

pub(super) fn wants(phase: Option<&str>, config: &Config, files: &Files) -> Vec<Want> {
    let mut wants = match phase {
        None => phase::wants_of_init(&config.skip_phases),
        Some(name) => phase::wants_of_phase(name),
    };
    if config.cluster.external_etcd.is_some() {
        wants.retain(|want| !want.is_of_local_etcd());
    }
    if !files.is_machine() {
        // A tree under --root has files, but no kubelet, no runtime and no cluster.
        wants.retain(|want| !want.needs_a_cluster() && *want != Want::Preflight);
        for want in wants.iter_mut().filter(|want| **want == Want::Kubelet) {
            *want = Want::KubeletFiles;
        }
    }
    wants
}

/// The flags that change the configuration.
pub(super) fn overrides(args: &Init) -> Overrides {
    Overrides {
        advertise_address: args.apiserver_advertise_address.clone(),
        bind_port: args.apiserver_bind_port,
        cert_extra_sans: args.apiserver_cert_extra_sans.clone(),
        certificates_dir: args.cert_dir.clone(),
        control_plane_endpoint: args.control_plane_endpoint.clone(),
        cri_socket: args.cri_socket.clone(),
        ignore_preflight_errors: args.ignore_preflight_errors.clone(),
        image_repository: args.image_repository.clone(),
        kubernetes_version: args.kubernetes_version.clone(),
        node_name: args.node_name.clone(),
        pod_subnet: args.pod_network_cidr.clone(),
        service_subnet: args.service_cidr.clone(),
        dns_domain: args.service_dns_domain.clone(),
        skip_phases: args.skip_phases.clone(),
        patches_directory: args.patches.clone(),
        kept_etcd_tag: None,
    }
}

/// What the configuration is made of.
pub(super) fn input(args: &Init, facts: &Facts) -> Result<Input> {
    let source = args.config.as_deref().map(read_config).transpose()?;
    Ok(Input { source, overrides: overrides(args), facts: facts.clone(), patches: None })
}

/// Reads a configuration file, or standard input for `-`.
pub(super) fn read_config(path: &Path) -> Result<(String, String)> {
    let name = path.display().to_string();
    let bytes = if name == "-" { crate::host::read_stdin() } else { crate::host::read_file(path) };
    let bytes =
        bytes.map_err(|error| Error::new(Kind::Configuration, format!("cannot read {name}")).because(&error))?;
    String::from_utf8(bytes)
        .map(|text| (name.clone(), text))
        .map_err(|error| Error::new(Kind::Configuration, format!("{name} is not UTF-8")).because(&error))
}

pub(super) fn refuse(plan: &Plan) -> Result<()> {
    if !plan.refusals.is_empty() {
        let message = "files that are there do not fit; nothing was changed";
        return Err(Error::problems(Kind::Preflight, message, plan.refusals.clone()));
    }
    if !plan.drift.is_empty() {
        let message = "files were edited since kubekeel wrote them; nothing was changed";
        return Err(Error::problems(Kind::Drift, message, plan.drift.clone()));
    }
    Ok(())
}

pub(super) fn show(plan: &Plan, output: Output, exit_code: bool) -> Result<()> {
    match output {
        Output::Text => output::print(&format!("Plan:\n{plan}")),
        form => {
            let mut line = serde_json::to_value(plan).unwrap_or_default();
            line["event"] = "plan".into();
            output::data(form, &line);
        }
    }
    if exit_code && plan.changes_anything() {
        return Err(Error::new(Kind::Changes, "there is something to do"));
    }
    Ok(())
}

fn next_steps(config: &Config, changed: bool) -> String {
    let admin = layout::kubeconfig("admin.conf");
    let state = if changed { "is up" } else { "is up; nothing had to be done" };
    let lines = [
        format!("The control plane of {} ({}) {state}.", config.node.name, config.cluster.version),
        String::new(),
        format!("Use it:             export KUBECONFIG={admin}"),
        "                    kubectl get pods -A".into(),
        "Install a network:  kubectl apply -f <your CNI plug-in>.yaml".into(),
    ];
    lines.join("\n")
}

/// The join command with what this run made; a secret of an earlier run is not told again.
fn how_to_join(files: &Files, made: &Made, form: Output) -> Result<()> {
    let admin = layout::kubeconfig("admin.conf");
    let command = made.token.as_ref().map(|token| super::join::join_command(files, &admin, token, None)).transpose()?;
    let (command, key) = (command.as_deref(), made.certificate_key.as_ref().map(CertificateKey::expose));
    let key = key.as_ref().map(|key| key.as_str());
    if form != Output::Text {
        output::data(form, &json!({"event": "join", "joinCommand": command, "certificateKey": key}));
        return Ok(());
    }
    output::print(&Zeroizing::new(match (command, key) {
        (Some(command), None) => format!("Join a node:        {command}"),
        (Some(command), Some(key)) => format!(
            "Join a node:        {command}\n\
             As control plane:   the same with --control-plane --certificate-key {key}"
        ),
        (None, Some(key)) => format!("Certificate key:    {key}"),
        (None, None) => "Join nodes:         kubekeel token create --print-join-command".to_owned(),
    }));
    Ok(())
}
