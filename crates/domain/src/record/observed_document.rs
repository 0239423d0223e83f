//! What was seen of a plugin's resources, as its document shows it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::finding::{FindingKind, next_step};
use super::observation::{Facts, ObservedResources, ObservedState};
use super::resource::{ResourceKind, Slot};
use crate::plugin::Plugin;

/// How many resources a plugin's document tells of one by one; `GET /resources` tells of all.
const MOST: usize = 100;

/// What was seen of what a plugin holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginObserved)]
pub struct ObservedDocument<'a> {
    /// How many were seen to be there.
    alive: usize,
    /// How many were seen to be gone.
    gone: usize,
    /// Of how many something else has the name.
    reused: usize,
    /// How many do not answer.
    unreachable: usize,
    /// Of how many nothing can be said.
    unknown: usize,
    /// One by one, the first 100 of those that were looked at or that something is wrong with; those with a finding first.
    resources: Vec<ObservedResource<'a>>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
struct ObservedResource<'a> {
    /// What it is.
    kind: ResourceKind,
    /// What names it, as in `GET /resources`.
    id: &'a str,
    /// What was seen; null before the first look.
    #[schema(required)]
    state: Option<ObservedState>,
    /// When it was seen to be so first, without a break.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<Timestamp>,
    /// Who saw it.
    #[schema(required)]
    by: Option<&'a str>,
    /// What there is to say about it.
    #[schema(required)]
    detail: Option<&'a str>,
    /// What is wrong with it; null when nothing is.
    #[schema(required)]
    finding: Option<ObservedFinding<'a>>,
}

/// What is wrong with one of them.
#[derive(Debug, Serialize, ToSchema)]
struct ObservedFinding<'a> {
    /// What is wrong.
    finding: FindingKind,
    /// Since when it is known to be so.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// What was seen, when, by which observer, and what is known of the holder.
    evidence: &'a str,
    /// What can safely be done next.
    next_step: String,
}

impl<'a> ObservedDocument<'a> {
    /// What is known, if anything is.
    pub(crate) fn of(
        unique_id: &str,
        plugin: &Plugin,
        observed: &'a ObservedResources,
    ) -> Option<ObservedDocument<'a>> {
        if observed.is_empty() {
            return None;
        }
        let count = |wanted: ObservedState| {
            let states = observed.iter().filter_map(|(_, facts)| facts.observation.as_ref());
            states.filter(|seen| seen.state == wanted).count()
        };
        let has_finding = |(_, facts): &(&Slot, &Facts)| facts.finding.is_some();
        let first = observed.iter().filter(has_finding).chain(observed.iter().filter(|one| !has_finding(one)));
        Some(ObservedDocument {
            alive: count(ObservedState::Alive),
            gone: count(ObservedState::Gone),
            reused: count(ObservedState::Reused),
            unreachable: count(ObservedState::Unreachable),
            unknown: count(ObservedState::Unknown),
            resources: first.take(MOST).map(|(slot, facts)| resource(slot, facts, unique_id, plugin)).collect(),
        })
    }
}

fn resource<'a>(slot: &'a Slot, facts: &'a Facts, unique_id: &str, plugin: &Plugin) -> ObservedResource<'a> {
    let seen = facts.observation.as_ref();
    let finding = facts.finding.as_ref().map(|raised| ObservedFinding {
        finding: raised.finding,
        since: raised.since,
        evidence: &raised.evidence,
        next_step: next_step(raised.finding, slot, unique_id, plugin.host.as_deref()),
    });
    ObservedResource {
        kind: slot.kind,
        id: &slot.id,
        state: seen.map(|seen| seen.state),
        since: seen.map(|seen| seen.since),
        by: seen.map(|seen| &*seen.by),
        detail: seen.and_then(|seen| seen.detail.as_deref()),
        finding,
    }
}
