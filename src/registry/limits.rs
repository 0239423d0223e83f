//! The maximum number of concurrent users of the store, beside the writer.

/// The maximum number of concurrent readers of the journal.
pub(super) const READERS: usize = 4;

/// The maximum number of concurrent backups: each delays compaction, and uses a processor.
pub(super) const AT_A_TIME: usize = 1;
