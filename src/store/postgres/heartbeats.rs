//! Heartbeats in the database, on a separate connection.
//!
//! The table is unlogged: writes to it are not in the write-ahead log, and no commit waits for a disk.
//!
//! A row has the number of the transaction that wrote it. A reader reads what is not before the oldest transaction that
//! was running at its last read, and skips what it has read. So no clock decides what is new.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connection::{PostgresConnection, closed};
use super::url::PostgresUrl;
use crate::clock::new_identity;
use crate::store::StoreError;
use crate::store::heartbeats::{Heartbeat, HeartbeatKind, HeartbeatStore, KEPT};

/// The heartbeats in a database.
pub(super) struct PostgresHeartbeats {
    url: PostgresUrl,
    /// The name of this process among those on the database.
    process: String,
    state: Mutex<State>,
    /// `None` before the first read.
    read: Mutex<Option<ReadHeartbeats>>,
}

/// What was read.
#[derive(Default)]
struct ReadHeartbeats {
    /// Every transaction before this one had ended.
    from: i64,
    /// The read rows from there on, each with its transaction.
    rows: HashMap<Heartbeat, i64>,
}

/// The connection, which is opened on first use.
enum State {
    Open(Option<Box<PostgresConnection>>),
    Closed,
}

impl PostgresHeartbeats {
    pub fn new(url: PostgresUrl) -> PostgresHeartbeats {
        let process = new_identity().simple().to_string();
        PostgresHeartbeats { url, process, state: Mutex::new(State::Open(None)), read: Mutex::default() }
    }

    /// Closes the connection for good.
    pub fn close(&self) {
        let before = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Closed);
        if let State::Open(Some(link)) = before {
            link.close();
        }
    }

    /// Runs idempotent work, with one retry.
    fn with<T>(&self, work: &impl AsyncFn(&Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Open(kept) = &mut *state else { return Err(StoreError::refused("the store is closed")) };
        if let Some(link) = kept.as_mut().filter(|link| link.stands()) {
            match link.run(async |client| work(client).await) {
                // The server closed the idle connection: retry on a new one.
                Err(StoreError::Unreachable(_)) => {}
                done => return done,
            }
        }
        *kept = None;
        *kept = Some(Box::new(PostgresConnection::open(&self.url)?));
        kept.as_mut().ok_or_else(closed)?.run(async |client| work(client).await)
    }
}

impl HeartbeatStore for PostgresHeartbeats {
    fn share(&self, beats: &[Heartbeat]) -> Result<(), StoreError> {
        // In a fixed order, so that two replicas do not deadlock; and each name once.
        let names: BTreeSet<_> = beats.iter().map(|pulse| (pulse.kind.as_str(), pulse.name.as_str())).collect();
        let (kinds, names): (Vec<_>, Vec<_>) = names.into_iter().unzip();
        let query = "INSERT INTO heartbeats (kind, name, process, transaction, at)
                     SELECT kind, name, $3, txid_current(), clock_timestamp()
                     FROM unnest($1::text[], $2::text[]) AS told (kind, name)
                     ON CONFLICT (kind, name) DO UPDATE
                     SET process = excluded.process, transaction = excluded.transaction, at = excluded.at";
        self.with(&async |client| {
            let values =
                [(&kinds as _, Type::TEXT_ARRAY), (&names as _, Type::TEXT_ARRAY), (&self.process as _, Type::TEXT)];
            client.execute_typed(query, &values).await?;
            Ok(())
        })
    }

    fn has_news(&self) -> Result<bool, StoreError> {
        // A check would cost as much as reading.
        Ok(true)
    }

    fn news(&self) -> Result<Vec<Heartbeat>, StoreError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let before = read.as_ref().map_or(0, |read| read.from);
        let (from, found) = self.with(&async |client| {
            // One statement, so that both are of one snapshot. The first row has only the transaction.
            let query = "SELECT txid_snapshot_xmin(txid_current_snapshot()), NULL, NULL, NULL
                         UNION ALL
                         SELECT transaction, kind, name, process FROM heartbeats WHERE transaction >= $1";
            let mut rows = client.query_typed(query, &[(&before, Type::INT8)]).await?.into_iter();
            let from = rows.next().map_or(Ok(before), |row| row.try_get::<_, i64>(0))?;
            let mut found = Vec::new();
            for row in rows {
                // A newer version may have more kinds.
                let Some(kind) = HeartbeatKind::from_name(row.try_get(1)?) else { continue };
                let is_own = row.try_get::<_, &str>(3)? == self.process;
                found.push((Heartbeat { kind, name: row.try_get(2)? }, row.try_get::<_, i64>(0)?, is_own));
            }
            Ok((from, found))
        })?;
        let mut now = ReadHeartbeats { from, rows: HashMap::new() };
        let mut news = Vec::new();
        for (beat, transaction, is_own) in found {
            let is_known = read.as_ref().is_none_or(|read| read.rows.get(&beat) == Some(&transaction));
            if !is_known && !is_own {
                news.push(beat.clone());
            }
            if transaction >= from {
                now.rows.insert(beat, transaction);
            }
        }
        *read = Some(now);
        Ok(news)
    }

    fn forget(&self) -> Result<(), StoreError> {
        let age = KEPT.as_secs();
        self.with(&async |client| {
            let query = "DELETE FROM heartbeats WHERE at < clock_timestamp() - make_interval(secs => $1)";
            #[expect(clippy::cast_precision_loss, reason = "two minutes")]
            client.execute_typed(query, &[(&(age as f64), Type::FLOAT8)]).await?;
            Ok(())
        })
    }
}
