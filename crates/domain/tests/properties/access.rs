//! Any sequence of commands by any principal: no principal changes what belongs to another.

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

/// A principal, and a second definition of what it may change.
#[derive(Debug, Clone)]
struct Actor {
    principal: Principal,
    owns: fn(&Plugin) -> bool,
}

fn actor(name: &str, role: Role, scope: Value, owns: fn(&Plugin) -> bool) -> Actor {
    let scope = Scope::read(scope, "").unwrap().map(Into::into);
    let token = Some(TokenId::named(name));
    Actor { principal: Principal { name: name.into(), role, scope, token }, owns }
}

/// The host of a plugin, as scopes compare it.
fn host(plugin: &Plugin) -> Option<String> {
    plugin.host.as_ref().map(|host| host.trim().to_lowercase())
}

/// A principal whose token got the name of another one after its revocation.
fn successor(of: &str, scope: Value, owns: fn(&Plugin) -> bool) -> Actor {
    let mut actor = actor(of, Role::Reporter, scope, owns);
    actor.principal.token = Some(TokenId::named("another"));
    actor
}

fn actors() -> Vec<Actor> {
    vec![
        actor("all", Role::Reporter, json!({}), |_| true),
        actor("host", Role::Reporter, json!({"hosts": ["x"]}), |plugin| host(plugin).as_deref() == Some("x")),
        actor("category", Role::Reporter, json!({"categories": ["a"]}), |plugin| plugin.category.as_str() == "a"),
        actor("label", Role::Reporter, json!({"labels": {"a": ["1", "3"]}}), |plugin| {
            plugin.labels.get("a") == Some("1")
        }),
        actor("nothing", Role::Reporter, json!({"hosts": ["nowhere"]}), |_| false),
        successor("host", json!({"hosts": ["nowhere"]}), |_| false),
        actor("viewer", Role::Viewer, json!({}), |_| false),
        actor("agent", Role::Agent, json!({"hosts": ["x"]}), |plugin| host(plugin).as_deref() == Some("x")),
        actor("admin", Role::Admin, json!({}), |_| true),
    ]
}

/// Whether a plugin carries a lease that was granted to the principal.
fn carries(state: &State, plugin: &Plugin, principal: &Principal) -> bool {
    let lease = plugin.lease_id.as_deref().and_then(|id| state.lease(id));
    lease.is_some_and(|lease| lease.token == principal.token && lease.state != LeaseState::Released)
}

/// The violation in an event that a principal caused, if any.
fn complaint(actor: &Actor, before: &State, after: &State, event: &Event) -> Option<String> {
    let (name, role) = (&*actor.principal.name, actor.principal.role);
    if role == Role::Admin {
        return None;
    }
    let id = event.subject();
    let stood = before.plugin(&id).map(|record| &*record.plugin);
    let stands = after.plugin(&id).map(|record| &*record.plugin);
    let is_right = match (role, event) {
        (Role::Reporter, Event::PluginPut { .. } | Event::Holdings { .. } | Event::PluginRemoved { .. }) => {
            let lease = |state: &State, plugin: &Plugin| carries(state, plugin, &actor.principal);
            match (stood, stands) {
                (None, Some(new)) => (actor.owns)(new),
                (Some(old), None) => (actor.owns)(old) || lease(before, old),
                (Some(old), Some(new)) if (actor.owns)(old) => (actor.owns)(new),
                (Some(old), Some(new)) => {
                    let stays = host(old) == host(new) && old.labels == new.labels;
                    lease(before, old) && stays && lease(after, new)
                }
                (None, None) => false,
            }
        }
        (Role::Reporter, Event::Lease { .. }) => match before.lease(&id) {
            Some(lease) => lease.token == actor.principal.token,
            None => after.lease(&id).is_some_and(|lease| lease.token == actor.principal.token),
        },
        (Role::Agent, Event::ResourcesObserved { .. }) => stood.is_some_and(actor.owns),
        _ => false,
    };
    (!is_right).then(|| format!("{name} has done {event:?} to {stood:?}"))
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn nobody_changes_what_is_not_theirs(
        requests in prop::collection::vec((requests(), prop::option::of(select(actors()))), 1..60),
    ) {
        let mut machine = Machine::new();
        for (mut request, actor) in requests {
            request.principal = actor.as_ref().map(|actor| actor.principal.clone());
            let before = machine.state.clone();
            let changed = machine.submit(&request);
            if changed != Ok(true) {
                prop_assert_eq!(&machine.state, &before, "a refusal leaves no trace");
                continue;
            }
            let name = actor.as_ref().map(|actor| &actor.principal.name);
            for change in machine.changes.iter().filter(|change| change.revision > before.revision()) {
                prop_assert_eq!(change.principal.as_ref(), name);
                let wrong = actor.as_ref().and_then(|actor| complaint(actor, &before, &machine.state, &change.event));
                prop_assert_eq!(wrong, None);
            }
        }
    }

    /// Authority only restricts: for every request that a principal may do, an admin gets the same result.
    #[test]
    fn whoever_may_does_what_an_admin_would(
        history in prop::collection::vec(requests(), 0..20),
        request in requests(),
        actor in select(actors()),
    ) {
        let mut machine = Machine::new();
        for request in &history {
            drop(machine.submit(request));
        }
        let mut by_admin = request.clone();
        // A lease belongs to the token it was granted to, so the admin has the same.
        by_admin.principal = Some(Principal { token: actor.principal.token.clone(), ..Principal::unrestricted() });
        let mut by_actor = request;
        by_actor.principal = Some(actor.principal);
        if let Ok(decision) = machine.decide(&by_actor) {
            prop_assert_eq!(machine.decide(&by_admin), Ok(decision));
        }
    }
}
