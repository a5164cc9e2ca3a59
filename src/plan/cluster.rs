//! The cluster's part of a plan: objects, tokens, uploaded certificates, the marks of the Node. It comes after the proof.

use super::Step;
use super::diff::Planner;
use crate::cluster::{self, Known, Part};
use crate::error::Result;
use crate::layout;
use crate::phase::{self, Want};
use crate::pki::{CertificateId, KubeconfigId};

/// Plans what is wanted in the cluster.
pub(super) fn plan(planner: &mut Planner<'_>, wants: &[Want]) -> Result<()> {
    let given = planner.options.given;
    planner.plan.blind = planner.options.in_use && !planner.seen.answers;
    if wants.contains(&Want::NodeMarks) && !given.marks {
        node_marks(planner);
    }
    let parts: Vec<_> =
        wants.iter().filter_map(|want| if let Want::Objects(part) = want { Some(*part) } else { None }).collect();
    objects(planner, &parts)?;
    if parts.contains(&Part::BootstrapToken) && planner.options.rotation.is_none() && !given.tokens {
        bootstrap_tokens(planner);
    }
    if wants.contains(&Want::UploadedCertificates) && planner.config.upload_certificates {
        for id in CertificateId::authorities().filter(|id| planner.is_external(*id)).collect::<Vec<_>>() {
            let path = format!("{}/{}.key", planner.config.cluster.certificates_dir, id.base());
            planner.refuse(&path, "it is not on this node and cannot be uploaded", "leave --upload-certs out");
        }
        planner.plan.steps.push(Step::UploadCertificates);
    }
    let embedded = |planner: &Planner<'_>| match planner.seen.kubeconfigs.get(&KubeconfigId::Kubelet) {
        Some(Ok(state)) => state.certificate.is_some(),
        _ => true,
    };
    // Nobody in the cluster signs what the kubelet would ask for.
    let signs = !planner.is_external(CertificateId::Ca);
    let written = planner.touched.contains(&layout::kubeconfig(KubeconfigId::Kubelet.file()));
    if wants.contains(&Want::KubeletRotation) && (written || embedded(planner)) && signs {
        let awaited = planner.plan.steps.contains(&Step::RenewKubeletCertificate);
        planner.plan.steps.push(Step::RotateKubeletCertificate { awaited });
    }
    Ok(())
}

fn node_marks(planner: &mut Planner<'_>) {
    let name = &planner.config.node.name;
    let marked = planner.seen.node.as_ref().is_some_and(|node| {
        let labelled = cluster::labels().iter().all(|(key, value)| node.labels.get(key) == Some(value));
        labelled && planner.config.node.taints.iter().all(|taint| node.taints.contains(taint))
    });
    if marked {
        planner.plan.kept.push(format!("labels and taints of the Node {name}"));
    } else {
        planner.plan.steps.push(Step::MarkNode);
    }
}

/// Plans the objects of a generation that comes back; tokens and marks stay as they are.
pub(super) fn put_back(planner: &mut Planner<'_>) -> Result<()> {
    let wants = phase::wants_of_init(&planner.config.skip_phases);
    let parts: Vec<_> =
        wants.iter().filter_map(|want| if let Want::Objects(part) = want { Some(*part) } else { None }).collect();
    objects(planner, &parts)
}

/// All objects in one step: they are independent of each other, so they are applied at the same time.
fn objects(planner: &mut Planner<'_>, parts: &[Part]) -> Result<()> {
    let seen = planner.seen;
    // An authority that an earlier step makes stands for itself: what holds it is not as it should be.
    let changes = planner.touched.contains(&format!("{}/ca.crt", planner.config.cluster.certificates_dir));
    let authority = if changes { "" } else { seen.authority.as_str() };
    let known = Known { authority, live: &seen.objects };
    let mut titles = vec![];
    for object in cluster::all(parts, planner.config, known)? {
        let title = object.title();
        if seen.objects.get(&title).is_some_and(|live| object.is_covered_by(live)) {
            planner.plan.kept.push(title);
        } else {
            titles.push(title);
        }
    }
    if !titles.is_empty() {
        planner.plan.steps.push(Step::ApplyObjects { parts: parts.to_vec(), titles });
    }
    Ok(())
}

fn bootstrap_tokens(planner: &mut Planner<'_>) {
    for (index, wanted) in planner.config.bootstrap_tokens.iter().enumerate() {
        let now = planner.seen.now;
        match planner.seen.tokens.iter().find(|token| token.serves(wanted, now)) {
            // The cluster would delete it at once.
            None if wanted.lifetime.ends(now).is_some_and(|end| end <= now) => {
                planner.plan.kept.push("bootstrap token that has expired".into());
            }
            Some(token) => planner.plan.kept.push(format!("bootstrap token {}", token.id)),
            None => planner.plan.steps.push(Step::MakeBootstrapToken { index }),
        }
    }
}
