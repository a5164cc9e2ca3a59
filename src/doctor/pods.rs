//! Causes in the static pods: their files, their sandboxes, their mirror pods.

use super::Severity::Broken;
use super::{Cause, Exam, cause};
use crate::event::Rung;
use crate::layout;
use crate::lint::{Judged, Verdict};

pub(super) fn manifests(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for component in exam.status.components.iter().map(|state| state.progress.component) {
        if !exam.manifests.iter().any(|judged| component.path().ends_with(&format!("/{}", judged.file))) {
            let seen = vec![format!("{} is gone", component.path())];
            let summary = format!("the static pod {component} has no manifest, so the kubelet ended it");
            causes.extend(cause(
                Broken,
                "manifest-missing",
                component.name(),
                summary,
                seen,
                if exam.status.generation.is_some() { "kubekeel rollback" } else { "put it back from a backup" },
            ));
        }
    }
    let bad = |judged: &&Judged| matches!(judged.verdict, Verdict::Refused | Verdict::Replaced);
    for judged in exam.manifests.iter().filter(bad) {
        let seen = judged.notes.iter().filter(|note| note.is_wrong).map(|note| note.message.clone()).collect();
        let summary =
            format!("the kubelet does not run {}/{}: it is {}", layout::MANIFESTS, judged.file, judged.verdict.name());
        causes.extend(cause(
            Broken,
            "foreign-manifest",
            &judged.file,
            summary,
            seen,
            "kubekeel lint; then move it out, or mend it",
        ));
    }
    causes
}

/// A changed manifest whose old pod has not ended: the kubelet starts no second pod of a name.
pub(super) fn waiting_for_predecessor(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for pod in &exam.evidence.pods {
        let alive: Vec<_> = pod.runs.iter().filter(|run| run.is_alive()).collect();
        let is_wanted = |run: &&&crate::observed::PodRun| run.digest == pod.digest;
        if alive.is_empty() || alive.iter().any(|run| is_wanted(&run)) {
            continue;
        }
        let name = pod.component.name();
        let seen = alive.iter().map(|run| format!("sandbox {} runs another manifest", short(&run.sandbox))).collect();
        let api = exam.view.node.is_ok();
        let why = if api { "it has not ended yet" } else { "a kubelet ends no pod before it has seen the API server" };
        causes.extend(cause(
            Broken,
            "predecessor",
            name,
            format!("the new {name} waits for the old one to end: {why}"),
            seen,
            again(exam, "it stops the kubelet, ends the old pod and starts the new one"),
        ));
    }
    causes
}

pub(super) fn stale_sandboxes(exam: &Exam) -> Vec<Cause> {
    let mut causes = vec![];
    for pod in &exam.evidence.pods {
        let alive: Vec<_> = pod.runs.iter().filter(|run| run.is_alive()).collect();
        let has_wanted = alive.iter().any(|run| run.digest == pod.digest);
        if alive.len() < 2 || !has_wanted {
            continue;
        }
        let name = pod.component.name();
        let seen = alive.iter().map(|run| format!("sandbox {} is alive", short(&run.sandbox))).collect();
        causes.extend(cause(
            Broken,
            "stale-sandbox",
            name,
            format!("{} pods of {name} run at the same time", alive.len()),
            seen,
            again(exam, "it ends all but the one of the manifest"),
        ));
    }
    causes
}

/// How sandboxes are put in order: by us, where the pods are ours.
fn again(exam: &Exam, does: &str) -> String {
    if exam.status.is_ours {
        return format!("run `kubekeel init` again: {does}");
    }
    "stop the kubelet, end the old sandbox (`crictl stopp`), start the kubelet".into()
}

fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

/// What keeps a mirror pod from being made: words of the kubelet's log, and what they mean.
const MIRROR_CAUSES: [(&str, &str, &str); 7] = [
    ("webhook", "an admission webhook refuses it", "exclude kube-system from the webhook, or bring its service back"),
    // The range's maximum becomes the limit, and then the request is above it.
    ("to cpu limit of", "a LimitRange in kube-system refuses it", "delete the LimitRange from kube-system"),
    ("per container is", "a LimitRange in kube-system refuses it", "delete the LimitRange from kube-system"),
    ("per pod is", "a LimitRange in kube-system refuses it", "delete the LimitRange from kube-system"),
    ("exceeded quota", "a ResourceQuota in kube-system refuses it", "delete the ResourceQuota from kube-system"),
    ("priorityclass", "its priority class is missing", "restart the API server, which makes system-node-critical"),
    ("forbidden", "the API server refuses it", "read the reason in `journalctl -u kubelet`"),
];

pub(super) fn mirror_pods(exam: &Exam) -> Vec<Cause> {
    if exam.view.node == Ok(false) {
        let mut seen = vec![format!("the API server knows no Node {}", exam.status.node)];
        let refused = |line: &&String| line.to_lowercase().contains("unable to register node");
        seen.extend(exam.evidence.kubelet_log.iter().rev().find(refused).cloned());
        let remedy = "systemctl restart kubelet: it registers the Node when it starts; see that its name is right";
        return cause(Broken, "node-missing", "kubelet", "the Node is not registered", seen, remedy);
    }
    let Ok(mirrors) = &exam.view.mirrors else { return vec![] };
    let mut causes = vec![];
    for state in exam.status.components.iter().filter(|state| state.progress.rung == Some(Rung::Node)) {
        let name = state.progress.component.name();
        let lines: Vec<_> = exam.mirror_log.iter().filter(|line| line.contains(name)).rev().take(2).cloned().collect();
        let known =
            MIRROR_CAUSES.into_iter().find(|(word, ..)| lines.iter().any(|line| line.to_lowercase().contains(word)));
        let missing = if mirrors.contains_key(name) { "is not the running pod's" } else { "is missing" };
        let (why, remedy) = known.map_or(
            ("the kubelet makes it at the pod's next sync", "wait 90 s, or restart the kubelet"),
            |(_, why, remedy)| (why, remedy),
        );
        let seen = if lines.is_empty() { vec![format!("it waits for {}", state.progress.waiting)] } else { lines };
        let summary = format!("{name} runs, and its mirror pod {missing}: {why}");
        causes.extend(cause(Broken, "mirror-pod", name, summary, seen, remedy));
    }
    causes
}
