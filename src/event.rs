//! What happens while a command runs, as one stream; reporters listen to it.

use std::time::Duration;

use serde::Serialize;

use crate::error::Problem;
use crate::manifest::Component;

/// Something that a reporter may tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A value of the configuration that was detected and not given.
    Detected {
        /// The field.
        field: String,
        /// Its value.
        value: String,
    },
    /// A finding that does not stop the run.
    Warning {
        /// The finding.
        problem: Problem,
    },
    /// A step begins.
    Step {
        /// From 1.
        number: usize,
        /// How many steps the plan has.
        total: usize,
        /// The step in words.
        text: String,
    },
    /// A static pod came further, or fell back.
    Pod(Progress),
    /// A long work of known size goes on (image pulls).
    Work {
        /// What is worked on.
        text: String,
        /// How much is done.
        done: usize,
        /// Of how much.
        total: usize,
    },
    /// A change did not succeed, and what ran before is put back.
    RollBack {
        /// The generation that is put back.
        generation: u32,
        /// Why.
        because: String,
    },
    /// A port shows the certificate of its file.
    Served {
        /// Who shows it.
        component: Component,
        /// TCP port.
        port: u16,
        /// The file; `None` when the component made one in memory, which nothing can be compared with.
        certificate: Option<String>,
        /// Since it was first looked at, seconds.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
    /// All static pods are proven.
    Proven {
        /// Since the run began, seconds.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
}

/// How far the proof of a static pod is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Whose.
    pub component: Component,
    /// The highest rung of the proof that holds, with all below it.
    pub rung: Option<Rung>,
    /// What the next rung waits for; empty at the top.
    pub waiting: String,
}

impl Progress {
    /// Whether it is proven.
    pub fn is_proven(&self) -> bool {
        self.rung == Some(Rung::MirrorPod)
    }
}

/// The rungs of the proof, from the file to the mirror pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// The manifest on disk is the planned one.
    File,
    /// The runtime has a sandbox with our digest.
    Sandbox,
    /// Its container runs.
    Container,
    /// Its own health port says ready.
    Health,
    /// The Node is registered.
    Node,
    /// The mirror pod has our digest, is Ready, and is about the same container.
    MirrorPod,
}

impl Rung {
    /// All rungs, lowest first.
    pub const ALL: [Self; 6] = [Self::File, Self::Sandbox, Self::Container, Self::Health, Self::Node, Self::MirrorPod];

    /// The rung's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Sandbox => "sandbox",
            Self::Container => "container",
            Self::Health => "health",
            Self::Node => "node",
            Self::MirrorPod => "mirror pod",
        }
    }
}

/// Listens to events.
pub trait Reporter: Send {
    /// Takes an event.
    fn event(&mut self, event: &Event);
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
