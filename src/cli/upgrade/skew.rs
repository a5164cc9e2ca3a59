//! Whether the cluster can take a version: what speaks against it is told, and stops an upgrade unless it is overruled.

use super::ask::connect;
use super::wishes::Wishes;
use crate::config::Config;
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::host::fs::Files;
use crate::layout;
use crate::pki::KubeconfigId;
use crate::release::{self, Objection, Version};

/// Judges a version that is asked for. Where nothing is `enforced`, and with `--force`, objections are told and stop nobody, as in
/// kubeadm; the rules that nobody can overrule are the transaction's.
pub(super) async fn judge(
    runs: &Config,
    to: &Version,
    wishes: &Wishes,
    enforced: bool,
    files: &Files,
    reporter: &mut dyn Reporter,
) -> Result<()> {
    let mut objections: Vec<_> = release::unreleased(&runs.cluster.version, to, wishes.allowed()).into_iter().collect();
    match kubelets(wishes, files).await {
        Ok(nodes) => objections.extend(of_nodes(&nodes, &runs.node.name, to)),
        Err(error) if wishes.kubeconfig.is_some() => return Err(error),
        Err(error) => {
            let causes = error.causes.join(": ");
            let problem = Problem::new("Nodes", format!("nobody can say how old their kubelets are: {causes}"));
            reporter.event(&Event::Warning { problem });
        }
    }
    let problems = objections.into_iter().map(|objection| Problem::new(to.to_string(), objection.reason));
    if !enforced || wishes.force() {
        problems.for_each(|problem| reporter.event(&Event::Warning { problem }));
        return Ok(());
    }
    let problems: Vec<_> = problems.collect();
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("something speaks against {to}; nothing was changed");
    Err(Error::problems(Kind::Preflight, message, problems).hint("--force overrules it, as with kubeadm"))
}

async fn kubelets(wishes: &Wishes, files: &Files) -> Result<Vec<(String, String)>> {
    let admin = layout::kubeconfig(KubeconfigId::Admin.file());
    let api = connect(wishes.kubeconfig.as_deref().unwrap_or(&admin), files).await?;
    let unknown = |error| Error::new(Kind::Preflight, "cannot see the Nodes; nothing was changed").because(&error);
    api.kubelets().await.map_err(unknown)
}

/// What speaks against it on the nodes but this one, whose kubelet is the one that is installed.
fn of_nodes(nodes: &[(String, String)], own: &str, to: &Version) -> Vec<Objection> {
    let others = nodes.iter().filter(|(name, _)| name != own);
    let objection = |(name, text): &(String, String)| {
        let Ok(kubelet) = text.parse::<Version>() else {
            let reason = format!("the kubelet of {name} has no version that can be read, but {text:?}");
            return Some(Objection { reason, skippable: true });
        };
        release::of_kubelet(&format!("the kubelet of {name}"), &kubelet, to)
    };
    others.filter_map(objection).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kubelet_but_our_own_is_judged() {
        let nodes = [
            ("cp1", "v1.31.0"),
            ("cp2", "v1.36.3"),
            ("old", "v1.33.12"),
            ("new", "v1.38.0"),
            ("odd", ""),
            ("vendor", "v1.36.3-gke.100"),
        ];
        let nodes = nodes.map(|(name, version)| (name.to_owned(), version.to_owned()));
        let found = of_nodes(&nodes, "cp1", &"v1.37.2".parse().expect("a version"));
        let reasons: Vec<_> = found.iter().map(|objection| objection.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "the kubelet of old is of version v1.33.12, more than three minors older than v1.37.2",
                "the kubelet of new is of version v1.38.0, newer than v1.37.2",
                "the kubelet of odd has no version that can be read, but \"\"",
            ]
        );
        assert!(found.iter().all(|objection| objection.skippable));
    }
}
