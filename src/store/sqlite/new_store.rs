//! Creates and fills a store at once: it gets its name when it is complete, and a failure leaves nothing behind.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::SqliteJournal;
use super::files::{self, folder_of};
use super::open::check_place;
use crate::store::archive::Archived;
use crate::store::{Journal as _, StoreError};

/// Creates a store at `path`, where there is none, and fills it by `work`. Until it is complete, it is in a temporary
/// folder beside `path`.
///
/// # Errors
///
/// If the store cannot be created, or another process has created one meanwhile. The inner result fails if `work`
/// fails.
pub fn make<T>(
    path: &Path,
    work: impl FnOnce(&mut dyn Archived) -> Result<T, StoreError>,
) -> Result<Result<T, StoreError>, StoreError> {
    check_place(path)?;
    files::refuse_left_behind(path)?;
    let real = files::followed(path);
    let cannot = |error: io::Error| StoreError::unusable(format!("cannot create {}", path.display()), error);
    let folder =
        tempfile::Builder::new().prefix(".plugin-registry-new-").tempdir_in(folder_of(&real)).map_err(cannot)?;
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).map_err(cannot)?;
    let unnamed = folder.path().join("registry.db");
    let mut journal = SqliteJournal::open(&unnamed)?;
    let done = work(&mut journal);
    journal.close();
    drop(journal);
    if done.is_ok() {
        name(&unnamed, &real).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                StoreError::refused(format!("another process has created {} meanwhile", path.display()))
            }
            _ => cannot(error),
        })?;
        // The new name must survive a power failure, too.
        File::open(folder_of(&real)).and_then(|folder| folder.sync_all()).map_err(cannot)?;
    }
    Ok(done)
}

/// Gives a file its name, unless the name is in use.
fn name(unnamed: &Path, real: &Path) -> io::Result<()> {
    match renameat_with(CWD, unnamed, CWD, real, RenameFlags::NOREPLACE) {
        // Some network file systems do not support NOREPLACE.
        Err(Errno::INVAL | Errno::NOSYS) => std::fs::hard_link(unnamed, real),
        renamed => Ok(renamed?),
    }
}
