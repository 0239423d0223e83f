//! Where a command writes its result: a file that is there whole or not at all, or a device or pipe that takes it as it comes.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// What only its owner may read and write.
const PRIVATE: u32 = 0o600;

/// How many symbolic links are followed, as path_resolution(7) has it.
const MAX_LINKS: usize = 40;

/// The name that means standard output.
const STANDARD_OUTPUT: &str = "-";

/// Where a command writes its result.
#[derive(Debug)]
pub enum Output {
    /// A regular file, or one that does not exist yet, with all links followed. It is replaced by a rename.
    File(PathBuf),
    /// A device, a pipe or standard output. It is written to, and keeps its place in the file system.
    Stream(File),
}

impl Output {
    /// What `path` names; `-` names standard output. Opening a named pipe waits for its reader.
    ///
    /// # Errors
    ///
    /// When it is a folder, a socket or a SQLite database, or a device or pipe cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Output> {
        if path == Path::new(STANDARD_OUTPUT) {
            return Ok(Output::Stream(standard_output()?));
        }
        let mut place = path.to_owned();
        for _ in 0..MAX_LINKS {
            let found = match std::fs::symlink_metadata(&place) {
                Ok(found) => found.file_type(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Output::File(place)),
                Err(error) => return Err(error).with_context(|| cannot_write(path)),
            };
            if found.is_symlink() {
                let folder = folder_of(&place).canonicalize().with_context(|| cannot_write(path))?;
                if folder.starts_with("/proc") {
                    // `/dev/stdout`, `/dev/fd/3`: the link stands for an open file, and its text names no place.
                    return stream(&place);
                }
                place = folder.join(std::fs::read_link(&place).with_context(|| cannot_write(path))?);
                continue;
            }
            return match found {
                found if found.is_file() => {
                    refuse_database(&place)?;
                    Ok(Output::File(place))
                }
                found if found.is_char_device() || found.is_block_device() || found.is_fifo() => stream(&place),
                found if found.is_dir() => bail!("{} is a folder; name a file in it", path.display()),
                _ => bail!("{} is neither a file, a device nor a pipe; name one of these", path.display()),
            };
        }
        bail!("{} cannot be written: too many symbolic links", path.display())
    }

    /// Returns true if and only if the result goes to a device, a pipe or standard output.
    pub fn is_stream(&self) -> bool {
        matches!(self, Output::Stream(_))
    }

    /// Writes the result: into a file as [`replace`] does, into a stream as it comes.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or `write` fails.
    pub fn write<T>(&self, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
        match self {
            Output::File(path) => replace(path, write),
            Output::Stream(stream) => write(stream),
        }
    }

    /// Writes a result that `write` reads back. A stream cannot be read back: it gets a copy of a temporary file without a
    /// name, once `write` has succeeded.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or `write` fails; then a stream has got nothing.
    pub fn write_checked<T>(&self, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut stream = match self {
            Output::File(path) => return replace(path, write),
            Output::Stream(stream) => stream,
        };
        let folder = std::env::temp_dir();
        let mut kept = tempfile::tempfile().with_context(|| {
            format!("no temporary file can be made in {}; TMPDIR names the folder", folder.display())
        })?;
        let done = write(&kept)?;
        kept.rewind().context("the temporary file cannot be read")?;
        io::copy(&mut kept, &mut stream).context("the output cannot be written")?;
        Ok(done)
    }
}

/// Standard output as a file of its own, without the buffer of [`io::stdout`].
fn standard_output() -> anyhow::Result<File> {
    let output = io::stdout().as_fd().try_clone_to_owned().context("standard output cannot be written")?;
    Ok(File::from(output))
}

/// A device, a pipe or an open file of this process, to be written at its end.
fn stream(path: &Path) -> anyhow::Result<Output> {
    let output = standard_output()?;
    let same =
        |found: &std::fs::Metadata, other: &std::fs::Metadata| (found.dev(), found.ino()) == (other.dev(), other.ino());
    let is_ours = match (std::fs::metadata(path), output.metadata()) {
        (Ok(found), Ok(ours)) => same(&found, &ours),
        _ => false,
    };
    if is_ours {
        // Opened anew, a file would be written from its beginning and not where standard output stands.
        return Ok(Output::Stream(output));
    }
    let opened = OpenOptions::new().append(true).open(path).with_context(|| cannot_write(path))?;
    Ok(Output::Stream(opened))
}

/// Refuses to write over a database: the store, most likely, given where the output belongs.
fn refuse_database(path: &Path) -> anyhow::Result<()> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    // A file that cannot be read may be replaced all the same, as by any rename.
    let Ok(file) = File::open(path) else { return Ok(()) };
    let mut beginning = Vec::new();
    let read = file.take(MAGIC.len() as u64).read_to_end(&mut beginning);
    if read.is_ok() && beginning == MAGIC {
        bail!("{} is a SQLite database, perhaps the store; name another file for the output", path.display());
    }
    Ok(())
}

/// Writes a file that only its owner can read. It has its name once everything is on the disk, and replaces one of that
/// name by then; until then it is called `….partial`, and so is what a crash leaves behind. The next attempt writes over that.
fn replace<T>(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let partial = beside(path);
    let file = open_alone(&partial)?;
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
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("the folder {} cannot be synced", folder.display()))?;
    written
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// Where a file is written until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    name.into()
}

/// Opens a file that no other process writes, and empties it.
fn open_alone(path: &Path) -> anyhow::Result<File> {
    let cannot = || cannot_write(path);
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
        // A link of that name leads elsewhere, and a pipe would wait for its reader.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = options.custom_flags(i32::try_from(flags.bits())?).open(path);
        let file = file.with_context(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is being written by another process", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        let held = file.metadata().with_context(cannot)?;
        if !held.is_file() {
            bail!("{} is no file; remove it, or name another output", path.display());
        }
        // The process that had the lock before may have given the file its name, or removed it.
        let is_still_there =
            std::fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (held.dev(), held.ino()));
        if is_still_there {
            file.set_permissions(Permissions::from_mode(PRIVATE)).with_context(cannot)?;
            file.set_len(0).with_context(cannot)?;
            return Ok(file);
        }
    }
}
