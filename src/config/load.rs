//! From a file, flags and facts to a [`Config`], or to everything that is wrong with them.

use super::documents::{self, Documents};
use super::given::Problems;
use super::{Config, Facts, Overrides, resolve};
use crate::error::{Error, Kind};

/// A configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name, for places: a path, or `-` for standard input.
    pub name: &'a str,
    /// Its content: YAML or JSON, one or more documents.
    pub text: &'a str,
}

/// Parses the file, puts the flags over its fields, completes it with defaults and facts, and validates the result.
///
/// All problems come at once, as [`Kind::Configuration`], sorted by place.
pub fn load(source: Option<Source<'_>>, overrides: &Overrides, facts: &Facts) -> Result<Config, Error> {
    let problems = Problems::new(source.map_or("", |source| source.name));
    let documents = source.map_or_else(Documents::default, |source| documents::read(source.text, &problems));
    let config = resolve::resolve(documents, overrides, facts, &problems);
    let found = problems.sorted();
    match config {
        Some(config) if found.is_empty() => Ok(config),
        _ => {
            let message = match found.len() {
                1 => "the configuration has a problem".to_owned(),
                count => format!("the configuration has {count} problems"),
            };
            Err(Error::problems(Kind::Configuration, message, found))
        }
    }
}
