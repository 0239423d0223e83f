//! The field `observed` of a plugin's document.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::claim::ClaimState;
use super::finding::FindingKind;
use super::holdings::{Holding, Holdings};
use super::next_step::{NextRequest, NextStep, next_step};
use super::observation::ObservedState;
use super::resource::ResourceKind;
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
    /// How many the plugin left behind: its document names them no longer.
    left_behind: usize,
    /// The first 100 resources that have an observation or a finding, or that were left behind; those with a finding
    /// first.
    resources: Vec<ObservedResource<'a>>,
}

/// A resource.
#[derive(Debug, Serialize, ToSchema)]
struct ObservedResource<'a> {
    /// The kind of resource.
    kind: ResourceKind,
    /// The resource's id, as in `GET /resources`.
    id: Box<str>,
    /// Whether the plugin's document still names it.
    claim: ClaimState,
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
    /// The request that ends the next step; null if there is none.
    #[schema(required)]
    next_request: Option<NextRequest>,
}

impl<'a> ObservedDocument<'a> {
    /// The document; `None` without facts.
    pub(crate) fn of(unique_id: &str, plugin: &'a Plugin, holdings: &'a Holdings) -> Option<ObservedDocument<'a>> {
        if !holdings.has_facts() {
            return None;
        }
        let count = |wanted: ObservedState| {
            let states = holdings.facts().filter_map(|(_, facts)| facts.observation.as_ref());
            states.filter(|seen| seen.state == wanted).count()
        };
        let known = |held: &Holding<'_>| {
            held.facts
                .is_some_and(|facts| facts.observation.is_some() || facts.finding.is_some() || facts.left.is_some())
        };
        let mut held: Vec<_> = holdings.iter(plugin).filter(known).collect();
        held.sort_by(|one, other| {
            let has_none = |held: &Holding<'_>| held.facts.is_none_or(|facts| facts.finding.is_none());
            (has_none(one), &one.slot).cmp(&(has_none(other), &other.slot))
        });
        Some(ObservedDocument {
            alive: count(ObservedState::Alive),
            gone: count(ObservedState::Gone),
            reused: count(ObservedState::Reused),
            unreachable: count(ObservedState::Unreachable),
            unknown: count(ObservedState::Unknown),
            left_behind: holdings.left().count(),
            resources: held.into_iter().take(MOST).map(|held| resource(held, unique_id)).collect(),
        })
    }
}

fn resource<'a>(held: Holding<'a>, unique_id: &str) -> ObservedResource<'a> {
    let seen = held.observation();
    let finding = held.facts.and_then(|facts| facts.finding.as_ref()).map(|raised| {
        let NextStep { text, request } = next_step(raised.finding, &held, unique_id);
        ObservedFinding {
            finding: raised.finding,
            since: raised.since,
            evidence: &raised.evidence,
            next_step: text,
            next_request: request,
        }
    });
    ObservedResource {
        kind: held.slot.kind,
        claim: held.claim_state(),
        state: seen.map(|seen| seen.state),
        since: seen.map(|seen| seen.since),
        by: seen.map(|seen| &*seen.by),
        detail: seen.and_then(|seen| seen.detail.as_deref()),
        finding,
        id: held.slot.id,
    }
}
