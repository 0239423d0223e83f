//! Where the journal is kept.
//!
//! A [`Journal`] is called from the writer's thread alone and may wait for a disk. It knows no
//! rules: what a change means is for [`crate::registry`] to say.
//!
//! | file | idea |
//! |---|---|
//! | [`memory`] | nothing survives the process; for tests and trials |
//! | [`sqlite`] | the default: one file, one fsync a batch |
//! | [`postgres`] | for several replicas: one database |
//! | [`head`] | whether a store is still the one that a process knows |
//! | [`webhooks`] | where webhooks are kept, beside the journal |
//! | [`beats`] | where processes on one store tell each other who lives |
//! | [`tokens`] | where tokens are kept |
//! | [`row`], [`book_row`] | a change, and what was spent, as rows, the same in every SQL store |
//! | [`archive`] | a whole store as a file |

pub mod archive;
pub mod head;
pub mod heartbeats;
pub mod ledger_row;
pub mod memory;
pub mod postgres;
pub mod row;
pub mod sqlite;
pub mod tokens;
pub mod webhooks;

mod error;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use archive::{Archived, Part};
use jiff::Timestamp;
use postgres::url::PostgresUrl;

pub use self::heartbeats::{Heartbeat, HeartbeatKind, HeartbeatStore};
pub use self::webhooks::DeliveryProgress;
use domain::change::history::{ChangePage, ChangeRange, PriorState};
use domain::change::{Change, Event, Transition};
use domain::command::idempotency::KeptAnswer;
use domain::cost::{Account, Accrual};
use domain::plugin::{Name, PluginKey, UniqueId};
use domain::record::Record;
use domain::{Category, Lease, LeaseId, Revision, Snapshot, State};
pub use error::StoreError;
pub use tokens::{Addition, TokenStore};
pub use webhooks::{Claim, KeptWebhook, WebhookStore};

/// Wakes the writer. It may be called from any thread, and as often as one likes.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A durable, ordered, gapless log of changes, together with the documents that it leads to.
///
/// `begin`, then `commit` or `roll_back`: between them, no other process can write.
pub trait Journal: Send + 'static {
    /// Calls `wake` from now on when others may have written; where it can be told of that. Otherwise the writer looks by
    /// itself now and then.
    fn on_news(&mut self, _wake: Wake) {}

    /// The state as of the head.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or what it holds is not right.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Takes the write lock, across all processes, and returns the changes after `known`, where the caller stands.
    ///
    /// These are changes of other processes, or those of a commit whose outcome was not known.
    ///
    /// # Errors
    ///
    /// When the lock cannot be had or the head cannot be read, or belongs to another history than `known`; then there
    /// is nothing to roll back.
    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError>;

    /// The answers that are kept under some of these keys. Called after `begin`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError>;

    /// Makes a batch durable, and gives the lock back. Called after `begin`.
    ///
    /// # Errors
    ///
    /// When it may not have become durable. The caller rolls back, and publishes nothing; should
    /// the batch be there all the same, the next `begin` returns it.
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError>;

    /// Gives the lock back without writing, if it is held.
    fn roll_back(&mut self);

    /// The changes that others have written after `known`, without taking the lock.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError>;

    /// At most `limit` changes after a revision, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or not all changes after that revision are kept.
    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError>;

    /// Forgets changes at or before `compact_revision` that no longer stand, of at most `steps` revisions and none after the head;
    /// returns the revision after which every change is kept.
    ///
    /// What stood at any later revision can still be told: of each plugin and category, the newest change up to
    /// the horizon is kept, unless that is its end.
    ///
    /// # Errors
    ///
    /// When the store cannot be written. Nothing is lost by that.
    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError>;

    /// Forgets some of the answers that were given before a time, `limit` of them at most.
    ///
    /// # Errors
    ///
    /// When the store cannot be written. Nothing is lost by that.
    fn forget_answers(&mut self, before: Timestamp, limit: usize) -> Result<(), StoreError>;

    /// The same journal, to be read beside this.
    fn history(&self) -> Arc<dyn History>;

    /// The webhooks that are kept in the same store.
    fn webhooks(&self) -> Arc<dyn WebhookStore>;

    /// The signs of life that are shared through the same store.
    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore>;

    /// The tokens that are kept in the same store.
    fn tokens(&self) -> Arc<dyn TokenStore>;

    /// Leaves the store in its tidiest form. Everything committed is durable without it.
    fn close(&mut self);
}

/// The journal as it is read beside the writer, by any number of threads at a time. It may wait for a disk.
pub trait History: Send + Sync + 'static {
    /// The changes of a range that happened after the horizon, with what they have done, in its order.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn read(&self, range: &ChangeRange) -> Result<ChangePage, StoreError>;

    /// What stood at `revision` of everything that has changed since; nothing of use, but the
    /// horizon, when that is later.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn rewind(&self, revision: Revision) -> Result<PriorState, StoreError>;

    /// The newest revision that was made at or before a time, when it is the horizon or a later one; `None` when it is
    /// an earlier one, or there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError>;

    /// Shows the whole store as of one moment, also while others write; writes nothing. See [`archive`].
    ///
    /// # Errors
    ///
    /// When the store cannot be read, was written by another version, or `visit` fails.
    fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// The changes of one commit, and what they lead to.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The changes, in order; there may be none when there are answers.
    pub transitions: &'a [Arc<Transition>],
    /// The answers that are to be kept.
    pub answers: &'a [KeptAnswer],
    /// The plugins that stand changed.
    pub standing: Vec<Arc<Record>>,
    /// The plugins that were removed.
    pub removed: Vec<UniqueId>,
    /// The categories that were changed; `None` where the display name was taken away.
    pub categories: Vec<(Name, Option<Category>)>,
    /// What the plugins have cost that were changed.
    pub accruals: Vec<(PluginKey, Accrual)>,
    /// The budgets that were changed, or that something counts for; `None` where one was removed.
    pub budgets: Vec<(Box<str>, Option<Arc<Account>>)>,
    /// The leases that were changed; `None` where one is forgotten.
    pub leases: Vec<(LeaseId, Option<Arc<Lease>>)>,
    /// The state after the last change.
    pub state: &'a State,
}

impl<'a> Batch<'a> {
    /// The batch of `transitions`, which have led to `state`.
    pub fn new(transitions: &'a [Arc<Transition>], state: &'a State) -> Batch<'a> {
        let mut plugins = BTreeSet::new();
        let mut names = BTreeSet::new();
        let (mut keys, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut leases = BTreeSet::new();
        for transition in transitions {
            match &transition.change.event {
                Event::PluginPut { plugin, .. } => drop(plugins.insert(plugin.unique_id())),
                Event::PluginRemoved { id }
                | Event::ResourcesObserved { id, .. }
                | Event::FindingsRaised { id, .. }
                | Event::FindingsCleared { id, .. } => drop(plugins.insert(id.clone())),
                Event::Lease { id, .. } => drop(leases.insert(id.clone())),
                Event::CategoryNamed { name, .. } => drop(names.insert(name.clone())),
                Event::Budget { id, .. } => drop(ids.insert(id.clone())),
            }
            keys.extend(transition.before().map(|record| record.plugin.key()));
        }
        let standing = plugins.iter().filter_map(|id| state.plugin(id.as_str()).cloned()).collect();
        let removed = plugins.into_iter().filter(|id| state.plugin(id.as_str()).is_none()).collect();
        let categories =
            names.into_iter().map(|name| (name.clone(), state.named_categories().get(&name).cloned())).collect();
        let ledger = state.ledger();
        let accruals =
            keys.into_iter().filter_map(|key| ledger.accruals().get(&key).map(|accrual| (key, *accrual))).collect();
        let first = transitions.first().map(|first| first.change.revision).unwrap_or_default();
        let touched = ledger.budgets().iter().filter(|(_, account)| account.touched >= first);
        ids.extend(touched.map(|(id, _)| id.clone()));
        let budgets = ids.into_iter().map(|id| (id.clone(), ledger.budgets().get(&id).cloned())).collect();
        let leases = leases.into_iter().map(|id| (id.clone(), state.lease(id.as_str()).cloned())).collect();
        Batch { transitions, answers: &[], standing, removed, categories, accruals, budgets, leases, state }
    }

    /// All that stands in `state`, for a store that has nothing yet; its changes are written apart.
    pub fn whole(state: &'a State) -> Batch<'a> {
        let ledger = state.ledger();
        let named = state.named_categories().iter();
        Batch {
            transitions: &[],
            answers: &[],
            standing: state.plugins().values().cloned().collect(),
            removed: Vec::new(),
            categories: named.map(|(name, category)| (name.clone(), Some(category.clone()))).collect(),
            accruals: ledger.accruals().iter().map(|(key, accrual)| (key.clone(), *accrual)).collect(),
            budgets: ledger.budgets().iter().map(|(id, account)| (id.clone(), Some(Arc::clone(account)))).collect(),
            leases: state.leases().iter().map(|(id, lease)| (id.clone(), Some(Arc::clone(lease)))).collect(),
            state,
        }
    }

    /// The batch with answers that are to be kept.
    #[must_use]
    pub fn keeping(self, answers: &'a [KeptAnswer]) -> Batch<'a> {
        Batch { answers, ..self }
    }
}

/// Which store to use: `memory`, `sqlite:PATH`, or `postgres://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// Nothing survives the process.
    Memory,
    /// A SQLite database file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several replicas may share.
    Postgres(Box<PostgresUrl>),
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Memory => f.write_str("memory"),
            StoreUrl::Sqlite(path) => write!(f, "sqlite:{}", sqlite::url::write(path)),
            StoreUrl::Postgres(url) => url.fmt(f),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<StoreUrl, String> {
        if text == "memory" {
            return Ok(StoreUrl::Memory);
        }
        match text.split_once(':') {
            Some(("sqlite", file)) => Ok(StoreUrl::Sqlite(sqlite::url::read(file)?)),
            Some((scheme, _)) if scheme.starts_with("sqlite") || scheme == "file" => {
                Err(format!("`{scheme}:` is not known; write `sqlite:PATH`"))
            }
            Some((scheme, _)) if scheme.starts_with("postgres") && scheme.contains('+') => {
                Err(format!("`{scheme}://` names a driver; write `postgres://USER@HOST/DATABASE`"))
            }
            Some(("postgres" | "postgresql", _)) => Ok(StoreUrl::Postgres(Box::new(text.parse()?))),
            _ => Err("must be `memory`, `sqlite:PATH` or `postgres://USER@HOST/DATABASE`".into()),
        }
    }
}

impl StoreUrl {
    /// Opens the store, and makes it when it is not there; a database is not connected to before it is loaded.
    ///
    /// # Errors
    ///
    /// When it cannot be made or opened, is not ours, is damaged, or was written by a newer version.
    pub fn open(&self) -> Result<Box<dyn Journal>, StoreError> {
        match self {
            StoreUrl::Memory => Ok(Box::new(memory::MemoryJournal::new())),
            StoreUrl::Sqlite(path) => Ok(Box::new(sqlite::SqliteJournal::open(path)?)),
            StoreUrl::Postgres(url) => Ok(Box::new(postgres::PostgresJournal::new(PostgresUrl::clone(url)))),
        }
    }

    /// Opens a store that is to be read or filled as a whole.
    ///
    /// # Errors
    ///
    /// As [`StoreUrl::open`]; and of `memory`, which holds nothing before and after.
    pub fn open_archived(&self) -> Result<Box<dyn Archived>, StoreError> {
        match self {
            StoreUrl::Memory => Err(StoreError::refused("the store `memory` keeps nothing; name another")),
            StoreUrl::Sqlite(path) => Ok(Box::new(sqlite::SqliteJournal::open(path)?)),
            StoreUrl::Postgres(url) => Ok(Box::new(postgres::PostgresJournal::new(PostgresUrl::clone(url)))),
        }
    }

    /// Fills a store as a whole, by `work`. A new file has its name once `work` has succeeded, so that a failure leaves no
    /// empty store behind.
    ///
    /// # Errors
    ///
    /// As [`StoreUrl::open_archived`]; and when `work` fails.
    pub fn fill<T>(
        &self,
        work: impl FnOnce(&mut dyn Archived) -> Result<T, StoreError>,
    ) -> Result<Result<T, StoreError>, StoreError> {
        match self {
            StoreUrl::Sqlite(path) if !path.exists() => sqlite::new_store::make(path, work),
            _ => {
                let mut store = self.open_archived()?;
                let done = work(&mut *store);
                store.close();
                Ok(done)
            }
        }
    }

    /// What is kept, to be read as it is: nothing is made, brought up to date or written.
    ///
    /// # Errors
    ///
    /// Of `memory`, which holds nothing before and after.
    pub fn open_history(&self) -> Result<Arc<dyn History>, StoreError> {
        match self {
            StoreUrl::Memory => Err(StoreError::refused("the store `memory` keeps nothing; ask its server")),
            StoreUrl::Sqlite(path) => Ok(sqlite::SqliteJournal::history_in(path)),
            StoreUrl::Postgres(url) => Ok(postgres::PostgresJournal::new(PostgresUrl::clone(url)).history()),
        }
    }

    /// Returns false if there is certainly no store: no file, or one that nothing was ever written to. A database tells
    /// when it is asked.
    pub fn may_exist(&self) -> bool {
        let StoreUrl::Sqlite(path) = self else { return true };
        match std::fs::metadata(path) {
            Ok(found) => !(found.is_file() && found.len() == 0),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Whether there is a store. A database is asked.
    ///
    /// # Errors
    ///
    /// When a database cannot be reached.
    pub fn exists(&self) -> Result<bool, StoreError> {
        match self {
            StoreUrl::Memory | StoreUrl::Sqlite(_) => Ok(self.may_exist()),
            StoreUrl::Postgres(url) => postgres::holds_store(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_by_url() {
        assert_eq!("memory".parse(), Ok(StoreUrl::Memory));
        assert_eq!("sqlite:a/b.db".parse(), Ok(StoreUrl::Sqlite("a/b.db".into())));
        assert_eq!("sqlite:///a/b.db?mode=rwc".parse::<StoreUrl>().unwrap().to_string(), "sqlite:/a/b.db");
        for wrong in ["", "sqlite:", "mysql:x", "/var/lib/x.db"] {
            assert!(wrong.parse::<StoreUrl>().is_err(), "{wrong}");
        }
        for driver in ["sqlite+aiosqlite:///r.db", "sqlite3:r.db", "file:r.db"] {
            assert!(driver.parse::<StoreUrl>().unwrap_err().contains("`sqlite:PATH`"), "{driver}");
        }
        for driver in ["postgresql+asyncpg://u@h/d", "postgres+psycopg://u@h/d"] {
            assert!(driver.parse::<StoreUrl>().unwrap_err().contains("`postgres://"), "{driver}");
        }
    }
}
