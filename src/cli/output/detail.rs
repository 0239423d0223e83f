//! One document for people: a line for each field that has a value.

use jiff::Timestamp;
use serde_json::Value;

use super::moment::Moments;
use super::{json, text};

/// How deep members are shown on lines of their own.
const DEPTH: usize = 3;

/// The lines.
pub fn text(document: &Value, moments: &Moments) -> String {
    let mut lines = Vec::new();
    collect(&mut lines, String::new(), document, 0, moments);
    let widest = lines.iter().map(|(name, _)| text::width(name)).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| {
        let padding = " ".repeat(widest - text::width(name));
        format!("{name}{padding}  {value}\n")
    };
    lines.iter().map(line).collect()
}

fn collect(lines: &mut Vec<(String, String)>, name: String, value: &Value, depth: usize, moments: &Moments) {
    match value {
        Value::Null => {}
        Value::Object(members) if members.is_empty() => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(members) if depth < DEPTH && !is_schema(&name) => {
            for (key, value) in members {
                let key = text::one_line(key);
                let path = if name.is_empty() { key.into_owned() } else { format!("{name}.{key}") };
                collect(lines, path, value, depth + 1, moments);
            }
        }
        Value::Array(items) if items.iter().all(is_scalar) => {
            let words: Vec<String> = items.iter().map(|item| shown(item, moments)).collect();
            lines.push((name, words.join(", ")));
        }
        Value::Array(items) if depth < DEPTH => {
            for (index, item) in items.iter().enumerate() {
                collect(lines, format!("{name}.{index}"), item, depth + 1, moments);
            }
        }
        value => lines.push((name, shown(value, moments))),
    }
}

/// A schema is long, and read as JSON.
fn is_schema(name: &str) -> bool {
    name == "config_schema"
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

fn shown(value: &Value, moments: &Moments) -> String {
    let Value::String(word) = value else { return json::compact(value) };
    match word.parse::<Timestamp>() {
        Ok(at) if at > moments.now() => format!("{} ({})", moments.time(at), moments.age(at)),
        Ok(at) => format!("{} ({} ago)", moments.time(at), moments.age(at)),
        Err(_) => text::one_line(word).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_without_a_value_are_left_out() {
        let moments = Moments::at("2026-01-02T03:04:05Z".parse().unwrap(), true);
        let document = json!({
            "unique_id": "a_b", "host": null, "spawned_pids": [1, 2], "labels": { "team": "\u{1b}[2J" },
            "updated_at": "2026-01-02T03:00:05Z", "config_schema": { "type": "object" },
        });
        let lines = [
            "unique_id      a_b",
            "spawned_pids   1, 2",
            "labels.team    \\u001b[2J",
            "updated_at     2026-01-02 03:00:05 (4m ago)",
            "config_schema  {\"type\":\"object\"}",
        ];
        assert_eq!(text(&document, &moments).lines().collect::<Vec<_>>(), lines);
    }
}
