//! Plain scalars: what they are to the kubelet (`sigs.k8s.io/yaml`, whose `resolve.go` knows YAML 1.1 as far as Go does), and
//! what they are by YAML 1.2, which most other readers follow.

use serde_json::{Number, Value};

/// A number or a boolean to the kubelet, or what looks like one; other texts are nothing to warn of.
#[derive(Debug)]
pub(super) struct Trap {
    pub(super) line: usize,
    pub(super) text: String,
    /// What the kubelet takes it for.
    pub(super) value: Value,
}

impl Trap {
    pub(super) fn what(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            _ => "a text",
        }
    }

    /// What is always worth telling: whether it is wrong, and the words.
    pub(super) fn note(&self) -> Option<(bool, String)> {
        let Self { text, value, .. } = self;
        let other = core(text);
        if !value.is_string() && other != *value {
            let other = if other.is_string() { "a text".to_owned() } else { other.to_string() };
            let what = self.what();
            return Some((
                true,
                format!(
                    "{text} is {what} to the kubelet, {value}, and {other} by YAML 1.2: write {value}, or {text:?}"
                ),
            ));
        }
        let is_octal = text.trim_start_matches(['+', '-']).starts_with("0o") && value.is_number();
        is_octal.then(|| (false, format!("{text} is {value} to the kubelet, and a text by YAML 1.1")))
    }

    /// Whether an error about a type may be about it.
    pub(super) fn is_suspect(&self, why: &str) -> bool {
        why.contains(&self.text) || why.contains(&format!("`{}`", self.value)) || self.value.is_boolean()
    }
}

/// The number that Go makes of a plain scalar; `None` when that is a text.
pub(super) fn number(text: &str) -> Option<Value> {
    if text.starts_with('.') {
        return float(text);
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// No JSON can say it, so the kubelet fails for the whole file.
pub(super) fn is_unspeakable(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// Numbers of base 60, which YAML 1.1 has and Go has not: `1:30`.
pub(super) fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.strip_prefix(['+', '-']).unwrap_or(text).split(':');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    text.contains(':') && parts.all(digits)
}

/// `strconv.ParseInt` and `ParseUint` with base 0.
fn integer(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, base) = match unsigned.get(..2).map(str::to_lowercase).as_deref() {
        Some("0x") => (&unsigned[2..], 16),
        Some("0o") => (&unsigned[2..], 8),
        Some("0b") => (&unsigned[2..], 2),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (&unsigned[1..], 8),
        _ => (unsigned, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let signed = i64::from_str_radix(&format!("{sign}{digits}"), base).ok().map(Value::from);
    let is_bare = unsigned.len() == text.len();
    signed.or_else(|| u64::from_str_radix(digits, base).ok().filter(|_| is_bare).map(Value::from))
}

/// A decimal number with or without fraction and exponent; a whole one is written without them.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn float(text: &str) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let is_decimal = text.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    let float = text.parse::<f64>().ok().filter(|float| is_decimal && float.is_finite())?;
    if float.fract() == 0.0 && float.abs() < EXACT {
        return Some(Value::from(float as i64));
    }
    Number::from_f64(float).map(Value::Number)
}

/// What YAML 1.2's core schema takes a plain scalar for.
fn core(text: &str) -> Value {
    let based = |prefix, base| text.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, base).ok());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => {
            let decimal =
                text.parse::<i64>().ok().map(Value::from).or_else(|| text.parse::<u64>().ok().map(Value::from));
            let other = based("0o", 8).or_else(|| based("0x", 16)).map(Value::from);
            decimal.or(other).or_else(|| float(text)).unwrap_or_else(|| text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `sigs.k8s.io/yaml` 1.6.0 gives.
    #[test]
    fn numbers_are_what_go_makes_of_them() {
        for (text, value) in [
            ("0", json!(0)),
            ("010", json!(8)),
            ("-010", json!(-8)),
            ("08", json!(8)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("-0x1f", json!(-31)),
            ("0b101", json!(5)),
            ("+1_000", json!(1000)),
            ("1_0.5", json!(10.5)),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("1e3", json!(1000)),
            ("18446744073709551615", json!(u64::MAX)),
            ("99999999999999999999", json!(1e20)),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["1e999", "0x", "0xffffffffffffffffffff", ".5_0", "1:30", "0o8", "0x-5", "2026-11-23", ".", "1-1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
