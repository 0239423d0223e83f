//! Any sequence of commands: what was seen alive, and what may bill, stays listed until it is released by name or seen
//! gone.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cases;
use crate::commands::requests;
use crate::machine::Machine;
use domain::command::Command;
use domain::command::request::ProbeResult;
use domain::host::HostNames;
use domain::plugin::{Pid, Pids, Registration, UniqueId};
use domain::query::ResourceQuery;
use domain::record::{ClaimState, ObservedState, Record, ResourceKind, Slot};
use domain::{LeaseId, LeaseTerms, State};
use jiff::Timestamp;

/// A resource with its host, by which tests follow it across documents.
type Thing = (String, ResourceKind, String, Option<String>);

/// What must not be forgotten: everything that was seen alive and not since seen to have ended, and what may bill.
fn living(record: &Record) -> BTreeMap<Thing, Slot> {
    let held = record.held().filter(|held| {
        let ended = held.observation().is_some_and(|seen| seen.state.is_end());
        !ended && (held.is_billable() || held.observation().is_some_and(|seen| seen.may_live()))
    });
    held.map(|held| {
        let host = held.host.map(str::to_owned);
        let thing = (record.unique_id.to_string(), held.slot.kind, held.slot.id.to_string(), host);
        (thing, held.slot)
    })
    .collect()
}

/// Whether a command says, by name, that the plugin no longer holds a resource.
fn is_released(command: &Command, record: &Record, slot: &Slot) -> bool {
    let of_document = record.held().any(|held| held.slot == *slot && held.left().is_none());
    match command {
        Command::Remove { .. } => true,
        Command::RemovePid { pid, .. } => slot.kind == ResourceKind::Process && *slot.id == *pid.to_string(),
        Command::ReleasePids { .. } => slot.kind == ResourceKind::Process && of_document,
        Command::ReleaseContainer { .. } => slot.kind == ResourceKind::Container && of_document,
        Command::ReleaseRemote { .. } => slot.kind == ResourceKind::Remote && of_document,
        Command::Release { slots, .. } => slots.contains(slot),
        _ => false,
    }
}

/// Whether the state lists a resource, perhaps under an id or a host that it did not have before.
fn is_listed(state: &State, (plugin, kind, id, host): &Thing) -> bool {
    let Some(record) = state.plugin(plugin) else { return false };
    record.held().any(|held| {
        let same_host = host.is_none() || held.host.is_none() || held.host == host.as_deref();
        held.slot.kind == *kind
            && same_host
            && (*held.slot.id == **id || (id.is_empty() && *kind == ResourceKind::Remote))
    })
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn what_lives_is_forgotten_by_no_document(history in prop::collection::vec(requests(), 1..60)) {
        let mut machine = Machine::new();
        for request in &history {
            let before = machine.state.clone();
            if machine.submit(request) != Ok(true) {
                continue;
            }
            for record in before.plugins().values() {
                for (thing, slot) in living(record) {
                    // A resource with another id is another one, unless it had none. One that turned off has ended.
                    let listed = is_listed(&machine.state, &thing);
                    prop_assert!(
                        listed || is_released(&request.command, record, &slot),
                        "{:?} has forgotten {thing:?}", request.command
                    );
                }
            }
        }
    }

    #[test]
    fn the_text_of_holdings_is_read_as_it_was_written(history in prop::collection::vec(requests(), 1..40)) {
        let mut machine = Machine::new();
        for request in &history {
            drop(machine.submit(request));
        }
        for record in machine.state.plugins().values() {
            let text = record.holdings.to_text();
            let read = domain::record::Holdings::from_text(text.as_deref()).unwrap();
            prop_assert_eq!(&read, &record.holdings, "{:?}", text);
            prop_assert_eq!(read.to_text(), text);
        }
    }
}

/// The life of one plugin, told step by step.
struct Life {
    machine: Machine,
    second: i64,
}

impl Life {
    fn new() -> Life {
        Life { machine: Machine::new(), second: 0 }
    }

    fn lease(&mut self, id: &str) {
        let terms = LeaseTerms { holder: "app".into(), host: Some("h".into()), ttl_seconds: 30, on_gone: None };
        self.machine.done(Command::GrantLease { id: LeaseId::named(id), terms });
    }

    fn register(&mut self, fields: Value) {
        let mut body = json!({"category": "a", "name": "b", "title": "T", "config_schema": {}});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.machine.done(Command::Register(Box::new(Registration::read(body).unwrap())));
    }

    fn seen(&mut self, kind: ResourceKind, id: &str, state: ObservedState) {
        self.second += 1;
        let look = ProbeResult {
            slot: Slot::new(kind, id),
            state,
            at: Timestamp::from_second(1_800_000_000 + self.second).unwrap(),
            heard_at: Timestamp::MAX,
            detail: None,
            identity: None,
            parent: None,
            abandoned: None,
            last_alive: None,
        };
        let id = UniqueId::from_client("a_b");
        self.machine.done(Command::Observe { id, by: "agent".into(), sightings: vec![look] });
    }

    fn done(&mut self, command: impl FnOnce(UniqueId) -> Command) {
        self.machine.done(command(UniqueId::from_client("a_b")));
    }

    /// Each held resource: its id, whether it is left behind, and its lease.
    fn held(&self) -> Vec<(String, bool, Option<String>)> {
        let page = ResourceQuery { limit: usize::MAX, ..ResourceQuery::default() }.run(&self.machine.state);
        let row = |row: domain::query::Resource| {
            (row.id.unwrap_or_default(), row.claim == ClaimState::LeftBehind, row.lease_id)
        };
        page.items.into_iter().map(row).collect()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.machine.changes.iter().map(|change| change.event.kind().as_str()).collect()
    }
}

fn held(id: &str, left: bool, lease: Option<&str>) -> (String, bool, Option<String>) {
    (id.to_owned(), left, lease.map(str::to_owned))
}

fn pids(pids: &[Pid]) -> Pids {
    Pids::from(pids.to_vec())
}

#[test]
fn a_restarted_application_forgot_the_processes_of_its_former_life() {
    let mut life = Life::new();
    life.lease("one");
    life.register(json!({"host": "h", "lease_id": "one", "spawned_pids": [7, 8]}));
    life.seen(ResourceKind::Process, "7", ObservedState::Alive);
    life.lease("two");
    life.register(json!({"lease_id": "two", "spawned_pids": [9]}));
    assert_eq!(life.held(), [held("9", false, Some("two")), held("7", true, Some("one"))], "8 was never seen");
    assert_eq!(life.kinds().split_off(4), ["plugin.updated", "resource.left_behind"]);
    // It is released by name, whatever the document names.
    life.done(|id| Command::RemovePid { id, pid: 7 });
    assert_eq!(life.held(), [held("9", false, Some("two"))]);
    assert_eq!(life.kinds().last(), Some(&"resource.released"));
}

#[test]
fn processes_came_under_the_lease_of_a_registration_that_did_not_name_them() {
    let mut life = Life::new();
    life.lease("one");
    life.register(json!({"lease_id": "one", "spawned_pids": [7]}));
    life.seen(ResourceKind::Process, "7", ObservedState::Alive);
    life.lease("two");
    life.register(json!({"lease_id": "two"}));
    life.done(|id| Command::AddPids { id, pids: pids(&[9]) });
    assert_eq!(life.held(), [held("7", false, Some("one")), held("9", false, Some("two"))]);
    // Naming it again under the new lease takes it over.
    life.done(|id| Command::SetPids { id, pids: pids(&[7, 9]) });
    assert_eq!(life.held(), [held("7", false, Some("two")), held("9", false, Some("two"))]);
}

#[test]
fn a_second_instance_ended_the_cost_of_the_first() {
    for change in [json!({"provider": "aws", "instance_id": "i-2", "status": "running"}), Value::Null] {
        let mut life = Life::new();
        life.register(json!({"remote_resource": {"provider": "aws", "instance_id": "i-1", "status": "RUNNING"}}));
        life.register(json!({"remote_resource": change}));
        assert!(life.held().contains(&held("i-1", true, None)), "{change}: {:?}", life.held());
        assert!(life.machine.state.plugin("a_b").unwrap().is_billable());
    }
    let mut life = Life::new();
    life.register(json!({"remote_resource": {"provider": "aws", "instance_id": "i-1"}}));
    let patch = json!({"instance_id": "i-2"}).as_object().unwrap().clone();
    life.done(|id| Command::PatchRemote { id, patch });
    assert_eq!(life.held(), [held("i-2", false, None), held("i-1", true, None)]);
}

#[test]
fn a_remote_resource_that_gets_an_id_is_the_same() {
    let mut life = Life::new();
    life.register(json!({"remote_resource": {"provider": "aws", "status": "provisioning"}}));
    let patch = json!({"instance_id": "i-1", "status": "running"}).as_object().unwrap().clone();
    life.done(|id| Command::PatchRemote { id, patch });
    assert_eq!(life.held(), [held("i-1", false, None)]);
}

#[test]
fn a_remote_resource_without_an_id_was_taken_for_a_later_one_after_it_was_left_behind() {
    let mut life = Life::new();
    life.register(json!({"remote_resource": {"provider": "aws", "status": "running"}}));
    life.register(json!({"remote_resource": null}));
    life.register(json!({"remote_resource": {"provider": "aws", "status": "running", "instance_id": "i-2"}}));
    assert_eq!(life.held(), [held("i-2", false, None), held("", true, None)]);
}

#[test]
fn a_new_status_of_a_machine_brought_it_under_another_lease() {
    let mut life = Life::new();
    life.lease("one");
    life.register(json!({"lease_id": "one", "remote_resource": {"provider": "aws", "instance_id": "i-1"}}));
    life.lease("two");
    life.register(json!({"lease_id": "two"}));
    let patch = json!({"status": "stopping"}).as_object().unwrap().clone();
    life.done(|id| Command::PatchRemote { id, patch });
    assert_eq!(life.held(), [held("i-1", false, Some("one"))]);
}

#[test]
fn what_is_named_again_is_claimed_again() {
    let mut life = Life::new();
    life.register(json!({"container_id": "web"}));
    life.seen(ResourceKind::Container, "web", ObservedState::Alive);
    life.done(|id| Command::SetContainer { id, container_id: Some("next".into()) });
    assert_eq!(life.held(), [held("next", false, None), held("web", true, None)]);
    life.done(|id| Command::SetContainer { id, container_id: Some("web".into()) });
    assert_eq!(life.held(), [held("web", false, None)], "`next` was never seen");
}

#[test]
fn a_process_on_the_former_host_stays_beside_one_of_the_same_number() {
    let mut life = Life::new();
    life.register(json!({"host": "h1", "spawned_pids": [7]}));
    life.seen(ResourceKind::Process, "7", ObservedState::Alive);
    life.register(json!({"host": "h2", "spawned_pids": [7]}));
    assert_eq!(life.held(), [held("7", false, None), held("7", true, None)]);
    let page = ResourceQuery { limit: 9, host: Some(HostNames::of(["h1"])), ..ResourceQuery::default() }
        .run(&life.machine.state);
    assert_eq!(page.items.len(), 1, "an agent on the former host finds it");
}

#[test]
fn what_was_seen_gone_is_not_left_behind() {
    let mut life = Life::new();
    life.register(json!({"spawned_pids": [7, 8]}));
    life.seen(ResourceKind::Process, "7", ObservedState::Alive);
    life.seen(ResourceKind::Process, "8", ObservedState::Alive);
    life.seen(ResourceKind::Process, "7", ObservedState::Gone);
    life.done(|id| Command::SetPids { id, pids: Pids::default() });
    assert_eq!(life.held(), [held("8", true, None)]);
    assert!(!life.machine.state.plugin("a_b").unwrap().plugin.has_active_resources(), "the document's meaning stays");
}
