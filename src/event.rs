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
    /// Bytes of a long work went by (a snapshot of etcd).
    Bytes {
        /// What is worked on.
        text: String,
        /// How many went by.
        done: u64,
        /// Of how many, as far as that is known.
        total: u64,
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

/// Counts bytes that go by and tells it at every twentieth of them: more would only cost time.
pub struct Meter<'a> {
    text: String,
    done: u64,
    total: u64,
    reporter: &'a mut dyn Reporter,
}

impl<'a> Meter<'a> {
    const PARTS: u64 = 20;

    /// Begins at nothing.
    pub fn new(text: String, total: u64, reporter: &'a mut dyn Reporter) -> Self {
        let mut meter = Self { text, done: 0, total, reporter };
        meter.tell();
        meter
    }

    /// These went by.
    pub fn add(&mut self, bytes: usize) {
        let before = self.part();
        self.done = self.done.saturating_add(bytes as u64);
        if self.part() != before {
            self.tell();
        }
    }

    fn part(&self) -> u64 {
        self.done.saturating_mul(Self::PARTS).checked_div(self.total).unwrap_or_default().min(Self::PARTS)
    }

    fn tell(&mut self) {
        let total = self.total.max(self.done);
        self.reporter.event(&Event::Bytes { text: self.text.clone(), done: self.done, total });
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heard(Vec<(u64, u64)>);

    impl Reporter for Heard {
        fn event(&mut self, event: &Event) {
            if let Event::Bytes { done, total, .. } = event {
                self.0.push((*done, *total));
            }
        }
    }

    #[test]
    fn a_meter_tells_the_beginning_the_end_and_some_of_what_is_between() {
        let count = |pieces: usize, total: u64| {
            let mut heard = Heard(vec![]);
            let mut meter = Meter::new("x".into(), total, &mut heard);
            (0..pieces).for_each(|_| meter.add(10));
            heard.0
        };
        let heard = count(1000, 10_000);
        assert_eq!((heard.first(), heard.last(), heard.len()), (Some(&(0, 10_000)), Some(&(10_000, 10_000)), 21));
        assert_eq!(count(1, 10), [(0, 10), (10, 10)]);
        assert_eq!(count(3, 0), [(0, 0)], "of an unknown number only the beginning");
        assert!(count(30, 200).iter().all(|(done, total)| done <= total), "there may be more than was thought");
    }
}
