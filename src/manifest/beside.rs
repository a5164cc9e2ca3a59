//! A second API server beside the first, on the same port, so that requests are answered while the first is replaced.
//!
//! Both listen with `SO_REUSEPORT` (`--permit-port-sharing`), and the kernel deals new connections out among them. The second
//! is a static pod with another name: a kubelet replaces a pod only after it ended, but starts another one beside it.

use serde_json::{Value, json};

use super::{Component, check, yaml};
use crate::layout;

/// Name of the second static pod, and its label `component`.
pub const BESIDE: &str = "kube-apiserver-beside";
/// What the kernel's switch was before, in the second pod's annotations.
const MIGRATE: &str = "kubekeel.io/tcp-migrate-req";
/// An API server waits a minute for its watches, which never end by themselves; other requests are answered in this time.
const GRACE_SECONDS: u32 = 5;
const SHARING: &str = "--permit-port-sharing";

/// Where its manifest is.
pub fn path() -> String {
    layout::manifest(BESIDE)
}

/// Whether an API server of this manifest lets another one listen on its port. None when it is no pod.
pub fn shares_port(manifest: &str) -> Option<bool> {
    let pod = check::read(manifest).ok()?.pod;
    let containers = pod["spec"]["containers"].as_array()?;
    let server = containers.iter().find(|container| container["name"] == Component::ApiServer.name())?;
    let words = ["command", "args"].into_iter().filter_map(|list| server[list].as_array()).flatten();
    let mut flags = words.filter_map(Value::as_str).filter_map(|word| word.strip_prefix(SHARING));
    // The last one counts; without a value it means true.
    Some(matches!(flags.next_back(), Some("" | "=true" | "=1" | "=t" | "=T" | "=TRUE" | "=True")))
}

/// The second pod of a manifest: the same under another name, without what two pods cannot both have.
///
/// It keeps the digest of the first, by which it is known in the runtime. It asks for no share of the node: the kubelet would
/// end other pods to make room.
pub fn manifest(first: &str, migrate: &str) -> Option<String> {
    let mut pod = check::read(first).ok()?.pod;
    pod["metadata"]["name"] = json!(BESIDE);
    pod["metadata"]["labels"]["component"] = json!(BESIDE);
    pod["metadata"]["annotations"][MIGRATE] = json!(migrate);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(GRACE_SECONDS);
    for container in pod["spec"]["containers"].as_array_mut()? {
        if container["name"] == Component::ApiServer.name() {
            container["name"] = json!(BESIDE);
        }
        let fields = container.as_object_mut()?;
        fields.remove("ports");
        fields.remove("resources");
    }
    Some(yaml::block(&pod))
}

/// What the kernel's switch was before the second pod of this manifest came.
pub fn migrate_before(manifest: &str) -> Option<String> {
    check::read(manifest).ok()?.pod["metadata"]["annotations"][MIGRATE].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver, labels: {component: kube-apiserver}}\n\
        spec:\n  containers:\n  - name: kube-apiserver\n    ports: [{containerPort: 6443, hostPort: 6443}]\n\
        \x20   resources: {requests: {cpu: 250m}}\n    command: [kube-apiserver, FLAG]\n";

    #[test]
    fn the_port_is_shared_when_the_flag_says_so() {
        let with = |flags: &str| shares_port(&POD.replace("FLAG", flags));
        for (flags, shares) in [
            ("--v=2", false),
            ("--permit-port-sharing", true),
            ("--permit-port-sharing=true", true),
            ("--permit-port-sharing=false", false),
            ("--permit-port-sharing=true, --permit-port-sharing=false", false),
        ] {
            assert_eq!(with(flags), Some(shares), "{flags}");
        }
        assert_eq!(shares_port("kind: List"), None);
    }

    #[test]
    fn the_second_pod_takes_nothing_from_the_first() {
        let text = manifest(&POD.replace("FLAG", "--v=2"), "0").unwrap();
        let pod = check::read(&text).unwrap().pod;
        assert_eq!(
            (&pod["metadata"]["name"], &pod["metadata"]["labels"]["component"]),
            (&json!(BESIDE), &json!(BESIDE))
        );
        let container = &pod["spec"]["containers"][0];
        assert_eq!((&container["ports"], &container["resources"]), (&Value::Null, &Value::Null));
        assert_eq!(container["command"], json!(["kube-apiserver", "--v=2"]));
        assert_eq!(migrate_before(&text).as_deref(), Some("0"));
    }
}
