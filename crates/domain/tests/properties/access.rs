//! Any sequence of commands by anybody: nobody changes what is not theirs.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::cases;
use crate::commands::requests;
use crate::machine::Machine;
use domain::access::{Principal, Role, Scope, TokenId};
use domain::change::Event;
use domain::plugin::Plugin;
use domain::{LeaseState, State};

/// Somebody, and by a second way of saying it, what is theirs.
#[derive(Debug, Clone)]
struct Somebody {
    principal: Principal,
    owns: fn(&Plugin) -> bool,
}

fn somebody(name: &str, role: Role, scope: Value, owns: fn(&Plugin) -> bool) -> Somebody {
    let scope = Scope::read(scope, "").unwrap().map(Into::into);
    let token = Some(TokenId::named(name));
    Somebody { principal: Principal { name: name.into(), role, scope, token }, owns }
}

fn everybody() -> Vec<Somebody> {
    vec![
        somebody("all", Role::Reporter, json!({}), |_| true),
        somebody("host", Role::Reporter, json!({"hosts": ["x"]}), |plugin| plugin.host.as_deref() == Some("x")),
        somebody("category", Role::Reporter, json!({"categories": ["a"]}), |plugin| plugin.category.as_str() == "a"),
        somebody("label", Role::Reporter, json!({"labels": {"a": ["1", "3"]}}), |plugin| {
            plugin.labels.get("a") == Some("1")
        }),
        somebody("nothing", Role::Reporter, json!({"hosts": ["nowhere"]}), |_| false),
        somebody("viewer", Role::Viewer, json!({}), |_| false),
        somebody("agent", Role::Agent, json!({"hosts": ["x"]}), |plugin| plugin.host.as_deref() == Some("x")),
        somebody("admin", Role::Admin, json!({}), |_| true),
    ]
}

/// Whether a plugin carries a lease that was granted to somebody.
fn carries(state: &State, plugin: &Plugin, name: &str) -> bool {
    let lease = plugin.lease_id.as_deref().and_then(|id| state.lease(id));
    lease.is_some_and(|lease| lease.principal.as_deref() == Some(name) && lease.state != LeaseState::Released)
}

/// What is wrong about an event that somebody has caused.
fn complaint(somebody: &Somebody, before: &State, after: &State, event: &Event) -> Option<String> {
    let (name, role) = (&*somebody.principal.name, somebody.principal.role);
    if role == Role::Admin {
        return None;
    }
    let id = event.subject();
    let stood = before.plugin(&id).map(|record| &*record.plugin);
    let stands = after.plugin(&id).map(|record| &*record.plugin);
    let is_right = match (role, event) {
        (Role::Reporter, Event::PluginPut { .. } | Event::PluginRemoved { .. }) => {
            let lease = |state: &State, plugin: &Plugin| carries(state, plugin, name);
            match (stood, stands) {
                (None, Some(new)) => (somebody.owns)(new),
                (Some(old), None) => (somebody.owns)(old) || lease(before, old),
                (Some(old), Some(new)) if (somebody.owns)(old) => (somebody.owns)(new),
                (Some(old), Some(new)) => {
                    let stays = old.host == new.host && old.labels == new.labels;
                    lease(before, old) && stays && lease(after, new)
                }
                (None, None) => false,
            }
        }
        (Role::Reporter, Event::Lease { .. }) => match before.lease(&id) {
            Some(lease) => lease.principal.as_deref() == Some(name),
            None => after.lease(&id).is_some_and(|lease| lease.principal.as_deref() == Some(name)),
        },
        (Role::Agent, Event::ResourcesObserved { .. }) => stood.is_some_and(somebody.owns),
        _ => false,
    };
    (!is_right).then(|| format!("{name} has done {event:?} to {stood:?}"))
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn nobody_changes_what_is_not_theirs(
        requests in prop::collection::vec((requests(), prop::option::of(select(everybody()))), 1..60),
    ) {
        let mut machine = Machine::new();
        for (mut request, somebody) in requests {
            request.principal = somebody.as_ref().map(|somebody| somebody.principal.clone());
            let before = machine.state.clone();
            let changed = machine.submit(&request);
            if changed != Ok(true) {
                prop_assert_eq!(&machine.state, &before, "a refusal leaves no trace");
                continue;
            }
            let change = machine.changes.last().unwrap();
            let name = somebody.as_ref().map(|somebody| &somebody.principal.name);
            prop_assert_eq!(change.principal.as_ref(), name);
            let wrong = somebody.and_then(|somebody| complaint(&somebody, &before, &machine.state, &change.event));
            prop_assert_eq!(wrong, None);
        }
    }

    /// Authority takes away and never adds: whatever somebody may do, an admin's same request does, too, and in the same way.
    #[test]
    fn whoever_may_does_what_an_admin_would(
        history in prop::collection::vec(requests(), 0..20),
        request in requests(),
        somebody in select(everybody()),
    ) {
        let mut machine = Machine::new();
        for request in &history {
            drop(machine.submit(request));
        }
        let mut by_admin = request.clone();
        by_admin.principal = Some(Principal::unrestricted());
        let mut by_somebody = request;
        by_somebody.principal = Some(somebody.principal);
        if let Ok(decision) = machine.decide(&by_somebody) {
            prop_assert_eq!(machine.decide(&by_admin), Ok(decision));
        }
    }
}
