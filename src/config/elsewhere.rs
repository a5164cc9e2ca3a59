//! Where each field of the configuration API belongs, for the hint on a field in the wrong place.

use super::{kube_proxy, kubelet};

/// Every field of the documents that `init` reads, below the kind that has it; a list's elements have no index.
const FIELDS: [(&str, &[&str]); 16] = [
    (
        "InitConfiguration",
        &["bootstrapTokens", "dryRun", "nodeRegistration", "localAPIEndpoint", "certificateKey", "skipPhases"],
    ),
    ("InitConfiguration", &["patches", "timeouts"]),
    (
        "InitConfiguration.nodeRegistration",
        &["name", "criSocket", "taints", "kubeletExtraArgs", "ignorePreflightErrors", "imagePullPolicy"],
    ),
    ("InitConfiguration.nodeRegistration", &["imagePullSerial"]),
    ("InitConfiguration.patches", &["directory"]),
    ("InitConfiguration.localAPIEndpoint", &["advertiseAddress", "bindPort"]),
    (
        "InitConfiguration.timeouts",
        &["controlPlaneComponentHealthCheck", "kubeletHealthCheck", "kubernetesAPICall", "etcdAPICall"],
    ),
    (
        "ClusterConfiguration",
        &["etcd", "networking", "kubernetesVersion", "controlPlaneEndpoint", "apiServer", "controllerManager"],
    ),
    (
        "ClusterConfiguration",
        &["scheduler", "dns", "proxy", "certificatesDir", "imageRepository", "featureGates", "clusterName"],
    ),
    ("ClusterConfiguration", &["encryptionAlgorithm", "certificateValidityPeriod", "caCertificateValidityPeriod"]),
    ("ClusterConfiguration.networking", &["serviceSubnet", "podSubnet", "dnsDomain"]),
    ("ClusterConfiguration.etcd.local", &["dataDir", "serverCertSANs", "peerCertSANs", "imageTag"]),
    ("ClusterConfiguration.etcd.external", &["endpoints", "httpEndpoints", "caFile", "certFile", "keyFile"]),
    ("ClusterConfiguration.apiServer", &["certSANs", "extraArgs", "extraVolumes", "extraEnvs"]),
    ("ClusterConfiguration.controllerManager", &["extraArgs", "extraVolumes", "extraEnvs"]),
    ("ClusterConfiguration.scheduler", &["extraArgs", "extraVolumes", "extraEnvs"]),
];

/// Says where a field of that name exists.
pub(super) fn hint(key: &str) -> Option<String> {
    let homes = FIELDS.iter().filter(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(key)));
    let mut homes: Vec<&str> = homes.map(|(home, _)| *home).collect();
    if homes.is_empty() && kubelet::has(key) {
        homes.push("KubeletConfiguration");
    }
    if homes.is_empty() && kube_proxy::has(key) {
        homes.push("KubeProxyConfiguration");
    }
    (!homes.is_empty()).then(|| format!("the field belongs to {}", homes.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::FIELDS;
    use crate::config::{Facts, Overrides, Source, load};

    #[test]
    fn every_home_has_its_fields() {
        for (home, names) in FIELDS {
            let (kind, path) = home.split_once('.').unwrap_or((home, ""));
            let levels: Vec<&str> = path.split('.').filter(|level| !level.is_empty()).collect();
            for name in names {
                let open: String = levels.iter().flat_map(|level| [level, ": {"]).collect();
                let close = "}".repeat(levels.len());
                let text = format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: {kind}\n{open}{name}: null{close}\n");
                let source = Source { name: "c.yaml", text: &text };
                let error = load(Some(source), &Overrides::default(), &Facts::default()).unwrap_err();
                // Only what the host or the document lacks is wrong.
                let is_known = |message: &str| !message.contains("unknown field");
                assert!(error.problems.iter().all(|found| is_known(&found.message)), "{text}{:?}", error.problems);
            }
        }
    }
}
