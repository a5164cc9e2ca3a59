//! YAML (and JSON) text to a tree in which every key and value knows its place.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::Number;

/// Largest text that is read; a configuration with everything in it stays under a tenth of this.
const LONGEST: usize = 1 << 20;
/// Deepest nesting that is read, for `[` and for indentation each.
const DEEPEST: usize = 64;

/// So many nodes may stand in a document by aliases; more of them is an attack.
const MOST_COPIED: usize = 20_000;

/// So many broken documents are reported; then the rest is not worth reading.
const MOST_BROKEN: usize = 100;

/// A position in the text; line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<&Marker> for Mark {
    fn from(marker: &Marker) -> Self {
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

impl Node {
    fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar(_) => 0,
            Value::List(nodes) => nodes.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
        }
    }
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its place, and its value. Keys may repeat; the reader of the map reports that.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) node: Node,
}

/// The text of a scalar. Only a plain one (without quotes) can be something else than a string.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) plain: bool,
}

/// What YAML 1.1, as Kubernetes reads it (sigs.k8s.io/yaml), makes of a scalar.
#[derive(Debug, PartialEq)]
pub(crate) enum Meaning<'t> {
    Null,
    Bool(bool),
    /// A number; `None` when its notation is not plain decimal (`0123`, `1_000`, `0x1f`).
    Number(Option<Number>),
    Text(&'t str),
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        if !self.plain {
            return Meaning::Text(&self.text);
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Meaning::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                Meaning::Bool(false)
            }
            text if is_number(text) => Meaning::Number(serde_json::from_str(text).ok()),
            text => Meaning::Text(text),
        }
    }
}

/// Whether YAML 1.1 sees a number: underscores are dropped, `0x`, `0o` and `0b` are bases, `.5` and `1.` are floats.
fn is_number(text: &str) -> bool {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return false;
    }
    let joined = text.replace('_', "");
    let digits = joined.strip_prefix(['+', '-']).unwrap_or(&joined);
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    for (prefix, base) in [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)] {
        if let Some(rest) = digits.strip_prefix(prefix) {
            return !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(base));
        }
    }
    let (mantissa, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && all_digits(exponent)
    });
    !(whole.is_empty() && fraction.is_empty()) && all_digits(whole) && all_digits(fraction) && exponent
}

/// What could not be read, and where.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) mark: Mark,
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
}

/// All documents that could be read, and what was wrong with the others.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) documents: Vec<Node>,
    pub(crate) broken: Vec<Broken>,
}

/// Reads every document of the text; one that is broken does not hide the next.
pub(crate) fn parse(text: &str) -> Stream {
    read(text, false)
}

/// The same for what somebody else wrote and something else reads: an alias is what it stands for, and a scalar with a tag
/// of a program's own is a string.
pub(crate) fn expand(text: &str) -> Stream {
    read(text, true)
}

fn read(text: &str, expands: bool) -> Stream {
    let mut stream = Stream::default();
    let start = Mark { line: 1, column: 1 };
    if text.len() > LONGEST {
        let message = format!("the file has {} bytes; at most {LONGEST} are read", text.len());
        stream.broken.push(Broken { mark: start, message, hint: None });
        return stream;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut tree = Tree { expands, ..Tree::default() };
    while let Some(next) = parser.next_event() {
        let broken = match next {
            Ok((Event::DocumentEnd, _)) => {
                stream.documents.extend(tree.root.take());
                continue;
            }
            Ok((event, span)) => tree.add(event, Mark::from(&span.start)),
            Err(error) => {
                let message = match error.kind() {
                    ErrorKind::RecursionLimitExceeded => format!("nested deeper than {DEEPEST} levels"),
                    kind => kind.to_string(),
                };
                Err(Broken { mark: Mark::from(error.marker()), message, hint: None })
            }
        };
        if let Err(broken) = broken {
            stream.broken.push(broken);
            tree = Tree { expands, ..Tree::default() };
            if stream.broken.len() >= MOST_BROKEN || !parser.proceed_next_document().unwrap_or(false) {
                break;
            }
        }
    }
    clamp(text, &mut stream.broken);
    stream
}

/// The parser reports some errors beyond the last character; a reader wants a place that exists.
fn clamp(text: &str, broken: &mut [Broken]) {
    if broken.is_empty() {
        return;
    }
    // YAML breaks lines at a lone carriage return, too.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.lines().collect();
    for Broken { mark, .. } in broken {
        mark.line = mark.line.min(lines.len().max(1));
        let width = lines.get(mark.line - 1).map_or(0, |line| line.chars().count());
        mark.column = mark.column.min(width + 1);
    }
}

/// The tree of one document while its events arrive.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
    /// Whether aliases and tags are taken; then what stands at each anchor, and how much was copied from there.
    expands: bool,
    anchors: BTreeMap<usize, Node>,
    copied: usize,
}

/// What is open, and its anchor.
enum Open {
    List(Mark, usize, Vec<Node>),
    Map(Mark, usize, Vec<Entry>, Option<(String, Mark)>),
}

impl Tree {
    fn add(&mut self, event: Event<'_>, mark: Mark) -> Result<(), Broken> {
        let refuse = |message: &str, hint| Err(Broken { mark, message: message.to_owned(), hint: Some(hint) });
        let wants_key = matches!(self.open.last(), Some(Open::Map(_, _, _, None)));
        let is_tagged = event.tag().is_some();
        let string = match event.tag() {
            None => false,
            Some(tag) if is_string(tag) => true,
            // `!!int` and the like say what the scalar would be without quotes.
            Some(tag) if self.expands => !tag.is_yaml_core_schema(),
            Some(_) => return refuse("tags are not supported", "remove the tag; quotes make a string of any scalar"),
        };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = (style == ScalarStyle::Plain || is_tagged) && !string;
                self.push(Node { mark, value: Value::Scalar(Scalar { text: text.into_owned(), plain }) }, anchor);
            }
            Event::Alias(anchor) if self.expands => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return refuse("an alias within what it stands for", "write the value out where the alias stands");
                };
                self.copied += node.size();
                if self.copied > MOST_COPIED || (wants_key && !matches!(node.value, Value::Scalar(_))) {
                    return refuse("aliases are not supported like this", "write the value out where the alias stands");
                }
                self.push(Node { mark, ..node }, 0);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if wants_key => {
                return refuse("a key must be a string", "braces and brackets at this place need quotes");
            }
            Event::SequenceStart(_, anchor, _) => self.open.push(Open::List(mark, anchor, vec![])),
            Event::MappingStart(_, anchor, _) => self.open.push(Open::Map(mark, anchor, vec![], None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(mark, anchor, nodes)) => self.push(Node { mark, value: Value::List(nodes) }, anchor),
                Some(Open::Map(mark, anchor, entries, _)) => {
                    self.push(Node { mark, value: Value::Map(entries) }, anchor);
                }
                None => {}
            },
            // Expanding aliases is how a small file becomes a huge one, and no configuration needs it.
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return refuse("aliases are not supported", "write the value out where the alias stands");
            }
            _ => {}
        }
        Ok(())
    }

    /// A finished node, to its place: a key, a value, an item or the root.
    fn push(&mut self, node: Node, anchor: usize) {
        if self.expands && anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(Open::List(_, _, nodes)) => nodes.push(node),
            Some(Open::Map(_, _, entries, key)) => match (key.take(), node.value) {
                (Some((key, mark)), value) => entries.push(Entry { key, mark, node: Node { mark: node.mark, value } }),
                (None, Value::Scalar(scalar)) => *key = Some((scalar.text, node.mark)),
                (None, _) => {}
            },
            None => self.root = Some(node),
        }
    }
}

fn is_string(tag: &Tag) -> bool {
    tag.is_yaml_core_schema_tag("str")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar {
        Scalar { text: text.into(), plain: true }
    }

    #[test]
    fn scalars_mean_what_kubernetes_reads() {
        for text in ["0", "12", "-3", "+4", "1.30", "0123", "1_000", "0x1f", "0b1", "0o7", ".5", "1.", "1e3", "-.inf"] {
            assert!(matches!(plain(text).meaning(), Meaning::Number(_)), "{text}");
        }
        for text in ["0123", "1_000", "0x1f", "+4", ".5", "1.", ".nan", "1e999"] {
            assert_eq!(plain(text).meaning(), Meaning::Number(None), "{text}");
        }
        for text in ["v1.37.2", "1.37.2", "10.0.0.0/8", "-", ".", "0x", "1e", "_1", "--x", "4m", "2026-11-23", "::1"] {
            assert_eq!(plain(text).meaning(), Meaning::Text(text), "{text}");
        }
        for text in ["y", "Yes", "on", "true", "TRUE"] {
            assert_eq!(plain(text).meaning(), Meaning::Bool(true), "{text}");
        }
        for text in ["", "~", "null"] {
            assert_eq!(plain(text).meaning(), Meaning::Null, "{text}");
        }
        assert_eq!(Scalar { text: "yes".into(), plain: false }.meaning(), Meaning::Text("yes"));
    }

    #[test]
    fn an_alias_is_what_it_stands_for() {
        let stream = expand("a: &a {b: !x 1, c: !!int 2}\nd: *a\ne: [*a, &k f]\n*k : g\n");
        assert!(stream.broken.is_empty(), "{:?}", stream.broken);
        let Value::Map(entries) = &stream.documents[0].value else { panic!() };
        assert_eq!(entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["a", "d", "e", "f"]);
        assert_eq!(format!("{:?}", entries[0].node.value), format!("{:?}", entries[1].node.value));
        let Value::Map(inner) = &entries[1].node.value else { panic!() };
        let plain = |entry: &Entry| matches!(&entry.node.value, Value::Scalar(Scalar { plain: true, .. }));
        assert_eq!(inner.iter().map(plain).collect::<Vec<_>>(), [false, true]);
        let ten = |name: char, of: char| format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", "));
        let bomb = "a: &a x\n".to_owned()
            + &"abcdefgh".chars().zip("bcdefghi".chars()).map(|(of, name)| ten(name, of)).collect::<String>();
        for text in [bomb.as_str(), "a: &a [*a]\n", "a: *b\n", "&a [x]: y\n"] {
            assert_eq!(expand(text).broken.len(), 1, "{text}");
        }
    }

    #[test]
    fn hostile_text_ends_quickly() {
        let begun = std::time::Instant::now();
        let repeated = ["[", "{a: ", "- ", "? ", ": ", "--- [\n", "\"a\n", "&a ", "%a b\n", "*a\n"]
            .map(|part| part.repeat(50_000));
        let indented = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<Vec<_>>().concat();
        let bomb = format!("a: &a [{}]\nb: *a\n", "x,".repeat(1000));
        let long = "a".repeat(LONGEST + 1);
        for text in repeated.iter().chain([&indented, &bomb, &long]) {
            assert!(!parse(text).broken.is_empty(), "{}", &text[..20]);
        }
        // Seconds in a debug build on a busy machine; anything quadratic takes minutes.
        assert!(begun.elapsed().as_secs() < 30);
    }

    #[test]
    fn broken_places_exist() {
        for text in ["a: [", "a: [\n", "a: [\r\n\r\n", "\"a", "a: 'b\n\n\n", "{", "\u{feff}a: [1", "[ä, ö"] {
            let Mark { line, column } = parse(text).broken[0].mark;
            let lines: Vec<&str> = text.lines().collect();
            assert!(line <= lines.len() && column <= lines[line - 1].chars().count() + 1, "{text:?} {line}:{column}");
        }
    }

    #[test]
    fn a_broken_document_does_not_hide_the_next() {
        let stream = parse("a: [1\n---\nb: 2\n---\nc: *c\n---\nd: !x 1\n---\n? [e]\n: 1\n---\nf: !!str 1\n");
        assert_eq!(stream.documents.len(), 2);
        assert_eq!(stream.broken.len(), 4, "{:?}", stream.broken);
    }
}
