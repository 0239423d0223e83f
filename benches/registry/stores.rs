//! The stores that hold the plugins: SQLite files, filled through the registry's own writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::documents;
use crate::settings::Settings;
use domain::command::{Command, Request};
use domain::plugin::{Registration, json};
use plugin_registry::clock::SystemClock;
use plugin_registry::registry::Registry;
use plugin_registry::store::StoreUrl;

/// How many registrations wait for the writer at a time.
const AT_A_TIME: usize = 1_000;

/// The paths of filled, closed stores.
#[derive(Debug)]
pub(crate) struct Stores {
    /// The store with all plugins.
    pub(crate) full: PathBuf,
    /// The store with fewer plugins, but as many active ones.
    pub(crate) small: PathBuf,
    /// The empty store.
    pub(crate) empty: PathBuf,
}

impl Stores {
    /// Creates the stores.
    pub(crate) fn fill(settings: &Settings) -> anyhow::Result<Stores> {
        let path = |name: &str| settings.folder.path().join(name);
        let stores = Stores { full: path("full.db"), small: path("small.db"), empty: path("empty.db") };
        fill(&stores.full, settings.plugins, every(settings.plugins, settings.active))?;
        fill(&stores.small, settings.fewer_plugins, every(settings.fewer_plugins, settings.active))?;
        fill(&stores.empty, 0, documents::idle)?;
        Ok(stores)
    }
}

/// The registry of a store.
pub(crate) fn open(store: &StoreUrl) -> anyhow::Result<Registry> {
    Ok(Registry::start(store.open()?, Arc::new(SystemClock))?)
}

/// The documents of plugins, of which `active` hold a process: every so many-th.
fn every(plugins: usize, active: usize) -> impl Fn(usize) -> String {
    let every = plugins.checked_div(active).unwrap_or(usize::MAX);
    move |number: usize| match number % every {
        0 => documents::active(number),
        _ => documents::idle(number),
    }
}

/// Creates a store with plugins of these documents.
pub(crate) fn fill(path: &Path, plugins: usize, document_of: impl Fn(usize) -> String) -> anyhow::Result<()> {
    let registry = open(&StoreUrl::Sqlite(path.to_owned()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(register(&registry, plugins, document_of)).context("the plugins could not be registered")?;
    runtime.block_on(registry.close());
    Ok(())
}

/// Registers plugins.
async fn register(registry: &Registry, plugins: usize, document_of: impl Fn(usize) -> String) -> anyhow::Result<()> {
    for first in (0..plugins).step_by(AT_A_TIME) {
        let mut waiting = Vec::with_capacity(AT_A_TIME);
        for number in first..plugins.min(first + AT_A_TIME) {
            let registration = Registration::read(json::parse(document_of(number).as_bytes())?)?;
            waiting.push(registry.enqueue(Request::plain(Command::Register(Box::new(registration)))).await?);
        }
        for pending in waiting {
            pending.outcome().await?;
        }
    }
    Ok(())
}
