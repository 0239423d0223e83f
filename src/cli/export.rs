//! `plugin-registry export`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::atomic_file::Output;
use super::progress::{Progress, say_when_interrupted};
use crate::clock::{Clock as _, SystemClock};
use crate::store::StoreUrl;
use crate::store::archive::writer::{ArchiveWriter, Content};
use crate::store::archive::{Part, digest};

/// The flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The store: `sqlite:PATH` or `postgres://…`.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
    /// The file to write, which only its owner can read; standard output if this is missing or `-`. The file is
    /// replaced after the export was written; devices and pipes are written to directly.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Include saved configurations, which may hold secrets.
    #[arg(long)]
    with_configs: bool,
    /// Include the kept changes. They show which configurations were saved, so this needs --with-configs.
    #[arg(long, requires = "with_configs")]
    with_history: bool,
}

impl ExportArgs {
    fn content(&self) -> Content {
        match (self.with_configs, self.with_history) {
            (_, true) => Content::History,
            (true, false) => Content::Configs,
            (false, false) => Content::Plugins,
        }
    }
}

/// Writes everything but what is kept beside the journal, as of one moment.
///
/// # Errors
///
/// If the store cannot be read, or the output cannot be written.
pub fn export(args: &ExportArgs) -> anyhow::Result<()> {
    match &args.output {
        None => write(args, std::io::stdout().lock()),
        Some(path) => Output::open(path)?.write(|file| write(args, file)),
    }
}

fn write(args: &ExportArgs, output: impl Write) -> anyhow::Result<()> {
    if !args.store.may_exist() {
        bail!("there is no store {}", args.store);
    }
    let open = || format!("the store {} cannot be opened", args.store);
    let mut store = args.store.open_archived().with_context(open)?;
    let mut writer = ArchiveWriter::new(BufWriter::new(output), args.content(), SystemClock.now());
    let (mut summary, mut progress) = (String::new(), Progress::new("entries", None, false));
    say_when_interrupted("the export is incomplete; a file is as it was before");
    let dumped = store.dump(&mut |part| {
        progress.add(1, "");
        if let Part::Head { snapshot, .. } = &part {
            let (state, digest) = (&snapshot.state, digest::of_state(&snapshot.state)?);
            let (revision, plugins) = (state.revision(), state.plugins().size());
            summary = format!("exported revision {revision}: {plugins} plugins, state sha256:{digest}");
        }
        writer.write(&part)
    });
    store.close();
    progress.end();
    dumped.with_context(|| format!("the store {} cannot be exported", args.store))?;
    writer.finish()?;
    // Standard output may be the archive.
    drop(writeln!(std::io::stderr(), "{summary}"));
    Ok(())
}
