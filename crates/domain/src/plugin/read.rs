//! Reading a JSON object field by field, with all mistakes.
//!
//! A reader continues after a mistake, so that one response lists all of them.

pub use bounded_schema::{kind_of, pointer_push};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The maximum length of an unknown name that a response repeats, in bytes.
const MAX_REPEATED: usize = 256;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) to the place; empty for the whole document.
    #[schema(examples("/remote_resource/ssh_port"))]
    pub pointer: String,
    /// What is wrong, and what would be right.
    #[schema(examples("must be an integer from 1 to 65535"))]
    pub detail: String,
}

/// All mistakes in a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    /// A single mistake at `pointer`.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Invalid {
        Invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    fn summary(&self) -> String {
        match self.0.as_slice() {
            [] => "the document is not valid".into(),
            [FieldError { pointer, detail }] if pointer.is_empty() => detail.clone(),
            [FieldError { pointer, detail }] => format!("{pointer}: {detail}"),
            [first, rest @ ..] => {
                let errors = if rest.len() == 1 { "error" } else { "errors" };
                format!("{}: {} (and {} more {errors})", first.pointer, first.detail, rest.len())
            }
        }
    }
}

/// Reads every item of an array at `pointer` with `read`.
///
/// # Errors
///
/// The mistakes of all items.
pub fn each<T>(
    items: Vec<Value>,
    pointer: &str,
    read: impl Fn(Value, &str) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    let (mut taken, mut errors) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match read(item, &format!("{pointer}/{index}")) {
            Ok(item) => taken.push(item),
            Err(Invalid(wrong)) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(taken) } else { Err(Invalid(errors)) }
}

/// The result of two checks of one document, with the mistakes of both.
///
/// # Errors
///
/// If one of them failed.
pub fn both<T>(one: Result<(), Invalid>, other: Result<T, Invalid>) -> Result<T, Invalid> {
    match (one, other) {
        (Ok(()), other) => other,
        (Err(invalid), Ok(_)) => Err(invalid),
        (Err(Invalid(mut errors)), Err(Invalid(more))) => {
            let new: Vec<_> = more.into_iter().filter(|error| !errors.contains(error)).collect();
            errors.extend(new);
            Err(Invalid(errors))
        }
    }
}

/// Reads the fields of one object into typed values.
///
/// A wrong field yields `None`, and the reader collects the mistake for [`ObjectReader::finish`].
pub struct ObjectReader {
    pointer: String,
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl ObjectReader {
    /// Starts to read `value` at `pointer`. Refuses fields that are neither in `known` nor in `ignored`.
    ///
    /// # Errors
    ///
    /// If `value` is not an object, because then there are no fields to read.
    pub fn new(value: Value, pointer: &str, known: &[&str], ignored: &[&str]) -> Result<ObjectReader, Invalid> {
        let Value::Object(fields) = value else {
            return Err(Invalid::at(pointer, format!("must be an object, not {}", kind_of(&value))));
        };
        let unknown = refuse_unknown(fields.keys(), pointer, known, ignored);
        let errors = unknown.err().map(|Invalid(errors)| errors).unwrap_or_default();
        Ok(ObjectReader { pointer: pointer.to_owned(), fields, errors })
    }

    /// Reads an optional field with `read`.
    pub fn optional<T>(&mut self, field: &str, read: impl FnOnce(Value, &str) -> Result<T, Invalid>) -> Option<T> {
        let value = self.fields.swap_remove(field)?;
        let mut pointer = self.pointer.clone();
        pointer_push(&mut pointer, field);
        match read(value, &pointer) {
            Ok(read) => Some(read),
            Err(Invalid(errors)) => {
                self.errors.extend(errors);
                None
            }
        }
    }

    /// Reads a required field.
    pub fn required<T>(&mut self, field: &str, read: impl FnOnce(Value, &str) -> Result<T, Invalid>) -> Option<T> {
        if !self.fields.contains_key(field) {
            self.note(field, "is required".into());
            return None;
        }
        self.optional(field, read)
    }

    /// Records a mistake in a field.
    fn note(&mut self, field: &str, detail: String) {
        let mut pointer = self.pointer.clone();
        pointer_push(&mut pointer, field);
        self.errors.push(FieldError { pointer, detail });
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// All mistakes.
    pub fn finish(self) -> Result<(), Invalid> {
        if self.errors.is_empty() { Ok(()) } else { Err(Invalid(self.errors)) }
    }
}

/// Checks that an object at `pointer` has no keys except those in `known` and in `ignored`.
///
/// # Errors
///
/// Every other key, with the nearest known name.
pub fn refuse_unknown<'a>(
    keys: impl Iterator<Item = &'a String>,
    pointer: &str,
    known: &[&str],
    ignored: &[&str],
) -> Result<(), Invalid> {
    let mut errors = Vec::new();
    for key in keys.filter(|key| !known.contains(&key.as_str()) && !ignored.contains(&key.as_str())) {
        let mut pointer = pointer.to_owned();
        // A longer key is no typing error. The response names its object and does not repeat the key.
        if key.len() <= MAX_REPEATED {
            pointer_push(&mut pointer, key);
        }
        errors.push(FieldError { pointer, detail: unknown_name("field", key, known) });
    }
    if errors.is_empty() { Ok(()) } else { Err(Invalid(errors)) }
}

/// "unknown field `spawned_pid`; did you mean `spawned_pids`?"
pub fn unknown_name(what: &str, name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    let nearest = known
        .iter()
        .filter(|_| name.len() <= MAX_REPEATED)
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(likeness, _)| *likeness > 0.7);
    match nearest {
        None if known.is_empty() => format!("unknown {what} `{shown}`; leave it out"),
        Some((_, nearest)) => format!("unknown {what} `{shown}`; did you mean `{nearest}`?"),
        None => format!("unknown {what} `{shown}`; use one of {}", known.join(", ")),
    }
}

/// Reads a string.
///
/// # Errors
///
/// If the value is not a string.
pub fn string(value: Value, pointer: &str) -> Result<String, Invalid> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Invalid::at(pointer, format!("must be a string, not {}", kind_of(&other)))),
    }
}

/// Reads a text for people: see [`is_line`].
///
/// # Errors
///
/// If the value is no such text.
pub fn line(most: usize) -> impl Fn(Value, &str) -> Result<Box<str>, Invalid> {
    move |value, pointer| match string(value, pointer)? {
        text if is_line(&text, most) => Ok(text.into()),
        _ => Err(Invalid::at(pointer, format!("must have 1 to {most} characters, without control characters"))),
    }
}

/// Returns true if and only if a text has 1 to `most` characters, is not blank, and has no control characters.
pub fn is_line(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().nth(most).is_none() && !text.chars().any(char::is_control)
}

/// Reads a time, in whole microseconds.
///
/// # Errors
///
/// If the value is not a time (RFC 3339).
pub fn time(value: Value, pointer: &str) -> Result<Timestamp, Invalid> {
    let whole = super::time::parse(&string(value, pointer)?)
        .and_then(|at| Timestamp::from_microsecond(at.as_microsecond()).ok());
    whole.ok_or_else(|| Invalid::at(pointer, "must be a time such as 2026-11-21T08:30:00Z (RFC 3339)"))
}

/// Reads `true` or `false`.
///
/// # Errors
///
/// If the value is neither.
pub fn boolean(value: Value, pointer: &str) -> Result<bool, Invalid> {
    match value {
        Value::Bool(flag) => Ok(flag),
        other => Err(Invalid::at(pointer, format!("must be true or false, not {}", kind_of(&other)))),
    }
}

/// Reads an integer from `least` to `most`.
///
/// As in JSON Schema, `22.0` is the integer 22; `"22"` is not a number.
///
/// # Errors
///
/// If the value is not such an integer.
pub fn integer(value: &Value, pointer: &str, least: u32, most: u32) -> Result<u32, Invalid> {
    let wrong = || Invalid::at(pointer, format!("must be an integer from {least} to {most}"));
    let Value::Number(number) = value else {
        return Err(wrong());
    };
    let text = number.as_str();
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return Err(wrong()),
        None => text,
    };
    let integer: u32 = whole.parse().map_err(|_| wrong())?;
    if (least..=most).contains(&integer) { Ok(integer) } else { Err(wrong()) }
}

/// Reads one of some names, and converts it.
///
/// # Errors
///
/// If the value is not one of the names: the names.
pub fn one_of<T>(
    names: &'static [&'static str],
    from_name: impl FnOnce(&str) -> Option<T>,
) -> impl FnOnce(Value, &str) -> Result<T, Invalid> {
    move |value, pointer| {
        let name = string(value, pointer)?;
        from_name(&name).ok_or_else(|| Invalid::at(pointer, format!("must be one of {}", names.join(", "))))
    }
}

/// Reads null, or the value that `read` accepts.
///
/// # Errors
///
/// As `read`.
pub fn nullable<T>(
    read: impl FnOnce(Value, &str) -> Result<T, Invalid>,
) -> impl FnOnce(Value, &str) -> Result<Option<T>, Invalid> {
    move |value, pointer| match value {
        Value::Null => Ok(None),
        value => read(value, pointer).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_named() {
        let mut reader =
            ObjectReader::new(json!({"a": 1, "spawned_pid": [], "c": "x"}), "", &["a", "b", "spawned_pids", "c"], &[])
                .unwrap();
        assert_eq!(reader.required("a", string), None);
        assert_eq!(reader.required("b", string), None);
        assert_eq!(reader.optional("c", string), Some("x".into()));
        let Invalid(errors) = reader.finish().unwrap_err();
        let told: Vec<_> = errors.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect();
        assert_eq!(
            told,
            [
                "/spawned_pid unknown field `spawned_pid`; did you mean `spawned_pids`?",
                "/a must be a string, not a number",
                "/b is required",
            ]
        );
    }

    #[test]
    fn the_summary_said_and_1_more_but_not_of_what() {
        let error = |pointer: &str| FieldError { pointer: pointer.into(), detail: "is required".into() };
        let summary = |pointers: &[&str]| Invalid(pointers.iter().map(|at| error(at)).collect()).to_string();
        assert_eq!(summary(&["/a"]), "/a: is required");
        assert_eq!(summary(&["/a", "/b"]), "/a: is required (and 1 more error)");
        assert_eq!(summary(&["/a", "/b", "/c"]), "/a: is required (and 2 more errors)");
    }

    #[test]
    fn two_checks_name_each_mistake_once() {
        let invalid = |pointers: &[&str]| {
            Invalid(pointers.iter().map(|at| FieldError { pointer: (*at).into(), detail: "is wrong".into() }).collect())
        };
        assert_eq!(both(Ok(()), Ok(1)), Ok(1));
        assert_eq!(both(Err(invalid(&["/a"])), Ok(1)), Err(invalid(&["/a"])));
        assert_eq!(both::<()>(Err(invalid(&["/a"])), Err(invalid(&["/a", "/b"]))), Err(invalid(&["/a", "/b"])));
    }

    #[test]
    fn integers_are_exact() {
        let read = |text: &str| integer(&serde_json::from_str(text).unwrap(), "", 1, u32::MAX);
        assert_eq!(read("4294967295"), Ok(u32::MAX));
        assert_eq!(read("22.0"), Ok(22));
        for text in ["0", "-1", "4294967296", "1.5", "1e2", "\"12\"", "null", "true", "[]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
