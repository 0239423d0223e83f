//! A server on a simulated clock, which the test advances, and its assessment passes.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::durable::Durable;
use super::server::Setup;
use super::{Client, Reply, Server};
use domain::lease::OnGone;
use plugin_registry::clock::{Clock as _, ManualClock};
use plugin_registry::registry::Sweeper;
use plugin_registry::store::Journal;
use plugin_registry::store::memory::MemoryJournal;

/// The step of the clock between two passes, in seconds: shorter than a pause that counts as a stopped clock.
const STEP: i64 = 5;

/// A server on a simulated clock.
pub(crate) struct SimulatedServer {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sweeper: Sweeper,
}

impl SimulatedServer {
    /// In memory, with `--on-gone mark`.
    pub(crate) async fn start() -> SimulatedServer {
        SimulatedServer::on(MemoryJournal::new(), new_clock(), OnGone::Mark).await
    }

    /// On a journal and a clock.
    pub(crate) async fn on(journal: impl Journal, clock: Arc<ManualClock>, on_gone: OnGone) -> SimulatedServer {
        SimulatedServer::of(Box::new(journal), clock, on_gone).await
    }

    /// On a durable store, which other servers may share.
    pub(crate) async fn at(store: &Durable, clock: &Arc<ManualClock>, on_gone: OnGone) -> SimulatedServer {
        SimulatedServer::of(store.open(), Arc::clone(clock), on_gone).await
    }

    async fn of(journal: Box<dyn Journal>, clock: Arc<ManualClock>, on_gone: OnGone) -> SimulatedServer {
        let server = Setup { journal, clock: clock.clone(), ..Setup::in_memory() }.start().await;
        let sweeper = Sweeper::new(server.registry.clone(), on_gone);
        SimulatedServer { client: server.client(), server, clock, sweeper }
    }

    /// Advances the clock, with a pass every few seconds and one at the end.
    pub(crate) async fn pass(&mut self, seconds: i64) {
        let mut left = seconds;
        while left > 0 {
            let step = left.min(STEP);
            self.clock.advance(SignedDuration::from_secs(step));
            self.sweeper.sweep().await;
            left -= step;
        }
    }

    /// Runs the passes that are due now: one action for each plugin and pass.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..4 {
            self.sweeper.sweep().await;
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Grants a lease.
    pub(crate) async fn lease(&self, holder: &str, host: Option<&str>, ttl: u32) -> String {
        let body = json!({"holder": holder, "host": host, "ttl_seconds": ttl});
        text(&self.client.post("/leases", &body).answers(201).await.json()["lease_id"])
    }

    /// The state of a lease.
    pub(crate) async fn state(&self, lease: &str) -> String {
        text(&self.client.get(&format!("/leases/{lease}")).answers(200).await.json()["state"])
    }

    /// Renews a lease.
    pub(crate) async fn renew(&self, lease: &str) -> Reply {
        self.client.request(reqwest::Method::PUT, &format!("/leases/{lease}")).answers(200).await
    }

    /// Reports observations as the agent of `host`.
    pub(crate) async fn report(&self, host: &str, observations: Value) -> Value {
        let body = json!({"by": format!("agent@{host}"), "host": host, "observations": observations});
        self.client.post("/observations", &body).answers(200).await.json()
    }

    /// Reports a process of a plugin in a state, twice.
    pub(crate) async fn seen_twice(&mut self, host: &str, plugin: &str, pid: u32, state: &str) {
        for _ in 0..2 {
            self.report(host, json!([process(plugin, pid, state)])).await;
            self.pass(1).await;
        }
    }

    /// The row of a resource.
    pub(crate) async fn row(&self, query: &str) -> Value {
        let rows = self.client.get(&format!("/resources?{query}")).answers(200).await.items();
        assert_eq!(rows.len(), 1, "{query}: {rows:?}");
        rows[0].clone()
    }

    /// The kinds of all changes, oldest first.
    pub(crate) async fn kinds(&self) -> Vec<String> {
        self.client.get("/events").answers(200).await.items().iter().map(|event| text(&event["type"])).collect()
    }

    /// The events of a kind.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        self.client.get(&format!("/events?kind={kind}")).answers(200).await.items()
    }
}

/// A clock at some time.
pub(crate) fn new_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2026-11-21T08:30:00Z".parse().unwrap()))
}

/// An observation of a process, as an agent reports it.
pub(crate) fn process(plugin: &str, pid: u32, state: &str) -> Value {
    let identity = json!({"machine_id": "m", "boot_id": "b", "pid_namespace": 1, "pid": pid, "start_ticks": 100});
    json!({"kind": "process", "plugin": plugin, "id": pid.to_string(), "state": state, "identity": identity})
}

/// A plugin that holds processes on a host.
pub(crate) fn holding(name: &str, host: &str, pids: &[u32], lease: Option<&str>) -> Value {
    json!({"name": name, "category": "c", "title": "T", "config_schema": {}, "spawned_pids": pids, "host": host, "lease_id": lease})
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
