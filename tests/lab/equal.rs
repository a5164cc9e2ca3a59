//! Generated configurations: what the real kubeadm makes of each equals what we make.
//!
//! Compared are the parsed static pods, the kubelet's files, the kubeconfigs and the certificates; differences that are
//! meant are those of `tests/data/intended-differences.yaml`. The generator is deterministic: a failure comes back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use kubekeel::cluster;
use kubekeel::config::{self, Config, Facts, Overrides, Source};
use kubekeel::kubeconfig;
use kubekeel::layout::HOST_CA_DIRECTORIES;
use kubekeel::manifest::{Component, NodeInputs, components, render};
use kubekeel::pki::{Certificate, CertificateId, Issuer, Key, KubeconfigId, Profile, client_profile, issue, profile};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::difference::{Intended, differences, intended, meaningful};

mod generated;

const CONFIGURATIONS: usize = 320;

/// Everything after what is compared speaks to a cluster.
const SKIPPED: &str = "preflight,wait-control-plane,upload-config,upload-certs,mark-control-plane,bootstrap-token,\
                       kubelet-finalize,addon,show-join-command";

#[test]
fn kubeadm_makes_the_same_of_generated_configurations() {
    let strategy = generated::configuration();
    let mut runner = TestRunner::deterministic();
    let texts: Vec<String> = (0..CONFIGURATIONS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let table = intended();
    let compare = |(text, found): (&String, Vec<String>)| (!found.is_empty()).then(|| format!("{found:#?}\n{text}"));
    let wrong: Vec<String> = thread::scope(|scope| {
        let halves = texts.chunks(CONFIGURATIONS.div_ceil(2)).map(|half| {
            let table = &table;
            scope.spawn(move || half.iter().map(|text| (text, unintended(text, table))).filter_map(compare).collect())
        });
        let running: Vec<thread::ScopedJoinHandle<'_, Vec<String>>> = halves.collect();
        running.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    let first = wrong[..wrong.len().min(3)].join("\n");
    assert!(wrong.is_empty(), "{} of {CONFIGURATIONS} differ, the first three:\n{first}", wrong.len());
}

fn unintended(text: &str, table: &[Intended]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let facts = Facts { hostname: Some(hostname()), ..Facts::default() };
    let config = match config::load(Some(Source { name: "c.yaml", text }), &Overrides::default(), &facts) {
        Ok(config) => config,
        Err(error) => return error.problems.iter().map(|problem| format!("refused: {problem}")).collect(),
    };
    if let Err(said) = kubeadm(&config, text, directory.path()) {
        return vec![format!("kubeadm refuses: {said}")];
    }
    let made = Made(directory.path());
    let pods = components(&config).flat_map(|component| {
        let differ = differences(&made.tree(&format!("{component}.yaml")), &ours(component, &config, &made), "");
        let unintended = move |path: &String| !table.iter().any(|row| row.is_about(component.name(), path));
        differ.into_iter().filter(unintended).map(move |path| format!("{component}: {path}"))
    });
    let mut found: Vec<String> = pods.collect();
    if config.cluster.external_etcd.is_some() && directory.path().join("etcd.yaml").exists() {
        found.push("kubeadm makes an etcd".into());
    }
    found.extend(image_differences(&config, text, directory.path()));
    found.extend(kubelet_differences(&config, &made));
    let issuing = Issuing::new(&config);
    found.extend(certificate_differences(&config, &issuing, &made));
    found.extend(kubeconfig_differences(&config, &issuing, &made));
    found
}

/// What kubeadm wrote.
struct Made<'a>(&'a Path);

impl Made<'_> {
    fn text(&self, file: &str) -> String {
        let path = self.0.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn tree(&self, file: &str) -> Value {
        serde_yaml::from_str(&self.text(file)).unwrap()
    }
}

fn kubeadm(config: &Config, text: &str, directory: &Path) -> Result<(), String> {
    let file = directory.join("kubekeel.yaml");
    std::fs::write(&file, text).unwrap();
    let args = ["init", "--dry-run", "--skip-phases", SKIPPED, "--config", file.to_str().unwrap()];
    run(config, directory, &args).map(drop)
}

/// What kubeadm prints.
fn run(config: &Config, directory: &Path, args: &[&str]) -> Result<String, String> {
    let binary = lab().join(format!("bin/1.{}/kubeadm", config.cluster.version.minor));
    // An empty environment: kubeadm would copy its proxy variables into the pods.
    let output = Command::new(&binary)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("KUBEADM_INIT_DRYRUN_DIR", directory)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; build the lab first", binary.display()));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn image_differences(config: &Config, text: &str, directory: &Path) -> Vec<String> {
    let file = directory.join("images.yaml");
    std::fs::write(&file, text).unwrap();
    let theirs = match run(config, directory, &["config", "images", "list", "--config", file.to_str().unwrap()]) {
        Ok(list) => list.lines().map(str::to_owned).collect::<Vec<_>>(),
        Err(said) => return vec![format!("kubeadm lists no images: {said}")],
    };
    let ours = cluster::images(config);
    if theirs == ours { vec![] } else { vec![format!("images: {theirs:?} are {ours:?}")] }
}

fn ours(component: Component, config: &Config, made: &Made<'_>) -> Value {
    // kubeadm mounted what this machine has.
    let api_server = made.text("kube-apiserver.yaml");
    let present = HOST_CA_DIRECTORIES.iter().filter(|path| api_server.contains(&format!("path: {path}\n")));
    let node = NodeInputs { ca_directories: present.map(|&path| path.into()).collect(), ..NodeInputs::default() };
    serde_yaml::from_str(&render(component, config, &node).unwrap().text).unwrap()
}

fn kubelet_differences(config: &Config, made: &Made<'_>) -> Vec<String> {
    let theirs = made.tree("config.yaml");
    let resolved = theirs["resolvConf"] == "/run/systemd/resolve/resolv.conf";
    let [ours, instance, flags] = kubekeel::kubelet::files(config, resolved).unwrap().try_into().unwrap();
    let parse = |text: &str| -> Value { serde_yaml::from_str(text).unwrap() };
    let mut found = differences(&meaningful(&theirs), &meaningful(&parse(&ours.text)), "kubelet");
    found.extend(differences(&made.tree("instance-config.yaml"), &parse(&instance.text), "instance"));
    let file = made.text("kubeadm-flags.env");
    found.extend((file != flags.text).then(|| format!("kubeadm-flags.env: {file} is {}", flags.text)));
    found
}

fn certificate_differences(config: &Config, issuing: &Issuing, made: &Made<'_>) -> Vec<String> {
    let external = config.cluster.external_etcd.is_some();
    let differ = CertificateId::ALL.into_iter().filter(|id| !(external && id.is_of_etcd())).map(|id| {
        let theirs = Certificate::parse(made.text(&format!("{}.crt", id.base())).as_bytes()).unwrap();
        differences(&facts(&theirs), &facts(&issuing.certificate(&profile(id, config))), id.name())
    });
    differ.flatten().collect()
}

fn kubeconfig_differences(config: &Config, issuing: &Issuing, made: &Made<'_>) -> Vec<String> {
    let mut found = vec![];
    for id in KubeconfigId::ALL {
        let theirs = kubeconfig::parse(made.text(id.file()).as_bytes()).unwrap();
        let (pem, key_pem) = (theirs.certificate_pem.unwrap(), theirs.key_pem.unwrap());
        let profile = client_profile(id, config);
        let client = Certificate::parse(pem.as_bytes()).unwrap();
        found.extend(differences(&facts(&client), &facts(&issuing.certificate(&profile)), id.name()));
        // With their key material in it, our document says what theirs says.
        let server = kubeconfig::server(id, config);
        let (name, user) = (&config.cluster.name, &profile.common_name);
        let ours = kubeconfig::render(name, &server, &theirs.ca_pem, user, &pem, &key_pem);
        let ours: Value = serde_yaml::from_str(std::str::from_utf8(ours.expose()).unwrap()).unwrap();
        found.extend(differences(&made.tree(id.file()), &ours, id.file()));
    }
    found
}

/// Our side of the certificates, with one key for all of them.
struct Issuing {
    key: Key,
    authorities: Vec<(CertificateId, Issuer)>,
    now: SystemTime,
}

impl Issuing {
    fn new(config: &Config) -> Self {
        let (key, now) = (Key::generate(config.cluster.key_algorithm).unwrap(), SystemTime::now());
        let authorities = CertificateId::ALL.into_iter().filter(|id| id.signer().is_none()).map(|id| {
            let pem = issue(&profile(id, config), &key, None, now).unwrap();
            let key = Key::from_pem(key.private_pem().expose()).unwrap();
            (id, Issuer::new(Certificate::parse(pem.as_bytes()).unwrap(), key).unwrap())
        });
        Self { authorities: authorities.collect(), key, now }
    }

    fn certificate(&self, profile: &Profile) -> Certificate {
        let issuer = self.authorities.iter().find(|(id, _)| Some(*id) == profile.signer).map(|(_, issuer)| issuer);
        Certificate::parse(issue(profile, &self.key, issuer, self.now).unwrap().as_bytes()).unwrap()
    }
}

/// What a certificate says, but for its serial number, its key and the second in which it was made.
fn facts(certificate: &Certificate) -> Value {
    let (_, parsed) = X509Certificate::from_der(&certificate.der).unwrap();
    let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let mut sans: Vec<String> = certificate.sans.iter().map(|san| format!("{san:?}")).collect();
    sans.sort();
    let extensions = parsed.extensions().iter().map(|extension| (extension.oid.to_id_string(), extension.critical));
    // Key identifiers differ from key to key, and kubeadm's leaves have none of their own (RFC 5280 only recommends it).
    let mut extensions: Vec<_> = extensions.filter(|(oid, _)| oid != "2.5.29.14" && oid != "2.5.29.35").collect();
    extensions.sort();
    json!({
        "subject": parsed.subject().to_string(),
        "issuer": parsed.issuer().to_string(),
        "sans": sans,
        "usages": format!("{:?}", certificate.usages),
        "keyUsage": parsed.key_usage().unwrap().map(|usage| usage.value.flags),
        "ca": certificate.is_ca,
        "extensions": extensions,
        // The length tells the algorithm and its size.
        "publicKey": certificate.spki.len(),
        "signature": parsed.signature_algorithm.algorithm.to_id_string(),
        "hoursFromNow": (certificate.not_after - now + 1800).div_euclid(3600),
        "begun": certificate.not_before <= now,
    })
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

fn lab() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache"));
    set("KUBEKEEL_LAB").unwrap_or_else(|| cache().join("kubekeel/lab"))
}
