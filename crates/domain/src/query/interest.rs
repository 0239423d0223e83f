//! The changes that could change an answer: a long poll waits for them.

use std::sync::Arc;

use super::filter::Filter;
use super::plugins::ListQuery;
use super::resources::ResourceQuery;
use super::topic::Topic;
use crate::change::{Step, Transition};
use crate::lease::Lease;
use crate::plugin::UniqueId;
use crate::record::Record;

/// A query whose answer depends on changes.
pub trait Interest: Sync {
    /// The narrowest topic on which every change relevant to this query is published.
    fn topic(&self) -> Topic;

    /// Returns true if and only if the answer may differ before and after `transition`.
    fn is_affected_by(&self, transition: &Transition) -> bool;
}

/// One plugin.
impl Interest for UniqueId {
    fn topic(&self) -> Topic {
        Topic::Plugin(self.clone())
    }

    fn is_affected_by(&self, transition: &Transition) -> bool {
        transition.records().any(|record| record.unique_id == *self)
    }
}

/// A list of plugins.
impl Interest for ListQuery {
    fn topic(&self) -> Topic {
        self.filters.iter().find_map(Filter::topic).unwrap_or(Topic::Everything)
    }

    fn is_affected_by(&self, transition: &Transition) -> bool {
        transition.records().any(|record| self.filters.iter().all(|filter| filter.accepts(record)))
    }
}

/// A list of resources.
impl Interest for ResourceQuery {
    fn topic(&self) -> Topic {
        // A look-up also finds plugins without a host, because they may be on the requested one.
        match self.host.as_ref().map(|names| names.iter().collect::<Vec<_>>()).as_deref() {
            Some([name]) if !self.is_look_up() => Topic::host(name),
            _ => Topic::Everything,
        }
    }

    fn is_affected_by(&self, transition: &Transition) -> bool {
        if let Step::Lease { before, after } = &transition.step {
            let state = |lease: &Option<Arc<Lease>>| lease.as_ref().map(|lease| lease.state);
            return state(before) != state(after);
        }
        let held = |record: &Record| {
            let plugin = &record.plugin;
            (
                plugin.host.clone(),
                plugin.container_id.clone(),
                plugin.remote_resource.clone(),
                plugin.spawned_pids.clone(),
                plugin.lease_id.clone(),
                plugin.labels.clone(),
                record.holdings.clone(),
            )
        };
        // Most changes concern other fields; comparing those fields is cheaper than making rows.
        if let (Some(before), Some(after)) = (transition.before(), transition.after())
            && held(before) == held(after)
        {
            return false;
        }
        let rows = |record: Option<&_>| record.map(|record| self.rows(record)).unwrap_or_default();
        rows(transition.before()) != rows(transition.after())
    }
}

/// All counts.
#[derive(Debug, Clone, Copy)]
pub struct CountsInterest;

impl Interest for CountsInterest {
    fn topic(&self) -> Topic {
        Topic::Everything
    }

    fn is_affected_by(&self, transition: &Transition) -> bool {
        let counted = |record: &Record| {
            let plugin = &record.plugin;
            let provider = plugin.remote_resource.as_ref().map(|remote| remote.provider);
            let flags = (plugin.is_configured, plugin.has_active_resources());
            (plugin.category.clone(), plugin.execution_mode, provider, flags)
        };
        let before = transition.before().map(|record| counted(record));
        before != transition.after().map(|record| counted(record))
    }
}

impl Filter {
    /// A topic on which every change relevant to this filter is published, if there is one.
    pub fn topic(&self) -> Option<Topic> {
        let only = |values: &[String]| match values {
            [value] => Some(value.as_str().into()),
            _ => None,
        };
        match self {
            Filter::Active(true) => Some(Topic::Active),
            Filter::Billable(true) => Some(Topic::Billable),
            Filter::Category(names) => match names.as_slice() {
                [name] => Some(Topic::Category(name.clone())),
                _ => None,
            },
            Filter::ExecutionMode(modes) => match modes.as_slice() {
                [mode] => Some(Topic::Mode(*mode)),
                _ => None,
            },
            Filter::Provider(providers) => match providers.as_slice() {
                [provider] => Some(Topic::Provider(*provider)),
                _ => None,
            },
            Filter::Host(hosts) => match hosts.as_slice() {
                [host] => Some(Topic::host(host)),
                _ => None,
            },
            Filter::Lease(leases) => only(leases).map(Topic::Lease),
            Filter::Label { key, values } => only(values).map(|value| Topic::Label(key.as_str().into(), value)),
            _ => None,
        }
    }
}
