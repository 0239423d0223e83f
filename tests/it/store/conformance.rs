//! The contract of every journal, tested on each of them.

use std::sync::{Arc, mpsc};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Durable, Machine, holding_everything, minimal, named};
use crate::properties::commands::requests;
use domain::command::Command;
use domain::command::answer::Answer;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::command::request::{AcknowledgementTerms, BasedOn, ProbeResult};
use domain::plugin::{FreeJson, Name, Pids, Registration, UniqueId};
use domain::record::{Finding, FindingChange, FindingKind, ObservedState, ResourceKind, Slot};
use domain::{LeaseId, LeaseTerms, Revision, Snapshot, State};
use plugin_registry::store::heartbeats::{Heartbeat, HeartbeatKind};
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::{Batch, Journal, PassedHours};

/// A kind of journal, and its location.
pub(crate) enum Kind {
    Memory,
    Durable(Durable),
}

impl Kind {
    /// Opens the journal and loads it, as the service does first.
    pub(crate) fn open(&self) -> Box<dyn Journal> {
        match self {
            Kind::Memory => Box::new(MemoryJournal::new()),
            Kind::Durable(store) => {
                let mut journal = store.open();
                journal.load().unwrap();
                journal
            }
        }
    }

    /// Another, empty journal of this kind.
    pub(crate) fn fresh(&self) -> Kind {
        match self {
            Kind::Memory => Kind::Memory,
            Kind::Durable(_) => Kind::Durable(Durable::fresh()),
        }
    }

    /// Closes and reopens a journal that outlives its handle.
    pub(crate) fn reopened(&self, mut journal: Box<dyn Journal>) -> Box<dyn Journal> {
        match self {
            Kind::Memory => journal,
            Kind::Durable(_) => {
                journal.close();
                drop(journal);
                self.open()
            }
        }
    }
}

/// Expands each function into a test for each kind of journal.
macro_rules! on_every_journal {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&super::Kind::Memory); })+
        }
        mod durable {
            $(#[test] fn $name() { super::$name(&super::Kind::Durable(crate::harness::Durable::fresh())); })+
        }
    };
}

pub(crate) use on_every_journal;

on_every_journal! {
    an_empty_journal_is_at_revision_0,
    what_is_committed_is_loaded,
    what_is_rolled_back_never_was,
    changes_are_read_from_any_place_and_in_any_number,
    begin_returns_what_the_caller_does_not_know,
    changes_that_are_still_unknown_are_told_again,
    replaying_what_is_read_makes_what_is_loaded,
    answers_are_kept_with_what_was_done_and_forgotten_by_age,
    answers_had_no_bound_of_bytes,
    any_history_is_kept_exactly,
    processes_hear_of_each_others_heartbeats_once,
    hours_pass_once_and_tell_the_head_at_each,
    a_time_is_found_among_those_of_a_clock_that_was_wrong,
}

fn register(body: Value) -> Command {
    Command::Register(Box::new(Registration::read(body).unwrap()))
}

/// A history with every kind of change.
pub(crate) fn history() -> Machine {
    let mut machine = Machine::new();
    let id = || UniqueId::from_client("finetuning_trainer");
    let config = FreeJson::from(&json!({"device": "cuda", "n": 1.50}));
    let commands = [
        register(holding_everything()),
        register(minimal()),
        register(named("音声", "認識/🎙")),
        Command::SetPids { id: id(), pids: Pids::from(vec![9, 1]) },
        Command::SetContainer { id: id(), container_id: None },
        Command::PatchRemote { id: id(), patch: json!({"status": "stopped"}).as_object().unwrap().clone() },
        Command::PatchRemote { id: id(), patch: json!({"metadata": {"x": 1e300}}).as_object().unwrap().clone() },
        Command::SaveConfig { id: id(), config: config.clone() },
        Command::Patch { id: id(), patch: json!({"title": "New"}).as_object().unwrap().clone() },
        Command::SaveConfig { id: UniqueId::from_client("transcription_whisper"), config },
        Command::DeleteConfig { id: UniqueId::from_client("transcription_whisper") },
        Command::NameCategory { name: Name::new("finetuning").unwrap(), display_name: Some("FT".into()) },
        Command::NameCategory { name: Name::new("x").unwrap(), display_name: Some("X".into()) },
        Command::NameCategory { name: Name::new("x").unwrap(), display_name: None },
        Command::Remove { id: UniqueId::from_client("音声_認識/🎙"), force: false },
        register(named("音声", "認識/🎙")),
    ];
    for command in commands {
        machine.done(command);
    }
    observed_and_found(&mut machine);
    machine.done(register(named("at", "the end")));
    assert_eq!(machine.changes.len(), HISTORY, "every command has changed something");
    machine
}

/// The number of changes in [`history`].
pub(crate) const HISTORY: usize = 39;

/// All kinds of changes of observations and of leases.
fn observed_and_found(machine: &mut Machine) {
    let (trainer, lease) = (UniqueId::from_client("finetuning_trainer"), |name: &str| LeaseId::named(name));
    let terms = |host: Option<&str>| LeaseTerms {
        holder: "app".into(),
        host: host.map(Into::into),
        ttl_seconds: 30,
        on_gone: None,
    };
    let slot = |pid: u32| Slot::new(ResourceKind::Process, pid.to_string());
    let look = |pid: u32, state: ObservedState, second: i64| ProbeResult {
        slot: slot(pid),
        state,
        at: jiff::Timestamp::from_second(1_800_000_000 + second).unwrap(),
        heard_at: Timestamp::MAX,
        detail: (state == ObservedState::Gone).then(|| "exit code 137".into()),
        identity: Some(FreeJson::from(&json!({"start_ticks": pid, "boot_id": "b"}))),
        parent: None,
        abandoned: None,
        last_alive: None,
    };
    let observe = |sightings: Vec<ProbeResult>| Command::Observe { id: trainer.clone(), by: "agent".into(), sightings };
    machine.done(Command::GrantLease { id: lease("one"), terms: terms(Some("h")) });
    machine.done(Command::GrantLease { id: lease("two"), terms: terms(None) });
    machine.done(Command::ExpireLease { id: lease("one"), revision: Revision(17) });
    machine.done(Command::RenewLease { id: lease("one") });
    machine.done(Command::ReleaseLease { id: lease("two") });
    machine.done(Command::ForgetLease { id: lease("two"), revision: Revision(21) });
    machine.done(Command::Patch {
        id: trainer.clone(),
        patch: json!({"lease_id": "one", "spawned_pids": [9, 1]}).as_object().unwrap().clone(),
    });
    machine.done(observe(vec![look(9, ObservedState::Alive, 1), look(1, ObservedState::Alive, 1)]));
    machine.done(observe(vec![look(9, ObservedState::Gone, 2), look(1, ObservedState::Alive, 2)]));
    let ground = |revision| BasedOn { plugin: Revision(revision), lease: Some(Revision(20)) };
    let found = |pid, finding, second| FindingChange {
        slot: slot(pid),
        finding: Finding {
            finding,
            since: look(pid, ObservedState::Gone, second).at,
            evidence: "seen".into(),
            cost: None,
        },
    };
    let findings = vec![found(9, FindingKind::Ghost, 2), found(1, FindingKind::Orphan, 3)];
    machine.done(Command::RaiseFindings { id: trainer.clone(), ground: ground(25), findings });
    machine.done(Command::ClearFindings { id: trainer.clone(), ground: ground(26), slots: vec![slot(1)] });
    machine.done(Command::SetContainer { id: trainer.clone(), container_id: Some("c1".into()) });
    machine.done(Command::DropGone { id: trainer.clone(), slots: vec![slot(9), slot(1)] });
    let pids = &machine.state.plugin(trainer.as_str()).unwrap().plugin.spawned_pids;
    assert_eq!(pids.iter().collect::<Vec<_>>(), [1], "only what was seen to be gone is dropped");
    // A finding about a resource without an observation.
    let unseen = found(1, FindingKind::Orphan, 4);
    machine.done(Command::RaiseFindings { id: trainer.clone(), ground: ground(30), findings: vec![unseen] });
    let terms = AcknowledgementTerms { reason: "known".into(), until: look(1, ObservedState::Alive, 99).at };
    machine.done(Command::Acknowledge { id: trainer.clone(), slot: slot(1), terms });
    machine.done(Command::EndAcknowledgement { id: trainer.clone(), slot: slot(1) });
    let container = Slot::new(ResourceKind::Container, "c1");
    let expires_at = Some(look(1, ObservedState::Alive, 999).at);
    machine.done(Command::SetExpiry { id: trainer.clone(), slot: container.clone(), expires_at });
    machine.done(Command::WarnOfExpiry { id: trainer.clone(), ground: ground(34), slots: vec![container] });
    machine.done(Command::SetPids { id: trainer.clone(), pids: Pids::default() });
    assert_eq!(machine.state.plugin(trainer.as_str()).unwrap().holdings.left().count(), 1);
    machine.done(Command::SaveConfig { id: trainer, config: FreeJson::from(&json!({"device": "cpu"})) });
}

/// Commits the changes of `machine` after `from`, at most `batch` at a time.
pub(crate) fn commit(journal: &mut dyn Journal, machine: &Machine, from: usize, batch: usize) {
    let mut state = replay(&machine.changes[..from]);
    for changes in machine.changes[from..].chunks(batch) {
        assert_eq!(journal.begin(&state).unwrap(), []);
        let transitions = state.advance(changes.to_vec());
        journal.commit(&Batch::new(&transitions, &state)).unwrap();
    }
}

fn replay(changes: &[domain::change::Change]) -> State {
    let mut state = State::default();
    for change in changes {
        state.apply(change);
    }
    state
}

fn assert_same(snapshot: &Snapshot, machine: &Machine) {
    assert_eq!(snapshot.state, machine.state);
    for (id, record) in machine.state.plugins() {
        assert_eq!(snapshot.state.plugin(id.as_str()).unwrap().json, record.json);
    }
}

fn an_empty_journal_is_at_revision_0(kind: &Kind) {
    let mut journal = kind.open();
    let snapshot = journal.load().unwrap();
    assert_eq!((snapshot.state.revision(), snapshot.state.plugins().size()), (Revision(0), 0));
    assert_eq!(snapshot.store.as_str().len(), 32);
    assert_ne!(snapshot.store, MemoryJournal::new().load().unwrap().store, "an identity of its own");
    assert_eq!(journal.begin(&State::default()).unwrap(), []);
    journal.roll_back();
    journal.roll_back();
    assert_eq!(journal.read(Revision(0), 10).unwrap(), []);
    assert_eq!(journal.foreign_changes(&State::default()).unwrap(), []);
}

fn what_is_committed_is_loaded(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    let store = journal.load().unwrap().store;
    commit(&mut *journal, &machine, 0, 3);
    let snapshot = journal.load().unwrap();
    assert_eq!(snapshot.store, store);
    assert_same(&snapshot, &machine);
    if matches!(kind, Kind::Durable(_)) {
        journal.close();
        drop(journal);
        let snapshot = kind.open().load().unwrap();
        assert_eq!(snapshot.store, store);
        assert_same(&snapshot, &machine);
    }
}

fn what_is_rolled_back_never_was(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 100);
    journal.begin(&machine.state).unwrap();
    journal.roll_back();
    assert_same(&journal.load().unwrap(), &machine);
    // The lock is released: the next batch can begin.
    assert_eq!(journal.begin(&machine.state).unwrap(), []);
    journal.roll_back();
}

fn changes_are_read_from_any_place_and_in_any_number(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 5);
    for after in 0..=HISTORY + 1 {
        for limit in [0, 1, 3, 100, usize::MAX] {
            let read = journal.read(Revision(after as u64), limit).unwrap();
            let expected: Vec<_> = machine.changes.iter().skip(after).take(limit).cloned().collect();
            assert_eq!(read, expected, "after {after}, at most {limit}");
        }
    }
}

fn begin_returns_what_the_caller_does_not_know(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    // As after a commit with an unknown outcome: the change is stored, but the caller's state is older.
    commit(&mut *journal, &machine, 0, 100);
    for known in [0, 1, 15, 26, HISTORY] {
        assert_eq!(journal.begin(&replay(&machine.changes[..known])).unwrap(), machine.changes[known..]);
        journal.roll_back();
    }
}

fn changes_that_are_still_unknown_are_told_again(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 100);
    for known in [3, 3, 0, HISTORY, HISTORY] {
        assert_eq!(
            journal.foreign_changes(&replay(&machine.changes[..known])).unwrap(),
            machine.changes[known..],
            "{known}"
        );
    }
}

fn replaying_what_is_read_makes_what_is_loaded(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    commit(&mut *journal, &machine, 0, 4);
    let replayed = replay(&journal.read(Revision(0), usize::MAX).unwrap());
    assert_eq!(replayed, journal.load().unwrap().state);
}

fn processes_hear_of_each_others_heartbeats_once(kind: &Kind) {
    let (mut journal, mut other) = (kind.open(), kind.open());
    let (here, there) = (journal.heartbeat_store(), other.heartbeat_store());
    let pulse = |kind, name: &str| Heartbeat { kind, name: name.to_owned() };
    let (one, agent) = (pulse(HeartbeatKind::Lease, "one"), pulse(HeartbeatKind::Agent, "one"));
    here.share(std::slice::from_ref(&one)).unwrap();
    assert_eq!(there.news().unwrap(), [], "what was shared before says nothing about now");
    assert_eq!(here.news().unwrap(), []);
    if !matches!(kind, Kind::Memory) {
        for _ in 0..3 {
            here.share(&[one.clone(), agent.clone(), one.clone()]).unwrap();
            assert!(there.has_news().unwrap());
            let mut heard = there.news().unwrap();
            heard.sort();
            assert_eq!(heard, [one.clone(), agent.clone()]);
            assert_eq!(there.news().unwrap(), [], "once");
            assert_eq!(here.news().unwrap(), [], "not its own");
        }
    }
    here.forget().unwrap();
    journal.close();
    other.close();
}

fn a_time_is_found_among_those_of_a_clock_that_was_wrong(kind: &Kind) {
    let mut journal = kind.open();
    let mut state = State::default();
    // The clock was 90 s ahead for three changes, and was set back twice.
    for (revision, second) in [10, 20, 100, 101, 102, 30, 40, 5, 50].into_iter().enumerate() {
        let mut change = history().changes[revision].clone();
        change.at = Timestamp::from_second(second).unwrap();
        assert_eq!(journal.begin(&state).unwrap(), []);
        let transitions = state.advance([change]);
        journal.commit(&Batch::new(&transitions, &state)).unwrap();
    }
    let history = journal.history();
    for (second, revision) in [(4, None), (5, Some(8)), (9, Some(8)), (45, Some(8)), (50, Some(9)), (101, Some(9))] {
        let found = history.revision_at(Timestamp::from_second(second).unwrap()).unwrap();
        assert_eq!(found, revision.map(Revision), "{second}");
    }
    let mut journal = kind.reopened(journal);
    journal.begin(&state).unwrap();
    journal.roll_back();
    journal.close();
}

fn hours_pass_once_and_tell_the_head_at_each(kind: &Kind) {
    let machine = history();
    let mut journal = kind.open();
    assert_eq!((journal.hour().unwrap(), journal.revision_at_hour(9).unwrap()), (0, Revision(0)));
    let passed = |known, passed, earlier| PassedHours { known, passed, earlier: Revision(earlier) };
    assert_eq!(journal.pass_hours(&passed(0, 1, 0)).unwrap(), 1);
    commit(&mut *journal, &machine, 0, 4);
    assert_eq!(journal.pass_hours(&passed(1, 5, 3)).unwrap(), 6);
    if !matches!(kind, Kind::Memory) {
        assert_eq!(journal.pass_hours(&passed(1, 9, 3)).unwrap(), 6, "another process has counted them");
    }
    let head = journal.load().unwrap().state.revision();
    let mut journal = kind.reopened(journal);
    for (hour, revision) in
        [(0, Revision(0)), (1, Revision(0)), (2, Revision(3)), (5, Revision(3)), (6, head), (99, head)]
    {
        assert_eq!(journal.revision_at_hour(hour).unwrap(), revision, "{hour}");
    }
    assert_eq!(journal.hour().unwrap(), 6);
    journal.close();
}

fn answers_are_kept_with_what_was_done_and_forgotten_by_age(kind: &Kind) {
    let answer = |key: &str, second| KeptAnswer {
        key: key.into(),
        fingerprint: format!("of {key} at {second}").into(),
        at: Timestamp::from_second(second).unwrap(),
        hour: second.unsigned_abs(),
        answer: Arc::new(Answer {
            status: 201,
            headers: vec![("etag".into(), "\"x-1\"".into())],
            body: "{\"n\":1.50}".into(),
        }),
    };
    let mut journal = kind.open();
    let mut state = State::default();
    let transitions = state.advance(history().changes[..1].to_vec());
    let kept = [answer("a", 10), answer("b", 20), answer("ü", 30)];
    assert_eq!(journal.begin(&State::default()).unwrap(), []);
    assert_eq!(journal.answers(&["a"]).unwrap(), []);
    journal.commit(&Batch::new(&transitions, &state).keeping(&kept)).unwrap();
    let mut journal = kind.reopened(journal);
    journal.begin(&state).unwrap();
    let mut found = journal.answers(&["ü", "nobody's", "a"]).unwrap();
    found.sort_by_key(|answer| answer.at);
    assert_eq!(found, [answer("a", 10), answer("ü", 30)]);
    // A response without a change, in place of an older one.
    journal.commit(&Batch::new(&[], &state).keeping(&[answer("a", 40)])).unwrap();
    assert_eq!(journal.load().unwrap().state, state);
    journal.forget_answers(30, 100).unwrap();
    journal.begin(&state).unwrap();
    let mut found = journal.answers(&["a", "b", "ü"]).unwrap();
    found.sort_by_key(|answer| answer.at);
    assert_eq!(found, [answer("ü", 30), answer("a", 40)]);
    journal.roll_back();
}

fn answers_had_no_bound_of_bytes(kind: &Kind) {
    let answer = |key: String, second: i64| KeptAnswer {
        key: key.into(),
        fingerprint: "f".into(),
        at: Timestamp::from_second(second).unwrap(),
        hour: second.unsigned_abs() / 10,
        answer: Arc::new(Answer { status: 201, headers: Vec::new(), body: "x".repeat(10_000).into() }),
    };
    let mut journal = kind.open();
    let state = State::default();
    let mut kept = vec![answer("modest b".into(), 1), answer("nobody's".into(), 2)];
    // Two lines of an import have one token.
    kept.extend((0..50).map(|n| answer(format!("{n} a#{n}"), 3 + n)));
    journal.begin(&state).unwrap();
    journal.commit(&Batch::new(&[], &state).keeping(&kept)).unwrap();
    let quota = AnswerQuota { bytes: 400_000 };
    let mut dropped = Vec::new();
    loop {
        dropped.push(journal.bound_answers(quota, 30).unwrap());
        if dropped.last() == Some(&0) {
            break;
        }
    }
    // The share of a token is 100,000 bytes; at most 30 go at a time.
    assert_eq!(dropped, [30, 11, 0]);
    journal.begin(&state).unwrap();
    let left: Vec<_> =
        kept.iter().filter(|kept| !journal.answers(&[&kept.key]).unwrap().is_empty()).map(|kept| &*kept.key).collect();
    journal.roll_back();
    let newest = (41..50).map(|n| format!("{n} a#{n}"));
    assert_eq!(left, ["modest b".into(), "nobody's".into()].into_iter().chain(newest).collect::<Vec<String>>());
}

fn any_history_is_kept_exactly(kind: &Kind) {
    let cases = if matches!(kind, Kind::Memory) { 32 } else { 12 };
    let strategy = (prop::collection::vec(requests(), 1..40), 1_usize..10);
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |((requests, batch) in strategy)| {
        let mut machine = Machine::new();
        for request in &requests {
            // A refused batch leaves no trace.
            drop(machine.submit(request));
        }
        let fresh = kind.fresh();
        let mut journal = fresh.open();
        commit(&mut *journal, &machine, 0, batch);
        prop_assert_eq!(journal.read(Revision(0), usize::MAX).unwrap(), machine.changes.clone());
        let mut journal = if matches!(fresh, Kind::Durable(_)) { drop(journal); fresh.open() } else { journal };
        let loaded = journal.load().unwrap();
        prop_assert_eq!(&loaded.state, &machine.state);
        prop_assert_eq!(&replay(&machine.changes), &machine.state);
    });
}

/// Two connections act as two processes.
#[test]
fn no_second_batch_begins_before_the_commit() {
    let kind = Kind::Durable(Durable::fresh());
    let machine = history();
    let (mut one, mut other) = (kind.open(), kind.open());
    assert_eq!(one.begin(&State::default()).unwrap(), []);
    let (begun, waits) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let foreign = other.begin(&State::default()).unwrap();
        begun.send(foreign).unwrap();
        other.roll_back();
        other.foreign_changes(&State::default()).unwrap()
    });
    let mut state = State::default();
    let transitions = state.advance(machine.changes.clone());
    assert!(waits.try_recv().is_err(), "the lock is held");
    one.commit(&Batch::new(&transitions, &state)).unwrap();
    assert_eq!(waits.recv_timeout(crate::harness::PATIENCE).unwrap(), machine.changes, "what was committed in between");
    assert_eq!(waiting.join().unwrap(), machine.changes);
}

#[test]
fn an_uncommitted_batch_is_gone_after_a_crash() {
    let kind = Kind::Durable(Durable::fresh());
    let mut journal = kind.open();
    assert_eq!(journal.begin(&State::default()).unwrap(), []);
    drop(journal);
    assert_eq!(kind.open().load().unwrap().state.revision(), Revision(0));
}
