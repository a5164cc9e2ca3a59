//! `config print`, `config migrate`, `config schema`: beside what kubeadm prints.

use std::fs;
use std::net::IpAddr;

use kubekeel::config::{self, Config, Facts, KeyAlgorithm, Overrides, Source};
use serde_json::{Value, json};

use super::config::kubekeel;

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::from_multiple(text).unwrap()
}

/// kubeadm 1.37.2 without network, and what is meant to differ: it takes this machine's name for one that joins.
#[test]
fn the_defaults_are_kubeadms() {
    let theirs = [
        ("init", include_str!("../../data/defaults/init.yaml")),
        ("join", include_str!("../../data/defaults/join.yaml")),
        ("reset", include_str!("../../data/defaults/reset.yaml")),
        ("upgrade", include_str!("../../data/defaults/upgrade.yaml")),
    ];
    for (command, text) in theirs {
        let printed = kubekeel(&["config", "print", &format!("{command}-defaults")]).succeeds().stdout;
        let ours = documents(&printed);
        let mut theirs = documents(text);
        for document in &mut theirs {
            match document["kind"].as_str().unwrap() {
                "ClusterConfiguration" => {
                    document["encryptionAlgorithm"] = json!("ECDSA-P256");
                    document["kubernetesVersion"] = json!("v1.37.2");
                }
                "JoinConfiguration" => document["nodeRegistration"]["name"] = json!("node"),
                _ => {}
            }
        }
        assert_eq!(ours, theirs, "{command}");
        let facts = Facts::default();
        let judged = config::judge(Source { name: "-", text: &printed }, &Overrides::default(), &facts);
        assert_eq!(judged.unwrap().kinds.len(), ours.len());
    }
}

#[test]
fn components_are_printed_along() {
    let both = "KubeProxyConfiguration,KubeletConfiguration";
    let printed = kubekeel(&["config", "print", "init-defaults", "--component-configs", both]).succeeds().stdout;
    let kinds: Vec<_> = documents(&printed).iter().map(|document| document["kind"].clone()).collect();
    let expected = ["InitConfiguration", "ClusterConfiguration", "KubeProxyConfiguration", "KubeletConfiguration"];
    assert_eq!(kinds, expected);
    load(&printed);
    kubekeel(&["config", "print", "init-defaults", "--component-configs", "Kubelet"]).exits(3);
    let json = kubekeel(&["config", "print", "init-defaults", "-o", "json"]).succeeds().stdout;
    assert_eq!(json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>().len(), 2);
}

fn load(text: &str) -> Config {
    let facts =
        Facts { hostname: Some("n1".into()), default_address: Some(IpAddr::from([192, 0, 2, 1])), ..Facts::default() };
    config::load(Some(Source { name: "-", text }), &Overrides::default(), &facts).unwrap()
}

#[test]
fn a_migrated_file_means_what_kubeadm_makes_of_it() {
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/migrate/v1beta3.yaml");
    let ours = kubekeel(&["config", "migrate", "--old-config", old]).succeeds().stdout;
    let theirs = include_str!("../../data/migrate/kubeadm.yaml");
    let mut expected = load(theirs);
    // kubeadm writes its default down, and loses the documents of components.
    assert_eq!(expected.cluster.key_algorithm, KeyAlgorithm::Rsa2048);
    expected.cluster.key_algorithm = KeyAlgorithm::EcdsaP256;
    expected.kubelet.insert("maxPods".into(), json!(50));
    expected.bootstrap_tokens[0].description = String::new();
    assert_eq!(load(&ours), expected);
    // Of a joining node kubeadm tells the defaults, too.
    let join = |text: &str| documents(text).into_iter().find(|d| d["kind"] == "JoinConfiguration").unwrap();
    let (ours, theirs) = (join(&ours), join(theirs));
    for field in
        ["/timeouts/discovery", "/nodeRegistration/kubeletExtraArgs", "/discovery/bootstrapToken", "/controlPlane"]
    {
        assert_eq!(ours.pointer(field), theirs.pointer(field), "{field}");
        assert!(ours.pointer(field).is_some());
    }
}

#[test]
fn a_migrated_file_keeps_its_problems_and_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old.yaml"), directory.path().join("new.yaml"));
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let migrate = || kubekeel(&["config", "migrate", "--old-config", paths[0], "--new-config", paths[1]]);
    let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\napiServer:\n  extraArgs:\n    v: 4\n  timeoutForControlPlane: soon\n";
    fs::write(&old, text).unwrap();
    migrate().exits(3).says(&["old.yaml:5:8", "expected a string", "old.yaml:6:27", "soon"]);
    assert!(!new.exists());
    fs::write(&old, text.replace("v: 4", "v: \"4\"").replace("soon", "9m")).unwrap();
    migrate().succeeds();
    let config = load(&fs::read_to_string(&new).unwrap());
    assert_eq!(config.timeouts.control_plane_component_health_check.as_secs(), 540);
    assert_eq!(config.cluster.api_server.extra_args.len(), 1);
    // A second time nothing changes.
    let again = kubekeel(&["config", "migrate", "--old-config", paths[1]]).succeeds().stdout;
    assert_eq!(again.trim(), fs::read_to_string(&new).unwrap().trim());
}

#[test]
fn programs_are_told_what_was_written_or_get_it() {
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/migrate/v1beta3.yaml");
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("new.yaml");
    let told = |args: &[&str]| -> Vec<Value> {
        let run = kubekeel(args).succeeds();
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let migrated =
        told(&["config", "migrate", "--old-config", old, "--new-config", new.to_str().unwrap(), "-o", "json"]);
    assert_eq!(migrated, [json!({"event": "migrated", "path": new})]);
    let printed = told(&["config", "migrate", "--old-config", old, "-o", "json"]);
    assert_eq!(printed, documents(&fs::read_to_string(&new).unwrap()));

    let (config, out) = (directory.path().join("config.yaml"), directory.path().join("out"));
    fs::create_dir(&out).unwrap();
    fs::write(&config, super::configuration("")).unwrap();
    let (config, below) = (config.to_str().unwrap(), out.to_str().unwrap());
    let rendered = told(&["render", "--config", config, "--out", below, "-o", "json"]);
    let files = rendered[0]["files"].as_array().unwrap();
    assert!(files.len() >= 6 && rendered[0]["below"] == below, "{rendered:?}");
    for file in files {
        assert!(out.join(file.as_str().unwrap().trim_start_matches('/')).exists(), "{file}");
    }
}

#[test]
fn every_command_has_a_manual_page_with_an_example() {
    let directory = tempfile::tempdir().unwrap();
    kubekeel(&["man", directory.path().to_str().unwrap()]).succeeds();
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(names.len() > 40, "{}", names.len());
    for name in ["kubekeel.1", "kubekeel-upgrade-apply.1", "kubekeel-config-images-pull.1", "kubekeel-certs-renew.1"] {
        assert!(directory.path().join(name).exists(), "{name} in {names:?}");
    }
    for path in names {
        let page = fs::read_to_string(&path).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("Examples"), "{}: {page}", path.display());
    }
}
