//! Any history costs the sum over its versions, however it is queried.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::cases;
use super::commands::requests;
use crate::harness::Machine;
use crate::store::conformance::commit;
use domain::change::{Change, Event};
use domain::command::request::ProbeResult;
use domain::command::{Command, Request};
use domain::cost::{BudgetEvent, GroupBy, Statement};
use domain::plugin::StatusClass;
use domain::query::cost::CostPeriod;
use domain::query::{CostQuery, Filter, Unpaced};
use domain::record::{Record, ResourceKind, ResourceRef};
use domain::{Revision, Spend, State};
use plugin_registry::clock::ManualClock;
use plugin_registry::registry::Registry;
use plugin_registry::registry::fair_pool::WorkCaller;
use plugin_registry::store::Journal as _;
use plugin_registry::store::memory::MemoryJournal;

/// A remote resource of a plugin between one change and the next, or now.
struct Version {
    record: Arc<Record>,
    document: Value,
    remote: Value,
    from: i128,
    to: i128,
}

impl Version {
    /// The least and the greatest cost in millionths of a USD, computed naively.
    fn cost(&self, from: i128, to: i128) -> (i128, i128) {
        let status = self.remote["status"].as_str().unwrap_or_default();
        let is_rented =
            ["instance_id", "job_id", "endpoint_url", "ssh_host"].iter().any(|id| self.remote[id].is_string());
        let surely = ["provisioning", "running", "stopping"].contains(&status);
        let price = self.remote["estimated_cost_per_hour"].as_f64();
        let (Some(price), true) = (price, surely || (status == "unknown" && is_rented)) else { return (0, 0) };
        let hourly = (price * 1e6).round() as i128;
        let (from, to) = (self.from.max(from), self.to.min(to));
        let reading = |micros: i128| (hourly * micros) / 3_600_000_000;
        let cost = if to > from { reading(to) - reading(from) } else { 0 };
        (if surely { cost } else { 0 }, cost)
    }

    fn group(&self, group_by: Option<&GroupBy>) -> Option<String> {
        let text = |pointer: &str| self.document.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        match group_by? {
            GroupBy::Plugin => text("/unique_id"),
            GroupBy::Category => text("/category"),
            GroupBy::Provider => self.remote["provider"].as_str().map(str::to_owned),
            GroupBy::GpuType => self.remote["gpu_type"].as_str().map(str::to_owned),
            GroupBy::StatusClass => Some(StatusClass::of(self.remote["status"].as_str()?).as_str().to_owned()),
            GroupBy::Host => text("/host").map(|host| host.trim().to_lowercase()),
            GroupBy::Label(key) => text(&format!("/labels/{key}")),
            GroupBy::Resource => unreachable!("no client can name it"),
        }
    }
}

/// All versions that the changes made.
fn versions(changes: &[Change], now: Timestamp) -> Vec<Version> {
    let micros = |time: Timestamp| i128::from(time.as_microsecond());
    let of_record = |record: &Arc<Record>, to: Timestamp| -> Vec<Version> {
        let remotes = record.held().filter_map(|held| match held.resource {
            ResourceRef::Remote(remote) => Some(serde_json::to_value(remote).unwrap()),
            ResourceRef::Process(_) | ResourceRef::Container(_) => None,
        });
        let version = |remote| Version {
            record: Arc::clone(record),
            document: serde_json::from_slice(&record.json).unwrap(),
            remote,
            from: micros(record.updated_at),
            to: micros(to),
        };
        remotes.map(version).collect()
    };
    let mut state = State::default();
    let mut versions = Vec::new();
    for transition in state.advance(changes.to_vec()) {
        versions.extend(transition.before().into_iter().flat_map(|record| of_record(record, transition.change.at)));
    }
    versions.extend(state.plugins().values().flat_map(|record| of_record(record, now)));
    versions
}

fn groupings() -> impl Strategy<Value = Option<GroupBy>> {
    let names = ["plugin", "category", "provider", "gpu_type", "status_class", "host", "label.a"];
    prop::option::of(select(names.map(|name| GroupBy::from_name(name).unwrap()).to_vec()))
}

fn filters() -> impl Strategy<Value = Vec<Filter>> {
    let read = |(name, value): (&str, &str)| Filter::read(name, &[value.to_owned()]).unwrap().into_iter().collect();
    let some = [("category", "a"), ("name", "c"), ("provider", "aws"), ("label.a", "1"), ("active", "true")];
    prop_oneof![2 => Just(Vec::new()), 1 => select(some.to_vec()).prop_map(read)]
}

/// A registry with such a history, whose beginning is compacted.
fn registry(machine: &Machine, now: Timestamp, compact_revision: u64) -> Registry {
    let mut journal = MemoryJournal::new();
    if !machine.changes.is_empty() {
        commit(&mut journal, machine, 0, 7);
    }
    journal.compact(Revision(compact_revision), usize::MAX).unwrap();
    Registry::start(Box::new(journal), Arc::new(ManualClock::new(now))).unwrap()
}

/// The histories of such requests without observations of remote resources: this model trusts the claims
/// (`costs::a_resource_seen_gone_costs_nothing` covers observations).
fn machine(requests: &[Request]) -> Machine {
    let mut machine = Machine::new();
    for request in requests.iter().filter(|request| !looks_at_remote(request)) {
        drop(machine.submit(request));
    }
    machine
}

fn looks_at_remote(request: &Request) -> bool {
    let is_remote = |look: &ProbeResult| look.slot.kind == ResourceKind::Remote;
    matches!(&request.command, Command::Observe { sightings, .. } if sightings.iter().any(is_remote))
}

/// An hour after the newest change.
fn after(machine: &Machine) -> Timestamp {
    machine.state.at().max(time(0)) + SignedDuration::from_hours(1)
}

/// A time while a [`Machine`] makes its changes, in tenths of a second.
fn time(tenth: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + tenth * 100).unwrap()
}

fn ask(registry: &Registry, query: &CostQuery) -> (Statement, CostPeriod) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let snapshot = registry.snapshot();
    let both = |statement: &Statement, period| (statement.clone(), period);
    let asked = runtime.block_on(registry.costs(WorkCaller::Unknown, &snapshot, query, registry.now(), both));
    asked.expect("memory can be read")
}

fn accrued(statement: &Statement) -> BTreeMap<Option<String>, (i128, i128)> {
    let amounts = |spend: Spend| (spend.low.0, spend.high.0);
    let lines = statement.lines.iter().map(|(key, line)| (key.clone(), amounts(line.accrued)));
    lines.filter(|(_, amounts)| *amounts != (0, 0)).collect()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn any_time_of_any_history_costs_what_its_versions_cost(
        requests in prop::collection::vec(requests(), 1..60),
        group_by in groupings(),
        filters in filters(),
        from in prop::option::of(-10_i64..300),
        length in prop::option::of(0_i64..300),
    ) {
        let machine = machine(&requests);
        let now = after(&machine);
        let to = length.map(|length| time(from.unwrap_or(0) + length));
        let query = CostQuery { filters, group_by, hours: 0, from: from.map(time), to, steps: None };
        let registry = registry(&machine, now, 0);
        let (statement, accrual) = ask(&registry, &query);
        let micros = |time: Option<Timestamp>, or: i128| time.map_or(or, |time| i128::from(time.as_microsecond()));
        let (first, last) = (micros(query.from, 0), micros(query.to, i128::MAX));
        let mut expected: BTreeMap<_, (i128, i128)> = BTreeMap::new();
        for version in versions(&machine.changes, now) {
            let cost = version.cost(first, last);
            if cost.1 > 0 && query.filters.iter().all(|filter| filter.accepts(&version.record)) {
                let sum = expected.entry(version.group(query.group_by.as_ref())).or_default();
                *sum = (sum.0 + cost.0, sum.1 + cost.1);
            }
        }
        prop_assert_eq!(accrued(&statement), expected);
        prop_assert_eq!(accrual.forgotten, Spend::default());
    }

    #[test]
    fn costs_of_groups_and_of_parts_of_a_time_add_up(
        requests in prop::collection::vec(requests(), 1..60),
        group_by in groupings(),
        mut times in prop::array::uniform3(-10_i64..300),
    ) {
        times.sort_unstable();
        let machine = machine(&requests);
        let registry = registry(&machine, after(&machine), 0);
        let sum = |group_by: Option<GroupBy>, from: i64, to: i64| {
            let query = CostQuery { group_by, from: Some(time(from)), to: Some(time(to)), ..CostQuery::default() };
            ask(&registry, &query).0.total()
        };
        let [a, b, c] = times;
        let whole = sum(group_by.clone(), a, c);
        prop_assert_eq!(sum(group_by.clone(), a, b).accrued + sum(group_by, b, c).accrued, whole.accrued);
        prop_assert_eq!(sum(None, a, c), whole);
    }

    #[test]
    fn compacted_costs_lie_within_their_bounds(
        requests in prop::collection::vec(requests(), 1..60),
        compact_revision in 0_u64..40,
        group_by in groupings(),
        filters in filters(),
        from in prop::option::of(-10_i64..300),
        length in prop::option::of(0_i64..300),
    ) {
        let machine = machine(&requests);
        let now = after(&machine);
        let to = length.map(|length| time(from.unwrap_or(0) + length));
        let query = CostQuery { filters, group_by, hours: 0, from: from.map(time), to, steps: None };
        let (known, _) = ask(&registry(&machine, now, 0), &query);
        let (told, accrual) = ask(&registry(&machine, now, compact_revision), &query);
        let (known, told) = (known.total(), told.total());
        prop_assert!(told.accrued.low <= known.accrued.low && known.accrued.high <= told.accrued.high, "{told:?} {known:?}");
        if accrual.forgotten == Spend::default() {
            prop_assert_eq!(told, known, "nothing is left out in silence");
        }
        // Without compaction, the cost of each plugin is exact.
        let ever = CostQuery { group_by: Some(GroupBy::Plugin), ..CostQuery::default() };
        let (all, of_all) = (ask(&registry(&machine, now, 0), &ever), ask(&registry(&machine, now, compact_revision), &ever));
        prop_assert_eq!(&all, &of_all);
        for record in machine.state.plugins().values() {
            let line = all.0.lines.get(&Some(record.unique_id.to_string())).copied().unwrap_or_default();
            // Two pairs may have had the same id, one after the other.
            let accrued = machine.state.accrued(record, now);
            prop_assert!(accrued.low <= line.accrued.low, "{accrued:?} {line:?}");
            let other = machine.state.ledger().accruals().keys().any(|key| {
                *key != record.plugin.key() && key.unique_id() == record.unique_id
            });
            prop_assert!(other || accrued == line.accrued, "{accrued:?} {line:?}");
        }
    }

    /// Over weeks, so that periods begin and end between the changes, and on changes.
    #[test]
    fn a_budget_has_spent_what_its_plugins_cost_in_its_period(
        requests in prop::collection::vec(requests(), 1..60),
        step in 1_i64..30,
        pause in 0_i64..200,
        batch in 1_usize..9,
    ) {
        let mut changes = machine(&requests).changes;
        // Other times made those events of budgets.
        changes.retain(|change| !matches!(change.event, Event::Budget { event: BudgetEvent::Told(_), .. }));
        for (place, change) in (0..).zip(&mut changes) {
            change.revision = Revision(place + 1);
            change.at = time(0) + SignedDuration::from_hours(step * i64::try_from(place).unwrap());
        }
        let mut state = State::default();
        for batch in changes.chunks(batch) {
            state.advance(batch.to_vec());
        }
        let now = state.at().max(time(0)) + SignedDuration::from_hours(pause);
        let versions = versions(&changes, now);
        for account in state.ledger().budgets().values() {
            let from = i128::from(account.counts_from(now).as_microsecond());
            let counting = versions.iter().filter(|version| account.counts(&version.record));
            let costs = counting.map(|version| version.cost(from, i128::MAX));
            let expected = costs.fold((0, 0), |sum, cost| (sum.0 + cost.0, sum.1 + cost.1));
            let Ok((spent, _)) = state.spent_and_burn(account, now, &Unpaced);
            prop_assert_eq!((spent.low.0, spent.high.0), expected, "{:?} at {}", account, now);
        }
    }
}
