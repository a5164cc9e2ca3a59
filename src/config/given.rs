//! What somebody gave: values that know whether they came from a field or a flag, and the problems found with them.

use std::cell::RefCell;

use super::yaml::Mark;
use crate::error::{Place, Problem};

/// More problems than this help nobody, and a hostile file must not make millions.
const MOST_PROBLEMS: usize = 1000;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// A field of a document, with its path and place.
    Field(String, Mark),
    /// A flag of the command line.
    Flag(&'static str),
    /// Nobody: our default of this field, or what the host says.
    Default(&'static str),
}

impl Origin {
    pub(super) fn is_given(&self) -> bool {
        !matches!(self, Self::Default(_))
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Given<T> {
    pub(super) fn flag(name: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Flag(name) }
    }

    pub(super) fn default(subject: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Default(subject) }
    }

    /// Judges the value; what is wrong with it is reported under its origin.
    pub(super) fn check<R>(&self, problems: &Problems, judge: impl FnOnce(&T) -> Result<R, Wrong>) -> Option<R> {
        match judge(&self.value) {
            Ok(result) => Some(result),
            Err(wrong) => {
                problems.add(&self.origin, wrong);
                None
            }
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    message: String,
    hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// What an error says of itself.
    pub(super) fn from_error(error: impl std::error::Error) -> Self {
        Self::new(error.to_string())
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with a hint, if there is one.
    pub(super) fn maybe(self, hint: Option<impl Into<String>>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, ": {hint}"))
    }
}

/// All problems of one load.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    list: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: RefCell::default() }
    }

    pub(super) fn add(&self, origin: &Origin, wrong: Wrong) {
        self.push(self.problem(origin, wrong));
    }

    pub(super) fn at(&self, subject: &str, mark: Mark, wrong: Wrong) {
        self.push(self.placed(subject, Some(mark), wrong));
    }

    /// A problem that somebody else finds out about.
    pub(super) fn problem(&self, origin: &Origin, wrong: Wrong) -> Problem {
        match origin {
            Origin::Field(subject, mark) => self.placed(subject, Some(*mark), wrong),
            Origin::Flag(name) | Origin::Default(name) => self.placed(name, None, wrong),
        }
    }

    fn placed(&self, subject: &str, mark: Option<Mark>, Wrong { message, hint }: Wrong) -> Problem {
        let place = mark.map(|Mark { line, column }| Place { file: self.file.clone(), line, column });
        Problem { place, subject: excerpt(subject), message, hint }
    }

    fn push(&self, problem: Problem) {
        let mut list = self.list.borrow_mut();
        if list.len() < MOST_PROBLEMS {
            list.push(problem);
        }
    }

    /// Whether further problems would not be kept, so that nobody needs to look for them.
    pub(super) fn is_full(&self) -> bool {
        self.list.borrow().len() >= MOST_PROBLEMS
    }

    /// Whether something was already found with this field, so that its absence needs no second word.
    pub(super) fn has(&self, subject: &str) -> bool {
        self.list.borrow().iter().any(|problem| problem.subject == subject)
    }

    /// All problems, by place; those of flags and of the host come last.
    pub(super) fn sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        list
    }
}

/// A user's text for a message: not longer than a line; what a terminal would obey or hide is escaped.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for (index, c) in text.chars().enumerate() {
        match c {
            _ if index == LONGEST => {
                shown.push('…');
                break;
            }
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// A user's text in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}

/// The candidate that was probably meant: the same letters in another case, or few letters apart.
pub(super) fn closest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if text.len() > 64 {
        return None;
    }
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&text.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "…"?` for the closest candidate.
pub(super) fn did_you_mean<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    closest(text, candidates).map(|name| format!("did you mean \"{name}\"?"))
}

/// Edit distance in characters; two neighbours in the wrong order count once.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, longer) | (longer, 0) => longer,
                _ => {
                    let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    let swapped = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                    substituted.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        let names = ["podSubnet", "serviceSubnet", "dnsDomain"];
        for (text, expected) in [
            ("podsubnet", Some("podSubnet")),
            ("podSubnets", Some("podSubnet")),
            ("dnsDomian", Some("dnsDomain")),
            ("clusterCIDR", None),
            ("", None),
        ] {
            assert_eq!(closest(text, names), expected, "{text}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("valeu", "value")), (3, 1));
    }

    #[test]
    fn excerpts_stay_on_one_line() {
        assert_eq!(quoted("a\nb\u{1b}\u{202e}'"), "\"a\\nb\\u{1b}\\u{202e}'\"");
        assert!(excerpt(&"x".repeat(500)).chars().count() < 130);
    }
}
