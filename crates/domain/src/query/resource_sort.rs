//! The order of a list of resources, and the position where the next page starts.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::resource_row::Certainty;
use super::sort::{SortKey, text_key};
use crate::cost::version::hourly_now;
use crate::lease::LeaseId;
use crate::plugin::UniqueId;
use crate::record::{FindingKind, Holding, Record, ResourceRef, finding_rules};
use crate::state::State;
use crate::wire_names;

wire_names! {
    /// A scalar field that a list of resources can be sorted by.
    ResourceSortField {
        /// The default.
        Plugin = "plugin",
        /// By kind.
        Kind = "kind",
        /// By host.
        Host = "host",
        /// By id, as text.
        Id = "id",
        /// By whether the plugin still names it.
        Claim = "claim",
        /// By the claimed status.
        Claimed = "claimed",
        /// By whether a provider may charge for it: false first.
        Billable = "billable",
        /// By provider.
        Provider = "provider",
        /// By GPU type.
        GpuType = "gpu_type",
        /// By the number of GPUs.
        GpuCount = "gpu_count",
        /// By the current cost of an hour; a resource without a price counts as free.
        UsdPerHour = "usd_per_hour",
        /// By the upper bound of its cost so far; a resource without a price counts as free.
        SpentUsd = "spent_usd",
        /// By the time of the claim.
        HeldSince = "held_since",
        /// By the time at which it was left behind.
        LeftAt = "left_at",
        /// By the time until which it is meant to be held.
        ExpiresAt = "expires_at",
        /// By finding.
        Finding = "finding",
        /// By lease.
        LeaseId = "lease_id",
        /// By the certainty of the match.
        Certainty = "certainty",
    }
}

/// A sort field and a direction. Equal values are ordered by plugin, then as the plugin holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceSort {
    /// The field.
    pub field: ResourceSortField,
    /// Whether the largest value comes first.
    pub descending: bool,
}

impl Default for ResourceSort {
    fn default() -> ResourceSort {
        ResourceSort { field: ResourceSortField::Plugin, descending: false }
    }
}

/// The position of a row in a sorted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPosition {
    /// The value of the sort field.
    pub key: SortKey,
    /// The plugin.
    pub unique_id: UniqueId,
    /// The index of the row within the plugin, from 0.
    pub row: usize,
}

/// A row before it is made: the resource, its plugin, and how certain the match is.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub held: Holding<'a>,
    pub record: &'a Record,
    pub row: usize,
    pub certainty: Certainty,
}

impl ResourceSort {
    /// The dearest first.
    pub const DEAREST: ResourceSort = ResourceSort { field: ResourceSortField::UsdPerHour, descending: true };

    /// The position of a row. Spent amounts are those up to `at`.
    pub(super) fn position(self, candidate: &Candidate<'_>, state: &State, at: Timestamp) -> RowPosition {
        RowPosition {
            key: key_of(self.field, candidate, state, at),
            unique_id: candidate.record.unique_id.clone(),
            row: candidate.row,
        }
    }

    /// Compares two positions.
    pub(super) fn compare(self, a: &RowPosition, b: &RowPosition) -> Ordering {
        let by_key = if self.descending { b.key.cmp(&a.key) } else { a.key.cmp(&b.key) };
        let by_place = (&a.unique_id, a.row).cmp(&(&b.unique_id, b.row));
        let places_descend = self.descending && self.field == ResourceSortField::Plugin;
        by_key.then(if places_descend { by_place.reverse() } else { by_place })
    }
}

/// An amount of millionths, as far as a key can tell amounts apart.
pub(super) fn amount_key(millionths: i128) -> SortKey {
    SortKey::Number(i64::try_from(millionths).unwrap_or(i64::MAX))
}

fn key_of(field: ResourceSortField, candidate: &Candidate<'_>, state: &State, at: Timestamp) -> SortKey {
    let Candidate { held, record, certainty, .. } = candidate;
    let remote = match held.resource {
        ResourceRef::Remote(remote) => Some(remote),
        ResourceRef::Process(_) | ResourceRef::Container(_) => None,
    };
    let optional = |value: Option<&str>| value.map_or(SortKey::Null, text_key);
    let time = |time: Option<Timestamp>| time.map_or(SortKey::Null, |time| SortKey::Number(time.as_microsecond()));
    match field {
        // The position itself has the plugin.
        ResourceSortField::Plugin => SortKey::Null,
        ResourceSortField::Kind => text_key(held.slot.kind.as_str()),
        ResourceSortField::Host => optional(held.host),
        ResourceSortField::Id => text_key(&held.slot.id),
        ResourceSortField::Claim => text_key(held.claim_state().as_str()),
        ResourceSortField::Claimed => text_key(held.resource.claimed()),
        ResourceSortField::Billable => SortKey::Flag(held.is_billable()),
        ResourceSortField::Provider => optional(remote.map(|remote| remote.provider.as_str())),
        ResourceSortField::GpuType => optional(remote.and_then(|remote| remote.gpu_type.as_deref())),
        ResourceSortField::GpuCount => {
            remote.map_or(SortKey::Null, |remote| SortKey::Number(i64::from(remote.gpu_count)))
        }
        ResourceSortField::UsdPerHour => amount_key(hourly_now(held).unwrap_or_default().0),
        ResourceSortField::SpentUsd => {
            amount_key(state.spent_on(held, record, at).map(|spent| spent.high.0).unwrap_or_default())
        }
        ResourceSortField::HeldSince => time(Some(held.claim.held_since)),
        ResourceSortField::LeftAt => time(held.left().map(|left| left.at)),
        ResourceSortField::ExpiresAt => time(held.claim.expiry.map(|expiry| expiry.at)),
        ResourceSortField::Finding => optional(finding_rules::shown(held).map(FindingKind::as_str)),
        ResourceSortField::LeaseId => optional(held.claim.lease_id.as_ref().map(LeaseId::as_str)),
        ResourceSortField::Certainty => text_key(certainty.as_str()),
    }
}
