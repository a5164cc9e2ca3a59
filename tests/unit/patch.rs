//! Patches: names of files, the three types beside what kubectl makes, what a patched manifest may be.

use std::fs;
use std::path::{Path, PathBuf};

use kubekeel::config::{Config, Facts, Input, Overrides, Source};
use kubekeel::error::{Kind, Problem};
use kubekeel::kubelet;
use kubekeel::manifest::{Component, FILES_ANNOTATION, NodeInputs, image, images, in_one_layout, read, render};
use kubekeel::patch::{PatchType, Patches, Target, parse_name};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sample;

const API_SERVER: Target = Target::StaticPod(Component::ApiServer);

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/patch")
}

fn tree(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn patches(files: &[(&str, &str)]) -> Result<Patches, Vec<Problem>> {
    let sources: Vec<_> = files.iter().map(|(name, text)| Source { name, text }).collect();
    let (patches, problems) = Patches::read(&sources);
    if problems.is_empty() { Ok(patches) } else { Err(problems) }
}

fn apply(name: &str, text: &str, object: &Value) -> Result<Value, Problem> {
    let (target, _) = parse_name(name).unwrap();
    patches(&[(name, text)]).unwrap().apply(target, object.clone())
}

/// A `null` is nothing to Kubernetes.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let left = members.iter().filter(|(_, member)| !member.is_null());
            Value::Object(left.map(|(name, member)| (name.clone(), without_nulls(member))).collect())
        }
        Value::Array(elements) => elements.iter().map(without_nulls).collect(),
        scalar => scalar.clone(),
    }
}

#[test]
fn names_say_what_is_patched_and_how() {
    use PatchType::{Json, Merge, Strategic};
    for (name, target, patch_type) in [
        ("etcd.yaml", Target::StaticPod(Component::Etcd), Strategic),
        ("kube-apiserver.json", API_SERVER, Strategic),
        ("kube-apiserver0+merge.yaml", API_SERVER, Merge),
        ("kube-apiserver+strategic.json", API_SERVER, Strategic),
        ("kube-controller-manager-b_c+json.json", Target::StaticPod(Component::ControllerManager), Json),
        ("kube-scheduler 1.yaml", Target::StaticPod(Component::Scheduler), Strategic),
        ("kubeletconfiguration0+merge.yaml", Target::KubeletConfiguration, Merge),
        ("corednsdeployment.yaml", Target::CoreDnsDeployment, Strategic),
        ("kubeproxydaemonset.yaml", Target::KubeProxyDaemonSet, Strategic),
    ] {
        assert_eq!(parse_name(name), Ok((target, patch_type)), "{name}");
    }
    for (name, part) in [
        ("etcd", ".json or .yaml"),
        ("etcd.yml", ".json or .yaml"),
        ("etcd.YAML", ".json or .yaml"),
        ("yaml", ".json or .yaml"),
        ("kube-proxy.yaml", "begins with what it patches: etcd, kube-apiserver"),
        ("Etcd.yaml", "begins with"),
        (".yaml", "begins with"),
        ("etcd+.yaml", "\"\" is not a type of patch"),
        ("etcd+jsonpatch.yaml", "\"jsonpatch\" is not a type"),
        ("etcd+json+merge.yaml", "\"json+merge\" is not a type"),
        ("etcd+json.old.yaml", "\"json.old\" is not a type"),
        ("etcd.old.yaml", "a dot before the extension"),
        ("etcd.old+json.yaml", "a dot before the extension"),
    ] {
        assert!(parse_name(name).unwrap_err().contains(part), "{name}: {:?}", parse_name(name));
    }
}

/// Cases over a real pod and a Deployment, made by `regenerate.sh`.
#[test]
fn every_patch_makes_what_kubectl_makes() {
    let mut cases = 0;
    for entry in fs::read_dir(data().join("case")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (target, _) = parse_name(name).unwrap();
        let object = tree(&data().join(format!("object/{target}.yaml")));
        let expected = without_nulls(&tree(&data().join("result").join(name)));
        let result = apply(name, &fs::read_to_string(&path).unwrap(), &object);
        if expected["refused"] == true {
            let problem = result.expect_err(name);
            assert!(problem.subject == name && problem.message.contains(target.name()), "{problem}");
        } else {
            assert_eq!(result.expect(name), expected, "{name}");
        }
        cases += 1;
    }
    assert!(cases > 25);
}

#[test]
fn files_apply_by_name_and_documents_in_order() {
    let label = |value: &str| format!("metadata: {{labels: {{a: {value}}}}}");
    let two = format!("{}\n---\n# nothing\n---\n{}\n", label("x"), label("second"));
    let (first, last) = ("kube-apiserver0.yaml", "kube-apiserver1+merge.yaml");
    for files in [[(last, two.as_str()), (first, &label("first"))], [(first, &label("first")), (last, &two)]] {
        let patches = patches(&files).unwrap();
        assert_eq!(patches.apply(API_SERVER, json!({})).unwrap(), json!({"metadata": {"labels": {"a": "second"}}}));
        assert_eq!(patches.files(API_SERVER), [first, last]);
        assert_eq!(patches.apply(Target::KubeletConfiguration, json!({"a": 1})).unwrap(), json!({"a": 1}));
    }
    assert!(patches(&[("etcd.yaml", ""), ("etcd1.json", "# nothing")]).unwrap() == Patches::default());
}

#[test]
fn wrong_files_are_all_told_at_once() {
    let files = [
        ("/p/README.md", ""),
        ("/p/etcd.yaml", "a: [1"),
        ("/p/etcd1.yaml", "spec: {}"),
        ("/p/kube-apiserver.yaml", "a: 1\na: 2"),
        ("/p/kube-scheduler.yaml", "[1]"),
        ("/p/kube-scheduler+json.yaml", "{}"),
        ("/p/kubeletconfiguration+json.yaml", "[{op: put, path: /a}]"),
        ("/p/kubeletconfiguration1+json.yaml", "- {op: add, path: a, value: 1}"),
        ("/p/kubeletconfiguration2.yaml", "a: 0x10"),
    ];
    let sources: Vec<_> = files.iter().map(|(name, text)| Source { name, text }).collect();
    let (patches, problems) = Patches::read(&sources);
    let told = problems.iter().map(|problem| match &problem.place {
        Some(place) => format!("{}:{}:{} {}", place.file, place.line, place.column, problem.message),
        None => format!("{} {}", problem.subject, problem.message),
    });
    let told: Vec<_> = told.collect();
    for (index, (file, part)) in [
        ("/p/README.md", "ends in .json or .yaml"),
        ("/p/etcd.yaml:", ""),
        ("/p/kube-apiserver.yaml:2:1", "first is at line 1"),
        ("/p/kube-scheduler+json.yaml", "is a list of operations"),
        ("/p/kube-scheduler.yaml", "is a map"),
        ("/p/kubeletconfiguration+json.yaml", "RFC 6902"),
        ("/p/kubeletconfiguration1+json.yaml", "RFC 6902"),
        ("/p/kubeletconfiguration2.yaml:1:4", "plain decimal"),
    ]
    .iter()
    .enumerate()
    {
        assert!(told[index].starts_with(file) && told[index].contains(part), "{file} {part}: {told:#?}");
    }
    assert_eq!(told.len(), 8);
    // What is left of a target with a broken file would say nothing.
    assert_eq!(patches, Patches::default());
}

fn patched(files: &[(&str, &str)]) -> Config {
    Config { patches: patches(files).unwrap(), ..sample::config() }
}

fn refused(component: Component, text: &str) -> Problem {
    let name = format!("{component}1.yaml");
    let error = render(component, &patched(&[(&name, text)]), &NodeInputs::default()).unwrap_err();
    assert_eq!((error.kind, error.problems.len()), (Kind::Configuration, 1), "{:?}", error.problems);
    let problem = error.problems.into_iter().next().unwrap();
    assert_eq!(problem.subject, name);
    problem
}

#[test]
fn a_patched_pod_carries_its_own_digest() {
    let node = NodeInputs { mounted: [(Component::ApiServer, "sha256:12".to_owned())].into(), ..NodeInputs::default() };
    let plain = render(Component::ApiServer, &sample::config(), &node).unwrap();
    for text in [
        "spec: {containers: [{name: kube-apiserver, resources: {limits: {cpu: 2, memory: 1Gi}}}]}",
        "metadata: {annotations: {kubekeel.io/manifest-digest: x, kubekeel.io/mounted-files-digest: y, on: 'yes'}}",
        "metadata: {annotations: {$patch: delete}}",
        "metadata: {annotations: null, creationTimestamp: null}",
        "spec: {containers: [{name: proxy, image: example.com/proxy}]}",
    ] {
        let manifest = render(Component::ApiServer, &patched(&[("kube-apiserver.yaml", text)]), &node).unwrap();
        let read = read(&manifest.text).unwrap();
        assert!(read.is_genuine() && read.digest == manifest.digest && manifest.digest != plain.digest, "{text}");
        assert_eq!(read.pod["metadata"]["annotations"][FILES_ANNOTATION], "sha256:12", "{text}");
        let other = render(Component::Scheduler, &patched(&[("kube-apiserver.yaml", text)]), &node).unwrap();
        assert_eq!(other, render(Component::Scheduler, &sample::config(), &node).unwrap());
    }
}

/// A generation is put back with the patches that it was made of.
#[test]
fn an_input_keeps_its_patches_until_a_directory_is_named() {
    let facts = Facts { hostname: Some("n".into()), default_address: Some([192, 0, 2, 1].into()), ..Facts::default() };
    let flags = |directory: &str| Overrides { patches_directory: Some(directory.into()), ..Overrides::default() };
    let text = "metadata: {labels: {team: blue}}".to_owned();
    let files = Some(vec![("/p/etcd.yaml".to_owned(), text)]);
    let input = Input { overrides: flags("/p"), facts, patches: files, ..Input::default() };
    let read: Input = serde_json::from_str(&serde_json::to_string(&input).unwrap()).unwrap();
    assert_eq!((read.config().unwrap(), &read), (input.config().unwrap(), &input));
    assert_eq!(input.config().unwrap().patches.files(Target::StaticPod(Component::Etcd)), ["/p/etcd.yaml"]);
    assert_eq!(input.clone().with(Overrides { bind_port: Some(1), ..Overrides::default() }).patches, input.patches);
    let other = input.clone().with(flags("/q"));
    assert_eq!((other.patches.as_ref(), other.config().unwrap().patches_directory.as_deref()), (None, Some("/q")));
    let wrong = Input { patches: Some(vec![("/p/etcd.yaml".into(), "spec: 1".into())]), ..input };
    let error = wrong.config().unwrap_err();
    assert!(error.kind == Kind::Configuration && error.message.starts_with("the patches in /p cannot"), "{error}");
}

#[test]
fn images_of_patches_are_pulled() {
    let text = "spec: {containers: [{name: etcd, image: example.com/etcd}, {name: proxy, image: example.com/proxy}],
        initContainers: [{name: first, image: example.com/first}]}";
    let (plain, config) = (sample::config(), patched(&[("etcd.yaml", text)]));
    assert_eq!(image(Component::Etcd, &config), "example.com/etcd");
    assert_eq!(image(Component::Scheduler, &config), image(Component::Scheduler, &plain));
    let own = ["example.com/etcd", "example.com/proxy", "example.com/first"].map(str::to_owned);
    assert_eq!(images(&config), [&own[..], &images(&plain)[1..]].concat());
}

#[test]
fn a_patch_is_seen_without_the_change_of_layout() {
    let text = |config: &Config| render(Component::Etcd, config, &NodeInputs::default()).unwrap().text;
    let plain = text(&sample::config());
    let other = text(&patched(&[("etcd.yaml", "spec: {priority: 1}")]));
    let (old, new) = in_one_layout(&plain, &other).unwrap();
    assert_eq!((new.as_str(), in_one_layout(&other, &plain)), (other.as_str(), Some((new.clone(), old.clone()))));
    let differing = old.lines().zip(new.lines()).filter(|(old, new)| old != new).count();
    assert_eq!((differing, old.lines().count()), (2, new.lines().count()), "the priority and the digest");
    assert_eq!((in_one_layout(&plain, &plain), in_one_layout(&plain, "kind: List")), (None, None));
}

#[test]
fn what_would_not_be_found_or_run_any_more_is_refused() {
    for (component, text, part) in [
        (Component::Etcd, "metadata: {name: other}", "metadata.name is changed"),
        (Component::Etcd, "metadata: {namespace: null}", "metadata.namespace is changed"),
        (Component::Etcd, "metadata: {uid: a}", "metadata.uid is changed"),
        (Component::Etcd, "metadata: {labels: {component: x}}", "metadata.labels.component is changed"),
        (Component::Etcd, "spec: {containers: [{name: etcd, $patch: delete}]}", "the container etcd is gone"),
        (
            Component::Scheduler,
            "spec: {containers: [{name: kube-scheduler, args: [--secure-port=1]}]}",
            "--secure-port",
        ),
        (Component::Etcd, "spec: {hostnetwork: true}", "spec.hostnetwork is not a field of a pod"),
        (Component::Etcd, "spec: {hostNetwork: sometimes}", "not fit: invalid type"),
        (Component::Etcd, "spec: {tolerations: [{key: a, operater: Exists}]}", "spec.tolerations[0].operater is not"),
        (Component::Etcd, "spec: {volumes: [{hostPath: {path: /}}]}", "spec: volumes: an element has no name"),
        (Component::Etcd, "metadata: {annotations: []}", "the annotations are no map any more"),
        (Component::Etcd, "metadata: null", "is changed"),
    ] {
        if text == "metadata: null" {
            let error = render(component, &patched(&[("etcd.yaml", text)]), &NodeInputs::default()).unwrap_err();
            assert!(error.problems.len() == 4 && error.problems[0].message.contains(part), "{:?}", error.problems);
        } else {
            let problem = refused(component, text);
            assert!(problem.message.contains(part), "{text}: {problem}");
        }
    }
}

#[test]
fn the_kubelet_knows_what_a_patch_gives_it() {
    let files = |name: &str, text: &str| kubelet::files(&patched(&[(name, text)]), false);
    let configuration =
        |name: &str, text: &str| -> Value { serde_yaml::from_str(&files(name, text).unwrap()[0].text).unwrap() };
    let plain: Value = serde_yaml::from_str(&kubelet::files(&sample::config(), false).unwrap()[0].text).unwrap();
    let strategic = "maxPods: 42\nclusterDNS: [192.0.2.53]\nauthentication: {webhook: {cacheTTL: 1m}, anonymous: null}\n\
                     containerRuntimeEndpoint: unix:///other";
    let mut expected = plain.clone();
    expected["maxPods"] = json!(42);
    // No list of the KubeletConfiguration is merged.
    expected["clusterDNS"] = json!(["192.0.2.53"]);
    expected["authentication"]["webhook"]["cacheTTL"] = json!("1m");
    expected["authentication"].as_object_mut().unwrap().remove("anonymous");
    assert_eq!(configuration("kubeletconfiguration.yaml", strategic), expected);
    let operations = r#"[{"op": "remove", "path": "/clusterDomain"}]"#;
    expected = plain;
    expected.as_object_mut().unwrap().remove("clusterDomain");
    assert_eq!(configuration("kubeletconfiguration+json.json", operations), expected);
    for (text, part) in [
        ("maxPod: 42", "KubeletConfiguration.maxPod: unknown field"),
        ("maxPods: many", "KubeletConfiguration.maxPods: expected an integer"),
        ("kind: Other", "apiVersion or kind is changed"),
    ] {
        let error = files("kubeletconfiguration.yaml", text).unwrap_err();
        assert!(error.problems[0].message.contains(part), "{:?}", error.problems);
        assert_eq!(error.problems[0].subject, "kubeletconfiguration.yaml");
    }
    let text = "[{op: replace, path: '', value: 1}]";
    assert!(files("kubeletconfiguration+json.yaml", text).is_err());
}

/// RFC 7386, section 2, as it is written there.
fn rfc_7386(target: &Value, patch: &Value) -> Value {
    let Value::Object(members) = patch else { return patch.clone() };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (name, value) in members {
        if value.is_null() {
            result.remove(name);
        } else {
            let below = rfc_7386(result.get(name).unwrap_or(&Value::Null), value);
            result.insert(name.clone(), below);
        }
    }
    result.into()
}

fn any_tree() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    scalar.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e]", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

fn any_map() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-e]", any_tree(), 0..5).prop_map(|members| json!(members))
}

/// Lists of maps with a key, each value of it once; of a patch some elements delete.
fn any_pod(directives: bool) -> impl Strategy<Value = Value> {
    let variable = (any::<u8>(), any::<bool>()).prop_map(move |(value, deletes)| {
        if directives && deletes { json!({"$patch": "delete"}) } else { json!({"value": value.to_string()}) }
    });
    let named = |members: std::collections::BTreeMap<String, Value>, reverse: bool| {
        let mut list: Vec<_> = members
            .into_iter()
            .map(|(name, mut element)| {
                element["name"] = name.into();
                element
            })
            .collect();
        if reverse {
            list.reverse();
        }
        Value::from(list)
    };
    let variables = (prop::collection::btree_map("[a-f]", variable, 0..5), any::<bool>());
    let container = (variables, prop::collection::vec("[a-c]", 0..3))
        .prop_map(move |((env, reverse), command)| json!({"env": named(env, reverse), "command": command}));
    let containers = (prop::collection::btree_map("[a-c]", container, 0..3), any::<bool>());
    let perhaps = move |kept: bool, value: u8| if directives && !kept { Value::Null } else { value.into() };
    (containers, any::<bool>(), any::<u8>(), prop::collection::btree_set("[a-e]", 0..4)).prop_map(
        move |((containers, reverse), kept, priority, finalizers)| {
            let spec = json!({"containers": named(containers, reverse), "priority": perhaps(kept, priority)});
            json!({"metadata": {"finalizers": finalizers}, "spec": spec})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_merge_patch_is_that_of_the_rfc(target in any_map(), patch in any_map()) {
        let text = patch.to_string();
        let merge = |target: &Value| apply("etcd+merge.json", &text, target).unwrap();
        let once = merge(&target);
        prop_assert_eq!(&once, &without_nulls(&rfc_7386(&target, &patch)));
        prop_assert_eq!(&merge(&once), &once);
        prop_assert_eq!(apply("etcd+merge.json", "{}", &target).unwrap(), without_nulls(&target));
    }

    #[test]
    fn a_strategic_patch_changes_nothing_the_second_time(pod in any_pod(false), patch in any_pod(true)) {
        let text = patch.to_string();
        let once = apply("etcd.json", &text, &pod).unwrap();
        prop_assert_eq!(apply("etcd.json", &text, &once).unwrap(), once);
    }

    #[test]
    fn a_pod_patched_with_itself_stays_as_it_is(pod in any_pod(false)) {
        prop_assert_eq!(apply("etcd.json", &pod.to_string(), &pod).unwrap(), pod);
    }

    #[test]
    fn no_tree_makes_it_panic(pod in any_tree(), patch in any_tree(), operations in any_tree()) {
        let wrapped = |tree: &Value| json!({"spec": {"containers": tree, "$setElementOrder/volumes": tree,
            "volumes": tree, "$deleteFromPrimitiveList/a": tree, "$retainKeys": tree}, "metadata": tree}).to_string();
        for (name, text) in [
            ("etcd.json", wrapped(&patch)),
            ("etcd.json", patch.to_string()),
            ("etcd+merge.json", patch.to_string()),
            ("etcd+json.json", json!([{"op": "add", "path": "/spec/0/a", "value": operations}]).to_string()),
            ("etcd+json.json", operations.to_string()),
        ] {
            if let Ok(patches) = patches(&[(name, &text)]) {
                for object in [&pod, &json!({"spec": {"containers": pod, "volumes": pod}, "metadata": pod})] {
                    let _ = patches.apply(Target::StaticPod(Component::Etcd), object.clone());
                }
                let config = Config { patches, ..sample::config() };
                let _ = render(Component::Etcd, &config, &NodeInputs::default());
            }
        }
    }
}
