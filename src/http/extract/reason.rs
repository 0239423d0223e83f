//! `Registry-Reason`: why a client makes a change. The change keeps it, and no log has it.

use hyper::{HeaderMap, Method};
use percent_encoding::percent_decode;

use crate::http::headers::REGISTRY_REASON;
use crate::http::problem::{Kind, Problem};
use domain::plugin::read::is_line;

/// The longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// The beginning of a value in the notation for texts beyond ASCII (RFC 8187 section 3.2).
const EXTENDED: &[u8] = b"UTF-8''";

/// Refuses a write with a reason that is empty, too long, or no text for people.
///
/// # Errors
///
/// 400, saying what a reason must be.
pub fn require_readable_reason(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() { Ok(()) } else { reason_of(headers).map(drop) }
}

/// The reason of a request, if it has one: as UTF-8, or as in RFC 8187 (`UTF-8''nightly%20cleanup`).
///
/// # Errors
///
/// See [`require_readable_reason`].
pub fn reason_of(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let mut values = headers.get_all(REGISTRY_REASON).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let is_extended = bytes.get(..EXTENDED.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(EXTENDED));
    let decoded = match bytes.get(EXTENDED.len()..).filter(|_| is_extended) {
        Some(encoded) => percent_decode(encoded).decode_utf8().ok(),
        None => std::str::from_utf8(bytes).ok().map(Into::into),
    };
    match decoded.filter(|text| is_line(text, MAX_REASON)) {
        Some(text) if values.next().is_none() => Ok(Some(text.into())),
        _ => Err(Problem::new(
            Kind::BadRequest,
            format!(
                "Registry-Reason must be one text of 1 to {MAX_REASON} characters in UTF-8, without control characters"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn read(value: &[u8]) -> Result<Option<Box<str>>, ()> {
        let headers = HeaderMap::from_iter([(REGISTRY_REASON, HeaderValue::from_bytes(value).unwrap())]);
        reason_of(&headers).map_err(drop)
    }

    #[test]
    fn reasons_are_texts_for_people() {
        for (sent, text) in [
            ("nightly cleanup, 50% done", "nightly cleanup, 50% done"),
            ("Aufräumen", "Aufräumen"),
            ("UTF-8''Aufr%C3%A4umen%20jetzt", "Aufräumen jetzt"),
            ("utf-8''a", "a"),
        ] {
            assert_eq!(read(sent.as_bytes()), Ok(Some(text.into())), "{sent}");
        }
        assert_eq!(read("ü".repeat(500).as_bytes()), Ok(Some("ü".repeat(500).into())));
        let long = "x".repeat(501);
        for wrong in [&b""[..], b" ", b"\xff", b"UTF-8''%0A", b"UTF-8''%ff", b"UTF-8''", long.as_bytes()] {
            assert_eq!(read(wrong), Err(()), "{wrong:?}");
        }
        assert_eq!(reason_of(&HeaderMap::new()).unwrap(), None);
    }
}
