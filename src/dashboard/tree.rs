//! The files of the dashboard: which there are, their content hash, and the page that loads them.
//!
//! `build.rs` compiles this file, too, and puts the files into the binary with it. With `--dashboard FOLDER`, the server
//! reads a folder with it for each request.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::mem;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The page, which is served at `/`.
pub const PAGE: &str = "page.html";

/// The module that the page starts; all others follow from its imports.
const START: &str = "app/main.js";

/// What the page writes for the folder of all other files.
const FOLDER_MARK: &str = "{ui}";

/// What the page writes where the links to the modules go.
const PRELOAD_MARK: &str = "<!-- modulepreload -->";

/// The media types of files that are served, by extension. Other files, such as types and locks, are for developers.
const MEDIA_TYPES: [(&str, &str); 4] = [
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
];

/// The files of a folder.
pub struct Tree {
    /// Contents by path, with `/` between its parts. The page is not among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// A hash of the page and of all files.
    pub hash: String,
    /// The page, with the hash in its links.
    pub page: Vec<u8>,
}

impl Tree {
    /// Reads a folder, and makes of each file what is served.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or there is no page.
    pub fn read(folder: &Path, made: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> io::Result<Tree> {
        let mut files = BTreeMap::new();
        gather(folder, "", &mut files)?;
        for (path, content) in &mut files {
            *content = made(path, mem::take(content));
        }
        let page = fs::read_to_string(folder.join(PAGE))?;
        let hash = hash(&page, &files);
        let page = linked(&page, &format!("ui/{hash}"), &files).into_bytes();
        Ok(Tree { files, hash, page })
    }
}

/// The media type of a file; `None` if it is not served.
pub fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    MEDIA_TYPES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

fn gather(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), &format!("{path}/"), files)?;
        } else if media_type(&path).is_some() {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn hash(page: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hasher = Sha256::new();
    for (path, content) in files.iter().map(|(path, content)| (path.as_str(), content.as_slice())) {
        // With the lengths, so that moving a byte from one file to the next makes another hash.
        hasher.update(format!("{path}\n{}\n", content.len()));
        hasher.update(content);
    }
    hasher.update(page);
    let digest = hasher.finalize();
    format!("{:016x}", digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}

/// The page with its links in place.
fn linked(page: &str, folder: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    // A module's imports are known only when it has arrived; the links let the browser ask for all at once.
    let links: Vec<String> =
        modules(files).iter().map(|path| format!("<link rel=\"modulepreload\" href=\"{folder}/{path}\">")).collect();
    page.replace(PRELOAD_MARK, &links.join("\n")).replace(FOLDER_MARK, folder)
}

/// The modules that the first one needs, itself included. A module that is imported only by `import(…)` is not among
/// them.
fn modules(files: &BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![START.to_owned()];
    while let Some(path) = next.pop() {
        let Some(content) = files.get(&path) else { continue };
        if found.insert(path.clone()) {
            next.extend(imports(&String::from_utf8_lossy(content)).iter().filter_map(|name| resolve(&path, name)));
        }
    }
    found
}

/// What a module imports by its statements `import … from "…"`, `import "…"` and `export … from "…"`.
fn imports(text: &str) -> Vec<String> {
    let after = |word: &'static str| {
        text.split(word).skip(1).filter_map(|rest| {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first))?;
            rest.get(1..)?.split(quote).next().map(str::to_owned)
        })
    };
    after("from").chain(after("import")).filter(|name| name.starts_with('.')).collect()
}

/// A relative path in a module, as a path in the folder.
fn resolve(module: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = module.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_page_links_to_what_its_modules_import() {
        let files = files(&[
            ("app/main.js", "import { a } from \"./views/a.js\";\nimport '../vendor/b.js';\nimport(\"./late.js\");"),
            ("app/views/a.js", "export*from\"../core.js\";// @import {T} from './gone.js'"),
            ("app/core.js", "import \"./main.js\";"),
            ("app/late.js", ""),
            ("vendor/b.js", ""),
        ]);
        let page = linked("<!-- modulepreload -->|<script src=\"{ui}/app/main.js\">", "ui/1", &files);
        let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, ["ui/1/app/core.js", "ui/1/app/main.js", "ui/1/app/views/a.js", "ui/1/vendor/b.js"]);
        assert!(page.ends_with("|<script src=\"ui/1/app/main.js\">"), "{page}");
    }

    #[test]
    fn every_change_changes_the_hash() {
        let before = files(&[("a.js", "ab"), ("b.js", "c")]);
        let hashes = [
            hash("p", &before),
            hash("q", &before),
            hash("p", &files(&[("a.js", "a"), ("b.js", "bc")])),
            hash("p", &files(&[("a.js", "ab"), ("c.js", "c")])),
        ];
        assert_eq!(BTreeSet::from(hashes.clone()).len(), hashes.len(), "{hashes:?}");
        assert_eq!(hash("p", &before), hashes[0]);
    }
}
