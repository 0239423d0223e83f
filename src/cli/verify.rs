//! `plugin-registry store verify`.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::store::archive::Part;
use crate::store::archive::digest::{self, Digest};
use crate::store::archive::replay::Replay;
use crate::store::{StoreError, StoreUrl};

/// The flags of `store verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The store: `sqlite:PATH` or `postgres://…`.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    store: StoreUrl,
}

/// What was found.
#[derive(Default)]
struct Examination {
    replay: Option<Replay>,
    journal: Digest,
    /// The first lines of the report.
    report: String,
}

/// Replays the journal, compares what it leads to with what is kept, and prints digests, which are equal for equal
/// registries.
///
/// # Errors
///
/// The first difference; or that the store cannot be read.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    if !args.store.may_exist() {
        bail!("there is no store {}", args.store);
    }
    let open = || format!("the store {} cannot be opened", args.store);
    let mut store = args.store.open_archived().with_context(open)?;
    let mut found = Examination::default();
    let examined = store.dump(&mut |part| found.take(&part)).and_then(|()| found.finish());
    store.close();
    let report = examined.with_context(|| format!("the store {} is not right", args.store))?;
    std::io::stdout().write_all(report.as_bytes()).context("the report could not be written")
}

impl Examination {
    fn take(&mut self, part: &Part) -> Result<(), StoreError> {
        match part {
            Part::Head { snapshot, horizon } => {
                let state = &snapshot.state;
                self.report = format!(
                    "store {}: revision {}, {} plugins, every change after revision {horizon}\nstate sha256:{}\n",
                    snapshot.store,
                    state.revision(),
                    state.plugins().size(),
                    digest::of_state(state)?,
                );
                self.journal.add(&horizon.0.to_be_bytes());
                self.replay = Some(Replay::new(state.clone(), *horizon));
                Ok(())
            }
            Part::Change(row) => {
                self.journal.add_change(row)?;
                self.replay.as_mut().map_or(Ok(()), |replay| replay.take(row))
            }
        }
    }

    fn finish(&mut self) -> Result<String, StoreError> {
        self.replay.take().map_or(Ok(()), Replay::finish)?;
        Ok(format!("{}journal sha256:{}\n", self.report, std::mem::take(&mut self.journal).finish()))
    }
}
