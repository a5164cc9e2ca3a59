//! The node's generations on disk.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::restore::EtcdData;
use crate::config::Input;
use crate::error::{Error, Kind, Result};
use crate::generation::{Generation, Saved};
use crate::host;
use crate::host::fs::{EntryKind, FileError, Files, Publish};
use crate::layout;
use crate::observe;
use crate::plan::Inventory;
use crate::sealed;
use crate::secret::Secret;

/// How many generations are kept.
const KEPT: usize = 10;
/// The version of `pending.json` that this program writes and reads.
const FORMAT: u32 = 1;

/// The node's generations.
#[derive(Debug, Clone)]
pub struct Generations<'a> {
    files: &'a Files,
}

/// A change that is being made, or was when the run died. Its record is [`sealed`]: a flipped bit must not put another
/// generation back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The generation that is put back if the change is not finished.
    pub from: u32,
    /// What makes the change.
    pub command: String,
    /// What etcd held, when the change puts something else in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_data: Option<EtcdData>,
    /// The snapshot of etcd that the change took before it replaced anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Members of etcd then; a snapshot is of all of them.
    #[serde(default)]
    pub members: usize,
    /// The snapshot that etcd gets when it has to go back to an older minor and cannot read what the newer one wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

fn path(number: u32) -> String {
    format!("{}/{number}.json", layout::GENERATIONS)
}

fn unwritten(error: &FileError) -> Error {
    Error::new(Kind::Step, "cannot keep the generation").because(error)
}

impl<'a> Generations<'a> {
    /// The generations of a node.
    pub fn new(files: &'a Files) -> Self {
        Self { files }
    }

    /// The numbers that there are, oldest first.
    pub fn numbers(&self) -> Result<Vec<u32>> {
        let names = self
            .files
            .list(layout::GENERATIONS)
            .map_err(|error| Error::new(Kind::Preflight, "cannot read the generations").because(&error))?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// One generation.
    pub fn load(&self, number: u32) -> Result<Generation> {
        let path = path(number);
        let unread = |reason: &str| {
            Error::new(Kind::Preflight, format!("{path} is unreadable{reason}"))
                .hint("nothing was changed; `kubekeel history` lists the others")
        };
        let bytes = self.files.read(&path).map_err(|error| unread("").because(&error))?;
        let Some(bytes) = bytes else {
            let known: Vec<_> = self.numbers()?.iter().map(ToString::to_string).collect();
            return Err(Error::new(Kind::Configuration, format!("there is no generation {number}"))
                .hint(format!("there are: {}", if known.is_empty() { "none".into() } else { known.join(", ") })));
        };
        match Generation::parse(&bytes) {
            Ok(generation) if generation.number == number => Ok(generation),
            Ok(generation) => Err(unread(&format!(": it is generation {}", generation.number))),
            Err(error) => Err(unread(&format!(": {error}"))),
        }
    }

    /// The generation that was proven last.
    pub fn newest(&self) -> Result<Option<Generation>> {
        self.numbers()?.last().map(|number| self.load(*number)).transpose()
    }

    /// Keeps what is on disk as a new generation, unless the newest one is the same; gives its number.
    pub fn commit(&self, command: &str, input: &Input) -> Result<u32> {
        let config = input.config()?;
        let numbers = self.numbers()?;
        let last = numbers.last().copied().unwrap_or(0);
        let since = host::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (inventory, paths) = (observe::inventory(self.files)?, observe::paths(&config).map(|(path, _)| path));
        let generation = Generation {
            number: last + 1,
            proven: since.as_secs(),
            command: command.to_owned(),
            version: config.cluster.version.to_string(),
            input: input.clone(),
            files: self.capture(paths, &inventory).map_err(|error| unwritten(&error))?,
        };
        // One that cannot be read is no reason not to keep this one.
        if self.newest().ok().flatten().is_some_and(|newest| newest.is_same(&generation)) {
            return Ok(last);
        }
        self.files.ensure_directory(layout::GENERATIONS, 0o700).map_err(|error| unwritten(&error))?;
        self.publish(&path(generation.number), generation.to_bytes())?;
        let surplus = (numbers.len() + 1).saturating_sub(KEPT);
        for number in &numbers[..surplus] {
            self.files.remove(&path(*number)).map_err(|error| unwritten(&error))?;
        }
        Ok(generation.number)
    }

    fn capture(
        &self,
        paths: impl Iterator<Item = String>,
        inventory: &Inventory,
    ) -> Result<BTreeMap<String, Saved>, FileError> {
        let mut saved = BTreeMap::new();
        for path in paths {
            let Some(status) = self.files.status(&path)?.filter(|status| status.kind == EntryKind::File) else {
                continue;
            };
            if let Some(bytes) = self.files.read(&path)? {
                let pod = inventory.adopted(&path, &observe::sha256(&bytes)).map(str::to_owned);
                saved.insert(path, Saved { mode: status.mode, content: Secret::new(bytes.to_vec()), pod });
            }
        }
        Ok(saved)
    }

    /// The change that was not finished, if there is one.
    pub fn pending(&self) -> Result<Option<Pending>> {
        let unread = |reason: &str| {
            Error::new(Kind::Preflight, format!("{} is unreadable{reason}", layout::PENDING)).hint(
                "a change was not finished: see `kubekeel history`, and put the generation that ran before it back with \
                 `kubekeel rollback NUMBER`",
            )
        };
        let bytes = self.files.read(layout::PENDING).map_err(|error| unread("").because(&error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let content = sealed::unseal(FORMAT, &bytes).map_err(|why| unread(&format!(": {why}")))?;
        serde_json::from_slice(content).map(Some).map_err(|error| unread("").because(&error))
    }

    /// Records that a change begins.
    pub fn begin(&self, pending: &Pending) -> Result<()> {
        // Plain fields cannot fail to serialise.
        self.publish(layout::PENDING, sealed::seal(FORMAT, &serde_json::to_vec(pending).unwrap_or_default()))
    }

    /// Records that it ended, whichever way.
    pub fn end(&self) -> Result<()> {
        self.files.remove(layout::PENDING).map_err(|error| unwritten(&error))
    }

    fn publish(&self, path: &str, content: Zeroizing<Vec<u8>>) -> Result<()> {
        let file = Publish { path: path.to_owned(), content, mode: 0o600, replace: true };
        self.files.publish(&[file]).map_err(|error| unwritten(&error))
    }
}
