//! One judgement of everything that is held: what has grown stale, what is found, what is found no more. Pure but for
//! the signs of life that it reads.

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

/// Who says that nobody has looked for too long.
const OURSELVES: &str = "plugin-registry";

/// What a judgement comes to.
pub(super) struct AssessmentPass {
    /// What is to be done; at most one for each plugin.
    pub commands: Vec<Command>,
    /// When the next judgement is due, if nothing happens before.
    pub due: Timestamp,
}

/// What is to be done about one plugin.
#[derive(Default)]
struct Action {
    stale: Vec<ProbeResult>,
    cleared: Vec<Slot>,
    found: Vec<FindingChange>,
    gone: Vec<Slot>,
}

impl AssessmentPass {
    /// Judges everything that is held.
    pub(super) fn at(state: &State, heartbeats: &Heartbeats, now: Timestamp, on_gone: OnGone) -> AssessmentPass {
        let mut round = AssessmentPass { commands: Vec::new(), due: Timestamp::MAX };
        let holding = state.having(&IndexKey::Holding).into_iter().flat_map(|records| records.values());
        for record in holding {
            let mut holder = state.holder_of(&record.plugin);
            let is_lost = matches!(holder, Holder::Lease(lease, _) if lease.state == LeaseState::Lost);
            // Nobody has looked, and nobody is lost: as it is with most.
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

/// What a plugin has cost up to a time, at least and at most, if its price is known.
fn money_of(state: &State, record: &Record, now: Timestamp) -> Option<[MicroUsd; 2]> {
    let Spend { low, high } = state.accrued(record, now);
    (!is_unpriced(&record.plugin)).then_some([low, high])
}

impl Action {
    /// One command at a time: the next one would rest on what this one changes.
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

/// Whether it can become another without anybody having seen it. A process that has ended does not come back, and a
/// number that is somebody else's stays so.
fn grows_stale(kind: ResourceKind, state: ObservedState) -> bool {
    match state {
        ObservedState::Alive | ObservedState::Unreachable => true,
        ObservedState::Gone | ObservedState::Reused => kind != ResourceKind::Process,
        ObservedState::Unknown => false,
    }
}

fn stale_look(slot: Slot, seen: &Observation, fresh: Timestamp, now: Timestamp) -> ProbeResult {
    let detail = format!("{} has not looked since {fresh}; it was {} then", seen.by, seen.state.as_str());
    ProbeResult {
        slot,
        state: ObservedState::Unknown,
        at: now,
        detail: Some(detail.into()),
        identity: None,
        last_alive: None,
    }
}

/// Forgets the looks at what is not held any more.
pub(super) fn forget_sights(state: &State, heartbeats: &Heartbeats) {
    heartbeats.keep_sights(|key| state.plugin(key.plugin.as_str()).is_some_and(|record| record.holds(&key.slot())));
}
