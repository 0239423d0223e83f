//! The files of a store: the database, its write-ahead log and the log's index. Checks that they are still the opened
//! files, that no log remains without its database, and that only the owner can read them.
//!
//! A process that has a file open keeps it after the file is moved or removed. SQLite would acknowledge commits into a
//! file that no restart finds, and later connections would open another file than the first.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::store::StoreError;

/// The suffixes of the files that SQLite creates beside the database, while it is open or after a crash
/// (<https://www.sqlite.org/tempfiles.html>). All of them may hold data of plugins and configurations.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Access for the owner only.
pub(super) const PRIVATE: u32 = 0o600;

/// The most symbolic links to follow, as in path_resolution(7).
const MAX_LINKS: usize = 40;

/// The files of a store at its opening.
#[derive(Debug)]
pub(super) struct StoreFiles {
    database: PathBuf,
    opened: Vec<(PathBuf, Identity)>,
}

/// Identifies a file regardless of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file at a path, after all links.
    pub fn of(path: &Path) -> io::Result<Identity> {
        std::fs::metadata(path).map(|found| Identity::from(&found))
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Identity {
        Identity { device: found.dev(), inode: found.ino() }
    }
}

impl StoreFiles {
    /// The files of the database at `path`. `opened` identifies the opened database, which has a log by now.
    ///
    /// # Errors
    ///
    /// If a file is missing, or the database is another file.
    pub fn of(path: &Path, opened: Identity) -> Result<StoreFiles, StoreError> {
        let mut files = StoreFiles { database: path.to_owned(), opened: vec![(path.to_owned(), opened)] };
        let real = followed(path);
        for name in ["-wal", "-shm"] {
            let file = with_suffix(&real, name);
            let found = Identity::of(&file).map_err(|error| files.displaced(&file, Some(&error)))?;
            files.opened.push((file, found));
        }
        files.check()?;
        Ok(files)
    }

    /// Checks that each file still has its name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Displaced`] if a file was moved, removed or replaced, and as long as that lasts.
    pub fn check(&self) -> Result<(), StoreError> {
        for (file, opened) in &self.opened {
            match Identity::of(file) {
                Ok(found) if found == *opened => {}
                Ok(_) => return Err(self.displaced(file, None)),
                Err(error) => return Err(self.displaced(file, Some(&error))),
            }
        }
        Ok(())
    }

    fn displaced(&self, file: &Path, error: Option<&io::Error>) -> StoreError {
        let what = match error {
            Some(error) if error.kind() == io::ErrorKind::NotFound => "was moved or removed".to_owned(),
            Some(error) => format!("cannot be read: {error}"),
            None => "was replaced by another file".to_owned(),
        };
        StoreError::Displaced(format!(
            "{} {what} while the store was open, so nothing is written; put the files of {} back where they were, or stop \
             this process and start it on the right store",
            file.display(),
            self.database.display(),
        ))
    }
}

/// Creates the file of a new store with access for its owner only, because configurations may hold secrets. Keeps an
/// existing file.
///
/// # Errors
///
/// As [`refuse_left_behind`].
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    refuse_left_behind(path)?;
    let real = followed(path);
    // If this fails, SQLite's own attempt fails too and reports the reason.
    if let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&real) {
        // A power failure that keeps the log must keep the name, too.
        drop(file.sync_all().and_then(|()| File::open(folder_of(&real))?.sync_all()));
    }
    Ok(())
}

/// Refuses a log without its database.
///
/// # Errors
///
/// If SQLite's log exists, and the database does not. SQLite would create an empty database and delete the log, with
/// all commits that only the log holds.
pub(super) fn refuse_left_behind(path: &Path) -> Result<(), StoreError> {
    let real = followed(path);
    // This looks for the log first. If two processes create the same store, neither mistakes the other's log for a
    // leftover one.
    let Some(log) = BESIDE.map(|name| with_suffix(&real, name)).into_iter().find(|file| file.exists()) else {
        return Ok(());
    };
    match std::fs::metadata(&real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(left_behind(path, &log, "does not exist")),
        // A database that was created and never written has at most a rollback journal.
        Ok(found) if found.len() == 0 && !log.as_os_str().as_encoded_bytes().ends_with(b"-journal") => {
            Err(left_behind(path, &log, "is empty"))
        }
        _ => Ok(()),
    }
}

fn left_behind(path: &Path, log: &Path, state: &str) -> StoreError {
    StoreError::refused(format!(
        "{} {state}, but {} exists and may hold its commits; put the database back beside it, or move that file away to \
         begin with an empty store",
        path.display(),
        log.display(),
    ))
}

/// Removes the access of other users to the files of a store. SQLite gives files that it creates later the mode of the
/// database.
pub(super) fn close_to_others(path: &Path) {
    let real = followed(path);
    let beside = BESIDE.map(|name| with_suffix(&real, name));
    for file in std::iter::once(&real).chain(&beside) {
        let Ok(found) = std::fs::metadata(file) else { continue };
        if found.permissions().mode() & 0o777 == PRIVATE {
            continue;
        }
        match std::fs::set_permissions(file, Permissions::from_mode(PRIVATE)) {
            Ok(()) if found.len() > 0 => {
                warn!(file = %file.display(), mode = "0600", "a file of the store had another mode; now only its owner can read it");
            }
            Ok(()) => {}
            Err(error) => {
                warn!(%error, file = %file.display(), "cannot remove other users' access to a file of the store; chmod it to 600");
            }
        }
    }
}

/// The name by which SQLite opens the file at `path`. SQLite would parse `file:…` as a URI, and `:memory:` as a
/// database in memory (<https://www.sqlite.org/c3ref/open.html>).
pub(super) fn sqlite_name(path: &Path) -> Cow<'_, Path> {
    let text = path.as_os_str().as_encoded_bytes();
    if text.starts_with(b"file:") || text.starts_with(b":") {
        return Cow::Owned(Path::new(".").join(path));
    }
    Cow::Borrowed(path)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file at the end of symbolic links, which may not exist. SQLite derives the names of the files beside it from
/// this one.
pub(super) fn followed(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(&place) else { break };
        place = folder_of(&place).join(target);
    }
    place
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
