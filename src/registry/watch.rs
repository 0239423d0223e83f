//! Topics and subscriptions: how changes reach watchers.
//!
//! The publisher files every change under its topics. A watcher subscribes to one topic, and remembers its own
//! position. No watcher has a queue: a slow one finds missed changes in the topic's buffer, or in the journal if the
//! buffer no longer has them.
//!
//! Changes of other topics do not wake the watchers of a narrow topic, which makes thousands of them cheap. A topic may
//! hold more changes than a watcher wants; the watcher filters them.
//!
//! No change is missed between history and present. A topic knows the revision from which on it is complete
//! ([`Subscription::news`]). A watcher before that revision reads the journal up to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::telemetry::Trace;
use domain::Revision;
use domain::change::Transition;
use domain::query::Topic;

/// The number of revisions that a topic remembers, counted over all topics.
const REMEMBERED: u64 = 4096;

/// The maximum size of remembered documents, in bytes.
const REMEMBERED_BYTES: usize = 32 << 20;

/// All topics with subscribers.
#[derive(Debug)]
pub struct EventPublisher {
    filed: Mutex<PublisherState>,
    /// The traces of the requests that made the remembered changes.
    traces: Mutex<BTreeMap<Revision, Trace>>,
    /// The revision up to which all changes are published, for tasks that wait for a revision.
    revision: watch::Sender<Revision>,
    /// Whether no further change will be published.
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct PublisherState {
    /// See [`REMEMBERED`].
    remembered: u64,
    through: Revision,
    closed: bool,
    topics: HashMap<Topic, Arc<TopicBuffer>>,
}

/// The buffer of a topic.
#[derive(Debug)]
struct TopicBuffer {
    held: Mutex<Buffered>,
    wake: watch::Sender<WatcherSignal>,
}

/// Why a watcher wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatcherSignal {
    /// There may be new changes.
    Updates,
    /// There will be no further changes.
    Closed,
}

#[derive(Debug)]
struct Buffered {
    /// The buffer has every change of the topic after this revision.
    floor: Revision,
    changes: VecDeque<Arc<Transition>>,
    /// See [`Transition::bytes`].
    bytes: usize,
}

/// A watcher's view of a topic. The watcher remembers its own position.
#[derive(Debug)]
pub struct Subscription {
    topics: Arc<EventPublisher>,
    topic: Topic,
    shelf: Arc<TopicBuffer>,
    /// `None` only during drop.
    wake: Option<watch::Receiver<WatcherSignal>>,
}

/// The changes of a topic for a watcher.
#[derive(Debug)]
pub enum Updates {
    /// The next changes, oldest first, and the watcher's position after them. There may be none.
    Changes(Vec<Arc<Transition>>, Revision),
    /// The buffer no longer has all of them; the journal has every change up to this revision at least.
    Compacted(Revision),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventPublisher {
    /// The topics of a registry at revision `head`.
    pub fn new(head: Revision) -> EventPublisher {
        EventPublisher::remembering(head, REMEMBERED)
    }

    /// Topics that remember this many revisions.
    fn remembering(head: Revision, remembered: u64) -> EventPublisher {
        let everything = (Topic::Everything, Arc::new(TopicBuffer::new(head, false)));
        let filed = PublisherState { remembered, through: head, closed: false, topics: HashMap::from([everything]) };
        EventPublisher {
            filed: Mutex::new(filed),
            traces: Mutex::default(),
            revision: watch::Sender::new(head),
            closed: watch::Sender::new(false),
        }
    }

    /// Publishes changes to their topics, and wakes the subscribers. One thread calls this, in the order of revisions.
    pub(super) fn publish(&self, transitions: &[Arc<Transition>], traces: Vec<(Revision, Trace)>) {
        let Some(through) = transitions.last().map(|last| last.change.revision) else { return };
        self.keep_traces(through, traces);
        let mut filed = lock(&self.filed);
        let mut touched: BTreeMap<*const TopicBuffer, Arc<TopicBuffer>> = BTreeMap::new();
        for transition in transitions {
            for topic in filed.topics_of(transition) {
                if let Some(shelf) = filed.topics.get(&topic) {
                    shelf.put(transition, filed.remembered);
                    touched.insert(Arc::as_ptr(shelf), Arc::clone(shelf));
                }
            }
        }
        filed.through = through;
        drop(filed);
        for shelf in touched.values() {
            shelf.signal_updates();
        }
        self.revision.send_replace(through);
    }

    /// Keeps the traces of the newest changes.
    fn keep_traces(&self, through: Revision, new: Vec<(Revision, Trace)>) {
        let mut traces = lock(&self.traces);
        traces.extend(new);
        let oldest = Revision(through.0.saturating_sub(REMEMBERED));
        while let Some(first) = traces.first_entry().filter(|first| *first.key() <= oldest) {
            first.remove();
        }
    }

    /// The trace of the request that made a change, if this process made the change recently and the request has a
    /// trace.
    pub fn trace_of(&self, revision: Revision) -> Option<Trace> {
        lock(&self.traces).get(&revision).cloned()
    }

    /// Drops all changes: the registry is at `head` now, and the changes up to there are unknown. Watchers at earlier
    /// revisions must read the journal.
    pub(super) fn restart(&self, head: Revision) {
        let mut filed = lock(&self.filed);
        for shelf in filed.topics.values() {
            *lock(&shelf.held) = Buffered { floor: head, changes: VecDeque::new(), bytes: 0 };
        }
        filed.through = head;
        for shelf in filed.topics.values() {
            shelf.signal_updates();
        }
        drop(filed);
        self.revision.send_replace(head);
    }

    /// Ends all current and future subscriptions.
    pub(super) fn close(&self) {
        let mut filed = lock(&self.filed);
        filed.closed = true;
        for shelf in filed.topics.values() {
            shelf.wake.send_replace(WatcherSignal::Closed);
        }
        self.closed.send_replace(true);
    }

    /// Subscribes to a topic from now on.
    pub fn follow(self: &Arc<Self>, topic: &Topic) -> Subscription {
        let mut filed = lock(&self.filed);
        let closed = filed.closed;
        let floor = if crate::failpoints::subscribes_after_snapshot() { Revision::default() } else { filed.through };
        let shelf = filed.topics.entry(topic.clone()).or_insert_with(|| Arc::new(TopicBuffer::new(floor, closed)));
        // Before the lock is released, because a buffer without subscribers may be dropped at any time.
        let mut wake = shelf.wake.subscribe();
        wake.mark_changed();
        Subscription { topics: Arc::clone(self), topic: topic.clone(), shelf: Arc::clone(shelf), wake: Some(wake) }
    }

    /// The number of current subscriptions.
    pub fn followers(&self) -> usize {
        lock(&self.filed).topics.values().map(|shelf| shelf.wake.receiver_count()).sum()
    }

    /// Waits until everything up to `revision` is published, or until the publisher is closed.
    pub async fn reached(&self, revision: Revision) {
        let (mut reached, mut closed) = (self.revision.subscribe(), self.closed.subscribe());
        // The senders live as long as this.
        tokio::select! {
            _ = reached.wait_for(|through| *through >= revision) => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }
}

impl PublisherState {
    /// The topics of a change that have subscribers.
    fn topics_of(&self, transition: &Transition) -> Vec<Topic> {
        let mut topics = vec![Topic::Everything];
        if self.topics.len() > 1 {
            for record in transition.records() {
                topics.extend(Topic::of(record));
            }
            if let Some(lease) = transition.lease() {
                topics.push(Topic::Lease(lease.id.as_str().into()));
                topics.extend(lease.host.as_deref().map(Topic::host));
            }
            // A change is filed once under a topic that it had before and has after.
            topics.sort_unstable();
            topics.dedup();
        }
        topics
    }
}

impl TopicBuffer {
    /// A buffer of all changes after `floor`.
    fn new(floor: Revision, closed: bool) -> TopicBuffer {
        let held = Buffered { floor, changes: VecDeque::new(), bytes: 0 };
        let wake = if closed { WatcherSignal::Closed } else { WatcherSignal::Updates };
        TopicBuffer { held: Mutex::new(held), wake: watch::Sender::new(wake) }
    }

    /// Wakes the subscribers. The signal `Closed` is never replaced, even if further changes are published.
    fn signal_updates(&self) {
        self.wake.send_if_modified(|wake| *wake == WatcherSignal::Updates);
    }

    fn put(&self, transition: &Arc<Transition>, remembered: u64) {
        let mut held = lock(&self.held);
        held.bytes += transition.bytes();
        held.changes.push_back(Arc::clone(transition));
        let oldest = Revision(transition.change.revision.0.saturating_sub(remembered));
        while held.bytes > REMEMBERED_BYTES || held.changes.front().is_some_and(|first| first.change.revision <= oldest)
        {
            let Some(forgotten) = held.changes.pop_front() else { break };
            held.bytes -= forgotten.bytes();
            held.floor = forgotten.change.revision;
        }
    }
}

impl Subscription {
    /// The changes of the topic after `position`, at most `limit`.
    pub fn news(&self, position: Revision, limit: usize) -> Updates {
        // Read before the buffer: every change up to here that the buffer lacks belongs to other topics.
        let through = lock(&self.topics.filed).through;
        let held = lock(&self.shelf.held);
        if position < held.floor {
            return Updates::Compacted(held.floor);
        }
        let first = held.changes.partition_point(|transition| transition.change.revision <= position);
        let changes: Vec<_> = held.changes.range(first..).take(limit).cloned().collect();
        let is_all = first + changes.len() == held.changes.len();
        let last = changes.last().map_or(position, |last| last.change.revision);
        let reached = if is_all { last.max(through) } else { last };
        Updates::Changes(changes, reached)
    }

    /// Waits until there may be new changes. Returns false if there will be none.
    pub async fn wait(&mut self) -> bool {
        let Some(wake) = &mut self.wake else { return false };
        wake.changed().await.is_ok() && *wake.borrow_and_update() == WatcherSignal::Updates
    }
}

/// A topic without subscribers is dropped.
impl Drop for Subscription {
    fn drop(&mut self) {
        // Under the same lock as new subscriptions.
        let mut filed = lock(&self.topics.filed);
        drop(self.wake.take());
        let is_ours = filed.topics.get(&self.topic).is_some_and(|shelf| Arc::ptr_eq(shelf, &self.shelf));
        if is_ours && self.topic != Topic::Everything && self.shelf.wake.receiver_count() == 0 {
            filed.topics.remove(&self.topic);
        }
    }
}

#[cfg(test)]
mod tests;
