//! YAML 1.2, in block style.
//!
//! Own code, because a number keeps its digits: serde_json keeps numbers as text, which other serialisers show as an
//! object.

use serde_json::Value;

use super::json;

/// The document, with a line feed at the end.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, 0, false);
    text
}

/// Writes a value. `in_sequence`: the first line continues a line that begins with `- `.
fn write(text: &mut String, value: &Value, depth: usize, in_sequence: bool) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 || !in_sequence {
                    indent(text, depth);
                }
                text.push_str(&scalar(key));
                text.push(':');
                below(text, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !in_sequence {
                    indent(text, depth);
                }
                text.push_str("- ");
                write(text, item, depth + 1, true);
            }
        }
        Value::String(word) => line(text, &scalar(word)),
        Value::Object(_) => line(text, "{}"),
        Value::Array(_) => line(text, "[]"),
        Value::Null | Value::Bool(_) | Value::Number(_) => line(text, &value.to_string()),
    }
}

/// Writes the value of a key.
fn below(text: &mut String, value: &Value, depth: usize) {
    let is_block = match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        text.push('\n');
        write(text, value, depth + 1, false);
    } else {
        text.push(' ');
        write(text, value, depth, true);
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn line(text: &mut String, rest: &str) {
    text.push_str(rest);
    text.push('\n');
}

/// A string: plain if no reader could take it for something else, otherwise in quotes as in JSON.
fn scalar(word: &str) -> String {
    let mut characters = word.chars();
    let begins_plain =
        characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == '/');
    let is_plain = begins_plain && characters.all(|other| other.is_ascii_alphanumeric() || "_-./".contains(other));
    // The words of YAML 1.1, too.
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    if is_plain && !reserved.contains(&word.to_ascii_lowercase().as_str()) {
        return word.to_owned();
    }
    json::compact(&Value::String(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reader_of_yaml_finds_the_same_document() {
        let value = json!({
            "a": [], "b": {}, "c": null, "d": [1, [2, "x y"], { "k": true, "l": [{}] }],
            "no": "no", "e": "1e3", "f": "", "g": "a: b # c", "h": "\u{1b}[0m\nx", "i": { "j": { "k": -1.5 } }, "-": "0x1a",
        });
        let text = document(&value);
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value, "{text}");
        assert_eq!(document(&json!({ "items": [{ "a": 1, "b": [2] }] })), "items:\n  - a: 1\n    b:\n      - 2\n");
    }
}
