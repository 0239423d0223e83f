//! The maximum number of concurrent users of the store, beside the writer.

/// The maximum number of concurrent readers of the journal for webhooks and live streams.
pub(super) const READERS: usize = 4;

/// The maximum number of concurrent readers of the journal for long reads of clients.
pub(super) const SCAN_READERS: usize = 4;

/// The maximum number of concurrent backups: each delays compaction, and uses a processor.
pub(super) const AT_A_TIME: usize = 1;
