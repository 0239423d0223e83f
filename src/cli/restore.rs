//! `plugin-registry restore`.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::progress::{Progress, say_when_interrupted};
use crate::store::archive::reader::ArchiveReader;
use crate::store::archive::verify::Verification;
use crate::store::{StoreError, StoreUrl};

/// The flags of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The file to read, written by `backup`.
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// The store: `sqlite:PATH` or `postgres://…`. A missing one is created.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
    /// Delete what the store holds first. Without this flag, a store that is not empty stays as it is.
    #[arg(long)]
    replace: bool,
}

/// Fills a store with a backup, in one transaction, and gives the store a new identity.
///
/// # Errors
///
/// If the file is not a complete backup, or the store is not empty or not writable.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let file = File::open(&args.input).with_context(|| format!("cannot read {}", args.input.display()))?;
    let open = || format!("the store {} cannot be opened", args.store);
    let (mut found, mut progress) = (Verification::default(), Progress::new("entries", None, false));
    say_when_interrupted("nothing was restored");
    let mut parts = ArchiveReader::of_backup(BufReader::new(file)).map(|part| {
        let part = part?;
        progress.add(1, "");
        found.count(&part)?;
        Ok(part)
    });
    let filled =
        args.store.fill(|store| if args.replace { store.replace(&mut parts) } else { store.restore(&mut parts) });
    drop(parts);
    progress.end();
    let nothing = || format!("nothing was restored into the store {}", args.store);
    let id = match filled.with_context(open)? {
        Err(StoreError::NotEmpty) => {
            bail!("{}: {}; --replace deletes its content", nothing(), StoreError::NotEmpty)
        }
        restored => restored.with_context(nothing)?,
    };
    let said = format!("restored into store {id}\n{}", found.report()?);
    std::io::stdout().write_all(said.as_bytes()).context("cannot write the summary")
}
