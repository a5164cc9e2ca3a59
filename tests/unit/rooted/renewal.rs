//! Certificates that are renewed besides everything else, as an upgrade does: what is ours and signed here, and nothing more.

use kubekeel::config::Config;
use kubekeel::host::fs::Files;
use kubekeel::manifest::Component;
use kubekeel::phase::{self, Want};
use kubekeel::pki::{CertificateId, KubeconfigId, Renewable};
use kubekeel::plan::{self, Options, Plan, Reason, Renewal, Snapshot, Step};
use kubekeel::release;

use super::{PKI, Root};

fn seen(root: &Root, config: &Config) -> Snapshot {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(kubekeel::observe::observe(config, &Files::new(root.directory()))).unwrap()
}

/// All that files can show of an upgrade.
fn plan_upgrade(root: &Root, renews: bool, change: impl Fn(&mut Snapshot)) -> Plan {
    let mut config = root.config();
    config.cluster.release = release::release(36).unwrap();
    config.cluster.version = config.cluster.release.newest();
    let mut wants = phase::wants_of_init(&[]);
    wants.retain(|want| !want.needs_a_cluster() && !matches!(want, Want::Preflight | Want::Kubelet));
    let mut seen = seen(root, &config);
    change(&mut seen);
    let renew = Renewal { ids: Renewable::all().filter(|_| renews).collect(), ..Renewal::default() };
    plan::plan(&wants, &config, &seen, Options { renew, ..Options::default() }).unwrap()
}

/// What gets a successor because somebody asked for it.
fn renewed(plan: &Plan) -> Vec<Renewable> {
    let of = |step: &Step| match step {
        Step::IssueCertificate { id, reason: Reason::Requested, new_key: true } => Some(Renewable::Certificate(*id)),
        Step::WriteKubeconfig { id, reason: Reason::Requested } => Some(Renewable::Kubeconfig(*id)),
        _ => None,
    };
    plan.steps.iter().filter_map(of).collect()
}

fn written(plan: &Plan) -> Vec<Component> {
    let of = |step: &Step| if let Step::WriteManifest { component, .. } = step { Some(*component) } else { None };
    plan.steps.iter().filter_map(of).collect()
}

#[test]
fn all_that_this_node_signs_is_renewed_with_the_version_and_nothing_else() {
    let root = Root::made();
    let plan = plan_upgrade(&root, true, |_| {});
    assert_eq!(renewed(&plan), Renewable::all().collect::<Vec<_>>());
    assert_eq!(written(&plan), Component::ALL, "and the version changes");
    assert_eq!((plan.unrenewed, plan.refusals), (vec![], vec![]));
    for kept in ["ca.crt", "etcd/ca.crt", "front-proxy-ca.crt", "sa.key"] {
        assert!(plan.kept.contains(&format!("{PKI}/{kept}")), "{kept} in {:?}", plan.kept);
    }
    assert!(plan.kept.contains(&"/etc/kubernetes/kubelet.conf".to_owned()), "{:?}", plan.kept);
    let without = plan_upgrade(&root, false, |_| {});
    assert_eq!((renewed(&without), written(&without)), (vec![], Component::ALL.to_vec()));
}

#[test]
fn what_is_signed_elsewhere_is_left_alone_and_told() {
    let root = Root::made();
    root.remove(&format!("{PKI}/ca.key"));
    let plan = plan_upgrade(&root, true, |_| {});
    assert_eq!(plan.refusals, []);
    let ours = |id: &Renewable| match id {
        Renewable::Certificate(id) => id.signer() != Some(CertificateId::Ca),
        Renewable::Kubeconfig(_) => false,
    };
    assert_eq!(renewed(&plan), Renewable::all().filter(ours).collect::<Vec<_>>());
    let told: Vec<_> = plan.unrenewed.iter().map(|problem| problem.subject.as_str()).collect();
    assert!(
        told.contains(&"/etc/kubernetes/pki/apiserver.crt") && told.contains(&"/etc/kubernetes/admin.conf"),
        "{told:?}"
    );
    assert_eq!(told.len(), Renewable::all().filter(|id| !ours(id)).count());
    let text = plan.to_string();
    let line =
        "leave    /etc/kubernetes/admin.conf without renewal: the key of its certificate authority is not on this node";
    assert!(text.contains(line), "{text}");
}

#[test]
fn what_somebody_put_there_is_left_alone_and_told() {
    let root = Root::made();
    let (path, admin) = (format!("{PKI}/apiserver.crt"), "/etc/kubernetes/admin.conf");
    let plan = plan_upgrade(&root, true, |seen| {
        seen.inventory.erase(&path);
        seen.inventory.erase(admin);
    });
    assert_eq!(plan.refusals, []);
    let told: Vec<_> =
        plan.unrenewed.iter().map(|problem| (problem.subject.as_str(), problem.message.as_str())).collect();
    let why = "kubekeel did not write it";
    assert_eq!(told, [(path.as_str(), why), (admin, why)]);
    let renewed = renewed(&plan);
    assert_eq!(renewed.len(), Renewable::all().count() - 2);
    assert!(!renewed.contains(&Renewable::Kubeconfig(KubeconfigId::Admin)));
}

#[test]
fn an_external_certificate_that_does_not_fit_is_refused_all_the_same() {
    let root = Root::made();
    root.remove(&format!("{PKI}/ca.key"));
    root.configure("apiServer: {certSANs: [more.example]}\n");
    let plan = plan_upgrade(&root, true, |_| {});
    assert!(plan.refusals.iter().any(|refusal| refusal.message.contains("more.example")), "{:?}", plan.refusals);
}

#[test]
fn diffs_have_as_much_context_as_is_asked_for() {
    let root = Root::made();
    let config = {
        let mut config = root.config();
        config.cluster.scheduler.extra_args.push(kubekeel::config::Arg { name: "v".into(), value: "4".into() });
        config
    };
    let seen = seen(&root, &config);
    let lines = |context_lines| {
        let wants = [Want::StaticPod(Component::Scheduler)];
        let plan = plan::plan(&wants, &config, &seen, Options { context_lines, ..Options::default() }).unwrap();
        let diff = plan.steps.iter().find_map(|step| match step {
            Step::WriteManifest { change: plan::Change::Replace { diff }, .. } => Some(diff.clone()),
            _ => None,
        });
        diff.unwrap().lines().filter(|line| line.starts_with(' ')).count()
    };
    assert_eq!(lines(None), lines(Some(3)));
    assert_eq!(lines(Some(0)), 0);
    assert!(lines(Some(8)) > lines(None));
}
