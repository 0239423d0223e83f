//! The field `observed` of a plugin's document.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::finding::{FindingKind, next_step};
use super::observation::{Facts, ObservedResources, ObservedState};
use super::resource::{ResourceKind, Slot};
use crate::plugin::Plugin;

/// The maximum number of resources in a plugin's document; `GET /resources` lists all.
const MOST: usize = 100;

/// The observations of a plugin's resources.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginObserved)]
pub struct ObservedDocument<'a> {
    /// How many were seen alive.
    alive: usize,
    /// How many were seen gone.
    gone: usize,
    /// How many had their name taken by another resource.
    reused: usize,
    /// How many do not answer.
    unreachable: usize,
    /// How many have an unknown state.
    unknown: usize,
    /// The first 100 resources that have an observation or a finding; those with a finding first.
    resources: Vec<ObservedResource<'a>>,
}

/// A resource.
#[derive(Debug, Serialize, ToSchema)]
struct ObservedResource<'a> {
    /// The kind of resource.
    kind: ResourceKind,
    /// The resource's id, as in `GET /resources`.
    id: &'a str,
    /// The observed state; null if there is no observation.
    #[schema(required)]
    state: Option<ObservedState>,
    /// Since when every observation had this state.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    since: Option<Timestamp>,
    /// The agent or probe.
    #[schema(required)]
    by: Option<&'a str>,
    /// Details for people.
    #[schema(required)]
    detail: Option<&'a str>,
    /// What is wrong with it; null if nothing is.
    #[schema(required)]
    finding: Option<ObservedFinding<'a>>,
}

/// A finding about a resource.
#[derive(Debug, Serialize, ToSchema)]
struct ObservedFinding<'a> {
    /// What is wrong.
    finding: FindingKind,
    /// Since when it is true.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The observation, its time and agent, and the state of the holder.
    evidence: &'a str,
    /// The next safe step for the operator.
    next_step: String,
}

impl<'a> ObservedDocument<'a> {
    /// The document; `None` without facts.
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
