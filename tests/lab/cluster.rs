//! What init puts into the cluster: the same as the real kubeadm does, and no change when it runs again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::init::{BASE, CONFIG, init_json, init_ok};
use crate::node::{Node, Options};

/// The objects of kubeadm, normalised; `tests/data/cluster/regenerate.sh` writes it.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cluster/objects.json");

/// kubeadm's default key algorithm, and a version, for which it would ask the network.
fn config() -> String {
    let more = "kind: ClusterConfiguration\nkubernetesVersion: v1.37.2\nencryptionAlgorithm: RSA-2048\n";
    BASE.replace("kind: ClusterConfiguration\n", more)
}

#[test]
fn the_cluster_has_what_kubeadm_puts_into_it_and_kubeadm_reads_it() {
    let node = Node::up("cluster", &Options::default());
    node.write(CONFIG, config());
    let done = node.kubekeel(&["init", "--config", CONFIG, "--upload-certs"]);
    assert_eq!(done.status, 0, "{}\n{}", done.stdout, done.stderr);
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(FIXTURE).expect("the fixture")).expect("JSON");
    let objects = normalised(&node);
    for title in expected.keys().chain(objects.keys()) {
        assert_eq!(objects.get(title), expected.get(title), "{title}");
    }

    certificates_come_back(&node, &done.stdout);
    kubeadm_reads_it(&node);
    a_second_run_changes_nothing(&node);
    what_is_gone_comes_back(&node);
    tokens(&node);
    a_user_logs_in(&node);
    let kubeconfig = node.read("/etc/kubernetes/kubelet.conf").expect("kubelet.conf");
    assert!(kubeconfig.contains("/var/lib/kubelet/pki/kubelet-client-current.pem"), "{kubeconfig}");
    node.exec_ok(&["systemctl", "restart", "kubelet"]);
    node.wait_until("kubelet with the renewed certificate", Duration::from_secs(30), || {
        (node.ready_pods().len() == 4).then_some(())
    });
}

/// The real kubeadm downloads and decrypts the uploaded certificates.
fn certificates_come_back(node: &Node, printed: &str) {
    let word_after = |word: &str| {
        let rest = printed.split_once(word).unwrap_or_else(|| panic!("{word} in {printed}")).1;
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let pki = "cd /etc/kubernetes/pki && sha256sum ca.crt ca.key sa.pub sa.key front-proxy-ca.* etcd/ca.*";
    let before = node.exec_ok(&["sh", "-c", pki]);
    node.exec_ok(&["sh", "-c", "cd /etc/kubernetes/pki && rm ca.* sa.* front-proxy-ca.* etcd/ca.*"]);
    let (endpoint, token) = (word_after("kubeadm join "), word_after("--token "));
    let (hash, key) = (word_after("--discovery-token-ca-cert-hash "), word_after("--certificate-key "));
    let phase = ["kubeadm", "join", "phase", "control-plane-prepare", "download-certs", &endpoint, "--control-plane"];
    let secrets = ["--certificate-key", &key, "--token", &token, "--discovery-token-ca-cert-hash", &hash];
    // The controller manager signs cluster-info a moment after the token was made.
    node.wait_until("download by kubeadm", Duration::from_secs(30), || {
        (node.exec(&[&phase[..], &secrets].concat()).status == 0).then_some(())
    });
    assert_eq!(node.exec_ok(&["sh", "-c", pki]), before);
}

fn kubeadm_reads_it(node: &Node) {
    let expiry = node.exec_ok(&["kubeadm", "certs", "check-expiration"]);
    assert!(expiry.contains("\"kubeadm-config\" ConfigMap") && expiry.contains("etcd-ca"), "{expiry}");
    let kubelet = node.exec_ok(&["kubeadm", "upgrade", "node", "phase", "kubelet-config", "--dry-run"]);
    assert!(kubelet.contains("kubelet"), "{kubelet}");
}

fn a_second_run_changes_nothing(node: &Node) {
    let before = versions(node);
    let lines = init_ok(node, &config());
    let steps: Vec<_> = lines.iter().filter(|line| line["event"] == "step").collect();
    assert_eq!(steps.len(), 3, "await, bind, prove: {steps:?}");
    // A token of an earlier run is not told again.
    let join = json!({"event": "join", "joinCommand": null, "certificateKey": null});
    assert_eq!(lines.last(), Some(&join), "{lines:?}");
    assert_eq!(versions(node), before);
    let (dry, _) = init_json(node, &config(), &["--dry-run", "--exit-code"]);
    assert_eq!(dry.status, 0, "{}", dry.stdout);
}

/// What somebody took away or changed comes back; what is the user's own stays.
fn what_is_gone_comes_back(node: &Node) {
    let system = |arguments: &[&str]| {
        let done = node.kubectl(&[&["-n", "kube-system"], arguments].concat());
        assert_eq!(done.status, 0, "{}", done.stderr);
        done.stdout
    };
    system(&["delete", "rolebinding", "kubeadm:kubelet-config"]);
    system(&["scale", "deployment", "coredns", "--replicas", "3"]);
    system(&["patch", "configmap", "coredns", "-p", r#"{"data": {"Corefile": ".:53 {\n}\n"}}"#]);
    system(&["patch", "configmap", "kubeadm-config", "-p", r#"{"data": {"ClusterConfiguration": ""}}"#]);
    let (_, lines) = init_json(node, &config(), &["--dry-run"]);
    let plan = lines.iter().find(|line| line["event"] == "plan").expect("a plan");
    let step = plan["steps"].as_array().into_iter().flatten().find(|step| step["step"] == "apply-objects");
    let wanted = json!(["ConfigMap kube-system/kubeadm-config", "RoleBinding kube-system/kubeadm:kubelet-config"]);
    assert_eq!(step.map(|step| &step["titles"]), Some(&wanted), "{plan}");
    init_ok(node, &config());
    assert!(system(&["get", "configmap", "kubeadm-config", "-o", "yaml"]).contains("v1beta4"));
    assert_eq!(system(&["get", "deployment", "coredns", "-o", "jsonpath={.spec.replicas}"]), "3");
    assert!(!system(&["get", "configmap", "coredns", "-o", "yaml"]).contains("forward"));
}

fn tokens(node: &Node) {
    let admin = "/etc/kubernetes/admin.conf";
    let made = node.kubekeel(&["token", "create", "abcdef.0123456789abcdef", "--ttl", "0", "--description", "rack 7"]);
    assert_eq!((made.status, made.stdout.trim()), (0, "abcdef.0123456789abcdef"), "{}", made.stderr);
    let again = node.kubekeel(&["token", "create", "abcdef.0123456789abcdef"]);
    assert_eq!(again.status, 3, "{}", again.stderr);
    let ours = node.kubekeel(&["token", "list", "-o", "json"]).stdout;
    let theirs = node.exec_ok(&["kubeadm", "token", "list", "-o", "json", "--kubeconfig", admin]);
    let parse = |text: &str| -> Vec<Value> {
        let values = serde_json::Deserializer::from_str(text).into_iter();
        values.map(|value| value.expect("JSON")).collect()
    };
    assert_eq!(parse(&ours), parse(&theirs));
    let table = node.kubekeel(&["token", "list"]).stdout;
    assert!(table.contains("<forever>") && table.contains("rack 7"), "{table}");
    let deleted = node.kubekeel(&["token", "delete", "abcdef", "-o", "json"]);
    assert_eq!(deleted.status, 0, "{}", deleted.stderr);
    let told = json!({"event": "deleted", "token": "abcdef", "dryRun": false});
    assert_eq!(parse(&deleted.stdout), [told]);
    assert_eq!(node.kubekeel(&["token", "delete", "abcdef"]).status, 1);
}

fn a_user_logs_in(node: &Node) {
    let made = node.kubekeel(&["kubeconfig", "user", "--client-name", "jane", "--org", "rack"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    node.write("/root/jane.conf", &made.stdout);
    let jane = node.exec_ok(&["kubectl", "--kubeconfig", "/root/jane.conf", "auth", "whoami", "-o", "json"]);
    let jane: Value = serde_json::from_str(&jane).expect("JSON");
    let user = &jane["status"]["userInfo"];
    assert_eq!((&user["username"], &user["groups"][0]), (&json!("jane"), &json!("rack")), "{jane}");
}

#[test]
#[ignore = "writes the fixture from a run of the real kubeadm"]
fn regenerate() {
    let node = Node::up("cluster-fixture", &Options::default());
    node.write(CONFIG, config());
    node.exec_ok(&[
        "kubeadm",
        "init",
        "--config",
        CONFIG,
        "--upload-certs",
        "--ignore-preflight-errors=SystemVerification",
    ]);
    let text = serde_json::to_string_pretty(&normalised(&node)).expect("JSON");
    std::fs::write(FIXTURE, text + "\n").expect("the fixture is written");
}

/// Every object that an installer made; the API server and the controllers make many more.
fn objects(node: &Node) -> Vec<Value> {
    let kinds = "configmaps,secrets,roles,rolebindings,clusterroles,clusterrolebindings,serviceaccounts,services,\
                 deployments,daemonsets";
    let list = node.kubectl(&["get", kinds, "-A", "-o", "json"]).stdout;
    let list: Value = serde_json::from_str(&list).expect("JSON");
    list["items"].as_array().expect("a list").iter().filter(|object| is_installed(object)).cloned().collect()
}

fn is_installed(object: &Value) -> bool {
    let (name, metadata) = (object["metadata"]["name"].as_str().unwrap_or_default(), &object["metadata"]);
    let of_the_cluster = [
        "extension-apiserver-authentication",
        "kube-apiserver-legacy-service-account-token-tracking",
        "kube-root-ca.crt",
        "kubernetes",
    ];
    match object["kind"].as_str() {
        // Each controller has one of its own.
        Some("ServiceAccount") => ["coredns", "kube-proxy"].contains(&name),
        _ if of_the_cluster.contains(&name) => false,
        // What the API server makes of RBAC and keeps that way; the aggregated roles among it.
        _ => {
            metadata["labels"]["kubernetes.io/bootstrapping"].is_null()
                && metadata["annotations"]["rbac.authorization.kubernetes.io/autoupdate"].is_null()
        }
    }
}

fn title(object: &Value) -> String {
    let word = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
    format!("{} {}/{}", object["kind"].as_str().unwrap_or_default(), word("namespace"), word("name"))
}

/// By title, what tells whether an object was written: its version, or where the controllers write, too, its generation.
fn versions(node: &Node) -> BTreeMap<String, Value> {
    // The controller manager signs cluster-info for every token.
    node.wait_until("signed cluster-info", Duration::from_secs(30), || {
        let info = node.kubectl(&["-n", "kube-public", "get", "configmap", "cluster-info", "-o", "yaml"]).stdout;
        info.contains("jws-kubeconfig-").then_some(())
    });
    let version = |object: &Value| match object["metadata"]["generation"].clone() {
        Value::Null => object["metadata"]["resourceVersion"].clone(),
        generation => generation,
    };
    objects(node).iter().map(|object| (title(object), version(object))).collect()
}

/// The objects without what is of one run only.
fn normalised(node: &Node) -> BTreeMap<String, Value> {
    objects(node)
        .into_iter()
        .map(|mut object| {
            forget(&mut object);
            let text = object.to_string().replace(&node.address, "ADDRESS").replace(&node.name, "NODE");
            let object: Value = serde_json::from_str(&text).expect("JSON");
            let mut title = title(&object);
            if let Some((kind, _)) = title.split_once("bootstrap-token-") {
                let what = object["data"]["description"].as_str().map_or("joining", |_| "uploaded certificates");
                title = format!("{kind}bootstrap-token-ID ({what})");
            }
            (title, object)
        })
        .collect()
}

fn forget(object: &mut Value) {
    object.as_object_mut().expect("a map").remove("status");
    let secret = object["kind"] == "Secret";
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        metadata.remove(field);
    }
    if let Some(hash) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
        && hash.contains_key("kubeadm.kubernetes.io/component-config.hash")
    {
        hash.insert("kubeadm.kubernetes.io/component-config.hash".into(), json!("HASH"));
    }
    if let Some(owner) = metadata.get_mut("ownerReferences").and_then(|owners| owners.get_mut(0)) {
        (owner["uid"], owner["name"]) = (json!("UID"), json!("bootstrap-token-ID"));
    }
    let data = object.get_mut("data").and_then(Value::as_object_mut);
    for (key, value) in data.into_iter().flatten() {
        *value = match value.as_str().unwrap_or_default() {
            _ if secret
                && !key.starts_with("usage-")
                && !["auth-extra-groups", "description"].contains(&key.as_str()) =>
            {
                json!("SECRET")
            }
            text => read(text).unwrap_or_else(|| json!(text)),
        };
    }
    if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
        data.retain(|key, _| !key.starts_with("jws-kubeconfig-"));
    }
    if secret && object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("bootstrap-token-")) {
        object["metadata"]["name"] = json!("bootstrap-token-ID");
    }
}

/// A YAML document as a tree without what says nothing: kubeadm writes every field that has no value, too.
fn read(text: &str) -> Option<Value> {
    let tree: Map<String, Value> = serde_yaml::from_str(text).ok()?;
    Some(prune(Value::Object(tree)).unwrap_or_default())
}

fn prune(tree: Value) -> Option<Value> {
    match tree {
        Value::Object(members) => {
            let members: Map<_, _> = members
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = if key == "certificate-authority-data" { json!("CA") } else { value };
                    prune(value).map(|value| (key, value))
                })
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.into_iter().filter_map(prune).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::String(text) if ["", "0", "0s"].contains(&text.as_str()) => None,
        tree => Some(tree),
    }
}
