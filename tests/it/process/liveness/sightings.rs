//! Sweeps over a real process, with a manual clock: how soon the registry finds an orphan, and under which names it sees
//! its own host.

use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;

use super::NO_ENGINE;
use crate::harness::simulated_server::{SimulatedServer, holding, text};
use domain::host::HostNames;
use plugin_registry::client::Client;
use plugin_registry::liveness::local_agent::LocalAgent;
use plugin_registry::liveness::{Agent, AgentSettings};

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

#[rstest]
#[case("LOCALHOST")]
#[case("127.0.0.1")]
#[case("H")]
#[case(" h ")]
#[case("h.example.com")]
#[tokio::test]
async fn a_process_on_the_registrys_own_host_was_never_seen_under_another_name(#[case] host: &str) {
    let passage = SimulatedServer::start().await;
    passage.server.registry.name_own_host(HostNames::of(["h", "h.example.com", "localhost"]));
    let survivor = Survivor::start();
    passage.client.register(&holding("a", host, &[survivor.0.id()], None)).await;
    passage.client.register(&holding("b", "h2", &[survivor.0.id()], None)).await;
    LocalAgent::new(passage.server.registry.clone(), "h".into(), false, NO_ENGINE).turn().await;
    let seen = passage.row("verified=true").await;
    assert_eq!((&seen["plugin"], &seen["host"]), (&json!("c_a"), &json!(host)), "the document keeps what was sent");
}

#[tokio::test]
async fn an_agent_that_has_nothing_to_report_says_that_it_looks_at_its_host() {
    let passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "elsewhere", &[7], None)).await;
    let settings = AgentSettings {
        host: "h".into(),
        by: "agent of h".into(),
        engine: NO_ENGINE.into(),
        interval: Duration::from_secs(5),
        refresh: SignedDuration::from_secs(30),
    };
    let client = Client::new(&format!("http://{}", passage.server.address)).unwrap();
    let mut agent = Agent::new(client, Arc::clone(&passage.clock), settings);
    let step = async || text(&passage.row("pid=7").await["evidence"]["next_step"]);
    assert!(!step().await.contains("only at"), "no probe reports");
    for seconds in [0, 31, 31] {
        passage.clock.advance(SignedDuration::from_secs(seconds));
        agent.turn().await;
        assert!(step().await.contains("no probe looks at the host \"elsewhere\", only at h;"), "{}", step().await);
    }
}
