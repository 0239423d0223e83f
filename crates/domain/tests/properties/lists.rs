//! Lists: an index returns the same as a full scan, and all pages together are the whole list.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::cases;
use crate::commands::{registrations, requests};
use crate::machine::Machine;
use domain::State;
use domain::command::Command;
use domain::host::HostNames;
use domain::plugin::{ExecutionMode, Name, Provider};
use domain::query::resource_row::Certainty;
use domain::query::resource_sort::{ResourceSort, ResourceSortField};
use domain::query::sort::SortField;
use domain::query::{Filter, ListQuery, Resource, ResourceQuery, Sort};
use domain::record::{ResourceKind, ResourceRef};

fn states() -> impl Strategy<Value = State> {
    (prop::collection::vec(registrations(), 0..12), prop::collection::vec(requests(), 0..20)).prop_map(
        |(registrations, requests)| {
            let mut machine = Machine::new();
            for registration in registrations {
                drop(machine.submit(&domain::command::Request::plain(Command::Register(registration))));
            }
            for request in &requests {
                drop(machine.submit(request));
            }
            machine.state
        },
    )
}

fn texts(values: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    // Values may be repeated, as a client may repeat them.
    prop::collection::vec(select(values.to_vec()), 0..4)
        .prop_map(|values| values.into_iter().map(str::to_owned).collect())
}

fn filters() -> impl Strategy<Value = Filter> {
    prop_oneof![
        any::<bool>().prop_map(Filter::Active),
        any::<bool>().prop_map(Filter::Billable),
        any::<bool>().prop_map(Filter::Configured),
        any::<bool>().prop_map(Filter::Local),
        texts(&["a", "a_b", "z", "q"])
            .prop_map(|names| Filter::Category(names.iter().map(|name| Name::new(name).unwrap()).collect())),
        texts(&["c", "b_c", "ü", "?"]).prop_map(Filter::Name),
        subsequence(ExecutionMode::ALL.to_vec(), 0..6).prop_map(Filter::ExecutionMode),
        subsequence(Provider::ALL.to_vec(), 0..5).prop_map(Filter::Provider),
        texts(&["running", "stopped", "provisioning", ""]).prop_map(Filter::Status),
        texts(&["A100", "V100"]).prop_map(Filter::GpuType),
        texts(&["", "X", "x ", "Ä y", "?"]).prop_map(Filter::Host),
        texts(&["", "x", "Ä y", "?"]).prop_map(Filter::Lease),
        texts(&["", "1", "2"]).prop_map(|values| Filter::Label { key: "a".into(), values }),
        prop::collection::vec(1_u32..4, 0..3).prop_map(Filter::Pid),
        texts(&["", "x", "/c1", "podman://c2"]).prop_map(Filter::Container),
        texts(&["", "t", "ÜB", "a_b", "zzz"]).prop_map(Filter::Text),
        (1_799_999_999_i64..1_800_000_020)
            .prop_map(|second| Filter::UpdatedSince(jiff::Timestamp::from_second(second).unwrap())),
    ]
}

fn sorts() -> impl Strategy<Value = Sort> {
    (select(SortField::ALL.to_vec()), any::<bool>()).prop_map(|(field, descending)| Sort { field, descending })
}

/// The list by definition: filter all, sort all.
fn naive(state: &State, filters: &[Filter], sort: Sort) -> Vec<String> {
    let mut found: Vec<_> =
        state.plugins().values().filter(|record| filters.iter().all(|filter| filter.accepts(record))).collect();
    found.sort_by(|a, b| sort.compare(&sort.position(a), &sort.position(b)));
    found.into_iter().map(|record| record.unique_id.to_string()).collect()
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn an_index_answers_what_a_full_scan_does(
        state in states(),
        filters in prop::collection::vec(filters(), 0..4),
        sort in sorts(),
        limit in prop::option::of(1_usize..6),
    ) {
        let expected = naive(&state, &filters, sort);
        let mut query = ListQuery { filters, sort, limit, after: None };
        let mut listed = Vec::new();
        loop {
            let page = query.plan(&state).run();
            prop_assert_eq!(page.total, expected.len());
            prop_assert!(page.items.len() <= limit.unwrap_or(usize::MAX));
            prop_assert!(page.next.is_none() || page.items.len() == limit.unwrap_or(0), "a short page is the last");
            listed.extend(page.items.iter().map(|record| record.unique_id.to_string()));
            prop_assert!(listed.len() <= expected.len(), "pages without end");
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(listed, expected);
    }

    #[test]
    fn a_page_goes_on_where_the_one_before_ended_whatever_was_written_in_between(
        state in states(),
        later in prop::collection::vec(requests(), 0..20),
        sort in sorts(),
        limit in 1_usize..4,
    ) {
        let mut query = ListQuery { sort, limit: Some(limit), ..ListQuery::default() };
        let first = query.plan(&state).run();
        let mut machine = Machine::new();
        machine.state = state.clone();
        for request in &later {
            drop(machine.submit(request));
        }
        let Some(next) = first.next else { return Ok(()) };
        query.after = Some(next.clone());
        query.limit = None;
        let rest: Vec<_> = query.plan(&machine.state).run().items;
        for record in &rest {
            prop_assert_eq!(sort.compare(&sort.position(record), &next), std::cmp::Ordering::Greater);
        }
        // A plugin that did not change is on exactly one of both pages.
        for (id, record) in state.plugins() {
            if machine.state.plugin(id.as_str()).is_some_and(|now| now.revision == record.revision) {
                let times = first.items.iter().chain(&rest).filter(|listed| listed.unique_id == *id).count();
                prop_assert_eq!(times, 1, "{}", id);
            }
        }
    }

    #[test]
    fn rows_of_resources_are_those_of_every_plugin(
        state in states(),
        kind in prop::option::of(select(ResourceKind::ALL.to_vec())),
        host in prop::option::of(select(vec!["x", "Ä y", ""])),
        pid in prop::option::of(1_u32..4),
        container in prop::option::of(select(vec!["x", "c1"])),
        instance in prop::option::of(select(vec!["i-1", "i-2"])),
        limit in 1_usize..6,
    ) {
        let everything = ResourceQuery { limit: usize::MAX, ..ResourceQuery::default() }.run(&state);
        prop_assert!(everything.next.is_none());
        let count: usize = state.plugins().values().map(|record| {
            let plugin = &record.plugin;
            let named = plugin.spawned_pids.len() + usize::from(plugin.container().is_some()) + usize::from(plugin.remote_resource.is_some());
            named + record.holdings.left().count()
        }).sum();
        prop_assert_eq!(everything.items.len(), count);
        let mut query = ResourceQuery {
            kind,
            host: host.map(|host| HostNames::of([host])),
            pid,
            container_id: container.map(str::to_owned),
            instance_id: instance.map(str::to_owned),
            limit,
            ..ResourceQuery::default()
        };
        let is_look_up = query.is_look_up();
        let is_same_host = |one: &str, other: &str| one.trim().to_lowercase() == other.trim().to_lowercase();
        let may_be_there = |row: &Resource| is_look_up && row.host.is_none() && row.kind != ResourceKind::Remote;
        let instance_of = |row: &Resource| {
            let record = state.plugin(row.plugin.as_str()).unwrap();
            let held = record.held().find(|held| held.slot == row.key().slot()).unwrap();
            match held.resource {
                ResourceRef::Remote(remote) => remote.instance_id.clone(),
                ResourceRef::Process(_) | ResourceRef::Container(_) => None,
            }
        };
        let expected: Vec<_> = everything.items.into_iter().filter(|row| {
            let is = |wanted: ResourceKind, id: Option<String>| id.is_none_or(|id| row.kind == wanted && row.id == Some(id));
            kind.is_none_or(|kind| row.kind == kind)
                && host.is_none_or(|host| row.host.as_deref().is_some_and(|of| is_same_host(of, host)) || may_be_there(row))
                && is(ResourceKind::Process, pid.map(|pid| pid.to_string()))
                && is(ResourceKind::Container, container.map(str::to_owned))
                && instance.is_none_or(|instance| instance_of(row).as_deref() == Some(instance))
        }).map(|row| match row.certainty {
            Certainty::Claimed | Certainty::Seen if host.is_some() && row.host.is_none() => Resource { certainty: Certainty::Doubtful, ..row },
            _ => row,
        }).collect();
        let mut rows = Vec::new();
        loop {
            let page = query.run(&state);
            rows.extend(page.items);
            prop_assert!(rows.len() <= expected.len());
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(rows, expected);
    }
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn every_order_of_resources_has_the_same_rows_and_sums(
        state in states(),
        field in select(ResourceSortField::ALL.to_vec()),
        descending in any::<bool>(),
        category in prop::option::of(select(vec!["a", "a_b"])),
        provider in prop::option::of(select(Provider::ALL.to_vec())),
        limit in 1_usize..6,
    ) {
        let sort = ResourceSort { field, descending };
        let filters = category.map(|name| Filter::Category(vec![Name::new(name).unwrap()]));
        let mut query = ResourceQuery {
            sort, limit, filters: filters.into_iter().collect(), provider: provider.map(|one| vec![one]),
            at: jiff::Timestamp::from_second(1_900_000_000).unwrap(),
            ..ResourceQuery::default()
        };
        let every = ResourceQuery { limit: usize::MAX, ..ResourceQuery::default() }.run(&state).items;
        let is_wanted = |row: &Resource| {
            let of = state.plugin(row.plugin.as_str()).unwrap().plugin.category.clone();
            category.is_none_or(|wanted| of.as_str() == wanted) && provider.is_none_or(|wanted| row.provider == Some(wanted))
        };
        let expected: Vec<Resource> = every.into_iter().filter(is_wanted).collect();
        let sum: domain::MicroUsd = expected.iter().filter_map(|row| row.usd_per_hour).sum();
        let mut rows: Vec<Resource> = Vec::new();
        loop {
            let page = query.run(&state);
            prop_assert_eq!((page.total, page.hourly), (expected.len(), sum));
            rows.extend(page.items);
            prop_assert!(rows.len() <= expected.len(), "pages without end");
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(rows.len(), expected.len());
        prop_assert!(expected.iter().all(|row| rows.contains(row)));
        if field == ResourceSortField::UsdPerHour {
            let prices: Vec<_> = rows.iter().map(|row| row.usd_per_hour.unwrap_or_default()).collect();
            let in_order = if descending { prices.is_sorted_by(|a, b| a >= b) } else { prices.is_sorted() };
            prop_assert!(in_order, "{:?}", prices);
        }
        if field == ResourceSortField::Plugin && descending {
            prop_assert_eq!(rows, expected.into_iter().rev().collect::<Vec<_>>());
        }
    }
}

/// A search reads the texts of a record for each part, however few records there are.
#[test]
fn a_search_for_many_parts_in_long_texts_cost_as_little_as_for_one_in_short_ones() {
    let cost = |description: &str, parts: usize| {
        let mut machine = Machine::new();
        let document = serde_json::json!({
            "name": "n", "category": "c", "title": "T", "config_schema": {}, "description": description,
        });
        machine.done(Command::Register(Box::new(domain::plugin::Registration::read(document).unwrap())));
        let filters = vec![Filter::Text(vec!["x".into(); parts])];
        let search = ListQuery { filters, ..ListQuery::default() };
        (search.plan(&machine.state).cost(), ListQuery::default().plan(&machine.state).cost())
    };
    assert_eq!(cost("short", 16), (1, 1));
    let long = "long ".repeat(100_000);
    let ((one, list), (many, _)) = (cost(&long, 1), cost(&long, 16));
    assert!(one > 800 && many > 8 * one && list == 1, "{one} {many} {list}");
}
