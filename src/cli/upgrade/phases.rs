//! The phases of kubeadm's `upgrade apply` and `upgrade node`, and what becomes of those that are left out.

use super::super::once::Once;
use crate::config::PullPolicy;
use crate::error::{Error, Kind, Problem, Result};

/// What it means here to leave a phase out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// This phase of `init` is left out.
    Out(&'static str),
    /// What the checks find is told and stops nobody, and no image is pulled.
    Unchecked,
    /// kubeadm does nothing in it.
    Nothing,
    /// It cannot be left out, and why.
    Needed(&'static str),
}

/// kubeadm's names (`cmd/upgrade/apply.go`, `node.go`); the second says whether `upgrade node` has it.
const PHASES: [(&str, bool, Meaning); 12] = [
    ("preflight", true, Meaning::Unchecked),
    ("control-plane", true, Meaning::Needed("without its static pods there is no other version to prove")),
    ("upload-config", false, Meaning::Out("upload-config")),
    ("upload-config/kubeadm", false, Meaning::Out("upload-config/kubeadm")),
    ("upload-config/kubelet", false, Meaning::Out("upload-config/kubelet")),
    ("kubeconfig", true, Meaning::Out("kubeconfig/kubelet")),
    ("kubelet-config", true, Meaning::Needed("the kubelet takes it with the same start that swaps the static pods")),
    ("bootstrap-token", false, Meaning::Out("bootstrap-token")),
    ("addon", true, Meaning::Out("addon")),
    ("addon/coredns", true, Meaning::Out("addon/coredns")),
    ("addon/kube-proxy", true, Meaning::Out("addon/kube-proxy")),
    ("post-upgrade", true, Meaning::Nothing),
];

/// Leaves phases out of this run; all that cannot be left out are named at once.
pub(super) fn skip(names: &[String], node: bool, once: &mut Once) -> Result<()> {
    let mut problems = vec![];
    for name in names {
        let known = PHASES.iter().find(|(known, of_node, _)| known == name && (*of_node || !node));
        match known.map(|(_, _, meaning)| *meaning) {
            Some(Meaning::Out(phase)) => once.skipped.push(phase),
            Some(Meaning::Unchecked) => {
                once.ignored.push("all".to_owned());
                once.pull_policy = Some(PullPolicy::Never);
            }
            Some(Meaning::Nothing) => {}
            Some(Meaning::Needed(why)) => problems.push(Problem::new(name, format!("it cannot be left out: {why}"))),
            None => {
                let names = PHASES.iter().filter(|(_, of_node, _)| *of_node || !node).map(|(name, ..)| *name);
                let hint = format!("one of {}", names.collect::<Vec<_>>().join(", "));
                problems.push(Problem::new(name, "there is no such phase of an upgrade").hint(hint));
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::problems(Kind::Configuration, "--skip-phases cannot be followed; nothing was changed", problems))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Part;
    use crate::manifest::Component;
    use crate::phase::{self, Want};
    use crate::pki::KubeconfigId;

    fn skipping(names: &[&str], node: bool) -> Result<Once> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut once = Once::default();
        skip(&names, node, &mut once).map(|()| once)
    }

    #[test]
    fn what_is_left_out_is_not_wanted_and_the_rest_is() {
        let once = skipping(&["addon/coredns", "upload-config", "kubeconfig", "post-upgrade"], false).expect("known");
        let wants = phase::wants_of_init(&[]);
        let skipped: Vec<_> = wants.iter().copied().filter(|want| once.skips(*want)).collect();
        assert_eq!(
            skipped,
            [
                Want::Kubeconfig(KubeconfigId::Kubelet),
                Want::Objects(Part::KubeadmConfig),
                Want::Objects(Part::KubeletConfig),
                Want::Objects(Part::CoreDns)
            ]
        );
        assert!(!once.skips(Want::StaticPod(Component::Etcd)));
        assert_eq!(once.ignored, [""; 0]);
    }

    #[test]
    fn without_preflight_errors_are_warnings_and_nothing_is_pulled() {
        let once = skipping(&["preflight"], true).expect("known");
        assert_eq!((once.ignored, once.pull_policy), (vec!["all".to_owned()], Some(PullPolicy::Never)));
    }

    #[test]
    fn every_phase_means_a_phase_of_init() {
        for (name, _, meaning) in PHASES {
            if let Meaning::Out(phase) = meaning {
                assert!(phase::find(phase).is_some(), "{name}: {phase}");
            }
        }
    }

    #[test]
    fn what_cannot_be_left_out_is_named_with_the_reason() {
        let error = skipping(&["control-plane", "kubelet-config", "bootstrap-tokens"], false).expect_err("needed");
        let told: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("no other version to prove"), "{told:?}");
        assert!(told[2].contains("no such phase"), "{told:?}");
        let of_apply = skipping(&["upload-config/kubeadm"], true).expect_err("only apply has it");
        assert!(of_apply.problems[0].hint.as_deref().is_some_and(|hint| !hint.contains("upload")), "{of_apply:?}");
    }
}
