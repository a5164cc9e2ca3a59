//! Whether a configuration file is accepted: kubeadm's verdict and ours, file by file.
//!
//! `tests/data/verdict/regenerate.sh` asks the real kubeadm of two minors. Where ours differs, the file stands in
//! `tests/data/intended-verdicts.yaml` with the reason; a row that no longer differs fails too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use kubekeel::config::{self, Facts, Overrides, Source};
use serde_json::Value;

/// A row for each file, a column for the kubeadm of each minor, the older first.
const KUBEADM: &str = include_str!("../data/verdict/kubeadm.tsv");
const INTENDED: &str = include_str!("../data/intended-verdicts.yaml");

#[derive(serde::Deserialize)]
struct Intended {
    why: String,
    files: Vec<String>,
}

#[test]
fn files_that_kubeadm_accepts_are_accepted_and_those_it_refuses_are_refused() {
    let theirs = theirs();
    let intended: Vec<Intended> = serde_yaml::from_str(INTENDED).unwrap();
    assert!(intended.iter().all(|row| !row.why.is_empty()));
    let rows: Vec<&str> = intended.iter().flat_map(|row| &row.files).map(String::as_str).collect();
    let listed: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(rows.len(), listed.len(), "a file is listed twice");
    let verdicts = theirs.iter().map(|(file, theirs)| (*file, *theirs, ours(file)));
    let differ: BTreeMap<&str, String> = verdicts
        .filter(|(_, theirs, ours)| (*theirs == "accepted") != ours.is_ok())
        .map(|(file, theirs, ours)| (file, format!("kubeadm: {theirs}; ours: {}", ours.err().unwrap_or_default())))
        .collect();
    let unintended: Vec<_> = differ.iter().filter(|(file, _)| !listed.contains(*file)).collect();
    assert!(unintended.is_empty(), "{unintended:#?}");
    let settled: Vec<_> = listed.iter().filter(|file| !differ.contains_key(*file)).collect();
    assert!(settled.is_empty(), "no difference any more: {settled:?}");
}

#[test]
fn every_file_has_a_verdict_and_both_verdicts_are_well_represented() {
    let theirs = theirs();
    let names = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "yaml")).collect();
    assert_eq!(files, theirs.keys().map(|file| (*file).to_owned()).collect());
    let accepted = theirs.values().filter(|verdict| **verdict == "accepted").count();
    assert!(accepted >= 60 && theirs.len() - accepted >= 60, "{accepted} of {}", theirs.len());
}

#[test]
fn the_schema_for_editors_takes_what_kubeadm_takes_and_no_unknown_field() {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("schema.json", config::schema()).unwrap();
    let schema = compiler.compile("schema.json", &mut schemas).unwrap();
    let mut judged = BTreeMap::from([(true, 0), (false, 0)]);
    for (file, theirs) in theirs() {
        let theirs = match theirs {
            "accepted" => true,
            refusal if refusal.contains("unknown field") => false,
            _ => continue,
        };
        // What belongs to another version is told by its first line, which an editor goes by.
        if text(file).contains("kubeadm.k8s.io/v1beta3") || ours(file).is_err() && theirs {
            continue;
        }
        let documents: Vec<Value> = serde_yaml::from_multiple(&text(file)).unwrap();
        let wrong: Vec<_> = documents
            .iter()
            .filter_map(|document| schemas.validate(document, schema).err().map(|error| error.to_string()))
            .collect();
        assert_eq!(wrong.is_empty(), theirs, "{file}: {wrong:?}");
        *judged.entry(theirs).or_default() += 1;
    }
    assert!(judged[&true] >= 60 && judged[&false] >= 6, "{judged:?}");
}

/// What the kubeadm says that belongs to the version in the file; without one, the newest.
fn theirs() -> BTreeMap<&'static str, &'static str> {
    let rows = KUBEADM.lines().skip(1).map(|row| row.split('\t').collect::<Vec<_>>());
    rows.map(|row| {
        let [file, of_1_36, of_1_37] = row[..] else { panic!("{row:?}") };
        (file, if text(file).contains("kubernetesVersion: v1.36.") { of_1_36 } else { of_1_37 })
    })
    .collect()
}

/// All that we find wrong, on a host from which nothing is missing.
fn ours(file: &str) -> Result<(), String> {
    let text = text(file);
    let facts = Facts {
        hostname: Some("n1".into()),
        default_address: Some(IpAddr::from([192, 0, 2, 1])),
        cri_sockets: vec![],
        kubelet_version: None,
    };
    config::judge(Source { name: file, text: &text }, &Overrides::default(), &facts).map(drop).map_err(|error| {
        let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    })
}

fn text(file: &str) -> String {
    fs::read_to_string(directory().join(file)).unwrap()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/verdict")
}
