//! The dashboard: a page at `/`, and the modules and styles that it loads.
//!
//! It is a client of the API like any other, and asks with the token of its reader. `page.html`, `app/`, `style/` and
//! `vendor/` are what a browser loads. The binary has them compressed, and the modules of `app/` without comments and blank
//! space. [`handlers::dashboard`](crate::http::handlers::dashboard) answers with them.
//!
//! | file or folder | idea |
//! |---|---|
//! | [`tree`] | the files of a folder, their content hash, and the page that loads them |
//! | `strip.rs` | modules without comments and blank space, for `build.rs` |
//! | `page.html`, `app/`, `style/` | what runs in the browser |
//! | `vendor/` | libraries that run in the browser, from npm packages; `vendor.lock` names them |

#[cfg(test)]
mod strip;
mod tree;

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;

use self::tree::{PAGE, Tree, media_type};

/// What `build.rs` has put into the binary.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
}

/// Which files are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Dashboard {
    /// The files of the binary.
    #[default]
    Embedded,
    /// The files of a folder, read for every request: for people who change the dashboard.
    Folder(Arc<PathBuf>),
    /// None.
    Off,
}

/// A file, as it is sent.
#[derive(Debug, Clone)]
pub struct File {
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub content: Content,
    /// The hash of the files that it belongs to.
    pub hash: String,
    /// Whether its URL stands for this content for ever.
    pub is_immutable: bool,
}

/// The content of a file.
#[derive(Debug, Clone)]
pub enum Content {
    /// Compressed by gzip.
    Gzip(Bytes),
    /// As it is.
    Plain(Bytes),
}

impl Content {
    /// The content without compression.
    ///
    /// # Errors
    ///
    /// If it is not what gzip makes.
    pub fn plain(&self) -> io::Result<Bytes> {
        match self {
            Content::Plain(bytes) => Ok(bytes.clone()),
            Content::Gzip(bytes) => {
                let mut plain = Vec::new();
                GzDecoder::new(bytes.as_ref()).read_to_end(&mut plain)?;
                Ok(plain.into())
            }
        }
    }
}

impl Dashboard {
    /// The page; `None` without a dashboard.
    pub fn page(&self) -> Option<File> {
        match self {
            Dashboard::Off => None,
            Dashboard::Embedded => embedded_file(PAGE, false),
            Dashboard::Folder(_) => {
                let tree = self.tree()?;
                Some(File { content: Content::Plain(tree.page.into()), ..of_folder(PAGE, tree.hash)? })
            }
        }
    }

    /// A file that the page loads.
    ///
    /// A page of another version, as during an upgrade of several replicas, gets this version's files: what a browser
    /// already has of the other version may still go with them, and nothing would certainly fail.
    pub fn file(&self, hash: &str, path: &str) -> Option<File> {
        match self {
            Dashboard::Off => None,
            Dashboard::Embedded if path == PAGE => None,
            Dashboard::Embedded => embedded_file(path, hash == embedded::HASH),
            Dashboard::Folder(_) => {
                let mut tree = self.tree()?;
                let content = Content::Plain(tree.files.remove(path)?.into());
                Some(File { content, ..of_folder(path, tree.hash)? })
            }
        }
    }

    fn tree(&self) -> Option<Tree> {
        let Dashboard::Folder(folder) = self else { return None };
        match Tree::read(folder, |_, content| content) {
            Ok(tree) => Some(tree),
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "the dashboard's files cannot be read");
                None
            }
        }
    }

    /// How many bytes of compressed files the binary has.
    pub fn embedded_bytes() -> usize {
        embedded::FILES.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

fn embedded_file(path: &str, is_immutable: bool) -> Option<File> {
    let (path, bytes) = embedded::FILES.iter().find(|(known, _)| *known == path)?;
    let content = Content::Gzip(Bytes::from_static(bytes));
    Some(File { content, is_immutable, ..of_folder(path, embedded::HASH.to_owned())? })
}

fn of_folder(path: &str, hash: String) -> Option<File> {
    let media_type = if path == PAGE { "text/html; charset=utf-8" } else { media_type(path)? };
    Some(File { media_type, content: Content::Plain(Bytes::new()), hash, is_immutable: false })
}

impl FromStr for Dashboard {
    type Err = String;

    fn from_str(text: &str) -> Result<Dashboard, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Dashboard::Embedded),
            "false" | "no" | "off" | "0" => Ok(Dashboard::Off),
            _ => {
                let folder = PathBuf::from(text);
                if folder.join(PAGE).is_file() {
                    Ok(Dashboard::Folder(Arc::new(folder)))
                } else {
                    Err(format!("expected true, false, or a folder with the file {PAGE}"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser loads at most for the first page, compressed. The modules of other pages are loaded when they are opened.
    const MOST_FIRST: usize = 62 * 1024;

    /// What the binary has at most.
    const MOST_BYTES: usize = 150 * 1024;

    #[test]
    fn the_files_are_few_bytes() {
        let bytes = Dashboard::embedded_bytes();
        assert!(bytes <= MOST_BYTES, "{bytes} of {MOST_BYTES} bytes");
        let page = Dashboard::Embedded.page().unwrap().content.plain().unwrap();
        let page = String::from_utf8_lossy(&page);
        let folder = format!("href=\"ui/{}/", embedded::HASH);
        let links = page.split(folder.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
        let files = links.filter_map(|path| embedded::FILES.iter().find(|(known, _)| *known == path));
        let first: usize = files.map(|(_, bytes)| bytes.len()).sum();
        assert!((1..=MOST_FIRST).contains(&first), "{first} of {MOST_FIRST} bytes");
    }

    #[test]
    fn the_setting_is_a_boolean_or_a_folder_with_a_page() {
        assert_eq!("true".parse(), Ok(Dashboard::Embedded));
        assert_eq!("OFF".parse(), Ok(Dashboard::Off));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(path.parse::<Dashboard>().is_err(), "the folder has no page");
        std::fs::write(folder.path().join(PAGE), "{ui}").unwrap();
        let served = path.parse::<Dashboard>().unwrap().page().unwrap();
        assert_eq!(served.content.plain().unwrap(), format!("ui/{}", served.hash));
    }

    #[test]
    fn a_path_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join(PAGE), "").unwrap();
        std::fs::write(inner.join("a.js"), "a").unwrap();
        std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        let dashboard: Dashboard = inner.to_str().unwrap().parse().unwrap();
        assert!(dashboard.file("0", "a.js").is_some());
        for path in ["../secret.txt", "/etc/hosts", "../inner/a.js", "./a.js", PAGE] {
            assert!(dashboard.file("0", path).is_none(), "{path}");
        }
    }
}
