//! Chunks of the journal, read once for all watchers that reconnect together.
//!
//! After a restart, all watchers reconnect, and none of them finds the missed changes in memory. All of them need the
//! same changes. So the registry reads the journal in chunks of a fixed length, and keeps each chunk for a while with
//! its serialised events.

use std::sync::Arc;

use moka::future::Cache;

use domain::Revision;
use domain::change::Transition;

/// The maximum size of the cache, in bytes of documents.
const KEPT_BYTES: u64 = 32 << 20;

/// Consecutive changes without a gap.
#[derive(Debug, Clone)]
pub struct JournalChunk {
    /// The changes, oldest first. Some may be older than the request.
    pub transitions: Arc<[Arc<Transition>]>,
    /// There is no further change up to this revision.
    pub reached: Revision,
}

/// The last chunks, by their number.
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
