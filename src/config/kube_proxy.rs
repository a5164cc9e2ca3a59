//! The fields of `KubeProxyConfiguration`, `kubeproxy.config.k8s.io/v1alpha1` (`k8s.io/kube-proxy` v0.37.2, `types.go`;
//! v0.36.3 has the same).

use super::kubelet::LOGGING;
use super::shape::Shape::{self, Bool, Duration, Int, List, Map, Number, Object, OneOf, Text};

const IPTABLES: Shape = Object(&[
    ("masqueradeBit", Int),
    ("masqueradeAll", Bool),
    ("localhostNodePorts", Bool),
    ("syncPeriod", Duration),
    ("minSyncPeriod", Duration),
]);
const IPVS: Shape = Object(&[
    ("syncPeriod", Duration),
    ("minSyncPeriod", Duration),
    ("scheduler", Text),
    ("excludeCIDRs", List(&Text)),
    ("strictARP", Bool),
    ("tcpTimeout", Duration),
    ("tcpFinTimeout", Duration),
    ("udpTimeout", Duration),
]);
const NFTABLES: Shape =
    Object(&[("masqueradeBit", Int), ("masqueradeAll", Bool), ("syncPeriod", Duration), ("minSyncPeriod", Duration)]);
const WINKERNEL: Shape = Object(&[
    ("networkName", Text),
    ("sourceVip", Text),
    ("enableDSR", Bool),
    ("rootHnsEndpointName", Text),
    ("forwardHealthCheckVip", Bool),
]);
const CONNTRACK: Shape = Object(&[
    ("maxPerCore", Int),
    ("min", Int),
    ("tcpEstablishedTimeout", Duration),
    ("tcpCloseWaitTimeout", Duration),
    ("tcpBeLiberal", Bool),
    ("udpTimeout", Duration),
    ("udpStreamTimeout", Duration),
]);
const CLIENT_CONNECTION: Shape = Object(&[
    ("kubeconfig", Text),
    ("acceptContentTypes", Text),
    ("contentType", Text),
    ("qps", Number),
    ("burst", Int),
]);

/// The whole document.
pub(super) const CONFIGURATION: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("featureGates", Map(&Bool)),
    ("clientConnection", CLIENT_CONNECTION),
    ("logging", LOGGING),
    ("hostnameOverride", Text),
    ("bindAddress", Text),
    ("healthzBindAddress", Text),
    ("metricsBindAddress", Text),
    ("bindAddressHardFail", Bool),
    ("enableProfiling", Bool),
    ("showHiddenMetricsForVersion", Text),
    // kube-proxy of Linux does not start with any other (`validation_other.go`).
    ("mode", OneOf(&["iptables", "ipvs", "nftables"])),
    ("iptables", IPTABLES),
    ("ipvs", IPVS),
    ("nftables", NFTABLES),
    ("winkernel", WINKERNEL),
    ("detectLocalMode", OneOf(&["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"])),
    ("detectLocal", Object(&[("bridgeInterface", Text), ("interfaceNamePrefix", Text)])),
    ("clusterCIDR", Text),
    ("nodePortAddresses", List(&Text)),
    ("oomScoreAdj", Int),
    ("conntrack", CONNTRACK),
    ("configSyncPeriod", Duration),
    ("portRange", Text),
    ("windowsRunAsService", Bool),
]);
