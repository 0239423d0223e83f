//! Reads the journal beside the writer, on separate connections. SQLite's write-ahead log allows reads during writes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params, params_from_iter};

use super::archive;
use super::files::{StoreFiles, sqlite_name};
use super::open::{BUSY_TIMEOUT, check_current};
use crate::store::archive::Part;
use crate::store::row::{ChangeRow, revision_from_sql, revision_to_sql};
use crate::store::sqlite::change_row::{COLUMNS, change_row, compact_revision};
use crate::store::{CHANGE, ChangeCounts, Held, HeldPage, History, ReadPace, StoreError};
use domain::change::Transition;
use domain::change::history::{ChangePage, ChangeRange, MAX_BYTES, PriorState};
use domain::plugin::UniqueId;
use domain::steps::Steps;
use domain::{LeaseId, Revision};

/// The maximum number of idle connections.
const MAX_IDLE: usize = 4;

/// What it costs to read the subject of a change, in the unit of [`Pace::step`](domain::query::Pace::step).
const SUBJECT: usize = 256;

/// The history in a SQLite file.
#[derive(Debug)]
pub(super) struct SqliteHistory {
    path: PathBuf,
    /// `None` if this one connection only reads the store.
    files: Option<Arc<StoreFiles>>,
    /// Idle connections; `None` after the store has been closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl SqliteHistory {
    pub(super) fn new(path: &Path, files: Option<Arc<StoreFiles>>) -> SqliteHistory {
        SqliteHistory { path: path.to_owned(), files, idle: Mutex::new(Some(Vec::new())) }
    }

    /// Closes the idle connections, and keeps none from now on. The journal's own connection must close last, because
    /// it checkpoints the log.
    pub(super) fn close(&self) {
        drop(self.idle().take());
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on a separate connection, within one transaction.
    fn reading<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().as_mut().and_then(Vec::pop);
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let transaction = connection.unchecked_transaction()?;
        let read = read(&transaction)?;
        transaction.finish()?;
        if let Some(idle) = self.idle().as_mut().filter(|idle| idle.len() < MAX_IDLE) {
            idle.push(connection);
        }
        Ok(read)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(sqlite_name(&self.path), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Another file of that name holds another history.
        self.files.as_ref().map_or(Ok(()), |files| files.check())?;
        Ok(connection)
    }

    /// A copy of the whole file as of this moment, in a temporary database that ends with its connection.
    ///
    /// A long read of the file itself would keep the write-ahead log from restarting.
    fn copy(&self) -> Result<Connection, StoreError> {
        let connection = self.connect()?;
        let mut copy = Connection::open("")?;
        // In one step: after a write between two steps, the backup would start again.
        let copied = Backup::new(&connection, &mut copy)?.step(-1).map_err(not_copied)?;
        if copied == StepResult::Done { Ok(copy) } else { Err(StoreError::Busy("its file is locked".into())) }
    }
}

impl History for SqliteHistory {
    fn read(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<ChangePage, StoreError> {
        self.reading(|connection| {
            let compact_revision = compact_revision(connection)?;
            // Changes up to the compact revision only define the state at it, and are not part of the history.
            let range = &ChangeRange { after: range.after.max(compact_revision), ..range.clone() };
            let (condition, values) = condition(connection, range)?;
            let order = if range.descending { "DESC" } else { "ASC" };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM changes WHERE {condition} ORDER BY revision {order} LIMIT ?1"
            ))?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut page = ChangePage { compact_revision, ..ChangePage::default() };
            let mut bytes = 0;
            while bytes < MAX_BYTES {
                let Some(row) = rows.next()? else {
                    page.is_all = page.transitions.len() < range.limit;
                    break;
                };
                let transition = Arc::new(transition(connection, change_row(row)?)?);
                pace.step(CHANGE + transition.bytes())?;
                bytes += transition.bytes();
                page.transitions.push(transition);
            }
            Ok(page)
        })
    }

    fn rewind(&self, revision: Revision, pace: &ReadPace<'_>) -> Result<PriorState, StoreError> {
        self.reading(|connection| {
            let compact_revision = compact_revision(connection)?;
            let (mut plugins, mut leases) = (Vec::new(), Vec::new());
            if revision >= compact_revision {
                changed_since(connection, revision, pace, |subject, is_of_lease, stood| {
                    if is_of_lease {
                        let lease = stood.map(|row| row.lease()).transpose()?.flatten();
                        leases.push((LeaseId::named(&subject), lease.map(Arc::new)));
                    } else {
                        let record = stood.map(|row| row.record()).transpose()?.flatten();
                        plugins.push((UniqueId::from_client(&subject), record));
                    }
                    Ok(())
                })?;
            }
            Ok(PriorState { compact_revision, plugins, leases })
        })
    }

    fn held(&self, range: &ChangeRange, pace: &ReadPace<'_>) -> Result<HeldPage, StoreError> {
        self.reading(|connection| {
            let after = range.after.max(compact_revision(connection)?);
            let (condition, values) = condition(connection, &ChangeRange { after, ..range.clone() })?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM changes WHERE {condition} ORDER BY revision ASC LIMIT ?1"
            ))?;
            let mut rows = statement.query(params_from_iter(values))?;
            let (mut page, mut bytes) = (HeldPage::default(), 0);
            while bytes < MAX_BYTES {
                let Some(row) = rows.next()? else {
                    page.is_all = page.read < range.limit;
                    break;
                };
                let row = change_row(row)?;
                pace.step(SUBJECT + row.bytes())?;
                bytes += SUBJECT + row.bytes();
                page.changes.extend(row.held()?);
                page.last = Some(revision_from_sql(row.revision)?);
                page.read += 1;
            }
            Ok(page)
        })
    }

    fn held_at(&self, revision: Revision, plugin: Option<&UniqueId>, pace: &ReadPace<'_>) -> Result<Held, StoreError> {
        self.reading(|connection| {
            let mut held = Held::new();
            let mut keep = |subject: String, stood: Option<ChangeRow>| -> Result<(), StoreError> {
                let stood = stood.map(|row| row.held()).transpose()?.flatten();
                held.insert(UniqueId::from_client(&subject), stood.and_then(|change| change.held));
                Ok(())
            };
            if revision < compact_revision(connection)? {
                return Ok(held);
            }
            if let Some(id) = plugin {
                let stood = newest(connection, id.as_str(), false, revision_to_sql(revision))?;
                keep(id.as_str().to_owned(), stood)?;
                return Ok(held);
            }
            changed_since(
                connection,
                revision,
                pace,
                |subject, is_of_lease, stood| {
                    if is_of_lease { Ok(()) } else { keep(subject, stood) }
                },
            )?;
            Ok(held)
        })
    }

    fn revision_at(&self, time: Timestamp) -> Result<Option<Revision>, StoreError> {
        self.reading(|connection| {
            let compact_revision = compact_revision(connection)?;
            // Before the compact revision some changes are missing, so the newest one there may not be the true newest.
            Ok(Some(revision_before(connection, time, true)?).filter(|found| found.0 > 0 && *found >= compact_revision))
        })
    }

    fn count(&self, range: &ChangeRange, steps: Steps) -> Result<ChangeCounts, StoreError> {
        self.reading(|connection| {
            let compact_revision = compact_revision(connection)?;
            let range = &ChangeRange { after: range.after.max(compact_revision), limit: usize::MAX, ..range.clone() };
            let (condition, values) = condition(connection, range)?;
            // Numbers of the program, not of a client: the placeholders are those of the condition.
            let (from, length) = (steps.from.as_microsecond(), steps.micros());
            let mut statement = connection.prepare(&format!(
                "SELECT (at - ({from})) / {length}, kind, count(*) FROM changes WHERE {condition} AND at >= {from}
                 GROUP BY 1, 2 LIMIT ?1"
            ))?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut counted = ChangeCounts { compact_revision, ..ChangeCounts::default() };
            while let Some(row) = rows.next()? {
                counted.add(steps, row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?);
            }
            Ok(counted)
        })
    }

    fn dump(&self, visit: &mut dyn FnMut(Part) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let copy = self.copy()?;
        check_current(&copy)?;
        archive::dump(&copy, visit)
    }
}

/// A failure to copy. The full disk may be another one than the store's.
fn not_copied(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(
            "there is no room for a temporary copy of the store; set SQLITE_TMPDIR to a folder with more room".into(),
        ),
        _ => error.into(),
    }
}

/// The SQL condition for a range, with its values; the first value is the limit.
fn condition(connection: &Connection, range: &ChangeRange) -> Result<(String, Vec<Value>), StoreError> {
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let mut values = vec![Value::Integer(limit)];
    let mut conditions = Vec::new();
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("?{}", values.len())));
    };
    let after = match range.from {
        Some(from) => range.after.max(revision_before(connection, from, false)?),
        None => range.after,
    };
    add("revision > ?", revision_to_sql(after).into());
    if let Some(until) = range.until {
        add("revision <= ?", revision_to_sql(until).into());
    }
    if let Some(to) = range.to {
        add("revision <= ?", revision_to_sql(revision_before(connection, to, false)?).into());
    }
    if let Some(of_categories) = range.of_categories {
        add("(kind = 'category.named') = ?", i64::from(of_categories).into());
    }
    if let Some(subject) = &range.subject {
        add("subject = ?", subject.clone().into());
    }
    if !range.kinds.is_empty() {
        let kinds: Vec<_> = range.kinds.iter().map(|kind| kind.as_str()).collect();
        add("kind IN (SELECT value FROM json_each(?))", serde_json::json!(kinds).to_string().into());
    }
    Ok((conditions.join(" AND "), values))
}

/// The newest revision whose time is before a time, or at it if `or_at`; 0 if there is none.
fn revision_before(connection: &Connection, time: Timestamp, or_at: bool) -> Result<Revision, StoreError> {
    let mut most: i64 = connection.query_row("SELECT head FROM registry", [], |row| row.get(0))?;
    let mut steps = connection.prepare_cached("SELECT revision FROM clock_steps ORDER BY revision DESC")?;
    let mut steps = steps.query([])?;
    // Between two steps of the clock, times never decrease.
    while let Some(step) = steps.next()? {
        let step: i64 = step.get(0)?;
        let found = newest_between(connection, step - 1, most, (time, or_at))?;
        if found >= step {
            return revision_from_sql(found);
        }
        most = most.min(step - 1);
    }
    revision_from_sql(newest_between(connection, 0, most, (time, or_at))?)
}

/// The newest revision up to `most` whose time is before a time, or at it; `least` if there is none after `least`.
fn newest_between(
    connection: &Connection,
    mut least: i64,
    mut most: i64,
    (time, or_at): (Timestamp, bool),
) -> Result<i64, StoreError> {
    let mut place = connection
        .prepare_cached("SELECT revision, at FROM changes WHERE revision <= ?1 ORDER BY revision DESC LIMIT 1")?;
    let micros = time.as_microsecond();
    while least < most {
        let middle = least + (most - least + 1) / 2;
        let found = place.query_row([middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        match found {
            Some((revision, at)) if at > micros || (at == micros && !or_at) => most = (revision - 1).max(least),
            _ => least = middle,
        }
    }
    Ok(least)
}

/// Visits each plugin and lease that changed since a revision: its id, whether it is a lease, and its newest change up to
/// the revision.
fn changed_since(
    connection: &Connection,
    revision: Revision,
    pace: &ReadPace<'_>,
    mut visit: impl FnMut(String, bool, Option<ChangeRow>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // By revision, and not by the index of subjects: this reads only the changes since then. SQLite would read silently
    // on for as long as a DISTINCT finds nothing new, so every row comes here.
    let mut changed = connection.prepare_cached(
        "SELECT subject, kind LIKE 'lease.%', kind = 'category.named' OR kind LIKE 'budget.%'
         FROM changes NOT INDEXED WHERE revision > ?1",
    )?;
    let mut subjects = changed.query([revision_to_sql(revision)])?;
    let mut seen = HashSet::new();
    while let Some(row) = subjects.next()? {
        pace.step(SUBJECT)?;
        let (subject, is_of_lease): (String, bool) = (row.get(0)?, row.get(1)?);
        if row.get(2)? || !seen.insert((subject.clone(), is_of_lease)) {
            continue;
        }
        pace.step(CHANGE)?;
        let stood = newest(connection, &subject, false, revision_to_sql(revision))?;
        visit(subject, is_of_lease, stood)?;
    }
    Ok(())
}

/// A change with its effect.
fn transition(connection: &Connection, row: ChangeRow) -> Result<Transition, StoreError> {
    let before = newest(connection, &row.subject, row.kind == "category.named", row.revision - 1)?;
    row.transition(before)
}

/// The newest change of a subject up to a revision.
fn newest(
    connection: &Connection,
    subject: &str,
    of_category: bool,
    until: i64,
) -> Result<Option<ChangeRow>, StoreError> {
    // Not a parameter: SQLite would prepare the statement again for every value in the index condition.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM changes
         WHERE subject = ?1 AND (kind = 'category.named') = {} AND revision <= ?2 ORDER BY revision DESC LIMIT 1",
        u8::from(of_category)
    ))?;
    Ok(statement.query_row(params![subject, until], change_row).optional()?)
}
