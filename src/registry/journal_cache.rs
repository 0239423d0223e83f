//! Stretches of the journal, read once for all who come back at the same time.
//!
//! After a restart, everybody who watches comes back, and none of them finds what it has missed in
//! memory. What each needs is the same: so the journal is read in stretches of a fixed length, and a
//! stretch that was read is kept for a while, with its events as they were serialised.

use std::sync::Arc;

use moka::future::Cache;

use domain::Revision;
use domain::change::Transition;

/// How much of the stretches is kept, in bytes of documents.
const KEPT_BYTES: u64 = 32 << 20;

/// Changes that follow each other without a gap.
#[derive(Debug, Clone)]
pub struct JournalChunk {
    /// The changes, oldest first; also some from before what was asked for.
    pub transitions: Arc<[Arc<Transition>]>,
    /// How far they reach: there is no other change up to here.
    pub reached: Revision,
}

/// The stretches that were read last, by their number.
#[derive(Debug)]
pub(super) struct JournalCache(pub(super) Cache<u64, JournalChunk>);

impl JournalCache {
    pub(super) fn new() -> JournalCache {
        let bytes = |_: &u64, chunk: &JournalChunk| {
            let bytes = chunk.transitions.iter().map(|transition| transition.bytes()).sum::<usize>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        JournalCache(Cache::builder().weigher(bytes).max_capacity(KEPT_BYTES).build())
    }
}
