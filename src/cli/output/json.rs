//! JSON: the API's own document.

use std::io::{self, Write};

use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::text;

/// The document on one line.
pub fn compact(document: &Value) -> String {
    serialized(document, CompactFormatter)
}

/// The document, indented.
pub fn pretty(document: &Value) -> String {
    serialized(document, PrettyFormatter::new())
}

fn serialized(document: &Value, formatter: impl Formatter) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Escaping(formatter));
    // A Value always becomes JSON, and a Vec takes every byte.
    let _written = serde::Serialize::serialize(document, &mut serializer);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Escapes the control characters that JSON allows in strings: DEL, C1, and those of bidirectional text.
struct Escaping<F>(F);

macro_rules! same {
    ($($name:ident($($argument:ident: $type:ty),*)),* $(,)?) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(text::is_control) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            let control = characters.next().map_or(0, u32::from);
            write!(writer, "\\u{control:04x}")?;
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    same!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        end_object_key(),
        begin_object_value(),
        end_object_value(),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_are_escaped_and_stay_the_same_document() {
        let document = json!({ "title": "a\u{1b}[2J\u{9b}\u{7f}\u{202e}é日" });
        let text = compact(&document);
        assert_eq!(text, r#"{"title":"a\u001b[2J\u009b\u007f\u202eé日"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        assert_eq!(pretty(&json!({ "a": [1, 2.50] })), "{\n  \"a\": [\n    1,\n    2.5\n  ]\n}");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let document: Value = serde_json::from_str(r#"{"a":0.1000000000000000055,"b":1e400}"#).unwrap();
        assert_eq!(compact(&document), r#"{"a":0.1000000000000000055,"b":1e+400}"#);
    }
}
