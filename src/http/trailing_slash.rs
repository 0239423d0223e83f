//! A path with a trailing slash is the path without it: `/plugins/` is `/plugins`.
//!
//! The server changes the target before it routes a request, so every layer and handler sees one form.

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

/// The files of the API browser, whose links are relative to a path with a trailing slash.
const BROWSER: &str = "/docs/";

/// Removes one trailing slash from the path of a request's target.
pub fn remove(target: &mut Uri) {
    let path = target.path();
    let Some(kept) = path.strip_suffix('/').filter(|kept| !kept.is_empty() && !path.starts_with(BROWSER)) else {
        return;
    };
    let written = match target.query() {
        Some(query) => format!("{kept}?{query}"),
        None => kept.to_owned(),
    };
    let mut parts = target.clone().into_parts();
    // A part of a valid path is a valid path.
    parts.path_and_query = PathAndQuery::try_from(written).ok();
    if let Ok(without) = Uri::from_parts(parts) {
        *target = without;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_is_removed_and_the_rest_stays() {
        for (sent, expected) in [
            ("/plugins/", "/plugins"),
            ("/plugins/?limit=1&q=a/", "/plugins?limit=1&q=a/"),
            ("/plugins/c_n/", "/plugins/c_n"),
            ("/plugins//", "/plugins/"),
            ("/plugins/c%2F", "/plugins/c%2F"),
            ("/plugins", "/plugins"),
            ("http://h:1/plugins/?x", "http://h:1/plugins?x"),
            ("/", "/"),
            ("/?x", "/?x"),
            ("*", "*"),
            ("/docs", "/docs"),
            ("/docs/", "/docs/"),
            ("/docs/a/", "/docs/a/"),
        ] {
            let mut target: Uri = sent.parse().unwrap();
            remove(&mut target);
            assert_eq!(target, expected, "{sent}");
        }
    }
}
