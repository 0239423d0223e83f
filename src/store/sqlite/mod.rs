//! The default store: one SQLite file, in WAL mode, with one fsync a batch.
//!
//! A commit is durable when it returns: with `synchronous=FULL`, SQLite syncs the write-ahead log before `COMMIT`
//! returns (<https://www.sqlite.org/pragma.html#pragma_synchronous>). Several processes may use one file: `BEGIN
//! IMMEDIATE` is the lock between them. Under it, each process reads the head row, which shows the writes of the
//! others.

mod archive;
mod change_row;
mod compact;
mod connection;
mod error;
mod files;
mod heartbeats;
mod history;
mod hours;
mod idempotency;
mod ledger;
mod load;
pub mod new_store;
mod open;
pub mod presence;
mod tokens;
pub mod url;
mod webhooks;

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use tracing::{error, warn};

use self::change_row::{COLUMNS, change_row};
use self::files::StoreFiles;
use self::heartbeats::SqliteHeartbeats;
use self::history::SqliteHistory;
use self::tokens::SqliteTokens;
use self::webhooks::SqliteWebhooks;
use super::head::{Head, check_time};
use super::row::{ChangeRow, document_text, lease_text, revision_from_sql, revision_to_sql, time_from_sql};
use super::{Batch, History, Journal, StoreError, TokenStore, WebhookStore};
use crate::store::heartbeats::HeartbeatStore;
use crate::store::hours::PassedHours;
use domain::change::Change;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::plugin::{FreeJson, Name};
use domain::record::Record;
use domain::{Category, Lease, LeaseId, Revision, Snapshot, State, StoreId};

/// The journal in a SQLite file.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: Connection,
    files: Arc<StoreFiles>,
    history: Arc<SqliteHistory>,
    webhooks: Arc<SqliteWebhooks>,
    beats: Arc<SqliteHeartbeats>,
    tokens: Arc<SqliteTokens>,
    store: StoreId,
    /// `PRAGMA data_version` at the last check of the head, and its revision. The version changes when another
    /// connection commits, and reading it costs no I/O.
    seen: Option<(i64, Revision)>,
}

impl SqliteJournal {
    /// Opens the store in the file `path`, and creates it if necessary.
    ///
    /// # Errors
    ///
    /// If the file belongs to another program, is damaged, or was written by a newer version, or if its folder cannot
    /// be written.
    pub fn open(path: &Path) -> Result<SqliteJournal, StoreError> {
        let (connection, files) = open::open(path)?;
        let files = Arc::new(files);
        let store = connection
            .query_row("SELECT store FROM registry", [], |row| row.get::<_, String>(0))
            .map_err(StoreError::from)?;
        let history = Arc::new(SqliteHistory::new(path, Some(Arc::clone(&files))));
        let webhooks = Arc::new(SqliteWebhooks::new(path, Arc::clone(&files)));
        let beats = Arc::new(SqliteHeartbeats::new(path, Arc::clone(&files)));
        let tokens = Arc::new(SqliteTokens::new(path, Arc::clone(&files)));
        let store = StoreId::kept(&store);
        Ok(SqliteJournal { connection, files, history, webhooks, beats, tokens, store, seen: None })
    }

    /// The history in the file `path`, without a writer in this process.
    pub fn history_in(path: &Path) -> Arc<dyn History> {
        Arc::new(SqliteHistory::new(path, None))
    }

    fn head(&self) -> Result<Head, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT store, head, head_at, horizon FROM registry")?;
        let (store, head, head_at, compact_revision) =
            statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        Ok(Head {
            store,
            revision: revision_from_sql(head)?,
            at: time_from_sql(head_at)?,
            compact_revision: revision_from_sql(compact_revision)?,
        })
    }

    /// The changes after `known`, if the store still has the same history. Called within a transaction.
    fn news(&self, known: &State) -> Result<Vec<Change>, StoreError> {
        let head = self.head()?;
        head.check(&self.store, known)?;
        if head.revision == known.revision() {
            return Ok(Vec::new());
        }
        let newest = revision_to_sql(known.revision());
        let mut statement = self.connection.prepare_cached("SELECT at FROM changes WHERE revision = ?1")?;
        if let Some(at) = statement.query_row([newest], |row| row.get(0)).optional()? {
            check_time(time_from_sql(at)?, known)?;
        }
        self.changes(known.revision(), usize::MAX)
    }

    /// At most `limit` changes after a revision, oldest first.
    fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        let compact_revision = self::change_row::compact_revision(&self.connection)?;
        if after < compact_revision {
            return Err(StoreError::Compacted { after, compact_revision });
        }
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM changes WHERE revision > ?1 ORDER BY revision LIMIT ?2"))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![revision_to_sql(after), limit])?;
        let mut changes = Vec::new();
        while let Some(row) = rows.next()? {
            changes.push(Change::try_from(change_row(row)?)?);
        }
        Ok(changes)
    }

    fn write(&self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.write_changes(batch.transitions.iter().map(|transition| ChangeRow::try_from(&**transition)))?;
        self.write_plugins(&batch.standing)?;
        let mut delete = self.connection.prepare_cached("DELETE FROM plugins WHERE unique_id = ?1")?;
        for id in &batch.removed {
            delete.execute([id.as_str()])?;
        }
        self.write_categories(&batch.categories)?;
        self.write_leases(&batch.leases)?;
        idempotency::keep(&self.connection, batch.answers)?;
        ledger::write(&self.connection, batch)?;
        let mut advance = self.connection.prepare_cached("UPDATE registry SET head = ?1, head_at = ?2")?;
        advance.execute(params![revision_to_sql(batch.state.revision()), batch.state.at().as_microsecond()])?;
        Ok(())
    }

    fn write_changes(&self, rows: impl Iterator<Item = Result<ChangeRow, StoreError>>) -> Result<(), StoreError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO changes (revision, at, kind, subject, request_id, document, detail, created_at, observed, principal,
                                  reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        for row in rows {
            let row = row?;
            insert.execute(params![
                row.revision,
                row.at,
                row.kind,
                row.subject,
                row.request_id,
                row.document,
                row.detail,
                row.created_at,
                row.observed,
                row.principal,
                row.reason
            ])?;
        }
        Ok(())
    }

    fn write_plugins<'a>(&self, records: impl IntoIterator<Item = &'a Arc<Record>>) -> Result<(), StoreError> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO plugins (unique_id, document, config, revision, created_at, updated_at, observed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (unique_id) DO UPDATE SET document = ?2, config = ?3, revision = ?4,
                                                   created_at = ?5, updated_at = ?6, observed = ?7",
        )?;
        for record in records {
            upsert.execute(params![
                record.unique_id.as_str(),
                document_text(&record.plugin)?,
                record.config.as_ref().map(FreeJson::as_str),
                revision_to_sql(record.revision),
                record.created_at.as_microsecond(),
                record.updated_at.as_microsecond(),
                record.holdings.to_text(),
            ])?;
        }
        Ok(())
    }

    fn write_leases(&self, leases: &[(LeaseId, Option<Arc<Lease>>)]) -> Result<(), StoreError> {
        for (id, lease) in leases {
            match lease {
                Some(lease) => self
                    .connection
                    .prepare_cached(
                        "INSERT INTO leases (id, document, revision) VALUES (?1, ?2, ?3)
                         ON CONFLICT (id) DO UPDATE SET document = ?2, revision = ?3",
                    )?
                    .execute(params![id.as_str(), lease_text(lease)?, revision_to_sql(lease.revision)])?,
                None => self.connection.prepare_cached("DELETE FROM leases WHERE id = ?1")?.execute([id.as_str()])?,
            };
        }
        Ok(())
    }

    fn write_categories(&self, categories: &[(Name, Option<Category>)]) -> Result<(), StoreError> {
        for (name, category) in categories {
            match category {
                Some(category) => self
                    .connection
                    .prepare_cached(
                        "INSERT INTO categories (name, display_name, revision) VALUES (?1, ?2, ?3)
                         ON CONFLICT (name) DO UPDATE SET display_name = ?2, revision = ?3",
                    )?
                    .execute(params![name.as_str(), category.display_name, revision_to_sql(category.revision)])?,
                None => self
                    .connection
                    .prepare_cached("DELETE FROM categories WHERE name = ?1")?
                    .execute([name.as_str()])?,
            };
        }
        Ok(())
    }
}

impl Journal for SqliteJournal {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let reading = self.connection.unchecked_transaction()?;
        let snapshot = load::snapshot(&self.connection)?;
        reading.finish()?;
        // If the file was replaced after it was opened, the first batch fails.
        Ok(Snapshot { store: self.store.clone(), ..snapshot })
    }

    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.files.check()?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let foreign = self.news(known);
        if foreign.is_err() {
            self.roll_back();
        }
        foreign
    }

    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
        idempotency::find(&self.connection, keys)
    }

    fn forget_answers(&mut self, before: u64, limit: usize) -> Result<(), StoreError> {
        idempotency::forget(&self.connection, before, limit)
    }

    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
        idempotency::bound(&self.connection, quota, limit)
    }

    fn hour(&mut self) -> Result<u64, StoreError> {
        hours::newest(&self.connection)
    }

    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError> {
        hours::pass(&mut self.connection, passed)
    }

    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError> {
        hours::revision_at(&self.connection, hour)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.write(batch)?;
        self.connection.execute_batch("COMMIT")?;
        // The store acknowledges no commit into a file that a restart would not find.
        self.files.check()
    }

    fn roll_back(&mut self) {
        // After some failures SQLite has rolled back by itself (https://www.sqlite.org/lang_transaction.html).
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            error!(%error, "cannot roll back a transaction");
        }
    }

    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.files.check()?;
        let version: i64 = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if self.seen == Some((version, known.revision())) {
            return Ok(Vec::new());
        }
        // One transaction, because another process may compact the journal during the read.
        let reading = self.connection.unchecked_transaction()?;
        let changes = self.news(known)?;
        reading.finish()?;
        if changes.is_empty() {
            self.seen = Some((version, known.revision()));
        }
        Ok(changes)
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.changes(after, limit)
    }

    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError> {
        compact::compact(&mut self.connection, compact_revision, steps)
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.history) as Arc<dyn History>
    }

    fn webhooks(&self) -> Arc<dyn WebhookStore> {
        Arc::clone(&self.webhooks) as Arc<dyn WebhookStore>
    }

    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore> {
        Arc::clone(&self.beats) as Arc<dyn HeartbeatStore>
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Arc::clone(&self.tokens) as Arc<dyn TokenStore>
    }

    fn close(&mut self) {
        self.history.close();
        self.webhooks.close();
        self.beats.close();
        self.tokens.close();
        // The last connection to close checkpoints the log into the database; a reader of the file may prevent that.
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            warn!(%error, "cannot checkpoint the write-ahead log; the data is safe in the log");
        }
    }
}
