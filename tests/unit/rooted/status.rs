//! What status and doctor read from files alone.

use std::process::Command;

use kubekeel::host::fs::Files;
use kubekeel::manifest::{self, Component};
use kubekeel::recall::recall;
use serde_json::Value;

use super::{PKI, Root, Run};

#[test]
fn damaged_certificates_come_first_and_the_kubelets_own_are_listed() {
    let root = Root::made();
    let certificate = root.read(&format!("{PKI}/apiserver.crt"));
    std::fs::create_dir_all(root.at("/var/lib/kubelet/pki")).unwrap();
    root.write("/var/lib/kubelet/pki/kubelet.crt", certificate);
    // One that is none, and one of another authority.
    root.write(&format!("{PKI}/apiserver.crt"), "nothing");
    root.write(&format!("{PKI}/etcd/peer.crt"), root.read(&format!("{PKI}/front-proxy-client.crt")));
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).args(["status", "-o", "json"]);
    let seen: Value = serde_json::from_str(&Run::of(command.output().unwrap()).stdout).unwrap();
    let all = seen["certificates"].as_array().unwrap();
    let damaged: Vec<_> = all.iter().take_while(|one| one["days"].is_null()).map(|one| &one["name"]).collect();
    assert_eq!(damaged, ["apiserver", "etcd-peer"].map(Value::from).iter().collect::<Vec<_>>());
    assert_eq!(all[1]["damaged"], "its certificate authority did not sign it");
    let server = all.iter().find(|one| one["name"] == "kubelet-server").unwrap();
    assert_eq!((&server["managed"], &server["damaged"]), (&Value::from("kubelet"), &Value::Null));
    let judged = |name: &str| {
        let remarks = seen["remarks"].as_array().unwrap().iter();
        remarks.filter(|remark| remark["subject"] == name).map(|remark| remark["cause"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(judged("apiserver"), ["certificate-damaged"]);
    assert_eq!(judged("etcd-peer"), ["certificate-damaged"]);
    assert_eq!(judged("kubelet-server"), Vec::<Value>::new());
}

#[test]
fn without_a_generation_the_flags_of_the_manifests_say_what_is_served_where() {
    let root = Root::made();
    let path = Component::ApiServer.path();
    let text = String::from_utf8(root.read(&path)).unwrap();
    let flags = "    - \"--tls-cert-file=/etc/kubernetes/pki/other.crt\"\n    - \"--bind-address=192.0.2.77\"\n";
    let at = text.find("    - \"--").expect("flags");
    root.write(&path, format!("{}{flags}{}", &text[..at], &text[at..]));
    // The last of a repeated flag counts, as for the component.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = runtime.block_on(recall(&Files::new(root.directory()))).unwrap().config;
    let served = manifest::served(&config);
    let api = served.iter().find(|served| served.component == Component::ApiServer).unwrap();
    assert_eq!((api.host.as_str(), api.port), ("192.0.2.77", 6443));
    assert_eq!(api.certificate.as_deref(), Some("/etc/kubernetes/pki/apiserver.crt"));
    let peer = served.iter().find(|served| served.port == 2380).unwrap();
    assert_eq!(
        (peer.host.as_str(), peer.certificate.as_deref()),
        ("192.0.2.10", Some("/etc/kubernetes/pki/etcd/peer.crt"))
    );
}
