//! The order in which `init` makes what it makes; a reset goes the other way.

use crate::config::Config;
use crate::layout;
use crate::manifest::Component;
use crate::phase::{self, Want};

/// Directories, then files, as the phases of `init` come to them (`src/plan/diff.rs`, `src/apply/pki.rs`: of a certificate the
/// key is first). The units of later commands are not among them: they came after all of it.
pub(super) fn order(config: &Config) -> Vec<String> {
    let pki = &config.cluster.certificates_dir;
    let mut made = vec![layout::STATE.to_owned(), layout::KUBERNETES.into(), pki.clone(), format!("{pki}/etcd")];
    made.extend([config.cluster.etcd.data_dir.clone(), layout::KUBELET.into(), layout::MANIFESTS.into()]);
    for want in phase::wants_of_init(&[]) {
        match want {
            Want::Certificate(id) => made.extend(["key", "crt"].map(|end| format!("{pki}/{}.{end}", id.base()))),
            Want::ServiceAccountKey => made.extend(["key", "pub"].map(|end| format!("{pki}/sa.{end}"))),
            Want::Kubeconfig(id) => made.push(layout::kubeconfig(id.file())),
            _ => {}
        }
    }
    // The kubelet is told how to run before it is told what.
    made.extend([layout::KUBELET_CONFIG, layout::KUBELET_INSTANCE_CONFIG, layout::KUBELET_FLAGS].map(str::to_owned));
    made.extend(Component::ALL.map(Component::path));
    made
}
