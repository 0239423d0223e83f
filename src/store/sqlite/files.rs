//! The files of a store: the database, its write-ahead log and the log's index. Whether they are still those that were
//! opened, whether a log waits for a database that is away, and who may read them.
//!
//! A process that has a file open keeps it, whatever becomes of the name. SQLite would go on to acknowledge commits into a
//! file that no restart finds, and connections made later would open another file than the first.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::store::StoreError;

/// What SQLite appends to the name of the database for the files beside it, while it is open or after a crash
/// (<https://www.sqlite.org/tempfiles.html>). All may hold what plugins and configurations hold.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What only its owner may read and write.
pub(super) const PRIVATE: u32 = 0o600;

/// How many symbolic links are followed, as path_resolution(7) has it.
const MAX_LINKS: usize = 40;

/// The files of a store as they were when it was opened.
#[derive(Debug)]
pub(super) struct StoreFiles {
    database: PathBuf,
    opened: Vec<(PathBuf, Identity)>,
}

/// Which file it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Which file a path leads to.
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
    /// The files of the database at `path`, which was `opened` as that file and has a log by now.
    ///
    /// # Errors
    ///
    /// When they are not there any more, or the database is another file.
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
    /// [`StoreError::Displaced`] when one was moved, removed or replaced, as long as that is so.
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
            Some(error) => format!("cannot be found: {error}"),
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

/// Makes the file of a new store, readable by its owner alone: configurations may hold secrets. One that exists stays.
///
/// # Errors
///
/// As [`refuse_left_behind`].
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    refuse_left_behind(path)?;
    let real = followed(path);
    // A failure here happens again when SQLite opens the file, and is reported then.
    if let Ok(file) = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&real) {
        // The name must not be lost to a power failure that the log survives.
        drop(file.sync_all().and_then(|()| File::open(folder_of(&real))?.sync_all()));
    }
    Ok(())
}

/// Refuses a log without the database that it belongs to.
///
/// # Errors
///
/// When SQLite's log is there, and the database is not. SQLite would make an empty database and throw the log away, with all
/// commits that are in it alone.
pub(super) fn refuse_left_behind(path: &Path) -> Result<(), StoreError> {
    let real = followed(path);
    // The log is looked for first: of two processes that make the same store, neither takes the other's log for one that was
    // left behind.
    let Some(log) = BESIDE.map(|name| with_suffix(&real, name)).into_iter().find(|file| file.exists()) else {
        return Ok(());
    };
    match std::fs::metadata(&real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(left_behind(path, &log, "is not there")),
        // A database that was made and never written has a rollback journal at most.
        Ok(found) if found.len() == 0 && !log.as_os_str().as_encoded_bytes().ends_with(b"-journal") => {
            Err(left_behind(path, &log, "is empty"))
        }
        _ => Ok(()),
    }
}

fn left_behind(path: &Path, log: &Path, state: &str) -> StoreError {
    StoreError::refused(format!(
        "{} {state}, but {} is there and may hold commits of it; put the database back beside it, or move that file away to \
         begin with an empty store",
        path.display(),
        log.display(),
    ))
}

/// Closes the files of a store to other users. SQLite gives the files that it makes later the mode of the database.
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
                warn!(file = %file.display(), mode = "0600", "a file of the store had another mode; only its owner can read it now");
            }
            Ok(()) => {}
            Err(error) => {
                warn!(%error, file = %file.display(), "a file of the store cannot be closed to other users; chmod it to 600");
            }
        }
    }
}

/// The name by which SQLite opens the file at `path`, and no other: SQLite reads `file:…` as a URI and `:memory:` as no file
/// (<https://www.sqlite.org/c3ref/open.html>).
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

/// The file to which symbolic links lead, whether it exists or not. SQLite names the files beside it after that one.
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
