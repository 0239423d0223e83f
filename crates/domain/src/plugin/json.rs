//! Strict JSON (RFC 8259), for untrusted input.
//!
//! `serde_json` does the parsing. This reader also refuses documents that two stores or two clients could read
//! differently: duplicate keys in an object, U+0000 in a string, and nesting deeper than [`MAX_DEPTH`]. Numbers keep
//! the digits that the client sent (`24.50`, `0.1`, integers of any length, exponents of any size). Only the spelling
//! of exponents is normalised (`1E400` and `1e400` become `1e+400`). Objects keep the order of their keys.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::map::Entry;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value};

use super::read::FieldError;
use bounded_schema::pointer_push;

/// What an error says if anything follows the document.
pub const MORE_FOLLOWS: &str = "more text follows the JSON document";

/// The maximum nesting of arrays and objects in a document.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not accepted as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct JsonError {
    /// The error, for the client.
    pub detail: String,
    /// The place, if the text is JSON at all: a JSON Pointer (RFC 6901).
    pub pointer: Option<String>,
}

impl JsonError {
    /// The field error, if the error has a place.
    pub fn field(&self) -> Option<FieldError> {
        let pointer = self.pointer.clone()?;
        Some(FieldError { pointer, detail: self.detail.clone() })
    }
}

/// Parses one JSON document, nested at most [`MAX_DEPTH`] deep.
///
/// # Errors
///
/// If `text` is not UTF-8 or not JSON, or if anything but white space follows the document. Also if the document has a
/// duplicate key, U+0000 or too deep a nesting.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    parse_nested(text, 0)
}

/// Parses a JSON document that will be nested `outer` levels deep inside a plugin's document.
///
/// The limit applies to the whole document. So a client can send the whole back if the registry accepted the part.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_nested(text: &[u8], outer: usize) -> Result<Value, JsonError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(JsonError { detail: "the body is empty; send a JSON document".into(), pointer: None });
    }
    if let Some(detail) = other_encoding(text) {
        return Err(JsonError { detail: detail.into(), pointer: None });
    }
    if has_raw_control_in_string(text) {
        return Err(JsonError {
            detail: "not valid JSON: a string contains a control character; escape it".into(),
            pointer: None,
        });
    }
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    // The exact count below names the place; serde_json's limit is one less.
    deserializer.disable_recursion_limit();
    let place = JsonPlace { pointer: &mut String::new(), depth: outer, refused: &mut refused };
    let parsed = place.deserialize(&mut deserializer);
    let is_whole = parsed.is_ok();
    let detail = match (parsed.and_then(|value| deserializer.end().map(|()| value)), refused) {
        (Ok(value), _) => return Ok(value),
        (Err(_), Some(refused)) => return Err(refused),
        (Err(_), None) if std::str::from_utf8(text).is_err() => "the body is not UTF-8; send UTF-8".to_owned(),
        (Err(error), None) if is_whole => {
            format!("not valid JSON: {MORE_FOLLOWS} at line {} column {}", error.line(), error.column())
        }
        (Err(error), None) => format!("not valid JSON: {error}"),
    };
    Err(JsonError { detail, pointer: None })
}

/// The encoding of a text that is not the UTF-8 of RFC 8259 section 8.1, and what to do. Editors and shells of Windows
/// write these encodings.
fn other_encoding(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Some("the body begins with a byte order mark (BOM); send UTF-8 without it"),
        // JSON begins with an ASCII character, which has a zero byte beside it in UTF-16 and UTF-32.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..] | [0, _, ..] => {
            Some("the body is UTF-16 or UTF-32; send UTF-8")
        }
        _ => None,
    }
}

/// Searches for an unescaped control character in a string, which RFC 8259 section 7 forbids. serde_json misses one in
/// a key that is read as bytes, see [`KeySeed`].
fn has_raw_control_in_string(text: &[u8]) -> bool {
    // Most clients send no line breaks between tokens, so most documents have no such byte at all.
    if !text.iter().any(|byte| *byte < 0x20) {
        return false;
    }
    let (mut in_string, mut escaped) = (false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            0..0x20 if in_string => return true,
            _ => {}
        }
    }
    false
}

/// The current place in the document, and the first error.
struct JsonPlace<'a> {
    pointer: &'a mut String,
    depth: usize,
    refused: &'a mut Option<JsonError>,
}

impl JsonPlace<'_> {
    fn refuse<E: de::Error>(&mut self, detail: String) -> E {
        let error = E::custom(&detail);
        *self.refused = Some(JsonError { detail, pointer: Some(self.pointer.clone()) });
        error
    }

    fn descend<E: de::Error>(&mut self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.refuse(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(self.depth + 1)
    }

    fn check_text<E: de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(self.refuse("contains U+0000, which is not accepted anywhere".into()));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for JsonPlace<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonPlace<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    // Integers of up to 64 bits arrive as such; all other numbers arrive as text, see `visit_map`.
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<Value, E> {
        self.check_text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.descend()?;
        let mut array = Vec::new();
        let here = self.pointer.len();
        loop {
            pointer_push(self.pointer, &array.len().to_string());
            let place = JsonPlace { pointer: &mut *self.pointer, depth, refused: &mut *self.refused };
            let item = items.next_element_seed(place)?;
            self.pointer.truncate(here);
            match item {
                Some(item) => array.push(item),
                None => return Ok(Value::Array(array)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let mut next = match entries.next_key_seed(KeySeed)? {
            Some(JsonKey::NumberMark) => return number(&mut entries),
            first => first,
        };
        let depth = self.descend()?;
        let mut object = Map::new();
        let here = self.pointer.len();
        while let Some(JsonKey::Name(key)) = next {
            pointer_push(self.pointer, &key);
            self.check_text(&key)?;
            let Entry::Vacant(entry) = object.entry(key) else {
                return Err(self.refuse("the key occurs more than once in its object".into()));
            };
            let place = JsonPlace { pointer: &mut *self.pointer, depth, refused: &mut *self.refused };
            entry.insert(entries.next_value_seed(place)?);
            self.pointer.truncate(here);
            next = entries.next_key_seed(KeySeed)?;
        }
        Ok(Value::Object(object))
    }
}

/// A number's text, which serde_json's `arbitrary_precision` passes as a map of one entry.
fn number<'de, A: MapAccess<'de>>(entries: &mut A) -> Result<Value, A::Error> {
    let text: String = entries.next_value()?;
    let number: Number = text.parse().map_err(de::Error::custom)?;
    Ok(Value::Number(number))
}

/// A key of an object, or the number mark.
enum JsonKey {
    Name(String),
    /// Not a key of the document: the mark that serde_json puts before a number's text.
    NumberMark,
}

/// Distinguishes the number mark from a client's key of the same spelling.
///
/// The seed requests bytes. A real key then arrives as bytes, but the mark always arrives as text. Without this,
/// `{"$serde_json::private::Number":"1"}` would become the number 1.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = JsonKey;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsonKey, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = JsonKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object's key")
    }

    fn visit_bytes<E: de::Error>(self, key: &[u8]) -> Result<JsonKey, E> {
        // serde_json accepts a lone surrogate escape in bytes, but the result is not UTF-8.
        let key = str::from_utf8(key).map_err(|_| E::custom("a key is not valid Unicode"))?;
        Ok(JsonKey::Name(key.to_owned()))
    }

    fn visit_str<E>(self, _mark: &str) -> Result<JsonKey, E> {
        Ok(JsonKey::NumberMark)
    }
}

/// JSON that belongs to the client, stored as compact text: same numbers, same key order.
#[derive(Clone)]
pub struct FreeJson(Arc<RawValue>);

impl FreeJson {
    /// The JSON text, without white space between its tokens.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, for code that inspects it.
    pub fn to_value(&self) -> Value {
        // The text came from a Value, or the store's reader checked it. `parse` refuses nothing that was accepted
        // before.
        parse(self.as_str().as_bytes()).unwrap_or_default()
    }

    /// `{}`
    pub fn empty_object() -> FreeJson {
        FreeJson::from(&Value::Object(Map::new()))
    }
}

impl From<&Value> for FreeJson {
    fn from(value: &Value) -> FreeJson {
        // Serialising a Value to memory cannot fail: its keys are strings and its numbers are texts.
        FreeJson(Arc::from(to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())))
    }
}

impl PartialEq for FreeJson {
    fn eq(&self, other: &FreeJson) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for FreeJson {}

impl Hash for FreeJson {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for FreeJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FreeJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FreeJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FreeJson, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| FreeJson(Arc::from(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) -> JsonError {
        parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn numbers_and_key_order_are_kept_as_sent() {
        let text = r#"{"z":24.50,"a":1e+400,"m":123456789012345678901234567890,"n":-0,"e":1.50e-7,"f":0.1}"#;
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(FreeJson::from(&value).as_str(), text);
        assert_eq!(FreeJson::from(&parse(b"[1E400, 1e05]").unwrap()).as_str(), "[1e+400,1e+05]");
    }

    #[test]
    fn a_key_spelt_like_the_number_mark_is_an_ordinary_key() {
        let text = r#"{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"2"}"#;
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(FreeJson::from(&value).as_str(), text);
        assert_eq!(FreeJson::from(&value).to_value(), value);
    }

    #[test]
    fn duplicate_keys_are_refused_where_they_stand() {
        let error = refused(r#"{"a":[{"b":1,"b":2}]}"#);
        assert_eq!(error.pointer.as_deref(), Some("/a/0/b"));
        // The same key, written with an escape.
        assert_eq!(refused(r#"{"a":1,"\u0061":2}"#).pointer.as_deref(), Some("/a"));
    }

    #[test]
    fn u0000_is_refused_in_values_and_keys() {
        assert_eq!(refused(r#"{"a":"x\u0000"}"#).pointer.as_deref(), Some("/a"));
        assert!(refused(r#"{"a\u0000":1}"#).pointer.is_some());
    }

    #[test]
    fn depth_is_bounded_exactly() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        refused(&nested(MAX_DEPTH + 1));
        refused(&nested(10_000));
        let objects = |n: usize| "{\"a\":".repeat(n) + "1" + &"}".repeat(n);
        assert!(parse(objects(MAX_DEPTH).as_bytes()).is_ok());
        refused(&objects(MAX_DEPTH + 1));
        refused(&objects(10_000));
        assert!(parse_nested(nested(MAX_DEPTH).as_bytes(), 1).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "  ", "{", r#"{"a":}"#, "[1,]", "NaN", "{} {}", "\"\\ud800\"", "{\"\\ud800\":1}", "'a'", "01"]
        {
            refused(text);
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
