//! The rules of `kubekeel doctor`, each alone and exactly: what is named, how much it weighs, and what must stay silent.

mod machine;
mod state;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kubekeel::diagnose::{Evidence, PodEvidence};
use kubekeel::doctor::{Cause, Exam, Origin, Watched, causes, severity};
use kubekeel::event::{Progress, Rung};
use kubekeel::host::http::Health;
use kubekeel::lint::{Named, What, judge};
use kubekeel::manifest::{Component, NodeInputs, render};
use kubekeel::observed::{ContainerRun, ContainerState, MirrorPod, PodRun};
use kubekeel::prove::ladder::View;
use kubekeel::status::{ComponentState, EtcdState, Proven, Service, Severity, Status};

use crate::sample;

fn evidence() -> Evidence {
    Evidence {
        now: SystemTime::UNIX_EPOCH,
        waited: Duration::from_secs(200),
        node_name: "keel-1".into(),
        kubelet: None,
        kubelet_log: vec!["E1 \"Unable to register node with API server\"".into()],
        runtime_error: None,
        runtime_cgroup_driver: None,
        cgroup_v1: false,
        pods: vec![],
        missing_images: vec![],
        taken_ports: vec![],
        foreign_manifests: vec![],
        unfit_certificates: vec![],
        full: vec![],
        node_error: None,
        external_etcd: vec![],
    }
}

fn manifests() -> Vec<Named> {
    let config = sample::config();
    let files = Component::ALL.map(|component| {
        let text = render(component, &config, &NodeInputs::default()).unwrap().text;
        file(&format!("{component}.yaml"), &text)
    });
    files.into()
}

fn file(name: &str, text: &str) -> Named {
    let what = What::File(text.len() as u64, Some(text.as_bytes().to_vec()));
    Named { name: name.into(), is_link: false, what }
}

/// A node that is well.
fn exam() -> Exam {
    let state = |component| ComponentState {
        progress: Progress { component, rung: Some(Rung::MirrorPod), waiting: String::new() },
        desired: None,
        running: None,
        image: String::new(),
        since: None,
        restarts: 0,
        ready: true,
    };
    Exam {
        status: Status {
            now: 1_000_000,
            node: "keel-1".into(),
            initialised: true,
            is_ours: true,
            generation: Some(Proven { number: 2, proven: 900_000, command: "init".into() }),
            components: Component::ALL.map(state).into(),
            kubelet: Service { running: true, ..Service::default() },
            etcd: Some(Ok(EtcdState { version: "3.7.0".into(), size: 1 << 20, quota: 2 << 30, alarms: vec![] })),
            ..Status::default()
        },
        view: View { node: Ok(true), mirrors: Ok(BTreeMap::new()), ..View::default() },
        evidence: evidence(),
        manifests: judge(&manifests(), None),
        watched: vec![Watched {
            path: "/etc/kubernetes/manifests".into(),
            origin: Origin::Configuration("/var/lib/kubelet/config.yaml".into()),
        }],
        kubelet_is_configured: true,
        mirror_log: vec![],
        served: vec![],
        sync: Some(Duration::from_millis(3)),
        time: None,
        routes: vec![],
        services: vec!["10.96.0.0/12".parse().unwrap()],
        pods: vec!["10.244.0.0/16".parse().unwrap()],
        address: [192, 0, 2, 10].into(),
    }
}

/// A static pod falls back to a rung.
fn falls(exam: &mut Exam, component: Component, rung: Rung, waiting: &str) {
    for state in exam.status.components.iter_mut().filter(|state| state.progress.component == component) {
        state.progress = Progress { component, rung: Some(rung), waiting: waiting.into() };
    }
}

/// The only cause; it and the exit code weigh the same.
#[track_caller]
fn finds(exam: &Exam, severity: Severity, cause: &str, component: &str) -> Cause {
    let all = causes(exam);
    let found: Vec<_> =
        all.iter().map(|one| (one.severity, one.diagnosis.cause, one.diagnosis.component.as_str())).collect();
    assert_eq!(found, [(severity, cause, component)], "{all:#?}");
    assert_eq!(kubekeel::doctor::severity(exam, &all), severity);
    assert!(!all[0].diagnosis.remedy.is_empty() && !all[0].diagnosis.summary.is_empty(), "{all:?}");
    all[0].clone()
}

#[test]
fn a_node_that_is_well_has_no_cause_whatever_its_logs_say() {
    assert_eq!(causes(&exam()), []);
    assert_eq!(severity(&exam(), &[]), Severity::Well);
}

fn run(component: Component, sandbox: &str, digest: &str) -> PodRun {
    PodRun {
        name: component.name().into(),
        sandbox: sandbox.into(),
        ready: true,
        digest: Some(digest.into()),
        ..PodRun::default()
    }
}

fn pod(component: Component, runs: Vec<PodRun>, log: &str) -> PodEvidence {
    PodEvidence { component, digest: Some("new".into()), runs, log: vec![log.into()], health: None }
}

#[test]
fn two_pods_of_one_component_are_a_stale_sandbox_and_not_a_taken_port() {
    let scheduler = |runs| pod(Component::Scheduler, runs, "address already in use");
    let mut exam = exam();
    falls(&mut exam, Component::Scheduler, Rung::File, "the old pod to end");
    let (new, old) = (run(Component::Scheduler, "b", "new"), run(Component::Scheduler, "a", "old"));
    exam.evidence.pods = vec![scheduler(vec![new, old.clone()])];
    exam.evidence.taken_ports = vec![(Component::Scheduler, 10259, "pid 1".into())];
    let cause = finds(&exam, Severity::Broken, "stale-sandbox", "kube-scheduler");
    assert!(cause.diagnosis.remedy.contains("kubekeel init"), "{cause:?}");
    exam.evidence.pods = vec![scheduler(vec![old])];
    exam.evidence.taken_ports.clear();
    let cause = finds(&exam, Severity::Broken, "predecessor", "kube-scheduler");
    assert_eq!(cause.diagnosis.evidence, ["sandbox a runs another manifest"]);
    // kubeadm's are not ours to put in order.
    exam.status.is_ours = false;
    assert!(causes(&exam)[0].diagnosis.remedy.contains("crictl stopp"), "{:?}", causes(&exam));
}

#[test]
fn a_bad_flag_is_named_on_every_node_with_what_to_do_there() {
    let mut exam = exam();
    falls(&mut exam, Component::ApiServer, Rung::Sandbox, "a restart: the container exited with 1");
    falls(&mut exam, Component::Scheduler, Rung::Health, "the API server to answer");
    let mut failed = run(Component::ApiServer, "a", "new");
    failed.containers = vec![ContainerRun { exit_code: 1, state: ContainerState::Exited, ..ContainerRun::default() }];
    exam.evidence.pods = vec![pod(Component::ApiServer, vec![failed], "Error: unknown flag: --no-such-flag")];
    let cause = finds(&exam, Severity::Broken, "bad-flag", "kube-apiserver");
    assert!(cause.diagnosis.evidence.contains(&"Error: unknown flag: --no-such-flag".into()), "{cause:?}");
    assert!(cause.diagnosis.remedy.starts_with("kubekeel rollback"), "{cause:?}");

    (exam.status.is_ours, exam.status.generation) = (false, None);
    let all = causes(&exam);
    let found: Vec<_> = all.iter().map(|one| (one.severity, one.diagnosis.cause)).collect();
    assert_eq!(found, [(Severity::Broken, "bad-flag"), (Severity::Attention, "not-ours")], "{all:#?}");
    assert_eq!(all[0].diagnosis.remedy, "correct the flag in /etc/kubernetes/manifests/kube-apiserver.yaml");
}

#[test]
fn a_pod_waits_for_its_own_cause_and_not_for_another_controllers() {
    let mut exam = exam();
    falls(&mut exam, Component::ControllerManager, Rung::Container, "its port to open");
    let cause = finds(&exam, Severity::Broken, "not-proven", "kube-controller-manager");
    assert_eq!(cause.diagnosis.summary, "kube-controller-manager: waits for its port to open");
    exam.evidence.pods = vec![PodEvidence {
        health: Some(Health::NotReady("500".into())),
        ..pod(Component::Scheduler, vec![run(Component::Scheduler, "a", "new")], "")
    }];
    let found: Vec<_> = causes(&exam).into_iter().map(|one| (one.diagnosis.cause, one.diagnosis.component)).collect();
    assert_eq!(
        found,
        [("unhealthy", "kube-scheduler".to_owned()), ("not-proven", "kube-controller-manager".to_owned())]
    );
}

/// What kubelets log when the API server refuses a mirror pod, the words in between left out.
const REFUSALS: [(&str, &str, &str); 7] = [
    (
        r#"Internal error occurred: failed calling webhook \"pods.keel.test\": failed to call webhook: Post \"https://nobody.default.svc:443/?timeout=10s\": service \"nobody\" not found"#,
        "an admission webhook refuses it",
        "exclude kube-system from the webhook, or bring its service back",
    ),
    (
        r#"admission webhook \"pods.keel.test\" denied the request: not here"#,
        "an admission webhook refuses it",
        "exclude kube-system from the webhook, or bring its service back",
    ),
    (
        r#"Pod \"kube-scheduler-keel-1\" is invalid: spec.containers[0].resources.requests: Invalid value: \"100m\": must be less than or equal to cpu limit of 50m"#,
        "a LimitRange in kube-system refuses it",
        "delete the LimitRange from kube-system",
    ),
    (
        r#"pods \"kube-scheduler-keel-1\" is forbidden: minimum memory usage per Container is 1Gi. No request is specified"#,
        "a LimitRange in kube-system refuses it",
        "delete the LimitRange from kube-system",
    ),
    (
        r#"pods \"kube-scheduler-keel-1\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"#,
        "a ResourceQuota in kube-system refuses it",
        "delete the ResourceQuota from kube-system",
    ),
    (
        r#"pods \"kube-scheduler-keel-1\" is forbidden: no PriorityClass with name system-node-critical was found"#,
        "its priority class is missing",
        "restart the API server, which makes system-node-critical",
    ),
    (
        r#"pods \"kube-scheduler-keel-1\" is forbidden: node \"keel-2\" can only create pods with spec.nodeName set to itself"#,
        "the API server refuses it",
        "read the reason in `journalctl -u kubelet`",
    ),
];

#[test]
fn a_missing_mirror_pod_is_named_with_who_refuses_it() {
    for (refusal, why, remedy) in REFUSALS {
        let line = |pod: &str| {
            format!(
                "E1123 10:00:00.000000 1 kubelet.go:3222] \"Failed creating a mirror pod\" err=\"{refusal}\" pod=\"{pod}\""
            )
        };
        let mut exam = exam();
        falls(&mut exam, Component::Scheduler, Rung::Node, "the mirror pod");
        exam.mirror_log = vec![line("kube-system/kube-scheduler-keel-1")];
        let cause = finds(&exam, Severity::Broken, "mirror-pod", "kube-scheduler").diagnosis;
        assert_eq!(cause.summary, format!("kube-scheduler runs, and its mirror pod is missing: {why}"));
        assert_eq!((cause.remedy.as_str(), cause.evidence), (remedy, exam.mirror_log.clone()));
        // An old one that nobody replaces.
        exam.view.mirrors = Ok([("kube-scheduler".to_owned(), MirrorPod::default())].into());
        let cause = finds(&exam, Severity::Broken, "mirror-pod", "kube-scheduler").diagnosis;
        assert_eq!(cause.summary, format!("kube-scheduler runs, and its mirror pod is not the running pod's: {why}"));
    }
    // Nobody refused this one: what was said of another pod is no reason.
    let mut exam = exam();
    falls(&mut exam, Component::Scheduler, Rung::Node, "the mirror pod");
    exam.mirror_log = vec![r#"E1 "Failed creating a mirror pod" err="webhook" pod="kube-system/etcd-keel-1""#.into()];
    let cause = finds(&exam, Severity::Broken, "mirror-pod", "kube-scheduler").diagnosis;
    assert_eq!(
        (cause.remedy.as_str(), cause.evidence),
        ("wait 90 s, or restart the kubelet", vec!["it waits for the mirror pod".into()])
    );
}

#[test]
fn a_missing_node_is_named_once_with_the_kubelets_word_and_not_as_mirror_pods() {
    let mut exam = exam();
    exam.view.node = Ok(false);
    for component in Component::ALL {
        falls(&mut exam, component, Rung::Health, "the Node to be registered");
    }
    let cause = finds(&exam, Severity::Broken, "node-missing", "kubelet").diagnosis;
    assert_eq!(
        cause.evidence,
        ["the API server knows no Node keel-1", "E1 \"Unable to register node with API server\""]
    );
    assert!(cause.remedy.starts_with("systemctl restart kubelet"), "{cause:?}");
    // While the API server does not tell of the Node, the kubelet's word is all there is.
    exam.view.node = Err("nobody to ask".into());
    let cause = finds(&exam, Severity::Broken, "registration", "kubelet").diagnosis;
    assert_eq!(cause.evidence, ["E1 \"Unable to register node with API server\""]);
}

#[test]
fn manifests_that_are_gone_or_strange_are_named() {
    let mut exam = exam();
    let mut files = manifests();
    files.retain(|file| file.name != "etcd.yaml");
    exam.manifests = judge(&files, None);
    let cause = finds(&exam, Severity::Broken, "manifest-missing", "etcd").diagnosis;
    assert_eq!(
        (cause.evidence, cause.remedy.as_str()),
        (vec!["/etc/kubernetes/manifests/etcd.yaml is gone".into()], "kubekeel rollback")
    );
    // With an etcd elsewhere there is none.
    exam.status.components.remove(0);
    exam.status.etcd = None;
    assert_eq!(causes(&exam), []);
    files.push(file("zz", "kind: ["));
    exam.manifests = judge(&files, None);
    finds(&exam, Severity::Broken, "foreign-manifest", "zz");
}
