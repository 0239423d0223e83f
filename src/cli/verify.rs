//! `plugin-registry store verify`.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::progress::{Progress, say_when_interrupted};
use crate::store::StoreUrl;
use crate::store::archive::Part;
use crate::store::archive::reader::ArchiveReader;
use crate::store::archive::verify::Verification;

/// The flags of `store verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The store: `sqlite:PATH` or `postgres://…`.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
    /// Check a file that `backup` or `export` has written, instead of a store.
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
}

/// Replays the journal, compares the result with the stored state, and prints digests. Equal registries have equal
/// digests.
///
/// # Errors
///
/// The first difference, or why the store is unreadable.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let report = match &args.archive {
        Some(path) => of_archive(path)?,
        None => of_store(&args.store)?,
    };
    std::io::stdout().write_all(report.as_bytes()).context("cannot write the report")
}

fn of_store(store: &StoreUrl) -> anyhow::Result<String> {
    if !store.may_exist() {
        bail!("there is no store {store}");
    }
    let mut opened = store.open_archived().with_context(|| format!("the store {store} cannot be opened"))?;
    let (mut found, mut progress) = (Verification::default(), Progress::new("entries", None, false));
    say_when_interrupted("not everything was checked");
    let mut replay = |part: Part| {
        progress.add(1, "");
        found.replay(&part)
    };
    let examined = opened.dump(&mut replay).and_then(|()| found.finish());
    progress.end();
    opened.close();
    examined.with_context(|| format!("the store {store} is not right"))?;
    Ok(found.report()?)
}

/// Reading an archive replays it.
fn of_archive(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut found = Verification::default();
    for part in ArchiveReader::new(BufReader::new(file)) {
        part.and_then(|part| found.count(&part)).with_context(|| format!("{} is not right", path.display()))?;
    }
    Ok(found.report()?)
}
