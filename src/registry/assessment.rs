//! One assessment of all resources: stale observations, new findings, and findings that are no longer true. Pure except
//! for the heartbeats that it reads.

use jiff::Timestamp;

use super::clock_watch::{Moment, is_ahead};
use super::heartbeats::{Heartbeats, STALE};
use domain::command::Command;
use domain::command::observation_rules::ground;
use domain::command::request::{BasedOn, ProbeResult};
use domain::cost::version::is_unpriced;
use domain::index::IndexKey;
use domain::lease::OnGone;
use domain::plugin::UniqueId;
use domain::record::finding_rules::{Case, Judgement};
use domain::record::{
    FindingChange, Holder, Holding, Observation, ObservedState, Record, ResourceKey, ResourceKind, Slot,
};
use domain::{LeaseState, MicroUsd, Spend, State};

/// The agent of observations that the registry itself marks as unknown.
const OURSELVES: &str = "plugin-registry";

/// The result of an assessment.
pub(super) struct AssessmentPass {
    /// The commands; at most one for each plugin.
    pub commands: Vec<Command>,
    /// When the next assessment is due if nothing happens before, by the steady clock.
    pub due: Timestamp,
    moment: Moment,
}

/// The changes to one plugin.
#[derive(Default)]
struct Action {
    stale: Vec<ProbeResult>,
    cleared: Vec<Slot>,
    found: Vec<FindingChange>,
    gone: Vec<Slot>,
    ended: Vec<Slot>,
    expiring: Vec<Slot>,
    unacknowledged: Vec<Slot>,
}

/// What an assessment is made from, beside the state.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    heartbeats: &'a Heartbeats,
    /// By the wall clock.
    now: Timestamp,
    steady: Timestamp,
    on_gone: OnGone,
}

impl AssessmentPass {
    /// Assesses all resources.
    pub(super) fn at(state: &State, heartbeats: &Heartbeats, moment: Moment, on_gone: OnGone) -> AssessmentPass {
        let Moment { wall: now, steady } = moment;
        let mut round = AssessmentPass { commands: Vec::new(), due: Timestamp::MAX, moment };
        let inputs = Inputs { heartbeats, now, steady, on_gone };
        // What a resource costs counts from the newest change of its plugin.
        let billable = state.having(&IndexKey::Billable).into_iter().flat_map(|records| records.values());
        for record in billable.filter(|record| is_ahead(record.updated_at, now)) {
            round.commands.push(Command::CorrectTime { id: record.unique_id.clone(), revision: record.revision });
        }
        let holding = state.having(&IndexKey::Holding).into_iter().flat_map(|records| records.values());
        for record in holding {
            // The common case: the plugin has no observations, and no application that held something is lost.
            if !record.holdings.has_facts() && !record.holdings.has_expiry() && !is_lost(state, record) {
                continue;
            }
            let mut deed = Action::default();
            for held in record.held() {
                round.judge(state, record, &held, inputs, &mut deed);
            }
            for found in deed.found.iter_mut().filter(|found| found.slot.kind == ResourceKind::Remote) {
                found.finding.cost = money_of(state, record, now);
            }
            round.commands.extend(deed.command(&record.unique_id, ground(state, record)));
        }
        round
    }

    fn judge(&mut self, state: &State, record: &Record, held: &Holding<'_>, inputs: Inputs<'_>, deed: &mut Action) {
        let Inputs { heartbeats, now, steady, on_gone } = inputs;
        let slot = &held.slot;
        let mut holder = state.holder_of(held.claim);
        if let Holder::Lease(lease, renewed) = &mut holder {
            *renewed = heartbeats.renewed(lease);
        }
        let observation = held.observation();
        let key = ResourceKey::of(&record.unique_id, slot);
        let looks = observation.map(|seen| heartbeats.looks(&key, seen.state)).unwrap_or_default();
        if let Some(seen) = observation.filter(|seen| grows_stale(slot.kind, seen.state)) {
            let fresh = heartbeats.fresh_at(&key, seen.state, &seen.by);
            let stale = fresh.saturating_add(STALE).unwrap_or(Timestamp::MAX);
            if stale <= steady {
                let last = heartbeats.wall_of(fresh);
                deed.stale.push(stale_look(slot.clone(), seen, last, now));
                return;
            }
            self.due = self.due.min(stale);
        }
        self.watch_times(held, now, deed);
        let case = Case { record, held, looks, holder };
        match case.judge(now) {
            Judgement::Found(finding) if case.raised() == Some(&finding) => {
                let is_ghost = observation.is_some_and(|seen| seen.state == ObservedState::Gone);
                if is_ghost && is_pruned(holder, on_gone) {
                    deed.gone.push(slot.clone());
                }
            }
            Judgement::Found(finding) => deed.found.push(FindingChange { slot: slot.clone(), finding }),
            Judgement::Ended => deed.ended.push(slot.clone()),
            Judgement::Nothing if case.raised().is_some() => deed.cleared.push(slot.clone()),
            Judgement::Nothing | Judgement::Wait(None) => {}
            Judgement::Wait(Some(due)) => self.wait_until(due),
        }
    }

    /// Notes that a new assessment is due when the wall clock shows a time.
    fn wait_until(&mut self, wall: Timestamp) {
        let left = wall.duration_since(self.moment.wall);
        self.due = self.due.min(self.moment.steady.saturating_add(left).unwrap_or(Timestamp::MAX));
    }

    /// Notes the times at which the expiry of a resource, or the acknowledgement of its finding, needs a change.
    fn watch_times(&mut self, held: &Holding<'_>, now: Timestamp, deed: &mut Action) {
        let is_meant = held.may_run() || held.observation().is_some_and(Observation::may_live);
        if let Some(expiry) = held.claim.expiry.filter(|_| is_meant) {
            let warned = held.facts.and_then(|facts| facts.warned) == Some(expiry.at);
            match expiry.notice_at() {
                notice if notice > now => self.wait_until(notice),
                _ if expiry.at > now => {
                    self.wait_until(expiry.at);
                    deed.expiring.extend((!warned).then(|| held.slot.clone()));
                }
                _ => {}
            }
        }
        if let Some(acknowledgement) = held.facts.and_then(|facts| facts.acknowledgement.as_ref()) {
            if acknowledgement.until <= now {
                deed.unacknowledged.push(held.slot.clone());
            } else {
                self.wait_until(acknowledgement.until);
            }
        }
    }
}

/// Whether an application that claimed something of a plugin is lost.
fn is_lost(state: &State, record: &Record) -> bool {
    let mut leases = record.holdings.leases().filter_map(|lease| state.lease(lease.as_str()));
    leases.any(|lease| lease.state == LeaseState::Lost)
}

/// Whether the registry releases what a holder claimed, once it was seen gone.
fn is_pruned(holder: Holder<'_>, on_gone: OnGone) -> bool {
    let of_lease = match holder {
        Holder::Lease(lease, _) if lease.state != LeaseState::Active => lease.on_gone,
        Holder::Lease(..) | Holder::None | Holder::Unknown => None,
    };
    of_lease.unwrap_or(on_gone) == OnGone::Prune
}

/// The cost of a plugin up to a time, minimum and maximum, if it has a price.
fn money_of(state: &State, record: &Record, now: Timestamp) -> Option<[MicroUsd; 2]> {
    let Spend { low, high } = state.accrued(record, now);
    (!is_unpriced(record)).then_some([low, high])
}

impl Action {
    /// One command at a time, because the next one would depend on the result of this one.
    fn command(self, id: &UniqueId, ground: BasedOn) -> Option<Command> {
        let id = id.clone();
        let Action { stale, cleared, found, gone, ended, expiring, unacknowledged } = self;
        if !stale.is_empty() {
            Some(Command::Observe { id, by: OURSELVES.into(), sightings: stale })
        } else if !ended.is_empty() {
            Some(Command::EndHoldings { id, ground, slots: ended })
        } else if !cleared.is_empty() {
            Some(Command::ClearFindings { id, ground, slots: cleared })
        } else if !unacknowledged.is_empty() {
            Some(Command::ExpireAcknowledgements { id, ground, slots: unacknowledged })
        } else if !found.is_empty() {
            Some(Command::RaiseFindings { id, ground, findings: found })
        } else if !gone.is_empty() {
            Some(Command::DropGone { id, slots: gone })
        } else if !expiring.is_empty() {
            Some(Command::WarnOfExpiry { id, ground, slots: expiring })
        } else {
            None
        }
    }
}

/// Whether the state can change unobserved. An ended process never returns, and a reused process id stays reused.
fn grows_stale(kind: ResourceKind, state: ObservedState) -> bool {
    match state {
        ObservedState::Alive | ObservedState::Unreachable => true,
        ObservedState::Gone | ObservedState::Reused => kind != ResourceKind::Process,
        ObservedState::Unknown => false,
    }
}

fn stale_look(slot: Slot, seen: &Observation, fresh: Timestamp, now: Timestamp) -> ProbeResult {
    let detail = format!("{} has not observed it since {fresh}; it was {} then", seen.by, seen.state.as_str());
    ProbeResult {
        slot,
        state: ObservedState::Unknown,
        at: now,
        heard_at: now,
        detail: Some(detail.into()),
        identity: None,
        parent: None,
        abandoned: None,
        last_alive: None,
    }
}

/// Drops the observation counts of resources that are no longer held.
pub(super) fn forget_sights(state: &State, heartbeats: &Heartbeats) {
    heartbeats.keep_sights(|key| state.plugin(key.plugin.as_str()).is_some_and(|record| record.holds(&key.slot())));
}
