//! Writes the log to standard error, on a thread of its own.
//!
//! A caller only copies its line, so no request waits for a slow reader of the log. One system call
//! writes many lines. SIGKILL loses at most [`PAUSE`] of lines.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// How long lines are gathered before they are written.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the process waits at its end for a reader of the log that has stopped reading.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most bytes that wait for the thread; further lines are dropped and counted.
const MAX_WAITING: usize = 1 << 20;

/// Queues the lines of the log.
#[derive(Clone)]
pub struct LogWriter(Arc<LogQueue>);

struct LogQueue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    closed: bool,
    finished: bool,
}

/// The writing thread. Dropping it waits until all earlier lines are written, if the reader of standard
/// error accepts them.
pub struct LogThread {
    writer: LogWriter,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    pub fn start() -> io::Result<(LogWriter, LogThread)> {
        let writer = LogWriter(Arc::new(LogQueue { waiting: Mutex::default(), changed: Condvar::new() }));
        let shared = Arc::clone(&writer.0);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || shared.write_until_closed())?;
        Ok((writer.clone(), LogThread { writer, thread: Some(thread) }))
    }
}

impl LogQueue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_closed(&self) {
        let mut lines = Vec::new();
        loop {
            let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.closed;
            let waiting = self.changed.wait_while(self.waiting(), idle).unwrap_or_else(PoisonError::into_inner);
            let gathered = self.changed.wait_timeout_while(waiting, PAUSE, |waiting| !waiting.closed);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut lines, &mut waiting.lines);
            let dropped = std::mem::take(&mut waiting.dropped);
            let closed = waiting.closed;
            drop(waiting);
            // A failure of standard error has no place to be reported.
            drop(io::stderr().write_all(&lines));
            lines.clear();
            if dropped > 0 {
                warn!(log.dropped_lines = dropped, "the log dropped lines because its reader is too slow");
            } else if closed {
                self.waiting().finished = true;
                self.changed.notify_all();
                return;
            }
        }
    }
}

impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting();
        if waiting.lines.len() + line.len() > MAX_WAITING {
            waiting.dropped += 1;
            return Ok(line.len());
        }
        if waiting.lines.is_empty() {
            self.0.changed.notify_one();
        }
        waiting.lines.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a LogWriter;

    fn make_writer(&'a self) -> &'a LogWriter {
        self
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        let shared = &self.writer.0;
        shared.waiting().closed = true;
        shared.changed.notify_all();
        let ended = shared.changed.wait_timeout_while(shared.waiting(), PATIENCE, |waiting| !waiting.finished);
        if !ended.unwrap_or_else(PoisonError::into_inner).0.finished {
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            drop(io::stderr().write_all(b"the log thread panicked\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_buffer_are_dropped_and_counted() {
        // Without the thread, the queue never empties.
        let writer = LogWriter(Arc::new(LogQueue { waiting: Mutex::default(), changed: Condvar::new() }));
        let line = vec![b'x'; MAX_WAITING / 2];
        for _ in 0..5 {
            (&writer).write_all(&line).unwrap();
        }
        let waiting = writer.0.waiting();
        assert_eq!((waiting.lines.len(), waiting.dropped), (MAX_WAITING, 3));
    }
}
