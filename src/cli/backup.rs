//! `plugin-registry backup`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;

use super::atomic_file::Output;
use super::connection::ClientArgs;
use super::progress::{Progress, say_when_interrupted};
use crate::client::Client;
use crate::clock::{Clock as _, SystemClock};
use crate::store::StoreUrl;
use crate::store::archive::Part;
use crate::store::archive::reader::ArchiveReader;
use crate::store::archive::verify::Verification;
use crate::store::archive::writer::{ArchiveWriter, Content};

/// The flags of `backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The file to write, which only its owner can read. It is replaced after the backup was written and read back. `-`
    /// is standard output; devices and pipes are written to directly.
    #[arg(value_name = "FILE")]
    output: PathBuf,
    /// The store: `sqlite:PATH` or `postgres://…`. Servers may use it meanwhile; the backup only reads.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
    /// Let the server at this address make the backup, instead of reading the store directly.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// How it is spoken to.
    #[command(flatten)]
    manner: ClientArgs,
}

/// Writes all that a restart would find again, as of one moment, and reads back what was written.
///
/// # Errors
///
/// If the store is unreadable or invalid, or the file cannot be written.
pub fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    let output = Output::open(&args.output)?;
    say_when_interrupted("the backup is incomplete; a file is as it was before");
    let found = output.write_checked(|file| {
        match &args.server {
            Some(server) => fetch(&args.manner.client(server)?, file)?,
            None => copy(&args.store, file)?,
        }
        read_back(file).context("what was written is no backup")
    })?;
    let said = format!("backed up {}\n{}", args.output.display(), found.report()?);
    if output.is_stream() {
        // The backup may go to standard output.
        drop(std::io::stderr().write_all(said.as_bytes()));
        return Ok(());
    }
    std::io::stdout().write_all(said.as_bytes()).context("the summary could not be written")
}

fn copy(store: &StoreUrl, file: &File) -> anyhow::Result<()> {
    if !store.may_exist() {
        bail!("there is no store {store}");
    }
    let mut writer = ArchiveWriter::new(BufWriter::new(file), Content::Backup, SystemClock.now());
    let mut progress = Progress::new("entries", None, false);
    let mut write = |part: Part| {
        progress.add(1, "");
        writer.write(&part)
    };
    let dumped = store.open_history().and_then(|history| history.dump(&mut write));
    progress.end();
    dumped.with_context(|| format!("the store {store} cannot be backed up"))?;
    writer.finish()?;
    Ok(())
}

fn fetch(client: &Client, file: &File) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut output = BufWriter::new(file);
        let mut backup = client.backup().await?;
        let mut progress = Progress::new("bytes", None, false);
        while let Some(piece) = backup.next().await? {
            progress.add(u64::try_from(piece.len()).unwrap_or_default(), "");
            output.write_all(&piece).context("the backup cannot be written")?;
        }
        progress.end();
        output.flush().context("the backup cannot be written")
    })
}

/// Replays the content of the file, so that an unusable backup fails today.
fn read_back(mut file: &File) -> anyhow::Result<Verification> {
    file.rewind()?;
    let mut found = Verification::default();
    for part in ArchiveReader::of_backup(BufReader::new(file)) {
        found.count(&part?)?;
    }
    Ok(found)
}
