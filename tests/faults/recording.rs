//! The log that recorder.c and the test write together: what it looks like, and how it is read.
//!
//! recorder.c says why the order of its records can be trusted.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::violation::Violation;

const MAGIC: &[u8; 16] = b"registry-record\n";
const HEADER: usize = 64;

/// Kinds of records that the test adds; those below 100 are recorder.c's.
const SEEN: u32 = 100;
const NAMES: u32 = 101;
const CONTENT: u32 = 102;

/// One record. Operations have two: [`Event::End`] repeats the process and number of the one that began.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) operation: (u32, u64),
    pub(crate) event: Event<'a>,
}

#[derive(Debug)]
pub(crate) enum Event<'a> {
    End {
        result: i64,
    },
    Open {
        name: &'a str,
        flags: u64,
    },
    Write {
        fd: i32,
        offset: usize,
        data: &'a [u8],
    },
    Resize {
        fd: i32,
        size: usize,
    },
    Extend {
        fd: i32,
        size: usize,
    },
    Sync {
        fd: i32,
    },
    Unlink {
        name: &'a str,
    },
    Rename {
        from: &'a str,
        to: &'a str,
    },
    Close {
        fd: i32,
    },
    /// The test has seen this revision in a reply.
    Seen {
        revision: u64,
    },
    /// The process is gone, and these files were in the directory.
    Names {
        names: Vec<&'a str>,
    },
    /// … with this content.
    Content {
        name: &'a str,
        content: &'a [u8],
    },
}

/// Reads a whole log. A record that was cut short because its process was killed in the middle of it is left out:
/// what it announced never happened, as the kernel was to be asked afterwards.
pub(crate) fn read(log: &[u8]) -> Result<Vec<Record<'_>>, Violation> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(rest) = log.get(at..).filter(|rest| !rest.is_empty()) {
        let length = whole_record(rest);
        match length {
            Some(length) => {
                records.push(record(&rest[..length])?);
                at += length;
            }
            None => match find(&rest[1..], MAGIC) {
                Some(next) => at += 1 + next,
                None => break,
            },
        }
    }
    Ok(records)
}

/// The length of the record at the start of `rest`, if it is there to its end.
fn whole_record(rest: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(rest.get(16..20)?.try_into().ok()?) as usize;
    let behind = rest.get(length..)?;
    let followed = behind.is_empty() || behind.starts_with(MAGIC);
    (rest.starts_with(MAGIC) && length >= HEADER && followed).then_some(length)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn record(bytes: &[u8]) -> Result<Record<'_>, Violation> {
    let word = |at: usize| bytes[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let (kind, fd) = (word(32), word(36).cast_signed());
    let (offset, value) = (long(40), long(48));
    let (name, data) = bytes[HEADER..].split_at(word(56) as usize);
    let name = text(name)?;
    let event = match kind {
        0 => Event::End { result: value.cast_signed() },
        1 => Event::Open { name, flags: value },
        2 => Event::Write { fd, offset: size(offset)?, data },
        3 => Event::Resize { fd, size: size(value)? },
        4 => Event::Extend { fd, size: size(value)? },
        5 => Event::Sync { fd },
        6 => Event::Unlink { name },
        7 => Event::Rename { from: name, to: text(data)? },
        8 => Event::Close { fd },
        SEEN => Event::Seen { revision: value },
        NAMES => Event::Names { names: text(data)?.lines().collect() },
        CONTENT => Event::Content { name, content: data },
        _ => return Err(Violation::Harness(format!("a record of the unknown kind {kind}"))),
    };
    Ok(Record { operation: (word(20), long(24)), event })
}

fn size(value: u64) -> Result<usize, Violation> {
    usize::try_from(value).map_err(|error| Violation::Harness(error.to_string()))
}

fn text(bytes: &[u8]) -> Result<&str, Violation> {
    std::str::from_utf8(bytes).map_err(|error| Violation::Harness(error.to_string()))
}

/// The test's own hand in the log.
#[derive(Clone)]
pub(crate) struct Notes {
    log: Arc<File>,
}

impl Notes {
    /// Makes an empty log at `path`.
    pub(crate) fn create(path: &Path) -> Result<Notes, Violation> {
        let log = File::options().create_new(true).append(true).open(path)?;
        Ok(Notes { log: Arc::new(log) })
    }

    /// Notes that a reply with `revision` was received.
    pub(crate) fn seen(&self, revision: u64) -> Result<(), Violation> {
        self.append(SEEN, revision, "", &[])
    }

    /// Notes the files of `directory` as the kernel has them now, with no process left that writes to them.
    pub(crate) fn files(&self, directory: &Path) -> Result<(), Violation> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.ends_with("-shm") {
                names.push(name);
            }
        }
        self.append(NAMES, 0, "", names.join("\n").as_bytes())?;
        for name in names {
            let content = std::fs::read(directory.join(&name))?;
            self.append(CONTENT, 0, &name, &content)?;
        }
        Ok(())
    }

    fn append(&self, kind: u32, value: u64, name: &str, data: &[u8]) -> Result<(), Violation> {
        let length = HEADER + name.len() + data.len();
        let mut record = Vec::with_capacity(length);
        record.extend(MAGIC);
        record.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        // Process 0, operation 0: nothing ends it.
        record.extend([0; 12]);
        record.extend(kind.to_le_bytes());
        record.extend((-1_i32).to_le_bytes());
        record.extend(0_u64.to_le_bytes());
        record.extend(value.to_le_bytes());
        record.extend(u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend([0; 4]);
        record.extend(name.as_bytes());
        record.extend(data);
        // One write, so that it is one piece in the order of all records.
        let written = (&*self.log).write(&record)?;
        if written == record.len() { Ok(()) } else { Err(Violation::Harness("a note was cut short".into())) }
    }
}
