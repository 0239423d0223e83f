//! Any order of leases, observations, restarts and clock jumps: a resource never seen gone is never dropped, and a
//! finding needs two observations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::cases;
use crate::harness::simulated_server::new_clock;
use domain::change::Change;
use domain::command::answer_quota::AnswerQuota;
use domain::command::idempotency::KeptAnswer;
use domain::command::{Caller, Command, Request};
use domain::lease::OnGone;
use domain::plugin::{Registration, UniqueId};
use domain::record::{FindingKind, ObservedState, ReportedObservation, ResourceKey, ResourceKind};
use domain::{LeaseId, LeaseTerms, Revision, Snapshot, State};
use plugin_registry::clock::{Clock as _, ManualClock};
use plugin_registry::registry::{Registry, Sweeper};
use plugin_registry::store::heartbeats::HeartbeatStore;
use plugin_registry::store::hours::PassedHours;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::{Batch, History, Journal, StoreError, TokenStore, WebhookStore};

/// The processes that the plugin holds at first.
const PIDS: [u32; 3] = [7, 8, 9];

/// A step of the test.
#[derive(Debug, Clone)]
enum Happening {
    /// This many seconds pass, with passes over the registry.
    Passes(i64),
    /// The clock jumps by this many seconds.
    ClockIsSet(i64),
    /// A process is observed in a state.
    Seen(u32, ObservedState),
    Renewed,
    Released,
    Granted,
    /// The application starts again: it takes a lease, and names these processes only.
    Began(Vec<u32>),
    /// A client releases a process by name.
    ReleasedByName(u32),
    /// The registry stops, and starts again this many seconds later.
    Restarted(i64),
}

fn happenings() -> impl Strategy<Value = Happening> {
    let states = select(ObservedState::ALL.to_vec());
    prop_oneof![
        4 => (1_i64..200).prop_map(Happening::Passes),
        1 => (-4000_i64..4000).prop_map(Happening::ClockIsSet),
        8 => (select(PIDS.to_vec()), states).prop_map(|(pid, state)| Happening::Seen(pid, state)),
        2 => Just(Happening::Renewed),
        1 => Just(Happening::Released),
        1 => Just(Happening::Granted),
        2 => prop::collection::vec(select(PIDS.to_vec()), 0..3).prop_map(Happening::Began),
        1 => select(PIDS.to_vec()).prop_map(Happening::ReleasedByName),
        2 => (0_i64..4000).prop_map(Happening::Restarted),
    ]
}

/// A journal that outlives the registry on it.
#[derive(Clone)]
struct Surviving(Arc<Mutex<MemoryJournal>>);

impl Journal for Surviving {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.0.lock().unwrap().load()
    }

    fn begin(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.0.lock().unwrap().begin(known)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), StoreError> {
        self.0.lock().unwrap().commit(batch)
    }

    fn roll_back(&mut self) {
        self.0.lock().unwrap().roll_back();
    }

    fn foreign_changes(&mut self, known: &State) -> Result<Vec<Change>, StoreError> {
        self.0.lock().unwrap().foreign_changes(known)
    }

    fn read(&mut self, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.0.lock().unwrap().read(after, limit)
    }

    fn answers(&mut self, keys: &[&str]) -> Result<Vec<KeptAnswer>, StoreError> {
        self.0.lock().unwrap().answers(keys)
    }

    fn forget_answers(&mut self, before: u64, limit: usize) -> Result<(), StoreError> {
        self.0.lock().unwrap().forget_answers(before, limit)
    }

    fn bound_answers(&mut self, quota: AnswerQuota, limit: usize) -> Result<usize, StoreError> {
        self.0.lock().unwrap().bound_answers(quota, limit)
    }

    fn compact(&mut self, compact_revision: Revision, steps: usize) -> Result<Revision, StoreError> {
        self.0.lock().unwrap().compact(compact_revision, steps)
    }

    fn history(&self) -> Arc<dyn History> {
        self.0.lock().unwrap().history()
    }

    fn webhooks(&self) -> Arc<dyn WebhookStore> {
        self.0.lock().unwrap().webhooks()
    }

    fn hour(&mut self) -> Result<u64, StoreError> {
        self.0.lock().unwrap().hour()
    }

    fn pass_hours(&mut self, passed: &PassedHours) -> Result<u64, StoreError> {
        self.0.lock().unwrap().pass_hours(passed)
    }

    fn revision_at_hour(&mut self, hour: u64) -> Result<Revision, StoreError> {
        self.0.lock().unwrap().revision_at_hour(hour)
    }

    fn heartbeat_store(&self) -> Arc<dyn HeartbeatStore> {
        self.0.lock().unwrap().heartbeat_store()
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        self.0.lock().unwrap().tokens()
    }

    fn close(&mut self) {}
}

/// A registry with `--on-gone prune`, and the observations of one plugin's processes.
struct World {
    journal: Surviving,
    clock: Arc<ManualClock>,
    registry: Registry,
    sweeper: Sweeper,
    lease: LeaseId,
    seen: BTreeMap<u32, Vec<ObservedState>>,
    /// Released by name, and not named since.
    released: BTreeSet<u32>,
    /// Not in the newest registration.
    unnamed: BTreeSet<u32>,
    /// Not held at the last check.
    unheld: BTreeSet<u32>,
}

impl World {
    async fn new() -> World {
        let (journal, clock) = (Surviving(Arc::new(Mutex::new(MemoryJournal::new()))), new_clock());
        let registry = Registry::start(Box::new(journal.clone()), clock.clone()).unwrap();
        let sweeper = Sweeper::new(registry.clone(), OnGone::Prune);
        let mut world = World {
            journal,
            clock,
            registry,
            sweeper,
            lease: LeaseId::named(""),
            seen: BTreeMap::new(),
            released: BTreeSet::new(),
            unnamed: BTreeSet::new(),
            unheld: BTreeSet::new(),
        };
        world.happens(&Happening::Granted).await;
        let body = json!({
            "name": "a", "category": "c", "title": "T", "config_schema": {}, "host": "h", "spawned_pids": PIDS,
            "lease_id": world.lease.as_str(),
        });
        let register = Command::Register(Box::new(Registration::read(body).unwrap()));
        world.registry.submit(Request::plain(register)).await.unwrap();
        world
    }

    async fn happens(&mut self, happening: &Happening) {
        match happening {
            Happening::Passes(seconds) => {
                for _ in 0..*seconds / 10 + 1 {
                    self.clock.advance(SignedDuration::from_secs(10.min(*seconds)));
                    self.sweeper.sweep().await;
                }
            }
            Happening::ClockIsSet(seconds) => self.clock.advance(SignedDuration::from_secs(*seconds)),
            Happening::Seen(pid, state) => {
                let key = ResourceKey {
                    plugin: UniqueId::from_client("c_a"),
                    kind: ResourceKind::Process,
                    id: pid.to_string().into(),
                    host: None,
                };
                let look = ReportedObservation {
                    key,
                    state: *state,
                    at: self.clock.now(),
                    detail: None,
                    identity: None,
                    parent: None,
                    abandoned: None,
                };
                let seen = self.registry.observe("agent", Some("h"), vec![look]).await.unwrap();
                if seen.accepted == 1 {
                    self.seen.entry(*pid).or_default().push(*state);
                }
            }
            // The registry refuses a released or unknown lease.
            Happening::Renewed => drop(self.registry.renew_lease(&self.lease, Caller::default()).await),
            Happening::Released => drop(self.registry.release_lease(&self.lease, Caller::default()).await),
            Happening::Granted => {
                let terms = LeaseTerms { holder: "app".into(), host: Some("h".into()), ttl_seconds: 30, on_gone: None };
                self.lease = LeaseId::new(plugin_registry::clock::new_identity());
                let grant = Command::GrantLease { id: self.lease.clone(), terms };
                self.registry.submit(Request::plain(grant)).await.unwrap();
            }
            Happening::Began(pids) => {
                let terms = LeaseTerms { holder: "app".into(), host: Some("h".into()), ttl_seconds: 30, on_gone: None };
                self.lease = LeaseId::new(plugin_registry::clock::new_identity());
                let grant = Command::GrantLease { id: self.lease.clone(), terms };
                self.registry.submit(Request::plain(grant)).await.unwrap();
                for pid in PIDS {
                    if pids.contains(&pid) && self.unheld.remove(&pid) {
                        // What was no longer held and is named again is another one.
                        self.seen.remove(&pid);
                        self.released.remove(&pid);
                    }
                }
                self.unnamed.extend(PIDS.into_iter().filter(|pid| !pids.contains(pid)));
                self.unnamed.retain(|pid| !pids.contains(pid));
                let body = json!({
                    "category": "c", "name": "a", "title": "T", "config_schema": {}, "host": "h",
                    "spawned_pids": pids, "lease_id": self.lease.as_str(),
                });
                let registration = Box::new(Registration::read(body).unwrap());
                self.registry.submit(Request::plain(Command::Register(registration))).await.unwrap();
            }
            Happening::ReleasedByName(pid) => {
                let release = Command::RemovePid { id: UniqueId::from_client("c_a"), pid: *pid };
                self.registry.submit(Request::plain(release)).await.unwrap();
                self.released.insert(*pid);
            }
            Happening::Restarted(seconds) => {
                self.registry.close().await;
                self.clock.advance(SignedDuration::from_secs(*seconds));
                self.registry = Registry::start(Box::new(self.journal.clone()), self.clock.clone()).unwrap();
                self.sweeper = Sweeper::new(self.registry.clone(), OnGone::Prune);
            }
        }
    }

    fn was_seen(&self, pid: u32, state: ObservedState) -> usize {
        self.seen.get(&pid).into_iter().flatten().filter(|seen| **seen == state).count()
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let snapshot = self.registry.snapshot();
        let record = snapshot.state.plugin("c_a").unwrap();
        self.unheld =
            PIDS.into_iter().filter(|pid| record.held().all(|held| *held.slot.id != *pid.to_string())).collect();
        let held: BTreeSet<u32> = record.held().filter_map(|held| held.slot.id.parse().ok()).collect();
        for pid in PIDS.into_iter().filter(|pid| !held.contains(pid)) {
            let ended = [ObservedState::Gone, ObservedState::Reused].map(|state| self.was_seen(pid, state));
            let may_go = self.released.contains(&pid)
                || (self.unnamed.contains(&pid) && (self.was_seen(pid, ObservedState::Alive) == 0 || ended != [0, 0]));
            prop_assert!(may_go || ended[0] >= 2, "{pid} was forgotten; it was seen {:?}", self.seen.get(&pid));
        }
        for (slot, facts) in record.holdings.facts() {
            let pid: u32 = slot.id.parse().unwrap();
            let needed = match facts.finding.as_ref().map(|finding| finding.finding) {
                Some(FindingKind::Ghost) => Some(ObservedState::Gone),
                Some(FindingKind::Reused) => Some(ObservedState::Reused),
                _ => None,
            };
            if let Some(needed) = needed {
                prop_assert!(self.was_seen(pid, needed) >= 2, "{slot:?}: {facts:?}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_resource_never_seen_gone_is_never_dropped(happenings in prop::collection::vec(happenings(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for happening in &happenings {
                world.happens(happening).await;
                world.check()?;
            }
            world.registry.close().await;
            Ok::<(), TestCaseError>(())
        })?;
    }
}
