//! Patches of what is rendered, with kubeadm's file names and types (`util/patches/patches.go`).
//!
//! A patch file is named `target[suffix][+type].json` or `.yaml` and holds one or more documents. What kubeadm ignores
//! with a line of output, a name that is no patch, is a problem here: a mistyped name is a patch that is missing.

mod difference;
mod schema;
mod strategic;
mod trial;

use std::fmt;

use serde_json::{Map, Value};

use crate::config::{Source, trees};
use crate::error::{Problem, Result};
use crate::manifest::Component;

pub use difference::{difference, equal};
pub(crate) use trial::{add, refusal};

/// What can be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A static pod.
    StaticPod(Component),
    /// The kubelet's `config.yaml`.
    KubeletConfiguration,
    /// The Deployment of CoreDNS.
    CoreDnsDeployment,
    /// The `DaemonSet` of kube-proxy.
    KubeProxyDaemonSet,
}

impl Target {
    /// All of them. No name is the beginning of another one.
    pub const ALL: [Self; 7] = [
        Self::StaticPod(Component::Etcd),
        Self::StaticPod(Component::ApiServer),
        Self::StaticPod(Component::ControllerManager),
        Self::StaticPod(Component::Scheduler),
        Self::KubeletConfiguration,
        Self::CoreDnsDeployment,
        Self::KubeProxyDaemonSet,
    ];

    /// The beginning of the names of its patches.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaticPod(component) => component.name(),
            Self::KubeletConfiguration => "kubeletconfiguration",
            Self::CoreDnsDeployment => "corednsdeployment",
            Self::KubeProxyDaemonSet => "kubeproxydaemonset",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a patch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// Kubernetes' strategic merge patch; the default.
    Strategic,
    /// JSON merge patch, RFC 7386.
    Merge,
    /// JSON patch, RFC 6902.
    Json,
}

/// One document of a patch file, read.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Strategic(Map<String, Value>),
    Merge(Value),
    Json(json_patch::Patch),
}

#[derive(Debug, Clone, PartialEq)]
struct Patch {
    target: Target,
    /// The path of its file, for problems.
    file: String,
    change: Change,
}

/// All patches of a directory, in the order in which they apply: by file name, then as in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patches(Vec<Patch>);

impl Patches {
    /// Reads patch files, named by their paths. A target of which a file is wrong has no patches left, because what
    /// the others make without it says nothing.
    pub fn read(files: &[Source<'_>]) -> (Self, Vec<Problem>) {
        let mut files: Vec<_> = files.iter().map(|file| (base_name(file.name), file)).collect();
        files.sort_by_key(|(name, _)| *name);
        let (mut patches, mut problems, mut wrong) = (vec![], vec![], vec![]);
        for (name, file) in files {
            let (target, patch_type) = match parse_name(name) {
                Ok(parsed) => parsed,
                Err(message) => {
                    problems.push(Problem::new(file.name, message).hint(NAME_HINT));
                    continue;
                }
            };
            match read_documents(*file, patch_type) {
                Ok(changes) => {
                    let file = file.name;
                    patches.extend(changes.into_iter().map(|change| Patch { target, file: file.to_owned(), change }));
                }
                Err(found) => {
                    problems.extend(found);
                    wrong.push(target);
                }
            }
        }
        patches.retain(|patch| !wrong.contains(&patch.target));
        (Self(patches), problems)
    }

    /// The files with patches for a target.
    pub fn files(&self, target: Target) -> Vec<&str> {
        let mut files: Vec<_> = self.of(target).map(|patch| patch.file.as_str()).collect();
        files.dedup();
        files
    }

    /// Whether a target has none.
    pub fn is_empty(&self, target: Target) -> bool {
        self.of(target).next().is_none()
    }

    /// What the patches of a target make of it; the problem names the file of the first one that does not apply.
    /// Members that are `null` in the end are left out: Kubernetes reads both alike.
    pub fn apply(&self, target: Target, mut object: Value) -> Result<Value, Problem> {
        for Patch { file, change, .. } in self.of(target) {
            let fail = |why: String| Problem::new(file, format!("the patch does not apply to {target}: {why}"));
            object = apply(change, object, target).map_err(fail)?;
        }
        drop_nulls(&mut object);
        Ok(object)
    }

    fn of(&self, target: Target) -> impl Iterator<Item = &Patch> {
        self.0.iter().filter(move |patch| patch.target == target)
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const NAME_HINT: &str = "name it <target>[suffix][+strategic|+merge|+json].yaml or .json, or move it away";

/// Target and type of a patch, from the name of its file. A suffix has neither `.` nor `+`.
pub fn parse_name(name: &str) -> Result<(Target, PatchType), String> {
    let Some((stem, "json" | "yaml")) = name.rsplit_once('.') else {
        return Err("the name of a patch ends in .json or .yaml".into());
    };
    let Some(target) = Target::ALL.into_iter().find(|target| stem.starts_with(target.name())) else {
        let known = Target::ALL.map(Target::name).join(", ");
        return Err(format!("the name of a patch begins with what it patches: {known}"));
    };
    let patch_type = match stem.split_once('+').map(|(_, patch_type)| patch_type) {
        None | Some("strategic") => PatchType::Strategic,
        Some("merge") => PatchType::Merge,
        Some("json") => PatchType::Json,
        Some(other) => return Err(format!("{other:?} is not a type of patch: strategic, merge or json")),
    };
    if stem.split('+').next().is_some_and(|named| named.contains('.')) {
        return Err("there is a dot before the extension, and kubeadm takes all behind it for the extension".into());
    }
    Ok((target, patch_type))
}

fn read_documents(file: Source<'_>, patch_type: PatchType) -> Result<Vec<Change>, Vec<Problem>> {
    let fail = |message: String| vec![Problem::new(file.name, message)];
    trees(file)?.into_iter().map(|document| read_change(document, patch_type).map_err(fail)).collect()
}

fn read_change(document: Value, patch_type: PatchType) -> Result<Change, String> {
    match (patch_type, document) {
        (PatchType::Strategic, Value::Object(members)) => Ok(Change::Strategic(members)),
        (PatchType::Merge, document @ Value::Object(_)) => Ok(Change::Merge(document)),
        (PatchType::Strategic | PatchType::Merge, _) => {
            Err("a strategic or a merge patch is a map; a list of operations is a patch of the type json".into())
        }
        (PatchType::Json, document @ Value::Array(_)) => serde_json::from_value(document)
            .map(Change::Json)
            .map_err(|error| format!("not a list of operations of RFC 6902: {error}")),
        (PatchType::Json, _) => Err("a patch of the type json is a list of operations".into()),
    }
}

fn apply(change: &Change, mut object: Value, target: Target) -> Result<Value, String> {
    match change {
        Change::Strategic(patch) => {
            let Value::Object(members) = object else { return Err("only a map can be patched".into()) };
            return strategic::merge(members, patch.clone(), schema::of(target)).map(Value::Object);
        }
        Change::Merge(patch) => json_patch::merge(&mut object, patch),
        Change::Json(operations) => json_patch::patch(&mut object, operations).map_err(|error| error.to_string())?,
    }
    Ok(object)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
