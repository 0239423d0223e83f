//! Indexes from properties to plugins: they make the cost of `?active=true` proportional to its result.
//!
//! An index maps to the records themselves, so that a list needs no second look-up. All maps share their structure with
//! the maps of the previous state (rpds), so that a snapshot is free.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::host;
use crate::plugin::{ExecutionMode, Name, Pid, Provider, UniqueId, container_id};
use crate::price_index::PriceIndex;
use crate::record::resource::is_short_id;
use crate::record::{Facts, FindingKind, Record, finding_rules};

/// Records by their unique_id, in its order (Unicode code points).
pub type Records = RedBlackTreeMapSync<UniqueId, Arc<Record>>;

/// A property of a plugin that has an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum IndexKey {
    /// Holds a process, a container or a running remote resource.
    Active,
    /// A provider may be charging for it.
    Billable,
    /// `is_configured`
    Configured,
    /// Holds anything, in any state.
    Holding,
    /// Is of this category.
    Category(Name),
    /// Has this execution mode.
    Mode(ExecutionMode),
    /// Rents from this provider.
    Provider(Provider),
    /// Is on this host, in normal form: see [`IndexKey::host`].
    Host(Box<str>),
    /// Left something behind on this host.
    LeftOn(Box<str>),
    /// Names this lease.
    Lease(Box<str>),
    /// Holds something that was claimed under this lease.
    Claim(Box<str>),
    /// Holds this process.
    Pid(Pid),
    /// Holds this container, in normal form: see [`IndexKey::container`].
    Container(Box<str>),
    /// Rents this instance.
    Instance(Box<str>),
    /// Has this endpoint URL, or this SSH host.
    Endpoint(Box<str>),
    /// Holds a container whose full id was observed to be this one.
    SeenContainer(Box<str>),
    /// Holds a resource with this finding.
    Finding(FindingKind),
    /// Holds a resource with this finding, which no client has acknowledged.
    OpenFinding(FindingKind),
    /// Holds something that it left behind.
    LeftBehind,
    /// Holds something until a stated time.
    Expiring,
    /// Holds a resource that an agent or a probe has observed.
    Observed,
    /// Holds a resource that was seen alive.
    Verified,
}

impl IndexKey {
    /// On the host of this name.
    pub fn host(name: &str) -> IndexKey {
        IndexKey::Host(host::normal(name).into())
    }

    /// Left something behind on the host of this name.
    pub fn left_on(name: &str) -> IndexKey {
        IndexKey::LeftOn(host::normal(name).into())
    }

    /// Holds the container of this id or name.
    pub fn container(id: &str) -> IndexKey {
        IndexKey::Container(container_id::normal(id).into())
    }
}

/// All indexes: those of plugins in one ordered map, and the one of resources by their price.
#[derive(Debug, Clone, Default)]
pub struct Indexes {
    by_key: RedBlackTreeMapSync<IndexKey, Records>,
    prices: PriceIndex,
}

impl Indexes {
    /// The records with a property; `None` if there are none.
    pub fn get(&self, key: &IndexKey) -> Option<&Records> {
        self.by_key.get(key)
    }

    /// The held resources by their price.
    pub fn prices(&self) -> &PriceIndex {
        &self.prices
    }

    /// The number of records with a property.
    pub fn count(&self, key: &IndexKey) -> usize {
        self.get(key).map_or(0, Records::size)
    }

    /// The categories in use, in order, each with its number of plugins.
    pub fn categories(&self) -> impl Iterator<Item = (&Name, usize)> {
        let from = Bound::Excluded(IndexKey::Holding);
        self.by_key.range((from, Bound::Unbounded)).map_while(|(key, records)| match key {
            IndexKey::Category(name) => Some((name, records.size())),
            _ => None,
        })
    }

    /// The hosts that plugins name, in normal form and in order, each with its number of plugins.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, usize)> {
        let from = Bound::Included(IndexKey::Host(Box::default()));
        self.by_key.range((from, Bound::Unbounded)).map_while(|(key, records)| match key {
            IndexKey::Host(name) => Some((&**name, records.size())),
            _ => None,
        })
    }

    /// The records that hold a container of this id. Either id may be a prefix of the other.
    pub fn containers(&self, id: &str) -> Cow<'_, Records> {
        let id = &*container_id::normal(id);
        let claimed = |id: &str| IndexKey::Container(id.into());
        let seen = |id: &str| IndexKey::SeenContainer(id.into());
        let mut all = self.get(&claimed(id)).map_or_else(|| Cow::Owned(Records::default()), Cow::Borrowed);
        if !is_short_id(id) {
            return all;
        }
        let parts = (1..id.len()).filter_map(|end| id.get(..end)).filter(|part| is_short_id(part));
        let shorter = parts.filter_map(|part| self.get(&claimed(part)));
        let longer = [claimed(id), seen(id)].into_iter().flat_map(|from| {
            self.by_key.range((Bound::Included(from), Bound::Unbounded)).map_while(|(key, records)| match key {
                IndexKey::Container(longer) | IndexKey::SeenContainer(longer) if longer.starts_with(id) => {
                    Some(records)
                }
                _ => None,
            })
        });
        for (id, record) in longer.chain(shorter).flat_map(Records::iter) {
            all.to_mut().insert_mut(id.clone(), Arc::clone(record));
        }
        all
    }

    /// Replaces `before` with `after`.
    pub(crate) fn replace(&mut self, before: Option<&Record>, after: Option<&Arc<Record>>) {
        self.prices.replace(before, after);
        let kept = after.map(|record| keys_of(record)).unwrap_or_default();
        for key in before.map(keys_of).unwrap_or_default() {
            if let Some(before) = before.filter(|_| !kept.contains(&key)) {
                self.remove(&key, &before.unique_id);
            }
        }
        if let Some(after) = after {
            for key in kept {
                let (id, after) = (after.unique_id.clone(), Arc::clone(after));
                match self.by_key.get_mut(&key) {
                    Some(records) => records.insert_mut(id, after),
                    None => self.by_key.insert_mut(key, Records::default().insert(id, after)),
                }
            }
        }
    }

    fn remove(&mut self, key: &IndexKey, id: &UniqueId) {
        let Some(records) = self.by_key.get_mut(key) else { return };
        records.remove_mut(id);
        if records.is_empty() {
            self.by_key.remove_mut(key);
        }
    }
}

/// All indexed properties of a plugin.
fn keys_of(record: &Record) -> BTreeSet<IndexKey> {
    let plugin = &record.plugin;
    let mut keys = BTreeSet::from([IndexKey::Category(plugin.category.clone()), IndexKey::Mode(plugin.execution_mode)]);
    let flags = [
        (plugin.has_active_resources(), IndexKey::Active),
        (record.is_billable(), IndexKey::Billable),
        (plugin.is_configured, IndexKey::Configured),
        (record.holds_anything(), IndexKey::Holding),
        (record.holdings.left().next().is_some(), IndexKey::LeftBehind),
        (record.holdings.has_expiry(), IndexKey::Expiring),
    ];
    keys.extend(flags.into_iter().filter(|(has, _)| *has).map(|(_, key)| key));
    keys.extend(plugin.host.as_deref().map(IndexKey::host));
    keys.extend(plugin.lease_id.as_deref().map(|lease| IndexKey::Lease(lease.into())));
    keys.extend(record.holdings.leases().map(|lease| IndexKey::Claim(lease.as_str().into())));
    keys.extend(plugin.spawned_pids.iter().map(IndexKey::Pid));
    keys.extend(plugin.container().map(IndexKey::container));
    if let Some(remote) = &plugin.remote_resource {
        keys.insert(IndexKey::Provider(remote.provider));
        keys.extend(remote.instance_id.as_deref().map(|id| IndexKey::Instance(id.into())));
        let endpoints = [&remote.endpoint_url, &remote.ssh_host];
        keys.extend(endpoints.into_iter().flatten().map(|place| IndexKey::Endpoint(place.as_str().into())));
    }
    for held in record.held() {
        keys.extend(held.slot.host.as_deref().map(IndexKey::left_on));
        keys.extend(finding_rules::shown(&held).map(IndexKey::Finding));
        keys.extend(finding_rules::open(&held).map(IndexKey::OpenFinding));
        keys.extend(held.facts.and_then(Facts::container_id).map(|id| IndexKey::SeenContainer(id.into())));
    }
    keys.extend(record.holdings.has_facts().then_some(IndexKey::Observed));
    keys.extend(record.holdings.has_alive().then_some(IndexKey::Verified));
    keys
}
