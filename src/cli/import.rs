//! `plugin-registry import`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::progress::{Progress, say_when_interrupted};
use crate::store::archive::reader::ArchiveReader;
use crate::store::archive::{Part, digest};
use crate::store::{StoreError, StoreUrl};

/// The flags of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The store: `sqlite:PATH` or `postgres://…`. It must be empty; a missing one is created.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
    /// The file to read, written by `export`. Default: standard input.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Fills an empty store, in one transaction.
///
/// # Errors
///
/// If the input is incomplete, or the store is not empty or not writable.
pub fn import(args: &ImportArgs) -> anyhow::Result<()> {
    match &args.input {
        None => fill(args, std::io::stdin().lock()),
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            fill(args, BufReader::new(file))
        }
    }
}

fn fill(args: &ImportArgs, input: impl BufRead) -> anyhow::Result<()> {
    let open = || format!("the store {} cannot be opened", args.store);
    let (mut state, mut progress) = (None, Progress::new("entries", None, false));
    say_when_interrupted("nothing was imported");
    // The auxiliary data belongs to the original store: only `restore` takes it along.
    let parts = ArchiveReader::new(input).filter(|part| !matches!(part, Ok(Part::Auxiliary(_))));
    let mut parts = parts.inspect(|part| {
        progress.add(1, "");
        if let Ok(Part::Head { snapshot, .. }) = part {
            state = Some(snapshot.state.clone());
        }
    });
    let restored = args.store.fill(|store| store.restore(&mut parts)).with_context(open)?;
    drop(parts);
    progress.end();
    let nothing = || format!("nothing was imported into the store {}", args.store);
    let id = match restored {
        Err(StoreError::NotEmpty) => bail!("{}: {}; import into a new one", nothing(), StoreError::NotEmpty),
        restored => restored.with_context(nothing)?,
    };
    let state = state.unwrap_or_default();
    let (revision, plugins, digest) = (state.revision(), state.plugins().size(), digest::of_state(&state)?);
    let said = format!("imported revision {revision} into store {id}: {plugins} plugins, state sha256:{digest}");
    writeln!(std::io::stdout(), "{said}").context("cannot write the summary")
}
