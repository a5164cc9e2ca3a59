//! What components say before they exit, as the binaries of 1.37 and etcd 3.7 print it (stack traces cut), and what may be
//! concluded from it.

use std::time::Duration;

use kubekeel::diagnose::{Evidence, certain, likely};
use kubekeel::host::http::Health;
use kubekeel::host::service::ServiceStatus;
use kubekeel::manifest::Component;
use kubekeel::observed::ContainerState;

use super::{EXITED, healthy, pod, running_kubelet, with_pod};

#[test]
fn true_last_words_are_understood() {
    use Component::{ApiServer, ControllerManager, Etcd, Scheduler};
    let usage = "  etcd grpc-proxy\n    Run the stateless etcd v3 gRPC L7 reverse proxy.";
    let rows = [
        ("bad-flag", ApiServer, r"Error: unknown flag: --nonsense"),
        (
            "bad-flag",
            ApiServer,
            r#"Error: invalid argument "abc" for "--secure-port" flag: strconv.ParseInt: parsing "abc": invalid syntax"#,
        ),
        (
            "bad-flag",
            ApiServer,
            r#"E1123 23:02:41.754328   11482 run.go:72] "command failed" err="unrecognized feature gate: Nope""#,
        ),
        (
            "bad-flag",
            ApiServer,
            r#"E1123 23:03:32.626413   11911 run.go:72] "command failed" err="authorization-mode \"Nope\" is not a valid mode""#,
        ),
        (
            "bad-flag",
            ApiServer,
            r#"E1123 23:03:32.743049   11925 run.go:72] "command failed" err="enable-admission-plugins plugin \"Nope\" is unknown""#,
        ),
        (
            "bad-flag",
            ControllerManager,
            r#"E1123 23:02:42.441816   11560 run.go:72] "command failed" err="\"nope\" is not in the list of known controllers""#,
        ),
        ("bad-flag", Etcd, "flag provided but not defined: -nonsense\n{usage}"),
        ("bad-flag", Etcd, "invalid value \"abc\" for flag -snapshot-count: parse error\n{usage}"),
        (
            "file-missing",
            Scheduler,
            r#"E1123 23:02:42.192913   11530 run.go:72] "command failed" err="open /nope: no such file or directory""#,
        ),
        (
            "file-missing",
            ControllerManager,
            r#"E1123 23:02:42.394552   11551 run.go:72] "command failed" err="stat /nope: no such file or directory""#,
        ),
        (
            "file-missing",
            Etcd,
            r#"{"level":"fatal","ts":"2026-11-23T23:03:17.769728Z","caller":"etcdmain/etcd.go:172","msg":"listener failed","error":"open nope.crt: no such file or directory","stacktrace":"…"}"#,
        ),
        (
            "port-taken",
            ApiServer,
            r#"E1123 23:03:31.528182   11839 run.go:72] "command failed" err="failed to create listener: failed to listen on 0.0.0.0:46443: listen tcp 0.0.0.0:46443: bind: address already in use""#,
        ),
        (
            "port-taken",
            Etcd,
            r#"{"level":"fatal","ts":"2026-11-23T23:03:30.982021Z","caller":"etcdmain/etcd.go:157","msg":"discovery failed","error":"listen tcp 127.0.0.1:42379: bind: address already in use","stacktrace":"…"}"#,
        ),
        (
            "certificate",
            Etcd,
            r#"{"level":"fatal","ts":"2026-11-23T23:03:16.924594Z","caller":"etcdmain/etcd.go:172","msg":"listener failed","error":"tls: private key does not match public key","stacktrace":"…"}"#,
        ),
        (
            "certificate",
            Etcd,
            r#"{"level":"fatal","ts":"2026-11-23T23:03:18.409085Z","caller":"etcdmain/etcd.go:172","msg":"listener failed","error":"tls: failed to find any PEM data in certificate input","stacktrace":"…"}"#,
        ),
        (
            "certificate",
            ApiServer,
            r#"E1123 23:03:31.796108   11853 run.go:72] "command failed" err="error loading CA bundle for \"client-ca-bundle::junk.crt\": data does not contain any valid RSA or ECDSA certificates""#,
        ),
        (
            "certificate",
            ApiServer,
            r#"E1123 23:03:33.293915   11953 run.go:72] "command failed" err="error reading public key file a.key: data does not contain any valid RSA or ECDSA public keys""#,
        ),
        (
            "certificate",
            ApiServer,
            r#"E1123 23:03:32.201551   11881 run.go:72] "command failed" err="tls: private key does not match public key""#,
        ),
    ];
    for (cause, component, log) in rows {
        let log = log.replace("{usage}", usage);
        let lines: Vec<_> = log.lines().collect();
        let diagnosis = certain(&with_pod(pod(component, EXITED, &lines, Health::Refused)));
        let diagnosis = diagnosis.unwrap_or_else(|| panic!("{cause} is not named: {log}"));
        assert_eq!((diagnosis.cause, diagnosis.component.as_str()), (cause, component.name()), "{log}");
        assert!(diagnosis.evidence.iter().any(|line| line == lines[0]), "the line is shown: {diagnosis:?}");
    }
}

const REFUSED: &str = r#"W1123 23:08:02.901593      19 logging.go:55] [core] [Channel #1 SubChannel #3] grpc: addrConn.createTransport failed to connect to {Addr: "127.0.0.1:2379", ServerName: "127.0.0.1:2379", }. Err: connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused""#;
const GAVE_UP: &str = r#"E1123 23:08:07.235355      19 run.go:72] "command failed" err="error creating storage factory: etcd grpc connection not ready: context deadline exceeded""#;
const EXPIRED: &str = r#"W1123 23:10:57.130349      20 logging.go:55] [core] [Channel #2 SubChannel #4] grpc: addrConn.createTransport failed to connect to {Addr: "127.0.0.1:2379", ServerName: "127.0.0.1:2379", }. Err: connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-23T23:10:57Z is after 2026-11-23T23:10:54Z""#;
const REJECTED: &str = r#"{"level":"warn","ts":"2026-11-23T23:08:08.691298Z","caller":"embed/config_logging.go:194","msg":"rejected connection on client endpoint","remote-addr":"127.0.0.1:59794","server-name":"","error":"remote error: tls: bad certificate"}"#;
const LOST: &str = r#"E1123 23:08:50.053794     114 controllermanager.go:413] "leaderelection lost/stopped""#;
const NO_API: &str = r#"E1123 23:07:57.146150      25 run.go:72] "command failed" err="unable to load configmap based request-header-client-ca-file: Get \"https://10.77.0.1:6443/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication\": net/http: TLS handshake timeout""#;

fn cause(evidence: &Evidence) -> Option<&'static str> {
    certain(evidence).map(|diagnosis| diagnosis.cause)
}

/// The health of `component` is `health`.
fn with_health(mut evidence: Evidence, component: Component, health: &Health) -> Evidence {
    for pod in evidence.pods.iter_mut().filter(|pod| pod.component == component) {
        pod.health = Some(health.clone());
    }
    evidence
}

#[test]
fn the_api_server_is_not_blamed_for_an_etcd_that_is_still_starting() {
    // It gives up after 20 s, and the kubelet starts it again.
    for containers in [EXITED, &[(ContainerState::Running, 0), (ContainerState::Exited, 1)]] {
        let evidence = with_pod(pod(Component::ApiServer, containers, &[REFUSED, REFUSED, GAVE_UP], Health::Refused));
        let evidence = Evidence { waited: Duration::from_secs(22), ..evidence };
        for health in [Health::Refused, Health::Silent, Health::NotReady("503".into())] {
            let starting = with_health(evidence.clone(), Component::Etcd, &health);
            assert_eq!(certain(&starting), None, "etcd: {health:?}");
            assert_eq!(likely(&starting).map(|diagnosis| diagnosis.cause), Some("etcd-unreachable"));
        }
        // An etcd that is ready, but not where the API server looks, will not come nearer.
        assert_eq!(cause(&evidence), Some("etcd-unreachable"));
        assert_eq!(cause(&Evidence { waited: Duration::from_secs(7), ..evidence }), None, "too early to tell");
    }
}

#[test]
fn an_expired_certificate_of_etcd_is_named_before_and_after_the_api_server_gives_up() {
    for (containers, log) in
        [(&[(ContainerState::Running, 0)][..], &[EXPIRED][..]), (EXITED, &[EXPIRED, EXPIRED, GAVE_UP])]
    {
        let evidence = with_pod(pod(Component::ApiServer, containers, log, Health::Refused));
        assert_eq!(cause(&evidence), Some("certificate-expired"), "{containers:?}");
    }
}

#[test]
fn want_of_memory_is_named_whatever_else_was_logged() {
    let killed = &[(ContainerState::Exited, 137)];
    for (component, log) in [
        (
            Component::ApiServer,
            r#"I1123 23:08:09.1 1 storage_factory.go:1] "etcd storage" servers="https://127.0.0.1:2379""#,
        ),
        (Component::ApiServer, REFUSED),
        (Component::Etcd, REJECTED),
        (Component::ControllerManager, "W1123 open /etc/ca: no such file or directory"),
    ] {
        let evidence = with_pod(pod(component, killed, &[log], Health::Refused));
        let diagnosis = certain(&evidence).expect("a cause");
        assert_eq!((diagnosis.cause, diagnosis.component.as_str()), ("out-of-memory", component.name()), "{log}");
    }
}

#[test]
fn a_crash_loop_is_named_for_what_crashes_by_itself() {
    let thrice = &[(ContainerState::Exited, 2); 3];
    // The API server mentions etcd in passing all the time.
    let panic = ["I1123 etcd3 store started for https://127.0.0.1:2379", "panic: oh no"];
    let evidence = with_pod(pod(Component::ApiServer, thrice, &panic, Health::Refused));
    assert_eq!(cause(&evidence), Some("crash-loop"));
    assert_eq!(
        cause(&with_pod(pod(Component::ApiServer, &thrice[1..], &panic, Health::Refused))),
        None,
        "twice is luck"
    );
    // Controllers exit when the API server is away; once it is ready, that is no excuse.
    for (component, log) in
        [(Component::ControllerManager, LOST), (Component::ControllerManager, NO_API), (Component::Scheduler, NO_API)]
    {
        let evidence = with_pod(pod(component, thrice, &[log], Health::Refused));
        assert_eq!(cause(&evidence), Some("crash-loop"), "{log}");
        for health in [Health::Silent, Health::Refused, Health::NotReady("500".into())] {
            assert_eq!(cause(&with_health(evidence.clone(), Component::ApiServer, &health)), None, "{log}");
        }
        let once = with_pod(pod(component, EXITED, &[log], Health::Refused));
        assert_eq!(cause(&once), None, "{log}");
        let again = &[(ContainerState::Running, 0), (ContainerState::Exited, 1)];
        assert_eq!(cause(&with_pod(pod(component, again, &[log], Health::Refused))), None, "it runs again: {log}");
    }
}

#[test]
fn a_pod_that_may_recover_hides_none_that_cannot() {
    let mut evidence = healthy();
    evidence.pods.clear();
    evidence.pods.push(pod(Component::Etcd, EXITED, &["{\"level\":\"fatal\",\"msg\":\"oh no\"}"], Health::Refused));
    assert_eq!(cause(&evidence), None);
    evidence.pods.push(pod(Component::ApiServer, EXITED, &["Error: unknown flag: --nonsense"], Health::Refused));
    let diagnosis = certain(&evidence).expect("a cause");
    assert_eq!((diagnosis.cause, diagnosis.component.as_str()), ("bad-flag", "kube-apiserver"));
}

#[test]
fn true_last_words_of_the_kubelet_are_understood() {
    let rows = [
        (
            "bad-flag",
            r#"E1123 23:02:42.548194   11568 run.go:72] "command failed" err="failed to parse kubelet flag: unknown flag: --nonsense""#,
        ),
        (
            "kubelet-config",
            r#"E1123 23:02:42.591596   11577 run.go:72] "command failed" err="failed to load kubelet config file, path: /nope, error: failed to load Kubelet config file /nope, error failed to read kubelet config file \"/nope\", error: open /nope: no such file or directory""#,
        ),
        (
            "kubelet-config",
            r#"E1123 23:02:42.676102   11596 run.go:72] "command failed" err="failed to load kubelet config file, path: bad2.yaml, error: failed to load Kubelet config file bad2.yaml, error failed to decode: json: cannot unmarshal string into Go struct field KubeletConfiguration.maxPods of type int32""#,
        ),
        (
            "cgroup-v1",
            r#"E1123 23:02:42.626799   11587 run.go:72] "command failed" err="failed to validate kubelet configuration, error: kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed in a future release, path: &TypeMeta{Kind:,APIVersion:,}""#,
        ),
    ];
    for (cause_wanted, line) in rows {
        let down = ServiceStatus {
            sub: "auto-restart".into(),
            active: "activating".into(),
            exit_code: 1,
            ..running_kubelet()
        };
        let mut evidence = Evidence { kubelet: Some(down), kubelet_log: vec![line.into()], ..healthy() };
        assert_eq!(cause(&evidence), Some(cause_wanted), "{line}");
        // A kubelet that runs has got over what it said before.
        evidence.kubelet = Some(ServiceStatus { restarts: 2, ..running_kubelet() });
        assert_eq!(cause(&evidence), None, "{line}");
    }
}
