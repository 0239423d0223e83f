//! What was held when, as claimed and as seen: a lane for each resource.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::pace::{Pace, paced};
use crate::change::Transition;
use crate::host::HostNames;
use crate::index::IndexKey;
use crate::plugin::UniqueId;
use crate::record::{ClaimState, FindingKind, Holding, ObservedState, Record, ResourceKind, Slot, finding_rules};
use crate::state::State;

/// A query for lanes. A condition that is `None` accepts everything.
#[derive(Debug, Clone)]
pub struct SpanQuery {
    /// The start of the time.
    pub from: Timestamp,
    /// The end of the time.
    pub to: Timestamp,
    /// Of this plugin.
    pub plugin: Option<UniqueId>,
    /// Of this kind.
    pub kind: Option<ResourceKind>,
    /// On the host of these names.
    pub host: Option<HostNames>,
    /// The maximum number of lanes.
    pub limit: usize,
}

/// A value and the time for which it was true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<T> {
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None` if it was still true at the end.
    pub to: Option<Timestamp>,
    /// The value.
    pub value: T,
}

/// The values of one property over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track<T>(Vec<Span<T>>);

impl<T> Default for Track<T> {
    fn default() -> Track<T> {
        Track(Vec::new())
    }
}

impl<T: Copy + PartialEq> Track<T> {
    /// The spans, in order.
    pub fn spans(&self) -> &[Span<T>] {
        &self.0
    }

    /// Sets the value from a time on.
    fn set(&mut self, value: Option<T>, at: Timestamp) {
        let open = self.0.last_mut().filter(|last| last.to.is_none());
        if open.as_ref().map(|last| last.value) == value {
            return;
        }
        if let Some(last) = open {
            last.to = Some(at);
        }
        self.0.extend(value.map(|value| Span { from: at, to: None, value }));
    }
}

/// The history of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lane {
    /// Its host, as last known.
    pub host: Option<Box<str>>,
    /// When its plugin claimed it, and when it had left it behind.
    pub claims: Track<ClaimState>,
    /// The observed states.
    pub seen: Track<ObservedState>,
    /// The findings, also the acknowledged ones.
    pub findings: Track<FindingKind>,
}

/// Lanes by plugin and resource.
pub type Lanes = BTreeMap<(UniqueId, Slot), Lane>;

/// Lanes in the making: changes are added in their order.
#[derive(Debug)]
pub struct LaneBuilder {
    query: SpanQuery,
    lanes: Lanes,
    is_cut: bool,
}

impl LaneBuilder {
    /// The lanes of what is held in `state`, which is that of the beginning.
    ///
    /// # Errors
    ///
    /// If the pace stops the scan.
    pub fn begin<P: Pace>(query: SpanQuery, state: &State, pace: &P) -> Result<LaneBuilder, P::Stop> {
        let mut builder = LaneBuilder { query, lanes: Lanes::new(), is_cut: false };
        let holding = state.having(&IndexKey::Holding).into_iter();
        for record in paced(holding.flat_map(|records| records.values()), pace) {
            let from = builder.query.from;
            builder.look(None, Some(record?.as_ref()), from);
        }
        Ok(builder)
    }

    /// Adds a change.
    pub fn add(&mut self, transition: &Transition) {
        let (before, after) = (transition.before().map(|record| &**record), transition.after().map(|record| &**record));
        self.look(before, after, transition.change.at);
    }

    /// The lanes, and whether some are left out because there are too many.
    pub fn end(self) -> (Lanes, bool) {
        (self.lanes, self.is_cut)
    }

    fn look(&mut self, before: Option<&Record>, after: Option<&Record>, at: Timestamp) {
        let Some(record) = after.or(before) else { return };
        if self.query.plugin.as_ref().is_some_and(|plugin| *plugin != record.unique_id) {
            return;
        }
        let mut held: BTreeSet<Slot> = BTreeSet::new();
        for holding in after.into_iter().flat_map(Record::held) {
            held.insert(holding.slot.clone());
            if self.is_wanted(&holding) {
                self.note(record, &holding, at);
            }
        }
        for holding in before.into_iter().flat_map(Record::held).filter(|holding| !held.contains(&holding.slot)) {
            if let Some(lane) = self.lanes.get_mut(&(record.unique_id.clone(), holding.slot)) {
                lane.claims.set(None, at);
                lane.seen.set(None, at);
                lane.findings.set(None, at);
            }
        }
    }

    fn is_wanted(&self, holding: &Holding<'_>) -> bool {
        let hosts = self.query.host.as_ref();
        self.query.kind.is_none_or(|kind| kind == holding.slot.kind)
            && hosts.is_none_or(|hosts| holding.host.is_some_and(|host| hosts.contains(host)))
    }

    fn note(&mut self, record: &Record, holding: &Holding<'_>, at: Timestamp) {
        let key = (record.unique_id.clone(), holding.slot.clone());
        if self.lanes.len() >= self.query.limit && !self.lanes.contains_key(&key) {
            self.is_cut = true;
            return;
        }
        let lane = self.lanes.entry(key).or_default();
        lane.host = holding.host.map(Into::into);
        lane.claims.set(Some(holding.claim_state()), at);
        lane.seen.set(holding.observation().map(|seen| seen.state), at);
        lane.findings.set(finding_rules::shown(holding), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_track_has_a_span_for_each_value() {
        let mut track = Track::default();
        for (value, second) in [(Some(1), 1), (Some(1), 2), (Some(2), 3), (None, 4), (None, 5), (Some(1), 6)] {
            track.set(value, at(second));
        }
        let span = |from, to: Option<i64>, value| Span { from: at(from), to: to.map(at), value };
        assert_eq!(track.spans(), [span(1, Some(3), 1), span(3, Some(4), 2), span(6, None, 1)]);
    }
}
