//! /leases.

use jiff::SignedDuration;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Server;
use crate::harness::durable::Durable;
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, text};
use domain::lease::OnGone;
use plugin_registry::store::sqlite::SqliteJournal;

#[tokio::test]
async fn a_lease_is_granted_renewed_and_released() {
    let server = Server::start().await;
    let client = server.client();
    let granted = client.post("/leases", &json!({"holder": "trainer", "host": "gpu-1"})).answers(201).await;
    let lease = granted.json();
    let id = text(&lease["lease_id"]);
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let path = format!("/leases/{id}");
    assert_eq!(granted.header("location"), Some(path.as_str()));
    for (field, value) in [
        ("holder", json!("trainer")),
        ("host", json!("gpu-1")),
        ("ttl_seconds", json!(30)),
        ("renew_after_seconds", json!(10)),
        ("state", json!("active")),
        ("brake", Value::Null),
        ("plugins", json!([])),
    ] {
        assert_eq!(lease[field], value, "{field}: {lease}");
    }
    assert_eq!(client.put(&path, &json!({})).answers(200).await.json()["state"], "active");
    assert_eq!(client.request(Method::PUT, &path).answers(200).await.json()["lease_id"], id.as_str());
    assert_eq!(client.get("/leases?state=active&host=gpu-1").answers(200).await.items().len(), 1);
    client.delete(&path).answers(204).await;
    client.delete(&path).answers(204).await;
    assert_eq!(client.get(&path).answers(200).await.json()["state"], "released");
    assert_eq!(client.put(&path, &json!({})).refused(409).await.kind(), "lease-released");
    assert_eq!(client.get("/leases?state=active").answers(200).await.items().len(), 0);
    for call in [client.get("/leases/x"), client.put("/leases/x", &json!({})), client.delete("/leases/x")] {
        assert_eq!(call.refused(404).await.kind(), "not-found");
    }
}

#[tokio::test]
async fn an_invalid_lease_is_refused_with_the_reason() {
    let server = Server::in_memory().await;
    let client = server.client();
    for (body, pointer) in [
        (json!({}), "/holder"),
        (json!({"holder": ""}), "/holder"),
        (json!({"holder": "x".repeat(257)}), "/holder"),
        (json!({"holder": "x", "host": ""}), "/host"),
        (json!({"holder": "x", "ttl_seconds": 4}), "/ttl_seconds"),
        (json!({"holder": "x", "ttl_seconds": 3601}), "/ttl_seconds"),
        (json!({"holder": "x", "ttl": 30}), "/ttl"),
        (json!([]), ""),
    ] {
        assert_eq!(client.post("/leases", &body).refused(422).await.pointers(), [pointer], "{body}");
    }
    let id = text(&client.post("/leases", &json!({"holder": "x"})).answers(201).await.json()["lease_id"]);
    assert_eq!(
        client.put(&format!("/leases/{id}"), &json!({"ttl_seconds": 9})).refused(422).await.pointers(),
        ["/ttl_seconds"]
    );
    client.request(Method::PUT, &format!("/leases/{id}")).body("text/plain", "{}").refused(415).await;
    client.get("/leases?state=dead").refused(400).await;
    assert_eq!(client.get("/stats").answers(200).await.revision(), 1, "only the one was granted");
}

#[tokio::test]
async fn a_renewal_costs_no_revision() {
    let passage = SimulatedServer::start().await;
    let lease = passage.lease("app", None, 30).await;
    for _ in 0..50 {
        assert_eq!(passage.renew(&lease).await.revision(), 1);
    }
    assert_eq!(passage.kinds().await, ["lease.granted"]);
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_lost_and_found_again_when_it_is() {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 30).await;
    for name in ["a", "b"] {
        passage.client.register(&holding(name, "h", &[7], Some(&lease))).await;
    }
    assert_eq!(passage.renew(&lease).await.json()["plugins"], json!(["c_a", "c_b"]));
    for _ in 0..3 {
        passage.renew(&lease).await;
        passage.pass(29).await;
        assert_eq!(passage.state(&lease).await, "active");
    }
    passage.pass(2).await;
    assert_eq!(passage.state(&lease).await, "lost");
    assert_eq!(passage.client.get("/plugins?active=true").answers(200).await.json()["total"], 2, "nothing is deleted");
    assert_eq!(passage.renew(&lease).await.json()["state"], "active");
    let kinds = passage.kinds().await;
    let of_lease: Vec<_> = kinds.iter().filter(|kind| kind.starts_with("lease.")).collect();
    assert_eq!(of_lease, ["lease.granted", "lease.expired", "lease.revived"]);
}

#[tokio::test]
async fn every_change_of_a_lease_is_an_event() {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 5).await;
    passage.pass(70).await;
    let events = passage.client.get("/events").answers(200).await.items();
    assert_eq!(events.len(), 2);
    let expired = &events[1];
    assert_eq!((&expired["type"], &expired["subject"]), (&json!("lease.expired"), &json!(lease)));
    assert_eq!(expired["data"]["plugin"], Value::Null);
    assert_eq!(expired["data"]["changed"], json!({"state": {"before": "active", "after": "lost"}}));
    assert_eq!((&expired["data"]["lease"]["holder"], &expired["data"]["lease"]["host"]), (&json!("app"), &json!("h")));
}

#[tokio::test]
async fn after_a_restart_and_after_a_jump_of_the_clock_a_lease_has_a_minute() {
    let store = Durable::fresh();
    let clock = new_clock();
    let passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    let lease = passage.lease("app", None, 10).await;
    passage.server.stop().await;
    clock.advance(SignedDuration::from_hours(1));
    let mut passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    passage.pass(58).await;
    assert_eq!(passage.state(&lease).await, "active", "the outage was ours");
    passage.renew(&lease).await;
    for hours in [1, -2, 1] {
        clock.advance(SignedDuration::from_hours(hours));
        passage.sweeper.sweep().await;
        passage.pass(58).await;
        assert_eq!(passage.state(&lease).await, "active", "the clock was set by {hours} h");
    }
    passage.pass(3).await;
    assert_eq!(passage.state(&lease).await, "lost", "no client has renewed it");
}

#[tokio::test]
async fn when_most_leases_of_a_host_run_out_at_once_they_are_held() {
    let mut passage = SimulatedServer::start().await;
    let mut of_host = Vec::new();
    for n in 0..6 {
        of_host.push(passage.lease(&format!("app-{n}"), Some("h"), 10).await);
    }
    let other = passage.lease("other", Some("other"), 10).await;
    passage.pass(65).await;
    assert_eq!(passage.state(&other).await, "lost", "one alone is no sign of anything");
    for lease in &of_host {
        let held = passage.client.get(&format!("/leases/{lease}")).answers(200).await.json();
        assert_eq!(held["state"], "active");
        assert!(text(&held["brake"]).contains("expired at once"), "{held}");
    }
    // Four of the six renew: the host is up, and the two are lost.
    for lease in &of_host[..4] {
        assert_eq!(passage.renew(lease).await.json()["brake"], Value::Null);
    }
    passage.pass(1).await;
    assert_eq!((passage.state(&of_host[0]).await, passage.state(&of_host[5]).await), ("active".into(), "lost".into()));
}

#[tokio::test]
async fn leases_are_held_for_a_quarter_of_an_hour_and_no_longer() {
    let mut passage = SimulatedServer::start().await;
    let mut of_host = Vec::new();
    for n in 0..5 {
        of_host.push(passage.lease(&format!("app-{n}"), None, 10).await);
    }
    passage.pass(60 + 14 * 60).await;
    assert_eq!(passage.state(&of_host[0]).await, "active");
    passage.pass(65).await;
    assert_eq!(passage.state(&of_host[0]).await, "lost");
}

#[tokio::test]
async fn a_renewal_at_one_process_counts_at_the_other() {
    let store = Durable::fresh();
    let clock = new_clock();
    let on = || SimulatedServer::at(&store, &clock, OnGone::Mark);
    let (mut one, mut other) = (on().await, on().await);
    let lease = one.lease("app", None, 10).await;
    // The other server has not followed this change yet, and still renews the lease.
    assert_eq!(other.renew(&lease).await.json()["holder"], "app");
    for _ in 0..20 {
        clock.advance(SignedDuration::from_secs(5));
        one.renew(&lease).await;
        one.sweeper.sweep().await;
        other.sweeper.sweep().await;
    }
    assert_eq!((one.state(&lease).await, other.state(&lease).await), ("active".into(), "active".into()));
    assert_eq!(one.kinds().await, ["lease.granted"]);
}

#[tokio::test]
async fn renewal_times_are_written_only_after_renewals() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let mut passage = SimulatedServer::on(SqliteJournal::open(&path).unwrap(), new_clock(), OnGone::Mark).await;
    let lease = passage.lease("trainer", None, 3600).await;
    passage.renew(&lease).await;
    passage.pass(60).await;
    let file = Connection::open(&path).unwrap();
    let rows: i64 = file.query_row("SELECT count(*) FROM heartbeats", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1, "without renewals nothing is written");
}

#[tokio::test]
async fn an_ended_lease_is_deleted_after_a_day_without_plugins() {
    let mut passage = SimulatedServer::start().await;
    let (carried, free) = (passage.lease("a", None, 10).await, passage.lease("b", None, 10).await);
    passage.client.register(&holding("a", "h", &[], Some(&carried))).await;
    for lease in [&carried, &free] {
        passage.client.delete(&format!("/leases/{lease}")).answers(204).await;
    }
    for _ in 0..24 {
        passage.clock.advance(SignedDuration::from_hours(1));
        passage.settle().await;
    }
    passage.client.get(&format!("/leases/{free}")).answers(200).await;
    // A part of the first hour had passed before the lease ended, so it is kept for one more.
    passage.clock.advance(SignedDuration::from_hours(1));
    passage.settle().await;
    passage.client.get(&format!("/leases/{free}")).refused(404).await;
    assert_eq!(passage.state(&carried).await, "released");
    assert_eq!(passage.events("lease.forgotten").await.len(), 1);
}

#[tokio::test]
async fn pages_of_leases_concatenated_are_the_whole() {
    let passage = SimulatedServer::start().await;
    let mut all = Vec::new();
    for n in 0..7 {
        all.push(passage.lease(&format!("app-{n}"), None, 30).await);
    }
    all.sort();
    let mut listed = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = passage.client.get(&format!("/leases?{query}")).answers(200).await;
        listed.extend(page.items().iter().map(|lease| text(&lease["lease_id"])));
        let Some(next) = page.next_cursor() else { break };
        query = format!("limit=3&cursor={next}");
    }
    assert_eq!(listed, all);
}
