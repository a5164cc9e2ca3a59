//! YAML text that every reader understands alike, the kubelet's YAML 1.1 reader included.

use std::fmt::Write as _;
use std::io;

use serde_json::Value;

/// Writes a string as one double-quoted ASCII scalar; this is the escape function of the templates.
///
/// Everything outside the printable ASCII range becomes `\UXXXXXXXX`: surrogate pairs and `\/` of JSON are errors to
/// the kubelet, and raw C1 controls or U+0085 do not survive it.
pub(crate) fn escape(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(quote(text).as_bytes())
}

/// A string as a double-quoted scalar.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            // Writing to a String does not fail.
            _ => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// A tree on one line, every string and key quoted.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("{}: {}", quote(key), flow(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A tree as a block document, in the order of its keys.
pub(crate) fn block(value: &Value) -> String {
    let mut out = String::new();
    write_block(value, 0, &mut out);
    out
}

fn write_block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                let key = if is_plain_key(key) { key.clone() } else { quote(key) };
                let nested = value.as_object().is_some_and(|map| !map.is_empty()) || is_list(value);
                out.extend([pad.as_str(), &key, if nested { ":\n" } else { ": " }]);
                // A list stands at its key's column, a map one step in, a scalar on the key's line.
                let indent = if is_list(value) { indent } else { indent + 2 };
                write_block(value, if nested { indent } else { 0 }, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut nested = String::new();
                write_block(item, indent + 2, &mut nested);
                // The first line of the item moves up to the dash.
                out.extend([pad.as_str(), "- ", nested.trim_start_matches(' ')]);
            }
        }
        _ => out.extend([pad.as_str(), &flow(value), "\n"]),
    }
}

fn is_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
}

/// Names of fields stay readable; whatever YAML 1.1 could take for something else is quoted.
fn is_plain_key(key: &str) -> bool {
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric())
        && !reserved.contains(&key.to_ascii_lowercase().as_str())
}

/// Several documents, with `---` between them.
pub(crate) fn stream(documents: &[Value]) -> String {
    documents.iter().map(block).collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_are_quoted_ascii() {
        for (text, quoted) in [
            ("", r#""""#),
            ("yes", r#""yes""#),
            ("a \"b\" \\c/", r#""a \"b\" \\c/""#),
            ("\0\t\n\u{7f}\u{85}", r#""\U00000000\U00000009\U0000000A\U0000007F\U00000085""#),
            ("é😀", r#""\U000000E9\U0001F600""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn blocks_read_back() {
        let tree = json!({
            "a": {"on": [1, "1_000", []], "empty": {}, "n": null, "deep": [{"x": {"y": [true]}}, [2.5, ["z"]]]},
            "with space": "multi\nline",
        });
        let text = block(&tree);
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), tree, "{text}");
    }

    #[test]
    fn blocks_look_written_by_hand() {
        let tree = json!({"apiVersion": "v1", "list": ["a", {"k": 1}], "map": {"on": true}});
        assert_eq!(block(&tree), "apiVersion: \"v1\"\nlist:\n- \"a\"\n- k: 1\nmap:\n  \"on\": true\n");
    }
}
