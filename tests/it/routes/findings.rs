//! Findings: problems with held resources, on `/resources`, `/plugins` and in events.

use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::receiver::Receiver;
use crate::harness::server::Setup;
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, process, text};
use domain::lease::OnGone;
use plugin_registry::net::AddressPolicy;
use plugin_registry::registry::Sweeper;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::webhook;

#[tokio::test]
async fn a_gone_resource_is_a_ghost_after_two_observations_and_a_grace() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    passage.pass(30).await;
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null, "it was seen once");
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    passage.pass(1).await;
    let row = passage.row("finding=ghost").await;
    assert_eq!(
        (&row["id"], &row["claimed"], &row["observed"]["state"]),
        (&json!("7"), &json!("running"), &json!("gone"))
    );
    let evidence = &row["evidence"];
    assert!(text(&evidence["text"]).contains("observed by agent@h"), "{evidence}");
    assert!(text(&evidence["next_step"]).contains("DELETE /plugins/c_a/spawned_pids/7"), "{evidence}");
    assert_eq!(evidence["cost"], Value::Null);
    assert_eq!(passage.client.get("/plugins?finding=ghost").answers(200).await.json()["total"], 1);
    assert_eq!(passage.client.get("/plugins?finding=orphan").answers(200).await.json()["total"], 0);
    let raised = passage.events("finding.raised").await;
    assert_eq!(raised.len(), 1);
    let told = &raised[0]["data"]["resources"][0];
    assert_eq!((&raised[0]["subject"], &told["finding"], &told["id"]), (&json!("c_a"), &json!("ghost"), &json!("7")));
    passage.pass(60).await;
    assert_eq!(passage.client.get("/plugins/c_a").answers(200).await.json()["spawned_pids"], json!([7]), "only marked");
}

#[tokio::test]
async fn more_observations_do_not_shorten_the_grace() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    for _ in 0..4 {
        passage.report("h", json!([process("c_a", 7, "gone")])).await;
        passage.pass(2).await;
    }
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null, "8 s");
    // The observation was a mistake: no finding results.
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    passage.pass(60).await;
    assert!(passage.events("finding.raised").await.is_empty());
}

#[tokio::test]
async fn a_running_resource_of_a_lost_holder_is_an_orphan() {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 10).await;
    let rented = json!({
        "name": "r", "category": "c", "title": "T", "config_schema": {}, "lease_id": lease,
        "remote_resource": {"provider": "aws", "instance_id": "i-1", "status": "running"},
    });
    passage.client.register(&holding("a", "h", &[7], Some(&lease))).await;
    passage.client.register(&rented).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.pass(60).await;
    assert_eq!(passage.state(&lease).await, "lost");
    passage.pass(15).await;
    let row = passage.row("pid=7").await;
    assert_eq!((&row["finding"], &row["lease"]["state"]), (&json!("orphan"), &json!("lost")));
    assert!(text(&row["evidence"]["text"]).contains("its holder app on h has been lost since"), "{row}");
    assert_eq!(passage.row("instance_id=i-1").await["finding"], "orphan", "it bills, whether anybody looks or not");
    assert_eq!(passage.client.get("/plugins?finding=orphan,ghost").answers(200).await.json()["total"], 2);
    passage.renew(&lease).await;
    passage.pass(1).await;
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null, "its holder lives");
    let cleared = passage.events("finding.cleared").await;
    assert_eq!((cleared.len(), &cleared[0]["data"]["resources"][0]["finding"]), (2, &json!("orphan")));
}

#[tokio::test]
async fn a_released_lease_leaves_no_orphans() {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 10).await;
    passage.client.register(&holding("a", "h", &[7], Some(&lease))).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.client.delete(&format!("/leases/{lease}")).answers(204).await;
    passage.pass(120).await;
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null);
}

#[tokio::test]
async fn an_orphan_that_ends_is_a_ghost() {
    let mut passage = SimulatedServer::start().await;
    let lease = passage.lease("app", Some("h"), 10).await;
    passage.client.register(&holding("a", "h", &[7], Some(&lease))).await;
    passage.seen_twice("h", "c_a", 7, "alive").await;
    passage.pass(90).await;
    assert_eq!(passage.row("pid=7").await["finding"], "orphan");
    passage.seen_twice("h", "c_a", 7, "gone").await;
    assert_eq!(passage.row("pid=7").await["finding"], "orphan", "until it is certain");
    passage.pass(15).await;
    assert_eq!(passage.row("pid=7").await["finding"], "ghost");
}

#[tokio::test]
async fn a_process_id_of_another_process_is_found_as_reused() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    passage.seen_twice("h", "c_a", 7, "reused").await;
    passage.pass(15).await;
    let row = passage.row("finding=reused").await;
    assert!(text(&row["evidence"]["next_step"]).starts_with("do not stop 7"), "{row}");
}

#[tokio::test]
async fn a_resource_that_no_probe_sees_is_unverified() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7, 8], None)).await;
    let unseen = passage.row("pid=8").await;
    assert_eq!((&unseen["finding"], &unseen["evidence"]["since"]), (&json!("unverified"), &Value::Null));
    assert!(text(&unseen["evidence"]["text"]).contains("it was never observed"), "{unseen}");
    assert!(passage.events("finding.raised").await.is_empty(), "a resource without any observation is no event");
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    assert_eq!(passage.client.get("/resources?finding=unverified").answers(200).await.items().len(), 1);
    assert_eq!(passage.client.get("/resources?verified=true").answers(200).await.items().len(), 1);
    assert_eq!(passage.client.get("/plugins?active=true&verified=true").answers(200).await.json()["total"], 1);
    passage.pass(210).await;
    assert_eq!(passage.client.get("/resources?finding=unverified").answers(200).await.items().len(), 2);
    assert_eq!(passage.events("finding.raised").await.len(), 1, "an observation that grows stale is one");
    assert_eq!(passage.client.get("/plugins?active=true&verified=true").answers(200).await.json()["total"], 0);
    assert_eq!(passage.client.get("/plugins?active=true").answers(200).await.json()["total"], 1, "what is claimed");
}

#[tokio::test]
async fn prune_releases_a_resource_seen_gone() {
    let mut passage = SimulatedServer::on(MemoryJournal::new(), new_clock(), OnGone::Prune).await;
    passage.client.register(&holding("a", "h", &[7, 8, 9], None)).await;
    for _ in 0..2 {
        let looks = json!([process("c_a", 7, "gone"), process("c_a", 8, "alive"), process("c_a", 9, "reused")]);
        passage.report("h", looks).await;
        passage.pass(2).await;
    }
    assert_eq!(passage.client.get("/plugins/c_a").answers(200).await.json()["spawned_pids"], json!([7, 8, 9]));
    passage.pass(15).await;
    passage.settle().await;
    assert_eq!(passage.client.get("/plugins/c_a").answers(200).await.json()["spawned_pids"], json!([8, 9]));
    let kinds = passage.kinds().await;
    assert_eq!(kinds[kinds.len() - 2..], ["plugin.pids_changed", "resource.ended"]);
}

#[tokio::test]
async fn a_finding_survives_a_restart_but_a_single_observation_does_not_count() {
    let store = Durable::fresh();
    let clock = new_clock();
    let on = || SimulatedServer::at(&store, &clock, OnGone::Prune);
    let mut passage = on().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    passage.pass(20).await;
    passage.server.stop().await;
    let mut passage = on().await;
    passage.report("h", json!([process("c_a", 7, "gone")])).await;
    passage.pass(20).await;
    assert_eq!(passage.row("pid=7").await["finding"], Value::Null, "seen once by this process");
    passage.server.stop().await;
    let mut passage = on().await;
    passage.seen_twice("h", "c_a", 7, "gone").await;
    passage.settle().await;
    assert!(passage.client.get("/resources?pid=7").answers(200).await.items().is_empty(), "found, and released");
}

#[tokio::test]
async fn a_webhook_receives_findings() {
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
    let hook = json!({"url": receiver.url(), "kinds": ["finding.raised", "finding.cleared"], "filters": {"host": "h"}});
    passage.client.post("/webhooks", &hook).answers(201).await;
    passage.seen_twice("h", "c_a", 7, "gone").await;
    passage.pass(15).await;
    let raised = receiver.message().await.event();
    assert_eq!((&raised["type"], &raised["subject"]), (&json!("finding.raised"), &json!("c_a")));
    assert!(text(&raised["data"]["resources"][0]["evidence"]).contains("observed by agent@h"), "{raised}");
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    passage.pass(1).await;
    assert_eq!(receiver.message().await.event()["type"], "finding.cleared");
}

#[tokio::test]
async fn an_unknown_lease_is_shown_as_unknown() {
    let passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], Some("my own idea"))).await;
    assert_eq!(passage.row("pid=7").await["lease"], json!({"lease_id": "my own idea", "state": "unknown"}));
}

#[tokio::test]
async fn a_long_poll_of_resources_wakes_for_observations_and_findings() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    for (state, revision) in [("alive", 1), ("gone", 2)] {
        let waiting =
            tokio::spawn(passage.client.get(&format!("/resources?host=h&since={revision}&wait=20s")).answers(200));
        passage.server.follows("Host").await;
        passage.pass(1).await;
        passage.report("h", json!([process("c_a", 7, state)])).await;
        assert_eq!(waiting.await.unwrap().items()[0]["observed"]["state"], state);
    }
}
