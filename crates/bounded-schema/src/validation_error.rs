//! A mistake in a document, and its place.

use serde_json::Value;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationError {
    /// JSON Pointer (RFC 6901) to the place; empty for the whole document.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// All mistakes in a document, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationErrors(pub Vec<ValidationError>);

impl ValidationErrors {
    /// A single mistake at `pointer`.
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> ValidationErrors {
        ValidationErrors(vec![ValidationError { pointer: pointer.into(), detail: detail.into() }])
    }
}

/// Appends a reference token to a JSON Pointer, escaped by RFC 6901 section 3.
#[inline]
pub fn pointer_push(pointer: &mut String, token: &str) {
    pointer.push('/');
    if !token.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        pointer.push_str(token);
        return;
    }
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// The JSON type of a value, with its article.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        let mut pointer = String::new();
        pointer_push(&mut pointer, "a/b~c");
        pointer_push(&mut pointer, "~/");
        pointer_push(&mut pointer, "");
        assert_eq!(pointer, "/a~1b~0c/~0~1/");
    }
}
