//! Holdings: what a plugin claims, what it left behind, and how each ends.

use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::receiver::Receiver;
use crate::harness::server::Setup;
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, process, text};
use domain::lease::OnGone;
use plugin_registry::net::AddressPolicy;
use plugin_registry::registry::Sweeper;
use plugin_registry::webhook;

fn rented(instance: &str, status: &str) -> Value {
    json!({
        "provider": "aws", "instance_id": instance, "status": status, "estimated_cost_per_hour": 24.5,
    })
}

fn renting(instance: &str, status: &str) -> Value {
    json!({"name": "r", "category": "c", "title": "T", "config_schema": {}, "remote_resource": rented(instance, status)})
}

/// The life cycle of an application that died, and that its supervisor starts again.
#[tokio::test]
async fn an_application_that_starts_again_forgot_the_processes_of_its_former_life() {
    let mut passage = SimulatedServer::start().await;
    let first = passage.lease("app", Some("h"), 10).await;
    passage.client.register(&holding("a", "h", &[7, 8], Some(&first))).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.pass(60).await;
    assert_eq!(passage.row("pid=7").await["finding"], "orphan");
    let second = passage.lease("app", Some("h"), 10).await;
    let again =
        passage.client.post("/plugins", &holding("a", "h", &[9], Some(&second))).header("x-request-id", "again");
    let plugin = again.answers(200).await.json();
    assert_eq!((&plugin["spawned_pids"], &plugin["observed"]["left_behind"]), (&json!([9]), &json!(1)));
    assert_eq!(plugin["has_active_resources"], true);
    passage.renew(&second).await;
    passage.pass(12).await;
    let row = passage.row("pid=7").await;
    assert_eq!((&row["claim"], &row["finding"]), (&json!("left_behind"), &json!("orphan")));
    assert_eq!((&row["lease_id"], &row["lease"]["state"]), (&json!(first), &json!("lost")));
    assert_eq!(row["left_by"]["request_id"], "again");
    let evidence = text(&row["evidence"]["text"]);
    assert!(evidence.contains("left behind at") && evidence.contains("again"), "{evidence}");
    assert!(evidence.contains("its holder app on h has been lost"), "the evidence of both: {evidence}");
    assert_eq!(passage.row("pid=9").await["lease_id"], json!(second));
    assert!(passage.client.get("/resources?pid=8").answers(200).await.items().is_empty(), "it was never seen");
    let left = passage.events("resource.left_behind").await;
    assert_eq!((left.len(), &left[0]["data"]["resources"][0]["id"]), (1, &json!("7")));
    // The next step is a request.
    let next = &row["evidence"]["next_request"];
    assert_eq!((&next["method"], &next["path"]), (&json!("POST"), &json!("/resources/release")));
    let result = passage.client.post(&text(&next["path"]), &next["body"]).answers(200).await.json();
    assert_eq!(result["items"][0]["released"], true, "{result}");
    assert!(passage.client.get("/resources?pid=7").answers(200).await.items().is_empty());
    assert_eq!(passage.kinds().await.last().unwrap(), "resource.released");
}

#[tokio::test]
async fn what_was_left_behind_leaves_without_noise_once_it_is_seen_gone() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.client.put("/plugins/c_a/spawned_pids", &json!({"spawned_pids": []})).answers(200).await;
    assert_eq!(
        passage.client.delete("/plugins/c_a").answers(409).await.json()["title"],
        "The plugin still holds resources"
    );
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    passage.pass(20).await;
    assert_eq!(passage.row("pid=7").await["claim"], "left_behind", "it was seen gone once");
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    passage.pass(1).await;
    assert!(passage.client.get("/resources?pid=7").answers(200).await.items().is_empty());
    let ended = passage.events("resource.ended").await;
    assert_eq!((ended.len(), &ended[0]["data"]["resources"][0]["reason"]), (1, &json!("seen_gone")));
    let ghosts = passage.events("finding.raised").await;
    let is_ghost = |event: &Value| event["data"]["resources"][0]["finding"] == "ghost";
    assert!(!ghosts.iter().any(is_ghost), "nothing is left to stop");
    passage.client.delete("/plugins/c_a").answers(204).await;
}

#[tokio::test]
async fn a_released_process_was_listed_until_it_was_seen_gone() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7, 8], None)).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.client.delete("/plugins/c_a/spawned_pids/7").answers(200).await;
    passage.client.delete("/plugins/c_a/spawned_pids").answers(200).await;
    assert!(passage.client.get("/resources").answers(200).await.items().is_empty());
    let released = passage.events("resource.released").await;
    let ids: Vec<_> = released.iter().map(|event| event["data"]["resources"][0]["id"].clone()).collect();
    assert_eq!(ids, ["7", "8"]);
}

#[tokio::test]
async fn a_second_instance_ended_the_cost_of_the_first() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&renting("i-1", "running")).await;
    passage.pass(3600).await;
    passage.client.put("/plugins/c_r/remote_resource", &rented("i-2", "running")).answers(200).await;
    passage.pass(3600).await;
    let costs = passage.client.get("/costs").answers(200).await.json();
    assert_eq!((&costs["burn_usd_per_hour"], &costs["billable"]), (&json!(49), &json!(2)));
    assert_eq!((&costs["accrued"]["low_usd"], &costs["accrued"]["high_usd"]), (&json!(73.5), &json!(73.5)), "{costs}");
    let row = passage.row("instance_id=i-1").await;
    assert_eq!(
        (&row["claim"], &row["finding"], &row["billable"]),
        (&json!("left_behind"), &json!("orphan"), &json!(true))
    );
    let groups = passage.client.get("/costs?group_by=plugin").answers(200).await.json();
    assert_eq!(groups["groups"].as_array().unwrap().len(), 1, "it bills on under its plugin: {groups}");
    let body = json!({"resources": [{"plugin": "c_r", "kind": "remote", "id": "i-1"}]});
    let plan = passage.client.post("/resources/release?dry_run=true", &body).answers(200).await.json();
    assert_eq!((&plan["dry_run"], &plan["items"][0]["released"]), (&json!(true), &json!(true)));
    assert_eq!(passage.row("instance_id=i-1").await["claim"], "left_behind", "a dry run changes nothing");
    passage.client.post("/resources/release", &body).answers(200).await;
    let again = passage.client.post("/resources/release", &body).answers(200).await.json();
    assert_eq!((&again["items"][0]["released"], &again["items"][0]["problem"]["status"]), (&json!(false), &json!(404)));
    assert_eq!(passage.client.get("/costs").answers(200).await.json()["billable"], 1);
}

#[tokio::test]
async fn a_status_in_the_words_of_a_provider_was_free_of_charge() {
    for (status, class, low) in [("RUNNING", "running", 24.5), ("booting", "starting", 24.5), ("weird", "unknown", 0.0)]
    {
        let mut passage = SimulatedServer::start().await;
        let registered = passage.client.register(&renting("i-1", status)).await.json();
        assert_eq!((&registered["billable"], &registered["status_class"]), (&json!(true), &json!(class)), "{status}");
        assert_eq!(registered["remote_resource"]["status"], status, "it is kept as sent");
        passage.pass(3600).await;
        let costs = passage.client.get("/costs").answers(200).await.json();
        assert_eq!(costs["accrued"]["high_usd"], 24.5, "{status}: {costs}");
        assert_eq!(costs["accrued"]["low_usd"].as_f64(), Some(low), "{status}: {costs}");
        passage.client.delete("/plugins/c_r").answers(409).await;
        let listed = passage.client.get(&format!("/plugins?status_class={class}")).answers(200).await.json();
        assert_eq!(listed["total"], 1);
    }
    let passage = SimulatedServer::start().await;
    passage.client.register(&renting("i-1", "Terminated")).await;
    passage.client.delete("/plugins/c_r").answers(204).await;
}

#[tokio::test]
async fn a_lease_granted_with_prune_releases_what_is_gone_once_it_has_ended() {
    let mut passage = SimulatedServer::start().await;
    let body = json!({"holder": "exec", "host": "h", "ttl_seconds": 10, "on_gone": "prune"});
    let lease = passage.client.post("/leases", &body).answers(201).await.json();
    assert_eq!(lease["on_gone"], "prune");
    let lease = text(&lease["lease_id"]);
    passage.client.register(&holding("a", "h", &[7], Some(&lease))).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.seen_twice("h", "c_a", 7, "gone").await;
    passage.renew(&lease).await;
    passage.pass(9).await;
    passage.renew(&lease).await;
    passage.pass(5).await;
    assert_eq!(passage.row("pid=7").await["finding"], "ghost", "while its holder lives, it says what is gone");
    passage.pass(60).await;
    passage.settle().await;
    assert!(passage.client.get("/resources?pid=7").answers(200).await.items().is_empty());
    let kinds = passage.kinds().await;
    assert_eq!(kinds.iter().rev().take(2).rev().collect::<Vec<_>>(), ["plugin.pids_changed", "resource.ended"]);
}

#[tokio::test]
async fn a_holding_is_overdue_past_its_time_and_announced_before() {
    let mut passage = SimulatedServer::start().await;
    let mut body = holding("a", "h", &[7], None);
    let at = passage.now() + jiff::SignedDuration::from_secs(1000);
    body["expires_at"] = json!(at.to_string());
    passage.client.register(&body).await;
    assert_eq!(passage.row("pid=7").await["expires_at"], json!(at.to_string()));
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    passage.pass(895).await;
    assert!(passage.events("resource.expires_soon").await.is_empty());
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    passage.pass(30).await;
    let soon = passage.events("resource.expires_soon").await;
    assert_eq!((soon.len(), &soon[0]["data"]["resources"][0]["expires_at"]), (1, &json!(at.to_string())));
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    passage.pass(80).await;
    assert_eq!(passage.events("resource.expires_soon").await.len(), 1, "once");
    assert_eq!(passage.row("finding=overdue").await["id"], "7");
    let later = json!({"expires_at": (at + jiff::SignedDuration::from_secs(5000)).to_string()});
    passage.client.put("/resources/c_a/process/7/expires_at", &later).answers(200).await;
    passage.pass(1).await;
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null);
    passage.client.delete("/resources/c_a/process/7/expires_at").answers(200).await;
    assert_eq!(passage.row("pid=7").await["expires_at"], Value::Null);
    passage.client.delete("/resources/c_a/process/8/expires_at").answers(404).await;
}

#[tokio::test]
async fn an_acknowledged_finding_stays_visible_and_counts_nowhere_until_its_end() {
    let mut receiver = Receiver::start().await;
    let clock = new_clock();
    let webhooks = webhook::deliveries::DeliverySettings {
        address_policy: AddressPolicy::Everything,
        ..webhook::deliveries::DeliverySettings::default()
    };
    let server = Setup { clock: clock.clone(), webhooks, ..Setup::in_memory() }.start().await;
    let sweeper = Sweeper::new(server.registry.clone(), OnGone::Mark);
    let mut passage = SimulatedServer { client: server.client(), server, clock, sweeper };
    passage.client.register(&holding("a", "h", &[7], None)).await;
    passage.client.put("/resources/c_a/process/7/acknowledgement", &acknowledgement(&passage, 60)).answers(200).await;
    passage.client.delete("/resources/c_a/process/7/acknowledgement").answers(200).await;
    passage.seen_twice("h", "c_a", 7, "gone").await;
    passage.pass(15).await;
    let hook = json!({"url": receiver.url(), "filters": {"finding": "ghost"}});
    passage.client.post("/webhooks", &hook).answers(201).await;
    let metric = "plugin_registry_plugins_with_finding{finding=\"ghost\"}";
    let count = async |passage: &SimulatedServer| {
        let reply = passage.client.get("/metrics").answers(200).await;
        let text = reply.text();
        let line = text.lines().find(|line| line.starts_with(metric)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    assert_eq!(count(&passage).await, Some(1.0));
    let head = passage.client.get("/plugins").answers(200).await.json()["revision"].clone();
    let waiting =
        tokio::spawn(passage.client.get(&format!("/plugins?finding=ghost&since={head}&wait=20s")).answers(200));
    passage.server.follows("Everything").await;
    passage.client.put("/resources/c_a/process/7/acknowledgement", &acknowledgement(&passage, 600)).answers(200).await;
    assert_eq!(waiting.await.unwrap().json()["total"], 0, "a long poll of open findings ends");
    assert_eq!(receiver.message().await.event()["type"], "finding.acknowledged", "the record before had the finding");
    let row = passage.row("finding=ghost").await;
    assert_eq!((&row["finding"], &row["acknowledged"]["reason"]), (&json!("ghost"), &json!("known")));
    assert!(passage.client.get("/resources?finding=ghost&acknowledged=false").answers(200).await.items().is_empty());
    assert_eq!(count(&passage).await, Some(0.0));
    assert_eq!(passage.client.get("/plugins?finding=ghost").answers(200).await.json()["total"], 0);
    // A change of the acknowledged plugin is not delivered.
    let title = json!({"title": "Another"});
    passage.client.patch("/plugins/c_a", &title).answers(200).await;
    passage.pass(600).await;
    passage.settle().await;
    assert_eq!(receiver.message().await.event()["type"], "finding.unacknowledged");
    assert_eq!(count(&passage).await, Some(1.0));
    assert_eq!(passage.client.get("/plugins?finding=ghost").answers(200).await.json()["total"], 1);
}

fn acknowledgement(passage: &SimulatedServer, seconds: i64) -> Value {
    let until = passage.now() + jiff::SignedDuration::from_secs(seconds);
    json!({"reason": "known", "until": until.to_string()})
}

#[tokio::test]
async fn an_acknowledgement_needs_a_finding_a_reason_and_an_end_in_the_future() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    let path = "/resources/c_a/process/7/acknowledgement";
    passage.client.put(path, &acknowledgement(&passage, -1)).answers(422).await;
    passage.client.put(path, &json!({"reason": " ", "until": "2099-01-01T00:00:00Z"})).answers(422).await;
    passage.client.put(path, &json!({"until": "2099-01-01T00:00:00Z"})).answers(422).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.pass(1).await;
    let refused = passage.client.put(path, &acknowledgement(&passage, 60)).answers(409).await.json();
    assert_eq!(refused["title"], "The resource has no finding");
}

#[tokio::test]
async fn what_was_left_behind_survives_a_restart_of_the_registry() {
    let (store, clock) = (Durable::fresh(), new_clock());
    let on = || SimulatedServer::at(&store, &clock, OnGone::Mark);
    let mut passage = on().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.client.put("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [8]})).answers(200).await;
    passage.client.register(&renting("i-1", "running")).await;
    passage.client.put("/plugins/c_r/remote_resource", &rented("i-2", "running")).answers(200).await;
    let resources = async |passage: &SimulatedServer| {
        let mut rows = passage.client.get("/resources").answers(200).await.items();
        // The times of repeated looks end with the process.
        rows.iter_mut().filter(|row| row["observed"].is_object()).for_each(|row| row["observed"]["at"] = Value::Null);
        // The next step names the agents that this process has heard from.
        rows.iter_mut()
            .filter(|row| row["evidence"].is_object())
            .for_each(|row| row["evidence"]["next_step"] = Value::Null);
        rows
    };
    let before = resources(&passage).await;
    passage.server.stop().await;
    let passage = on().await;
    assert_eq!(resources(&passage).await, before);
    let past = passage.client.get("/resources?as_of=4").answers(200).await.json();
    assert_eq!(past["items"].as_array().unwrap().len(), 2, "the past has it, too: {past}");
}

#[tokio::test]
async fn a_plugin_on_another_host_leaves_its_processes_on_the_former_one() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "one", &[7], None)).await;
    passage.seen_twice("one", "c_a", 7, "alive").await;
    passage.client.post("/plugins", &holding("a", "two", &[7], None)).answers(200).await;
    let rows = passage.client.get("/resources?pid=7").answers(200).await.items();
    let hosts: Vec<_> = rows.iter().map(|row| (text(&row["host"]), text(&row["claim"]))).collect();
    assert_eq!(hosts, [("two".into(), "claimed".into()), ("one".into(), "left_behind".into())]);
    // Each host's agent reports its own.
    let told = passage.report("one", json!([process("c_a", 7, "gone")])).await;
    assert_eq!(told["accepted"], 1, "{told}");
    passage.report("two", json!([process("c_a", 7, "alive")])).await;
    passage.pass(1).await;
    passage.report("one", json!([process("c_a", 7, "gone")])).await;
    passage.pass(15).await;
    assert_eq!(passage.row("pid=7").await["host"], "two");
    assert_eq!(passage.row("host=two").await["observed"]["state"], "alive");
}
