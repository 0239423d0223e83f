//! Opens the file: checks its owner, its integrity, and that it can be written.

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

/// The `PRAGMA application_id` of the registry's files: "pReg" in ASCII.
const APPLICATION_ID: i32 = 0x7052_6567;

/// All migrations, in order; `PRAGMA user_version` is the number of applied ones.
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
    include_str!("../../../migrations/sqlite/0010_holdings.sql"),
    include_str!("../../../migrations/sqlite/0011_reasons.sql"),
    include_str!("../../../migrations/sqlite/0012_clocks.sql"),
    include_str!("../../../migrations/sqlite/0013_answer_quota.sql"),
];

/// How long to wait for a batch of another process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of attempts to turn on the write-ahead log while other processes do the same, and the pause between them.
const WAL_ATTEMPTS: usize = 50;
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// Opens the file, initialises it if it is new, and migrates it to the newest schema.
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
        return Err(StoreError::refused(format!(
            "{}: the file cannot be written; check its permissions",
            path.display()
        )));
    }
    configure(&connection).map_err(|error| refused_write(path, error))?;
    migrate(&mut connection).map_err(|error| refused_write(path, error))?;
    check_whole(&connection).map_err(named)?;
    sync_recovered(&connection).map_err(|error| refused_write(path, error))?;
    let opened = opened.map_err(|error| StoreError::Io(Box::new(error)))?;
    Ok((connection, StoreFiles::of(path, opened)?))
}

/// Reports the cases that SQLite only calls "unable to open database file".
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

/// Whether a file starts unlike any SQLite database (<https://www.sqlite.org/fileformat.html#the_database_header>).
/// SQLite would treat a file shorter than a header as an empty database, and overwrite it.
fn holds_something_else(path: &Path) -> bool {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const HEADER: u64 = 100;
    let Ok(file) = File::open(path) else { return false };
    let mut beginning = Vec::new();
    // If the file cannot be read, SQLite's own attempt reports it.
    let read = file.take(HEADER).read_to_end(&mut beginning).unwrap_or(0);
    read > 0 && (!beginning.starts_with(MAGIC) || (read as u64) < HEADER)
}

/// Refuses a file of another program, or of a newer version of this one.
fn check_owner(connection: &Connection) -> Result<(), StoreError> {
    // One read transaction, because another process may be initialising the file at this moment.
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

/// Refuses a file with another schema version. Called within a transaction.
pub(super) fn check_current(connection: &Connection) -> Result<(), StoreError> {
    check_owner_within(connection)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == newest_schema() { Ok(()) } else { Err(older(version, newest_schema())) }
}

pub(super) fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode = use_write_ahead_log(connection)?;
    if mode != "wal" {
        return Err(StoreError::refused(
            "the file system does not support a write-ahead log (no shared memory); use a local file system",
        ));
    }
    // SQLite truncates the log to this size, in bytes, after a burst.
    connection.execute_batch("PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF;")?;
    connection
        .execute_batch("PRAGMA cell_size_check = ON; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;")?;
    connection.pragma_update(None, "synchronous", crate::failpoints::synchronous())?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Turns on the write-ahead log; returns the file's journal mode afterwards.
///
/// If several processes do this to a new file at once, SQLite reports to some that it is locked, without waiting. So it
/// avoids deadlocks.
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

/// The `user_version` of a file with all migrations.
fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Applies the missing migrations, all in one transaction.
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

/// Refuses a file with inconsistent pages.
fn check_whole(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::unusable("the file is damaged; restore it from a backup", verdict))
}

/// Syncs the recovered log. If a process was killed between the write and the sync of a batch, the batch is complete
/// but not durable. No reader may see it before it is.
fn sync_recovered(connection: &Connection) -> Result<(), StoreError> {
    let unfinished: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if unfinished {
        // Another process reads the file. A commit of this process syncs the log, and everything before it.
        connection.execute_batch(&format!("BEGIN IMMEDIATE; PRAGMA user_version = {}; COMMIT", newest_schema()))?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: rusqlite::Error) -> StoreError {
    let what = format!(
        "{} cannot be opened for reading and writing; check its permissions and those of its folder for user {}",
        path.display(),
        rustix::process::geteuid().as_raw(),
    );
    StoreError::unusable(what, error)
}

/// A failure of the first writes, with the path and the likely reason.
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
