//! An archive for a bug report: what was found and what it was found in, and not a single secret.

use std::time::SystemTime;

use serde_json::Value;

use super::{Cause, Exam, Redactor};
use crate::apply::Generations;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::host::fs::Files;
use crate::host::{self, checkup};
use crate::kubeconfig;
use crate::layout;
use crate::manifest::{self, Component};
use crate::observe;
use crate::pki::KubeconfigId;

/// How much of a log is taken.
const LOG_BYTES: u64 = 256 << 10;

/// What is asked of the machine: name in the archive, program, arguments.
const QUESTIONS: [(&str, &str, &[&str]); 9] = [
    ("journal/kubelet", "journalctl", &["-u", "kubelet", "-n", "2000", "--no-pager", "-o", "short-iso"]),
    (
        "journal/containerd",
        "journalctl",
        &["-u", "containerd", "-u", "crio", "-n", "1000", "--no-pager", "-o", "short-iso"],
    ),
    ("journal/kubekeel", "journalctl", &["-u", "kubekeel-watchdog", "-n", "500", "--no-pager", "-o", "short-iso"]),
    ("machine/units", "systemctl", &["status", "kubelet", "containerd", "crio", "kubekeel-watchdog", "--no-pager"]),
    ("machine/routes", "ip", &["route", "show", "table", "all"]),
    ("machine/addresses", "ip", &["address", "show"]),
    ("machine/mounts", "cat", &["/proc/self/mountinfo"]),
    ("machine/disks", "df", &["-k"]),
    ("machine/kernel", "uname", &["-a"]),
];

/// Makes the archive, `tar.gz`.
pub async fn archive(exam: &Exam, causes: &[Cause], config: &Config, files: &Files) -> Result<Vec<u8>> {
    let redactor = redactor(config, files);
    let mut entries: Vec<(String, String)> = vec![];
    let json = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    entries.push(("doctor.json".into(), json(&serde_json::to_value(causes).unwrap_or_default())));
    entries.push(("status.json".into(), json(&serde_json::to_value(&exam.status).unwrap_or_default())));
    entries.push(("version".into(), env!("CARGO_PKG_VERSION").into()));
    for path in [
        layout::INVENTORY,
        layout::PENDING,
        layout::KUBELET_CONFIG,
        layout::KUBELET_INSTANCE_CONFIG,
        layout::KUBELET_FLAGS,
    ] {
        if let Ok(Some(bytes)) = files.read(path) {
            entries.push((format!("files{path}"), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    for component in Component::ALL {
        if let Ok(Some(bytes)) = files.read(&component.path()) {
            entries.push((format!("files{}", component.path()), without_environment(&String::from_utf8_lossy(&bytes))));
        }
    }
    for run in exam.view.pods.iter().flatten() {
        for container in run.containers.iter().filter(|container| !container.log_path.is_empty()) {
            if let Some(bytes) = checkup::tail(&container.log_path, LOG_BYTES) {
                let name = format!("logs/{}-{}.log", run.name, container.attempt);
                entries.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    for (name, program, arguments) in QUESTIONS {
        let said = checkup::say(program, arguments).await;
        entries.push((name.into(), String::from_utf8_lossy(&said).into_owned()));
    }
    let now = host::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut bytes = vec![];
    for (name, text) in entries {
        append(&mut bytes, &format!("kubekeel-doctor/{name}"), redactor.redact(&text).as_bytes(), now);
    }
    bytes.extend([0; 1024]);
    let fail = |error: std::io::Error| Error::new(Kind::Step, "cannot compress the bundle").because(&error);
    checkup::gzip(&bytes).await.map_err(fail)
}

/// Everything on the node that is secret.
fn redactor(config: &Config, files: &Files) -> Redactor {
    let mut redactor = Redactor::default();
    let secret = observe::paths(config).filter(|(path, is_open)| !is_open && path.rsplit('.').next() == Some("key"));
    for path in secret
        .map(|(path, _)| path)
        .chain([layout::KUBELET_CLIENT.into(), format!("{}/pki/kubelet.key", layout::KUBELET)])
    {
        if let Ok(Some(bytes)) = files.read(&path) {
            redactor.learn(&bytes);
        }
    }
    for id in KubeconfigId::ALL {
        let bytes = files.read(&layout::kubeconfig(id.file())).ok().flatten();
        let key = bytes.and_then(|bytes| kubeconfig::parse(&bytes).ok()).and_then(|parsed| parsed.key_pem);
        if let Some(key) = key {
            redactor.learn(key.expose());
        }
    }
    // The configuration may hold the tokens and the certificate key that it was made with.
    if let Ok(Some(generation)) = Generations::new(files).newest()
        && let Ok(config) = generation.input.config()
    {
        for token in config.bootstrap_tokens.iter().filter_map(|token| token.token.as_ref()) {
            redactor.learn(token.expose().as_bytes());
            redactor.learn(token.secret().as_bytes());
        }
        if let Some(key) = &config.certificate_key {
            redactor.learn(key.expose().as_bytes());
        }
    }
    redactor
}

/// A manifest as JSON whose variables have no values: nobody knows what somebody put there.
fn without_environment(text: &str) -> String {
    let Ok(manifest::Read { mut pod, .. }) = manifest::read(text) else {
        return "it cannot be read, so it is left out".into();
    };
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in pod.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let variables = container.get_mut("env").and_then(Value::as_array_mut);
            for variable in variables.into_iter().flatten().filter_map(Value::as_object_mut) {
                variable.insert("value".into(), "[redacted]".into());
            }
        }
    }
    serde_json::to_string_pretty(&pod).unwrap_or_default()
}

/// A file in the format of POSIX.1-1988 (ustar).
fn append(archive: &mut Vec<u8>, name: &str, content: &[u8], modified: u64) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| {
        for (place, byte) in header[at..].iter_mut().zip(text.bytes()) {
            *place = byte;
        }
    };
    put(0, &name.chars().take(99).collect::<String>());
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, &format!("{modified:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in header[148..].iter_mut().zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    archive.extend(header);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}
