//! The state that a replay of the journal produces. Pure: the same changes produce the same state in every process.

use std::sync::Arc;

use jiff::Timestamp;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use crate::active_leases::ActiveLeases;
use crate::change::{Change, ConfigChange, Event, HoldingAct, Step, Transition};
use crate::cost::Ledger;
use crate::index::{IndexKey, Indexes, Records};
use crate::lease::{Lease, LeaseAct, LeaseId, LeaseState};
use crate::plugin::{Name, UniqueId};
use crate::record::holding_rules::{Succession, succeed};
use crate::record::holdings::Fact;
use crate::record::stop::{StopAnswer, StopRequest};
use crate::record::{Acknowledgement, Claim, Expiry, Holder, Holdings, Record, Slot, Stop};
use crate::revision::Revision;

/// The whole registry at one revision. Cheap to clone: states share their parts.
#[derive(Debug, Clone)]
pub struct State {
    revision: Revision,
    at: Timestamp,
    plugins: Records,
    /// The same records by hash: a look-up takes 3 steps here, and 17 in the ordered map.
    by_id: HashTrieMapSync<UniqueId, Arc<Record>>,
    indexes: Indexes,
    categories: RedBlackTreeMapSync<Name, Category>,
    pub(crate) ledger: Ledger,
    leases: Leases,
    active_leases: ActiveLeases,
    /// The bytes of all records and categories together.
    bytes: u64,
}

/// The size of one plugin's accrual, in bytes. It stays after the plugin's removal.
const ACCRUAL_BYTES: u64 = 128;

/// The size of a category's display name, in bytes.
pub(crate) fn category_bytes(name: &Name, display_name: &str) -> u64 {
    (name.as_str().len() + display_name.len()) as u64
}

/// Leases by their ids.
pub type Leases = RedBlackTreeMapSync<LeaseId, Arc<Lease>>;

/// A category with a display name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// The display name.
    pub display_name: Box<str>,
    /// The newest change to it.
    pub revision: Revision,
}

impl Default for State {
    fn default() -> State {
        State {
            revision: Revision::default(),
            at: Timestamp::UNIX_EPOCH,
            plugins: Records::default(),
            by_id: HashTrieMapSync::default(),
            indexes: Indexes::default(),
            categories: RedBlackTreeMapSync::default(),
            ledger: Ledger::default(),
            leases: Leases::default(),
            active_leases: ActiveLeases::default(),
            bytes: 0,
        }
    }
}

impl State {
    /// A state from a store: its head, and its plugins and categories.
    pub fn restore(
        revision: Revision,
        at: Timestamp,
        records: impl IntoIterator<Item = Record>,
        categories: impl IntoIterator<Item = (Name, Category)>,
    ) -> State {
        let mut state = State { revision, at, ..State::default() };
        for record in records {
            state.set_plugin(&record.unique_id.clone(), Some(Arc::new(record)));
        }
        for (name, category) in categories {
            state.set_category(name, Some(category));
        }
        state
    }

    /// This state with a ledger from the store.
    #[must_use]
    pub fn with_ledger(self, ledger: Ledger) -> State {
        State { ledger, ..self }
    }

    /// This state with leases from the store.
    #[must_use]
    pub fn with_leases(mut self, leases: impl IntoIterator<Item = Lease>) -> State {
        for lease in leases {
            self.set_lease(&lease.id.clone(), Some(Arc::new(lease)));
        }
        self
    }

    /// Applies one change, and returns its effect. The change must be the next one: see [`Revision::next`].
    pub fn apply(&mut self, change: &Change) -> Step {
        let step = self.plan(change);
        self.apply_planned(change, &step);
        step
    }

    /// The effect of a change, without applying it.
    pub fn plan(&self, change: &Change) -> Step {
        match &change.event {
            Event::PluginPut { plugin, config, naming, .. } => {
                let before = self.by_id.get(&plugin.unique_id()).cloned();
                let config = match config {
                    ConfigChange::Kept => before.as_ref().and_then(|record| record.config.clone()),
                    ConfigChange::Saved(config) => Some(config.clone()),
                    ConfigChange::Deleted => None,
                };
                let created_at = before.as_ref().map_or(change.at, |record| record.created_at);
                let by = change.origin();
                let Succession { mut holdings, .. } = succeed(before.as_deref(), plugin, naming, change.at, &by);
                // A new document does not answer a request to stop.
                if let Some(stop) = before.as_ref().and_then(|record| record.holdings.stop()) {
                    holdings = holdings.with_stop(Some(Arc::clone(stop)));
                }
                let times = (created_at, change.at);
                let record = Record::holding(Arc::clone(plugin), config, change.revision, times, holdings);
                Step::Plugin { before, after: Some(Arc::new(record)) }
            }
            Event::PluginRemoved { id } => Step::Plugin { before: self.by_id.get(id).cloned(), after: None },
            Event::CategoryNamed { name, display_name } => {
                let before = self.categories.get(name).map(|category| category.display_name.clone());
                Step::Category { before, after: display_name.clone() }
            }
            Event::Budget { .. } => Step::Budget,
            Event::Lease { id, act } => self.plan_lease(change, id, act),
            Event::Holdings { id, act } => self.plan_act(change, id, act),
            Event::ResourcesObserved { id, seen } => {
                self.plan_facts(change, id, seen.iter().map(|seen| (&seen.slot, Fact::Seen(&seen.observation))))
            }
            Event::FindingsRaised { id, findings } => {
                let found = findings.iter().map(|found| (&found.slot, Fact::Found(Some(&found.finding))));
                self.plan_facts(change, id, found)
            }
            Event::FindingsCleared { id, slots } => {
                self.plan_facts(change, id, slots.iter().map(|slot| (slot, Fact::Found(None))))
            }
        }
    }

    /// Applies one change with its planned effect.
    pub fn apply_planned(&mut self, change: &Change, step: &Step) {
        debug_assert_eq!(change.revision, self.revision.next(), "changes are applied in order");
        self.set_head(change.revision, change.at);
        match (&change.event, step) {
            (_, Step::Plugin { before, after }) => {
                // A plugin that does not exist has no facts.
                if let Some(record) = after.as_ref().or(before.as_ref()) {
                    self.set_plugin(&record.unique_id, after.clone());
                    self.settle(before.as_deref(), after.as_deref());
                }
            }
            (Event::CategoryNamed { name, .. }, Step::Category { after, .. }) => {
                let named = |display_name| Category { display_name, revision: change.revision };
                self.set_category(name.clone(), after.clone().map(named));
            }
            (Event::Lease { id, .. }, Step::Lease { after, .. }) => self.set_lease(id, after.clone()),
            (Event::Budget { id, event }, _) => self.ledger.enter(id, event, change.at, change.revision),
            _ => debug_assert!(false, "the step belongs to the change"),
        }
    }

    /// Adds the cost of the version that this change ends.
    fn settle(&mut self, before: Option<&Record>, after: Option<&Record>) {
        if let Some(before) = before {
            self.ledger.close(before, after, self.at, self.revision);
        }
    }

    fn plan_lease(&self, change: &Change, id: &LeaseId, act: &LeaseAct) -> Step {
        let before = self.leases.get(id).cloned();
        let turned = |state| before.as_ref().map(|lease| lease.turned(state, change.at, change.revision));
        let after = match act {
            LeaseAct::Granted(terms, token) => {
                let lease = Lease::granted(id.clone(), terms, change.at, change.revision);
                Some(lease.to(change.principal.clone(), token.clone()))
            }
            LeaseAct::Expired => turned(LeaseState::Lost),
            LeaseAct::Revived => turned(LeaseState::Active),
            LeaseAct::Released => turned(LeaseState::Released),
            LeaseAct::Compacted => None,
        };
        Step::Lease { before, after: after.map(Arc::new) }
    }

    /// The holdings of a plugin after a change of them.
    fn plan_act(&self, change: &Change, id: &UniqueId, act: &HoldingAct) -> Step {
        let held = |slot: &Slot| self.by_id.get(id).map(|record| record.holdings.claim_of(slot));
        let facts: Vec<(&Slot, Fact<'_>)> = match act {
            // The change of the document has left them behind; a line in the history changes nothing else.
            HoldingAct::LeftBehind { .. } | HoldingAct::Noted { .. } => Vec::new(),
            HoldingAct::StopRequested { .. } | HoldingAct::StopAnswered { .. } => {
                let stop = self.by_id.get(id).and_then(|record| stop_after(record, act, change));
                return self.plan_holdings(change, id, |holdings| holdings.with_stop(stop.map(Arc::new)));
            }
            HoldingAct::Ended { slots, .. } | HoldingAct::Released { slots } => {
                slots.iter().map(|slot| (slot, Fact::Ended)).collect()
            }
            HoldingAct::ExpiresSoon { slots } => {
                let expiries = slots.iter().filter_map(|slot| Some((slot, held(slot)?.expiry?.at)));
                expiries.map(|(slot, at)| (slot, Fact::Warned(at))).collect()
            }
            HoldingAct::ExpirySet { slot, expires_at } => {
                let expiry = expires_at.map(|at| Expiry { at, set_at: change.at });
                let claim = held(slot).map(|claim| Arc::new(Claim { expiry, ..Claim::clone(&claim) }));
                claim.into_iter().map(|claim| (slot, Fact::Claimed(claim))).collect()
            }
            HoldingAct::Acknowledged { slot, finding, reason, until } => {
                let (reason, by) = (reason.clone(), change.origin());
                let made = Acknowledgement { finding: *finding, reason, until: *until, at: change.at, by };
                vec![(slot, Fact::Acknowledged(Some(made)))]
            }
            HoldingAct::Unacknowledged { slots } => slots.iter().map(|slot| (slot, Fact::Acknowledged(None))).collect(),
        };
        self.plan_facts(change, id, facts.into_iter())
    }

    /// The facts about a plugin's resources after a change; none for a removed plugin.
    fn plan_facts<'a>(
        &self,
        change: &Change,
        id: &UniqueId,
        facts: impl Iterator<Item = (&'a Slot, Fact<'a>)>,
    ) -> Step {
        self.plan_holdings(change, id, |holdings| holdings.with(facts))
    }

    /// A plugin after a change of its holdings; none for a removed plugin.
    fn plan_holdings(&self, change: &Change, id: &UniqueId, to: impl FnOnce(&Holdings) -> Holdings) -> Step {
        let Some(before) = self.by_id.get(id).cloned() else { return Step::Plugin { before: None, after: None } };
        let (plugin, config, times) =
            (Arc::clone(&before.plugin), before.config.clone(), (before.created_at, change.at));
        let record = Record::holding(plugin, config, change.revision, times, to(&before.holdings));
        Step::Plugin { before: Some(before), after: Some(Arc::new(record)) }
    }

    /// Sets or removes the lease of an id.
    pub(crate) fn set_lease(&mut self, id: &LeaseId, lease: Option<Arc<Lease>>) {
        self.active_leases.replace(self.leases.get(id).map(|lease| &**lease), lease.as_deref());
        match lease {
            Some(lease) => self.leases.insert_mut(id.clone(), lease),
            None => drop(self.leases.remove_mut(id)),
        }
    }

    /// Sets or removes the record of an id; returns the previous one.
    pub(crate) fn set_plugin(&mut self, id: &UniqueId, record: Option<Arc<Record>>) -> Option<Arc<Record>> {
        let before = self.by_id.get(id).cloned();
        self.bytes += record.as_ref().map_or(0, |record| record.bytes());
        self.bytes -= before.as_ref().map_or(0, |record| record.bytes());
        self.indexes.replace(before.as_deref(), record.as_ref());
        if let Some(record) = record {
            self.by_id.insert_mut(id.clone(), Arc::clone(&record));
            self.plugins.insert_mut(id.clone(), record);
        } else {
            self.by_id.remove_mut(id);
            self.plugins.remove_mut(id);
        }
        before
    }

    /// Sets or removes a category's display name.
    pub(crate) fn set_category(&mut self, name: Name, category: Option<Category>) {
        let bytes = |category: &Category| category_bytes(&name, &category.display_name);
        self.bytes += category.as_ref().map_or(0, bytes);
        self.bytes -= self.categories.get(&name).map_or(0, bytes);
        match category {
            Some(category) => self.categories.insert_mut(name, category),
            None => drop(self.categories.remove_mut(&name)),
        }
    }

    /// Sets the revision and its time.
    pub(crate) fn set_head(&mut self, revision: Revision, at: Timestamp) {
        self.revision = revision;
        self.at = at;
    }

    /// The revision of its newest change.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The time of its newest change.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The plugin of an id.
    pub fn plugin(&self, id: &str) -> Option<&Arc<Record>> {
        self.by_id.get(id)
    }

    /// Every plugin, in the order of the ids.
    pub fn plugins(&self) -> &Records {
        &self.plugins
    }

    /// The bytes of clients' data: documents of plugins as shown, their configurations, names of categories, and
    /// accruals. Memory use is a multiple.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.ledger.accruals().size() as u64 * ACCRUAL_BYTES
    }

    /// The plugins with a property; `None` if there are none.
    pub fn having(&self, key: &IndexKey) -> Option<&Records> {
        self.indexes.get(key)
    }

    /// The indexes.
    pub fn indexes(&self) -> &Indexes {
        &self.indexes
    }

    /// The categories with a display name.
    pub fn named_categories(&self) -> &RedBlackTreeMapSync<Name, Category> {
        &self.categories
    }

    /// Every lease, in the order of the ids.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// How many leases are active.
    pub fn active_leases(&self) -> &ActiveLeases {
        &self.active_leases
    }

    /// The lease of an id.
    pub fn lease(&self, id: &str) -> Option<&Arc<Lease>> {
        self.leases.get(id)
    }

    /// The application process that claimed a resource.
    pub fn holder_of(&self, claim: &Claim) -> Holder<'_> {
        match &claim.lease_id {
            None => Holder::None,
            Some(id) => self.lease(id.as_str()).map_or(Holder::Unknown, |lease| Holder::Lease(lease, lease.since)),
        }
    }

    /// The newest change to the plugin of an id.
    pub fn revision_of(&self, id: &UniqueId) -> Option<Revision> {
        self.by_id.get(id).map(|record| record.revision)
    }
}

impl State {
    /// Applies consecutive changes, and returns their effects.
    pub fn advance(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Arc<Transition>> {
        let made = changes.into_iter().map(|change| {
            let step = self.apply(&change);
            Arc::new(Transition::new(change, step))
        });
        made.collect()
    }
}

/// The request to stop a plugin, and its answer, after a change of them.
fn stop_after(record: &Record, act: &HoldingAct, change: &Change) -> Option<Stop> {
    let (at, by) = (change.at, change.origin());
    match act {
        HoldingAct::StopRequested { request } => {
            Some(Stop { request: StopRequest { terms: request.clone(), at, by }, answer: None })
        }
        HoldingAct::StopAnswered { answer } => {
            let stop = Stop::clone(record.holdings.stop()?);
            Some(Stop { answer: Some(StopAnswer { terms: answer.clone(), at, by }), ..stop })
        }
        _ => record.holdings.stop().map(|stop| Stop::clone(stop)),
    }
}

/// Two states are equal if and only if all their responses are equal.
impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.revision == other.revision
            && self.at == other.at
            && self.plugins == other.plugins
            && self.categories == other.categories
            && self.ledger == other.ledger
            && self.leases == other.leases
    }
}
