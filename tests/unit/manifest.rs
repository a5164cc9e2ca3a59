//! Rendering, reading back, digests, endpoints of static pods.

use kubekeel::config::{Config, HostPathMount};
use kubekeel::error::{Error, Kind};
use kubekeel::manifest::{
    Component, DIGEST_ANNOTATION, FILES_ANNOTATION, NodeInputs, PARTS, TEMPLATES, context_keys, digest, endpoint,
    files_read_once, image, images, ports, read, render, unknown_options, variables,
};
use kubekeel::release;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sample::{self, arg};

use Component::{ApiServer, ControllerManager, Etcd, Scheduler};

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = sample::config();
    change(&mut config);
    config
}

#[test]
fn what_a_minor_does_not_know_is_told_and_what_we_write_is_known() {
    for release in &release::RELEASES {
        let config = with(|config| (config.cluster.release, config.cluster.version) = (release, release.newest()));
        assert_eq!(unknown_options(&config, &NodeInputs::default()).unwrap(), [], "{}", release.minor);
    }
    let config = with(|config| {
        config.cluster.scheduler.extra_args = vec![arg("feature-gates", "AnyVolumeDataSource=true"), arg("v", "2")];
        config.cluster.etcd.extra_args = vec![arg("no-such-flag", "1")];
    });
    let told: Vec<_> =
        unknown_options(&config, &NodeInputs::default()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("etcd 1.37 has no flag --no-such-flag"), "{told:?}");
    assert!(told[1].contains("kube-scheduler 1.37 has no feature gate AnyVolumeDataSource"), "{told:?}");
}

fn text(component: Component, config: &Config) -> String {
    render(component, config, &NodeInputs::default()).unwrap().text
}

fn pod(component: Component, config: &Config) -> Value {
    read(&text(component, config)).unwrap().pod
}

#[test]
fn default_manifests() {
    let older = with(|config| {
        config.cluster.release = release::release(36).unwrap();
        config.cluster.version = "v1.36.3".parse().unwrap();
    });
    let ipv6 = with(|config| config.advertise_address = "2001:db8::10".parse().unwrap());
    for (case, config) in [("1.37", sample::config()), ("1.36", older), ("ipv6", ipv6)] {
        for component in Component::ALL {
            insta::assert_snapshot!(format!("{component}-{case}"), text(component, &config));
        }
    }
}

/// An `if` on a variable that does not exist is silently false.
#[test]
fn templates_use_only_variables_that_exist() {
    let mut keys = context_keys(&sample::config()).unwrap();
    // Set by the templates for their parts.
    keys.extend(["flags".into(), "path".into()]);
    for component in Component::ALL {
        let unknown: Vec<_> = variables(component).unwrap().into_iter().filter(|name| !keys.contains(name)).collect();
        assert!(unknown.is_empty(), "{component}: {unknown:?}");
    }
}

/// The quotes are part of what an interpolation writes: it is a whole scalar or it is wrong.
#[test]
fn interpolations_are_whole_scalars_and_always_escaped() {
    let templates =
        TEMPLATES.iter().map(|(_, name, text)| (name, text)).chain(PARTS.iter().map(|(name, text)| (name, text)));
    for (name, text) in templates {
        assert!(!text.contains("safe"), "{name}: the engine's `safe` turns the escaping off");
        for line in text.lines().filter(|line| line.contains("{{")) {
            let (before, inside) = line.split_once("{{").unwrap();
            let scalar = (before.ends_with("- ") || before.ends_with(": ")) && inside.ends_with("}}");
            assert!(scalar && !inside.contains("{{"), "{name}: {line}");
        }
    }
}

#[test]
fn flags_of_templates_are_sorted_and_unique() {
    for component in Component::ALL {
        let pod = pod(component, &with(|config| config.cluster.networking.pod_subnet = "10.244.0.0/16".into()));
        let command = &pod["spec"]["containers"][0]["command"];
        let names: Vec<_> =
            command.as_array().unwrap()[1..].iter().map(|f| f.as_str().unwrap().split('=').next()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{component}: {names:?}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let special: Vec<char> = " \t\n:#-?!&*|>%@'\"\\{}[],=~\u{85}\u{feff}".chars().collect();
    let any = any::<char>().prop_filter("refused", |c| *c != '\0');
    prop::collection::vec(prop_oneof![prop::sample::select(special), any], 0..12).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_configured_string_reads_back(texts in prop::array::uniform8(any_text())) {
        reads_back(&texts);
    }
}

fn reads_back([node, pki, data, value, path, name, domain, repository]: &[String; 8]) {
    let path = &format!("/{path}");
    let config = with(|config| {
        config.node.name.clone_from(node);
        config.cluster.certificates_dir.clone_from(pki);
        config.cluster.etcd.data_dir.clone_from(data);
        config.cluster.networking.dns_domain.clone_from(domain);
        config.cluster.image_repository.clone_from(repository);
        let api_server = &mut config.cluster.api_server;
        api_server.extra_args = vec![arg("x", value), arg("x", name)];
        api_server.extra_envs = vec![json!({"name": "a b", "value": value})];
        api_server.extra_volumes = vec![HostPathMount {
            name: "extra".into(),
            host_path: path.clone(),
            mount_path: path.clone(),
            read_only: true,
            path_type: String::new(),
        }];
    });
    let etcd = pod(Etcd, &config);
    let command = etcd["spec"]["containers"][0]["command"].as_array().unwrap();
    assert!(command.contains(&json!(format!("--name={node}"))));
    assert!(command.contains(&json!(format!("--data-dir={data}"))));
    let container = &pod(ApiServer, &config)["spec"]["containers"][0];
    let command = container["command"].as_array().unwrap();
    assert!(command.contains(&json!(format!("--tls-cert-file={pki}/apiserver.crt"))));
    let issuer = format!("--service-account-issuer=https://kubernetes.default.svc.{domain}");
    assert!(command.contains(&json!(issuer)));
    assert_eq!(command[command.len() - 2..], [json!(format!("--x={value}")), json!(format!("--x={name}"))]);
    assert_eq!(container["env"], json!([{"name": "a b", "value": value}]));
    assert_eq!(container["image"], json!(format!("{repository}/kube-apiserver:v1.37.2")));
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.contains(&json!({"name": "extra", "mountPath": path, "readOnly": true})));
}

#[test]
fn what_no_static_pod_can_be_made_of_is_refused() {
    let env = |variable: Value| with(|config| config.cluster.api_server.extra_envs = vec![variable]);
    let args = |name: &str, value: &str| with(|c| c.cluster.api_server.extra_args = vec![arg(name, value)]);
    let volumes = |volumes: &[[&str; 4]]| {
        let extra = volumes.iter().map(|[name, host_path, mount_path, path_type]| HostPathMount {
            name: (*name).into(),
            host_path: (*host_path).into(),
            mount_path: (*mount_path).into(),
            read_only: false,
            path_type: (*path_type).into(),
        });
        with(|config| config.cluster.api_server.extra_volumes = extra.collect())
    };
    let from = |sources: Value| env(json!({"name": "A", "valueFrom": sources}));
    let node_name = json!({"fieldPath": "spec.nodeName"});
    for (config, expected) in vec![
        (args("a", "x\0y"), "NUL"),
        (args("secure-port", "0"), "not a port"),
        (args("secure-port", "https"), "not a port"),
        (volumes(&[["v", "/\0", "/v", ""]]), "hostPath \"/\\0\" is not an absolute path"),
        (volumes(&[["v", "/v", "v", ""]]), "mountPath \"v\" is not an absolute path"),
        (volumes(&[["v", "/a/../b", "/v", ""]]), "goes back"),
        (volumes(&[["V", "/v", "/v", ""]]), "not a lower-case RFC 1123 label"),
        (volumes(&[["v-", "/v", "/v", ""]]), "not a lower-case RFC 1123 label"),
        (volumes(&[["v", "/v", "/v", "directory"]]), "pathType \"directory\" does not exist"),
        (volumes(&[["v", "/v", "/v", ""], ["w", "/w", "/v", ""]]), "two volumes are mounted at \"/v\""),
        (volumes(&[["v", "/v", "/etc/ssl/certs", ""]]), "two volumes are mounted at \"/etc/ssl/certs\""),
        (env(json!({"name": "A", "value": "\0"})), "NUL"),
        (env(json!({"value": "a"})), "has no name"),
        (env(json!("A=b")), "has no name"),
        (env(json!({"name": "A=", "value": "a"})), "not printable ASCII"),
        (from(json!({"secretKeyRef": {"name": "s", "key": "k"}})), "secretKeyRef cannot be used"),
        (from(json!({"fieldRef": node_name, "resourceFieldRef": {"resource": "limits.cpu"}})), "exactly one source"),
        (from(json!({})), "exactly one source"),
        (env(json!({"name": "A", "value": "a", "valueFrom": {"fieldRef": node_name}})), "exclude each other"),
        (env(json!({"name": "A", "vaule": "a"})), "env[0].vaule is not a field"),
        (env(json!({"name": "A", "value": 5})), "invalid type: integer"),
        (env(json!({"name": "A", "valueFrom": {"fieldRef": {"path": "x"}}})), "fieldRef"),
    ] {
        let error: Error = render(ApiServer, &config, &NodeInputs::default()).unwrap_err();
        assert_eq!(error.kind, Kind::Configuration);
        assert!(error.message.contains("kube-apiserver"), "{error:?}");
        let found = error.problems.iter().any(|problem| problem.message.contains(expected));
        assert!(
            found && error.problems.iter().all(|p| p.subject.starts_with("ClusterConfiguration.apiServer")),
            "{error:#?}"
        );
    }
}

#[test]
fn all_problems_come_at_once() {
    let config = with(|config| {
        config.cluster.scheduler.extra_args = vec![arg("secure-port", ""), arg("a", "\0")];
        config.cluster.scheduler.extra_envs = vec![json!({}), json!({"name": "A"}), json!({"name": "\0"})];
    });
    assert_eq!(render(Scheduler, &config, &NodeInputs::default()).unwrap_err().problems.len(), 4);
}

#[test]
fn a_null_in_the_environment_is_nothing() {
    let config = with(|c| c.cluster.etcd.extra_envs = vec![json!({"name": "A", "value": "x", "valueFrom": null})]);
    assert_eq!(pod(Etcd, &config)["spec"]["containers"][0]["env"], json!([{"name": "A", "value": "x"}]));
}

#[test]
fn the_digest_follows_meaning_and_not_bytes() {
    let config = sample::config();
    let manifest = render(Etcd, &config, &NodeInputs::default()).unwrap();
    let genuine = |text: &str| read(text).unwrap().is_genuine();
    let text = &manifest.text;
    assert!(genuine(text));
    assert_eq!(read(text).unwrap().annotated.as_ref(), Some(&manifest.digest));
    assert!(genuine(&format!("# a comment\n{text}\n\n")), "comments and white space are not the pod");
    assert!(genuine(&serde_json::to_string_pretty(&read(text).unwrap().pod).unwrap()), "JSON is the same pod");
    assert!(genuine(&format!("---\n{text}---\nkind: Pod\n")), "the kubelet takes the first document");
    assert!(genuine(&format!("# a comment\n\n---\n{text}...\n- other\n")), "the first document begins after comments");
    assert!(!genuine(&text.replace("snapshot-count=10000", "snapshot-count=1")), "a flag was edited");
    assert!(!genuine(&text.replace("tier: control-plane", "tier: other")), "a label was edited");
    assert!(!genuine(&text.replace(DIGEST_ANNOTATION, "other")), "the digest is gone");
    assert_eq!(digest(&json!({"b": 1, "a": {}})), digest(&serde_json::from_str(r#"{"a":{},"b":1}"#).unwrap()));
}

#[test]
fn the_kubelets_view_of_foreign_files() {
    let value = |yaml: &str| read(&format!("apiVersion: v1\nkind: Pod\nx: {yaml}\n")).map(|read| read.pod["x"].clone());
    for (yaml, expected) in [("yes", json!(true)), ("off", json!(false)), ("010", json!(8)), ("1_000", json!(1000))] {
        assert_eq!(value(yaml).unwrap(), expected, "{yaml}");
    }
    assert_eq!(value("1\nx: 2").unwrap(), json!(2), "of a repeated key the last counts");
    assert_eq!(value("1").map(|_| ()), Ok(()));
    for text in ["", "kind: Pod\n", "apiVersion: v1\nkind: PodList\n", "a: [", "{", "- a\n"] {
        assert!(read(text).is_err(), "{text:?}");
    }
}

#[test]
fn mounted_files_change_the_digest_of_their_component_alone() {
    let config = sample::config();
    let node = NodeInputs { mounted: [(ControllerManager, "sha256:00".into())].into(), ..NodeInputs::default() };
    for component in Component::ALL {
        let with = render(component, &config, &node).unwrap();
        let without = render(component, &config, &NodeInputs::default()).unwrap();
        assert_eq!(with == without, component != ControllerManager, "{component}");
    }
    let manifest = render(ControllerManager, &config, &node).unwrap();
    assert_eq!(read(&manifest.text).unwrap().pod["metadata"]["annotations"][FILES_ANNOTATION], "sha256:00");
}

#[test]
fn files_that_are_read_once() {
    let file = |path: &str, path_type: &str| HostPathMount {
        name: path.into(),
        host_path: path.into(),
        mount_path: path.into(),
        read_only: true,
        path_type: path_type.into(),
    };
    let config = with(|config| {
        config.cluster.certificates_dir = "/pki".into();
        config.cluster.api_server.extra_args =
            vec![arg("service-account-key-file", "/new.pub"), arg("service-account-key-file", "/old.pub")];
        config.cluster.api_server.extra_volumes = vec![file("/audit.yaml", "File"), file("/dir", "Directory")];
    });
    let expected: [(Component, &[&str]); 4] = [
        (Etcd, &["/pki/etcd/ca.crt"]),
        (ApiServer, &["/audit.yaml", "/new.pub", "/old.pub", "/pki/etcd/ca.crt", "/pki/sa.key"]),
        (ControllerManager, &["/etc/kubernetes/controller-manager.conf", "/pki/ca.crt", "/pki/sa.key"]),
        (Scheduler, &["/etc/kubernetes/scheduler.conf"]),
    ];
    for (component, files) in expected {
        assert_eq!(files_read_once(component, &config), files, "{component}");
    }
}

#[test]
fn images_of_a_mirror_and_of_a_build() {
    let config = with(|config| {
        config.cluster.image_repository = "mirror.example/k8s".into();
        config.cluster.version = "v1.37.2-rc.1+build".parse().unwrap();
        config.cluster.etcd.image_tag = Some("3.7.9-0".into());
    });
    assert_eq!(image(Scheduler, &config), "mirror.example/k8s/kube-scheduler:v1.37.2-rc.1_build");
    assert_eq!(images(&config)[0], "mirror.example/k8s/etcd:3.7.9-0");
    assert_eq!(images(&config).last().unwrap(), "mirror.example/k8s/pause:3.10.2");
    assert_eq!(images(&config).len(), 5);
}

/// An etcd or Kubernetes flag, the endpoint that follows, the addresses that are listened on.
#[test]
fn endpoints_and_ports_follow_the_flags() {
    type Case<'a> = (Component, &'a str, &'a str, &'a str, &'a str);
    let cases: [Case; 15] = [
        (Etcd, "", "", "HTTP 127.0.0.1 2381", "127.0.0.1:2379 192.0.2.10:2379 192.0.2.10:2380 127.0.0.1:2381"),
        (
            Etcd,
            "listen-metrics-urls",
            "https://0.0.0.0:99,http://x",
            "HTTPS 127.0.0.1 99",
            "127.0.0.1:2379 192.0.2.10:2379 192.0.2.10:2380 *:99 *:2381",
        ),
        (
            Etcd,
            "listen-metrics-urls",
            "http://[::1]",
            "HTTP ::1 2381",
            "127.0.0.1:2379 192.0.2.10:2379 192.0.2.10:2380 ::1:2381",
        ),
        (Etcd, "listen-metrics-urls", "what", "HTTP 127.0.0.1 2381", "127.0.0.1:2379 192.0.2.10:2379 192.0.2.10:2380"),
        (
            Etcd,
            "listen-client-urls",
            "https://0.0.0.0:2379",
            "HTTP 127.0.0.1 2381",
            "*:2379 192.0.2.10:2380 127.0.0.1:2381",
        ),
        (ApiServer, "", "", "HTTPS 192.0.2.10 6443", "*:6443"),
        (ApiServer, "secure-port", "8443", "HTTPS 192.0.2.10 8443", "*:8443"),
        (ApiServer, "bind-address", "192.0.2.7", "HTTPS 192.0.2.7 6443", "192.0.2.7:6443"),
        (ApiServer, "bind-address", "::", "HTTPS 192.0.2.10 6443", "*:6443"),
        (ControllerManager, "", "", "HTTPS 127.0.0.1 10257", "127.0.0.1:10257"),
        (ControllerManager, "bind-address", "0.0.0.0", "HTTPS 127.0.0.1 10257", "*:10257"),
        (ControllerManager, "secure-port", "1", "HTTPS 127.0.0.1 1", "127.0.0.1:1"),
        (Scheduler, "", "", "HTTPS 127.0.0.1 10259", "127.0.0.1:10259"),
        (Scheduler, "bind-address", "::", "HTTPS ::1 10259", "*:10259"),
        (Scheduler, "bind-address", "::1", "HTTPS ::1 10259", "::1:10259"),
    ];
    for (component, flag, value, expected, listened) in cases {
        let config = with(|config| {
            let args = match component {
                Etcd => &mut config.cluster.etcd.extra_args,
                ApiServer => &mut config.cluster.api_server.extra_args,
                ControllerManager => &mut config.cluster.controller_manager.extra_args,
                Scheduler => &mut config.cluster.scheduler.extra_args,
            };
            // Of a repeated flag the last counts.
            args.extend((!flag.is_empty()).then(|| [arg(flag, "first"), arg(flag, value)]).into_iter().flatten());
        });
        let found = endpoint(component, &config);
        let scheme = serde_json::to_value(found.scheme).unwrap();
        let case = format!("{component} {flag}={value}");
        assert_eq!(format!("{} {} {}", scheme.as_str().unwrap(), found.host, found.port), expected, "{case}");
        let show = |address: Option<std::net::IpAddr>| address.map_or("*".into(), |address| address.to_string());
        let ports: Vec<_> = ports(component, &config).iter().map(|(a, port)| format!("{}:{port}", show(*a))).collect();
        assert_eq!(ports.join(" "), listened, "{case}");
        let probed = &pod(component, &config)["spec"]["containers"][0]["livenessProbe"]["httpGet"];
        assert_eq!(probed["port"], found.port, "{case}");
        assert_eq!(probed["path"], found.liveness_path, "{case}");
    }
}
