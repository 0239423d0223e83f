//! Tables as comma-separated values (RFC 4180), for spreadsheets.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use csv::{Terminator, WriterBuilder};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

/// A reply of serialised rows. The first row names the columns.
pub fn reply(text: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"))], text).into_response()
}

/// Rows with these columns. A column is a field, or a field within one: `observed.state`.
pub fn table(columns: &[&str], rows: impl Iterator<Item = Value>) -> Bytes {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory cannot fail.
    drop(writer.write_record(columns));
    for row in rows {
        drop(writer.write_record(columns.iter().map(|column| cell(value_at(&row, column)))));
    }
    writer.into_inner().unwrap_or_default().into()
}

fn value_at<'a>(row: &'a Value, column: &str) -> &'a Value {
    column.split('.').fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// The text of a value; an empty one for null.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// A text that spreadsheets take for a text: some run what begins like a formula.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_texts() {
        let rows = [
            json!({"a": "x,\"y\"\nz", "b": {"c": 1.5}}),
            json!({"a": "=cmd|' /C calc'!A0", "b": null}),
            json!({"a": "ü", "b": {"c": -2}}),
        ];
        let text = table(&["a", "b.c"], rows.into_iter());
        let expected = "a,b.c\r\n\"x,\"\"y\"\"\nz\",1.5\r\n'=cmd|' /C calc'!A0,\r\nü,-2\r\n";
        assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
    }
}
