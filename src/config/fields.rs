//! Reading a map field by field: types are checked, what nobody asked for is unknown.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::elsewhere;
use super::given::{Given, Origin, Problems, Wrong, closest, did_you_mean, excerpt};
use super::yaml::{Entry, Mark, Meaning, Node, Scalar, Value};

/// A value with its path, ready to be read as some type.
#[derive(Clone, Copy)]
pub(super) struct Item<'t> {
    pub(super) node: &'t Node,
    pub(super) path: Path<'t>,
    pub(super) problems: &'t Problems,
}

/// The path of a field; it becomes text only when somebody needs it.
#[derive(Clone, Copy)]
pub(super) enum Path<'t> {
    Root(&'t str),
    Field(&'t Path<'t>, &'t str),
    Index(&'t Path<'t>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{}", excerpt(name)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'t> Item<'t> {
    /// The path of a field of this map.
    pub(super) fn child<'p>(&'p self, name: &'p str) -> Path<'p> {
        Path::Field(&self.path, name)
    }

    /// Where the value of a field of this map begins; the map itself when it lacks the field.
    pub(super) fn mark_of(&self, name: &str) -> Mark {
        let Value::Map(entries) = &self.node.value else { return self.node.mark };
        entries.iter().find(|entry| entry.key == name).map_or(self.node.mark, |entry| entry.node.mark)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::Field(self.path.to_string(), self.node.mark)
    }

    pub(super) fn report(&self, wrong: Wrong) {
        self.problems.at(&self.path.to_string(), self.node.mark, wrong);
    }

    fn given<T>(&self, value: T) -> Given<T> {
        Given { value, origin: self.origin() }
    }

    /// A key without a value, `null` or `~`: kubeadm treats it as not given.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.meaning() == Meaning::Null)
    }

    pub(super) fn string(&self) -> Option<Given<String>> {
        match &self.node.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => return None,
                Meaning::Text(text) => return Some(self.given(text.to_owned())),
                _ => self.mismatch("a string", Some(format!("write it in quotes: \"{}\"", excerpt(&scalar.text)))),
            },
            _ => self.mismatch("a string", None),
        }
        None
    }

    /// A string that no message shows.
    pub(super) fn secret(&self) -> Option<Given<Zeroizing<String>>> {
        match &self.node.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => return None,
                Meaning::Text(text) => return Some(self.given(Zeroizing::new(text.to_owned()))),
                _ => self.mismatch("a string", Some("write it in quotes".into())),
            },
            _ => self.mismatch("a string", None),
        }
        None
    }

    pub(super) fn boolean(&self) -> Option<Given<bool>> {
        if let Value::Scalar(scalar) = &self.node.value {
            match scalar.meaning() {
                Meaning::Null => return None,
                Meaning::Bool(value) => return Some(self.given(value)),
                _ => {}
            }
        }
        self.mismatch("true or false", self.without_quotes());
        None
    }

    pub(super) fn integer(&self) -> Option<Given<i64>> {
        let mut hint = self.without_quotes();
        if let Value::Scalar(scalar) = &self.node.value {
            match scalar.meaning() {
                Meaning::Null => return None,
                Meaning::Number(Some(number)) if number.is_i64() => return number.as_i64().map(|n| self.given(n)),
                Meaning::Number(None) => hint = Some("write it in decimal digits only".into()),
                _ => {}
            }
        }
        self.mismatch("an integer", hint);
        None
    }

    /// The value is of another type than `expected`.
    pub(super) fn mismatch(&self, expected: &str, hint: Option<String>) {
        self.report(Wrong::new(format!("expected {expected}, got {}", kind(&self.node.value))).maybe(hint));
    }

    fn without_quotes(&self) -> Option<String> {
        let Value::Scalar(Scalar { text, plain: false }) = &self.node.value else { return None };
        let bare = Scalar { text: text.clone(), plain: true };
        matches!(bare.meaning(), Meaning::Bool(_) | Meaning::Number(Some(_))).then(|| "write it without quotes".into())
    }

    /// Reads a list with one function for all elements; `None` when not given, elements that are null are problems.
    pub(super) fn list<T>(&self, read: impl Fn(Item<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Value::List(nodes) = &self.node.value else {
            if !self.is_null() {
                let map = matches!(self.node.value, Value::Map(_)) && self.path.to_string().ends_with("xtraArgs");
                self.mismatch(
                    "a list",
                    map.then(|| "v1beta4 takes a list: `- name: …` and `value: …` for each flag".into()),
                );
            }
            return None;
        };
        let read = |(index, node)| {
            let item = Item { node, path: Path::Index(&self.path, index), problems: self.problems };
            if item.is_null() {
                item.report(Wrong::new("the element is empty"));
                return None;
            }
            read(item)
        };
        Some(nodes.iter().enumerate().filter_map(read).collect())
    }

    /// Reads a map; fields that `read` does not ask for are unknown.
    pub(super) fn object<T>(&self, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
        let Value::Map(entries) = &self.node.value else {
            if !self.is_null() {
                self.mismatch("a map", None);
            }
            return None;
        };
        let mut fields = Fields::new(entries, &self.path, self.problems, self.node.mark);
        let result = read(&mut fields);
        fields.finish();
        Some(result)
    }

    /// The entries of a map whose keys are free, duplicates reported; `None` when not given.
    pub(super) fn entries(&self) -> Option<&'t [Entry]> {
        let Value::Map(entries) = &self.node.value else {
            if !self.is_null() {
                self.mismatch("a map", None);
            }
            return None;
        };
        report_duplicates(entries, &self.path, self.problems);
        Some(entries)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => "nothing",
            Meaning::Bool(_) => "a boolean",
            Meaning::Number(_) => "a number",
            Meaning::Text(_) => "a string",
        },
    }
}

fn report_duplicates(entries: &[Entry], path: &Path<'_>, problems: &Problems) {
    let mut first: HashMap<&str, Mark> = HashMap::with_capacity(entries.len());
    for Entry { key, mark, .. } in entries {
        if let Some(Mark { line, column }) = first.get(key.as_str()) {
            let wrong = Wrong::new(format!("given twice; the first is at line {line}, column {column}"));
            problems.at(&Path::Field(path, key).to_string(), *mark, wrong);
        } else {
            first.insert(key, *mark);
        }
    }
}

/// A map being read.
pub(super) struct Fields<'t> {
    entries: &'t [Entry],
    path: &'t Path<'t>,
    problems: &'t Problems,
    known: Vec<&'static str>,
    /// Where the map begins, for what it lacks.
    mark: Mark,
}

impl<'t> Fields<'t> {
    fn new(entries: &'t [Entry], path: &'t Path<'t>, problems: &'t Problems, mark: Mark) -> Self {
        report_duplicates(entries, path, problems);
        Self { entries, path, problems, known: vec![], mark }
    }

    /// Fields that were read already.
    pub(super) fn known(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// The value of a field; `None` when it is absent or null.
    fn with<T>(&mut self, name: &'static str, read: impl FnOnce(Item<'_>) -> Option<T>) -> Option<T> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        let item = Item { node: &entry.node, path: Path::Field(self.path, name), problems: self.problems };
        if item.is_null() { None } else { read(item) }
    }

    /// A string; an empty one is not given, as in kubeadm.
    pub(super) fn string(&mut self, name: &'static str) -> Option<Given<String>> {
        self.with(name, |item| item.string()).filter(|given| !given.value.is_empty())
    }

    /// A string that no message shows; an empty one is not given.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<Given<Zeroizing<String>>> {
        self.with(name, |item| item.secret()).filter(|given| !given.value.is_empty())
    }

    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.with(name, |item| item.boolean()).map(|given| given.value)
    }

    pub(super) fn integer(&mut self, name: &'static str) -> Option<Given<i64>> {
        self.with(name, |item| item.integer())
    }

    pub(super) fn strings(&mut self, name: &'static str) -> Option<Vec<Given<String>>> {
        self.list(name, |item| item.string())
    }

    pub(super) fn list<T>(&mut self, name: &'static str, read: impl Fn(Item<'_>) -> Option<T>) -> Option<Vec<T>> {
        self.with(name, |item| item.list(read))
    }

    pub(super) fn object<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
        self.with(name, |item| item.object(read))
    }

    /// A field with free content.
    pub(super) fn item<T>(&mut self, name: &'static str, read: impl FnOnce(Item<'_>) -> Option<T>) -> Option<T> {
        self.with(name, read)
    }

    /// The field exists in kubeadm, but this version does not do it. Its value may be a secret and is not shown.
    pub(super) fn refuse(&mut self, name: &'static str, hint: &str) {
        self.with(name, |item| {
            if !is_empty(item.node) {
                item.report(Wrong::new("not supported by this version").hint(hint));
            }
            Some(())
        });
    }

    /// Where the field stands, when it is given and not empty.
    pub(super) fn origin(&mut self, name: &'static str) -> Option<Origin> {
        self.with(name, |item| (!is_empty(item.node)).then(|| item.origin()))
    }

    /// Whether the field has a value, be it empty.
    pub(super) fn is_given(&mut self, name: &'static str) -> bool {
        self.with(name, |_| Some(())).is_some()
    }

    /// Something is wrong with a field that was read; the map is to blame when it lacks the field.
    pub(super) fn report(&self, name: &str, wrong: Wrong) {
        let entry = self.entries.iter().find(|entry| entry.key == name);
        let mark = entry.map_or(self.mark, |entry| entry.node.mark);
        self.problems.at(&Path::Field(self.path, name).to_string(), mark, wrong);
    }

    pub(super) fn problems(&self) -> &'t Problems {
        self.problems
    }

    /// The field is needed but not given.
    pub(super) fn missing(&self, name: &str) {
        let subject = Path::Field(self.path, name).to_string();
        if !self.problems.has(&subject) {
            self.problems.at(&subject, self.mark, Wrong::new(format!("{name} is missing")));
        }
    }

    fn finish(self) {
        #[cfg(test)]
        super::schema::tests::record(&self.path.to_string(), &self.known);
        for Entry { key, mark, .. } in self.entries {
            if !self.known.contains(&key.as_str()) && !self.problems.is_full() {
                let subject = Path::Field(self.path, key).to_string();
                self.problems.at(&subject, *mark, Wrong::new("unknown field").maybe(self.suggest(key)));
            }
        }
    }

    fn suggest(&self, key: &str) -> Option<String> {
        let here = closest(key, self.known.iter().copied());
        if here.is_some_and(|name| name.eq_ignore_ascii_case(key)) {
            return did_you_mean(key, here);
        }
        elsewhere::hint(key).or_else(|| did_you_mean(key, here))
    }
}

/// Nothing is asked for: an empty string, list or map, or nothing at all.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => scalar.text.is_empty() || scalar.meaning() == Meaning::Null,
        Value::List(nodes) => nodes.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}
