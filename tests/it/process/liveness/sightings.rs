//! How soon the registry finds an orphan: its own sweeps over a real process, with a manual clock.

use std::process::{Child, Command};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::NO_ENGINE;
use crate::harness::simulated_server::{SimulatedServer, holding, text};
use plugin_registry::liveness::local_agent::LocalAgent;

/// The interval of the registry's sweeps over its own host, in seconds.
const INTERVAL: i64 = 5;

/// A process that outlives its application.
struct Survivor(Child);

impl Survivor {
    fn start() -> Survivor {
        Survivor(Command::new("sleep").arg("1000").spawn().unwrap())
    }
}

impl Drop for Survivor {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lets time pass until the resource is an orphan; returns when its lease was lost, and when it was found.
async fn until_orphan(passage: &mut SimulatedServer, local: &mut LocalAgent, lease: &str) -> (Timestamp, Timestamp) {
    let mut lost = None;
    for second in 0..90 {
        if second % INTERVAL == 0 {
            local.turn().await;
        }
        passage.pass(1).await;
        if lost.is_none() && passage.state(lease).await == "lost" {
            lost = Some(passage.now());
        }
        if passage.row("kind=process").await["finding"] == "orphan" {
            return (lost.expect("the lease is lost"), passage.now());
        }
    }
    panic!("no orphan within 90 s");
}

#[tokio::test]
async fn an_orphan_of_a_young_application_was_found_35_seconds_after_the_end_of_its_lease() {
    let mut passage = SimulatedServer::start().await;
    let survivor = Survivor::start();
    // After the time that each lease gets when the registry starts.
    passage.pass(90).await;
    let mut local = LocalAgent::new(passage.server.registry.clone(), "h".into(), false, NO_ENGINE);
    let lease = passage.lease("app", Some("h"), 5).await;
    passage.client.register(&holding("a", "h", &[survivor.0.id()], Some(&lease))).await;
    let (lost, found) = until_orphan(&mut passage, &mut local, &lease).await;
    let took = found.duration_since(lost);
    assert!(took <= SignedDuration::from_secs(10 + INTERVAL), "{took}");
    // The second sighting is no news.
    assert_eq!(passage.events("resource.observed").await.len(), 1);
}

#[tokio::test]
async fn an_orphan_is_found_within_the_same_time_after_a_refused_report() {
    let mut passage = SimulatedServer::start().await;
    let survivor = Survivor::start();
    passage.pass(90).await;
    let mut local = LocalAgent::new(passage.server.registry.clone(), "h".into(), false, NO_ENGINE);
    let lease = passage.lease("app", Some("h"), 5).await;
    passage.client.register(&holding("a", "h", &[survivor.0.id()], Some(&lease))).await;
    // Another agent holds the host until it is silent for a minute.
    passage.report("h", json!([])).await;
    for _ in 0..11 {
        local.turn().await;
        passage.pass(INTERVAL).await;
        assert_eq!(passage.row("kind=process").await["observed"], json!(null));
    }
    passage.pass(INTERVAL).await;
    let before = passage.now();
    let (_, found) = until_orphan(&mut passage, &mut local, &lease).await;
    assert!(found.duration_since(before) <= SignedDuration::from_secs(2 * INTERVAL), "{found}");
    assert!(text(&passage.row("kind=process").await["evidence"]["text"]).contains("has been lost since"));
}
