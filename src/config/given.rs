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

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with a hint, if there is one.
    pub(super) fn maybe(self, hint: Option<impl Into<String>>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
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
        let (subject, mark) = match origin {
            Origin::Field(subject, mark) => (subject.as_str(), Some(*mark)),
            Origin::Flag(name) | Origin::Default(name) => (*name, None),
        };
        self.push(subject, mark, wrong);
    }

    pub(super) fn at(&self, subject: &str, mark: Mark, wrong: Wrong) {
        self.push(subject, Some(mark), wrong);
    }

    fn push(&self, subject: &str, mark: Option<Mark>, Wrong { message, hint }: Wrong) {
        let mut list = self.list.borrow_mut();
        if list.len() < MOST_PROBLEMS {
            let place = mark.map(|Mark { line, column }| Place { file: self.file.clone(), line, column });
            list.push(Problem { place, subject: excerpt(subject), message, hint });
        }
    }

    /// Whether something was already found with this field, so that its absence needs no second word.
    pub(super) fn name(&self, subject: &str) -> bool {
        self.list.borrow().iter().any(|problem| problem.subject == subject)
    }

    /// All problems, by place; those of flags and of the host come last.
    pub(super) fn sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        list.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        list
    }
}

/// A user's text for a message: not longer than a line, control characters escaped.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut shown: String = text.chars().take(LONGEST).flat_map(printable).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let itself = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(itself)
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

/// Edit distance (Levenshtein) in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn excerpts_stay_on_one_line() {
        assert_eq!(quoted("a\nb\u{1b}"), "\"a\\nb\\u{1b}\"");
        assert!(excerpt(&"x".repeat(500)).chars().count() < 130);
    }
}
