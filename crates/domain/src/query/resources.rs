//! Which resources a query asks for. [`super::resource_pages`] lists them.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::filter::Filter;
use super::resource_row::Certainty;
pub use super::resource_row::Resource;
use super::resource_sort::{Candidate, ResourceSort, RowPosition};
use crate::host::HostNames;
use crate::index::{IndexKey, Records};
use crate::plugin::{Pid, Provider, RemoteResource, UniqueId, container_id};
use crate::record::resource::is_short_id;
use crate::record::{
    ClaimState, Facts, FindingKind, Holding, ObservedState, Record, ResourceKind, ResourceRef, finding_rules,
};
use crate::state::State;

/// A query for resources. A condition that is `None` accepts everything.
#[derive(Debug, Clone, Default)]
pub struct ResourceQuery {
    /// Of this kind.
    pub kind: Option<ResourceKind>,
    /// On the host of these names.
    pub host: Option<HostNames>,
    /// This process.
    pub pid: Option<Pid>,
    /// This container.
    pub container_id: Option<String>,
    /// This instance.
    pub instance_id: Option<String>,
    /// With this endpoint URL, this SSH host, or this `host:port`.
    pub endpoint: Option<String>,
    /// With one of these findings.
    pub finding: Option<Vec<FindingKind>>,
    /// Whether it was seen alive.
    pub verified: Option<bool>,
    /// Of this plugin.
    pub plugin: Option<UniqueId>,
    /// Claimed under this lease.
    pub lease_id: Option<String>,
    /// Claimed, or left behind.
    pub claim: Option<ClaimState>,
    /// Whether a provider may charge for it.
    pub billable: Option<bool>,
    /// Whether its finding is acknowledged.
    pub acknowledged: Option<bool>,
    /// Rented from one of these providers.
    pub provider: Option<Vec<Provider>>,
    /// Of a plugin that meets these filters.
    pub filters: Vec<Filter>,
    /// The order.
    pub sort: ResourceSort,
    /// Up to when spent amounts count, if the rows are sorted by them.
    pub at: Timestamp,
    /// The maximum number of rows.
    pub limit: usize,
    /// The position after which the rows start.
    pub after: Option<RowPosition>,
}

impl ResourceQuery {
    /// The rows of one plugin that match, without the state of its lease.
    pub fn rows(&self, record: &Arc<Record>) -> Vec<Resource> {
        let state = State::default();
        self.matches(record).map(|found| Resource::of(&found.held, record, &state, found.certainty)).collect()
    }

    /// Whether the query asks for the owner of one resource. Then uncertain candidates are listed too.
    pub fn is_look_up(&self) -> bool {
        self.pid.is_some() || self.container_id.is_some() || self.instance_id.is_some() || self.endpoint.is_some()
    }

    pub(super) fn candidates<'a>(&self, state: &'a State) -> Cow<'a, Records> {
        let having = |key| state.having(&key).map_or_else(|| Cow::Owned(Records::default()), Cow::Borrowed);
        // The indexes of names have what documents name; what was left behind is in an index of its own.
        let with_left = |named: Cow<'a, Records>| both(named, having(IndexKey::LeftBehind));
        if let Some(pid) = self.pid {
            return with_left(having(IndexKey::Pid(pid)));
        }
        if let Some(container) = &self.container_id {
            return with_left(state.indexes().containers(container));
        }
        if let Some(instance) = &self.instance_id {
            return with_left(having(IndexKey::Instance(instance.as_str().into())));
        }
        if let Some(endpoint) = &self.endpoint {
            let host = endpoint.rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host);
            let exact = having(IndexKey::Endpoint(endpoint.as_str().into()));
            return with_left(both(exact, having(IndexKey::Endpoint(host.into()))));
        }
        if let Some(plugin) = &self.plugin {
            let record = state.plugin(plugin.as_str());
            return Cow::Owned(
                record.map(|record| (record.unique_id.clone(), Arc::clone(record))).into_iter().collect(),
            );
        }
        if let Some([finding]) = self.finding.as_deref() {
            return having(IndexKey::Finding(*finding));
        }
        if self.verified == Some(true) {
            return having(IndexKey::Verified);
        }
        if self.claim == Some(ClaimState::LeftBehind) {
            return having(IndexKey::LeftBehind);
        }
        if let Some(lease) = &self.lease_id {
            return having(IndexKey::Claim(lease.as_str().into()));
        }
        if let Some(names) = &self.host {
            let keys = names.iter().flat_map(|name| [IndexKey::host(name), IndexKey::left_on(name)]);
            return keys.map(having).reduce(both).unwrap_or_else(|| Cow::Owned(Records::default()));
        }
        if let Some(providers) = &self.provider {
            let named = providers.iter().map(|provider| having(IndexKey::Provider(*provider))).reduce(both);
            return named.map_or_else(|| Cow::Owned(Records::default()), with_left);
        }
        if self.billable == Some(true) {
            return having(IndexKey::Billable);
        }
        if let Some(Filter::Category(names)) = self.filters.first() {
            let of_these = names.iter().map(|name| having(IndexKey::Category(name.clone()))).reduce(both);
            return of_these.unwrap_or_else(|| Cow::Owned(Records::default()));
        }
        having(IndexKey::Holding)
    }

    /// Whether every held resource matches.
    pub(super) fn is_of_all(&self) -> bool {
        let names = self.is_look_up() || self.plugin.is_some() || self.host.is_some();
        let kinds = self.kind.is_some() || self.claim.is_some() || self.provider.is_some() || self.lease_id.is_some();
        let states = self.finding.is_some() || self.verified.is_some() || self.billable.is_some();
        !names && !kinds && !states && self.acknowledged.is_none() && self.filters.is_empty()
    }

    /// The resources of one plugin that match.
    pub(super) fn matches<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = Candidate<'a>> {
        let accepted = self.filters.iter().all(|filter| filter.accepts(record));
        let held = accepted.then(|| record.held().enumerate()).into_iter().flatten();
        held.filter_map(|(row, held)| {
            let certainty = self.certainty(&held, record)?;
            Some(Candidate { held, record, row, certainty })
        })
    }

    /// How certain it is that a resource matches; `None` if it does not match.
    fn certainty(&self, held: &Holding<'_>, record: &Record) -> Option<Certainty> {
        let seen = held.observation().map(|seen| seen.state);
        let is_alive = seen == Some(ObservedState::Alive);
        let shown = finding_rules::shown(held);
        let fulfils = self.kind.is_none_or(|kind| kind == held.slot.kind)
            && self.verified.is_none_or(|wanted| wanted == is_alive)
            && self.claim.is_none_or(|wanted| wanted == held.claim_state())
            && self.billable.is_none_or(|wanted| wanted == held.is_billable())
            && self
                .acknowledged
                .is_none_or(|wanted| wanted == (shown.is_some() && finding_rules::open(held).is_none()))
            && self.provider.as_ref().is_none_or(|wanted| rented_from(held).is_some_and(|one| wanted.contains(&one)))
            && self.finding.as_ref().is_none_or(|kinds| shown.is_some_and(|kind| kinds.contains(&kind)))
            && self.plugin.as_ref().is_none_or(|plugin| *plugin == record.unique_id)
            && self
                .lease_id
                .as_deref()
                .is_none_or(|wanted| held.claim.lease_id.as_ref().is_some_and(|lease| lease.as_str() == wanted));
        if !fulfils || !self.names(held) {
            return None;
        }
        let doubt = match (&self.host, held.host) {
            (Some(wanted), Some(host)) if wanted.contains(host) => false,
            (None, _) => false,
            // A plugin without a host may be on the requested one.
            (Some(_), None) if self.is_look_up() && held.slot.kind != ResourceKind::Remote => true,
            _ => return None,
        };
        Some(Certainty::of(held, doubt))
    }

    /// Returns true if and only if a resource has the requested names.
    fn names(&self, held: &Holding<'_>) -> bool {
        let is = |wanted: &Option<String>, id: Option<&str>| wanted.is_none() || wanted.as_deref() == id;
        let (pid, container, remote) = match held.resource {
            ResourceRef::Process(pid) => (Some(pid), None, None),
            ResourceRef::Container(id) => (None, Some(id), None),
            ResourceRef::Remote(remote) => (None, None, Some(remote)),
        };
        let is_container = |wanted: &String| {
            let seen = held.facts.and_then(Facts::container_id);
            let claimed = container.is_some_and(|id| is_same_container(wanted, id));
            claimed || (container.is_some() && seen.is_some_and(|id| is_same_container(wanted, &id)))
        };
        (self.pid.is_none() || self.pid == pid)
            && self.container_id.as_ref().is_none_or(is_container)
            && is(&self.instance_id, remote.and_then(|remote| remote.instance_id.as_deref()))
            && self.endpoint.as_ref().is_none_or(|wanted| remote.is_some_and(|remote| serves_at(remote, wanted)))
    }
}

/// The provider of a remote resource.
fn rented_from(held: &Holding<'_>) -> Option<Provider> {
    match held.resource {
        ResourceRef::Remote(remote) => Some(remote.provider),
        ResourceRef::Process(_) | ResourceRef::Container(_) => None,
    }
}

/// The records of two indexes.
fn both<'a>(one: Cow<'a, Records>, other: Cow<'a, Records>) -> Cow<'a, Records> {
    let (mut larger, smaller) = if one.size() < other.size() { (other, one) } else { (one, other) };
    for (id, record) in smaller.iter() {
        larger.to_mut().insert_mut(id.clone(), Arc::clone(record));
    }
    larger
}

/// Whether two ids name one container: one may be a prefix of the other, if it is long enough.
fn is_same_container(one: &str, other: &str) -> bool {
    let (one, other) = (&*container_id::normal(one), &*container_id::normal(other));
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short == long || (is_short_id(short) && long.starts_with(short))
}

fn serves_at(remote: &RemoteResource, wanted: &str) -> bool {
    let by_ssh = remote.ssh_host.as_deref().is_some_and(|host| {
        let port = wanted.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
        host == wanted || port == Some(remote.ssh_port.to_string().as_str())
    });
    by_ssh || remote.endpoint_url.as_deref() == Some(wanted)
}
