//! The fields of `KubeletConfiguration`, `kubelet.config.k8s.io/v1beta1` (`k8s.io/kubelet` v0.37.2, `types.go`).

use super::shape::Shape::{self, Any, Bool, Duration, Int, List, Map, Number, Object, Quantity, Text};

/// Whether the kubelet has a top-level field of that name.
pub(super) fn has(name: &str) -> bool {
    let Object(fields) = &CONFIGURATION else { return false };
    fields.iter().any(|(field, _)| *field == name)
}

const TEXTS: Shape = List(&Text);
const TEXT_MAP: Shape = Map(&Text);

/// `core/v1` Taint.
const TAINT: Shape = Object(&[("key", Text), ("value", Text), ("effect", Text), ("timeAdded", Text)]);

const AUTHENTICATION: Shape = Object(&[
    ("x509", Object(&[("clientCAFile", Text)])),
    ("webhook", Object(&[("enabled", Bool), ("cacheTTL", Duration)])),
    ("anonymous", Object(&[("enabled", Bool)])),
]);
const AUTHORIZATION: Shape = Object(&[
    ("mode", Text),
    ("webhook", Object(&[("cacheAuthorizedTTL", Duration), ("cacheUnauthorizedTTL", Duration)])),
]);
const PRIORITY_GRACE: Shape = Object(&[("priority", Int), ("shutdownGracePeriodSeconds", Int)]);
const MEMORY_RESERVATION: Shape = Object(&[("numaNode", Int), ("limits", Map(&Quantity))]);
const LOG_ROUTING: Shape = Object(&[("splitStream", Bool), ("infoBufferSize", Quantity)]);
/// `logs/api/v1` of component-base, which the kubelet and kube-proxy share.
pub(super) const LOGGING: Shape = Object(&[
    ("format", Text),
    // Nanoseconds as a number, or a duration (`TimeOrMetaDuration`).
    ("flushFrequency", Any),
    ("verbosity", Int),
    ("vmodule", List(&Object(&[("filePattern", Text), ("verbosity", Int)]))),
    ("options", Object(&[("text", LOG_ROUTING), ("json", LOG_ROUTING)])),
]);

/// Fields that came later than the oldest supported minor: a kubelet that does not know one refuses to start.
pub(super) const SINCE: [(&str, u32); 1] = [("defaultPodSysctls", 37)];

/// The whole document.
pub(super) const CONFIGURATION: Shape = Object(&[
    ("apiVersion", Text),
    ("kind", Text),
    ("enableServer", Bool),
    ("staticPodPath", Text),
    ("podLogsDir", Text),
    ("syncFrequency", Duration),
    ("fileCheckFrequency", Duration),
    ("httpCheckFrequency", Duration),
    ("staticPodURL", Text),
    ("staticPodURLHeader", Map(&TEXTS)),
    ("address", Text),
    ("port", Int),
    ("readOnlyPort", Int),
    ("tlsCertFile", Text),
    ("tlsPrivateKeyFile", Text),
    ("tlsCipherSuites", TEXTS),
    ("tlsCurvePreferences", List(&Int)),
    ("tlsMinVersion", Text),
    ("rotateCertificates", Bool),
    ("serverTLSBootstrap", Bool),
    ("authentication", AUTHENTICATION),
    ("authorization", AUTHORIZATION),
    ("registryPullQPS", Int),
    ("registryBurst", Int),
    ("imagePullCredentialsVerificationPolicy", Text),
    ("preloadedImagesVerificationAllowlist", TEXTS),
    ("eventRecordQPS", Int),
    ("eventBurst", Int),
    ("enableDebuggingHandlers", Bool),
    ("enableContentionProfiling", Bool),
    ("healthzPort", Int),
    ("healthzBindAddress", Text),
    ("oomScoreAdj", Int),
    ("clusterDomain", Text),
    ("clusterDNS", TEXTS),
    ("streamingConnectionIdleTimeout", Duration),
    ("nodeStatusUpdateFrequency", Duration),
    ("nodeStatusReportFrequency", Duration),
    ("nodeLeaseDurationSeconds", Int),
    ("imageMinimumGCAge", Duration),
    ("imageMaximumGCAge", Duration),
    ("imageGCHighThresholdPercent", Int),
    ("imageGCLowThresholdPercent", Int),
    ("volumeStatsAggPeriod", Duration),
    ("kubeletCgroups", Text),
    ("systemCgroups", Text),
    ("cgroupRoot", Text),
    ("cgroupsPerQOS", Bool),
    ("cgroupDriver", Text),
    ("cpuManagerPolicy", Text),
    ("singleProcessOOMKill", Bool),
    ("cpuManagerPolicyOptions", TEXT_MAP),
    ("cpuManagerReconcilePeriod", Duration),
    ("memoryManagerPolicy", Text),
    ("topologyManagerPolicy", Text),
    ("topologyManagerScope", Text),
    ("topologyManagerPolicyOptions", TEXT_MAP),
    ("qosReserved", TEXT_MAP),
    ("runtimeRequestTimeout", Duration),
    ("hairpinMode", Text),
    ("maxPods", Int),
    ("podCIDR", Text),
    ("podPidsLimit", Int),
    ("resolvConf", Text),
    ("runOnce", Bool),
    ("cpuCFSQuota", Bool),
    ("cpuCFSQuotaPeriod", Duration),
    ("nodeStatusMaxImages", Int),
    ("maxOpenFiles", Int),
    ("contentType", Text),
    ("kubeAPIQPS", Int),
    ("kubeAPIBurst", Int),
    ("serializeImagePulls", Bool),
    ("maxParallelImagePulls", Int),
    ("evictionHard", TEXT_MAP),
    ("evictionSoft", TEXT_MAP),
    ("evictionSoftGracePeriod", TEXT_MAP),
    ("evictionPressureTransitionPeriod", Duration),
    ("evictionMaxPodGracePeriod", Int),
    ("evictionMinimumReclaim", TEXT_MAP),
    ("mergeDefaultEvictionSettings", Bool),
    ("podsPerCore", Int),
    ("enableControllerAttachDetach", Bool),
    ("protectKernelDefaults", Bool),
    ("makeIPTablesUtilChains", Bool),
    ("iptablesMasqueradeBit", Int),
    ("iptablesDropBit", Int),
    ("featureGates", Map(&Bool)),
    ("failSwapOn", Bool),
    ("memorySwap", Object(&[("swapBehavior", Text)])),
    ("containerLogMaxSize", Text),
    ("containerLogMaxFiles", Int),
    ("containerLogMaxWorkers", Int),
    ("containerLogMonitorInterval", Duration),
    ("configMapAndSecretChangeDetectionStrategy", Text),
    ("systemReserved", TEXT_MAP),
    ("kubeReserved", TEXT_MAP),
    ("reservedSystemCPUs", Text),
    ("showHiddenMetricsForVersion", Text),
    ("systemReservedCgroup", Text),
    ("kubeReservedCgroup", Text),
    ("enforceNodeAllocatable", TEXTS),
    ("allowedUnsafeSysctls", TEXTS),
    ("defaultPodSysctls", TEXT_MAP),
    ("volumePluginDir", Text),
    ("providerID", Text),
    ("kernelMemcgNotification", Bool),
    ("logging", LOGGING),
    ("enableSystemLogHandler", Bool),
    ("enableSystemLogQuery", Bool),
    ("shutdownGracePeriod", Duration),
    ("shutdownGracePeriodCriticalPods", Duration),
    ("shutdownGracePeriodByPodPriority", List(&PRIORITY_GRACE)),
    ("crashLoopBackOff", Object(&[("maxContainerRestartPeriod", Duration)])),
    ("reservedMemory", List(&MEMORY_RESERVATION)),
    ("enableProfilingHandler", Bool),
    ("enableDebugFlagsHandler", Bool),
    ("seccompDefault", Bool),
    ("memoryThrottlingFactor", Number),
    ("memoryReservationPolicy", Text),
    ("registerWithTaints", List(&TAINT)),
    ("registerNode", Bool),
    ("tracing", Object(&[("endpoint", Text), ("samplingRatePerMillion", Int)])),
    ("localStorageCapacityIsolation", Bool),
    ("containerRuntimeEndpoint", Text),
    ("imageServiceEndpoint", Text),
    ("failCgroupV1", Bool),
    ("userNamespaces", Object(&[("idsPerPod", Int)])),
]);
