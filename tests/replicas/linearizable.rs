//! Many clients at all replicas, while replicas are killed and stopped, the network is cut, and the database is killed:
//! what the clients saw is a history that one copy of the registry could have had.
//!
//! Each plugin is a register: `PATCH` with `If-Match` is a compare-and-swap of its title, which is unique to each attempt;
//! `GET` with `consistency=strong` reads it. An attempt that was not answered, or with 503, may have been done at
//! any later time, or never.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

use crate::cluster::{Cluster, url_by};
use crate::network::{Network, Weather};
use crate::replica::{Client, Replica};

/// How many plugins, and how many clients at each of three replicas.
const PLUGINS: usize = 4;
const CLIENTS: usize = 3;

/// What is done with a register.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    /// Reads; what was read, once it is known.
    Read(Option<u64>),
    /// Writes `to` if `from` stands; whether it did, if that is known.
    Swap { from: u64, to: u64, done: Option<bool> },
}

/// One copy of a register.
struct Register;

impl Specification for Register {
    type State = u64;
    type Operation = Operation;

    fn init() -> u64 {
        0
    }

    fn apply(operation: &Operation, state: &u64) -> (bool, u64) {
        match operation {
            Operation::Read(value) => (*value == Some(*state), *state),
            Operation::Swap { from, to, done } => {
                let swaps = from == state;
                (done.is_none_or(|done| done == swaps), if swaps { *to } else { *state })
            }
        }
    }
}

/// What happened to one plugin, in the order in which the clients saw it.
#[derive(Default)]
struct Record {
    actions: Vec<(usize, Action<Operation>)>,
    /// Attempts of which nothing was heard: they end when everything has ended.
    open: Vec<(usize, Operation)>,
}

impl Record {
    fn check(mut self) -> bool {
        for (process, operation) in self.open {
            self.actions.push((process, Action::Response(operation)));
        }
        WGLChecker::<Register>::is_linearizable(History::from_actions(self.actions))
    }
}

/// What all clients share.
#[derive(Default)]
struct Run {
    records: [Mutex<Record>; PLUGINS],
    titles: AtomicU64,
    processes: AtomicUsize,
    stopped: AtomicBool,
    acknowledged: Mutex<BTreeMap<u64, (usize, u64)>>,
}

impl Run {
    fn note(&self, plugin: usize, process: usize, action: Action<Operation>) {
        self.records[plugin].lock().expect("no panic").actions.push((process, action));
    }

    /// Reads and writes until the run is stopped.
    async fn go(&self, clients: &[Client], seed: usize) {
        let mut process = self.processes.fetch_add(1, Ordering::Relaxed);
        for turn in seed.. {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let (client, plugin) = (&clients[turn * 7 % clients.len()], (turn * 5 + seed) % PLUGINS);
            let Some((from, tag)) = self.read(client, plugin, process).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            // Often enough at another replica than the one that was read from.
            let client = &clients[(turn + seed) % clients.len()];
            if !self.swap(client, plugin, process, from, &tag).await {
                // Nobody knows when that attempt ends: whoever goes on is somebody else.
                process = self.processes.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn read(&self, client: &Client, plugin: usize, process: usize) -> Option<(u64, String)> {
        let path = format!("/plugins/c_{plugin}?consistency=strong");
        self.note(plugin, process, Action::Call(Operation::Read(None)));
        let answer = client.try_to_ask(Method::GET, &path, None, &[]).await.ok().filter(|answer| answer.status == 200);
        let mut record = self.records[plugin].lock().expect("no panic");
        let Some(answer) = answer else {
            // A read that told nothing is none.
            let call = record.actions.iter().rposition(|(by, _)| *by == process).expect("it was called");
            record.actions.remove(call);
            return None;
        };
        let title = answer.body["title"].as_str().and_then(|title| title.parse().ok()).expect("a number");
        record.actions.push((process, Action::Response(Operation::Read(Some(title)))));
        Some((title, answer.header("etag").expect("a plugin has a tag").to_owned()))
    }

    /// Returns whether its outcome is known.
    async fn swap(&self, client: &Client, plugin: usize, process: usize, from: u64, tag: &str) -> bool {
        let to = self.titles.fetch_add(1, Ordering::Relaxed) + 1;
        let swap = |done| Operation::Swap { from, to, done };
        self.note(plugin, process, Action::Call(swap(None)));
        let (path, body) = (format!("/plugins/c_{plugin}"), json!({"title": to.to_string()}));
        let answer = client.try_to_ask(Method::PATCH, &path, Some(&body), &[("if-match", tag)]).await;
        let status = answer.as_ref().map_or(StatusCode::SERVICE_UNAVAILABLE, |answer| answer.status);
        let done = match status.as_u16() {
            200 => Some(true),
            412 => Some(false),
            503 => None,
            other => panic!("{other}: {answer:?}"),
        };
        if let (Some(true), Ok(answer)) = (done, &answer) {
            let revision = answer.body["revision"].as_u64().expect("a plugin has a revision");
            let twice = self.acknowledged.lock().expect("no panic").insert(revision, (plugin, to));
            assert!(twice.is_none(), "revision {revision} was acknowledged twice");
        }
        match done {
            Some(_) => self.note(plugin, process, Action::Response(swap(done))),
            None => self.records[plugin].lock().expect("no panic").open.push((process, swap(None))),
        }
        done.is_some()
    }
}

/// For how long everything fails: `REPLICAS_SECONDS`, or 20.
fn seconds() -> u64 {
    std::env::var("REPLICAS_SECONDS").map_or(20, |seconds| seconds.parse().expect("a number of seconds"))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_are_as_one_while_everything_fails() {
    let cluster = Cluster::start();
    let mut ways = Vec::new();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let way = Network::to(cluster.port).await;
        replicas.push(Replica::start(&url_by(way.port)).await);
        ways.push(way);
    }
    let clients: Vec<_> = replicas.iter().map(Replica::client).collect();
    for plugin in 0..PLUGINS {
        let body = json!({"name": plugin.to_string(), "category": "c", "title": "0", "config_schema": {}});
        assert_eq!(clients[plugin % 3].ask(Method::POST, "/plugins", Some(&body)).await.status, 201);
    }
    let run = Arc::new(Run::default());
    let going: Vec<_> = (0..3 * CLIENTS)
        .map(|seed| {
            let (run, clients) = (Arc::clone(&run), clients.clone());
            tokio::spawn(async move { run.go(&clients, seed).await })
        })
        .collect();
    let faults = harm(&cluster, &mut replicas, &ways, Duration::from_secs(seconds())).await;
    run.stopped.store(true, Ordering::Relaxed);
    for client in going {
        client.await.expect("a client panicked");
    }
    for client in &clients {
        client.until("it has recovered", "/plugins?consistency=strong", |answer| answer.status == 200).await;
    }
    let run = Arc::into_inner(run).expect("all have ended");
    let acknowledged = run.acknowledged.into_inner().expect("no panic");
    println!("{} swaps were acknowledged over {faults} faults", acknowledged.len());
    assert!(acknowledged.len() > 100, "too little went well for the test to mean anything");
    all_are_equal_and_nothing_is_lost(&clients, &acknowledged).await;
    for (plugin, record) in run.records.into_iter().enumerate() {
        let record = record.into_inner().expect("no panic");
        println!("plugin {plugin}: {} actions, {} of them open", record.actions.len(), record.open.len());
        assert!(record.check(), "plugin {plugin}: no single registry could have answered so");
    }
}

/// Does harm, one thing after the other, until the time is up; returns how often.
async fn harm(cluster: &Cluster, replicas: &mut [Replica], ways: &[Network], time: Duration) -> usize {
    let end = tokio::time::Instant::now() + time;
    let pause = |millis| tokio::time::sleep(Duration::from_millis(millis));
    for turn in 0.. {
        if tokio::time::Instant::now() >= end {
            return turn;
        }
        pause(600).await;
        let (replica, way) = (&mut replicas[turn % 3], &ways[turn % 3]);
        match turn % 5 {
            0 => {
                replica.kill().await;
                replica.start_again().await;
            }
            1 => {
                way.set(Weather::Broken);
                pause(400).await;
                way.set(Weather::Fair);
            }
            2 => {
                replica.signal(Signal::STOP);
                pause(700).await;
                replica.signal(Signal::CONT);
            }
            3 => {
                way.set(Weather::Deaf);
                pause(50).await;
                way.set(Weather::Broken);
                way.set(Weather::Fair);
            }
            _ => {
                cluster.kill();
                cluster.run();
            }
        }
    }
    0
}

async fn all_are_equal_and_nothing_is_lost(clients: &[Client], acknowledged: &BTreeMap<u64, (usize, u64)>) {
    let mut seen: Vec<Value> = Vec::new();
    for client in clients {
        seen.push(client.get("/plugins?consistency=strong").await.body);
    }
    assert!(seen.iter().all(|list| *list == seen[0]), "the replicas differ");
    let mut events = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = clients[0].get(&format!("/events?after={after}&limit=1000")).await;
        let items = page.body["items"].as_array().expect("a list").clone();
        let Some(last) = items.last().and_then(|last| last["data"]["revision"].as_u64()) else { break };
        for event in items {
            let revision = event["data"]["revision"].as_u64().expect("a revision");
            assert!(
                events.insert(revision, event["data"]["plugin"]["title"].clone()).is_none(),
                "{revision} is there twice"
            );
        }
        after = last;
    }
    assert_eq!(events.keys().copied().collect::<Vec<_>>(), (1..=after).collect::<Vec<_>>(), "no gap");
    for (revision, (_, title)) in acknowledged {
        assert_eq!(events.get(revision), Some(&json!(title.to_string())), "revision {revision} was acknowledged");
    }
}

/// The checker sees what it is there for: a replica that is cut off and answers `local` reads is stale.
#[tokio::test(flavor = "multi_thread")]
async fn stale_reads_are_not_linearizable_and_the_checker_sees_that() {
    let cluster = Cluster::start();
    let way = Network::to(cluster.port).await;
    let (cut_off, other) = (Replica::start(&url_by(way.port)).await, Replica::start(&cluster.url()).await);
    let body = json!({"name": "0", "category": "c", "title": "0", "config_schema": {}});
    assert_eq!(cut_off.client().ask(Method::POST, "/plugins", Some(&body)).await.status, 201);
    let run = Run::default();
    let (title, tag) = run.read(&other.client(), 0, 0).await.expect("it answers");
    way.set(Weather::Silent);
    assert!(run.swap(&other.client(), 0, 0, title, &tag).await);
    run.note(0, 1, Action::Call(Operation::Read(None)));
    let stale = cut_off.client().get("/plugins/c_0").await;
    let title = stale.body["title"].as_str().and_then(|title| title.parse().ok());
    run.note(0, 1, Action::Response(Operation::Read(title)));
    let [record, ..] = run.records;
    assert!(!record.into_inner().expect("no panic").check());
}
