//! What went wrong, as a person and as a program reads it: kind, cause chain, remedy.

use std::fmt;

use serde::Serialize;

/// The kind of a failure decides the exit code; the numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A step failed, or what runs is not what was asked for. Exit 1.
    Step,
    /// The node is not fit; nothing was changed. Exit 2.
    Preflight,
    /// The command line or the configuration is wrong; nothing was changed. Exit 3.
    Configuration,
    /// Not a failure: the dry-run found changes, and `--exit-code` asked to be told. Exit 4.
    Changes,
    /// A file was edited by someone else. Exit 5.
    Drift,
    /// The proof did not succeed in time. Exit 6.
    TimedOut,
    /// Another run holds the lock. Exit 7.
    Locked,
    /// Not a failure: a certificate has expired, or expires within the time that was asked about. Exit 8.
    Expiring,
    /// Stopped by SIGINT at a safe point. Exit 130.
    Interrupted,
    /// Stopped by SIGTERM at a safe point. Exit 143.
    Terminated,
}

impl Kind {
    /// The stable exit code of this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Step => 1,
            Self::Preflight => 2,
            Self::Configuration => 3,
            Self::Changes => 4,
            Self::Drift => 5,
            Self::TimedOut => 6,
            Self::Locked => 7,
            Self::Expiring => 8,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// A place in a configuration file; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file's name as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One finding among several: all of them are reported at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where in a configuration file, when it came from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The field, flag, check or path that the finding is about, for example `ClusterConfiguration.networking.podSubnet`.
    pub subject: String,
    /// What is wrong, one sentence in lower case without a full stop.
    pub message: String,
    /// What to do about it, when something better than the message itself is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A finding without a place.
    pub fn new(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: None, subject: subject.into(), message: message.into(), hint: None }
    }

    /// The same finding with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, column }) = &self.place {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// A failure at the edge of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// One line: what failed.
    pub message: String,
    /// Why, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// All findings, when there can be several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The named cause of a control plane that does not come up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Box<crate::diagnose::Diagnosis>>,
    /// What to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// What every fallible function at the edge returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with a message and nothing else.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: vec![], problems: vec![], diagnosis: None, hints: vec![] }
    }

    /// A failure that carries all findings of one pass.
    pub fn problems(kind: Kind, message: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { problems, ..Self::new(kind, message) }
    }

    /// Adds an error and its sources to the cause chain.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Wrappers that print their source would say everything twice.
            if self.causes.last().is_none_or(|last| !last.contains(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
