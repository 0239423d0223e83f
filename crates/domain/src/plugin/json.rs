//! Strict JSON (RFC 8259), as this service reads it from strangers.
//!
//! `serde_json` does the parsing. On top of it this reader refuses what two stores or two clients
//! could understand differently: a key that occurs twice in one object, U+0000 in any string, and
//! nesting deeper than [`MAX_DEPTH`]. Numbers keep the digits they were sent with (`24.50`,
//! `0.1`, integers of any length, exponents of any size); only the spelling of an exponent is made
//! one (`1E400` and `1e400` come back as `1e+400`). Objects keep the order of their keys.

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

/// How deep arrays and objects may be nested in a document.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct JsonError {
    /// What is wrong, for the one who sent it.
    pub detail: String,
    /// Where, when the text is JSON at all: a JSON Pointer (RFC 6901).
    pub pointer: Option<String>,
}

impl JsonError {
    /// The field error of this, when it has a place.
    pub fn field(&self) -> Option<FieldError> {
        let pointer = self.pointer.clone()?;
        Some(FieldError { pointer, detail: self.detail.clone() })
    }
}

/// Reads one JSON document, nested at most [`MAX_DEPTH`] deep.
///
/// # Errors
///
/// When `text` is not UTF-8 or not JSON, when anything but white space follows the document, and
/// for a duplicate key, U+0000 or too deep a nesting.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    parse_nested(text, 0)
}

/// Reads a JSON document that will stand `outer` levels deep inside a plugin's document.
///
/// The limit is that of the whole: what is accepted as a part can be sent back as a whole.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_nested(text: &[u8], outer: usize) -> Result<Value, JsonError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(JsonError { detail: "the body is empty; a JSON document is expected".into(), pointer: None });
    }
    if has_raw_control_in_string(text) {
        return Err(JsonError {
            detail: "not valid JSON: a string holds a control character, which must be escaped".into(),
            pointer: None,
        });
    }
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    // Our own count below is exact and names the place; serde_json's counts one less.
    deserializer.disable_recursion_limit();
    let place = JsonPlace { pointer: &mut String::new(), depth: outer, refused: &mut refused };
    let parsed = place.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match (parsed, refused) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(refused)) => Err(refused),
        (Err(error), None) => Err(JsonError { detail: format!("not valid JSON: {error}"), pointer: None }),
    }
}

/// Looks for what RFC 8259 section 7 forbids: a control character in a string, as it is. serde_json
/// overlooks it in a key that is read as bytes, see [`KeySeed`].
fn has_raw_control_in_string(text: &[u8]) -> bool {
    // Between its tokens there is seldom any: a document as most clients write it has no line breaks.
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

/// Where in the document the reader is, and what it refused there.
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

    // Integers of up to 64 bits come as such; all other numbers come as their text, see `visit_map`.
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

/// A number's text, which serde_json's `arbitrary_precision` hands over as a map of one entry.
fn number<'de, A: MapAccess<'de>>(entries: &mut A) -> Result<Value, A::Error> {
    let text: String = entries.next_value()?;
    let number: Number = text.parse().map_err(de::Error::custom)?;
    Ok(Value::Number(number))
}

/// What stands where a key is due.
enum JsonKey {
    Name(String),
    /// Not a key of the document: the mark by which serde_json announces a number's text.
    NumberMark,
}

/// Tells the number mark from a key of the same spelling that a client sent.
///
/// A real key is asked for as bytes and so arrives as bytes; the mark arrives as text whatever is
/// asked for. Without this, `{"$serde_json::private::Number":"1"}` would turn into the number 1.
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
        // Read as bytes, a lone surrogate escape is let through by serde_json, but is no UTF-8.
        let key = str::from_utf8(key).map_err(|_| E::custom("a key is not valid Unicode"))?;
        Ok(JsonKey::Name(key.to_owned()))
    }

    fn visit_str<E>(self, _mark: &str) -> Result<JsonKey, E> {
        Ok(JsonKey::NumberMark)
    }
}

/// JSON that belongs to the client, kept as compact text: same numbers, same key order.
#[derive(Clone)]
pub struct FreeJson(Arc<RawValue>);

impl FreeJson {
    /// The JSON text, without white space between its tokens.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, for code that has to look inside.
    pub fn to_value(&self) -> Value {
        // The text came from a Value or was checked when it was read back from the store, and
        // `parse` bounds nothing that has been accepted before.
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
        // The same key, spelt with an escape.
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
