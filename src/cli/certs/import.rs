//! `kubekeel certs import`: what an authority elsewhere signed, judged and put where it belongs.

use clap::Args;
use serde_json::json;

use super::super::apply::Change;
use super::super::once::Once;
use super::super::{Global, Output, init, output, report};
use super::Place;
use crate::apply::{self, Generations};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host;
use crate::host::fs::Files;
use crate::host::lock;
use crate::host::signal::Interrupt;
use crate::layout;
use crate::observe;
use crate::phase::Want;
use crate::pki::{KubeconfigId, Renewable};
use crate::plan::{self, Options, Renewal};

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel certs generate-csr --config kubeadm.yaml --cert-dir /root/requests --kubeconfig-dir /root/requests
  … each .csr is signed, the certificate beside it: apiserver.crt, etcd/server.crt, admin.conf.crt …
  kubekeel certs import /root/requests --config kubeadm.yaml     before `kubekeel init`
  kubekeel certs import /root/requests                           on a control plane that runs: proven, or put back

A certificate for another key, of another authority, without a name that the configuration asks for, or not valid now is \
refused; all of them are named at once, before anything is written.";

/// Arguments of `certs import`.
#[derive(Debug, Clone, Args)]
pub(super) struct Import {
    /// Directory of the signed certificates, laid out like the requests
    #[arg(value_name = "DIR")]
    directory: String,
    #[command(flatten)]
    place: Place,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(global: &Global, args: &Import) -> Result<()> {
    let files = Files::new(&global.root);
    let directory = std::path::absolute(&args.directory)
        .map_err(|error| Error::new(Kind::Configuration, "no such directory").because(&error))?;
    let directory = directory.display().to_string();
    let runs = files.is_machine() && Generations::new(&files).newest()?.is_some();
    if runs && (args.place.config.is_some() || args.place.cert_dir.is_some()) {
        let message = "a control plane runs, and its configuration is the one that counts";
        return Err(Error::new(Kind::Configuration, message).hint("leave --config and --cert-dir out"));
    }
    let mut config = args.place.complete(&files)?;
    if let Some(directory) = &args.place.cert_dir {
        config.cluster.certificates_dir.clone_from(directory);
    }
    let renewal = Renewal { ids: judge(&directory, &config, &files)?, signed_in: Some(directory), alone: true };
    if !runs {
        return place(global, args, &renewal, &config, &files).await;
    }
    let change = Change {
        command: "certs import".into(),
        dry_run: args.dry_run,
        force: false,
        renew: &renewal,
        rotation: None,
        once: &Once::default(),
        min_ready: super::renew::MIN_READY,
        input: &|from, _| Ok(from.input.clone()),
        print: &|plan| init::show(plan, global.output, false),
    };
    change.run(global).await
}

/// What there is and fits; everything that does not is named.
fn judge(directory: &str, config: &Config, files: &Files) -> Result<Vec<Renewable>> {
    let (mut ids, mut problems) = (vec![], vec![]);
    for id in Renewable::all().chain([Renewable::Kubeconfig(KubeconfigId::Kubelet)]) {
        match apply::signed(id, directory, config, files, host::now()) {
            Ok(Some(_)) => ids.push(id),
            Ok(None) => {}
            Err(wrong) => problems.extend(wrong),
        }
    }
    if !problems.is_empty() {
        let message = "signed certificates do not fit; nothing was changed";
        return Err(Error::problems(Kind::Preflight, message, problems));
    }
    if ids.is_empty() {
        let message = format!("there are no signed certificates in {directory}");
        return Err(
            Error::new(Kind::Configuration, message).hint("name them like the requests: apiserver.crt, admin.conf.crt")
        );
    }
    Ok(ids)
}

/// Puts the files where `init` will look for them.
async fn place(global: &Global, args: &Import, renewal: &Renewal, config: &Config, files: &Files) -> Result<()> {
    let path = global.root.join(layout::LOCK.trim_start_matches('/'));
    let _lock = if args.dry_run { None } else { Some(lock::take(&path, "certs import")?) };
    let wants: Vec<_> = renewal
        .ids
        .iter()
        .map(|id| match id {
            Renewable::Certificate(id) => Want::Certificate(*id),
            Renewable::Kubeconfig(id) => Want::Kubeconfig(*id),
        })
        .collect();
    let seen = observe::observe(config, files).await?;
    let plan = plan::plan(&wants, config, &seen, Options { renew: renewal.clone(), ..Options::default() })?;
    init::refuse(&plan)?;
    if args.dry_run {
        return init::show(&plan, global.output, false);
    }
    let mut reporter = report::reporter(global.output);
    let made = apply::apply(&plan, &seen, config, files, &Interrupt::listen(), reporter.as_mut(), None).await;
    reporter.finish();
    made?;
    let names: Vec<_> = renewal.ids.iter().map(|id| id.name()).collect();
    match global.output {
        Output::Text => output::print(&format!("imported: {}", names.join(", "))),
        form => output::data(form, &json!({"event": "imported", "names": names})),
    }
    Ok(())
}
