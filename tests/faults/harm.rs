//! Tells recorder.c which operations of a running server fail, and how.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::violation::Violation;

/// Words of the control file; recorder.c has the same.
const NTH: u64 = 0;
const KINDS: u64 = 1;
const FOR_GOOD: u64 = 2;
const ERRNO: u64 = 3;
const ACTION: u64 = 4;
const SEEN: u64 = 5;
const FAILED: u64 = 6;
const WORDS: u64 = 8;

/// Operations that can fail, as bits by recorder.c's kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operations {
    /// What changes a file's content or size.
    Writes = 1 << 2,
    Syncs = 1 << 5,
    Both = 1 << 2 | 1 << 5,
}

/// What befalls the chosen operation and those after it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    /// It fails, and the next one works again.
    Once(Errno),
    /// It fails, and so do all after it.
    ForGood(Errno),
    /// Half of it is written, and the next one works again.
    HalfOnce,
    /// Half of it is written, and all after it fail: how a disk fills up.
    HalfThenForGood(Errno),
    /// kill -9 in the place of it.
    Kill,
    /// It takes this much longer, and so do all after it.
    Slow(Duration),
}

/// The control file of one server.
pub(crate) struct Control {
    path: PathBuf,
    words: File,
}

impl Control {
    /// Makes the file at `path`; all is well at first.
    pub(crate) fn create(path: &Path) -> Result<Control, Violation> {
        let words = File::options().create_new(true).read(true).write(true).open(path)?;
        words.set_len(WORDS * 8)?;
        Ok(Control { path: path.to_owned(), words })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on, the `nth` of `operations` (1 is the next) suffers `harm`.
    pub(crate) fn arm(&self, operations: Operations, nth: u64, harm: Harm) -> Result<(), Violation> {
        let number = |errno: Errno| u64::from(errno.raw_os_error().unsigned_abs());
        let (for_good, errno, action) = match harm {
            Harm::Once(errno) => (0, number(errno), 0),
            Harm::ForGood(errno) => (1, number(errno), 0),
            Harm::HalfOnce => (0, number(Errno::NOSPC), 1),
            Harm::HalfThenForGood(errno) => (1, number(errno), 1),
            Harm::Kill => (0, number(Errno::IO), 2),
            Harm::Slow(longer) => (1, u64::try_from(longer.as_micros()).unwrap_or(u64::MAX), 3),
        };
        self.disarm()?;
        self.set(KINDS, operations as u64)?;
        self.set(FOR_GOOD, for_good)?;
        self.set(ERRNO, errno)?;
        self.set(ACTION, action)?;
        self.set(SEEN, 0)?;
        self.set(FAILED, 0)?;
        self.set(NTH, nth)
    }

    /// From now on all is well; the counts stay.
    pub(crate) fn disarm(&self) -> Result<(), Violation> {
        self.set(NTH, 0)
    }

    /// How many operations that could have failed came by since the control was armed.
    pub(crate) fn seen(&self) -> Result<u64, Violation> {
        self.get(SEEN)
    }

    /// How many of them were harmed.
    pub(crate) fn failed(&self) -> Result<u64, Violation> {
        self.get(FAILED)
    }

    fn set(&self, word: u64, value: u64) -> Result<(), Violation> {
        // The server has the file mapped: it sees the new value at its next operation.
        Ok(self.words.write_all_at(&value.to_le_bytes(), word * 8)?)
    }

    fn get(&self, word: u64) -> Result<u64, Violation> {
        let mut bytes = [0; 8];
        self.words.read_exact_at(&mut bytes, word * 8)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
