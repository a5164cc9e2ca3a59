//! The ladder of the proof, rung by rung: what must not count as proven.

use std::collections::BTreeMap;

use kubekeel::event::Rung;
use kubekeel::host::http::Health;
use kubekeel::manifest::Component;
use kubekeel::observed::{ContainerRun, ContainerState, MirrorPod, PodRun};
use kubekeel::prove::ladder::{View, climb};

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

fn mirror(digest: &str, ready: bool, container: &str) -> MirrorPod {
    MirrorPod { digest: Some(digest.into()), ready, container: Some(container.into()) }
}

/// Everything as it should be.
fn proven() -> View {
    View {
        pods: Ok(vec![pod(DIGEST, true, vec![container("c1", ContainerState::Running)])]),
        health: BTreeMap::from([(Component::Etcd, Health::Ready)]),
        node: Ok(true),
        mirrors: Ok(BTreeMap::from([("etcd".into(), mirror(DIGEST, true, "c1"))])),
    }
}

/// What is wrong, how far the proof gets then, and how to make it so.
type Row = (&'static str, Option<Rung>, fn(&mut View));

#[test]
fn every_rung_is_needed() {
    let running = || vec![container("c1", ContainerState::Running)];
    let exited = || vec![container("c1", ContainerState::Exited)];
    let changes: [Row; 9] = [
        ("all is well", Some(Rung::MirrorPod), |_| ()),
        ("the mirror pod is missing", Some(Rung::Node), |view| view.mirrors = Ok(BTreeMap::new())),
        ("the old mirror pod still says Ready", Some(Rung::Node), |view| {
            view.mirrors = Ok(BTreeMap::from([("etcd".into(), mirror("sha256:old", true, "c1"))]));
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
