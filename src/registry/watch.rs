//! Who is told of changes.
//!
//! Every change is filed under the topics that it belongs to; a watcher follows one topic, and keeps
//! for itself how far it has come. Nothing is queued for a watcher: a slow one
//! finds what it has missed in the topic, or, when that has forgotten it, in the journal.
//!
//! Watchers of a narrow topic are not woken by what is of no concern to them: that is what makes
//! thousands of them cheap. A topic holds at least what they ask for; they look again.
//!
//! No change is missed between the past and the present: a topic knows from which revision on it
//! holds everything ([`Subscription::news`]), and whoever stands before that reads the journal up to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::telemetry::Trace;
use domain::Revision;
use domain::change::Transition;
use domain::query::Topic;

/// How many changes back a topic remembers, of all changes that there are.
const REMEMBERED: u64 = 4096;

/// How many bytes of documents it remembers at most.
const REMEMBERED_BYTES: usize = 32 << 20;

/// All topics that anybody follows.
#[derive(Debug)]
pub struct EventPublisher {
    filed: Mutex<PublisherState>,
    /// The traces of the requests that remembered changes come from.
    traces: Mutex<BTreeMap<Revision, Trace>>,
    /// How far everything has been filed, for those who wait for a revision.
    revision: watch::Sender<Revision>,
    /// Whether nothing will be filed any more.
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

/// What is remembered of a topic.
#[derive(Debug)]
struct TopicBuffer {
    held: Mutex<Buffered>,
    wake: watch::Sender<WatcherSignal>,
}

/// Why a watcher is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatcherSignal {
    /// There may be news.
    Updates,
    /// There will be no more.
    Closed,
}

#[derive(Debug)]
struct Buffered {
    /// Every change of the topic after this revision is held.
    floor: Revision,
    changes: VecDeque<Arc<Transition>>,
    /// See [`Transition::bytes`].
    bytes: usize,
}

/// One watcher's view of a topic. The watcher knows how far it has come.
#[derive(Debug)]
pub struct Subscription {
    topics: Arc<EventPublisher>,
    topic: Topic,
    shelf: Arc<TopicBuffer>,
    /// `None` only while this is dropped.
    wake: Option<watch::Receiver<WatcherSignal>>,
}

/// What a topic has for a watcher.
#[derive(Debug)]
pub enum Updates {
    /// The next changes, oldest first, and how far the watcher has come with them. There may be none.
    Changes(Vec<Arc<Transition>>, Revision),
    /// The topic has forgotten some of them; the journal has everything up to this revision at least.
    Compacted(Revision),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventPublisher {
    /// Topics of a registry that stands at `head`.
    pub fn new(head: Revision) -> EventPublisher {
        EventPublisher::remembering(head, REMEMBERED)
    }

    /// Topics that remember so many changes back.
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

    /// Files changes that were published, and wakes those who follow them. Called in their order, by one thread.
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

    /// The trace of the request that has led to a change, if it has one, and this process has made the change lately.
    pub fn trace_of(&self, revision: Revision) -> Option<Trace> {
        lock(&self.traces).get(&revision).cloned()
    }

    /// Forgets everything: the registry stands at `head` now, and it is not known what has led there. Whoever stands
    /// before it has to ask the journal.
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

    /// Ends all subscriptions, and every one that is yet to come.
    pub(super) fn close(&self) {
        let mut filed = lock(&self.filed);
        filed.closed = true;
        for shelf in filed.topics.values() {
            shelf.wake.send_replace(WatcherSignal::Closed);
        }
        self.closed.send_replace(true);
    }

    /// Follows a topic from now on.
    pub fn follow(self: &Arc<Self>, topic: &Topic) -> Subscription {
        let mut filed = lock(&self.filed);
        let closed = filed.closed;
        let floor = if crate::failpoints::subscribes_after_snapshot() { Revision::default() } else { filed.through };
        let shelf = filed.topics.entry(topic.clone()).or_insert_with(|| Arc::new(TopicBuffer::new(floor, closed)));
        // Before the lock is given back: a shelf that nobody follows may be thrown away at any time.
        let mut wake = shelf.wake.subscribe();
        wake.mark_changed();
        Subscription { topics: Arc::clone(self), topic: topic.clone(), shelf: Arc::clone(shelf), wake: Some(wake) }
    }

    /// How many follow a topic at the moment.
    pub fn followers(&self) -> usize {
        lock(&self.filed).topics.values().map(|shelf| shelf.wake.receiver_count()).sum()
    }

    /// Waits until everything up to `revision` has been filed, or there will be no more.
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
    /// The topics of a change, of those that there may be.
    fn topics_of(&self, transition: &Transition) -> Vec<Topic> {
        let mut topics = vec![Topic::Everything];
        if self.topics.len() > 1 {
            for record in transition.records() {
                topics.extend(Topic::of(record));
            }
            if let Some(lease) = transition.lease() {
                topics.push(Topic::Lease(lease.id.as_str().into()));
                topics.extend(lease.host.as_deref().map(|host| Topic::Host(host.into())));
            }
            // A change is filed once under a topic that it was of before and is of after.
            topics.sort_unstable();
            topics.dedup();
        }
        topics
    }
}

impl TopicBuffer {
    /// A shelf that holds everything after `floor`.
    fn new(floor: Revision, closed: bool) -> TopicBuffer {
        let held = Buffered { floor, changes: VecDeque::new(), bytes: 0 };
        let wake = if closed { WatcherSignal::Closed } else { WatcherSignal::Updates };
        TopicBuffer { held: Mutex::new(held), wake: watch::Sender::new(wake) }
    }

    /// Wakes those who follow. That there will be no more is never taken back, even if there is some more.
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
        // How far everything was filed before looking: what is not held by then is not of this topic.
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

    /// Waits until there may be news. Returns false when there will be none any more.
    pub async fn wait(&mut self) -> bool {
        let Some(wake) = &mut self.wake else { return false };
        wake.changed().await.is_ok() && *wake.borrow_and_update() == WatcherSignal::Updates
    }
}

/// A topic that nobody follows any more is forgotten.
impl Drop for Subscription {
    fn drop(&mut self) {
        // Under the lock under which others begin to follow.
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
