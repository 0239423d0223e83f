//! The directory of the store as the log tells of it: replayed record by record, it knows at every moment which
//! files there are, and which there can be after a power loss.

use std::collections::{BTreeSet, HashMap};

use crate::file_model::{FileModel, Moment};
use crate::names::{FileId, Names};
use crate::recording::{Event, Record};
use crate::survival::Survival;
use crate::violation::Violation;

const O_CREAT: u64 = 0o100;
const O_TRUNC: u64 = 0o1000;
/// What recorder.c calls the directory itself.
const DIRECTORY: &str = ".";

#[derive(Default)]
pub(crate) struct Disk<'a> {
    files: Vec<FileModel>,
    names: Names<'a>,
    /// What each descriptor of each process stands for.
    descriptors: HashMap<(u32, i32), Opened>,
    /// What began and has not ended, by process and number.
    running: HashMap<(u32, u64), Running<'a>>,
    wal_resets: u64,
}

#[derive(Clone, Copy)]
enum Opened {
    File(FileId),
    Directory,
}

enum Running<'a> {
    Open { name: &'a str, flags: u64, begun: Moment },
    Write { file: FileId, begun: Moment, offset: usize, data: &'a [u8] },
    Resize { file: FileId, begun: Moment },
    Sync { of: Opened, called: Moment },
    Unlink { name: &'a str, begun: Moment },
    Rename { from: &'a str, to: &'a str, begun: Moment },
}

impl<'a> Disk<'a> {
    /// How often a write-ahead log was begun again over its old content, because a checkpoint was through.
    pub(crate) fn wal_resets(&self) -> u64 {
        self.wal_resets
    }

    /// All operations of which a power loss now would leave open whether they are on the disk.
    pub(crate) fn unsynced(&self) -> Vec<Moment> {
        let files = self.names.possible().into_iter().flat_map(|file| self.files[file].unsynced());
        files.chain(self.names.unsynced()).collect()
    }

    /// One of the sets of files that can be there after a power loss now.
    pub(crate) fn after_power_loss(&self, survival: &Survival) -> Vec<(&'a str, Vec<u8>)> {
        let names = self.names.after_power_loss(survival);
        names.map(|(name, file)| (name, self.files[file].after_power_loss(survival))).collect()
    }

    /// Takes in the next record; `now` is its place in the log.
    ///
    /// # Errors
    /// When the log and the files themselves do not agree: an operation escaped recorder.c.
    pub(crate) fn replay(&mut self, now: Moment, record: &Record<'a>) -> Result<(), Violation> {
        let pid = record.operation.0;
        let running = match &record.event {
            Event::Open { name, flags } => self.open(now, name, *flags),
            Event::Write { fd, offset, data } => self.write(now, self.file(pid, *fd)?, *offset, data),
            Event::Resize { fd, size } => self.resize(now, self.file(pid, *fd)?, *size),
            Event::Extend { fd, size } => {
                let file = self.file(pid, *fd)?;
                let size = self.files[file].current().len().max(*size);
                self.resize(now, file, size)
            }
            Event::Sync { fd } => Running::Sync { of: self.opened(pid, *fd)?, called: now },
            Event::Unlink { name } => {
                self.names.change(name, now, None);
                Running::Unlink { name, begun: now }
            }
            Event::Rename { from, to } => {
                self.names.change(to, now, self.names.file(from));
                self.names.change(from, now, None);
                Running::Rename { from, to, begun: now }
            }
            Event::End { result } => {
                self.end(now, record.operation, *result);
                return Ok(());
            }
            Event::Close { fd } => {
                self.descriptors.remove(&(pid, *fd));
                return Ok(());
            }
            Event::Seen { .. } => return Ok(()),
            Event::Names { names } => return self.settle_names(now, names),
            Event::Content { name, content } => return self.settle_content(now, name, content),
        };
        self.running.insert(record.operation, running);
        Ok(())
    }

    fn opened(&self, pid: u32, fd: i32) -> Result<Opened, Violation> {
        let opened = self.descriptors.get(&(pid, fd)).copied();
        opened.ok_or_else(|| Violation::Harness(format!("descriptor {fd} was never opened")))
    }

    fn file(&self, pid: u32, fd: i32) -> Result<FileId, Violation> {
        match self.opened(pid, fd)? {
            Opened::File(file) => Ok(file),
            Opened::Directory => Err(Violation::Harness("a write to the directory".into())),
        }
    }

    fn open(&mut self, now: Moment, name: &'a str, flags: u64) -> Running<'a> {
        if flags & O_CREAT != 0 && self.names.file(name).is_none() {
            self.files.push(FileModel::default());
            self.names.change(name, now, Some(self.files.len() - 1));
        }
        Running::Open { name, flags, begun: now }
    }

    fn write(&mut self, now: Moment, file: FileId, offset: usize, data: &'a [u8]) -> Running<'a> {
        let is_wal = || self.names.current().any(|(name, leads_to)| leads_to == file && name.ends_with("-wal"));
        self.wal_resets += u64::from(offset == 0 && !self.files[file].current().is_empty() && is_wal());
        self.files[file].write(now, offset, data);
        Running::Write { file, begun: now, offset, data }
    }

    fn resize(&mut self, now: Moment, file: FileId, size: usize) -> Running<'a> {
        self.files[file].resize(now, size);
        Running::Resize { file, begun: now }
    }

    fn end(&mut self, now: Moment, operation: (u32, u64), result: i64) {
        let done = result >= 0;
        match self.running.remove(&operation) {
            Some(Running::Open { name, flags, begun }) if done => {
                self.names.ended(name, begun, now);
                self.opened_file(now, operation.0, name, flags, result);
            }
            Some(Running::Write { file, begun, offset, data }) => {
                let written = usize::try_from(result).unwrap_or(0).min(data.len());
                self.wrote(now, file, begun, offset, data, written);
            }
            Some(Running::Resize { file, begun }) if done => self.files[file].ended(begun, now),
            Some(Running::Resize { file, begun }) => self.files[file].undo(begun),
            Some(Running::Sync { of: Opened::File(file), called }) if done => self.files[file].synced(called),
            Some(Running::Sync { of: Opened::File(file), called }) => self.files[file].sync_failed(called),
            Some(Running::Sync { of: Opened::Directory, called }) if done => self.names.synced(called),
            Some(Running::Unlink { name, begun }) if done => self.names.ended(name, begun, now),
            Some(Running::Open { name, begun, .. } | Running::Unlink { name, begun }) => self.names.undo(name, begun),
            Some(Running::Rename { from, to, begun }) if done => {
                self.names.ended(from, begun, now);
                self.names.ended(to, begun, now);
            }
            Some(Running::Rename { from, to, begun }) => {
                self.names.undo(from, begun);
                self.names.undo(to, begun);
            }
            // A directory whose sync failed is still in memory, and goes to the disk with the next one.
            Some(Running::Sync { .. }) | None => {}
        }
    }

    fn opened_file(&mut self, now: Moment, pid: u32, name: &str, flags: u64, fd: i64) {
        let opened = match self.names.file(name) {
            _ if name == DIRECTORY => Opened::Directory,
            Some(file) => Opened::File(file),
            None => return,
        };
        if let (Opened::File(file), true) = (opened, flags & O_TRUNC != 0) {
            self.files[file].resize(now, 0);
            self.files[file].ended(now, now);
        }
        self.descriptors.insert((pid, i32::try_from(fd).unwrap_or(-1)), opened);
    }

    /// Of a write that was to put `data` at `offset`, the first `written` bytes arrived.
    fn wrote(&mut self, now: Moment, file: FileId, begun: Moment, offset: usize, data: &[u8], written: usize) {
        let file = &mut self.files[file];
        if written < data.len() {
            file.undo(begun);
        }
        if written < data.len() && written > 0 {
            file.write(begun, offset, &data[..written]);
        }
        file.ended(begun, now);
    }

    /// The processes are gone. Of what they were about when they were killed, the names tell what became of it.
    fn settle_names(&mut self, now: Moment, names: &[&str]) -> Result<(), Violation> {
        self.descriptors.clear();
        let (content, about_names): (Vec<_>, Vec<_>) = self
            .running
            .drain()
            .partition(|(_, running)| matches!(running, Running::Write { .. } | Running::Resize { .. }));
        self.running = content.into_iter().collect();
        for (_, running) in about_names {
            let (name, begun) = match running {
                Running::Open { name, begun, .. } | Running::Unlink { name, begun } => (name, begun),
                Running::Rename { .. } => return Err(Violation::Harness("a rename cut short has no model".into())),
                _ => continue,
            };
            if self.names.file(name).is_some() == names.contains(&name) {
                self.names.ended(name, begun, now);
            } else {
                self.names.undo(name, begun);
            }
        }
        let known: BTreeSet<&str> = self.names.current().map(|(name, _)| name).collect();
        let found: BTreeSet<&str> = names.iter().copied().collect();
        if known == found { Ok(()) } else { Err(Violation::Harness(format!("recorded {known:?}, found {found:?}"))) }
    }

    /// What the killed processes were writing is in the file as far as it is; the rest must be what was recorded.
    fn settle_content(&mut self, now: Moment, name: &str, content: &[u8]) -> Result<(), Violation> {
        let file = self.names.file(name).ok_or_else(|| Violation::Harness(format!("{name} was not recorded")))?;
        let of_file = |running: &Running<'_>| match running {
            Running::Write { file: of, .. } | Running::Resize { file: of, .. } => *of == file,
            _ => false,
        };
        let cut_short: Vec<Running<'a>> =
            self.running.extract_if(|_, running| of_file(running)).map(|(_, running)| running).collect();
        for running in cut_short {
            match running {
                Running::Write { begun, offset, data, .. } => {
                    let arrived = content.get(offset..).unwrap_or_default();
                    let arrived = &arrived[..arrived.len().min(data.len())];
                    self.files[file].undo(begun);
                    self.files[file].write(begun, offset.min(content.len()), arrived);
                    self.files[file].ended(begun, now);
                }
                Running::Resize { begun, .. } => {
                    self.files[file].undo(begun);
                    self.files[file].resize(begun, content.len());
                    self.files[file].ended(begun, now);
                }
                _ => {}
            }
        }
        if self.files[file].current() == content {
            return Ok(());
        }
        let (recorded, found) = (self.files[file].current().len(), content.len());
        Err(Violation::Harness(format!("{name}: {recorded} bytes were recorded, the {found} in it are others")))
    }
}
