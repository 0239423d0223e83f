//! How many may use the store at a time beside the writer.

/// How many may read the journal at a time.
pub(super) const READERS: usize = 4;

/// How many are made at a time: each holds back what the store could forget, and takes a processor.
pub(super) const AT_A_TIME: usize = 1;
