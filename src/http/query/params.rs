//! The decoded query of a request. Unknown parameters are refused.
//!
//! `a=1,2`, `a=1%2C2` and `a=1&a=2` mean the same: either value matches. Many clients encode every comma, so an encoded
//! comma separates values, too. A comma within a value is written `\,`. Where a parameter takes one value, an encoded comma
//! belongs to the value, as in version 0.1.0.

use percent_encoding::percent_decode_str;

use crate::http::problem::{Kind, Problem};
use domain::Revision;
use domain::plugin::read::unknown_name;
use domain::query::filter_text;

/// A query is compared with every plugin, so the number of its parameters and values is limited.
const MAX_PARAMETERS: usize = 100;
const MAX_VALUES: usize = 1_000;

/// The decoded parameters of a request, in the order of the query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<SentParameter>);

/// A parameter as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SentParameter {
    name: String,
    values: Vec<String>,
    /// The values as one, if the parameter was sent once and without a comma that separates.
    whole: Option<String>,
}

impl Params {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// 400 when an escape is malformed or not UTF-8, or the query has too many parameters.
    pub fn parse(query: &str) -> Result<Params, Problem> {
        let mut params: Vec<SentParameter> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let pieces = value.split(',').map(decode).collect::<Result<Vec<_>, _>>()?;
            let before_commas = pieces.split_last().map_or([].as_slice(), |(_, before)| before);
            let is_one = before_commas.iter().all(|piece| piece.ends_with('\\'));
            let values = values_of(&pieces.join(","));
            if let Some(known) = params.iter_mut().find(|known| known.name == name) {
                known.values.extend(values);
                known.whole = None;
            } else {
                let whole = (is_one && values.len() > 1).then(|| values.join(","));
                params.push(SentParameter { name, values, whole });
            }
            if params.len() > MAX_PARAMETERS || params.iter().any(|known| known.values.len() > MAX_VALUES) {
                return Err(bad(format!(
                    "a query may have at most {MAX_PARAMETERS} parameters with {MAX_VALUES} values each"
                )));
            }
        }
        Ok(Params(params))
    }

    /// Refuses every parameter that is not in `known`. A known name that ends in `.` matches every parameter with this
    /// prefix.
    ///
    /// # Errors
    ///
    /// 400, suggesting the most similar known name.
    pub fn only(self, known: &[&str]) -> Result<Params, Problem> {
        let is_known = |name: &str| {
            known.iter().any(|known| match known.strip_suffix('.') {
                Some(_) => name.strip_prefix(known).is_some_and(|rest| !rest.is_empty()),
                None => name == *known,
            })
        };
        match self.0.iter().map(|sent| &sent.name).find(|name| !is_known(name)) {
            None => Ok(self),
            Some(name) if known.is_empty() => Err(bad(format!(
                "unknown query parameter `{}`; this path takes none",
                name.chars().take(64).collect::<String>()
            ))),
            Some(name) => Err(bad(unknown_name("query parameter", name, known))),
        }
    }

    /// Splits off the parameters with the names in `wanted`.
    #[must_use]
    pub fn split_off(&mut self, wanted: &[&str]) -> Params {
        let (taken, rest) =
            std::mem::take(&mut self.0).into_iter().partition(|sent| wanted.contains(&sent.name.as_str()));
        self.0 = rest;
        Params(taken)
    }

    /// These parameters and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Params {
        self.0.push(SentParameter { name: name.to_owned(), values: vec![value.to_owned()], whole: None });
        self
    }

    /// Returns true if and only if the query is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|sent| (sent.name.as_str(), sent.values.as_slice()))
    }

    /// The only value of a parameter. An encoded comma belongs to it.
    ///
    /// # Errors
    ///
    /// 400 when the parameter has several values.
    pub fn single(&self, name: &str) -> Result<Option<&str>, Problem> {
        let Some(sent) = self.0.iter().find(|sent| sent.name == name) else { return Ok(None) };
        match (sent.values.as_slice(), &sent.whole) {
            ([value], _) | (_, Some(value)) => Ok(Some(value)),
            _ => Err(bad(format!("`{name}` takes one value; send it once, and a comma within the value as `\\,`"))),
        }
    }

    /// The only value of a boolean parameter.
    ///
    /// # Errors
    ///
    /// 400 for another value.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.single(name)?.map(|value| flag_of(name, value)).transpose()
    }
}

/// Parses a revision.
///
/// # Errors
///
/// 400 for another value.
pub fn revision_of(name: &str, value: &str) -> Result<Revision, Problem> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // SQL integers are signed, so a revision has at most 63 bits.
    let revision = value.parse().ok().filter(|revision| digits && i64::try_from(*revision).is_ok()).map(Revision);
    revision.ok_or_else(|| bad(format!("`{name}` must be a revision: an integer from 0 to {}", i64::MAX)))
}

/// Parses a boolean value.
///
/// # Errors
///
/// 400 for another value.
pub fn flag_of(name: &str, value: &str) -> Result<bool, Problem> {
    filter_text::flag_of(name, value).map_err(bad)
}

/// The problem of an invalid query.
pub fn bad(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Kind::BadParameter, detail)
}

/// The values of a decoded text, between the commas that have no backslash before them.
fn values_of(text: &str) -> Vec<String> {
    let (mut values, mut value, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, after)) = rest.split_once(',') {
        if let Some(before) = before.strip_suffix('\\') {
            value.push_str(before);
            value.push(',');
        } else {
            value.push_str(before);
            values.push(std::mem::take(&mut value));
        }
        rest = after;
    }
    value.push_str(rest);
    values.push(value);
    values
}

fn decode(text: &str) -> Result<String, Problem> {
    let mut rest = text;
    while let Some((_, escape)) = rest.split_once('%') {
        if !escape.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(bad("the query has a `%` that is not followed by two hexadecimal digits"));
        }
        rest = escape.get(2..).unwrap_or_default();
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| bad("the query is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(bad("the query contains U+0000; remove it"));
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_comma_separated_values_are_the_same() {
        let values = |query: &str| {
            let params = Params::parse(query).unwrap();
            params.iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect::<Vec<_>>()
        };
        let expected = [("a", &["1", "2", "3"][..]), ("b", &["x,y z"])];
        let expected: Vec<_> = expected
            .map(|(name, values)| (name.to_owned(), values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>()))
            .into();
        for query in ["a=1,2&b=x\\,y+z&a=3", "a=1%2C2&b=x%5C%2Cy%20z&a=3", "a=1%2c2,3&b=x%5c,y+z"] {
            assert_eq!(values(query), expected, "{query}");
        }
    }

    #[test]
    fn a_parameter_of_one_value_keeps_its_encoded_commas() {
        let params = Params::parse("a=1%2C2\\,3%5C,4&b=1&b=2%2C3&c=1,2%2C3&d=4").unwrap();
        assert_eq!(params.single("a").unwrap(), Some("1,2,3,4"));
        assert!(params.single("b").is_err() && params.single("c").is_err());
        assert_eq!((params.single("d").unwrap(), params.single("e").unwrap()), (Some("4"), None));
    }

    #[test]
    fn only_a_comma_can_be_escaped() {
        for (text, expected) in [
            ("", &[""][..]),
            (",", &["", ""]),
            ("a,", &["a", ""]),
            ("\\,", &[","]),
            ("a\\", &["a\\"]),
            ("a\\b,c", &["a\\b", "c"]),
            ("a\\\\,b", &["a\\,b"]),
            ("\\,\\,,b", &[",,", "b"]),
        ] {
            assert_eq!(values_of(text), expected, "{text}");
        }
    }

    #[test]
    fn broken_queries_are_refused() {
        for query in ["a=%", "a=%f", "a=%zz", "a=%ff", "%00=1"] {
            assert!(Params::parse(query).is_err(), "{query}");
        }
        assert!(Params::parse("label.x=1").unwrap().only(&["label."]).is_ok());
        assert!(Params::parse("label.=1").unwrap().only(&["label."]).is_err());
    }
}
