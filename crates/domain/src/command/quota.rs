//! Quotas: how much a registry may hold. Pure.
//!
//! The writer compares the result of a change with the quotas before it applies the change. A registry may already
//! exceed a quota, for example after an operator lowered a setting or imported a store. It continues, and accepts
//! changes that do not make it grow. It always accepts findings, releases, and what becomes of a resource that was
//! observed before: they must not be lost because of another client's registrations. Observations of other resources
//! have a reserve beyond the quota, which registrations cannot take.

use std::sync::Arc;

use super::answer_quota::AnswerQuota;
use super::refusal::Refusal;
use crate::change::{Event, Step};
use crate::lease::{Lease, LeaseAct};
use crate::plugin::{Invalid, Plugin};
use crate::record::Record;
use crate::record::observation::ObservationChange;
use crate::state::{State, category_bytes};

/// The quotas of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// The maximum number of plugins.
    pub plugins: usize,
    /// The maximum bytes of documents and configurations; see [`State::bytes`].
    pub bytes: u64,
    /// How many bytes beyond that quota first observations of resources may take.
    pub observed_reserve: u64,
    /// The maximum number of labels of one plugin. Each label is an entry in an index.
    pub labels: usize,
    /// The maximum number of active leases of one token.
    pub leases_per_token: usize,
    /// The quota of stored responses.
    pub answers: AnswerQuota,
}

impl Default for Quotas {
    fn default() -> Quotas {
        Quotas {
            plugins: 1_000_000,
            bytes: 1 << 30,
            observed_reserve: Quotas::reserve_of(1 << 30),
            labels: 100,
            leases_per_token: 10_000,
            answers: AnswerQuota::default(),
        }
    }
}

impl Quotas {
    /// The reserve of observations beside a quota of bytes: a quarter, and enough for a small registry.
    pub fn reserve_of(bytes: u64) -> u64 {
        (bytes / 4).max(16 << 20)
    }

    /// Checks the effect of a change on a state.
    ///
    /// # Errors
    ///
    /// If the change makes a count grow beyond its quota.
    pub fn check(&self, event: &Event, step: &Step, state: &State) -> Result<(), Refusal> {
        let bytes = |record: &Option<Arc<Record>>| record.as_ref().map_or(0, |record| record.bytes());
        let (before, after, most) = match (event, step) {
            (Event::PluginPut { plugin, .. }, Step::Plugin { before, after }) => {
                self.check_labels(before.as_ref().map(|record| &*record.plugin), plugin)?;
                if before.is_none() && state.plugins().size() >= self.plugins {
                    return Err(Refusal::TooManyPlugins { most: self.plugins });
                }
                (bytes(before), bytes(after), self.bytes)
            }
            (Event::ResourcesObserved { seen, .. }, Step::Plugin { before: Some(record), after }) => {
                let is_first = |seen: &ObservationChange| {
                    record.holdings.get(&seen.slot).is_none_or(|facts| facts.observation.is_none())
                };
                if !seen.iter().any(is_first) {
                    return Ok(());
                }
                (record.bytes(), bytes(after), self.bytes.saturating_add(self.observed_reserve))
            }
            (Event::CategoryNamed { name, .. }, Step::Category { before, after }) => {
                let bytes = |display_name: &Option<Box<str>>| {
                    display_name.as_ref().map_or(0, |display_name| category_bytes(name, display_name))
                };
                (bytes(before), bytes(after), self.bytes)
            }
            (Event::Lease { act: LeaseAct::Granted(..), .. }, Step::Lease { before: None, after: Some(lease) }) => {
                return self.check_share(lease, state);
            }
            _ => return Ok(()),
        };
        let would_be = state.bytes() + after - before;
        if would_be > most && after > before {
            return Err(Refusal::TooManyBytes { most: self.bytes, would_be });
        }
        Ok(())
    }

    /// One caller must not take the leases of all.
    fn check_share(&self, lease: &Lease, state: &State) -> Result<(), Refusal> {
        match &lease.principal {
            Some(principal) if state.active_leases().of(principal) >= self.leases_per_token => {
                Err(Refusal::TooManyLeasesOfOne { principal: Arc::clone(principal), most: self.leases_per_token })
            }
            _ => Ok(()),
        }
    }

    fn check_labels(&self, before: Option<&Plugin>, plugin: &Plugin) -> Result<(), Invalid> {
        let labels = plugin.labels.len();
        if labels > self.labels && before.is_none_or(|before| labels > before.labels.len()) {
            let detail =
                format!("must have at most {} labels, not {labels}; remove some, or raise --max-labels", self.labels);
            return Err(Invalid::at("/labels", detail));
        }
        Ok(())
    }
}
