//! The id of a container, as applications write it: an id, a name, `/name`, or `scheme://id`.
//!
//! The registry keeps the text that an application sent. It compares the normal form: without the scheme that
//! Kubernetes prefixes (`docker://`, `containerd://`, `cri-o://`), without the slash that Docker prefixes to names, and
//! with an id in lower case. The letters of a name keep their case.

use std::borrow::Cow;

use serde_json::Value;

use super::read::{Invalid, string};

/// The minimum length of an id, as Docker shows it, and the length of a full one; in hexadecimal digits.
const SHORT: usize = 12;
const FULL: usize = 64;

/// Reads the id of a container.
///
/// # Errors
///
/// If the value is not a string, or has white space or control characters.
pub fn read(value: Value, pointer: &str) -> Result<String, Invalid> {
    let text = string(value, pointer)?;
    if text.chars().any(char::is_control) {
        return Err(Invalid::at(pointer, "must not contain control characters, such as the end of a line"));
    }
    if text.contains(char::is_whitespace) {
        return Err(Invalid::at(pointer, "must not contain white space"));
    }
    Ok(text)
}

/// The id or name, without a scheme and without leading slashes.
pub fn without_prefix(text: &str) -> &str {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => text,
    };
    rest.trim_start_matches('/')
}

/// The normal form: two texts mean the same container if their normal forms are equal.
pub fn normal(text: &str) -> Cow<'_, str> {
    let text = without_prefix(text);
    if is_id_of_any_case(text) && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Borrowed(text)
}

/// Returns true if and only if a normal form can be the id of a container or the beginning of one.
pub fn is_id(normal: &str) -> bool {
    (SHORT..=FULL).contains(&normal.len()) && normal.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_id_of_any_case(text: &str) -> bool {
    (SHORT..=FULL).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A scheme of RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_mean_one_container_have_one_normal_form() {
        for (sent, expected) in [
            ("web", "web"),
            ("/web", "web"),
            ("Web", "Web"),
            ("docker://4c01db0b339c4c01db0b339c", "4c01db0b339c4c01db0b339c"),
            ("containerd://4C01DB0B339C", "4c01db0b339c"),
            ("cri-o://4c01db0b339c", "4c01db0b339c"),
            ("podman:///web", "web"),
            ("4C01DB0B339C", "4c01db0b339c"),
            // Too short for an id, so it is a name.
            ("4C01DB0B339", "4C01DB0B339"),
            ("1://web", "1://web"),
            ("", ""),
        ] {
            assert_eq!(normal(sent), expected);
            assert_eq!(normal(expected), expected, "it is a normal form");
            assert_eq!(read(json!(sent), "/container_id"), Ok(sent.to_owned()), "it is kept as sent");
        }
    }

    #[test]
    fn white_space_and_control_characters_are_refused() {
        for sent in ["4c01db0b339c\n", " web", "web ", "my web", "web\u{3000}", "web\u{7f}"] {
            let Invalid(errors) = read(json!(sent), "/container_id").unwrap_err();
            assert_eq!(errors[0].pointer, "/container_id", "{sent:?}");
        }
    }
}
