//! Parts of a document: JSONPath (RFC 9535), and fields by their names.

use serde_json::Value;
use serde_json_path::JsonPath;

use super::json;

/// Parses a JSONPath. `.items` and kubectl's `{.items}` mean `$.items`.
///
/// # Errors
///
/// If it is no JSONPath.
pub fn parse(text: &str) -> Result<JsonPath, String> {
    let text = text.trim();
    let text = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let whole = match text.chars().next() {
        Some('$') => text.to_owned(),
        Some('.' | '[') => format!("${text}"),
        _ => format!("$.{text}"),
    };
    JsonPath::parse(&whole).map_err(|error| format!("`{text}` is no JSONPath: {error}"))
}

/// The value at dots: `remote_resource.status`. `None` if there is none.
pub fn at<'a>(document: &'a Value, dotted: &str) -> Option<&'a Value> {
    // A label's key may have dots itself.
    if let Some(value) = document.get(dotted) {
        return Some(value);
    }
    let (first, rest) = dotted.split_once('.')?;
    let inner = match document {
        Value::Array(items) => items.get(first.parse::<usize>().ok()?)?,
        document => document.get(first)?,
    };
    at(inner, rest)
}

/// A value as a program reads it: a string without quotes, nothing for null, other values as JSON.
pub fn raw(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => json::compact(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_kubectl_work() {
        let document = json!({ "items": [{ "id": "a" }, { "id": "b" }] });
        for text in ["$.items[*].id", ".items[*].id", "items[*].id", "{.items[*].id}"] {
            let found = parse(text).unwrap().query(&document).all();
            assert_eq!(found, [&json!("a"), &json!("b")], "{text}");
        }
        assert!(parse("$.items[").is_err());
    }

    #[test]
    fn fields_are_found_by_dots() {
        let document = json!({ "labels": { "a.b": "x" }, "list": [{ "c": 1 }] });
        assert_eq!(at(&document, "labels.a.b"), Some(&json!("x")));
        assert_eq!(at(&document, "list.0.c"), Some(&json!(1)));
        assert_eq!(at(&document, "list.1.c"), None);
    }
}
