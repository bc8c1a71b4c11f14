//! Writes JSON values as block YAML 1.2. A string is written bare only where every reader takes it for a string, else as JSON, which
//! is YAML as well; so there is little to write, and no library to follow.

use std::io::{self, Write};

use serde_json::Value;

/// A list of the values; `[]` if there are none.
pub(super) fn write(values: &[Value], out: &mut impl Write) -> io::Result<()> {
    if values.is_empty() {
        return writeln!(out, "[]");
    }
    list(values, 0, out)
}

fn list(values: &[Value], indent: usize, out: &mut impl Write) -> io::Result<()> {
    for value in values {
        write!(out, "{:indent$}-", "")?;
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (place, (name, value)) in fields.iter().enumerate() {
                    let (lead, pad) = if place == 0 { (" ", 0) } else { ("", indent + 2) };
                    write!(out, "{lead}{:pad$}{}:", "", scalar(name))?;
                    after(value, indent + 2, out)?;
                }
            }
            Value::Array(inner) if !inner.is_empty() => {
                writeln!(out)?;
                list(inner, indent + 2, out)?;
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => writeln!(out, " {}", flow(value))?,
        }
    }
    Ok(())
}

/// The value behind a name: on the same line, or as a block below it.
fn after(value: &Value, indent: usize, out: &mut impl Write) -> io::Result<()> {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            writeln!(out)?;
            for (name, value) in fields {
                let pad = indent + 2;
                write!(out, "{:pad$}{}:", "", scalar(name))?;
                after(value, pad, out)?;
            }
            Ok(())
        }
        Value::Array(values) if !values.is_empty() => {
            writeln!(out)?;
            list(values, indent + 2, out)
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => writeln!(out, " {}", flow(value)),
    }
}

fn flow(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), scalar)
}

/// Bare words may be no number, no date and none of the words that some reader takes for a boolean or for nothing.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"];
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let bare = first
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if bare { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn written(values: &[Value]) -> String {
        let mut out = Vec::new();
        super::write(values, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn blocks_nest_by_two_spaces() {
        let value = json!({"name": "a", "list": [{"x": 1, "y": []}, 2, [3]], "map": {"z": null, "e": {}}});
        assert_eq!(
            written(&[value, json!("b")]),
            "- list:\n    - x: 1\n      \"y\": []\n    - 2\n    -\n      - 3\n  map:\n    e: {}\n    z: null\n  name: a\n- b\n"
        );
        assert_eq!(written(&[]), "[]\n");
    }

    #[test]
    fn words_that_mean_something_else_are_quoted() {
        for text in
            ["yes", "No", "null", "1", "-1", "1e3", "", " a", "a: b", "#a", "a\nb", "2026-01-01", "~", "é"]
        {
            let line = written(&[json!({ "k": text })]);
            assert_eq!(line, format!("- k: {}\n", json!(text)), "{text}");
        }
        assert_eq!(written(&[json!({ "k": "127.0.0.1" })]), "- k: \"127.0.0.1\"\n");
        assert_eq!(written(&[json!({ "retention.ms": "orders-1" })]), "- retention.ms: orders-1\n");
    }
}
