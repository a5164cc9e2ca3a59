//! Taking a control plane over as it runs: nothing of it changes, it is proven, and from then on it is a generation.

use super::generations::Generations;
use crate::config::{Config, Input};
use crate::error::{Error, Kind, Problem, Result};
use crate::event::Reporter;
use crate::host::fs::{Files, Publish};
use crate::host::signal::Interrupt;
use crate::layout;
use crate::manifest::{self, Component};
use crate::observed::PodRun;
use crate::plan::{Inventory, Snapshot};
use crate::prove::Prover;
use serde_json::Value;
use zeroize::Zeroizing;

/// The inventory of a node whose control plane somebody else made: every file of it, and for each static pod what
/// identifies the one that runs. The error names the pods that do not run.
pub fn inventory(seen: &Snapshot) -> Result<Inventory> {
    let mut inventory = seen.inventory.clone();
    for (path, state) in &seen.files {
        if state.digest.is_empty() {
            inventory.claim(path);
        } else {
            inventory.record(path, state.digest.clone());
        }
    }
    let mut problems = vec![];
    for component in Component::ALL {
        let path = component.path();
        let Some(state) = seen.files.get(&path) else { continue };
        let alive: Vec<&PodRun> = seen.alive(component).collect();
        match alive.as_slice() {
            [run] => inventory.record_pod(&path, state.digest.clone(), run.digest.clone()),
            [] => problems.push(Problem::new(component.name(), "it does not run")),
            _ => problems.push(Problem::new(component.name(), "more than one pod of it runs")),
        }
    }
    if problems.is_empty() {
        return Ok(inventory);
    }
    Err(Error::problems(
        Kind::Preflight,
        "only a control plane that runs can be adopted; nothing was changed",
        problems,
    ))
}

/// Proves what runs and keeps it as a generation; gives its number.
pub async fn adopt(
    input: &Input,
    config: &Config,
    inventory: &Inventory,
    files: &Files,
    interrupt: &Interrupt,
    reporter: &mut dyn Reporter,
) -> Result<u32> {
    let components: Vec<_> = Component::ALL.into_iter().filter(|component| inventory.owns(&component.path())).collect();
    let mut prover = Prover::new(config, files, interrupt, reporter);
    prover.digests.extend(inventory.adopted_pods());
    prover.prove(&components).await?;
    runs_its_file(&mut prover, &components).await?;
    let unwritten = |error| Error::new(Kind::Step, "cannot keep the inventory").because(&error);
    files.ensure_directory(layout::STATE, 0o700).map_err(unwritten)?;
    let content = Zeroizing::new(inventory.to_bytes());
    let file = Publish { path: layout::INVENTORY.into(), content, mode: 0o600, replace: true };
    files.publish(&[file]).map_err(unwritten)?;
    Generations::new(files).commit("adopt", input)
}

/// The kubelet's hash ties a mirror pod to a sandbox, but not to a file: the mirror pod has to say what the file says.
async fn runs_its_file(prover: &mut Prover<'_>, components: &[Component]) -> Result<()> {
    let api = prover.api().await?;
    let node = prover.config.node.name.clone();
    let mut problems = vec![];
    for component in components {
        let fail = |error: &(dyn std::error::Error + 'static)| {
            Error::new(Kind::Step, format!("cannot compare {component} with its manifest")).because(error)
        };
        let bytes = prover.files.read(&component.path()).map_err(|error| fail(&error))?.unwrap_or_default();
        let read = manifest::read(&String::from_utf8_lossy(&bytes)).map_err(|error| fail(&error))?;
        let mirror = api.mirror_pod(&node, component.name()).await.map_err(|error| fail(&error))?;
        if !covers(&mirror["spec"], &read.pod["spec"]) {
            problems.push(
                Problem::new(component.path(), "the pod that runs is not what the file says")
                    .hint("restart the kubelet, and wait until it runs the file"),
            );
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::problems(Kind::Preflight, "what runs is not what the manifests say; nothing was changed", problems))
}

/// Whether an object has everything that another one says; what the API server or the kubelet added is beside the point.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            let says = |(name, part): (&String, &Value)| whole.get(name).is_some_and(|whole| covers(whole, part));
            part.iter().filter(|(_, part)| !part.is_null()).all(says)
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| covers(whole, part))
        }
        _ => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::covers;

    #[test]
    fn what_was_added_does_not_matter_and_what_differs_does() {
        let file = json!({"containers": [{"image": "a", "command": ["x"]}], "priority": 1, "nothing": null});
        let mut mirror = json!({
            "containers": [{"image": "a", "command": ["x"], "terminationMessagePath": "/dev/termination-log"}],
            "priority": 1, "tolerations": [{"operator": "Exists"}],
        });
        assert!(covers(&mirror, &file));
        mirror["containers"][0]["image"] = json!("b");
        assert!(!covers(&mirror, &file));
        assert!(!covers(&json!({}), &file));
    }
}
