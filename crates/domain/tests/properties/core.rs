//! Any sequence of commands.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use crate::cases;
use crate::commands::{commands, documents, requests};
use crate::machine::Machine;
use domain::change::{Change, ChangeKind, ConfigChange, Event};
use domain::command::request::ProbeResult;
use domain::command::{Command, Refusal, Request};
use domain::index::IndexKey;
use domain::plugin::{ExecutionMode, Name, Provider, READ_ONLY_FIELDS, Registration, UniqueId};
use domain::query::{ResourceQuery, Stats};
use domain::record::{FindingKind, Naming, ObservedState, Record, ResourceKind, Slot};
use domain::{LeaseState, State};

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn revisions_are_gapless_refusals_leave_no_trace_and_replay_makes_the_state(
        requests in prop::collection::vec(requests(), 1..50),
    ) {
        let mut machine = Machine::new();
        for request in &requests {
            let before = machine.state.clone();
            let changed = machine.submit(request);
            if changed == Ok(true) {
                // The change itself, what it left behind, what it dropped.
                let made = machine.state.revision().0 - before.revision().0;
                prop_assert!((1..=3).contains(&made), "{made} changes");
            } else {
                prop_assert_eq!(&machine.state, &before);
            }
            let left_open = matches!(changed, Err(Refusal::NotChecked(_)));
            prop_assert!(!left_open, "the check of a schema is not left to the caller");
            let newest = machine.state.plugins().values().map(|record| record.revision).max();
            prop_assert!(newest.unwrap_or_default() <= machine.state.revision());
        }
        let revisions: Vec<_> = machine.changes.iter().map(|change| change.revision.0).collect();
        prop_assert_eq!(revisions, (1..=machine.changes.len() as u64).collect::<Vec<_>>());
        let mut replayed = State::default();
        for change in &machine.changes {
            replayed.apply(change);
        }
        prop_assert_eq!(&replayed, &machine.state);
        indexes_are_a_full_scan(&replayed)?;
    }

    #[test]
    fn indexes_are_a_full_scan_after_every_command(requests in prop::collection::vec(requests(), 1..25)) {
        let mut machine = Machine::new();
        for request in &requests {
            drop(machine.submit(request));
            indexes_are_a_full_scan(&machine.state)?;
        }
    }

    #[test]
    fn the_same_command_again_changes_nothing(
        history in prop::collection::vec(requests(), 0..20),
        command in commands(),
    ) {
        let mut machine = Machine::new();
        for request in &history {
            drop(machine.submit(request));
        }
        // Each note is a line of its own.
        prop_assume!(!matches!(command, Command::Note { .. }));
        let request = Request::plain(command);
        if machine.submit(&request).is_ok() {
            let state = machine.state.clone();
            let again = machine.submit(&request);
            let removed = match &request.command {
                Command::Remove { .. } => matches!(again, Err(Refusal::NotFound(_))),
                Command::RemoveBudget { .. } => matches!(again, Err(Refusal::NoBudget(_))),
                _ => false,
            };
            prop_assert!(again == Ok(false) || removed, "{again:?}");
            prop_assert_eq!(&machine.state, &state);
        }
    }

    #[test]
    fn a_reply_sent_back_changes_nothing(history in prop::collection::vec(requests(), 1..30)) {
        let mut machine = Machine::new();
        for request in &history {
            drop(machine.submit(request));
        }
        let records: Vec<_> = machine.state.plugins().values().cloned().collect();
        for record in records {
            let reply: Value = serde_json::from_slice(&record.json).unwrap();
            let registration = Box::new(Registration::read(reply.clone()).unwrap());
            let again = Request::plain(Command::Register(registration));
            // It names what was claimed under an earlier lease, and so claims it under the present one.
            drop(machine.submit(&again));
            let stands = machine.state.plugin(record.unique_id.as_str()).unwrap();
            prop_assert_eq!(&stands.plugin, &record.plugin);
            prop_assert_eq!(machine.submit(&again), Ok(false));
            let patch = reply.as_object().unwrap().clone();
            prop_assert_eq!(machine.submit(&Request::plain(Command::Patch { id: record.unique_id.clone(), patch })), Ok(false));
        }
    }

    #[test]
    fn a_patch_does_what_merge_patch_does(document in documents(), patch in documents()) {
        let mut machine = Machine::new();
        machine.done(Command::Register(Box::new(Registration::read(document).unwrap())));
        let record = machine.state.plugins().values().next().unwrap().clone();
        let mut patch = patch;
        for field in ["name", "category"] {
            patch.as_object_mut().unwrap().remove(field);
        }
        let mut expected: Value = serde_json::from_slice(&record.json).unwrap();
        json_patch::merge(&mut expected, &patch);
        let request = Request::plain(Command::Patch { id: record.unique_id.clone(), patch: patch.as_object().unwrap().clone() });
        // Fields that the merge removes take their defaults, so the merged document is read as a registration.
        let read = Registration::read(expected);
        match machine.submit(&request) {
            Ok(_) => {
                let stands = machine.state.plugin(record.unique_id.as_str()).unwrap();
                prop_assert_eq!(&*stands.plugin, &read.unwrap().applied_to(None));
            }
            Err(refused) => prop_assert!(read.is_err(), "{refused:?}"),
        }
    }

    #[test]
    fn nothing_that_may_run_or_bill_is_forgotten_unless_it_is_named(history in prop::collection::vec(requests(), 1..40)) {
        let mut machine = Machine::new();
        for request in &history {
            let before = machine.state.clone();
            if machine.submit(request) != Ok(true) {
                continue;
            }
            for (id, record) in before.plugins() {
                let after = machine.state.plugin(id.as_str());
                let forced = matches!(&request.command, Command::Remove { force: true, id: removed } if removed == id);
                let held = record.plugin.has_active_resources() || record.is_billable();
                prop_assert!(!held || forced || after.is_some(), "{:?} has forgotten {id}", request.command);
                let Command::Register(registration) = &request.command else { continue };
                let Some(after) = after else { continue };
                if registration.spawned_pids.is_none() {
                    prop_assert_eq!(&after.plugin.spawned_pids, &record.plugin.spawned_pids);
                }
                if registration.remote_resource.is_none() {
                    prop_assert_eq!(&after.plugin.remote_resource, &record.plugin.remote_resource);
                }
                if registration.container_id.is_none() {
                    prop_assert_eq!(&after.plugin.container_id, &record.plugin.container_id);
                }
            }
        }
    }
}

fn indexes_are_a_full_scan(state: &State) -> Result<(), TestCaseError> {
    let remote = |record: &Record| record.plugin.remote_resource.clone();
    let mut expected: Vec<(IndexKey, BTreeSet<String>)> = Vec::new();
    let mut scan = |key: IndexKey, has: &dyn Fn(&Record) -> bool| {
        let ids = state.plugins().values().filter(|record| has(record)).map(|record| record.unique_id.to_string());
        expected.push((key, ids.collect()));
    };
    scan(IndexKey::Active, &|record| record.plugin.has_active_resources());
    scan(IndexKey::Billable, &|record| record.held().any(|held| held.is_billable()));
    scan(IndexKey::LeftBehind, &|record| record.held().any(|held| held.left().is_some()));
    scan(IndexKey::Expiring, &|record| record.holdings.has_expiry());
    scan(IndexKey::Configured, &|record| record.plugin.is_configured);
    let states = |record: &Record| {
        let facts: Vec<_> = record.holdings.facts().map(|(_, facts)| facts.clone()).collect();
        facts.into_iter().filter_map(|facts| facts.observation).map(|seen| seen.state).collect::<Vec<_>>()
    };
    scan(IndexKey::Observed, &|record| {
        let shown: Value = serde_json::from_slice(&record.json).unwrap();
        shown.get("observed").is_some_and(|observed| !observed.is_null())
    });
    scan(IndexKey::Verified, &|record| states(record).contains(&ObservedState::Alive));
    for kind in FindingKind::ALL {
        let query = ResourceQuery { limit: usize::MAX, ..ResourceQuery::default() };
        scan(IndexKey::Finding(*kind), &|record| {
            let record = state.plugin(record.unique_id.as_str()).unwrap();
            query.rows(record).iter().any(|row| row.finding == Some(*kind))
        });
        scan(IndexKey::OpenFinding(*kind), &|record| {
            let record = state.plugin(record.unique_id.as_str()).unwrap();
            query.rows(record).iter().any(|row| row.finding == Some(*kind) && row.acknowledged.is_none())
        });
    }
    scan(IndexKey::Holding, &|record| record.held().next().is_some());
    for name in ["a", "a_b", "z", "unused"] {
        scan(IndexKey::Category(Name::new(name).unwrap()), &|record| record.plugin.category.as_str() == name);
    }
    for mode in ExecutionMode::ALL {
        scan(IndexKey::Mode(*mode), &|record| record.plugin.execution_mode == *mode);
    }
    for provider in Provider::ALL {
        scan(IndexKey::Provider(*provider), &|record| {
            remote(record).is_some_and(|remote| remote.provider == *provider)
        });
    }
    for text in ["", "x", "Ä y", "ä y", "c1", "c2", "i-1", "i-2"] {
        scan(IndexKey::LeftOn(text.into()), &|record| {
            record.held().any(|held| held.slot.host.as_ref().is_some_and(|host| host.trim().to_lowercase() == text))
        });
        scan(IndexKey::Host(text.into()), &|record| {
            record.plugin.host.as_ref().is_some_and(|host| host.trim().to_lowercase() == text)
        });
        scan(IndexKey::Lease(text.into()), &|record| record.plugin.lease_id.as_deref() == Some(text));
        scan(IndexKey::Claim(text.into()), &|record| {
            record.held().any(|held| held.claim.lease_id.as_ref().is_some_and(|lease| lease.as_str() == text))
        });
        scan(IndexKey::Container(text.into()), &|record| {
            let name = record.plugin.container_id.as_deref().and_then(|id| id.rsplit('/').next());
            !text.is_empty() && name == Some(text)
        });
        scan(IndexKey::Instance(text.into()), &|record| {
            remote(record).is_some_and(|remote| remote.instance_id.as_deref() == Some(text))
        });
    }
    for pid in [1, 2, 3, 4, 5, u32::MAX] {
        scan(IndexKey::Pid(pid), &|record| record.plugin.spawned_pids.contains(pid));
    }
    for (key, ids) in expected {
        let indexed: BTreeSet<_> =
            state.having(&key).into_iter().flat_map(|records| records.keys()).map(ToString::to_string).collect();
        prop_assert_eq!(&indexed, &ids, "{:?}", key);
        let stands = state.having(&key).into_iter().flat_map(|records| records.values());
        for record in stands {
            prop_assert_eq!(record, state.plugin(record.unique_id.as_str()).unwrap(), "{:?} has an old record", key);
        }
    }
    let active = state.leases().values().filter(|lease| lease.state == LeaseState::Active);
    prop_assert_eq!(state.active_leases().all(), active.count());
    let used: BTreeSet<_> = state.plugins().values().map(|record| record.plugin.category.to_string()).collect();
    let listed: BTreeSet<_> = state.indexes().categories().map(|(name, _)| name.to_string()).collect();
    prop_assert_eq!(listed, used);
    let stats = Stats::of(state);
    let local = state.plugins().values().filter(|record| record.plugin.execution_mode.is_local()).count();
    prop_assert_eq!(
        (stats.total, stats.local, stats.cloud),
        (state.plugins().size(), local, state.plugins().size() - local)
    );
    prop_assert_eq!(stats.by_execution_mode.values().sum::<usize>(), stats.total);
    Ok(())
}

#[test]
fn the_read_only_fields_are_those_of_a_reply_that_cannot_be_set() {
    use domain::plugin::Plugin;
    use domain::record::PluginDocument;
    let settable: BTreeSet<_> = Plugin::FIELDS.iter().collect();
    let read_only: BTreeSet<_> = READ_ONLY_FIELDS.iter().collect();
    let shown: BTreeSet<_> = PluginDocument::FIELDS.iter().collect();
    assert_eq!(settable.union(&read_only).copied().collect::<BTreeSet<_>>(), shown);
    assert!(settable.is_disjoint(&read_only));
}

/// Two looks at one process in one report were both noted, so that the same report changed something again.
#[test]
fn a_report_with_two_looks_at_one_process_counts_the_newest() {
    let mut machine = Machine::new();
    let plugin = serde_json::json!({
        "category": "a", "name": "b", "title": "T", "config_schema": {}, "spawned_pids": [2],
    });
    let registration = Box::new(Registration::read(plugin).unwrap());
    assert_eq!(machine.submit(&Request::plain(Command::Register(registration))), Ok(true));
    let slot = Slot::new(ResourceKind::Process, "2");
    let look = |second: i64, state| ProbeResult {
        slot: slot.clone(),
        state,
        at: Timestamp::from_second(1_800_000_000 + second).unwrap(),
        heard_at: Timestamp::MAX,
        detail: None,
        identity: None,
        parent: None,
        abandoned: None,
        last_alive: None,
    };
    let sightings = vec![look(6, ObservedState::Alive), look(0, ObservedState::Gone)];
    let report = Request::plain(Command::Observe { id: UniqueId::from_client("a_b"), by: "agent".into(), sightings });
    assert_eq!(machine.submit(&report), Ok(true));
    let record = machine.state.plugin("a_b").unwrap();
    let seen = record.holdings.get(&slot).and_then(|facts| facts.observation.as_ref()).unwrap();
    assert_eq!(seen.state, ObservedState::Alive);
    assert_eq!(machine.submit(&report), Ok(false));
}

/// A store may have names from before such characters were refused.
#[test]
fn an_old_name_with_an_invisible_character_stays_usable() {
    let document = serde_json::json!({"name": "a\u{202e}", "category": "c", "title": "T", "config_schema": {}});
    let registration = Registration::read(document).unwrap();
    let register = Request::plain(Command::Register(Box::new(registration.clone())));
    let mut machine = Machine::new();
    assert!(matches!(machine.submit(&register), Err(Refusal::Invalid(_))));
    let plugin = registration.clone().applied_to(None).into();
    let event = Event::PluginPut {
        kind: ChangeKind::PluginRegistered,
        plugin,
        config: ConfigChange::Kept,
        naming: Naming::all(),
    };
    let (revision, at) = (machine.state.revision().next(), jiff::Timestamp::UNIX_EPOCH);
    machine.state.apply(&Change { revision, at, request_id: None, principal: None, reason: None, event });
    assert_eq!(machine.submit(&register), Ok(false), "it stands as it is");
    let id = registration.key().unique_id();
    let patch = serde_json::json!({"title": "U"}).as_object().unwrap().clone();
    assert_eq!(machine.submit(&Request::plain(Command::Patch { id: id.clone(), patch })), Ok(true));
    assert_eq!(machine.submit(&Request::plain(Command::Remove { id, force: false })), Ok(true));
}
