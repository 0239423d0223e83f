//! Selects the media type of the reply: the header field Accept (RFC 9110 section 12.5.1).

use hyper::HeaderMap;
use hyper::header::ACCEPT;

use crate::http::media_type::JSON;
use crate::http::operations::Operation;
use crate::http::problem::{Kind, Problem};

/// Refuses a request whose Accept excludes every media type of the route.
///
/// # Errors
///
/// 406, naming the media types of the route.
pub fn require_acceptable(operation: Option<&Operation>, headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(ACCEPT).is_none_or(|accept| accept == "*/*") {
        return Ok(());
    }
    let offered = operation.map_or([JSON].as_slice(), |operation| operation.media_types);
    if offered.is_empty() {
        return Ok(());
    }
    match best(headers, offered) {
        Some(_) => Ok(()),
        None => Err(Problem::new(Kind::NotAcceptable, format!("this path offers only {}", offered.join(" or ")))),
    }
}

/// Returns true if and only if the client prefers `wanted` to all other media types in `offered`.
pub fn prefers(headers: &HeaderMap, offered: &[&str], wanted: &str) -> bool {
    best(headers, offered) == Some(wanted)
}

/// The media type to answer with; the first one if the client accepts none.
pub fn chosen<'a>(headers: &HeaderMap, offered: &[&'a str]) -> &'a str {
    best(headers, offered).or_else(|| offered.first().copied()).unwrap_or(JSON)
}

/// The offer with the highest quality; of equal offers, the first. `None` when the client accepts no offer.
fn best<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let mut best: Option<(&str, f32)> = None;
    for offer in offered {
        let quality = quality(headers, offer);
        if quality > best.map_or(0.0, |(_, quality)| quality) {
            best = Some((offer, quality));
        }
    }
    best.map(|(offer, _)| offer)
}

/// The quality of a media type, from 0 (not acceptable) to 1. The most specific range that matches decides.
fn quality(headers: &HeaderMap, offer: &str) -> f32 {
    let mut ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|range| !range.trim().is_empty())
        .peekable();
    if ranges.peek().is_none() {
        return 1.0;
    }
    let (major, _) = offer.split_once('/').unwrap_or((offer, ""));
    let covering = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let specificity = match name.as_str() {
            "*/*" => 1,
            name if name == offer => 3,
            name if name.strip_suffix("/*") == Some(major) => 2,
            // A client that accepts only problem documents gets JSON documents, too.
            crate::http::problem::PROBLEM_JSON if offer == JSON => 1,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((specificity, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))))
    });
    covering.max_by_key(|(specificity, _)| *specificity).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::media_type::NDJSON;

    fn best_of(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        best(&headers, &[JSON, NDJSON])
    }

    #[test]
    fn the_most_specific_range_counts() {
        assert_eq!(best(&HeaderMap::new(), &[JSON, NDJSON]), Some(JSON));
        assert_eq!(best_of("*/*"), Some(JSON));
        assert_eq!(best_of("application/x-ndjson"), Some(NDJSON));
        assert_eq!(best_of("application/json;q=0.5, application/x-ndjson"), Some(NDJSON));
        assert_eq!(best_of("text/html, */*;q=0.1"), Some(JSON));
        assert_eq!(best_of("application/*, application/json;q=0"), Some(NDJSON));
        assert_eq!(best_of("text/html"), None);
        assert_eq!(best_of("*/*;q=0"), None);
    }
}
