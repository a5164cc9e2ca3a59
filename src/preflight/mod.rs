//! Preflight: is the node fit? A table of pure checks over one look at the machine; all findings are reported at once.

mod checks;
mod external_etcd;
mod health;

pub use health::health;

use crate::config::{Config, NodeRegistration, PullPolicy};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::{Event, Reporter};
use crate::host;
use crate::host::cri::{Cri, Runtime};
use crate::host::fs::Files;
use crate::host::machine::{self, Machine};
use crate::host::ports::{self, Listener};
use crate::host::signal::Interrupt;
use crate::layout;
use crate::manifest;
use crate::plan::Snapshot;
use crate::release::Version;

/// What the checks look at.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What the plan looks at.
    pub seen: &'a Snapshot,
    /// Processors, memory, kernel.
    pub machine: Machine,
    /// Listening sockets.
    pub listeners: Vec<Listener>,
    /// The container runtime, or why it does not answer.
    pub runtime: Result<RuntimeState, String>,
    /// The installed kubelet.
    pub kubelet_version: Option<Version>,
    /// Directories that cannot be written, with the reason.
    pub unwritable: Vec<(String, String)>,
    /// Free bytes of the file systems that are written to.
    pub free: Vec<(String, u64)>,
    /// Whether the data directory of a local etcd holds anything.
    pub etcd_data: bool,
    /// The members of an external etcd by their URLs, with their versions, or why they do not answer.
    pub external_etcd: Vec<(String, Result<String, String>)>,
}

impl Inputs<'_> {
    /// Images that the runtime does not have; none when it does not answer.
    pub fn missing_images(&self) -> Vec<String> {
        self.runtime.as_ref().map(|state| state.missing_images.clone()).unwrap_or_default()
    }
}

/// What the container runtime says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeState {
    /// Name and version.
    pub runtime: Runtime,
    /// Why it is not ready.
    pub not_ready: Option<String>,
    /// Its cgroup driver, when it tells.
    pub cgroup_driver: Option<&'static str>,
    /// Images that are missing.
    pub missing_images: Vec<String>,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Told, and the run goes on.
    Warning,
    /// The run stops, unless the check is ignored by name.
    Error,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name as `--ignore-preflight-errors` takes it.
    pub check: String,
    /// Its weight.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Gathers the inputs.
pub async fn look<'a>(
    config: &'a Config,
    seen: &'a Snapshot,
    files: &Files,
    kubelet_version: Option<Version>,
) -> Inputs<'a> {
    let is_local = config.cluster.external_etcd.is_none();
    let mut paths = vec![layout::KUBERNETES, layout::KUBELET, layout::STATE];
    paths.extend(is_local.then_some(config.cluster.etcd.data_dir.as_str()));
    let unwritable = paths.iter().filter_map(|path| {
        use std::error::Error as _;
        let error = files.probe_writable(&format!("{path}/x")).err()?;
        Some(((*path).to_owned(), error.source().map_or_else(|| error.to_string(), ToString::to_string)))
    });
    let free = paths.iter().filter_map(|path| Some(((*path).to_owned(), files.free_bytes(path).ok()?)));
    Inputs {
        config,
        seen,
        machine: machine::read(),
        listeners: ports::listeners(),
        runtime: runtime(config).await,
        kubelet_version,
        unwritable: unwritable.collect(),
        free: free.collect(),
        external_etcd: external_etcd::look(config, files).await,
        etcd_data: is_local && files.list(&config.cluster.etcd.data_dir).is_ok_and(|names| !names.is_empty()),
    }
}

async fn runtime(config: &Config) -> Result<RuntimeState, String> {
    let word = |error: crate::host::cri::CriError| error.to_string();
    let cri = Cri::connect(&config.node.cri_socket).await.map_err(word)?;
    let runtime = cri.version().await.map_err(word)?;
    let mut missing_images = vec![];
    for image in manifest::images(config) {
        if config.node.image_pull_policy == PullPolicy::Always || !cri.has_image(&image).await.map_err(word)? {
            missing_images.push(image);
        }
    }
    Ok(RuntimeState {
        runtime,
        not_ready: cri.not_ready().await.map_err(word)?,
        cgroup_driver: cri.cgroup_driver().await,
        missing_images,
    })
}

/// Runs every check, tells the warnings, and fails with all errors at once.
pub fn check(inputs: &Inputs<'_>, reporter: &mut dyn Reporter) -> Result<()> {
    let ignored = &inputs.config.node.ignore_preflight_errors;
    let mut errors = vec![];
    for finding in checks::CHECKS.iter().flat_map(|check| check(inputs)) {
        let name = finding.check.to_lowercase();
        let problem = Problem::new(finding.check, finding.message).hint(finding.hint);
        let is_ignored = ignored.iter().any(|ignored| *ignored == "all" || *ignored == name);
        if finding.severity == Severity::Warning || is_ignored {
            reporter.event(&Event::Warning { problem });
        } else {
            errors.push(problem);
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::problems(Kind::Preflight, "the node is not fit; nothing was changed", errors)
        .hint("a check that you know better can be ignored with --ignore-preflight-errors=<name>"))
}

/// Pulls the images that are missing, several at once unless the configuration asks for one after another.
pub async fn pull(inputs: &Inputs<'_>, interrupt: &Interrupt, reporter: &mut dyn Reporter) -> Result<()> {
    let Ok(state) = &inputs.runtime else { return Ok(()) };
    pull_all(state.missing_images.clone(), &inputs.config.node, interrupt, reporter).await
}

/// Pulls images, as the node's configuration asks for.
pub async fn pull_all(
    images: Vec<String>,
    node: &NodeRegistration,
    interrupt: &Interrupt,
    reporter: &mut dyn Reporter,
) -> Result<()> {
    let total = images.len();
    if total == 0 || node.image_pull_policy == PullPolicy::Never {
        return Ok(());
    }
    let fail = |error: &dyn std::fmt::Display| Problem::new("ImagePull", error.to_string());
    let mut problems = vec![];
    let mut waiting = images.into_iter();
    let mut running = tokio::task::JoinSet::new();
    let parallel = if node.image_pull_serial { 1 } else { 4 };
    let mut done = 0;
    loop {
        interrupt.check()?;
        while running.len() < parallel
            && let Some(image) = waiting.next()
        {
            reporter.event(&Event::Work { text: format!("pull {image}"), done, total });
            let socket = node.cri_socket.clone();
            running.spawn(async move { pull_one(&socket, &image).await.map_err(|error| (image, error)) });
        }
        tokio::select! {
            finished = running.join_next() => match finished {
                None => break,
                Some(Ok(Ok(()))) => done += 1,
                Some(Ok(Err((image, error)))) => problems.push(
                    fail(&format!("cannot pull {image}: {}", error.message))
                        .hint(format!("load it into the runtime beforehand, for example `ctr -n k8s.io images import`, or correct imageRepository: {image}")),
                ),
                Some(Err(error)) => problems.push(fail(&error)),
            },
            () = host::sleep(std::time::Duration::from_millis(200)) => {}
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::problems(Kind::Preflight, "images are missing; nothing was changed", problems))
}

/// Pulls an image, and sees that the runtime has it under the name that the manifest says.
async fn pull_one(socket: &str, image: &str) -> Result<(), crate::host::cri::CriError> {
    let cri = Cri::connect(socket).await?;
    cri.pull_image(image).await?;
    if cri.has_image(image).await? {
        return Ok(());
    }
    let message = "the runtime says that it pulled the image, and does not have it".into();
    Err(crate::host::cri::CriError { call: "PullImage", socket: socket.to_owned(), message })
}
