//! Reads the journal beside the writer, on separate connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::connection::{LOAD_TIME, PostgresConnection};
use super::url::PostgresUrl;
use super::{archive, migrate};
use crate::store::archive::Part;
use crate::store::postgres::change_row::{COLUMNS, change_row, compact_revision};
use crate::store::row::{ChangeRow, revision_from_sql, revision_to_sql};
use crate::store::{CHANGE, ChangeCounts, Held, HeldPage, History, ReadPace, StoreError};
use domain::change::history::{ChangePage, ChangeRange, MAX_BYTES, PriorState};
use domain::plugin::UniqueId;
use domain::steps::Steps;
use domain::{LeaseId, Revision};

/// The number of columns.
const WIDTH: usize = 11;

/// What it costs to read what a plugin holds, beside its bytes, in the unit of [`Pace::step`](domain::query::Pace::step).
const HELD: usize = 256;

/// The maximum number of idle connections.
const MAX_IDLE: usize = 4;

/// The history in a database.
pub(super) struct PostgresHistory {
    url: PostgresUrl,
    /// Idle connections; `None` after the store has been closed.
    idle: Mutex<Option<Vec<PostgresConnection>>>,
}

impl PostgresHistory {
    pub fn new(url: PostgresUrl) -> PostgresHistory {
        PostgresHistory { url, idle: Mutex::new(Some(Vec::new())) }
    }

    /// Closes the idle connections, and keeps none from now on.
    pub fn close(&self) {
        let idle = self.idle().take();
        idle.into_iter().flatten().for_each(PostgresConnection::close);
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<PostgresConnection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on a separate connection, within one transaction.
    fn reading<T>(&self, read: &impl AsyncFn(&Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let kept = self.idle().as_mut().and_then(Vec::pop);
        if let Some(mut link) = kept {
            match link.run(async |client| within_one_moment(client, read).await) {
                // The server closed the idle connection: retry on a new one.
                Err(StoreError::Unreachable(_)) => {}
                done => return self.give_back(link, done),
            }
        }
        let mut link = PostgresConnection::open(&self.url)?;
        let done = link.run(async |client| within_one_moment(client, read).await);
        self.give_back(link, done)
    }

    fn give_back<T>(&self, link: PostgresConnection, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_ok()
            && let Some(idle) = self.idle().as_mut().filter(|idle| idle.len() < MAX_IDLE)
        {
            idle.push(link);
        }
        done
    }
}

async fn within_one_moment<T>(
    client: &Client,
    read: &impl AsyncFn(&Client) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let done = read(client).await?;
    client.batch_execute("COMMIT").await?;
    Ok(done)
}

impl History for PostgresHistory {
    fn read(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<ChangePage, StoreError> {
        self.reading(&async |client| {
            let compact_revision = compact_revision(client).await?;
            // Changes up to the compact revision only define the state at it, and are not part of the history.
            let range = &ChangeRange { after: range.after.max(compact_revision), ..range.clone() };
            read(client, range, compact_revision, pace).await
        })
    }

    fn rewind(&self, revision: Revision, pace: &ReadPace<'_>) -> Result<PriorState, StoreError> {
        self.reading(&async |client| {
            let compact_revision = compact_revision(client).await?;
            let mut prior = PriorState { compact_revision, ..PriorState::default() };
            if revision < compact_revision {
                return Ok(prior);
            }
            let query = format!(
                "SELECT changed.subject, changed.of_lease, {}
                 FROM (SELECT DISTINCT subject, kind LIKE 'lease.%' AS of_lease FROM changes
                       WHERE revision > $1 AND NOT of_category AND kind NOT LIKE 'budget.%') AS changed
                 LEFT JOIN LATERAL (
                     SELECT {COLUMNS} FROM changes
                     WHERE subject = changed.subject AND NOT of_category AND revision <= $1
                     ORDER BY revision DESC LIMIT 1) AS stood ON true",
                qualified("stood"),
            );
            let revision = revision_to_sql(revision);
            let mut rows =
                std::pin::pin!(client.query_typed_raw(&query, [(&revision as &(dyn ToSql + Sync), Type::INT8)]).await?);
            while let Some(row) = rows.try_next().await? {
                pace.step(CHANGE)?;
                let stood = optional_row(&row, 2)?;
                if row.try_get(1)? {
                    let lease = stood.map(|stood| stood.lease()).transpose()?.flatten();
                    prior.leases.push((LeaseId::named(row.try_get(0)?), lease.map(Arc::new)));
                } else {
                    let record = stood.map(|stood| stood.record()).transpose()?.flatten();
                    prior.plugins.push((UniqueId::from_client(row.try_get(0)?), record));
                }
            }
            Ok(prior)
        })
    }

    fn held(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<HeldPage, StoreError> {
        self.reading(&async |client| {
            let after = range.after.max(compact_revision(client).await?);
            let (after, until) = bounds(client, &ChangeRange { after, ..range.clone() }).await?;
            let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
            let query = format!(
                "SELECT {COLUMNS} FROM changes
                 WHERE revision > $1 AND revision <= $2 AND ($3::text IS NULL OR (subject = $3 AND NOT of_category))
                 ORDER BY revision LIMIT $4"
            );
            let values: [(&(dyn ToSql + Sync), Type); 4] =
                [(&after, Type::INT8), (&until, Type::INT8), (&range.subject, Type::TEXT), (&limit, Type::INT8)];
            let mut rows = std::pin::pin!(client.query_typed_raw(&query, values).await?);
            let mut page = HeldPage::default();
            while let Some(row) = rows.try_next().await? {
                let row = change_row(&row, 0)?;
                pace.step(HELD + row.bytes())?;
                page.changes.extend(row.held()?);
                page.last = Some(revision_from_sql(row.revision)?);
                page.read += 1;
            }
            page.is_all = page.read < range.limit;
            Ok(page)
        })
    }

    fn held_at(&self, revision: Revision, plugin: Option<&UniqueId>, pace: &ReadPace<'_>) -> Result<Held, StoreError> {
        self.reading(&async |client| {
            let mut held = Held::new();
            if revision < compact_revision(client).await? {
                return Ok(held);
            }
            let query = format!(
                "SELECT changed.subject, {}
                 FROM (SELECT DISTINCT subject FROM changes
                       WHERE revision > $1 AND NOT of_category AND kind NOT LIKE 'budget.%' AND kind NOT LIKE 'lease.%'
                           AND ($2::text IS NULL OR subject = $2)) AS changed
                 LEFT JOIN LATERAL (
                     SELECT {COLUMNS} FROM changes
                     WHERE subject = changed.subject AND NOT of_category AND revision <= $1
                     ORDER BY revision DESC LIMIT 1) AS stood ON true",
                qualified("stood"),
            );
            let (revision, plugin) = (revision_to_sql(revision), plugin.map(UniqueId::as_str));
            let values: [(&(dyn ToSql + Sync), Type); 2] = [(&revision, Type::INT8), (&plugin, Type::TEXT)];
            let mut rows = std::pin::pin!(client.query_typed_raw(&query, values).await?);
            while let Some(row) = rows.try_next().await? {
                pace.step(CHANGE)?;
                let stood = optional_row(&row, 1)?.map(|stood| stood.held()).transpose()?.flatten();
                held.insert(UniqueId::from_client(row.try_get(0)?), stood.and_then(|change| change.held));
            }
            Ok(held)
        })
    }

    fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError> {
        self.reading(&async |client| {
            let compact_revision = compact_revision(client).await?;
            // Before the compact revision some changes are missing, so the newest one there may not be the true newest.
            let found = revision_before(client, time, true).await?;
            Ok(Some(found).filter(|found| found.0 > 0 && *found >= compact_revision))
        })
    }

    fn count(&self, range: &ChangeRange, steps: Steps) -> Result<ChangeCounts, StoreError> {
        self.reading(&async |client| {
            let compact_revision = compact_revision(client).await?;
            let range = &ChangeRange { after: range.after.max(compact_revision), ..range.clone() };
            let (after, until) = bounds(client, range).await?;
            let kinds: Vec<_> = range.kinds.iter().map(|kind| kind.as_str()).collect();
            let (from, length) = (steps.from.as_microsecond(), steps.micros());
            let query = "
                SELECT (at - $6) / $7, kind, count(*) FROM changes
                WHERE revision > $1 AND revision <= $2 AND at >= $6
                    AND ($3::boolean IS NULL OR of_category = $3)
                    AND ($4::text IS NULL OR subject = $4)
                    AND (cardinality($5::text[]) = 0 OR kind = ANY($5))
                GROUP BY 1, 2";
            let values: [(&(dyn ToSql + Sync), Type); 7] = [
                (&after, Type::INT8),
                (&until, Type::INT8),
                (&range.of_categories, Type::BOOL),
                (&range.subject, Type::TEXT),
                (&kinds, Type::TEXT_ARRAY),
                (&from, Type::INT8),
                (&length, Type::INT8),
            ];
            let mut rows = std::pin::pin!(client.query_typed_raw(query, values).await?);
            let mut counted = ChangeCounts { compact_revision, ..ChangeCounts::default() };
            while let Some(row) = rows.try_next().await? {
                counted.add(steps, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            }
            Ok(counted)
        })
    }

    fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        // A separate connection, so that no reader waits for the dump.
        let mut link = PostgresConnection::open(&self.url)?;
        link.run_within(LOAD_TIME, async |client| migrate::check_current(client).await)?;
        archive::dump(&mut link, visit)?;
        link.close();
        Ok(())
    }
}

/// The changes of a range, which starts at the compact revision or later.
async fn read(
    client: &Client,
    range: &ChangeRange,
    compact_revision: Revision,
    pace: &ReadPace<'_>,
) -> Result<ChangePage, StoreError> {
    let (after, until) = bounds(client, range).await?;
    let kinds: Vec<_> = range.kinds.iter().map(|kind| kind.as_str()).collect();
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let order = if range.descending { "DESC" } else { "ASC" };
    // The server knows the length of a text without reading it.
    let query = format!(
        "SELECT {of_change}, {of_before}
         FROM (SELECT *, sum(coalesce(octet_length(document), 0) + 512) OVER (ORDER BY revision {order}) AS bytes
               FROM (SELECT * FROM changes
                     WHERE revision > $1 AND revision <= $2
                         AND ($3::boolean IS NULL OR of_category = $3)
                         AND ($4::text IS NULL OR subject = $4)
                         AND (cardinality($5::text[]) = 0 OR kind = ANY($5))
                     ORDER BY revision {order} LIMIT $6) AS limited) AS change
         LEFT JOIN LATERAL (
             SELECT {COLUMNS} FROM changes AS earlier
             WHERE earlier.subject = change.subject AND earlier.of_category = change.of_category
                 AND earlier.revision < change.revision
             ORDER BY earlier.revision DESC LIMIT 1) AS before ON true
         WHERE change.bytes - coalesce(octet_length(change.document), 0) - 512 < {MAX_BYTES}
         ORDER BY change.revision {order}",
        of_change = qualified("change"),
        of_before = qualified("before"),
    );
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&after, Type::INT8),
        (&until, Type::INT8),
        (&range.of_categories, Type::BOOL),
        (&range.subject, Type::TEXT),
        (&kinds, Type::TEXT_ARRAY),
        (&limit, Type::INT8),
    ];
    let mut rows = std::pin::pin!(client.query_typed_raw(&query, values).await?);
    let mut page = ChangePage { compact_revision, ..ChangePage::default() };
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let row = change_row(&row, 0)?.transition(optional_row(&row, WIDTH)?)?;
        pace.step(CHANGE + row.bytes())?;
        bytes += row.bytes();
        page.transitions.push(Arc::new(row));
    }
    // The database counts the same bytes as this code.
    page.is_all = page.transitions.len() < range.limit && bytes < MAX_BYTES;
    Ok(page)
}

/// The revisions of a range: after the first, up to the second.
async fn bounds(client: &Client, range: &ChangeRange) -> Result<(i64, i64), StoreError> {
    let after = match range.from {
        Some(from) => range.after.max(revision_before(client, from, false).await?),
        None => range.after,
    };
    let until = match range.to {
        Some(to) => Some(revision_before(client, to, false).await?).min(range.until.or(Some(Revision(u64::MAX)))),
        None => range.until,
    };
    Ok((revision_to_sql(after), until.map_or(i64::MAX, revision_to_sql)))
}

/// The newest revision before a time, or at it if `or_at`; 0 if there is none.
///
/// Times never decrease with revisions, so this is a binary search.
async fn revision_before(client: &Client, time: Timestamp, or_at: bool) -> Result<Revision, StoreError> {
    let query = "SELECT head FROM registry
                 UNION ALL (SELECT revision FROM clock_steps ORDER BY revision DESC)";
    let mut rows = client.query_typed(query, &[]).await?.into_iter();
    let mut most = rows.next().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?;
    // Between two steps of the clock, times never decrease.
    for row in rows {
        let step: i64 = row.try_get(0)?;
        let found = newest_between(client, step - 1, most, (time, or_at)).await?;
        if found >= step {
            return revision_from_sql(found);
        }
        most = most.min(step - 1);
    }
    revision_from_sql(newest_between(client, 0, most, (time, or_at)).await?)
}

/// The newest revision up to `most` whose time is before a time, or at it; `least` if there is none after `least`.
async fn newest_between(
    client: &Client,
    least: i64,
    most: i64,
    (time, or_at): (Timestamp, bool),
) -> Result<i64, StoreError> {
    let query = "
        WITH RECURSIVE search (least, most) AS (
            SELECT $3::bigint, $4::bigint
            UNION ALL
            SELECT CASE WHEN is_later THEN least ELSE middle END,
                   CASE WHEN is_later THEN greatest(revision - 1, least) ELSE most END
            FROM (SELECT least, most, middle, revision, coalesce(at > $1 OR (at = $1 AND NOT $2), false) AS is_later
                  FROM (SELECT least, most, least + (most - least + 1) / 2 AS middle FROM search WHERE least < most) AS half
                  LEFT JOIN LATERAL (SELECT revision, at FROM changes WHERE revision <= middle
                                     ORDER BY revision DESC LIMIT 1) AS place ON true) AS step
        )
        SELECT least FROM search WHERE least >= most";
    let micros = time.as_microsecond();
    let values: [(&(dyn ToSql + Sync), Type); 4] =
        [(&micros, Type::INT8), (&or_at, Type::BOOL), (&least, Type::INT8), (&most, Type::INT8)];
    Ok(client.query_typed_one(query, &values).await?.try_get(0)?)
}

/// The qualified names of the columns of a change.
fn qualified(name: &str) -> String {
    COLUMNS.split(", ").map(|column| format!("{name}.{column}")).collect::<Vec<_>>().join(", ")
}

/// As [`change_row`]; `None` if the columns are null.
fn optional_row(row: &Row, first: usize) -> Result<Option<ChangeRow>, StoreError> {
    match row.try_get::<_, Option<i64>>(first)? {
        Some(_) => change_row(row, first).map(Some),
        None => Ok(None),
    }
}
