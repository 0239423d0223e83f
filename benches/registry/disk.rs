//! The disk itself: how often a second a small write can be made durable.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// As much as a small commit writes, in bytes.
const WRITE: usize = 4096;

/// How many such writes the file has room for; then they begin anew, as in a write-ahead log.
const ROOM: usize = 1024;

/// Writes and syncs (fdatasync(2)) for `time` in a file whose blocks are there already, and returns how many a second.
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
