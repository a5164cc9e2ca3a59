//! Plans for a node on which a control plane runs: files of a real `init`, and around them a machine that looks as it has to.

use kubekeel::config::{Arg, Config, KeyAlgorithm};
use kubekeel::host::fs::Files;
use kubekeel::host::service::ServiceStatus;
use kubekeel::layout;
use kubekeel::manifest::{self, Component};
use kubekeel::observe;
use kubekeel::observed::{ContainerRun, ContainerState, PodRun};
use kubekeel::pki::{KubeconfigId, Renewable};
use kubekeel::plan::{self, Given, KubeletAction, Options, Plan, Renewal, Snapshot, Step, Successor, Way};

use crate::rooted::Root;

/// A control plane whose four static pods run as their manifests say, and its configuration.
struct Running {
    config: Config,
    seen: Snapshot,
    /// Holds the files as long as anybody looks at them.
    root: Root,
}

impl Running {
    async fn new(root: Root) -> Self {
        let config = root.config();
        let mut seen = observe::observe(&config, &Files::new(root.directory())).await.expect("a look");
        seen.pods = Some(Component::ALL.into_iter().map(|component| pod(component, &seen)).collect());
        let unit = |text: &str| text.to_owned();
        seen.kubelet = Some(ServiceStatus {
            load: unit("loaded"),
            active: unit("active"),
            sub: unit("running"),
            enabled: unit("enabled"),
            ..ServiceStatus::default()
        });
        seen.free_memory_mib = 8192;
        seen.answers = true;
        Self { config, seen, root }
    }

    /// The same with another flag of the scheduler.
    fn verbose(mut self) -> Self {
        self.config.cluster.scheduler.extra_args.push(Arg { name: "v".into(), value: "4".into() });
        self
    }

    fn successor(mut self, runs: &str, installed: &str) -> Self {
        let version = |text: &str| text.parse().expect("a version");
        self.seen.successor = Some(Successor { runs: version(runs), installed: version(installed) });
        self
    }

    fn plan(&self, options: Options) -> Plan {
        let wants = kubekeel::phase::wants_of_init(&[]);
        plan::plan(&wants, &self.config, &self.seen, options).expect("a plan")
    }
}

fn pod(component: Component, seen: &Snapshot) -> PodRun {
    let text = seen.files[&component.path()].text.as_deref().expect("a manifest");
    let container = ContainerRun {
        id: format!("{}-0", component.name()),
        state: ContainerState::Running,
        ..ContainerRun::default()
    };
    PodRun {
        name: component.name().into(),
        sandbox: format!("{}-sandbox", component.name()),
        ready: true,
        digest: Some(manifest::read(text).expect("a pod").digest),
        containers: vec![container],
        ..PodRun::default()
    }
}

fn in_use() -> Options {
    Options { in_use: true, ..Options::default() }
}

fn restarts_kubelet(plan: &Plan) -> bool {
    plan.steps.contains(&Step::Kubelet { action: KubeletAction::Restart })
}

#[tokio::test]
async fn another_minor_of_the_kubelet_restarts_all_pods_in_one_swap_and_the_plan_says_so() {
    let minor = Running::new(Root::made()).await.verbose().successor("v1.36.3", "v1.37.2").plan(in_use());
    assert_eq!(minor.restarts, Component::ALL);
    let text = minor.to_string();
    assert!(text.contains("kubelet: v1.36.3 runs and v1.37.2 is installed; its first start restarts all"), "{text}");
    let ended = minor.steps.iter().filter(|step| matches!(step, Step::EndPod { .. })).count();
    assert_eq!((ended, minor.steps.contains(&Step::SnapshotEtcd)), (4, false), "the manifest of etcd does not change");

    // The next patch release makes the same hashes.
    let patch = Running::new(Root::made()).await.verbose().successor("v1.37.1", "v1.37.2").plan(in_use());
    assert_eq!(patch.restarts, [Component::Scheduler]);
    assert!(restarts_kubelet(&patch) && !patch.to_string().contains("restarts all"), "{patch}");

    // It is brought up although nothing else has to change.
    let alone = Running::new(Root::made()).await.successor("v1.36.3", "v1.37.2").plan(in_use());
    assert!(alone.restarts == Component::ALL && restarts_kubelet(&alone), "{alone}");
}

#[tokio::test]
async fn a_renewal_brings_another_kubelet_up_only_where_it_restarts_one_anyway() {
    let renew = |ids: Vec<Renewable>| Options { renew: Renewal { ids, alone: true, signed_in: None }, ..in_use() };
    let node = Running::new(Root::made()).await.successor("v1.36.3", "v1.37.2");
    let admin = node.plan(renew(vec![Renewable::Kubeconfig(KubeconfigId::Admin)]));
    assert!(admin.restarts.is_empty() && admin.kubelet.is_none() && !restarts_kubelet(&admin), "{admin}");
    let scheduler = node.plan(renew(vec![Renewable::Kubeconfig(KubeconfigId::Scheduler)]));
    assert!(scheduler.restarts == Component::ALL && scheduler.kubelet.is_some(), "{scheduler}");
}

#[tokio::test]
async fn what_a_cluster_was_given_it_does_not_get_again() {
    let node = Running::new(Root::made()).await;
    std::fs::remove_file(node.root.at(&layout::kubeconfig(KubeconfigId::SuperAdmin.file()))).expect("it was there");
    let mut seen = observe::observe(&node.config, &Files::new(node.root.directory())).await.expect("a look");
    seen.pods.clone_from(&node.seen.pods);
    seen.kubelet.clone_from(&node.seen.kubelet);
    let node = Running { seen, ..node };
    let gifts = |plan: &Plan| {
        let super_admin = |step: &Step| matches!(step, Step::WriteKubeconfig { id: KubeconfigId::SuperAdmin, .. });
        let token = |step: &Step| matches!(step, Step::MakeBootstrapToken { .. });
        [plan.steps.contains(&Step::MarkNode), plan.steps.iter().any(token), plan.steps.iter().any(super_admin)]
    };
    assert_eq!(gifts(&node.plan(Options::default())), [true; 3], "init gives all of it");
    let again = node.plan(Options { given: Given { marks: true, tokens: true }, ..in_use() });
    assert_eq!(gifts(&again), [false; 3]);
    assert_eq!(gifts(&node.plan(in_use())), [true, true, false], "another configuration of them is another gift");
}

/// A kubelet that starts waits for an API server that waits for etcd that waits for the kubelet.
#[tokio::test]
async fn etcd_comes_back_before_anybody_waits_for_the_api_server() {
    let mut node = Running::new(Root::made()).await;
    node.config.cluster.etcd.extra_args.push(Arg { name: "log-level".into(), value: "warn".into() });
    let kubelet = |action| Step::Kubelet { action };
    let (alone, rejoin) = (kubelet(KubeletAction::Alone), kubelet(KubeletAction::Rejoin));
    let plan = node.plan(in_use());
    assert_eq!((&plan.restarts[..], &plan.way), (&[Component::Etcd][..], &Some(Way::Waits)));
    assert_eq!(plan.stays, [Component::ApiServer, Component::ControllerManager, Component::Scheduler]);
    let said = "of these may restart while the API is away: kube-controller-manager, kube-scheduler";
    assert!(plan.to_string().contains(said), "{plan}");
    assert!(
        plan.to_string().contains("static pods that go on: kube-apiserver, kube-controller-manager, kube-scheduler")
    );
    assert!(!plan.to_string().contains("is not known"), "{plan}");
    node.seen.answers = false;
    assert!(node.plan(in_use()).to_string().contains("what is in the cluster already is not known"));
    let end = Step::EndPod { component: Component::Etcd, grace: 0 };
    let order = [kubelet(KubeletAction::Stop), end, alone, Step::AwaitApiServer, rejoin];
    let places = order.iter().map(|step| plan.steps.iter().position(|other| other == step).expect("a step"));
    assert!(places.collect::<Vec<_>>().is_sorted() && !restarts_kubelet(&plan), "{plan}");
    // On a way that has no time for that, nobody is left to wait for.
    let short = node.plan(Options::default());
    assert_eq!(short.restarts, [Component::Etcd, Component::ApiServer], "{short}");
}

/// Why the API server is replaced as it is, for every reason that there is.
#[tokio::test]
async fn the_way_of_replacing_the_api_server_is_the_one_that_costs_least_and_has_its_reason() {
    const SHARING: &str = "apiServer:\n  extraArgs:\n  - name: permit-port-sharing\n    value: \"true\"\n";
    let change = |node: &mut Running| {
        node.config.cluster.api_server.extra_args.push(Arg { name: "v".into(), value: "4".into() });
    };
    let node = async |lines: &str| {
        let root = Root::new();
        root.configure(lines);
        root.init(&[]).succeeds();
        let mut node = Running::new(root).await;
        change(&mut node);
        node
    };
    let plan = node(SHARING).await.plan(in_use());
    assert_eq!((plan.way, plan.may_restart), (Some(Way::Beside { etcd: false }), vec![]));
    assert_eq!(node("").await.plan(in_use()).may_restart, [Component::ControllerManager, Component::Scheduler]);
    assert_eq!(node(SHARING).await.plan(Options::default()).way, None, "init has nobody to keep waiting");

    let reason = |node: &Running| match node.plan(in_use()).way {
        Some(Way::After { because }) => because,
        other => panic!("{other:?}"),
    };
    assert!(reason(&node("").await).contains("permit-port-sharing=true in apiServer.extraArgs"));
    let mut leaves = node(SHARING).await;
    leaves.config.cluster.api_server.extra_args.retain(|arg| arg.name != "permit-port-sharing");
    assert!(reason(&leaves).contains("the new one does not share its port"));
    let mut small = node(SHARING).await;
    small.seen.free_memory_mib = 900;
    assert_eq!(reason(&small), "a second one needs 1024 MiB of memory, and 900 MiB are free");
    let mut etcd = node(SHARING).await;
    etcd.config.cluster.etcd.extra_args.push(Arg { name: "log-level".into(), value: "warn".into() });
    let plan = etcd.plan(in_use());
    assert_eq!(plan.way, Some(Way::Beside { etcd: true }));
    let order = |step: &Step| plan.steps.iter().position(|other| other == step).expect("a step");
    let end = |component, grace| order(&Step::EndPod { component, grace });
    let places =
        [order(&Step::SnapshotEtcd), end(Component::Etcd, 0), order(&Step::AwaitApiServer), order(&Step::StartBeside)];
    assert!(places.is_sorted() && order(&Step::StartBeside) < end(Component::ApiServer, 5), "{plan}");
    let kubelet = etcd.successor("v1.36.3", "v1.37.2");
    assert_eq!(reason(&kubelet), "the start of another kubelet restarts all static pods");
    let mut stopped = node(SHARING).await;
    stopped.seen.kubelet =
        Some(ServiceStatus { load: "loaded".into(), active: "inactive".into(), ..ServiceStatus::default() });
    assert!(reason(&stopped).contains("the kubelet"));
}

#[tokio::test]
async fn another_algorithm_lifetime_or_a_name_less_is_another_certificate() {
    let root = Root::new();
    root.configure("apiServer:\n  certSANs: [one.example, two.example]\n");
    root.init(&[]).succeeds();
    let node = Running::new(root).await;
    let renewed = |change: &dyn Fn(&mut Config)| {
        let mut config = node.config.clone();
        change(&mut config);
        let renew = Renewal::default().with_changes(&node.config, &config);
        let plan = plan::plan(&kubekeel::phase::wants_of_init(&[]), &config, &node.seen, Options { renew, ..in_use() });
        let names = |step: &Step| match step {
            Step::IssueCertificate { id, new_key, .. } => Some((id.name(), *new_key)),
            Step::WriteKubeconfig { id, .. } => Some((id.file(), true)),
            _ => None,
        };
        plan.expect("a plan").steps.iter().filter_map(names).collect::<Vec<_>>()
    };
    assert_eq!(renewed(&|_| ()), []);
    let sans = |names: &'static [&'static str]| {
        move |config: &mut Config| config.cluster.api_server_cert_sans = names.iter().map(ToString::to_string).collect()
    };
    assert_eq!(renewed(&sans(&["one.example"])), [("apiserver", true)]);
    assert_eq!(
        renewed(&sans(&["one.example", "two.example", "three.example"])),
        [("apiserver", false)],
        "its key stays"
    );
    let all = renewed(&|config| config.cluster.key_algorithm = KeyAlgorithm::EcdsaP384);
    assert_eq!(all.len(), 7 + 4, "every leaf, and no authority: {all:?}");
    let all = renewed(&|config| config.cluster.certificate_validity = std::time::Duration::from_secs(86400));
    assert_eq!(all.len(), 7 + 4, "{all:?}");
}

#[tokio::test]
async fn what_the_kubelet_of_a_minor_does_not_know_is_named_with_the_rest() {
    let mut config = crate::sample::config();
    config.node.kubelet_extra_args =
        vec![crate::sample::arg("v", "2"), crate::sample::arg("container-runtime", "remote")];
    let gates = serde_json::json!({"NodeSwap": true, "NoSuchGate": true});
    config.kubelet.insert("featureGates".into(), gates);
    config.cluster.scheduler.extra_args = vec![crate::sample::arg("no-such-flag", "1")];
    let problems = manifest::unknown_options(&config, &manifest::NodeInputs::default()).expect("rendered");
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "ClusterConfiguration.scheduler: kube-scheduler 1.37 has no flag --no-such-flag",
            "nodeRegistration.kubeletExtraArgs: kubelet 1.37 has no flag --container-runtime",
            "KubeletConfiguration.featureGates: kubelet 1.37 has no feature gate NoSuchGate",
        ]
    );
}
