//! The stores of the journal.
//!
//! Only the writer's thread calls a [`Journal`], which may wait for a disk. A journal knows no rules:
//! [`crate::registry`] interprets the changes.
//!
//! | file | idea |
//! |---|---|
//! | [`memory`] | ends with the process; for tests and trials |
//! | [`sqlite`] | the default: one file, one fsync a batch |
//! | [`postgres`] | for several replicas: one database |
//! | [`head`] | whether a store still has the history that a process has loaded |
//! | [`webhooks`] | webhooks, beside the journal |
//! | [`history_parts`] | what readers get of the history beside whole changes |
//! | [`heartbeats`] | exchange of heartbeats between processes on one store |
//! | [`tokens`] | tokens, beside the journal |
//! | [`row`], [`ledger_row`] | changes and costs as rows, the same in every SQL store |
//! | [`archive`] | a whole store as a file |

pub mod archive;
pub mod head;
pub mod heartbeats;
pub mod history_parts;
pub mod hours;
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
pub use self::history_parts::{ChangeCounts, Held, HeldPage};
pub use self::hours::PassedHours;
pub use self::webhooks::DeliveryProgress;
use domain::change::history::{ChangePage, ChangeRange, PriorState};
use domain::change::{Change, Event, Transition};
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::cost::{Account, Accrual};
use domain::plugin::{Name, PluginKey, UniqueId};
use domain::query::Pace;
use domain::record::Record;
use domain::steps::Steps;
use domain::{Category, Lease, LeaseId, Revision, Snapshot, State};
pub use error::StoreError;
pub use tokens::{Addition, TokenStore};
pub use webhooks::{Claim, KeptWebhook, WebhookStore};

/// Wakes the writer. Any thread may call it, as often as necessary.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A durable, ordered, gapless log of changes, together with the resulting documents.
///
/// `begin`, then `commit` or `roll_back`: between them, no other process can write.
pub trait Journal: Send + 'static {
    /// Calls `wake` from now on if another process may have written, as far as the store can notify. Otherwise the
    /// writer polls.
    fn on_news(&mut self, _wake: Wake) {}

    /// The state as of the head.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or its content is damaged.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Takes the write lock, across all processes, and returns the changes after `known`, the caller's state.
    ///
    /// These are changes of other processes, or of an own commit whose outcome was unknown.
    ///
    /// # Errors
    ///
    /// If the lock cannot be taken, the head cannot be read, or the head belongs to another history than `known`. Then
    /// there is nothing to roll back.
    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError>;

    /// The stored responses for some of these keys. Called after `begin`.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError>;

    /// Makes a batch durable, and releases the lock. Called after `begin`.
    ///
    /// # Errors
    ///
    /// If the batch may not be durable. The caller rolls back, and publishes nothing. If the batch is durable after
    /// all, the next `begin` returns it.
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError>;

    /// Releases the lock without writing, if it is held.
    fn roll_back(&mut self);

    /// The changes of other processes after `known`, without taking the lock.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError>;

    /// At most `limit` changes after a revision, oldest first.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or some changes after that revision were compacted.
    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError>;

    /// Removes superseded changes at or before `compact_revision`, of at most `steps` revisions and none after the
    /// head. Returns the new compact revision.
    ///
    /// The state at any later revision can still be computed. The newest change of each plugin and category up to the
    /// compact revision stays, unless it is a removal.
    ///
    /// # Errors
    ///
    /// If the store cannot be written. Then nothing is lost.
    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError>;

    /// Deletes stored responses from before an hour, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// If the store cannot be written. Then nothing is lost.
    fn forget_answers(&mut self, before: u64, limit: usize) -> Result<(), StoreError>;

    /// Deletes the oldest stored responses beyond the quota, at most `limit` of them. Returns how many.
    ///
    /// # Errors
    ///
    /// If the store cannot be written. Then nothing is lost.
    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError>;

    /// The newest hour: see [`hours`].
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn hour(&mut self) -> Result<u64, StoreError>;

    /// Notes that hours have passed; returns the newest hour. Does nothing if the store has a newer one than
    /// [`PassedHours::known`].
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError>;

    /// The head at the newest noted hour at or before `hour`; 0 if there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError>;

    /// The same journal, for readers beside the writer.
    fn history(&self) -> Arc<dyn History>;

    /// The webhooks in the same store.
    fn webhooks(&self) -> Arc<dyn WebhookStore>;

    /// The heartbeats in the same store.
    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore>;

    /// The tokens in the same store.
    fn tokens(&self) -> Arc<dyn TokenStore>;

    /// Closes the store cleanly. Every commit is durable even without this.
    fn close(&mut self);
}

/// The journal for readers beside the writer, on any number of threads. The methods may wait for a disk.
pub trait History: Send + Sync + 'static {
    /// The changes of a range after the compact revision, with their effects, in its order.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the pace stops the reading.
    fn read(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<ChangePage, StoreError>;

    /// The state at `revision` of everything that changed later. If `revision` was compacted, only the compact revision
    /// in the result is valid.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the pace stops the reading.
    fn rewind(&self, revision: Revision, pace: &ReadPace<'_>) -> Result<PriorState, StoreError>;

    /// What plugins hold after each change of a range, in order; and as [`History::read`].
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the pace stops the reading.
    fn held(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<HeldPage, StoreError>;

    /// What each plugin held at `revision` that changed later; `None` if it did not exist. With `plugin`, only that one.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the pace stops the reading.
    fn held_at(&self, revision: Revision, plugin: Option<&UniqueId>, pace: &ReadPace<'_>) -> Result<Held, StoreError>;

    /// The newest revision at or before a time; `None` if it is before the compact revision, or if there is none.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError>;

    /// How many changes of a range each step of time has, by kind. The limit and the order of the range do not matter.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn count(&self, range: &ChangeRange, steps: Steps) -> Result<ChangeCounts, StoreError>;

    /// Visits the whole store as of one moment, also during writes; writes nothing. See [`archive`].
    ///
    /// # Errors
    ///
    /// If the store cannot be read, was written by another version, or `visit` fails.
    fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// The pace of a long read: see [`domain::query::pace`].
pub type ReadPace<'a> = dyn Pace<Stop = StoreError> + 'a;

/// The pace of a read that nothing stops.
#[derive(Debug, Clone, Copy)]
pub struct ReadToEnd;

impl Pace for ReadToEnd {
    type Stop = StoreError;

    fn step(&self, _bytes: usize) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What it costs to read one change beside its bytes, in the unit of [`Pace::step`].
pub(crate) const CHANGE: usize = 4 << 10;

/// The changes of one commit, and the resulting rows.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The changes, in order. May be empty if there are responses.
    pub transitions: &'a [Arc<Transition>],
    /// The responses to store.
    pub answers: &'a [KeptAnswer],
    /// The changed plugins.
    pub standing: Vec<Arc<Record>>,
    /// The removed plugins.
    pub removed: Vec<UniqueId>,
    /// The changed categories; `None` without a display name.
    pub categories: Vec<(Name, Option<Category>)>,
    /// The accruals of the changed plugins.
    pub accruals: Vec<(PluginKey, Accrual)>,
    /// The changed budgets, including their spending; `None` for a removed one.
    pub budgets: Vec<(Box<str>, Option<Arc<Account>>)>,
    /// The changed leases; `None` for a forgotten one.
    pub leases: Vec<(LeaseId, Option<Arc<Lease>>)>,
    /// The state after the last change.
    pub state: &'a State,
}

impl<'a> Batch<'a> {
    /// The batch of `transitions`, which lead to `state`.
    pub fn new(transitions: &'a [Arc<Transition>], state: &'a State) -> Batch<'a> {
        let mut plugins = BTreeSet::new();
        let mut names = BTreeSet::new();
        let (mut keys, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut leases = BTreeSet::new();
        for transition in transitions {
            match &transition.change.event {
                Event::PluginPut { plugin, .. } => drop(plugins.insert(plugin.unique_id())),
                Event::PluginRemoved { id }
                | Event::Holdings { id, .. }
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

    /// The whole `state`, for an empty store; its changes are written separately.
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

    /// The batch with responses to store.
    #[must_use]
    pub fn keeping(self, answers: &'a [KeptAnswer]) -> Batch<'a> {
        Batch { answers, ..self }
    }
}

/// The store to use: `memory`, `sqlite:PATH`, or `postgres://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// Ends with the process.
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
    /// Opens the store, and creates it if necessary. A database is not connected before `load`.
    ///
    /// # Errors
    ///
    /// If the store cannot be created or opened, belongs to another program, is damaged, or was written by a newer
    /// version.
    pub fn open(&self) -> Result<Box<dyn Journal>, StoreError> {
        match self {
            StoreUrl::Memory => Ok(Box::new(memory::MemoryJournal::new())),
            StoreUrl::Sqlite(path) => Ok(Box::new(sqlite::SqliteJournal::open(path)?)),
            StoreUrl::Postgres(url) => Ok(Box::new(postgres::PostgresJournal::new(PostgresUrl::clone(url)))),
        }
    }

    /// Opens a store to dump or fill it as a whole.
    ///
    /// # Errors
    ///
    /// As [`StoreUrl::open`]; also for `memory`, which is always empty.
    pub fn open_archived(&self) -> Result<Box<dyn Archived>, StoreError> {
        match self {
            StoreUrl::Memory => Err(StoreError::refused("the store `memory` is always empty; choose another store")),
            StoreUrl::Sqlite(path) => Ok(Box::new(sqlite::SqliteJournal::open(path)?)),
            StoreUrl::Postgres(url) => Ok(Box::new(postgres::PostgresJournal::new(PostgresUrl::clone(url)))),
        }
    }

    /// Fills an empty store by `work`. A new file gets its name after `work` has succeeded, so a failure leaves no empty
    /// store behind.
    ///
    /// # Errors
    ///
    /// As [`StoreUrl::open_archived`], and as `work`.
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

    /// Opens a store for reading only: this does not create, migrate or write it.
    ///
    /// # Errors
    ///
    /// For `memory`, which is always empty.
    pub fn open_history(&self) -> Result<Arc<dyn History>, StoreError> {
        match self {
            StoreUrl::Memory => Err(StoreError::refused("the store `memory` is always empty; ask its server")),
            StoreUrl::Sqlite(path) => Ok(sqlite::SqliteJournal::history_in(path)),
            StoreUrl::Postgres(url) => Ok(postgres::PostgresJournal::new(PostgresUrl::clone(url)).history()),
        }
    }

    /// Returns false if there is certainly no store: no file, or a file that was never written. Only a connection shows
    /// whether a database exists.
    pub fn may_exist(&self) -> bool {
        let StoreUrl::Sqlite(path) = self else { return true };
        match std::fs::metadata(path) {
            Ok(found) => !(found.is_file() && found.len() == 0),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Whether there is a store. This connects to a database.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached.
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
