//! Lets servers on one file find each other: each holds a shared lock (flock(2)) on a file beside the store.
//!
//! SQLite's own locks make two servers on one file safe. Operators rarely intend them: the second may be a replica of a
//! deployment, or a manually started service beside the one of systemd. The kernel releases the lock at the end of the
//! process, however it ends, and the lock works across containers that share the file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{Identity, PRIVATE, followed};

/// How often to try for the shared lock while another server checks whether it is alone, and the pause between
/// attempts.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// The lock, which a server holds as long as it uses a store.
#[derive(Debug)]
pub struct Presence {
    path: PathBuf,
    lock: File,
    /// Whether no other server used the store when this one started.
    pub is_alone: bool,
}

impl Presence {
    /// Announces to other servers that this one uses the store at `path`.
    ///
    /// # Errors
    ///
    /// If the file system does not support such locks, or the file cannot be created.
    pub fn announce(path: &Path) -> io::Result<Presence> {
        let mut name = OsString::from(followed(path));
        name.push("-servers");
        let path = PathBuf::from(name);
        loop {
            let mut options = OpenOptions::new();
            let lock = options.read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(&path)?;
            // The file is empty; it gets the same mode as all files of a store.
            drop(lock.set_permissions(Permissions::from_mode(PRIVATE)));
            let is_alone = match lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(error),
            };
            share(&lock)?;
            // The previous server may have removed the file meanwhile.
            let held = Identity::from(&lock.metadata()?);
            if Identity::of(&path).is_ok_and(|found| found == held) {
                return Ok(Presence { path, lock, is_alone });
            }
        }
    }
}

fn share(lock: &File) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
    Err(io::Error::from(io::ErrorKind::WouldBlock))
}

impl Drop for Presence {
    /// The last server removes the file of the lock.
    fn drop(&mut self) {
        if self.lock.try_lock().is_ok() {
            // The file has no content. If it remains, the next server uses it.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_several_is_alone_and_the_last_removes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("registry.db");
        let announce = || Presence::announce(&store).unwrap();
        let (first, second) = (announce(), announce());
        assert!(first.is_alone && !second.is_alone);
        drop(first);
        let third = announce();
        assert!(!third.is_alone);
        drop((second, third));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(announce().is_alone);
    }
}
