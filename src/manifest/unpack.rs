//! A static pod that unpacks a snapshot of etcd into a new data directory, with etcd's own `etcdutl`.
//!
//! It is etcd's pod with another command: the same image, so the same version writes the directory, and it needs neither etcd
//! nor an API server, only the kubelet.

use serde_json::{Value, json};

use super::{Component, check, yaml};
use crate::layout;

/// Name of the pod, its container and its label `component`.
pub const UNPACK: &str = "etcd-restore";
/// Where the pod sees the directory of the snapshot.
const SNAPSHOTS: &str = "/snapshots";
/// The revision jumps by so many, and everything before counts as compacted: a client that still knows a revision from the time
/// after the snapshot is told to read anew, instead of taking new objects for old ones (etcd's documentation, disaster recovery).
const BUMP: &str = "1000000000";

/// Where its manifest is.
pub fn path() -> String {
    layout::manifest(UNPACK)
}

/// The pod of etcd's manifest that unpacks `snapshot` into `directory`, a path below etcd's data directory. None when the
/// manifest is not that of an etcd.
pub fn manifest(etcd: &str, snapshot: &str, directory: &str) -> Option<String> {
    let mut pod = check::read(etcd).ok()?.pod;
    let (place, name) = snapshot.rsplit_once('/')?;
    let containers = pod["spec"]["containers"].as_array()?;
    let mut container = containers.iter().find(|container| container["name"] == Component::Etcd.name())?.clone();
    let words = container["command"].as_array()?.iter().filter_map(Value::as_str);
    let flags: Vec<String> = words
        .filter(|word| {
            ["--name=", "--initial-cluster=", "--initial-advertise-peer-urls="]
                .iter()
                .any(|flag| word.starts_with(flag))
        })
        .map(str::to_owned)
        .collect();
    let mut command: Vec<String> = ["etcdutl", "snapshot", "restore"].map(str::to_owned).into();
    command.push(format!("{SNAPSHOTS}/{name}"));
    command.extend(flags);
    command.extend([format!("--data-dir={directory}"), format!("--bump-revision={BUMP}"), "--mark-compacted".into()]);
    let fields = container.as_object_mut()?;
    for name in ["livenessProbe", "readinessProbe", "startupProbe", "ports", "resources", "args"] {
        fields.remove(name);
    }
    fields.insert("name".into(), json!(UNPACK));
    fields.insert("command".into(), json!(command));
    let mount = json!({"name": "snapshots", "mountPath": SNAPSHOTS, "readOnly": true});
    fields.get_mut("volumeMounts")?.as_array_mut()?.push(mount);
    let volume = json!({"name": "snapshots", "hostPath": {"path": if place.is_empty() { "/" } else { place }, "type": "Directory"}});
    pod["spec"]["volumes"].as_array_mut()?.push(volume);
    pod["spec"]["containers"] = json!([container]);
    pod["spec"]["restartPolicy"] = json!("Never");
    pod["metadata"] =
        json!({"name": UNPACK, "namespace": "kube-system", "labels": {"component": UNPACK, "tier": "control-plane"}});
    Some(yaml::block(&pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_unpacks_beside_the_data() {
        let etcd = "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd}\nspec:\n  containers:\n  - name: etcd\n    image: e:1\n\
            \x20   command: [etcd, --name=n1, \"--initial-cluster=n1=https://192.0.2.1:2380\", --data-dir=/var/lib/etcd]\n\
            \x20   volumeMounts: [{name: data, mountPath: /var/lib/etcd}]\n    readinessProbe: {}\n\
            \x20 volumes: [{name: data, hostPath: {path: /var/lib/etcd}}]\n";
        let text = manifest(etcd, "/backup/a.db", "/var/lib/etcd/restored-1").unwrap();
        let pod = check::read(&text).unwrap().pod;
        let container = &pod["spec"]["containers"][0];
        let expected = json!([
            "etcdutl",
            "snapshot",
            "restore",
            "/snapshots/a.db",
            "--name=n1",
            "--initial-cluster=n1=https://192.0.2.1:2380",
            "--data-dir=/var/lib/etcd/restored-1",
            "--bump-revision=1000000000",
            "--mark-compacted",
        ]);
        assert_eq!((&container["command"], &container["image"]), (&expected, &json!("e:1")));
        assert_eq!(container["readinessProbe"], Value::Null);
        assert_eq!(pod["spec"]["volumes"][1]["hostPath"]["path"], "/backup");
        assert_eq!(manifest("kind: Pod", "/a.db", "/b"), None);
    }
}
