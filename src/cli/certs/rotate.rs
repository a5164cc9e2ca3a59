//! `kubekeel certs rotate-ca`: new certificate authorities, in two turns.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::super::apply::{Change, only_on_the_machine, proven};
use super::super::once::Once;
use super::super::{Global, init};
use super::renew::MIN_READY;
use crate::apply::Generations;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::observe;
use crate::pki::CertificateId;
use crate::plan::{Renewal, Rotation, Turn};

pub(super) const EXAMPLES: &str = "\
Examples:
  kubekeel certs rotate-ca begin ca --dry-run    what would be issued, and which pods would restart
  kubekeel certs rotate-ca begin ca              a new authority of the cluster; both are trusted, the new one signs
  kubectl rollout restart ...                    pods read what they trust when they start
  kubekeel certs rotate-ca finish                the new one alone, when nobody needs the old one any more
  kubekeel rollback                              what was trusted before, byte for byte

Between the two turns nothing is in a hurry: what the new authority signed is accepted by those who trust only the old one, too.";

const BEGIN_EXAMPLES: &str = "\
Examples:
  kubekeel certs rotate-ca begin ca --dry-run
  kubekeel certs rotate-ca begin all";

const FINISH_EXAMPLES: &str = "\
Examples:
  kubekeel certs rotate-ca finish --dry-run
  kubekeel certs rotate-ca finish
  kubekeel certs rotate-ca finish --force       although somebody may still need the old authority";

/// All authorities that this node has the keys of.
const ALL: &str = "all";

/// Arguments of `certs rotate-ca`.
#[derive(Debug, Clone, Args)]
pub(super) struct RotateCa {
    #[command(subcommand)]
    turn: Choice,
}

/// Which turn.
#[derive(Debug, Clone, Subcommand)]
enum Choice {
    /// Makes new authorities, trusts them beside the old ones, and renews what those signed
    #[command(after_help = BEGIN_EXAMPLES)]
    Begin(Begin),
    /// Trusts only the new authorities
    #[command(after_help = FINISH_EXAMPLES)]
    Finish(Finish),
}

/// Arguments of `certs rotate-ca begin`.
#[derive(Debug, Clone, Args)]
struct Begin {
    /// Which authorities
    #[arg(value_name = "NAME", required = true, value_parser = PossibleValuesParser::new([ALL].into_iter().chain(CertificateId::authorities().map(CertificateId::name))))]
    names: Vec<String>,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `certs rotate-ca finish`.
#[derive(Debug, Clone, Args)]
struct Finish {
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Drop the old authority although nodes or pods may need it
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(global: &Global, args: &RotateCa) -> Result<()> {
    let files = Files::new(&global.root);
    only_on_the_machine(&files, "certs rotate-ca")?;
    let config = proven(&Generations::new(&files))?.input.config()?;
    let (command, rotation, dry_run) = match &args.turn {
        Choice::Begin(begin) => {
            let rotation = Rotation { authorities: named(&begin.names, &config), turn: Turn::Begin };
            observe::other_control_planes(&config, &files).await?;
            (format!("certs rotate-ca begin {}", begin.names.join(" ")), rotation, begin.dry_run)
        }
        Choice::Finish(finish) => {
            let rotation = Rotation { authorities: begun(&config, &files)?, turn: Turn::Finish };
            if !finish.force && rotation.authorities.contains(&CertificateId::Ca) {
                released(&config, &files).await?;
            }
            ("certs rotate-ca finish".to_owned(), rotation, finish.dry_run)
        }
    };
    let change = Change {
        command,
        dry_run,
        force: false,
        renew: &Renewal { ids: rotation.renewed(), signed_in: None, alone: true },
        rotation: Some(rotation),
        once: &Once::default(),
        min_ready: MIN_READY,
        input: &|from, _| Ok(from.input.clone()),
        print: &|plan| init::show(plan, global.output, false),
    };
    change.run(global).await
}

fn named(names: &[String], config: &Config) -> Vec<CertificateId> {
    let all = names.iter().any(|name| name == ALL);
    let of_etcd = |id: &CertificateId| id.is_of_etcd() && config.cluster.external_etcd.is_some();
    let meant = |id: &CertificateId| names.iter().any(|name| name == id.name()) || (all && !of_etcd(id));
    CertificateId::authorities().filter(meant).collect()
}

/// The authorities whose predecessors are still trusted.
fn begun(config: &Config, files: &Files) -> Result<Vec<CertificateId>> {
    let begun = observe::rotating(config, files)?;
    if begun.is_empty() {
        return Err(Error::new(Kind::Preflight, "no authority has a predecessor that is trusted; nothing was changed")
            .hint("a rotation begins with `kubekeel certs rotate-ca begin`"));
    }
    Ok(begun)
}

/// Whether nobody needs the old authority of the cluster any more, as far as the cluster can tell.
async fn released(config: &Config, files: &Files) -> Result<()> {
    let needing = observe::needing_the_old_authority(config, files).await?;
    if needing.is_empty() {
        return Ok(());
    }
    let message = "somebody may need the old authority; nothing was changed";
    Err(Error::problems(Kind::Preflight, message, needing).hint("when all is done, or none of it matters: --force"))
}
