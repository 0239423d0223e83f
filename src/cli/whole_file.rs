//! Files that are there whole, or not at all.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// What only its owner may read and write.
const PRIVATE: u32 = 0o600;

/// Writes a file that only its owner can read. It has its name once everything is on the disk, and replaces one of that
/// name by then; until then it is called `….partial`, and so is what a crash leaves behind. The next attempt writes over that.
///
/// # Errors
///
/// When it cannot be written, `write` fails, or another process writes the same file.
pub fn write_whole<T>(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let partial = beside(path);
    let file = open(&partial)?;
    let written = write(&file).and_then(|done| {
        file.sync_all().with_context(|| format!("{} cannot be synced", partial.display()))?;
        std::fs::rename(&partial, path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(done)
    });
    if written.is_err() {
        // The first failure is what counts.
        drop(std::fs::remove_file(&partial));
        return written;
    }
    // The name, too, is to survive a power failure.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("the folder {} cannot be synced", folder.display()))?;
    written
}

/// Where a file is written until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

/// Opens a file that nobody else writes, and empties it.
fn open(path: &Path) -> anyhow::Result<File> {
    let cannot = || format!("{} cannot be written", path.display());
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(path);
        let file = file.with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is being written by another process", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        let held = file.metadata().with_context(cannot)?;
        // Whoever had the lock before may have given the file its name, or removed it.
        let is_still_there =
            std::fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (held.dev(), held.ino()));
        if is_still_there {
            file.set_permissions(Permissions::from_mode(PRIVATE)).with_context(cannot)?;
            file.set_len(0).with_context(cannot)?;
            return Ok(file);
        }
    }
}
