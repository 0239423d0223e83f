//! A simulation of watching: under any interleaving of the publisher and the watchers, every watcher sees each change
//! of its topic after its start once and in order.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use domain::State;
use domain::change::{Change, ChangeKind, Event};
use domain::plugin::{ExecutionMode, Registration, UniqueId};

/// So few that topics drop changes all the time.
const FEW: u64 = 3;

/// The next step.
#[derive(Debug, Clone)]
enum Act {
    /// Commits changes of these plugins, without publishing them to topics.
    Publish(Vec<Put>),
    /// Publishes the oldest unpublished changes together.
    File(usize),
    /// A watcher subscribes, this many changes before the newest commit.
    Follow { topic: usize, back: u64 },
    /// A watcher takes new changes, at most this many.
    Read { watcher: usize, limit: usize },
    /// A watcher waits, unless something wakes it.
    Wait { watcher: usize },
    /// A watcher disconnects, and resumes from its position.
    Resume { watcher: usize },
    /// A watcher leaves.
    Drop { watcher: usize },
    /// The service stops.
    Close,
}

/// A change of a plugin; without content, the plugin is removed.
#[derive(Debug, Clone)]
struct Put {
    plugin: usize,
    /// Its host, and whether it holds a process.
    becomes: Option<(Option<&'static str>, bool)>,
}

fn puts() -> impl Strategy<Value = Put> {
    let host = prop_oneof![Just(None), Just(Some("h1")), Just(Some("h2"))];
    let becomes = prop::option::weighted(0.85, (host, any::<bool>()));
    (0_usize..3, becomes).prop_map(|(plugin, becomes)| Put { plugin, becomes })
}

fn acts() -> impl Strategy<Value = Act> {
    let watcher = || 0_usize..6;
    prop_oneof![
        60 => prop::collection::vec(puts(), 1..4).prop_map(Act::Publish),
        60 => (1_usize..6).prop_map(Act::File),
        25 => (0_usize..topics().len(), 0_u64..8).prop_map(|(topic, back)| Act::Follow { topic, back }),
        60 => (watcher(), 0_usize..4).prop_map(|(watcher, limit)| Act::Read { watcher, limit }),
        30 => watcher().prop_map(|watcher| Act::Wait { watcher }),
        10 => watcher().prop_map(|watcher| Act::Resume { watcher }),
        10 => watcher().prop_map(|watcher| Act::Drop { watcher }),
        1 => Just(Act::Close),
    ]
}

fn topics() -> Vec<Topic> {
    vec![
        Topic::Everything,
        Topic::Plugin(UniqueId::from_client("c_0")),
        Topic::Plugin(UniqueId::from_client("c_1")),
        Topic::Active,
        Topic::Host("h1".into()),
        Topic::Host("h2".into()),
        Topic::Mode(ExecutionMode::InProcess),
        Topic::Billable,
    ]
}

/// Whether a change belongs to a topic, defined independently of [`Topic::of`].
fn is_of(topic: &Topic, transition: &Transition) -> bool {
    let mut records = transition.records();
    match topic {
        // All plugins have the same mode.
        Topic::Everything | Topic::Mode(_) => true,
        Topic::Plugin(id) => records.any(|record| record.unique_id == *id),
        Topic::Active => records.any(|record| !record.plugin.spawned_pids.is_empty()),
        Topic::Host(host) => records.any(|record| record.plugin.host.as_deref() == Some(host)),
        Topic::Billable => false,
        other => panic!("not a topic of the simulation: {other:?}"),
    }
}

/// A watcher, which reads as a stream of events does.
struct Watcher {
    topic: Topic,
    subscription: Subscription,
    position: Revision,
    /// Its start position, and the changes since then.
    start: Revision,
    seen: Vec<Revision>,
    /// It has waited and was not woken since.
    asleep: bool,
    /// It received the end.
    ended: bool,
}

/// The publisher, the journal and the watchers.
struct Simulation {
    topics: Arc<EventPublisher>,
    state: State,
    /// All committed changes.
    journal: Vec<Arc<Transition>>,
    filed: usize,
    closed: bool,
    watchers: Vec<Watcher>,
}

impl Simulation {
    fn new() -> Simulation {
        Simulation {
            topics: Arc::new(EventPublisher::remembering(Revision(0), FEW)),
            state: State::default(),
            journal: Vec::new(),
            filed: 0,
            closed: false,
            watchers: Vec::new(),
        }
    }

    fn head(&self) -> Revision {
        self.state.revision()
    }

    fn publish(&mut self, put: &Put) {
        let body = |host: Option<&str>, active: bool| {
            let pids: &[u32] = if active { &[7] } else { &[] };
            serde_json::json!({"name": put.plugin.to_string(), "category": "c", "title": "t", "config_schema": {},
                               "host": host, "spawned_pids": pids})
        };
        let id = UniqueId::from_client(&format!("c_{}", put.plugin));
        let event = match put.becomes {
            Some((host, active)) => {
                let plugin = Registration::read(body(host, active)).unwrap().applied_to(None);
                let kind = ChangeKind::PluginUpdated;
                Event::PluginPut {
                    kind,
                    plugin: plugin.into(),
                    config: domain::change::ConfigChange::Kept,
                    naming: domain::record::Naming::all(),
                }
            }
            None if self.state.plugin(id.as_str()).is_some() => Event::PluginRemoved { id },
            None => return,
        };
        let at = jiff::Timestamp::UNIX_EPOCH;
        let change =
            Change { revision: self.head().next(), at, request_id: None, principal: None, reason: None, event };
        self.journal.extend(self.state.advance([change]));
    }

    fn file(&mut self, number: usize) {
        let to = (self.filed + number).min(self.journal.len());
        let news = self.journal[self.filed..to].to_vec();
        let touched = |watcher: &Watcher| news.iter().any(|transition| is_of(&watcher.topic, transition));
        self.topics.publish(&news, Vec::new());
        self.filed = to;
        for watcher in self.watchers.iter_mut().filter(|watcher| touched(watcher)) {
            watcher.asleep = false;
        }
    }

    fn follow(&mut self, topic: Topic, start: Revision) {
        let subscription = self.topics.follow(&topic);
        self.watchers.push(Watcher {
            topic,
            subscription,
            position: start,
            start,
            seen: Vec::new(),
            asleep: false,
            ended: false,
        });
    }

    /// Reads as a live stream does: from the topic, or from the journal if the topic has dropped changes.
    fn read(&mut self, watcher: usize, limit: usize) -> Result<(), TestCaseError> {
        let (head, through) = (self.head(), Revision(self.filed as u64));
        let Some(watcher) = self.watchers.get_mut(watcher) else { return Ok(()) };
        match watcher.subscription.news(watcher.position, limit) {
            Updates::Compacted(floor) => {
                prop_assert!(watcher.position < floor && floor <= through, "{floor} of {through}");
                let past = self.journal.iter().filter(|transition| transition.change.revision > watcher.position);
                let of_topic = past.filter(|transition| is_of(&watcher.topic, transition)).take(limit.max(1));
                let read: Vec<_> = of_topic.map(|transition| transition.change.revision).collect();
                let is_all = read.len() < limit.max(1);
                let last = read.last().copied();
                watcher.seen.extend(read);
                watcher.position = if is_all { floor.max(last.unwrap_or_default()) } else { last.unwrap_or(floor) };
            }
            Updates::Changes(changes, reached) => {
                prop_assert!(changes.len() <= limit);
                prop_assert!(reached >= watcher.position && reached <= head.max(watcher.position));
                for transition in &changes {
                    prop_assert!(is_of(&watcher.topic, transition), "of another topic: {transition:?}");
                    watcher.seen.push(transition.change.revision);
                }
                watcher.position = reached;
            }
        }
        Ok(())
    }

    /// Waits once: a watcher sleeps if and only if nothing was published since it last slept.
    fn wait(&mut self, watcher: usize) -> Result<(), TestCaseError> {
        let Some(watcher) = self.watchers.get_mut(watcher) else { return Ok(()) };
        let woken = poll_once(&mut watcher.subscription);
        if self.closed {
            // A watcher that received the end need not be woken again.
            prop_assert!(watcher.ended || woken == Some(false), "{woken:?}");
            watcher.ended = true;
        } else if watcher.asleep {
            prop_assert_eq!(woken, None, "it is woken for nothing");
        } else {
            prop_assert_eq!(woken, Some(true), "it sleeps through its news");
        }
        watcher.asleep = true;
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), TestCaseError> {
        match act {
            Act::Publish(puts) => puts.iter().for_each(|put| self.publish(put)),
            Act::File(number) => self.file(number),
            Act::Follow { topic, back } => {
                let start = Revision(self.head().0.saturating_sub(back));
                self.follow(topics().swap_remove(topic), start);
            }
            Act::Read { watcher, limit } => self.read(watcher, limit)?,
            Act::Wait { watcher } => self.wait(watcher)?,
            Act::Resume { watcher } => {
                if let Some(watcher) = self.watchers.get_mut(watcher) {
                    watcher.subscription = self.topics.follow(&watcher.topic);
                    (watcher.asleep, watcher.ended) = (false, false);
                }
            }
            Act::Drop { watcher } if watcher < self.watchers.len() => drop(self.watchers.swap_remove(watcher)),
            Act::Drop { .. } => {}
            Act::Close => {
                self.topics.close();
                self.closed = true;
                self.watchers.iter_mut().for_each(|watcher| watcher.asleep = false);
            }
        }
        Ok(())
    }

    /// Publishes the rest, lets all watchers read to the end, and compares with the journal.
    fn end(&mut self) -> Result<(), TestCaseError> {
        self.file(usize::MAX / 2);
        for watcher in 0..self.watchers.len() {
            // Each read returns up to two changes, so this many reads are enough.
            for _ in 0..self.journal.len() + 2 {
                self.read(watcher, 2)?;
            }
            let watcher = &self.watchers[watcher];
            let after = self.journal.iter().filter(|transition| transition.change.revision > watcher.start);
            let expected: Vec<_> = after
                .filter(|transition| is_of(&watcher.topic, transition))
                .map(|transition| transition.change.revision)
                .collect();
            prop_assert_eq!(&watcher.seen, &expected, "of {:?} after {}", watcher.topic, watcher.start);
        }
        let followed: std::collections::BTreeSet<_> =
            self.watchers.iter().map(|watcher| watcher.topic.clone()).chain([Topic::Everything]).collect();
        self.file_something_of_everything();
        let kept: std::collections::BTreeSet<_> = lock(&self.topics.filed).topics.keys().cloned().collect();
        let unfollowed: Vec<_> = kept.difference(&followed).filter(|topic| **topic != Topic::Billable).collect();
        prop_assert!(unfollowed.is_empty(), "kept without a subscriber: {unfollowed:?}");
        prop_assert!(followed.is_subset(&kept), "a topic with a subscriber was dropped");
        Ok(())
    }

    /// So that every topic except the billable one would have had changes.
    fn file_something_of_everything(&mut self) {
        for plugin in 0..3 {
            for host in ["h1", "h2"] {
                self.publish(&Put { plugin, becomes: Some((Some(host), true)) });
            }
        }
        self.file(usize::MAX / 2);
    }
}

/// The immediate result of waiting; `None` if it has to wait.
fn poll_once(subscription: &mut Subscription) -> Option<bool> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(subscription.wait()).poll(&mut context) {
        Poll::Ready(woken) => Some(woken),
        Poll::Pending => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_sees_each_change_of_its_topic_once_and_in_order(acts in prop::collection::vec(acts(), 1..60)) {
        let mut simulation = Simulation::new();
        for act in acts {
            simulation.act(act)?;
        }
        simulation.end()?;
    }
}

/// A change published after the end once replaced the signal of the end.
#[test]
fn what_is_filed_after_the_end_does_not_undo_it() {
    let mut simulation = Simulation::new();
    simulation.follow(Topic::Everything, Revision(0));
    simulation.topics.close();
    simulation.publish(&Put { plugin: 0, becomes: Some((None, false)) });
    simulation.file(1);
    assert_eq!(poll_once(&mut simulation.watchers[0].subscription), Some(false));
    for topic in [Topic::Everything, Topic::Active] {
        assert_eq!(
            poll_once(&mut simulation.topics.follow(&topic)),
            Some(false),
            "a later subscriber receives the end, too"
        );
    }
}
