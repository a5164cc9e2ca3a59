//! The ladder of the proof, rung by rung: what must not count as proven.

use std::collections::BTreeMap;

use kubekeel::event::Rung;
use kubekeel::host::http::Health;
use kubekeel::manifest::Component;
use kubekeel::observed::{ContainerRun, ContainerState, MirrorPod, PodRun};
use kubekeel::prove::ladder::{Kubelet, View, climb};

const DIGEST: &str = "sha256:new";

fn container(id: &str, state: ContainerState) -> ContainerRun {
    ContainerRun { id: id.into(), state, ..ContainerRun::default() }
}

fn pod(digest: &str, ready: bool, containers: Vec<ContainerRun>) -> PodRun {
    PodRun {
        name: "etcd".into(),
        sandbox: digest.into(),
        ready,
        digest: Some(digest.into()),
        containers,
        ..PodRun::default()
    }
}

fn older(pod: PodRun) -> PodRun {
    PodRun { sandbox: "older".into(), ..pod }
}

fn mirror(digest: &str, ready: bool, container: &str) -> MirrorPod {
    MirrorPod { digest: Some(digest.into()), ready, ready_since: Some(100), container: Some(container.into()) }
}

/// Everything as it should be.
fn proven() -> View {
    View {
        pods: Ok(vec![pod(DIGEST, true, vec![container("c1", ContainerState::Running)])]),
        health: BTreeMap::from([(Component::Etcd, Health::Ready)]),
        node: Ok(true),
        mirrors: Ok(BTreeMap::from([("etcd".into(), mirror(DIGEST, true, "c1"))])),
        kubelet: Kubelet::Settled,
        unready_at: BTreeMap::new(),
    }
}

/// What is wrong, how far the proof gets then, and how to make it so.
type Row = (&'static str, Option<Rung>, fn(&mut View));

#[test]
fn every_rung_is_needed() {
    let running = || vec![container("c1", ContainerState::Running)];
    let exited = || vec![container("c1", ContainerState::Exited)];
    let changes: [Row; 16] = [
        ("all is well", Some(Rung::MirrorPod), |_| ()),
        ("the mirror pod is missing", Some(Rung::Node), |view| view.mirrors = Ok(BTreeMap::new())),
        ("the old mirror pod still says Ready", Some(Rung::Node), |view| {
            view.mirrors = Ok(BTreeMap::from([("etcd".into(), mirror("sha256:old", true, "c1"))]));
        }),
        ("a kubelet that started later has not spoken", Some(Rung::Node), |view| view.kubelet = Kubelet::Young(100)),
        ("a young kubelet may only repeat what it was told", Some(Rung::Node), |view| {
            view.kubelet = Kubelet::Young(99);
        }),
        ("a young kubelet doubted before", Some(Rung::Node), |view| {
            (view.kubelet, view.unready_at) = (Kubelet::Young(99), BTreeMap::from([("etcd".into(), 99)]));
        }),
        ("a young kubelet doubted and then saw for itself", Some(Rung::MirrorPod), |view| {
            (view.kubelet, view.unready_at) = (Kubelet::Young(99), BTreeMap::from([("etcd".into(), 100)]));
        }),
        ("the kubelet ended, and what it said last stands", Some(Rung::Node), |view| view.kubelet = Kubelet::Down),
        ("a young kubelet spoke late", Some(Rung::MirrorPod), |view| view.kubelet = Kubelet::Young(97)),
        ("a young kubelet started the container itself", Some(Rung::MirrorPod), |view| {
            let own = ContainerRun { started_at: 101_000_000_000, ..container("c1", ContainerState::Running) };
            (view.kubelet, view.pods) = (Kubelet::Young(100), Ok(vec![pod(DIGEST, true, vec![own])]));
        }),
        ("the mirror pod is not Ready", Some(Rung::Node), |view| {
            view.mirrors = Ok(BTreeMap::from([("etcd".into(), mirror(DIGEST, false, "c1"))]));
        }),
        ("the mirror pod is about a container that is gone", Some(Rung::Node), |view| {
            view.mirrors = Ok(BTreeMap::from([("etcd".into(), mirror(DIGEST, true, "c0"))]));
        }),
        ("the Node is not registered", Some(Rung::Health), |view| view.node = Ok(false)),
        ("the API server does not tell", Some(Rung::Health), |view| view.node = Err("down".into())),
        ("the port refuses", Some(Rung::Container), |view| {
            view.health.insert(Component::Etcd, Health::Refused);
        }),
        ("the runtime does not tell", Some(Rung::File), |view| view.pods = Err("down".into())),
    ];
    for (what, rung, change) in changes {
        let mut view = proven();
        change(&mut view);
        let progress = climb(Component::Etcd, Some(DIGEST), &view);
        assert_eq!(progress.rung, rung, "{what}");
        assert_eq!(progress.waiting.is_empty(), progress.is_proven(), "{what}: {}", progress.waiting);
    }
    let pods = [
        ("the container exited", Some(Rung::Sandbox), vec![pod(DIGEST, true, exited())]),
        ("the sandbox is not ready", Some(Rung::File), vec![pod(DIGEST, false, running())]),
        (
            "another pod of the name runs",
            Some(Rung::File),
            vec![pod(DIGEST, true, running()), pod("sha256:old", true, running())],
        ),
        ("only the old pod runs", Some(Rung::File), vec![pod("sha256:old", true, running())]),
        (
            "a dead old pod is left over",
            Some(Rung::MirrorPod),
            vec![pod(DIGEST, true, running()), pod("sha256:old", false, exited())],
        ),
        ("nothing runs", Some(Rung::File), vec![]),
    ];
    for (what, rung, pods) in pods {
        let view = View { pods: Ok(pods), ..proven() };
        assert_eq!(climb(Component::Etcd, Some(DIGEST), &view).rung, rung, "{what}");
    }
    assert_eq!(climb(Component::Etcd, None, &proven()).rung, None, "without a genuine manifest nothing is proven");
}

#[test]
fn nothing_half_alive_is_proven() {
    let running = |id| container(id, ContainerState::Running);
    let rows = [
        ("no container yet", Rung::Sandbox, vec![pod(DIGEST, true, vec![])]),
        (
            "a container that was only made",
            Rung::Sandbox,
            vec![pod(DIGEST, true, vec![container("c1", ContainerState::Created)])],
        ),
        (
            "a container that nobody knows",
            Rung::Sandbox,
            vec![pod(DIGEST, true, vec![container("c1", ContainerState::Unknown)])],
        ),
        (
            "the newest exited, though an older one runs",
            Rung::Sandbox,
            vec![pod(DIGEST, true, vec![container("c2", ContainerState::Exited), running("c1")])],
        ),
        (
            "a container of the old pod outlives its sandbox",
            Rung::File,
            vec![pod(DIGEST, true, vec![running("c1")]), pod("sha256:old", false, vec![running("c0")])],
        ),
        (
            "an older sandbox of the same manifest is alive",
            Rung::File,
            vec![pod(DIGEST, true, vec![running("c1")]), older(pod(DIGEST, true, vec![running("c0")]))],
        ),
        (
            "a container of an older sandbox of the same manifest is alive",
            Rung::File,
            vec![pod(DIGEST, true, vec![running("c1")]), older(pod(DIGEST, false, vec![running("c0")]))],
        ),
        (
            "a pod of our name that says nothing of its manifest",
            Rung::File,
            vec![PodRun { digest: None, ..pod("", true, vec![]) }],
        ),
    ];
    for (what, rung, pods) in rows {
        let progress = climb(Component::Etcd, Some(DIGEST), &View { pods: Ok(pods), ..proven() });
        assert_eq!(progress.rung, Some(rung), "{what}");
        assert!(!progress.waiting.is_empty(), "{what}");
    }
    // Dead ones of the same manifest are history, and other components are none of its business.
    let dead = older(pod(DIGEST, false, vec![container("c0", ContainerState::Exited)]));
    let other = PodRun { name: "kube-apiserver".into(), ..pod("sha256:old", true, vec![running("c9")]) };
    let pods = Ok(vec![pod(DIGEST, true, vec![running("c1")]), dead, other]);
    assert!(climb(Component::Etcd, Some(DIGEST), &View { pods, ..proven() }).is_proven());
}

#[test]
fn what_is_waited_for_is_said() {
    let rows: [(Option<Health>, &str); 6] = [
        (None, "its health port"),
        (Some(Health::NotReady("[-]poststarthook failed".into())), "health: [-]poststarthook failed"),
        (Some(Health::Refused), "its port to open"),
        (Some(Health::Silent), "an answer of its health port"),
        (Some(Health::Tls("another authority".into())), "health: another authority"),
        (Some(Health::Broken("reset".into())), "health: reset"),
    ];
    for (health, words) in rows {
        let health = health.map(|health| (Component::Etcd, health)).into_iter().collect();
        let progress = climb(Component::Etcd, Some(DIGEST), &View { health, ..proven() });
        assert_eq!((progress.rung, progress.waiting.as_str()), (Some(Rung::Container), words));
    }
    let mirrors = |mirrors| climb(Component::Etcd, Some(DIGEST), &View { mirrors, ..proven() });
    let progress = mirrors(Err("it answers 500".into()));
    assert_eq!((progress.rung, progress.waiting.as_str()), (Some(Rung::Node), "it answers 500"));
    // The mirror pod of another component, and one that says nothing of its manifest or its container.
    for unfit in [
        ("kube-apiserver", mirror(DIGEST, true, "c1")),
        ("etcd", MirrorPod { digest: None, ..mirror(DIGEST, true, "c1") }),
        ("etcd", MirrorPod { container: None, ..mirror(DIGEST, true, "c1") }),
    ] {
        let progress = mirrors(Ok(BTreeMap::from([(unfit.0.to_owned(), unfit.1.clone())])));
        assert_eq!(progress.rung, Some(Rung::Node), "{unfit:?}");
    }
    let nothing = climb(Component::Etcd, Some(DIGEST), &View::default());
    assert_eq!((nothing.rung, nothing.is_proven()), (Some(Rung::File), false), "before the first look");
}
