//! Strict parsing of a target's URL: absolute, HTTP, and without parts that are never sent.

use url::Url;

/// The longest URL of a target, in bytes.
pub const MAX_URL: usize = 2048;

/// Parses the URL of a target. The address policy checks the address separately.
///
/// # Errors
///
/// Why the URL is invalid, for the user who sent it.
pub fn read(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("must not be longer than {MAX_URL} bytes"));
    }
    // The URL parser would strip some of these characters, and accept others.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not contain white space, control characters or backslashes".into());
    }
    if !(text.starts_with("http://") || text.starts_with("https://")) {
        return Err("must begin with `http://` or `https://`".into());
    }
    let url = Url::parse(text).map_err(|error| format!("must be an absolute URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or a password".into());
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment (`#`), which is never sent".into());
    }
    if url.as_str().len() > MAX_URL {
        return Err(format!("must not be longer than {MAX_URL} bytes when it is encoded"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("example.com")]
    #[case("ftp://example.com/")]
    #[case("HTTP://example.com/")]
    #[case("file:///etc/passwd")]
    #[case("gopher://example.com/")]
    #[case("http:example.com")]
    #[case("http://")]
    #[case("http://user@example.com/")]
    #[case("http://user:password@example.com/")]
    #[case("http://example.com/#here")]
    #[case(" http://example.com/")]
    #[case("http://exa\tmple.com/")]
    #[case("http://example.com\\@127.0.0.1/")]
    #[case("http://example.com:99999/")]
    #[case("http://[::1/")]
    fn what_is_no_target_is_refused(#[case] url: &str) {
        assert!(read(url).is_err(), "{url}");
    }

    #[test]
    fn a_target_that_is_too_long_is_refused() {
        assert!(read(&format!("http://example.com/{}", "x".repeat(MAX_URL))).is_err());
        assert!(read(&format!("http://example.com/{}", "ü".repeat(MAX_URL / 3))).is_err());
    }
}
