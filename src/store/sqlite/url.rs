//! The file in a store's URL: our own `sqlite:PATH`, and the forms of sqlx and SQLAlchemy for the same file.
//!
//! SQLite itself would use most of these URLs as file names. If sqlx and SQLAlchemy disagree, this refuses the URL and
//! names both spellings.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// The file after `sqlite:`.
///
/// | URL | file | form of |
/// |---|---|---|
/// | `sqlite:r.db`, `sqlite:/abs/r.db` | `r.db`, `/abs/r.db` | ours, sqlx |
/// | `sqlite://r.db` | `r.db` | sqlx |
/// | `sqlite:///abs/r.db` | `/abs/r.db` | sqlx |
/// | `sqlite:////abs/r.db` | `/abs/r.db` | SQLAlchemy, sqlx |
///
/// Percent-encoding works for every byte. `?mode=rwc` may follow, because every store is opened that way.
///
/// # Errors
///
/// If the URL names no file, or another file than sqlx or SQLAlchemy would open. The message contains the right
/// spelling.
pub fn read(text: &str) -> Result<PathBuf, String> {
    let (written, query) = text.split_once('?').map_or((text, None), |(written, query)| (written, Some(query)));
    if written.contains(":memory:") || query.is_some_and(|query| query.split('&').any(|pair| pair == "mode=memory")) {
        return Err("a database in memory keeps nothing; write `memory`".into());
    }
    query.map_or(Ok(()), check_parameters)?;
    let (slashes, rest) = written.split_at(written.len() - written.trim_start_matches('/').len());
    let path = match slashes.len() {
        _ if rest.is_empty() && slashes == "//" => {
            return Err(
                "in SQLAlchemy `sqlite://` is a database in memory; write `memory`, or `sqlite:PATH` for a file".into(),
            );
        }
        _ if rest.is_empty() => return Err("`sqlite:` must be followed by the path of a file".into()),
        0 | 2 => rest.to_owned(),
        3 if is_ambiguous(rest) => {
            return Err(format!(
                "`sqlite:///{rest}` is /{rest} in sqlx and ./{rest} in SQLAlchemy; write `sqlite:/{rest}` or `sqlite:{rest}`"
            ));
        }
        _ => format!("/{rest}"),
    };
    if let Some(file) = rest.strip_prefix("file:") {
        let name = file.trim_start_matches("//");
        return Err(format!("a URI within the URL is not supported; write `sqlite:{name}`"));
    }
    decoded(&path)
}

/// The text after `sqlite:` for a path, as [`read`] parses it.
pub fn write(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '%' => text.push_str("%25"),
                '?' => text.push_str("%3F"),
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// After three slashes, sqlx expects an absolute path and SQLAlchemy a relative one. A store in a folder below the root
/// is common, and relative paths seldom name such a folder. A file in the root itself is rare, and a relative name is
/// common.
fn is_ambiguous(rest: &str) -> bool {
    !rest.contains('/') || rest.starts_with("./") || rest.starts_with("../")
}

fn check_parameters(query: &str) -> Result<(), String> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("mode", "rwc") | ("cache", "private") => {}
            ("mode", _) => {
                return Err(
                    "the registry reads and writes a store, and creates a missing one; omit `mode`, or write `mode=rwc`"
                        .into(),
                );
            }
            (name, _) => {
                return Err(format!(
                    "the parameter `{name}` is not supported; write `sqlite:PATH` alone (a `?` in the path as `%3F`)"
                ));
            }
        }
    }
    Ok(())
}

fn decoded(path: &str) -> Result<PathBuf, String> {
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if path.split('%').skip(1).any(|rest| !is_escape(rest)) {
        return Err("a `%` must be followed by two hexadecimal digits; write the character itself as `%25`".into());
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if bytes.contains(&0) {
        return Err("a path cannot hold U+0000".into());
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("r.db", "r.db")]
    #[case("r.db?mode=rwc", "r.db")]
    #[case("/abs/r.db?mode=rwc&cache=private", "/abs/r.db")]
    #[case("//r.db", "r.db")]
    #[case("//data/r.db?mode=rwc", "data/r.db")]
    #[case("///abs/r.db", "/abs/r.db")]
    #[case("////abs/r.db", "/abs/r.db")]
    #[case("////r.db", "/r.db")]
    #[case("/r.db", "/r.db")]
    #[case("./file:r.db", "./file:r.db")]
    #[case("a%20b%3Fc.db", "a b?c.db")]
    #[case("100%25.db", "100%.db")]
    #[case("r.db?", "r.db")]
    fn the_file_that_is_meant(#[case] text: &str, #[case] file: &str) {
        let path = read(text).unwrap();
        assert_eq!(path, Path::new(file), "{text}");
        assert_eq!(read(&write(&path)).unwrap(), path, "{text}");
    }

    #[rstest]
    #[case("", "path of a file")]
    #[case("/", "path of a file")]
    #[case("?mode=rwc", "path of a file")]
    #[case("//", "memory")]
    #[case(":memory:", "`memory`")]
    #[case("///:memory:", "`memory`")]
    #[case("r.db?mode=memory", "`memory`")]
    #[case("file:r.db", "`sqlite:r.db`")]
    #[case("///file:r.db?mode=rwc", "`sqlite:/file:r.db`")]
    #[case("//file:///abs/r.db", "`sqlite:/abs/r.db`")]
    #[case("///r.db", "`sqlite:/r.db` or `sqlite:r.db`")]
    #[case("///./r.db", "`sqlite:./r.db`")]
    #[case("r.db?mode=ro", "mode=rwc")]
    #[case("r.db?mode=rw", "mode=rwc")]
    #[case("r.db?immutable=1", "`immutable`")]
    #[case("what?.db", "%3F")]
    #[case("100%.db", "%25")]
    #[case("%0", "%25")]
    #[case("a%00b", "U+0000")]
    fn another_file_than_meant_would_have_been_opened(#[case] text: &str, #[case] told: &str) {
        let refused = read(text).unwrap_err();
        assert!(refused.contains(told), "{text}: {refused}");
    }

    #[test]
    fn a_path_that_is_no_text_is_written_so_that_it_is_found_again() {
        let path = PathBuf::from(OsString::from_vec(b"/data/\xff.db".to_vec()));
        assert_eq!((write(&path), read(&write(&path)).unwrap()), ("/data/%FF.db".to_owned(), path));
    }
}
