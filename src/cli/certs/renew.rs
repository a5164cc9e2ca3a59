//! `kubekeel certs renew`: new certificates and keys, as one transaction.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::super::apply::{Change, only_on_the_machine, proven};
use super::super::once::Once;
use super::super::{Global, Output, init, output, report};
use super::period;
use crate::apply::Generations;
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Event;
use crate::host::fs::Files;
use crate::observe;
use crate::pki::{Expiries, KubeconfigId, Managed, Renewable, Validity};
use crate::plan::Renewal;

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel certs renew all --dry-run          what would be issued, and which pods would restart
  kubekeel certs renew all --if-within 30d    what ends within 30 days, and nothing when nothing does
  kubekeel certs renew apiserver admin.conf
  kubekeel rollback                           the certificates before that, byte for byte

Names and addresses come from the configuration that runs, not from the old certificates. The kubelet renews its own \
certificate; when its name is given it is told to do so now.";

/// Everything that can be renewed.
const ALL: &str = "all";
/// The row of what the kubelet renews by itself, in the table of what ends when.
const KUBELET_CLIENT: &str = "kubelet-client";
const KUBELET: Renewable = Renewable::Kubeconfig(KubeconfigId::Kubelet);

/// Arguments of `certs renew`.
#[derive(Debug, Clone, Args)]
pub(super) struct Renew {
    /// Which certificates and kubeconfigs
    #[arg(value_name = "NAME", required = true, value_parser = PossibleValuesParser::new([ALL, KUBELET.name()].into_iter().chain(Renewable::all().map(Renewable::name))))]
    names: Vec<String>,
    /// Renew only what ends within this time, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = period)]
    if_within: Option<Duration>,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit with 4 when there is something to do
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// Replace files that somebody edited
    #[arg(long)]
    force: bool,
}

/// The stability window.
pub(super) const MIN_READY: Duration = Duration::from_secs(5);

pub(super) async fn run(global: &Global, args: &Renew) -> Result<()> {
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "certs renew")?;
    let config = proven(&Generations::new(&files))?.input.config()?;
    let (chosen, external) = choose(args, &observe::expiries(&config.cluster.certificates_dir, &files)?)?;
    let mut reporter = report::reporter(global.output);
    for problem in external {
        reporter.event(&Event::Warning { problem });
    }
    reporter.finish();
    if chosen.is_empty() {
        match global.output {
            Output::Text => output::print("Nothing has to be renewed."),
            form => output::data(form, &json!({"event": "nothing-to-renew"})),
        }
        return Ok(());
    }
    let all = args.names.iter().any(|name| name == ALL);
    let command = if all { "certs renew all".to_owned() } else { format!("certs renew {}", args.names.join(" ")) };
    let change = Change {
        command,
        dry_run: args.dry_run,
        force: args.force,
        renew: &Renewal { ids: chosen, signed_in: None, alone: true },
        rotation: None,
        once: &Once::default(),
        min_ready: MIN_READY,
        input: &|from, _| Ok(from.input.clone()),
        print: &|plan| init::show(plan, global.output, args.exit_code),
    };
    change.run(global).await
}

/// What is renewed of what was named, and what is left to others; what was named by itself and cannot be renewed is an
/// error, all of it at once.
fn choose(args: &Renew, expiries: &Expiries) -> Result<(Vec<Renewable>, Vec<Problem>)> {
    let ending = args.if_within.map(|within| expiries.names_ending(within));
    let (mut chosen, mut problems, mut by_name) = (vec![], vec![], false);
    for renewable in Renewable::all() {
        let named = args.names.iter().any(|name| name == renewable.name());
        let row = expiries.rows.iter().find(|row| row.name == renewable.name());
        let Some(row) = row.filter(|_| named || args.names.iter().any(|name| name == ALL)) else { continue };
        let due = match row.validity {
            Validity::Until(_) => ending.as_ref().is_none_or(|ending| ending.contains(&row.name.as_str())),
            Validity::Damaged(_) => true,
            // Who took super-admin.conf away did so on purpose.
            Validity::Missing => named,
        };
        if row.managed == Managed::Externally && due {
            let problem = Problem::new(&row.path, "the key of its certificate authority is not on this node");
            by_name |= named;
            problems.push(problem.hint("have it signed elsewhere: kubekeel certs generate-csr, kubekeel certs import"));
        } else if due {
            chosen.push(renewable);
        }
    }
    if args.names.iter().any(|name| name == KUBELET.name()) {
        let row = expiries.rows.iter().find(|row| row.name == KUBELET_CLIENT);
        if ending.is_none_or(|ending| row.is_none_or(|row| ending.contains(&row.name.as_str()))) {
            chosen.push(KUBELET);
        }
    }
    // `all` is all that can be renewed here, unless that is nothing.
    if problems.is_empty() || (!chosen.is_empty() && !by_name) {
        return Ok((chosen, problems));
    }
    Err(Error::problems(Kind::Preflight, "certificates are managed externally; nothing was changed", problems))
}
