//! Opening the file: whose it is, whether it is whole, and whether it can be written.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::files::{self, Identity, StoreFiles, folder_of, sqlite_name};
use super::ledger;
use crate::clock::new_identity;
use crate::store::StoreError;
use crate::store::head::older;
use domain::StoreId;

/// `PRAGMA application_id` of our files: "pReg" in ASCII.
const APPLICATION_ID: i32 = 0x7052_6567;

/// Every migration there ever was, in order; `PRAGMA user_version` counts those applied.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_registry.sql"),
    include_str!("../../../migrations/sqlite/0002_history.sql"),
    include_str!("../../../migrations/sqlite/0003_webhooks.sql"),
    include_str!("../../../migrations/sqlite/0004_answers.sql"),
    include_str!("../../../migrations/sqlite/0005_costs.sql"),
    include_str!("../../../migrations/sqlite/0006_truth.sql"),
    include_str!("../../../migrations/sqlite/0007_pulses.sql"),
    include_str!("../../../migrations/sqlite/0008_access.sql"),
    include_str!("../../../migrations/sqlite/0009_told_pulses.sql"),
];

/// How long to wait for another process to finish its batch.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often, and after what pause, the write-ahead log is turned on while others do the same.
const WAL_ATTEMPTS: usize = 50;
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// Opens the file, makes it ours when it is new, and brings it to the newest schema.
pub(super) fn open(path: &Path) -> Result<(Connection, StoreFiles), StoreError> {
    check_place(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let named = |error: StoreError| match error {
        StoreError::Unusable { what, source } => {
            StoreError::Unusable { what: format!("{}: {what}", path.display()), source }
        }
        other => other,
    };
    files::create(path)?;
    let opened = Identity::of(path);
    let mut connection =
        Connection::open_with_flags(sqlite_name(path), flags).map_err(|error| cannot_write(path, error))?;
    check_owner(&connection).map_err(named)?;
    files::close_to_others(path);
    if connection.is_readonly("main").map_err(|error| named(error.into()))? {
        return Err(StoreError::refused(format!("{}: the file cannot be written", path.display())));
    }
    configure(&connection).map_err(|error| refused_write(path, error))?;
    migrate(&mut connection).map_err(|error| refused_write(path, error))?;
    check_whole(&connection).map_err(named)?;
    sync_recovered(&connection).map_err(|error| refused_write(path, error))?;
    let opened = opened.map_err(|error| StoreError::Io(Box::new(error)))?;
    Ok((connection, StoreFiles::of(path, opened)?))
}

/// What SQLite would only call "unable to open database file".
pub(super) fn check_place(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Err(StoreError::refused(format!("{} is a folder; name a file in it", path.display())));
    }
    if holds_something_else(path) {
        return Err(StoreError::refused(format!("{} is not a SQLite database; name another file", path.display())));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(StoreError::refused(format!("the folder {} does not exist; create it first", folder.display())));
    }
    Ok(())
}

/// Whether a file has a beginning that no SQLite database has
/// (<https://www.sqlite.org/fileformat.html#the_database_header>). SQLite would take one that is
/// shorter than a header for an empty database, and write over it.
fn holds_something_else(path: &Path) -> bool {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const HEADER: u64 = 100;
    let Ok(file) = File::open(path) else { return false };
    let mut beginning = Vec::new();
    // What cannot be read is told by SQLite when it tries.
    let read = file.take(HEADER).read_to_end(&mut beginning).unwrap_or(0);
    read > 0 && (!beginning.starts_with(MAGIC) || (read as u64) < HEADER)
}

/// Refuses a file of another program, and one of a newer version of this one.
fn check_owner(connection: &Connection) -> Result<(), StoreError> {
    // One read transaction: another process may be making the file ours at this moment.
    let reading = connection.unchecked_transaction()?;
    check_owner_within(&reading)
}

fn check_owner_within(connection: &Connection) -> Result<(), StoreError> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let application = number("application_id")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != i64::from(APPLICATION_ID) && (application != 0 || tables != 0) {
        return Err(StoreError::refused("is a SQLite database of another program; name another file"));
    }
    let (version, newest) = (number("user_version")?, newest_schema());
    if !(0..=newest).contains(&version) {
        return Err(StoreError::refused(format!(
            "was written by a newer plugin-registry (schema {version}; this one knows up to {newest}); \
             start the newer version",
        )));
    }
    Ok(())
}

/// Refuses a file that is not of this version's schema. Within a transaction.
pub(super) fn check_current(connection: &Connection) -> Result<(), StoreError> {
    check_owner_within(connection)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == newest_schema() { Ok(()) } else { Err(older(version, newest_schema())) }
}

pub(super) fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode = use_write_ahead_log(connection)?;
    if mode != "wal" {
        return Err(StoreError::refused("the file system does not allow a write-ahead log (no shared memory)"));
    }
    // The log is cut back to this size, in bytes, after a burst.
    connection.execute_batch("PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF;")?;
    connection
        .execute_batch("PRAGMA cell_size_check = ON; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;")?;
    connection.pragma_update(None, "synchronous", crate::failpoints::synchronous())?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Turns on the write-ahead log; returns the journal mode that the file has then.
///
/// Of several processes that do this to a new file at once, SQLite tells some that it is locked
/// without waiting, lest they wait for each other.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<String> {
    let turn_on = || connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
    for _ in 0..WAL_ATTEMPTS {
        match turn_on() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => std::thread::sleep(WAL_PAUSE),
            mode => return mode,
        }
    }
    turn_on()
}

/// The `user_version` of a file that has seen every migration.
fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Applies the migrations that the file has not seen, all in one transaction.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // IMMEDIATE: of two processes that start at once, one waits, and then finds nothing to do.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let had_ledger = ledger::are_there(&transaction)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(applied).unwrap_or(usize::MAX)) {
        transaction.execute_batch(migration)?;
    }
    if applied == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let store = StoreId::new(new_identity());
        transaction
            .execute("INSERT INTO registry (id, store, head, head_at) VALUES (1, ?1, 0, 0)", [store.as_str()])?;
    }
    if applied > 0 && !had_ledger {
        ledger::recount(&transaction)?;
    }
    if applied < newest_schema() {
        transaction.pragma_update(None, "user_version", newest_schema())?;
    }
    transaction.commit()?;
    Ok(())
}

/// Refuses a file with pages that do not fit together.
fn check_whole(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::unusable("the file is damaged; restore it from a backup", verdict))
}

/// Makes durable what was recovered from the log: a process that was killed between the write and
/// the sync of a batch leaves it whole but unsynced, and nobody may see it before it is certain.
fn sync_recovered(connection: &Connection) -> Result<(), StoreError> {
    let unfinished: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if unfinished {
        // Another process reads the file. A commit of our own syncs the log, and all before it.
        connection.execute_batch(&format!("BEGIN IMMEDIATE; PRAGMA user_version = {}; COMMIT", newest_schema()))?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: rusqlite::Error) -> StoreError {
    let what = format!(
        "{} cannot be opened for reading and writing; look at its permissions and those of its folder for user {}",
        path.display(),
        rustix::process::geteuid().as_raw(),
    );
    StoreError::unusable(what, error)
}

/// A failure of the first writes, told with the path and what is the likely reason.
fn refused_write(path: &Path, error: StoreError) -> StoreError {
    let folder = folder_of(path);
    match error {
        StoreError::Unusable { what, source } => {
            StoreError::Unusable { what: format!("{}: {what}", path.display()), source }
        }
        StoreError::Io(source) => StoreError::unusable(
            format!(
                "{} cannot be written: SQLite needs to create files beside it in {} as user {}",
                path.display(),
                folder.display(),
                rustix::process::geteuid().as_raw(),
            ),
            source,
        ),
        other => other,
    }
}
