//! Servers on one file know of each other: each holds a shared lock (flock(2)) on a file beside the store.
//!
//! Two servers on one file are safe, because SQLite's own locks keep them apart. They are seldom meant, though: a second
//! replica of a deployment, or a service that was started by hand beside the one that systemd runs. The kernel gives the lock
//! back when a process ends, however it ends, and it holds across containers that share the file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{Identity, PRIVATE, followed};

/// How often, and after what pause, the shared lock is tried while another server finds out whether it is alone.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Held for as long as a server uses a store.
#[derive(Debug)]
pub struct Presence {
    path: PathBuf,
    lock: File,
    /// Whether no other server used the store when this one came.
    pub is_alone: bool,
}

impl Presence {
    /// Lets other servers know that this one uses the store at `path`.
    ///
    /// # Errors
    ///
    /// When the file system has no such locks, or the file cannot be made.
    pub fn announce(path: &Path) -> io::Result<Presence> {
        let mut name = OsString::from(followed(path));
        name.push("-servers");
        let path = PathBuf::from(name);
        loop {
            let mut options = OpenOptions::new();
            let lock = options.read(true).write(true).create(true).truncate(false).mode(PRIVATE).open(&path)?;
            // It holds nothing; a folder in which every file has the same mode needs no explaining.
            drop(lock.set_permissions(Permissions::from_mode(PRIVATE)));
            let is_alone = match lock.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(error),
            };
            share(&lock)?;
            // The last server before may have removed the file in between.
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
    /// The last server leaves one file behind, the store.
    fn drop(&mut self) {
        if self.lock.try_lock().is_ok() {
            // It says nothing of its own: one that is left behind is taken over by the next server.
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
