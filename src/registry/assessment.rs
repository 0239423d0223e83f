//! One assessment of all resources: stale observations, new findings, and findings that are no longer true. Pure except
//! for the heartbeats that it reads.

use jiff::Timestamp;

use super::heartbeats::{Heartbeats, STALE};
use super::on_gone::OnGone;
use domain::command::Command;
use domain::command::request::{BasedOn, ProbeResult};
use domain::cost::version::is_unpriced;
use domain::index::IndexKey;
use domain::plugin::UniqueId;
use domain::record::finding_rules::{Case, Judgement};
use domain::record::resource::holdings_of;
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
    /// When the next assessment is due if nothing happens before.
    pub due: Timestamp,
}

/// The changes to one plugin.
#[derive(Default)]
struct Action {
    stale: Vec<ProbeResult>,
    cleared: Vec<Slot>,
    found: Vec<FindingChange>,
    gone: Vec<Slot>,
}

impl AssessmentPass {
    /// Assesses all resources.
    pub(super) fn at(state: &State, heartbeats: &Heartbeats, now: Timestamp, on_gone: OnGone) -> AssessmentPass {
        let mut round = AssessmentPass { commands: Vec::new(), due: Timestamp::MAX };
        let holding = state.having(&IndexKey::Holding).into_iter().flat_map(|records| records.values());
        for record in holding {
            let mut holder = state.holder_of(&record.plugin);
            let is_lost = matches!(holder, Holder::Lease(lease, _) if lease.state == LeaseState::Lost);
            // The common case: the plugin has no observations, and its holder is not lost.
            if record.observed.is_empty() && !is_lost {
                continue;
            }
            if let Holder::Lease(lease, renewed) = &mut holder {
                *renewed = heartbeats.renewed(lease);
            }
            let mut deed = Action::default();
            for held in holdings_of(&record.plugin) {
                round.judge(record, held, holder, heartbeats, now, on_gone, &mut deed);
            }
            for found in deed.found.iter_mut().filter(|found| found.slot.kind == ResourceKind::Remote) {
                found.finding.cost = money_of(state, record, now);
            }
            let ground = BasedOn {
                plugin: record.revision,
                lease: match holder {
                    Holder::Lease(lease, _) => Some(lease.revision),
                    Holder::None | Holder::Unknown => None,
                },
            };
            round.commands.extend(deed.command(&record.unique_id, ground));
        }
        round
    }

    #[expect(clippy::too_many_arguments, reason = "a case is these things, at a time")]
    fn judge(
        &mut self,
        record: &Record,
        held: Holding<'_>,
        holder: Holder<'_>,
        heartbeats: &Heartbeats,
        now: Timestamp,
        on_gone: OnGone,
        deed: &mut Action,
    ) {
        let slot = held.slot();
        let facts = record.observed.get(&slot);
        let observation = facts.and_then(|facts| facts.observation.as_ref());
        let key = ResourceKey { plugin: record.unique_id.clone(), kind: slot.kind, id: slot.id.clone() };
        let looks = observation.map(|seen| heartbeats.looks(&key, seen.state)).unwrap_or_default();
        if let Some(seen) = observation.filter(|seen| grows_stale(slot.kind, seen.state)) {
            let fresh = heartbeats.fresh_at(&key, seen.state, &seen.by).max(seen.since);
            let stale = fresh.saturating_add(STALE).unwrap_or(Timestamp::MAX);
            if stale <= now {
                deed.stale.push(stale_look(slot, seen, fresh, now));
                return;
            }
            self.due = self.due.min(stale);
        }
        let case = Case { record, held, facts, looks, holder };
        match case.judge(now) {
            Judgement::Found(finding) if case.raised() == Some(&finding) => {
                let is_ghost = observation.is_some_and(|seen| seen.state == ObservedState::Gone);
                if on_gone == OnGone::Prune && is_ghost {
                    deed.gone.push(slot);
                }
            }
            Judgement::Found(finding) => deed.found.push(FindingChange { slot, finding }),
            Judgement::Nothing if case.raised().is_some() => deed.cleared.push(slot),
            Judgement::Nothing | Judgement::Wait(None) => {}
            Judgement::Wait(Some(due)) => self.due = self.due.min(due),
        }
    }
}

/// The cost of a plugin up to a time, minimum and maximum, if it has a price.
fn money_of(state: &State, record: &Record, now: Timestamp) -> Option<[MicroUsd; 2]> {
    let Spend { low, high } = state.accrued(record, now);
    (!is_unpriced(&record.plugin)).then_some([low, high])
}

impl Action {
    /// One command at a time, because the next one would depend on the result of this one.
    fn command(self, id: &UniqueId, ground: BasedOn) -> Option<Command> {
        let id = id.clone();
        let Action { stale, cleared, found, gone } = self;
        if !stale.is_empty() {
            Some(Command::Observe { id, by: OURSELVES.into(), sightings: stale })
        } else if !cleared.is_empty() {
            Some(Command::ClearFindings { id, ground, slots: cleared })
        } else if !found.is_empty() {
            Some(Command::RaiseFindings { id, ground, findings: found })
        } else if !gone.is_empty() {
            Some(Command::DropGone { id, slots: gone })
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
