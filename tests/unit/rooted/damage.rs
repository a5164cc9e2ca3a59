//! Damaged files: what is cut short or has a flipped bit gives an error that names the file, or still means the same; nothing
//! is written, and nobody panics. What becomes of the expiry of damaged certificates is in `expiry.rs`.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kubekeel::apply::{Generations, Pending};
use kubekeel::config::Input;
use kubekeel::error::{Error, Kind};
use kubekeel::host::fs::Files;
use kubekeel::pki::{Certificate, Key};
use kubekeel::{kubeconfig, layout, observe, pki};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{INVENTORY, PKI, Root, Run, assert_same};

const ADMIN: &str = "/etc/kubernetes/admin.conf";
const GENERATION: &str = "/var/lib/kubekeel/generations/1.json";

/// Every `lengths`-th beginning of a file, and the file with each `bits`-th bit flipped.
fn damage(whole: &[u8], lengths: usize, bits: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let cut = move |length: usize| (format!("the first {length} bytes"), whole[..length].to_vec());
    let flip = |bit: usize| {
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit}"), flipped)
    };
    (0..whole.len()).step_by(lengths).map(cut).chain((0..whole.len() * 8).step_by(bits).map(flip))
}

fn kubekeel(root: &Root, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubekeel"));
    command.arg("--root").arg(root.directory()).args(args).stdin(Stdio::null());
    Run::of(command.output().unwrap())
}

/// A root with two generations and the record of a change that was not finished.
fn with_state() -> Root {
    let root = Root::made();
    let files = Files::new(root.directory());
    let generations = Generations::new(&files);
    for more in ["", "networking: {dnsDomain: keel.local}\n"] {
        let source = Some(("config.yaml".to_owned(), super::configuration(more)));
        generations.commit("init", &Input { source, ..Input::default() }).unwrap();
    }
    let pending =
        Pending { from: 1, command: "apply".into(), etcd_data: None, before: None, members: 1, snapshot: None };
    generations.begin(&pending).unwrap();
    root
}

#[test]
fn our_own_records_are_refused_whatever_happened_to_them() {
    type Reader = fn(&Files) -> Result<(), Error>;
    let cases: [(&str, usize, usize, Reader); 3] = [
        (INVENTORY, 7, 61, |files| observe::inventory(files).map(drop)),
        (GENERATION, 499, 9973, |files| Generations::new(files).load(1).map(drop)),
        (layout::PENDING, 1, 1, |files| Generations::new(files).pending().map(drop)),
    ];
    let root = with_state();
    let files = Files::new(root.directory());
    for (path, lengths, bits, read) in cases {
        let whole = root.read(path);
        read(&files).unwrap_or_else(|error| panic!("{path}: {error}"));
        for (what, content) in damage(&whole, lengths, bits) {
            root.write(path, content);
            let error = read(&files).expect_err(&format!("{path}: {what}"));
            assert!(error.message.contains(path) && error.kind == Kind::Preflight, "{what}: {error}");
            assert!(error.hints.iter().any(|hint| hint.contains("kubekeel") || hint.contains("backup")), "{error:?}");
        }
        root.write(path, &whole);
    }
}

#[test]
fn a_damaged_inventory_stops_every_run_before_it_writes() {
    let root = Root::made();
    let whole = root.read(INVENTORY);
    let text = String::from_utf8(whole.clone()).unwrap();
    let cases = [
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("a letter of a path", text.replacen("admin.conf", "admim.conf", 1).into_bytes()),
        ("of a later version", text.replacen("\"format\":1", "\"format\":2", 1).into_bytes()),
        ("never sealed", text.split_once('\n').unwrap().1.as_bytes().to_vec()),
        ("empty", vec![]),
    ];
    for (what, content) in cases {
        assert_ne!(content, whole, "{what}");
        root.write(INVENTORY, &content);
        let before = root.settled();
        for args in [&["--dry-run"] as &[_], &[], &["--force"]] {
            let run = root.init(args);
            assert_eq!(run.code, Some(2), "{what}: {run:#?}");
            run.says(&[INVENTORY, "hint:"]);
        }
        kubekeel(&root, &["reset", "--yes"]).exits(2).says(&[INVENTORY, "hint:"]);
        assert_same(&before, &root.settled());
    }
    root.write(INVENTORY, &whole);
    root.init(&[]).succeeds();
}

#[test]
fn a_damaged_generation_is_named_and_the_others_are_listed() {
    let root = with_state();
    let whole = root.read(GENERATION);
    root.write(GENERATION, &whole[..whole.len() - 1]);
    let listed = kubekeel(&root, &["history"]).succeeds().stdout;
    assert!(listed.contains(&format!("{GENERATION} is unreadable: its content is not what was written")), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("2 ") && line.ends_with(" init")), "{listed}");
    // Who needs the newest one does not take another one for it.
    root.write(GENERATION, &whole);
    let newest = GENERATION.replace('1', "2");
    let mut flipped = root.read(&newest);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    root.write(&newest, flipped);
    let before = root.settled();
    for command in [&["certs", "check-expiration"] as &[_], &["kubeconfig", "user", "--client-name", "jane"]] {
        kubekeel(&root, command).exits(2).says(&[&newest, "kubekeel history"]);
    }
    assert_same(&before, &root.settled());
}

#[test]
fn a_damaged_record_of_a_change_is_named_below_the_list_that_helps() {
    let root = with_state();
    let whole = root.read(layout::PENDING);
    root.write(layout::PENDING, &whole[..whole.len() - 2]);
    let run = kubekeel(&root, &["history"]).exits(2).says(&[layout::PENDING, "kubekeel rollback"]);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
    let run = kubekeel(&root, &["history", "-o", "json"]).exits(2);
    assert!(run.stdout.lines().last().is_some_and(|line| line.contains(layout::PENDING)), "{}", run.stdout);
}

/// Whether a key is unreadable or another one; if not, it has to sign as the one that it passes for.
#[track_caller]
fn is_refused(content: &[u8], truth: &Key, what: &str) -> bool {
    let Ok(key) = Key::from_pem(content) else { return true };
    if key.spki() != truth.spki() {
        return true;
    }
    let profile = pki::user_profile("jane", None, Duration::from_secs(60), &Root::new().config());
    let signed = pki::issue(&profile, &key, None, SystemTime::now()).unwrap();
    let signed = Certificate::parse(signed.as_bytes()).unwrap();
    assert!(signed.is_signed_by(&signed) && signed.spki == truth.spki(), "{what}: it passes for the same key");
    false
}

#[test]
fn no_damaged_key_passes_for_the_one_of_its_certificate() {
    let root = Root::made();
    for base in ["ca", "apiserver", "etcd/peer"] {
        let whole = root.read(&format!("{PKI}/{base}.key"));
        let truth = Key::from_pem(&whole).unwrap();
        let certificate = Certificate::parse(&root.read(&format!("{PKI}/{base}.crt"))).unwrap();
        assert_eq!(truth.spki(), certificate.spki);
        let refused = damage(&whole, 1, 1).filter(|(what, content)| is_refused(content, &truth, what)).count();
        // Of a PEM file only line ends and the words around it may change without anybody noticing.
        assert!(refused > whole.len() * 8, "{base}: only {refused} of {}", whole.len() * 9);
    }
    let whole = root.read(ADMIN);
    let truth = Key::from_pem(kubeconfig::parse(&whole).unwrap().key_pem.unwrap().expose()).unwrap();
    let encoded = BASE64_STANDARD.encode(truth.private_pem().expose());
    let start = String::from_utf8(whole.clone()).unwrap().find(&encoded).expect("the key's line");
    let mut refused = 0;
    for bit in 0..encoded.len() * 8 {
        let mut flipped = whole.clone();
        flipped[start + bit / 8] ^= 1 << (bit % 8);
        let key = kubeconfig::parse(&flipped).ok().and_then(|parsed| parsed.key_pem);
        refused += usize::from(key.is_none_or(|key| is_refused(key.expose(), &truth, &format!("bit {bit}"))));
    }
    assert!(refused > encoded.len() * 7, "only {refused} of {}", encoded.len() * 8);
}

/// What of a file matters: for PEM its base64, for a kubeconfig that of its key.
fn marrow(whole: &[u8]) -> std::ops::Range<usize> {
    let text = String::from_utf8(whole.to_vec()).unwrap();
    let start = text.find("client-key-data: ").map_or_else(|| text.find("-----\n").unwrap() + 6, |at| at + 20);
    start..text.trim_end().rfind('\n').unwrap()
}

#[test]
fn init_names_a_damaged_certificate_key_or_kubeconfig_and_writes_nothing() {
    let foreign = Root::made();
    foreign.remove(INVENTORY);
    let paths = ["ca.crt", "apiserver.crt", "front-proxy-ca.crt", "ca.key", "etcd/peer.key", "sa.key"];
    std::thread::scope(|scope| {
        for path in paths.iter().map(|name| format!("{PKI}/{name}")).chain([ADMIN.to_owned()]) {
            let root = foreign.copy();
            scope.spawn(move || {
                let whole = root.read(&path);
                let within = marrow(&whole);
                let cut = (0..5).map(|fifth| whole[..whole.len() * fifth / 5].to_vec());
                let flipped = (0..7).map(|n| {
                    let mut flipped = whole.clone();
                    flipped[within.start + within.len() * n / 7] ^= 1 << n;
                    flipped
                });
                // A key that is another one is told of its certificate, and sa.key's of its public half.
                let name = path.rsplit_once('.').unwrap().0.to_owned();
                // Who signed an authority that names another one cannot be known here.
                let names_another = |content: &[u8]| {
                    let certificate = Certificate::parse(content);
                    path.ends_with("ca.crt") && certificate.is_ok_and(|certificate| !certificate.is_self_issued())
                };
                let damaged: Vec<_> = cut.chain(flipped).filter(|content| !names_another(content)).collect();
                assert!(damaged.len() > 9, "{path}");
                for (number, content) in damaged.into_iter().enumerate() {
                    root.write(&path, content);
                    let before = root.settled();
                    let run = root.init(&[]);
                    assert_eq!(run.code, Some(2), "{path}, damage {number}: {run:#?}");
                    run.says(&[&name, "hint:", "nothing was changed"]);
                    assert_same(&before, &root.settled());
                }
            });
        }
    });
}

#[test]
fn an_authority_that_is_damaged_signs_for_nobody() {
    let root = Root::made();
    let config = root.config_path().display().to_string();
    let user = ["kubeconfig", "user", "--client-name", "jane", "--config", &config];
    kubekeel(&root, &user).succeeds();
    for path in [format!("{PKI}/ca.crt"), format!("{PKI}/ca.key")] {
        let whole = root.read(&path);
        let within = marrow(&whole);
        for at in [within.start + 12, within.start + within.len() / 2, within.end - 8] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for content in [&whole[..at], &flipped] {
                root.write(&path, content);
                let run = kubekeel(&root, &user).exits(2).says(&["hint:"]);
                assert!(run.stderr.contains(&path) && run.stdout.is_empty(), "{run:#?}");
            }
        }
        root.write(&path, &whole);
    }
}

/// A snapshot with one meta page (`src/etcd.rs` says what it is made of).
fn snapshot() -> Vec<u8> {
    let words = [0xED0C_DAED_u32, 2, 4096, 0].into_iter().flat_map(u32::to_le_bytes);
    let meta: Vec<u8> = words.chain([3_u64, 0, 2, 4, 7].into_iter().flat_map(u64::to_le_bytes)).collect();
    let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    let sum = meta.iter().fold(0xCBF2_9CE4_8422_2325, fold);
    let mut bytes = [vec![0; 16], meta, sum.to_le_bytes().to_vec(), b"the rest".to_vec()].concat();
    bytes.extend_from_slice(&Sha256::digest(&bytes));
    bytes
}

#[test]
fn a_damaged_snapshot_is_named_at_every_length() {
    let root = Root::new();
    let (path, whole) = ("/etcd.db", snapshot());
    root.write(path, &whole);
    let verify = || kubekeel(&root, &["etcd", "snapshot", "verify", path]);
    verify().succeeds();
    // How far it is is told meanwhile, and the findings at the end.
    let told = kubekeel(&root, &["etcd", "snapshot", "verify", path, "-o", "json"]).succeeds().stdout;
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bytes = |done: usize| json!({"event": "bytes", "text": "verify /etcd.db", "done": done, "total": whole.len()});
    assert_eq!(told[..2], [bytes(0), bytes(whole.len())]);
    assert_eq!(told[2]["findings"]["size"], whole.len());
    for (what, content) in damage(&whole, 1, 13) {
        root.write(path, content);
        let before = root.tree();
        let run = verify();
        assert_eq!(run.code, Some(3), "{what}: {run:#?}");
        run.says(&["/etcd.db is no snapshot of etcd", "kubekeel etcd snapshot list"]);
        assert_same(&before, &root.tree());
    }
}
