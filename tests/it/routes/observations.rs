//! POST /observations.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, process, text};
use domain::lease::OnGone;

async fn with_one() -> SimulatedServer {
    let passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7, 8], None)).await;
    passage
}

#[tokio::test]
async fn the_first_observation_is_a_change_and_an_equal_one_is_none() {
    let mut passage = with_one().await;
    let report = json!([process("c_a", 7, "alive"), process("c_a", 8, "alive")]);
    assert_eq!(passage.report("h", report.clone()).await, json!({"accepted": 2, "ignored": []}));
    assert_eq!(passage.kinds().await, ["plugin.registered", "resource.observed"], "one change a plugin");
    let since = passage.now();
    passage.pass(60).await;
    passage.report("h", report).await;
    assert_eq!(passage.kinds().await.len(), 2, "nothing is news");
    let row = passage.row("pid=7").await;
    let seen = &row["observed"];
    assert_eq!((&seen["state"], &seen["by"]), (&json!("alive"), &json!("agent@h")));
    assert_eq!((text(&seen["since"]), text(&seen["at"])), (since.to_string(), passage.now().to_string()));
    assert_eq!(seen["identity"]["start_ticks"], 100);
    assert_eq!((&row["finding"], &row["certainty"], &row["evidence"]), (&Value::Null, &json!("seen"), &Value::Null));
    let plugin = passage.client.get("/plugins/c_a").answers(200).await.json();
    assert_eq!((&plugin["observed"]["alive"], &plugin["observed"]["gone"]), (&json!(2), &json!(0)));
    assert_eq!(plugin["observed"]["resources"][0]["id"], "7");
}

#[tokio::test]
async fn unheld_foreign_and_older_observations_are_ignored() {
    let mut passage = with_one().await;
    passage.client.register(&holding("b", "other", &[9], None)).await;
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    let prior = passage.now() - SignedDuration::from_secs(60);
    passage.pass(10).await;
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    let mut old = process("c_a", 7, "alive");
    old["at"] = json!(prior.to_string());
    let mut spelt = process("c_a", 8, "alive");
    spelt["id"] = json!("+8");
    let report =
        json!([process("c_a", 99, "alive"), process("nobody", 7, "alive"), process("c_b", 9, "alive"), old, spelt]);
    let told = passage.report("h", report).await;
    assert_eq!(told["accepted"], 0);
    let reasons: Vec<_> = told["ignored"].as_array().unwrap().iter().map(|one| text(&one["detail"])).collect();
    for (reason, part) in reasons.iter().zip([
        "no plugin holds",
        "no plugin holds",
        "on the host other",
        "a newer observation",
        "no plugin holds",
    ]) {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(passage.row("pid=7").await["observed"]["state"], "gone");
}

#[tokio::test]
async fn the_same_process_id_with_another_identity_is_reused() {
    let mut passage = with_one().await;
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    let mut anonymous = process("c_a", 7, "alive");
    anonymous["identity"]["start_ticks"] = json!(101);
    let mut unnamed = process("c_a", 7, "alive");
    unnamed["identity"] = Value::Null;
    for look in [anonymous.clone(), unnamed, anonymous] {
        passage.pass(5).await;
        passage.report("h", json!([look])).await;
        let row = passage.row("pid=7").await;
        assert_eq!((&row["observed"]["state"], &row["certainty"]), (&json!("reused"), &json!("ended")));
        assert_eq!(row["observed"]["identity"]["start_ticks"], 100, "as it was at first sight");
    }
}

#[tokio::test]
async fn the_order_of_its_fields_does_not_change_an_identity() {
    let mut passage = with_one().await;
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    let mut turned = process("c_a", 7, "alive");
    turned["identity"] = json!({"start_ticks": 100, "pid": 7, "pid_namespace": 1, "boot_id": "b", "machine_id": "m"});
    passage.pass(5).await;
    passage.report("h", json!([turned])).await;
    assert_eq!(passage.row("pid=7").await["observed"]["state"], "alive");
}

#[tokio::test]
async fn a_released_resource_loses_its_observation() {
    let passage = with_one().await;
    passage.report("h", json!([process("c_a", 7, "gone"), process("c_a", 8, "alive")])).await;
    passage.client.delete("/plugins/c_a/spawned_pids/7").answers(200).await;
    passage.client.post("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [7]})).answers(200).await;
    assert_eq!(passage.row("pid=7").await["observed"], Value::Null, "a new process, without observations");
    assert_eq!(passage.row("pid=8").await["observed"]["state"], "alive");
    passage.client.patch("/plugins/c_a", &json!({"title": "New"})).answers(200).await;
    assert_eq!(passage.row("pid=8").await["observed"]["state"], "alive");
    passage.client.patch("/plugins/c_a", &json!({"host": "other"})).answers(200).await;
    assert_eq!(passage.row("pid=8&host=other").await["observed"], Value::Null, "number 8 of another host");
    assert_eq!(passage.row("pid=8&host=h").await["claim"], "left_behind");
}

#[tokio::test]
async fn a_stale_observation_becomes_unknown() {
    let mut passage = with_one().await;
    passage.report("h", json!([process("c_a", 7, "alive"), process("c_a", 8, "gone")])).await;
    passage.pass(175).await;
    assert_eq!(passage.row("pid=7").await["observed"]["state"], "alive");
    passage.pass(10).await;
    let row = passage.row("pid=7").await;
    assert_eq!((&row["observed"]["state"], &row["observed"]["by"]), (&json!("unknown"), &json!("plugin-registry")));
    assert!(text(&row["observed"]["detail"]).contains("agent@h has not observed it since"), "{row}");
    assert_eq!(passage.row("pid=8").await["observed"]["state"], "gone", "a process that has ended does not come back");
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    assert_eq!(passage.row("pid=7").await["observed"]["state"], "alive");
}

#[tokio::test]
async fn one_agent_reports_for_a_host() {
    let mut passage = with_one().await;
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    let second = json!({"by": "second", "host": "h", "observations": [process("c_a", 7, "gone")]});
    let problem = passage.client.post("/observations", &second).refused(409).await;
    assert_eq!(problem.kind(), "another-agent");
    assert!(problem.detail().contains("agent@h"), "{}", problem.detail());
    assert_eq!(passage.row("pid=7").await["observed"]["state"], "alive");
    let elsewhere = json!({"by": "second", "host": "i", "observations": []});
    passage.client.post("/observations", &elsewhere).answers(200).await;
    passage.pass(61).await;
    passage.client.post("/observations", &second).answers(200).await;
    passage.client.post("/observations", &json!({"by": "agent@h", "host": "h", "observations": []})).refused(409).await;
}

#[tokio::test]
async fn the_clock_of_an_agent_may_be_wrong() {
    let passage = with_one().await;
    let mut look = process("c_a", 7, "alive");
    look["at"] = json!("2020-01-01T00:00:00Z");
    let report = json!({"by": "agent@h", "host": "h", "at": "2020-01-01T00:00:00Z", "observations": [look]});
    passage.client.post("/observations", &report).answers(200).await;
    assert_eq!(text(&passage.row("pid=7").await["observed"]["since"]), passage.now().to_string());
}

#[tokio::test]
async fn wrong_reports_are_refused_with_a_pointer_to_each_error() {
    let passage = with_one().await;
    let with = |field: &str, value: Value| {
        let mut look = process("c_a", 7, "alive");
        look[field] = value;
        json!({"by": "x", "observations": [look]})
    };
    for (body, pointer) in [
        (json!({"observations": []}), "/by"),
        (json!({"by": "x"}), "/observations"),
        (json!({"by": "x", "observations": {}}), "/observations"),
        (json!({"by": "x", "at": "noon", "observations": []}), "/at"),
        (with("state", json!("dead")), "/observations/0/state"),
        (with("kind", json!("gpu")), "/observations/0/kind"),
        (with("id", json!(7)), "/observations/0/id"),
        (with("detail", json!("x".repeat(1025))), "/observations/0/detail"),
        (with("identity", json!("x")), "/observations/0/identity"),
        (with("pid", json!(7)), "/observations/0/pid"),
    ] {
        assert_eq!(passage.client.post("/observations", &body).refused(422).await.pointers(), [pointer], "{body}");
    }
    assert_eq!(passage.kinds().await, ["plugin.registered"]);
}

#[tokio::test]
async fn observations_survive_a_restart() {
    let store = Durable::fresh();
    let clock = new_clock();
    let passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    passage.client.register(&holding("a", "h", &[7, 8], None)).await;
    passage.report("h", json!([process("c_a", 7, "gone"), process("c_a", 8, "alive")])).await;
    let before = passage.client.get("/plugins/c_a").answers(200).await.json();
    let (as_of, revision) = (passage.client.get("/plugins/c_a?as_of=1").answers(200).await.json(), &before["revision"]);
    assert_eq!((&as_of["observed"], revision), (&Value::Null, &json!(2)));
    passage.server.stop().await;
    let passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    assert_eq!(passage.client.get("/plugins/c_a").answers(200).await.json(), before);
    assert_eq!(passage.row("pid=7").await["observed"]["state"], "gone");
}

/// A process of an application without a lease, as an agent reports it.
fn child(pid: u32, parent: u32, abandoned: Option<&str>) -> Value {
    let mut seen = process("c_a", pid, "alive");
    seen["parent"] = json!({"pid": parent, "start_ticks": 9, "command": "python app.py"});
    seen["abandoned"] = json!(abandoned);
    seen
}

#[tokio::test]
async fn the_parent_at_first_sight_is_kept_and_its_end_is_news() {
    const EVIDENCE: &str = "its parent 4711 `python app.py` has ended; it was handed to process 1 `systemd`";
    let mut passage = with_one().await;
    passage.report("h", json!([child(7, 4711, None)])).await;
    passage.pass(5).await;
    passage.report("h", json!([child(7, 1, None)])).await;
    let row = passage.row("pid=7").await;
    assert_eq!((&row["observed"]["parent"]["pid"], &row["observed"]["abandoned"]), (&json!(4711), &Value::Null));
    assert_eq!(passage.kinds().await.len(), 2, "the first parent stays");
    passage.pass(60).await;
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null, "its parent runs");
    let at = passage.now();
    passage.report("h", json!([child(7, 1, Some(EVIDENCE))])).await;
    passage.pass(9).await;
    let row = passage.row("pid=7").await;
    assert_eq!(row["observed"]["abandoned"], json!({"since": at.to_string(), "evidence": EVIDENCE}));
    assert_eq!(row["finding"], Value::Null, "a finding takes ten seconds");
    passage.pass(2).await;
    let row = passage.row("finding=orphan").await;
    assert!(text(&row["evidence"]["text"]).contains(EVIDENCE), "{row}");
    assert_eq!((&row["id"], &row["lease"]), (&json!("7"), &Value::Null));
    // The same again is no news.
    let kinds = passage.kinds().await;
    passage.report("h", json!([child(7, 1, Some(EVIDENCE))])).await;
    assert_eq!(passage.kinds().await, kinds);
    // A mistake of the agent.
    passage.report("h", json!([child(7, 1, None)])).await;
    passage.settle().await;
    let row = passage.row("pid=7").await;
    assert_eq!((&row["finding"], &row["observed"]["abandoned"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn an_abandoned_process_with_a_lease_is_judged_by_its_lease() {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 3600).await;
    passage.client.register(&holding("a", "h", &[7], Some(&lease))).await;
    for _ in 0..3 {
        passage.report("h", json!([child(7, 4711, Some("its parent has ended"))])).await;
        passage.pass(20).await;
    }
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null, "its application renews its lease");
}

#[tokio::test]
async fn an_orphan_by_parentage_stays_one_over_a_restart() {
    let store = Durable::fresh();
    let clock = new_clock();
    let mut passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    for _ in 0..2 {
        passage.report("h", json!([child(7, 4711, Some("its parent has ended"))])).await;
        passage.pass(6).await;
    }
    let before = passage.row("finding=orphan").await;
    passage.server.stop().await;
    let mut passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    passage.pass(5).await;
    let after = passage.row("finding=orphan").await;
    assert_eq!(after["observed"]["parent"], before["observed"]["parent"]);
    assert_eq!(after["observed"]["abandoned"], before["observed"]["abandoned"]);
}

#[tokio::test]
async fn a_parent_that_is_no_object_or_too_large_is_refused() {
    let passage = with_one().await;
    for (field, value) in [
        ("parent", json!([1])),
        ("parent", json!({"command": "x".repeat(4096)})),
        ("abandoned", json!("x".repeat(1025))),
        ("abandoned", json!(true)),
    ] {
        let mut seen = process("c_a", 7, "alive");
        seen[field] = value;
        let body = json!({"by": "agent@h", "host": "h", "observations": [seen]});
        let problem = passage.client.post("/observations", &body).refused(422).await;
        assert_eq!(problem.pointers(), [format!("/observations/0/{field}")]);
    }
}
