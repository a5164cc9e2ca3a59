//! Causes inside a static pod: its image, its flags, its ports, its certificates.

use std::time::Duration;

use super::{Evidence, Finding, PodEvidence, finding, last, lines_with};
use crate::host::http::Health;
use crate::manifest::Component;
use crate::observed::{ContainerRun, ContainerState};

pub(super) fn image_missing(evidence: &Evidence) -> Option<Finding> {
    for (component, image) in &evidence.missing_images {
        let pod = evidence.pods.iter().find(|pod| pod.component == *component)?;
        if newest(pod).is_some() {
            continue;
        }
        let name = image.rsplit('/').next().unwrap_or(image).to_lowercase();
        let mut seen = vec![format!("{image} is not in the runtime's store")];
        seen.extend(lines_with(&evidence.kubelet_log, &["errimagepull", "failed to pull", "pulling image", &name], 2));
        return finding(
            true,
            "image-missing",
            component.name(),
            format!("the image of {} is missing and cannot be pulled", component.name()),
            seen,
            format!(
                "load it into the runtime (`ctr -n k8s.io images import`), or correct imageRepository and the tag of {image}"
            ),
        );
    }
    None
}

/// The newest container of the wanted pod. What stands in a dead sandbox is history: its successor is on its way.
fn newest(pod: &PodEvidence) -> Option<&ContainerRun> {
    pod.runs.iter().filter(|run| run.ready && run.digest == pod.digest).find_map(|run| run.containers.first())
}

/// The newest container, when it exited. While a newer one runs, what an older one said is history.
fn failed(pod: &PodEvidence) -> Option<&ContainerRun> {
    newest(pod).filter(|container| container.state == ContainerState::Exited)
}

/// What a container's log gives away: words, cause, summary, remedy, whether one exit is enough.
struct Word {
    words: &'static [&'static str],
    cause: &'static str,
    summary: &'static str,
    remedy: &'static str,
}

const WORDS: [Word; 6] = [
    Word {
        words: &[
            "unknown flag",
            "unknown shorthand flag",
            "flag provided but not defined",
            "invalid argument \"",
            "bad flag syntax",
            "unrecognized feature gate",
            "error verifying flags",
            "expected at most one",
            // The value is wrong: etcd (Go's flag package), then kube-apiserver and kube-controller-manager.
            "\" for flag -",
            "is not a valid mode",
            "able-admission-plugins plugin",
            "is not in the list of known controllers",
        ],
        cause: "bad-flag",
        summary: "does not accept one of its flags",
        remedy: "correct its extraArgs in the configuration and run again",
    },
    Word {
        words: &["no space left on device"],
        cause: "disk-full",
        summary: "has no space left to write to",
        remedy: "free space on the file system and run again",
    },
    Word {
        words: &["address already in use"],
        cause: "port-taken",
        summary: "cannot listen on its port",
        remedy: "stop the process that holds the port, or give the component another one",
    },
    Word {
        words: &["current time", "has expired or is not yet valid"],
        cause: "certificate-expired",
        summary: "meets a certificate that is not valid now",
        remedy: "set the clock, or run `kubekeel init` again to have the certificate issued anew",
    },
    Word {
        words: &[
            "x509:",
            "tls: private key does not match",
            "tls: failed to",
            "failed to parse certificate",
            "unable to load client ca",
            "error loading tls",
            "error loading ca bundle",
            "does not contain any valid rsa or ecdsa",
            "failed to load key pair",
            "bad certificate",
            "authentication handshake failed",
        ],
        cause: "certificate",
        summary: "cannot use a certificate",
        remedy: "compare the file that the log names with its authority; move it away and run `kubekeel init` again",
    },
    Word {
        words: &["no such file or directory", "permission denied", "not a directory"],
        cause: "file-missing",
        summary: "cannot read a file that its flags name",
        remedy: "mount the file with extraVolumes, or correct the flag",
    },
];

pub(super) fn failing(evidence: &Evidence) -> Option<Finding> {
    let findings: Vec<_> = evidence.pods.iter().filter_map(|pod| failing_pod(evidence, pod)).collect();
    // A pod that may still recover hides none that cannot.
    findings.iter().find(|finding| finding.certain).or(findings.first()).cloned()
}

fn failing_pod(evidence: &Evidence, pod: &PodEvidence) -> Option<Finding> {
    let container = failed(pod)?;
    let name = pod.component.name();
    let attempts =
        pod.runs.iter().flat_map(|run| &run.containers).map(|container| container.attempt).max().unwrap_or(0);
    let mut seen =
        vec![format!("exit code {} ({}), start {}", container.exit_code, or_dash(&container.reason), attempts + 1)];
    if !container.message.is_empty() {
        seen.push(container.message.clone());
    }
    let read_log = format!("read its log below /var/log/pods/kube-system_{name}-{}*", evidence.node_name);
    if container.reason == "OOMKilled" {
        // The kernel's word: what the log says was before.
        seen.extend(last(&pod.log, 4));
        return finding(true, "out-of-memory", name, format!("{name} was killed for want of memory"), seen, read_log);
    }
    // What never started has no log: the runtime's message says why.
    let mut log = pod.log.clone();
    log.extend(container.message.lines().map(str::to_owned));
    if let Some((_, port, holder)) = evidence.taken_ports.iter().find(|(component, ..)| *component == pod.component) {
        seen.push(format!("port {port} is held by {holder}"));
        seen.extend(lines_with(&log, &["address already in use"], 1));
        return finding(
            true,
            "port-taken",
            name,
            format!("{name} cannot listen on port {port}"),
            seen,
            "stop that process, or give the component another port",
        );
    }
    for word in &WORDS {
        let lines = lines_with(&log, word.words, 2);
        if lines.is_empty() {
            continue;
        }
        // The API server is allowed to give up while etcd is still starting.
        let waits_for_etcd = pod.component != Component::Etcd
            && attempts == 0
            && word.cause == "certificate"
            && !is_ready(evidence, Component::Etcd);
        seen.extend(lines);
        return finding(!waits_for_etcd, word.cause, name, format!("{name} {}", word.summary), seen, word.remedy);
    }
    // Whoever exits for want of another one is started again when that one is there.
    let waits = match pod.component {
        Component::Etcd => false,
        Component::ApiServer => etcd_unreachable(evidence).is_some(),
        _ => !is_ready(evidence, Component::ApiServer),
    };
    if waits {
        return None;
    }
    seen.extend(last(&log, 4));
    // The kubelet numbers starts by the logs that it finds, so a number alone does not say that it happened now.
    let again = attempts >= 2 && evidence.waited >= Duration::from_secs(10);
    finding(again, "crash-loop", name, format!("{name} exits again and again"), seen, read_log)
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn is_ready(evidence: &Evidence, component: Component) -> bool {
    evidence.pods.iter().any(|pod| pod.component == component && pod.health == Some(Health::Ready))
}

/// When the newest container of a component started, Unix nanoseconds.
fn started(evidence: &Evidence, component: Component) -> Option<i64> {
    let pod = evidence.pods.iter().find(|pod| pod.component == component)?;
    pod.runs.iter().flat_map(|run| &run.containers).map(|container| container.started_at).max()
}

fn speaks_of_etcd(line: &str, evidence: &Evidence) -> bool {
    let words = [":2379", "etcd"].into_iter().chain(evidence.external_etcd.iter().map(String::as_str));
    let line = line.to_lowercase();
    words.into_iter().any(|word| line.contains(&word.to_lowercase()))
}

pub(super) fn etcd_unreachable(evidence: &Evidence) -> Option<Finding> {
    let pod = evidence.pods.iter().find(|pod| pod.component == Component::ApiServer)?;
    if pod.health == Some(Health::Ready) {
        return None;
    }
    let words = [
        "error while dialing",
        "failed to connect to",
        "etcdserver: ",
        "context deadline exceeded",
        "connection refused",
    ];
    let seen: Vec<_> =
        lines_with(&pod.log, &words, 20).into_iter().filter(|line| speaks_of_etcd(line, evidence)).collect();
    if seen.is_empty() {
        return None;
    }
    let distrust = seen.iter().any(|line| line.contains("x509") || line.contains("tls:"));
    let mut seen = last(&seen, 2);
    let is_local = evidence.external_etcd.is_empty();
    if let Some(etcd) = evidence.pods.iter().find(|pod| pod.component == Component::Etcd) {
        seen.push(format!(
            "etcd's own health port: {}",
            etcd.health.as_ref().map_or("not asked".into(), |health| format!("{health:?}"))
        ));
    }
    if distrust && seen.iter().any(|line| line.contains("has expired or is not yet valid")) {
        return finding(
            evidence.waited >= Duration::from_secs(5),
            "certificate-expired",
            Component::ApiServer.name(),
            "kube-apiserver meets a certificate of etcd that is not valid now",
            seen,
            "set the clock, or run `kubekeel init` again to have the certificate issued anew",
        );
    }
    if distrust {
        return finding(
            evidence.waited >= Duration::from_secs(5),
            "certificate",
            Component::ApiServer.name(),
            "kube-apiserver and etcd do not trust each other's certificates",
            seen,
            "compare the API server's etcd-cafile and etcd-certfile with etcd's certificate authority",
        );
    }
    // Who lost its etcd asks again after longer and longer pauses (gRPC connection backoff: each 1.6 times the last, two minutes
    // at most), so it comes back about as long after etcd as etcd was away; who starts asks at once.
    let patience = if started(evidence, Component::ApiServer) < started(evidence, Component::Etcd) { 90 } else { 8 };
    finding(
        // An etcd that is not ready itself may still come; one that is ready elsewhere will not.
        evidence.waited >= Duration::from_secs(patience) && (!is_local || is_ready(evidence, Component::Etcd)),
        "etcd-unreachable",
        Component::ApiServer.name(),
        "kube-apiserver cannot reach etcd",
        seen,
        if is_local {
            "compare etcd's listen-client-urls with the API server's etcd-servers, and their certificates"
        } else {
            "see that every member in etcd.external.endpoints runs and lets this node in"
        },
    )
}

pub(super) fn unhealthy(evidence: &Evidence) -> Option<Finding> {
    let pod = evidence.pods.iter().find(|pod| pod.health.as_ref().is_some_and(|health| *health != Health::Ready))?;
    let (name, health) = (pod.component.name(), pod.health.as_ref()?);
    let (cause, detail) = match health {
        Health::Tls(error) => ("certificate", error.clone()),
        other => ("unhealthy", format!("{other:?}")),
    };
    let mut seen = vec![format!("health port: {detail}")];
    seen.extend(last(&pod.log, 4));
    let certain = cause == "certificate" && evidence.waited >= Duration::from_secs(5);
    finding(
        certain,
        cause,
        name,
        format!("{name} runs but is not ready"),
        seen,
        format!("read its log below /var/log/pods/kube-system_{name}-{}*", evidence.node_name),
    )
}
