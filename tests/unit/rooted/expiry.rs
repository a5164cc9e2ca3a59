//! Until when certificates are valid: told for every file, and never believed of a damaged one.

use std::process::Command;

use kubekeel::host::fs::Files;
use kubekeel::layout;
use kubekeel::observe;
use kubekeel::pki::{Expiries, Validity};
use serde_json::Value;

use super::{PKI, Root, Run, assert_same};

const ADMIN: &str = "/etc/kubernetes/admin.conf";

fn check(root: &Root, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).args(["certs", "check-expiration"]).args(args);
    Run::of(command.output().unwrap())
}

fn look(root: &Root) -> Expiries {
    observe::expiries(layout::PKI, &Files::new(root.directory())).expect("readable files")
}

fn validity(expiries: &Expiries, path: &str) -> Validity {
    expiries.rows.iter().find(|row| row.path == path).expect("a row").validity.clone()
}

#[test]
fn every_certificate_has_a_row_and_nothing_is_written() {
    let root = Root::made();
    let before = root.tree();
    let text = check(&root, &[]).succeeds().stdout;
    let first: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    let wanted = [
        "CERTIFICATE",
        "admin.conf",
        "apiserver",
        "apiserver-etcd-client",
        "apiserver-kubelet-client",
        "controller-manager.conf",
        "etcd-healthcheck-client",
        "etcd-peer",
        "etcd-server",
        "front-proxy-client",
        "kubelet.conf",
        "scheduler.conf",
        "super-admin.conf",
        "",
        "CERTIFICATE",
        "ca",
        "etcd-ca",
        "front-proxy-ca",
    ];
    assert_eq!(first, wanted, "{text}");
    assert!(text.lines().all(|line| line.len() <= 120 && line.trim_end() == line), "{text}");
    assert!(text.lines().filter(|line| line.contains(" UTC ")).count() == 15, "{text}");
    assert_same(&before, &root.tree());
}

#[test]
fn programs_get_kubeadms_names_and_monitoring_gets_metrics() {
    let root = Root::made();
    root.remove("/etc/kubernetes/super-admin.conf");
    root.remove("/etc/kubernetes/pki/etcd/ca.key");
    let json: Value = serde_json::from_str(&check(&root, &["-o", "json"]).succeeds().stdout).unwrap();
    let row = |list: &str, name: &str| {
        let rows = json[list].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} in {json}")).clone()
    };
    let server = row("certificates", "etcd-server");
    assert_eq!((&server["caName"], &server["externallyManaged"]), (&"etcd-ca".into(), &true.into()), "{server}");
    let residual = server["residualTime"].as_i64().unwrap();
    assert!((364 * 86_400..=365 * 86_400).contains(&residual), "{server}");
    assert!(server["expirationDate"].as_str().unwrap().ends_with('Z'), "{server}");
    assert_eq!(row("certificates", "super-admin.conf")["missing"], true);
    assert_eq!(row("certificateAuthorities", "ca")["externallyManaged"], false);

    let place = root.directory().join("keel.prom");
    check(&root, &["--prometheus", place.to_str().unwrap()]).succeeds();
    let metrics = std::fs::read_to_string(&place).unwrap();
    let again = check(&root, &["--prometheus", "-"]).succeeds().stdout.replace("\n\n", "\n");
    // Only the moment of the check may differ.
    let timeless = |text: &str| {
        let is_moment = |line: &&str| line.starts_with("kubekeel_certificate_check_timestamp_seconds");
        text.lines().filter(|line| !is_moment(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(timeless(&metrics), timeless(&again), "the same twice");
    let line =
        |start: &str| metrics.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{metrics}"));
    let end = line("kubekeel_certificate_expiration_timestamp_seconds{name=\"apiserver\",path=");
    assert!(end.rsplit(' ').next().unwrap().parse::<i64>().unwrap() > 1_700_000_000, "{end}");
    let missing = line("kubekeel_certificate_missing{name=\"super-admin.conf\"");
    assert!(missing.ends_with(" 1"), "{missing}");
    // The exposition format: each metric has its help and type once, before its samples.
    for family in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = family.strip_suffix(" gauge").expect("a gauge");
        assert_eq!(metrics.matches(&format!("# HELP {name} ")).count(), 1, "{metrics}");
    }
}

#[test]
fn the_exit_code_is_the_thresholds() {
    let root = Root::made();
    check(&root, &["--within", "363d"]).succeeds();
    check(&root, &["--within", "366d"]).exits(8).says(&["apiserver expires in ", "kubekeel certs renew apiserver"]);
    check(&root, &["--within", "soon"]).exits(3).says(&["30d"]);
    root.configure("certificateValidityPeriod: 1s\n");
    root.remove("/etc/kubernetes/pki/apiserver.crt");
    root.init(&[]).succeeds();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let expired = check(&root, &[]).exits(8).says(&["apiserver has expired"]);
    assert!(expired.stdout.contains("expired"), "{}", expired.stdout);
    root.write(&format!("{PKI}/apiserver.crt"), "-----BEGIN");
    check(&root, &[]).exits(1).says(&["/etc/kubernetes/pki/apiserver.crt"]);
    let nothing = Root::new();
    check(&nothing, &[]).exits(2).says(&["kubekeel init"]);
}

/// Whatever happens to a file, what is said of it is an error that names it, or still the truth.
#[test]
fn damaged_files_are_named_at_every_length_and_for_every_bit() {
    let root = Root::made();
    let paths = [format!("{PKI}/ca.crt"), format!("{PKI}/apiserver.crt"), ADMIN.to_owned()];
    // Every look reads all files; those that do not matter only cost time.
    for path in root.tree().keys().filter(|path| path.ends_with(".crt") || path.ends_with(".conf")) {
        if !paths.contains(path) {
            root.remove(path);
        }
    }
    // A kubeconfig is mostly base64, of which one bit of each byte says as much as all eight.
    for (path, step) in paths.into_iter().zip([1, 1, 9]) {
        let (whole, truth) = (root.read(&path), validity(&look(&root), &path));
        assert!(matches!(truth, Validity::Until(_)), "{truth:?}");
        let mut damaged = 0;
        let mut judge = |content: &[u8], what: String| {
            root.write(&path, content);
            let expiries = look(&root);
            let seen = validity(&expiries, &path);
            if matches!(seen, Validity::Damaged(_)) {
                damaged += 1;
                assert!(expiries.damaged().iter().any(|problem| problem.subject == path), "{path}: {what}");
            } else {
                assert_eq!(seen, truth, "{path}: {what}");
            }
        };
        for length in 0..whole.len() {
            judge(&whole[..length], format!("the first {length} bytes"));
        }
        for bit in (0..whole.len() * 8).step_by(step) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            judge(&flipped, format!("bit {bit}"));
        }
        assert!(damaged > whole.len() * 3 / 2, "{path}: only {damaged}");
        root.write(&path, &whole);
    }
}
