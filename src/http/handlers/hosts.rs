//! `/hosts`: which hosts are looked at, and what is held there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::Uri;
use hyper::header::LINK;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::snapshot::Now;
use crate::http::extract::work_caller::RequestWorkCaller;
use crate::http::problem::Problem;
use crate::http::query::cursor::Cursor;
use crate::http::query::list_params::{DEFAULT_LIMIT, HOST_LIST, digest, limit_of, names};
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::{LONG_SCAN, Shared};
use crate::liveness::visibility::Point;
use crate::registry::heartbeats::HeardAgent;
use domain::host;
use domain::index::IndexKey;
use domain::query::Unpaced;
use domain::query::hosts::{HeldByHost, HeldOn, held_by_host};
use domain::record::FindingKind;
use domain::{MicroUsd, Revision, wire_names};

wire_names! {
    /// What looks at a host.
    HostProbe {
        /// The registry itself: the host is its own.
        Registry = "registry",
        /// An agent.
        Agent = "agent",
    }
}

/// A page of hosts.
#[derive(Serialize, ToSchema)]
pub(crate) struct HostPage {
    /// The hosts: first those with processes or containers that nothing looks at, then the others; each part by name.
    items: Vec<HostRow>,
    /// The number of hosts on all pages.
    total: usize,
    /// The value for the parameter `cursor` on the next page; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The revision that the rows were made from.
    #[schema(value_type = u64)]
    revision: Revision,
}

/// A host.
#[derive(Serialize, ToSchema)]
#[schema(as = Host)]
pub(crate) struct HostRow {
    /// The name in normal form: without case and surrounding white space. Null for plugins that name no host.
    #[schema(required)]
    host: Option<String>,
    /// Whether it is the registry's own host.
    is_own: bool,
    /// All names of the registry's own host; otherwise the name alone.
    names: Vec<String>,
    /// Whether something looks at it now. An agent counts for a minute after its last report.
    looked_at: bool,
    /// What looks at it, or last did; null if nothing has, as far as this process knows.
    #[schema(required)]
    probe: Option<HostProbe>,
    /// The name of the agent; null without one.
    #[schema(required)]
    agent: Option<String>,
    /// When the agent last reported, or the registry last looked; null if that is not known.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    heard_at: Option<Timestamp>,
    /// What the probe can see there, and how the operator can extend it; empty if that is not known.
    sight: Vec<Point>,
    /// How many plugins name the host.
    plugins: usize,
    /// How many processes are held there, with those that were left behind.
    processes: usize,
    /// How many containers are held there, with those that were left behind.
    containers: usize,
    /// How many remote resources the plugins hold that name the host.
    remotes: usize,
    /// How many findings no client has acknowledged.
    findings: usize,
    /// The same by kind; every kind.
    #[schema(value_type = BTreeMap<String, usize>)]
    findings_by_kind: BTreeMap<&'static str, usize>,
    /// The current cost of an hour of the remote resources of the plugins that name the host, in USD.
    #[schema(value_type = f64)]
    usd_per_hour: MicroUsd,
}

/// What is known of the probes of one host.
#[derive(Debug, Default)]
struct Looked {
    probe: Option<HostProbe>,
    agent: Option<String>,
    heard_at: Option<Timestamp>,
    is_now: bool,
    sight: Vec<Point>,
}

/// List the hosts.
///
/// A host is listed if a plugin names it, if something is held there, or if an agent or the registry looks at it. A host
/// with processes or containers that nothing looks at comes first: run `plugin-registry agent` there. Remote resources
/// are on no host; they count for the host that their plugin names, as in `GET /costs?group_by=host`.
#[utoipa::path(get, path = "/hosts", tag = "resources", responses(
    (status = OK, description = "The hosts", body = HostPage),
    (status = GONE, description = "The cursor belongs to another store"),
))]
pub(crate) async fn list_hosts(
    State(api): State<Shared>,
    RequestWorkCaller(caller): RequestWorkCaller,
    now: Now,
    uri: Uri,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&names(HOST_LIST))?;
    let list = digest(&params);
    let looked_at = params.flag("looked_at")?;
    let limit = params.single("limit")?.map(limit_of).transpose()?.unwrap_or(DEFAULT_LIMIT);
    let after: Option<HostOrder> =
        params.single("cursor")?.map(|cursor| Cursor::read(cursor, &now.store, &list)).transpose()?;
    let snapshot = Arc::clone(&now);
    let is_long = snapshot.state.having(&IndexKey::Holding).is_some_and(|held| held.size() > LONG_SCAN);
    let held = if is_long {
        api.registry.scans().run(caller, move |turn| held_by_host(&snapshot.state, turn)).await?
    } else {
        unpaced(&snapshot.state)
    };
    let mut rows: Vec<HostRow> = rows(&api, held).into_iter().filter(|row| fits(row, looked_at)).collect();
    rows.sort_by_cached_key(HostRow::order);
    let total = rows.len();
    let follows = |row: &HostRow| after.as_ref().is_none_or(|after| row.order() > *after);
    let mut items: Vec<HostRow> = rows.into_iter().filter(follows).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| Cursor::write(&now.store, &list, last.order()));
    let link = next_cursor.as_ref().and_then(|next| json::next_page(uri.query(), next));
    let mut response = json::json(&HostPage { items, total, next_cursor, revision: now.state.revision() });
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(response)
}

/// A position in the list: whether the host needs no attention, and its name.
type HostOrder = (bool, Option<String>);

fn unpaced(state: &domain::State) -> HeldByHost {
    let Ok(held) = held_by_host(state, &Unpaced);
    held
}

fn fits(row: &HostRow, looked_at: Option<bool>) -> bool {
    looked_at.is_none_or(|wanted| wanted == row.looked_at)
}

/// The rows of all hosts, in no particular order.
fn rows(api: &Shared, held: HeldByHost) -> Vec<HostRow> {
    let own = api.registry.own_host();
    // The name that people know the own host by: not one that every host has.
    let own_name = own.iter().find(|name| *name != host::LOCALHOST).or_else(|| own.iter().next()).map(Box::<str>::from);
    let place = |name: Option<Box<str>>| match &own_name {
        Some(own_name) if name.as_deref().is_some_and(|name| own.contains(name)) => Some(own_name.clone()),
        _ => name,
    };
    let mut hosts: BTreeMap<Option<Box<str>>, (HeldOn, Looked)> = BTreeMap::new();
    for (name, on) in held {
        hosts.entry(place(name)).or_default().0.add(on);
    }
    for agent in api.registry.heartbeats().agents() {
        // Sweeps over remote resources, which the registry reports for no host, look at no host.
        if !(agent.host.is_none() && *agent.by == *OWN_PROBE) {
            hosts.entry(place(agent.host.clone())).or_default().1.hear(&agent);
        }
    }
    look_here(api, own_name, &mut hosts);
    let row = |(name, (on, looked)): (Option<Box<str>>, (HeldOn, Looked))| {
        let is_own = name.as_deref().is_some_and(|name| own.contains(name));
        let names = if is_own {
            own.iter().map(str::to_owned).collect()
        } else {
            Vec::from_iter(name.as_deref().map(str::to_owned))
        };
        HostRow::new(name.map(String::from), is_own, names, &on, looked)
    };
    hosts.into_iter().map(row).collect()
}

/// The name under which the registry reports what it sees of remote resources.
const OWN_PROBE: &str = "registry";

/// Adds what the registry itself looks at.
fn look_here(api: &Shared, own_name: Option<Box<str>>, hosts: &mut BTreeMap<Option<Box<str>>, (HeldOn, Looked)>) {
    let sight = api.sight.points();
    if sight.is_empty() {
        return;
    }
    let sweep = api.sight.passes().own_sweep();
    let looked = || Looked {
        probe: Some(HostProbe::Registry),
        agent: None,
        heard_at: sweep.map(|sweep| sweep.at),
        is_now: true,
        sight: sight.to_vec(),
    };
    if own_name.is_some() {
        hosts.entry(own_name).or_default().1 = looked();
    }
    if sweep.is_some_and(|sweep| sweep.unnamed)
        && let Some((_, unnamed)) = hosts.get_mut(&None)
    {
        *unnamed = looked();
    }
}

impl Looked {
    /// Takes the newest report of an agent.
    fn hear(&mut self, agent: &HeardAgent) {
        if self.heard_at.is_none_or(|known| known < agent.at) {
            self.probe = Some(HostProbe::Agent);
            self.agent = Some(agent.by.to_string());
            self.heard_at = Some(agent.at);
            self.is_now = agent.is_fresh;
        }
    }
}

impl HostRow {
    fn new(host: Option<String>, is_own: bool, names: Vec<String>, on: &HeldOn, looked: Looked) -> HostRow {
        let by_kind = |kind: &FindingKind| (kind.as_str(), on.findings.get(kind).copied().unwrap_or_default());
        HostRow {
            host,
            is_own,
            names,
            looked_at: looked.is_now,
            probe: looked.probe,
            agent: looked.agent,
            heard_at: looked.heard_at,
            sight: looked.sight,
            plugins: on.plugins,
            processes: on.processes,
            containers: on.containers,
            remotes: on.remotes,
            findings: on.findings.values().sum(),
            findings_by_kind: FindingKind::ALL.iter().map(by_kind).collect(),
            usd_per_hour: on.burn,
        }
    }

    fn order(&self) -> HostOrder {
        (self.looked_at || self.processes + self.containers == 0, self.host.clone())
    }
}
