//! Conditional requests (RFC 9110 section 13): If-Match and If-None-Match.

use axum::extract::FromRequestParts;
use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use hyper::http::request::Parts;

use crate::http::problem::{Kind, Problem};
use crate::http::state::Shared;
use domain::EntityTag;
use domain::command::Precondition;
use domain::command::request::TagCondition;

impl FromRequestParts<Shared> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        precondition(&parts.headers)
    }
}

/// Reads both header fields.
///
/// # Errors
///
/// 400 when a field is neither a list of entity tags nor `*`; 412 when If-Match has weak tags only.
pub fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    if let Some(weak) = only_weak(headers) {
        let detail = format!(
            "If-Match has the weak tag W/{weak}, which never matches (RFC 9110 section 13.1.1); send a plugin's tag \
             without W/, which a proxy may have added when it compressed the response"
        );
        return Err(Problem::new(Kind::PreconditionFailed, detail));
    }
    Ok(Precondition {
        // If-Match compares strongly (section 13.1.1): a weak tag matches nothing.
        if_match: condition(headers, &IF_MATCH, |(weak, tag)| (!weak).then_some(tag))?,
        // If-None-Match compares weakly (section 13.1.2).
        if_none_match: condition(headers, &IF_NONE_MATCH, |(_, tag)| Some(tag))?,
    })
}

/// A tag of an If-Match whose tags are all weak.
fn only_weak(headers: &HeaderMap) -> Option<String> {
    let texts = headers.get_all(IF_MATCH).iter().map(|line| line.to_str().ok()).collect::<Option<Vec<_>>>()?;
    let tags = entity_tags(&texts.join(","))?;
    tags.iter().all(|(weak, _)| *weak).then(|| tags.into_iter().next().map(|(_, tag)| tag))?
}

fn condition(
    headers: &HeaderMap,
    name: &HeaderName,
    counts: impl Fn((bool, String)) -> Option<String>,
) -> Result<Option<TagCondition>, Problem> {
    let wrong =
        || Problem::new(Kind::BadRequest, format!("{name} must be `*` or a list of entity tags such as \"abc-1\""));
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let texts = lines.map(|line| line.to_str().map_err(|_| wrong())).collect::<Result<Vec<_>, _>>()?;
    let joined = texts.join(",");
    if joined.trim() == "*" {
        return Ok(Some(TagCondition::Any));
    }
    let tags = entity_tags(&joined).ok_or_else(wrong)?;
    // Tags that this registry has not made match nothing.
    let ours = tags.into_iter().filter_map(counts).filter_map(|tag| tag.parse::<EntityTag>().ok());
    Ok(Some(TagCondition::OneOf(ours.collect())))
}

/// The tags of a list, each with whether the tag is weak. `None` when the text is not a list of tags.
fn entity_tags(list: &str) -> Option<Vec<(bool, String)>> {
    let mut tags = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (opaque, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if opaque.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        tags.push((weak, format!("\"{opaque}\"")));
        // Empty elements of a list are ignored (section 5.6.1.2).
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start_matches([' ', '\t', ',']),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    (!tags.is_empty()).then_some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags() {
        assert_eq!(entity_tags(r#""a""#), Some(vec![(false, "\"a\"".into())]));
        assert_eq!(entity_tags(r#" W/"a" ,, "b,c" "#), Some(vec![(true, "\"a\"".into()), (false, "\"b,c\"".into())]));
        for wrong in ["", "a", "\"a", "a\"", "\"a\" \"b\"", "*, \"a\"", "\"a b\"", "w/\"a\""] {
            assert_eq!(entity_tags(wrong), None, "{wrong}");
        }
    }
}
