//! Compaction: what every journal still returns afterwards, and the running service.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use rstest::rstest;
use serde_json::json;

use crate::harness::server::Setup;
use crate::harness::{Client, Daemon, Machine, Trace, minimal, named, within_patience};
use crate::properties::commands::requests;
use crate::store::conformance::{HISTORY, Kind, commit, history, on_every_journal};
use domain::change::history::ChangeRange;
use domain::change::retention::Retention;
use domain::change::{Change, ChangeKind, Transition};
use domain::command::Request;
use domain::query::Pace;
use domain::{Revision, State};
use plugin_registry::clock::ManualClock;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::store::{Batch, Journal, ReadToEnd, StoreError};

on_every_journal! {
    what_is_kept_is_told_as_if_nothing_had_been_forgotten,
    nothing_beyond_the_head_is_forgotten,
    what_stands_since_before_the_horizon_is_no_event,
    a_read_of_the_journal_could_not_be_stopped,
    any_history_forgotten_in_any_steps_is_told_as_it_was,
}

/// A model of a history: the state at every revision, and the effects of every change.
struct Model {
    changes: Vec<Change>,
    states: Vec<State>,
    transitions: Vec<Arc<Transition>>,
}

impl Model {
    fn of(changes: Vec<Change>) -> Model {
        let mut state = State::default();
        let mut states = vec![state.clone()];
        let mut transitions = Vec::new();
        for change in &changes {
            transitions.extend(state.advance([change.clone()]));
            states.push(state.clone());
        }
        Model { changes, states, transitions }
    }

    /// The changes of a range that begins at the horizon or later.
    fn read(&self, range: &ChangeRange) -> Vec<Arc<Transition>> {
        let found = self.transitions.iter().filter(|transition| range.contains(transition)).cloned();
        if range.descending { found.rev().take(range.limit).collect() } else { found.take(range.limit).collect() }
    }

    /// Asserts that `journal`, with the first `head` changes, returns everything after `compact_revision` unchanged.
    #[track_caller]
    fn assert_told(&self, journal: &mut dyn Journal, compact_revision: Revision, head: usize, ranges: &[ChangeRange]) {
        let store = journal.load().unwrap().store;
        let state = journal.load().unwrap().state;
        assert_eq!(state, self.states[head], "what stands");
        let history = journal.history();
        for revision in 0..=head as u64 {
            let prior = history.rewind(Revision(revision), &ReadToEnd).unwrap();
            assert_eq!(prior.compact_revision, compact_revision);
            let read = journal.read(Revision(revision), usize::MAX);
            if revision < compact_revision.0 {
                assert!(read.is_err(), "the changes after {revision} are not all kept");
                continue;
            }
            assert_eq!(read.unwrap(), self.changes[revision as usize..head]);
            let rewound = state.rewound(Revision(revision), prior, &ReadToEnd).unwrap();
            assert_eq!(rewound.revision(), Revision(revision));
            assert_eq!(documents(&rewound), documents(&self.states[revision as usize]), "at revision {revision}");
            assert_eq!(rewound.leases(), self.states[revision as usize].leases(), "at revision {revision}");
        }
        for range in ranges {
            let mut range = range.clone();
            range.until = Some(range.until.unwrap_or(Revision(u64::MAX)).min(Revision(head as u64)));
            // No journal returns a part of the history before the horizon.
            let kept = ChangeRange { after: range.after.max(compact_revision), ..range.clone() };
            let page = history.read(&range, &ReadToEnd).unwrap();
            assert_eq!(page.compact_revision, compact_revision);
            let expected = self.read(&kept);
            // An event keeps its JSON, and with it the store that first published it.
            let json = |transition: &Transition| {
                Transition::new(transition.change.clone(), transition.step.clone()).json(&store).clone()
            };
            let told = |transition: &Arc<Transition>| (transition.change.clone(), json(transition));
            let (read, expected): (Vec<_>, Vec<_>) =
                (page.transitions.iter().map(told).collect(), expected.iter().map(told).collect());
            assert_eq!(read, expected, "{range:?}");
        }
    }
}

/// A reader's view of the plugins.
fn documents(state: &State) -> Vec<&bytes::Bytes> {
    state.plugins().values().map(|record| &record.json).collect()
}

fn everything() -> ChangeRange {
    ChangeRange { limit: usize::MAX, ..ChangeRange::default() }
}

fn what_is_kept_is_told_as_if_nothing_had_been_forgotten(kind: &Kind) {
    let machine = history();
    let model = Model::of(machine.changes.clone());
    for steps in [1, 3, 100] {
        let kind = kind.fresh();
        let mut journal = kind.open();
        commit(&mut *journal, &machine, 0, 4);
        let mut compact_revision = Revision(0);
        for target in 0..=HISTORY as u64 {
            let reached = journal.compact(Revision(target), steps).unwrap();
            assert_eq!(reached, Revision(target.min(compact_revision.0 + steps as u64)).max(compact_revision));
            compact_revision = reached;
            model.assert_told(&mut *journal, compact_revision, HISTORY, &[everything()]);
        }
        assert_eq!(
            journal.compact(Revision(3), 100).unwrap(),
            compact_revision,
            "what is forgotten does not come back"
        );
        let mut journal = kind.reopened(journal);
        model.assert_told(&mut *journal, compact_revision, HISTORY, &[everything()]);
    }
}

fn nothing_beyond_the_head_is_forgotten(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 100);
    assert_eq!(journal.compact(Revision(1000), 1000).unwrap(), Revision(HISTORY as u64));
    let mut journal = kind.reopened(journal);
    assert_eq!(journal.load().unwrap().state, machine.state);
    assert_eq!(journal.begin(&machine.state).unwrap(), []);
    journal.roll_back();
}

/// The bug: a page of events continued from a revision before the horizon, and was refused.
fn what_stands_since_before_the_horizon_is_no_event(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 100);
    journal.compact(Revision(HISTORY as u64 - 1), 100).unwrap();
    let page = journal.history().read(&ChangeRange { limit: 2, ..ChangeRange::default() }, &ReadToEnd).unwrap();
    let revisions: Vec<_> = page.transitions.iter().map(|transition| transition.change.revision.0).collect();
    assert_eq!((page.compact_revision, revisions), (Revision(HISTORY as u64 - 1), vec![HISTORY as u64]));
}

/// A pace that stops a read before its first change.
struct AtOnce;

impl Pace for AtOnce {
    type Stop = StoreError;

    fn step(&self, _bytes: usize) -> Result<(), StoreError> {
        Err(StoreError::Stopped)
    }
}

/// The bug: a look at the past went on after its client had left.
fn a_read_of_the_journal_could_not_be_stopped(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 16);
    let reader = journal.history();
    for _ in 0..8 {
        assert!(matches!(reader.rewind(Revision(0), &AtOnce), Err(StoreError::Stopped)));
    }
    // No connection is left within a transaction, which would keep the journal from being compacted.
    assert!(!reader.rewind(Revision(0), &ReadToEnd).unwrap().plugins.is_empty());
    assert_eq!(journal.compact(Revision(HISTORY as u64), 100).unwrap(), Revision(HISTORY as u64));
}

/// A step in a journal's life.
#[derive(Debug, Clone)]
enum Act {
    /// Commits this many changes at once.
    Commit(usize),
    /// Compacts up to this distance from the head, this many at a time.
    Compact { behind: u64, steps: usize },
    /// The process ends, and another one starts.
    Reopen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1_usize..12).prop_map(Act::Commit),
        4 => (0_u64..15, 0_usize..20).prop_map(|(behind, steps)| Act::Compact { behind, steps }),
        1 => Just(Act::Reopen),
    ];
    prop::collection::vec(act, 1..16)
}

fn ranges() -> impl Strategy<Value = ChangeRange> {
    let times = || prop::option::of((0_i64..40, 0_i32..2).prop_map(time));
    let subjects = vec!["a_c", "a_b_c", "a_ü", "z_c", "a", "a_b", "unused", "nobody"];
    let kinds = subsequence(ChangeKind::ALL.to_vec(), 0..5);
    let place = (0_u64..50, prop::option::of(0_u64..60), any::<bool>(), prop_oneof![0_usize..6, Just(usize::MAX)]);
    (place, prop::option::of(select(subjects)), prop::option::of(any::<bool>()), kinds, times(), times()).prop_map(
        |((after, until, descending, limit), subject, of_categories, kinds, from, to)| ChangeRange {
            after: Revision(after),
            until: until.map(Revision),
            subject: subject.map(str::to_owned),
            of_categories,
            kinds,
            from,
            to,
            descending,
            limit,
        },
    )
}

/// A time at which changes of a [`Machine`] were made, or half a second later.
fn time((second, half): (i64, i32)) -> Timestamp {
    Timestamp::new(1_800_000_000 + second, half * 500_000_000).unwrap()
}

fn any_history_forgotten_in_any_steps_is_told_as_it_was(kind: &Kind) {
    let cases = if matches!(kind, Kind::Memory) { 96 } else { 32 };
    let strategy = (prop::collection::vec(requests(), 1..80), acts(), prop::collection::vec(ranges(), 0..12));
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |((requests, acts, ranges) in strategy)| {
        let mut machine = Machine::new();
        for request in &requests {
            drop(machine.submit(request));
        }
        let model = Model::of(machine.changes.clone());
        let kind = kind.fresh();
        let mut journal = kind.open();
        let (mut head, mut compact_revision) = (0, Revision(0));
        for act in acts {
            match act {
                Act::Commit(number) => {
                    let to = (head + number).min(model.changes.len());
                    if to > head {
                        prop_assert_eq!(journal.begin(&model.states[head]).unwrap(), []);
                        journal.commit(&Batch::new(&model.transitions[head..to], &model.states[to])).unwrap();
                        head = to;
                    }
                }
                Act::Compact { behind, steps } => {
                    let target = (head as u64).saturating_sub(behind);
                    let reached = journal.compact(Revision(target), steps).unwrap();
                    let expected = target.min(compact_revision.0 + steps as u64).max(compact_revision.0);
                    prop_assert_eq!(reached, Revision(expected));
                    compact_revision = reached;
                }
                Act::Reopen => journal = kind.reopened(journal),
            }
        }
        model.assert_told(&mut *journal, compact_revision, head, &ranges);
        let history = journal.history();
        for second in 0..40 {
            let at = time((second, 0));
            let newest = model.changes[..head].iter().rev().find(|change| change.at <= at).map(|change| change.revision);
            // The same at the horizon, and nothing before it: all journals agree.
            prop_assert_eq!(history.revision_at(at).unwrap(), newest.filter(|newest| *newest >= compact_revision));
        }
        let mut journal = kind.reopened(journal);
        model.assert_told(&mut *journal, compact_revision, head, &ranges);
    });
}

/// Valid random requests, for a journal with enough to compact.
#[test]
fn random_requests_make_enough_changes() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut changes = 0;
    for _ in 0..32 {
        let requests: Vec<Request> = prop::collection::vec(requests(), 60..80).new_tree(&mut runner).unwrap().current();
        let mut machine = Machine::new();
        for request in &requests {
            drop(machine.submit(request));
        }
        changes += machine.changes.len();
    }
    assert!(changes / 32 > 15, "{changes} changes in 32 histories");
}

#[tokio::test]
async fn journal_keep_limits_the_number_of_changes() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let daemon = Daemon::start_with(&store, &["--journal-keep", "5,90d"]).await;
    let client = daemon.client();
    client.register(&minimal()).await;
    for n in 0..11 {
        client.patch("/plugins/transcription_whisper", &json!({"title": n.to_string()})).answers(200).await;
    }
    // The test polls the server instead of sleeping.
    let forgets = async { while client.get("/events").answers(200).await.json()["horizon"] != 7 {} };
    within_patience("the oldest changes are forgotten", forgets).await;
    assert_eq!(client.get("/events").answers(200).await.items().len(), 5);
    let before = Trace::of(&client).await;
    daemon.stop().await;
    let daemon = Daemon::start(&store).await;
    assert_eq!(Trace::of(&daemon.client()).await, before);
    assert_eq!(daemon.client().get("/events?after=6").refused(410).await.kind(), "compacted");
    daemon.stop().await;
}

/// Lets hours pass. A strong read is answered by the writer, which has counted the hour before it answers.
async fn pass(client: &Client, clock: &ManualClock, hours: u32) {
    for _ in 0..hours {
        clock.advance(SignedDuration::from_hours(1));
        client.get("/plugins?consistency=strong").answers(200).await;
    }
}

/// Waits until everything up to `compact_revision` is compacted. Each read is an event of its own: the test asks the
/// server, not the clock.
async fn forgotten(client: &Client, compact_revision: u64) {
    let forgets = async { while client.get("/events").answers(200).await.json()["horizon"] != compact_revision {} };
    within_patience("what is too old is forgotten", forgets).await;
}

#[rstest]
#[case::memory(false)]
#[case::sqlite(true)]
#[tokio::test]
async fn old_changes_are_compacted_and_plugins_stay(#[case] sqlite: bool) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let setup = if sqlite { Setup::on(SqliteJournal::open(&path).unwrap()) } else { Setup::on(MemoryJournal::new()) };
    let clock = Arc::new(ManualClock::new("2030-01-01T00:00:00Z".parse().unwrap()));
    let retention = Retention { changes: 100_000, days: 2 };
    let server = Setup { clock: clock.clone(), retention, ..setup }.start().await;
    let client = server.client();
    for n in 1..=3 {
        client.register(&named("c", &n.to_string())).await;
        pass(&client, &clock, 1).await;
    }
    pass(&client, &clock, 21).await;
    // 2030-01-02T00:00:00Z
    client.patch("/plugins/c_1", &json!({"title": "New"})).answers(200).await;
    pass(&client, &clock, 26).await;
    // 2030-01-03T02:00:00Z: 48 whole hours have passed since the hour of the first two.
    forgotten(&client, 2).await;
    let problem = client.get("/events?after=1").refused(410).await;
    assert_eq!(problem.kind(), "compacted");
    assert!(problem.detail().contains("after 2"), "the oldest revision is named: {}", problem.detail());
    let live = client.get("/events?after=2").header("accept", "text/event-stream").opens().await.told(2).await;
    assert_eq!(live.iter().map(|(_, revision)| *revision).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(client.get("/plugins").answers(200).await.items().len(), 3, "what stands is kept");
    // Reads of the horizon itself succeed, by its revision and by its time; earlier ones fail.
    for moment in ["2", "2030-01-01T01:00:00Z", "2030-01-01T01:59:59Z"] {
        let then = client.get(&format!("/plugins?as_of={moment}")).answers(200).await;
        assert_eq!((then.ids(), then.revision()), (vec!["c_1".into(), "c_2".into()], 2), "{moment}");
    }
    for moment in ["1", "2030-01-01T00:59:59.999999Z"] {
        let problem = client.get(&format!("/plugins?as_of={moment}")).refused(410).await;
        assert!(problem.detail().contains("after 2"), "{}", problem.detail());
    }
    pass(&client, &clock, 24).await;
    forgotten(&client, 4).await;
    assert_eq!(client.get("/events").answers(200).await.items(), Vec::<serde_json::Value>::new());
    let stands = client.get("/plugins").answers(200).await.items();
    assert_eq!((stands.len(), &stands[0]["title"]), (3, &json!("New")));
    server.stop().await;
}
