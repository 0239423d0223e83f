//! The rules that derive findings from claims and observations. Pure.

use jiff::{SignedDuration, Timestamp};

use super::document::Record;
pub(crate) use super::finding::{Finding, FindingKind, Looks};
pub(crate) use super::holder::Holder;
use super::holdings::Holding;
use super::observation::{Observation, ObservedState};
use super::resource::ResourceKind;
use crate::lease::LeaseState;

/// How long a difference must last before it is a finding. A longer time reports too late. A shorter one reports
/// passing states, such as a restart of an application.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How many observations must agree before they make a finding.
pub const SIGHTINGS: u32 = 2;

/// A time further ahead than this was written by a clock that was wrong. It does not delay a finding.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// When a difference that began at a time has lasted long enough.
fn due_after(since: Timestamp, now: Timestamp) -> Timestamp {
    if since.duration_since(now) > AHEAD { now } else { since.saturating_add(GRACE).unwrap_or(Timestamp::MAX) }
}

/// The judgement of a resource at a moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// The resource has this finding.
    Found(Finding),
    /// The resource has no finding.
    Nothing,
    /// The resource was left behind and has ended: nothing is left to say about it.
    Ended,
    /// Not decidable yet: judge again at this time, or after the next observation. An earlier finding stays.
    Wait(Option<Timestamp>),
}

/// A resource with all inputs to its judgement.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The plugin.
    pub record: &'a Record,
    /// The resource.
    pub held: &'a Holding<'a>,
    /// The counts of its observations.
    pub looks: Looks,
    /// The application process that claimed it.
    pub holder: Holder<'a>,
}

impl Case<'_> {
    /// Judges the case at a time.
    pub fn judge(&self, now: Timestamp) -> Judgement {
        match self.held.observation() {
            Some(seen) if seen.state.is_end() => self.ended(seen, now),
            observation => self.standing(observation, now),
        }
    }

    /// The resource was seen gone, or replaced by another one.
    fn ended(&self, seen: &Observation, now: Timestamp) -> Judgement {
        if self.held.left().is_some() {
            return self.ended_after_it_was_left(seen, now);
        }
        if !self.held.may_run() {
            // The plugin does not claim that it exists.
            return Judgement::Nothing;
        }
        let kind = if seen.state == ObservedState::Gone { FindingKind::Ghost } else { FindingKind::Reused };
        // A finding from before a restart already had enough observations.
        if self.stands(kind) {
            return Judgement::Found(self.finding(kind, seen.since));
        }
        if self.looks.sightings < SIGHTINGS {
            return Judgement::Wait(None);
        }
        self.after_grace(kind, seen.since, now)
    }

    fn ended_after_it_was_left(&self, seen: &Observation, now: Timestamp) -> Judgement {
        let due = due_after(seen.since, now);
        match self.looks.sightings {
            0 | 1 => Judgement::Wait(None),
            _ if due <= now => Judgement::Ended,
            _ => Judgement::Wait(Some(due)),
        }
    }

    /// The resource was not seen to have ended.
    fn standing(&self, seen: Option<&Observation>, now: Timestamp) -> Judgement {
        let alive = seen.is_some_and(|seen| seen.state == ObservedState::Alive);
        if let Some(since) = self.orphaned_since(alive).filter(|_| alive || self.held.may_run()) {
            if alive && self.looks.sightings < SIGHTINGS && !self.stands(FindingKind::Orphan) {
                return Judgement::Wait(None);
            }
            return self.after_grace(FindingKind::Orphan, since, now);
        }
        let expiry = self.held.claim.expiry.filter(|_| alive || self.held.may_run());
        if let Some(expiry) = expiry.filter(|expiry| expiry.at <= now) {
            return Judgement::Found(self.finding(FindingKind::Overdue, expiry.at));
        }
        match seen {
            Some(seen) if !alive && self.held.may_run() => self.after_grace(FindingKind::Unverified, seen.since, now),
            _ => Judgement::Nothing,
        }
    }

    /// Since when nothing that is known to live has held the resource.
    fn orphaned_since(&self, alive: bool) -> Option<Timestamp> {
        let lost = match self.holder {
            Holder::Lease(lease, _) if lease.state == LeaseState::Lost => Some(lease.since),
            Holder::None => self.abandoned_since(alive),
            Holder::Unknown | Holder::Lease(..) => None,
        };
        [lost, self.held.left().map(|left| left.at)].into_iter().flatten().min()
    }

    /// Since when no process looks after a process without a lease. A probe that cannot see the process ends no finding.
    fn abandoned_since(&self, alive: bool) -> Option<Timestamp> {
        let abandoned = self.held.observation()?.abandoned.as_ref();
        abandoned.filter(|_| alive || self.stands(FindingKind::Orphan)).map(|abandoned| abandoned.since)
    }

    fn after_grace(&self, kind: FindingKind, since: Timestamp, now: Timestamp) -> Judgement {
        let due = due_after(since, now);
        if due <= now || self.stands(kind) {
            Judgement::Found(self.finding(kind, since))
        } else {
            Judgement::Wait(Some(due))
        }
    }

    fn stands(&self, kind: FindingKind) -> bool {
        self.raised().is_some_and(|finding| finding.finding == kind)
    }

    /// The earlier finding.
    pub fn raised(&self) -> Option<&Finding> {
        self.held.facts.and_then(|facts| facts.finding.as_ref())
    }

    fn finding(&self, kind: FindingKind, since: Timestamp) -> Finding {
        match self.raised() {
            Some(raised) if raised.finding == kind => raised.clone(),
            _ => Finding { finding: kind, since, evidence: self.evidence().into(), cost: None },
        }
    }

    /// The evidence, in words.
    fn evidence(&self) -> String {
        let slot = &self.held.slot;
        let place = match (slot.kind, self.held.host) {
            (ResourceKind::Remote, _) => String::new(),
            (_, Some(host)) => format!(" on {host}"),
            (_, None) => " (no host)".into(),
        };
        let (kind, id, plugin) = (slot.kind.as_str(), &slot.id, &self.record.unique_id);
        let claim = match self.held.left() {
            None => format!("{kind} {id}{place} is claimed by {plugin}"),
            Some(left) => {
                let since = self.held.claim.held_since;
                format!("{kind} {id}{place} was claimed by {plugin} since {since}, and {}", left.in_words())
            }
        };
        let seen = match self.held.observation() {
            None => "it was never observed".to_owned(),
            Some(seen) => {
                let detail = seen.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                let last = self.looks.last.map(|last| format!(", last observed at {last}")).unwrap_or_default();
                format!("{} since {}{last}, observed by {}{detail}", seen.state.as_str(), seen.since, seen.by)
            }
        };
        let holder = match self.holder {
            Holder::None => "its holder has no lease".to_owned(),
            Holder::Unknown => "its holder names an unknown lease".to_owned(),
            Holder::Lease(lease, renewed) => {
                let host = lease.host.as_deref().map(|host| format!(" on {host}")).unwrap_or_default();
                let (holder, state) = (&lease.holder, lease.state.as_str());
                let last = if renewed == lease.since { String::new() } else { format!(", last renewed at {renewed}") };
                format!("its holder {holder}{host} has been {state} since {}{last}", lease.since)
            }
        };
        let abandoned = self.held.observation().and_then(|seen| seen.abandoned.as_ref());
        let abandoned = abandoned.map(|why| format!("; {}, first seen so at {}", why.evidence, why.since));
        let expiry = self.held.claim.expiry.map(|expiry| format!("; it is meant to be held until {}", expiry.at));
        format!("{claim}; {seen}; {holder}{}{}", abandoned.unwrap_or_default(), expiry.unwrap_or_default())
    }
}

/// The finding of a resource in a list: the raised one, or that it was never observed.
pub(crate) fn shown(held: &Holding<'_>) -> Option<FindingKind> {
    let finding = held.facts.and_then(|facts| facts.finding.as_ref()).map(|finding| finding.finding);
    finding.or((held.observation().is_none() && held.may_run()).then_some(FindingKind::Unverified))
}

/// The shown finding, unless a client has acknowledged it.
pub(crate) fn open(held: &Holding<'_>) -> Option<FindingKind> {
    shown(held).filter(|finding| !held.facts.is_some_and(|facts| facts.acknowledges(*finding)))
}

/// The evidence of a resource that was never observed, in words.
pub(crate) fn unseen(held: &Holding<'_>, record: &Record, holder: Holder<'_>) -> String {
    Case { record, held, looks: Looks::default(), holder }.evidence()
}

/// All findings of a plugin that no client has acknowledged.
pub(crate) fn open_of(record: &Record) -> impl Iterator<Item = FindingKind> + '_ {
    record.held().filter_map(|held| open(&held))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lease::{Lease, LeaseId, LeaseTerms};
    use crate::plugin::Registration;
    use crate::record::holdings::{Fact, Holdings};
    use crate::record::observation::Abandoned;
    use crate::revision::Revision;

    /// Seconds since the lease was granted.
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn observation(state: ObservedState, since: i64) -> Observation {
        let by = "agent".into();
        Observation {
            state,
            since: at(since),
            by,
            detail: None,
            identity: None,
            last_alive: None,
            parent: None,
            abandoned: None,
        }
    }

    fn record(status: &str) -> Record {
        let body = json!({
            "name": "n", "category": "c", "title": "T", "config_schema": {}, "host": "h", "lease_id": "one",
            "remote_resource": {"provider": "aws", "instance_id": "i-1", "status": status},
        });
        let plugin = Registration::read(body).unwrap().applied_to(None);
        Record::holding(plugin.into(), None, Revision(1), (at(0), at(0)), Holdings::default())
    }

    /// Not decidable yet.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct NotYet;

    /// The finding at second 100 of a remote resource of this status.
    fn found(
        status: &str,
        seen: Option<(ObservedState, i64)>,
        sightings: u32,
        lease: Option<(LeaseState, i64)>,
        raised: Option<FindingKind>,
    ) -> Result<Option<FindingKind>, NotYet> {
        let mut record = record(status);
        let slot = record.held().next().unwrap().slot;
        let finding = raised.map(|finding| Finding { finding, since: at(1), evidence: "as it was".into(), cost: None });
        let observation = seen.map(|(state, since)| observation(state, since));
        let seen = observation.iter().map(|seen| (&slot, Fact::Seen(seen)));
        record.holdings = record.holdings.with(seen.chain([(&slot, Fact::Found(finding.as_ref()))]));
        let held = record.held().next().unwrap();
        let lease = lease.map(|(state, since)| {
            let terms = LeaseTerms { holder: "app".into(), host: None, ttl_seconds: 30, on_gone: None };
            Lease::granted(LeaseId::named("one"), &terms, at(0), Revision(1)).turned(state, at(since), Revision(2))
        });
        let holder = lease.as_ref().map_or(Holder::Unknown, |lease| Holder::Lease(lease, at(0)));
        let looks = Looks { sightings, last: Some(at(99)) };
        let case = Case { record: &record, held: &held, looks, holder };
        match case.judge(at(100)) {
            Judgement::Found(finding) => {
                assert_eq!(raised == Some(finding.finding), &*finding.evidence == "as it was", "{finding:?}");
                Ok(Some(finding.finding))
            }
            Judgement::Nothing | Judgement::Ended => Ok(None),
            Judgement::Wait(_) => Err(NotYet),
        }
    }

    /// The finding at second 100 of a process without a lease, that was handed to another process at second `since`.
    fn of_abandoned(
        state: ObservedState,
        since: Option<i64>,
        sightings: u32,
        holder: Holder<'_>,
        raised: Option<FindingKind>,
    ) -> Result<Option<Finding>, NotYet> {
        let body = json!({"name": "n", "category": "c", "title": "T", "config_schema": {}, "spawned_pids": [7]});
        let plugin = Registration::read(body).unwrap().applied_to(None);
        let mut record = Record::holding(plugin.into(), None, Revision(1), (at(0), at(0)), Holdings::default());
        let slot = record.held().next().unwrap().slot;
        let evidence: Box<str> = "its parent 4711 `python app.py` has ended".into();
        let mut seen = observation(state, 50);
        seen.abandoned = since.map(|since| Abandoned { since: at(since), evidence });
        let finding = raised.map(|finding| Finding { finding, since: at(1), evidence: "as it was".into(), cost: None });
        record.holdings = record.holdings.with([(&slot, Fact::Seen(&seen)), (&slot, Fact::Found(finding.as_ref()))]);
        let held = record.held().next().unwrap();
        let looks = Looks { sightings, last: Some(at(99)) };
        match (Case { record: &record, held: &held, looks, holder }).judge(at(100)) {
            Judgement::Found(finding) => Ok(Some(finding)),
            Judgement::Nothing | Judgement::Ended => Ok(None),
            Judgement::Wait(_) => Err(NotYet),
        }
    }

    #[test]
    fn a_process_without_a_lease_is_an_orphan_once_its_parent_has_ended() {
        use FindingKind::{Orphan, Unverified};
        use ObservedState::{Alive, Unknown};
        let terms = LeaseTerms { holder: "app".into(), host: None, ttl_seconds: 30, on_gone: None };
        let lease = Lease::granted(LeaseId::named("one"), &terms, at(0), Revision(1));
        let (none, active) = (Holder::None, Holder::Lease(&lease, at(99)));
        for (state, since, sightings, holder, raised, expected) in [
            (Alive, Some(90), 2, none, None, Ok(Some(Orphan))),
            (Alive, Some(91), 2, none, None, Err(NotYet)),
            (Alive, Some(50), 1, none, None, Err(NotYet)),
            // After a restart of the registry.
            (Alive, Some(50), 0, none, Some(Orphan), Ok(Some(Orphan))),
            (Unknown, Some(50), 1, none, Some(Orphan), Ok(Some(Orphan))),
            (Unknown, Some(50), 1, none, None, Ok(Some(Unverified))),
            (Alive, None, 2, none, Some(Orphan), Ok(None)),
            // The application renews its lease, so it looks after the process.
            (Alive, Some(50), 2, active, None, Ok(None)),
            (Alive, Some(50), 2, Holder::Unknown, None, Ok(None)),
        ] {
            let found = of_abandoned(state, since, sightings, holder, raised);
            let kind = found.clone().map(|found| found.map(|finding| finding.finding));
            assert_eq!(kind, expected, "{state:?}, since {since:?}, seen {sightings} times, {holder:?}, {raised:?}");
            if let (Ok(Some(finding)), None, Alive) = (found, raised, state) {
                assert!(finding.evidence.contains("its parent 4711 `python app.py` has ended"), "{finding:?}");
            }
        }
    }

    #[test]
    fn claimed_and_seen_side_by_side() {
        use FindingKind::{Ghost, Orphan, Reused, Unverified};
        use LeaseState::{Active, Lost, Released};
        use ObservedState::{Alive, Gone, Unknown, Unreachable};
        let (nothing, not_yet) = (Ok(None), Err(NotYet));
        let is = |kind| Ok(Some(kind));
        let old = Some((Lost, 50));
        for (status, seen, sightings, lease, raised, expected) in [
            // Seen gone: twice, and for 10 s.
            ("running", Some((Gone, 90)), 2, None, None, is(Ghost)),
            ("running", Some((Gone, 91)), 2, None, None, not_yet),
            ("running", Some((Gone, 50)), 1, None, None, not_yet),
            ("running", Some((Gone, 50)), 0, None, Some(Ghost), is(Ghost)),
            ("running", Some((ObservedState::Reused, 50)), 2, None, None, is(Reused)),
            ("stopped", Some((Gone, 50)), 2, None, None, nothing),
            // … whatever the state of the holder.
            ("running", Some((Gone, 50)), 2, old, Some(Orphan), is(Ghost)),
            ("running", Some((Gone, 50)), 1, old, Some(Orphan), not_yet),
            // The holder has been lost for 10 s, and the resource was seen alive twice.
            ("running", Some((Alive, 50)), 2, old, None, is(Orphan)),
            ("running", Some((Alive, 50)), 1, old, None, not_yet),
            ("running", Some((Alive, 50)), 1, old, Some(Orphan), is(Orphan)),
            ("running", Some((Alive, 50)), 2, Some((Lost, 91)), None, not_yet),
            ("running", None, 0, old, None, is(Orphan)),
            ("unknown", None, 0, old, None, is(Orphan)),
            ("stopped", None, 0, old, None, nothing),
            ("stopped", Some((Alive, 50)), 2, old, None, is(Orphan)),
            ("running", Some((Unknown, 50)), 1, old, None, is(Orphan)),
            // The holder is alive, or has ended cleanly.
            ("running", Some((Alive, 50)), 2, Some((Active, 0)), Some(Orphan), nothing),
            ("running", Some((Alive, 50)), 2, Some((Released, 50)), None, nothing),
            ("running", Some((Unknown, 90)), 1, Some((Active, 0)), None, is(Unverified)),
            ("running", Some((Unreachable, 95)), 9, None, None, not_yet),
            ("stopped", Some((Unknown, 50)), 1, None, None, nothing),
        ] {
            let told = found(status, seen, sightings, lease, raised);
            assert_eq!(told, expected, "{status}, {seen:?} seen {sightings} times, {lease:?}, {raised:?}");
        }
    }
}
