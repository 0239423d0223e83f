//! The disk alone: how many small durable writes it makes a second.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// The size of a small commit, in bytes.
const WRITE: usize = 4096;

/// How many writes the file has room for; then they start over, as in a write-ahead log.
const ROOM: usize = 1024;

/// Writes and syncs (fdatasync(2)) for `time` in a preallocated file; returns the number a second.
pub(crate) fn syncs_a_second(folder: &TempDir, time: Duration) -> anyhow::Result<f64> {
    let file = File::create(folder.path().join("fsync"))?;
    file.write_all_at(&vec![1; WRITE * ROOM], 0)?;
    file.sync_all()?;
    let begin = Instant::now();
    let mut count: usize = 0;
    while begin.elapsed() < time {
        file.write_all_at(&[2; WRITE], (count % ROOM * WRITE) as u64)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}
