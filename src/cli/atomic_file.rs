//! The output of a command: a file that is replaced atomically, or a device or pipe that is written to directly.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Access for the owner only.
const PRIVATE: u32 = 0o600;

/// The most symbolic links to follow, as in path_resolution(7).
const MAX_LINKS: usize = 40;

/// The name of standard output.
const STANDARD_OUTPUT: &str = "-";

/// The output of a command.
#[derive(Debug)]
pub enum Output {
    /// A regular file, which may not exist yet, after all links. A rename replaces it.
    File(PathBuf),
    /// A device, a pipe or standard output. The command writes to it, and does not replace it.
    Stream(File),
}

impl Output {
    /// The output at `path`; `-` is standard output. Opening a named pipe waits for its reader.
    ///
    /// # Errors
    ///
    /// If the path is a folder, a socket or a SQLite database, or if the device or pipe cannot be opened.
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
                    // `/dev/stdout`, `/dev/fd/3`: such a link represents an open file, and its text is no path.
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
        bail!("cannot write {}: too many symbolic links", path.display())
    }

    /// Returns true if and only if the result goes to a device, a pipe or standard output.
    pub fn is_stream(&self) -> bool {
        matches!(self, Output::Stream(_))
    }

    /// Writes the result: to a file as [`replace`] does, to a stream directly.
    ///
    /// # Errors
    ///
    /// If the output cannot be written, or `write` fails.
    pub fn write<T>(&self, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
        match self {
            Output::File(path) => replace(path, write),
            Output::Stream(stream) => write(stream),
        }
    }

    /// Writes a result that `write` reads back. A stream cannot be read back, so it gets a copy of an unnamed temporary
    /// file after `write` has succeeded.
    ///
    /// # Errors
    ///
    /// If the output cannot be written, or `write` fails. In the second case a stream has received nothing.
    pub fn write_checked<T>(&self, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut stream = match self {
            Output::File(path) => return replace(path, write),
            Output::Stream(stream) => stream,
        };
        let folder = std::env::temp_dir();
        let mut kept = tempfile::tempfile().with_context(|| {
            format!("cannot create a temporary file in {}; choose another folder with TMPDIR", folder.display())
        })?;
        let done = write(&kept)?;
        kept.rewind().context("cannot read the temporary file")?;
        io::copy(&mut kept, &mut stream).context("cannot write the output")?;
        Ok(done)
    }
}

/// Standard output as a file of its own, without the buffer of [`io::stdout`].
fn standard_output() -> anyhow::Result<File> {
    let output = io::stdout().as_fd().try_clone_to_owned().context("cannot write to standard output")?;
    Ok(File::from(output))
}

/// A device, a pipe or an open file of this process. Writes append to it.
fn stream(path: &Path) -> anyhow::Result<Output> {
    let output = standard_output()?;
    let same =
        |found: &std::fs::Metadata, other: &std::fs::Metadata| (found.dev(), found.ino()) == (other.dev(), other.ino());
    let is_ours = match (std::fs::metadata(path), output.metadata()) {
        (Ok(found), Ok(ours)) => same(&found, &ours),
        _ => false,
    };
    if is_ours {
        // If opened again, a file would be written from its beginning, and not from the position of standard output.
        return Ok(Output::Stream(output));
    }
    let opened = OpenOptions::new().append(true).open(path).with_context(|| cannot_write(path))?;
    Ok(Output::Stream(opened))
}

/// Refuses to overwrite a database, which is probably the store.
fn refuse_database(path: &Path) -> anyhow::Result<()> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    // This may replace a file that it cannot read, as any rename may.
    let Ok(file) = File::open(path) else { return Ok(()) };
    let mut beginning = Vec::new();
    let read = file.take(MAGIC.len() as u64).read_to_end(&mut beginning);
    if read.is_ok() && beginning == MAGIC {
        bail!("{} is a SQLite database, perhaps the store; name another file for the output", path.display());
    }
    Ok(())
}

/// Writes a file that only its owner can read. After everything is on the disk, a rename gives the file its name, and
/// replaces the previous file. Until then the file is called `….partial`, also after a crash. The next attempt
/// overwrites that file.
fn replace<T>(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let partial = beside(path);
    let file = open_alone(&partial)?;
    let written = write(&file).and_then(|done| {
        file.sync_all().with_context(|| format!("cannot sync {}", partial.display()))?;
        std::fs::rename(&partial, path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(done)
    });
    if written.is_err() {
        // Report only the first failure.
        drop(std::fs::remove_file(&partial));
        return written;
    }
    // The new name must survive a power failure, too.
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("cannot sync the folder {}", folder.display()))?;
    written
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// The name of the file until it is complete.
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
        // A link of that name leads to another file, and opening a pipe would wait for its reader.
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
            bail!("{} is not a regular file; remove it, or name another output", path.display());
        }
        // The previous holder of the lock may have renamed or removed the file.
        let is_still_there =
            std::fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (held.dev(), held.ino()));
        if is_still_there {
            file.set_permissions(Permissions::from_mode(PRIVATE)).with_context(cannot)?;
            file.set_len(0).with_context(cannot)?;
            return Ok(file);
        }
    }
}
