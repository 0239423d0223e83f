//! The store for several replicas: one PostgreSQL, version 12 or later.
//!
//! A batch locks the row of the head from its start to its commit. So commit order is revision order, whichever replica
//! writes. The writer reads and applies the commits of other replicas under that lock. PostgreSQL acknowledges `COMMIT`
//! when it is durable (also on its synchronous standbys), and shows nothing to other sessions before.
//!
//! | file | idea |
//! |---|---|
//! | [`url`], [`tls`] | the address of the database, and the trusted authorities |
//! | [`connection`] | one connection, used by one thread at a time |
//! | [`migrate`] | the schema |
//! | [`session`] | the writer's connection, with its statements |
//! | [`write`](mod@write), [`ledger`] | a batch as a few statements, whatever its size |
//! | [`idempotency`] | stored responses to idempotent requests |
//! | [`listen`] | notifications of other replicas' writes |
//! | [`history`], [`compact`] | reading and compacting the journal |
//! | [`archive`] | dumping and filling a whole database |
//! | [`webhooks`] | webhooks |
//! | [`heartbeats`] | exchange of heartbeats between replicas |
//! | [`tokens`] | tokens |

mod archive;
mod change_row;
mod compact;
mod connection;
mod error;
mod heartbeats;
mod history;
mod hours;
mod idempotency;
mod ledger;
mod listen;
mod migrate;
mod session;
mod tls;
mod tokens;
pub mod url;
mod webhooks;
mod write;

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use tracing::{error, warn};

use self::change_row::{COLUMNS, change_row};
use self::connection::{LOAD_TIME, PostgresConnection};
use self::heartbeats::PostgresHeartbeats;
use self::history::PostgresHistory;
use self::listen::{Listener, Writing};
use self::session::Session;
use self::tokens::PostgresTokens;
use self::url::PostgresUrl;
use self::webhooks::PostgresWebhooks;
use super::head::{Head, check_time};
use super::row::{config_of, holdings_of, lease_of, plugin_of, revision_from_sql, revision_to_sql, time_from_sql};
use super::{Batch, History, Journal, StoreError, TokenStore, Wake, WebhookStore};
use crate::store::heartbeats::HeartbeatStore;
use crate::store::hours::PassedHours;
use domain::change::Change;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::plugin::Name;
use domain::record::Record;
use domain::{Category, Lease, Revision, Snapshot, State, StoreId};

/// The minimum version of the server, as in `server_version_num`.
const LEAST_VERSION: i32 = 12_00_00;

/// The journal in a PostgreSQL database.
pub struct PostgresJournal {
    url: PostgresUrl,
    session: Option<Session>,
    /// Known after `load`.
    store: Option<StoreId>,
    history: Arc<PostgresHistory>,
    webhooks: Arc<PostgresWebhooks>,
    beats: Arc<PostgresHeartbeats>,
    tokens: Arc<PostgresTokens>,
    listener: Option<Listener>,
    writing: Arc<Writing>,
    is_begun: bool,
}

/// Whether a database holds a store.
///
/// # Errors
///
/// If the database cannot be reached.
pub fn holds_store(url: &PostgresUrl) -> Result<bool, StoreError> {
    let mut link = PostgresConnection::open(url)?;
    let holds = link.run(async |client| Ok(migrate::applied(client).await? > 0));
    link.close();
    holds
}

impl PostgresJournal {
    /// The journal at a URL. It connects at `load`.
    pub fn new(url: PostgresUrl) -> PostgresJournal {
        PostgresJournal {
            history: Arc::new(PostgresHistory::new(url.clone())),
            webhooks: Arc::new(PostgresWebhooks::new(url.clone())),
            beats: Arc::new(PostgresHeartbeats::new(url.clone())),
            tokens: Arc::new(PostgresTokens::new(url.clone())),
            url,
            session: None,
            store: None,
            listener: None,
            writing: Arc::default(),
            is_begun: false,
        }
    }

    /// The connection, or a new one if it is broken.
    fn session(&mut self) -> Result<&mut Session, StoreError> {
        if !self.session.as_ref().is_some_and(|session| session.link.stands()) {
            self.session = None;
            let session = Session::open(&self.url)?;
            self.writing.is_served_by(session.process);
            self.session = Some(session);
        }
        self.session.as_mut().ok_or_else(connection::closed)
    }

    /// Runs work on the connection, with one retry on a new connection if the server had closed the idle one. A retry
    /// must not lose anything, so `work` must be the first step.
    fn again_if_ended<T>(
        &mut self,
        work: impl Fn(&mut PostgresJournal) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let was_open = self.session.is_some();
        match work(self) {
            Err(StoreError::Unreachable(_)) if was_open => work(self),
            done => done,
        }
    }

    fn try_load(&mut self) -> Result<Snapshot, StoreError> {
        let session = self.session()?;
        let snapshot = session.link.run_within(LOAD_TIME, async |client| {
            check_server(client).await?;
            client
                .batch_execute(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
                     SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on",
                )
                .await?;
            let loaded = load(client).await;
            client.batch_execute(if loaded.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            loaded
        })?;
        if self.store.as_ref().is_some_and(|store| *store != snapshot.store) {
            return Err(StoreError::refused("the store was replaced by another one; restart the service"));
        }
        self.store = Some(snapshot.store.clone());
        Ok(snapshot)
    }

    fn try_begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        let store = self.store.clone();
        let Session { link, statements, .. } = self.session()?;
        let begun = link.run(async |client| {
            // Sent together: other replicas wait for the lock, and must not wait for a second round trip.
            let newest = revision_to_sql(known.revision());
            let from: [&(dyn ToSql + Sync); 1] = [&newest];
            let (begun, head, rows) = futures_util::join!(
                client.batch_execute("BEGIN"),
                client.query_one(&statements.lock_head, &[]),
                client.query(&statements.changes_from, &from),
            );
            begun?;
            news(&session::head_of(&head?)?, &rows?, store.as_ref(), known)
        });
        self.is_begun = true;
        if begun.is_err() {
            self.roll_back();
        }
        begun
    }

    fn try_foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        let store = self.store.clone();
        let Session { link, statements, .. } = self.session()?;
        link.run(async |client| {
            let newest = revision_to_sql(known.revision());
            let from: [&(dyn ToSql + Sync); 1] = [&newest];
            let (head, rows) = futures_util::join!(
                client.query_one(&statements.read_head, &[]),
                client.query(&statements.changes_from, &from),
            );
            news(&session::head_of(&head?)?, &rows?, store.as_ref(), known)
        })
    }
}

impl Journal for PostgresJournal {
    fn on_news(&mut self, wake: Wake) {
        self.listener = Listener::start(self.url.clone(), wake, Arc::clone(&self.writing))
            .inspect_err(|failure| {
                warn!(error = failure.chain(), "cannot listen to the database; the writer polls it instead");
            })
            .ok();
    }

    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.again_if_ended(PostgresJournal::try_load)
    }

    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.again_if_ended(|journal| journal.try_begin(known))
    }

    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
        let Some(Session { link, .. }) = &mut self.session else { return Err(connection::closed()) };
        link.run(async |client| idempotency::find(client, keys).await)
    }

    fn forget_answers(&mut self, before: u64, limit: usize) -> Result<(), StoreError> {
        self.session()?.link.run(async |client| idempotency::forget(client, before, limit).await)
    }

    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
        self.session()?.link.run(async |client| idempotency::bound(client, quota, limit).await)
    }

    fn hour(&mut self) -> Result<u64, StoreError> {
        self.session()?.link.run(async |client| hours::newest(client).await)
    }

    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError> {
        self.session()?.link.run(async |client| hours::pass(client, passed).await)
    }

    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError> {
        self.session()?.link.run(async |client| hours::revision_at(client, hour).await)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        let Some(Session { link, statements, .. }) = &mut self.session else { return Err(connection::closed()) };
        link.run(async |client| write::write(client, statements, batch).await)?;
        self.is_begun = false;
        self.writing.has_committed();
        Ok(())
    }

    fn roll_back(&mut self) {
        if !std::mem::take(&mut self.is_begun) {
            return;
        }
        if let Some(session) = self.session.as_mut().filter(|session| session.link.stands())
            && let Err(failure) = session.link.run(async |client| Ok(client.batch_execute("ROLLBACK").await?))
        {
            error!(error = failure.chain(), "cannot roll back a transaction; closing its connection");
            self.session = None;
        }
    }

    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.again_if_ended(|journal| journal.try_foreign_changes(known))
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        let Session { link, statements, .. } = self.session()?;
        link.run(async |client| {
            session::head_of(&client.query_one(&statements.read_head, &[]).await?)?.require_kept(after)?;
            changes(client, after, limit).await
        })
    }

    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError> {
        self.session()?.link.run(async |client| compact::compact(client, compact_revision, steps).await)
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
        if let Some(listener) = self.listener.take() {
            listener.stop();
        }
        self.history.close();
        self.webhooks.close();
        self.beats.close();
        self.tokens.close();
        if let Some(session) = self.session.take() {
            session.link.close();
        }
    }
}

/// Refuses a server that is too old, warns of one that may lose commits, and migrates the schema.
async fn check_server(client: &Client) -> Result<(), StoreError> {
    let query = "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                        current_setting('fsync')::bool AND current_setting('full_page_writes')::bool";
    let row = client.query_typed_one(query, &[]).await?;
    if row.try_get::<_, i32>(0)? < LEAST_VERSION {
        let version: &str = row.try_get(1)?;
        return Err(StoreError::refused(format!(
            "the database is PostgreSQL {version}; upgrade it to version 12 or later"
        )));
    }
    if !row.try_get::<_, bool>(2)? {
        warn!("the database runs with fsync or full_page_writes off, and can lose commits; turn both on");
    }
    migrate::migrate(client).await
}

/// The state as of the head, within one transaction.
async fn load(client: &Client) -> Result<Snapshot, StoreError> {
    let row = client.query_typed_one("SELECT store, head, head_at, horizon FROM registry", &[]).await?;
    let head = session::head_of(&row)?;
    let compact_revision = revision_to_sql(head.compact_revision);
    let query = "SELECT count(*), coalesce(max(revision), $1) FROM changes WHERE revision > $1";
    let row = client.query_typed_one(query, &[(&compact_revision, Type::INT8)]).await?;
    let (count, newest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if newest != revision_to_sql(head.revision) || count != newest - compact_revision {
        return Err(StoreError::refused(format!(
            "the store is damaged: its head is {}, but after revision {compact_revision} it holds {count} changes up to {newest}",
            head.revision,
        )));
    }
    let (plugins, categories) = (plugins(client).await?, categories(client).await?);
    let leases = leases(client).await?;
    Ok(Snapshot {
        store: StoreId::kept(&head.store),
        state: State::restore(head.revision, head.at, plugins, categories)
            .with_ledger(ledger::read(client).await?)
            .with_leases(leases),
    })
}

async fn plugins(client: &Client) -> Result<Vec<Record>, StoreError> {
    let query = "SELECT document, config, revision, created_at, updated_at, observed FROM plugins ORDER BY unique_id";
    let rows = client.query_typed_raw(query, Vec::<(&str, Type)>::new()).await?;
    let mut rows = std::pin::pin!(rows);
    let mut records = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let config = row.try_get::<_, Option<&str>>(1)?.map(config_of).transpose()?;
        records.push(Record::holding(
            plugin_of(row.try_get(0)?)?.into(),
            config,
            revision_from_sql(row.try_get(2)?)?,
            (time_from_sql(row.try_get(3)?)?, time_from_sql(row.try_get(4)?)?),
            holdings_of(row.try_get(5)?)?,
        ));
    }
    Ok(records)
}

async fn leases(client: &Client) -> Result<Vec<Lease>, StoreError> {
    let rows = client.query_typed("SELECT id, document, revision FROM leases", &[]).await?;
    rows.iter().map(|row| lease_of(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)).collect()
}

async fn categories(client: &Client) -> Result<Vec<(Name, Category)>, StoreError> {
    let mut categories = Vec::new();
    for row in client.query_typed("SELECT name, display_name, revision FROM categories", &[]).await? {
        let name = Name::new(row.try_get(0)?)
            .map_err(|wrong| StoreError::refused(format!("a category's name in the store {wrong}")))?;
        let display_name = row.try_get::<_, &str>(1)?.into();
        categories.push((name, Category { display_name, revision: revision_from_sql(row.try_get(2)?)? }));
    }
    Ok(categories)
}

/// The changes after `known`, if `head` belongs to the same history. `rows` start at the newest change of `known`.
fn news(head: &Head, rows: &[Row], store: Option<&StoreId>, known: &State) -> Result<Vec<Change>, StoreError> {
    head.check(store.ok_or_else(|| StoreError::refused("the store was not loaded"))?, known)?;
    head.require_kept(known.revision())?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        let row = change_row(row, 0)?;
        if row.revision == revision_to_sql(known.revision()) {
            check_time(time_from_sql(row.at)?, known)?;
        } else {
            changes.push(Change::try_from(row)?);
        }
    }
    if changes.first().is_some_and(|first| first.revision != known.revision().next()) {
        // Another replica compacted the journal after the head was read.
        return Err(StoreError::Compacted { after: known.revision(), compact_revision: head.compact_revision });
    }
    Ok(changes)
}

/// At most `limit` changes after a revision, oldest first.
async fn changes(client: &Client, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2");
    let (after, limit) = (revision_to_sql(after), i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = client.query_typed(&query, &[(&after, Type::INT8), (&limit, Type::INT8)]).await?;
    rows.iter().map(|row| Change::try_from(change_row(row, 0)?)).collect()
}
