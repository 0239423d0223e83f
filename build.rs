//! Puts the dashboard's files into the binary, compressed, and its own modules without comments and blank space.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use flate2::Compression;
use flate2::write::GzEncoder;

#[path = "src/dashboard/strip.rs"]
mod strip;
#[path = "src/dashboard/tree.rs"]
mod tree;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("src/dashboard");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
    let tree = tree::Tree::read(folder, small)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut table = format!("pub const HASH: &str = {:?};\npub const FILES: &[(&str, &[u8])] = &[\n", tree.hash);
    let page = (tree::PAGE.to_owned(), tree.page);
    for (number, (path, content)) in tree.files.into_iter().chain([page]).enumerate() {
        let name = format!("dashboard-{number}.gz");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&content)?;
        fs::write(out.join(&name), gzip.finish()?)?;
        writeln!(table, "    ({path:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))),")?;
    }
    table.push_str("];\n");
    fs::write(out.join("dashboard.rs"), table)?;
    Ok(())
}

/// What the binary has of a file. Packages come without comments already.
fn small(path: &str, content: Vec<u8>) -> Vec<u8> {
    if !path.starts_with("app/") {
        return content;
    }
    String::from_utf8(content).map_or_else(FromUtf8Error::into_bytes, |text| strip::strip(&text).into_bytes())
}
