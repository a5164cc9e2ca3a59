//! The kubelet's configuration and flags.

use kubekeel::config::Config;
use kubekeel::error::Kind;
use kubekeel::kubelet::files;
use serde_json::{Value, json};

use crate::sample::{self, arg};

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = sample::config();
    change(&mut config);
    config
}

fn text(config: &Config, file: usize) -> String {
    files(config, false).unwrap()[file].text.clone()
}

fn configuration(kubelet: &Value) -> Value {
    let config = with(|config| config.kubelet.clone_from(kubelet.as_object().unwrap()));
    serde_yaml::from_str(&text(&config, 0)).unwrap()
}

#[test]
fn default_files() {
    let files = files(&sample::config(), true).unwrap();
    let all: Vec<String> = files.iter().map(|file| format!("# {} {:o}\n{}", file.path, file.mode, file.text)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_users_fields_win_except_where_the_node_would_break() {
    let tree = configuration(&json!({
        "clusterDomain": "x.example", "authorization": {"mode": "AlwaysAllow"}, "rotateCertificates": false,
        "containerRuntimeEndpoint": "unix:///other", "staticPodPath": "", "clusterDNS": null, "on": "1_000",
    }));
    assert_eq!(tree["clusterDomain"], "x.example");
    assert_eq!(tree["authorization"]["mode"], "AlwaysAllow");
    assert_eq!(tree["rotateCertificates"], true);
    assert_eq!(tree["containerRuntimeEndpoint"], "unix:///run/containerd/containerd.sock");
    assert_eq!(tree["staticPodPath"], "/etc/kubernetes/manifests");
    assert_eq!(tree["clusterDNS"], json!(["10.96.0.10"]));
    assert_eq!(tree["on"], "1_000");
}

#[test]
fn resolv_conf_is_systemds_only_when_it_runs_and_the_user_says_nothing() {
    let resolv_conf = |config: &Config, active| {
        serde_yaml::from_str::<Value>(&files(config, active).unwrap()[0].text).unwrap()["resolvConf"].clone()
    };
    let own = with(|config| _ = config.kubelet.insert("resolvConf".into(), json!("/etc/own.conf")));
    assert_eq!(resolv_conf(&sample::config(), false), Value::Null);
    assert_eq!(resolv_conf(&sample::config(), true), "/run/systemd/resolve/resolv.conf");
    assert_eq!(resolv_conf(&own, true), "/etc/own.conf");
}

#[test]
fn a_field_of_the_wrong_shape_is_refused_with_its_name() {
    let config = with(|config| {
        config.kubelet.insert("authentication".into(), json!("none"));
        config.kubelet.insert("authorization".into(), json!([1]));
    });
    let error = files(&config, false).unwrap_err();
    assert_eq!(error.kind, Kind::Configuration);
    let subjects: Vec<_> = error.problems.iter().map(|problem| problem.subject.as_str()).collect();
    assert!(subjects.contains(&"KubeletConfiguration.authentication.anonymous.enabled"), "{subjects:?}");
    assert!(subjects.contains(&"KubeletConfiguration.authorization.mode"), "{subjects:?}");
}

#[test]
fn the_cluster_dns_is_the_tenth_service_address() {
    for (network, expected) in [
        ("10.96.0.0/12", "10.96.0.10"),
        ("fd00:10:96::/112", "fd00:10:96::a"),
        ("10.0.0.0/28", "10.0.0.10"),
        ("10.0.0.0/29", "10.96.0.10"),
    ] {
        let config = with(|config| config.cluster.networking.service_networks = vec![network.parse().unwrap()]);
        let tree: Value = serde_yaml::from_str(&text(&config, 0)).unwrap();
        assert_eq!(tree["clusterDNS"], json!([expected]), "{network}");
    }
}

#[test]
fn flags_of_the_kubelet() {
    let line = |change: fn(&mut Config)| text(&with(change), 2);
    assert_eq!(line(|c| c.node.hostname = "keel-1".into()), "KUBELET_KUBEADM_ARGS=\"\"\n");
    assert_eq!(line(|_| ()), "KUBELET_KUBEADM_ARGS=\"--hostname-override=keel-1\"\n");
    let own =
        line(|c| c.node.kubelet_extra_args = vec![arg("hostname-override", "other"), arg("v", "2"), arg("v", "")]);
    assert_eq!(own, "KUBELET_KUBEADM_ARGS=\"--hostname-override=other --v=2 --v=\"\n");
}

#[test]
fn flags_that_the_environment_file_would_change_are_refused() {
    for value in ["a b", "a\tb", "a\nb", "\"", "'", "a\\", "$HOME", "`x`", "\u{a0}", "\u{7f}"] {
        let config = with(|c| c.node.kubelet_extra_args = vec![arg("ok", "fine,é=%"), arg("node-labels", value)]);
        let error = files(&config, false).unwrap_err();
        assert_eq!((error.kind, error.problems.len()), (Kind::Configuration, 1), "{value:?}");
        assert!(error.problems[0].subject.ends_with("kubeletExtraArgs.node-labels"), "{error:?}");
    }
}
