//! A store's files, opened without the server: what the journal says, and whether the file can be trusted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use crate::content::Content;
use crate::violation::Violation;

/// All that a store holds.
#[derive(Debug, Default)]
pub(crate) struct Image {
    /// Empty where the store was not made yet.
    pub(crate) store: String,
    pub(crate) head: u64,
    /// The journal, without a gap: revision 1 is the first.
    pub(crate) changes: Vec<Change>,
    /// Revision and document by `unique_id`.
    pub(crate) plugins: HashMap<String, (u64, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) subject: String,
    pub(crate) kind: String,
    pub(crate) document: Option<String>,
}

impl Image {
    /// The change that made `revision`, if the journal goes that far.
    pub(crate) fn change(&self, revision: u64) -> Option<&Change> {
        self.changes.get(usize::try_from(revision.checked_sub(1)?).ok()?)
    }
}

/// Opens the store at `path`, recovering it as the server would; a file that is missing or has no tables yet is an
/// empty store, which is right for a crash before the first start was through.
///
/// # Errors
/// Says what is damaged: `SQLite`'s own check, a gap in the journal, plugins that are not what the journal replays to.
pub(crate) fn open_image(path: &Path) -> Result<Image, String> {
    if !path.exists() {
        return Ok(Image::default());
    }
    let image = read(path).map_err(|error| error.to_string())??;
    match replay(&image.changes) {
        plugins if plugins == image.plugins => Ok(image),
        plugins => Err(difference(&plugins, &image.plugins)),
    }
}

/// Both failures are the store's: the outer one is `SQLite`'s, the inner one ours.
fn read(path: &Path) -> rusqlite::Result<Result<Image, String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(path, flags)?;
    // Nobody else is there: no -shm, and no checkpoint when it is closed.
    store.pragma_update(None, "locking_mode", "exclusive")?;
    store.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let verdict: String = store.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Ok(Err(format!("quick_check: {verdict}")));
    }
    let tables = store.query_row("SELECT count(*) FROM sqlite_schema", [], |row| unsigned(row, 0))?;
    if tables == 0 {
        return Ok(Ok(Image::default()));
    }
    let (name, head) =
        store.query_row("SELECT store, head FROM registry", [], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?;
    let changes = match journal(&store, head)? {
        Ok(changes) => changes,
        Err(gap) => return Ok(Err(gap)),
    };
    let mut rows = store.prepare("SELECT unique_id, revision, document FROM plugins")?;
    let plugins =
        rows.query_map([], |row| Ok((row.get(0)?, (unsigned(row, 1)?, row.get(2)?))))?.collect::<Result<_, _>>()?;
    Ok(Ok(Image { store: name, head, changes, plugins }))
}

fn journal(store: &Connection, head: u64) -> rusqlite::Result<Result<Vec<Change>, String>> {
    let mut statement = store.prepare("SELECT revision, subject, kind, document FROM changes ORDER BY revision")?;
    let mut rows = statement.query([])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let revision = unsigned(row, 0)?;
        changes.push(Change { subject: row.get(1)?, kind: row.get(2)?, document: row.get(3)? });
        if revision != changes.len() as u64 {
            return Ok(Err(format!("revision {revision} stands where {} should", changes.len())));
        }
    }
    if changes.len() as u64 != head {
        return Ok(Err(format!("head is {head}, but the journal ends with {}", changes.len())));
    }
    Ok(Ok(changes))
}

/// `SQLite` knows signed integers only; a negative one is as bad as one that cannot be read.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn replay(changes: &[Change]) -> HashMap<String, (u64, String)> {
    let mut last: HashMap<&str, (u64, &Change)> = HashMap::new();
    for (revision, change) in (1..).zip(changes).filter(|(_, change)| change.kind.starts_with("plugin.")) {
        last.insert(&change.subject, (revision, change));
    }
    let standing = last.into_iter().filter(|(_, (_, change))| change.kind != "plugin.removed");
    standing
        .map(|(subject, (revision, change))| {
            (subject.to_owned(), (revision, change.document.clone().unwrap_or_default()))
        })
        .collect()
}

fn difference(replayed: &HashMap<String, (u64, String)>, stored: &HashMap<String, (u64, String)>) -> String {
    let id = replayed.keys().chain(stored.keys()).find(|id| replayed.get(*id) != stored.get(*id));
    match id {
        Some(id) => format!("{id}: the journal says {:?}, plugins {:?}", replayed.get(id), stored.get(id)),
        None => "no difference".to_owned(),
    }
}

/// The journal's documents, each parsed once however many images hold it: thousands of images of one run differ in
/// their last few changes only.
#[derive(Default)]
pub(crate) struct Documents {
    parsed: HashMap<u64, (String, Content)>,
}

impl Documents {
    /// What the document of `revision` says.
    ///
    /// # Errors
    /// `Violation::Half` for one that is no JSON, or was never sent like this.
    pub(crate) fn content(&mut self, revision: u64, document: &str) -> Result<&Content, Violation> {
        let entry = match self.parsed.entry(revision) {
            Entry::Occupied(entry) if entry.get().0 == document => return Ok(&entry.into_mut().1),
            entry => entry,
        };
        let half = |why: String| Violation::Half(format!("revision {revision}: {why}"));
        let value: Value = serde_json::from_str(document).map_err(|error| half(error.to_string()))?;
        let content = Content::of(&value).map_err(half)?;
        Ok(&entry.insert_entry((document.to_owned(), content)).into_mut().1)
    }

    /// Checks that `image` holds nothing but whole documents.
    ///
    /// # Errors
    /// `Violation::Half`, as of [`Documents::content`].
    pub(crate) fn check_all(&mut self, image: &Image) -> Result<(), Violation> {
        for (revision, change) in (1..).zip(&image.changes) {
            if let Some(document) = &change.document {
                self.content(revision, document)?;
            }
        }
        Ok(())
    }
}
