//! The quotas of a registry.

use serde_json::{Value, json};

use crate::harness::bearers::Bearers;
use crate::harness::server::Setup;
use crate::harness::simulated_server::new_clock;
use crate::harness::{Client, Durable, Server, Trace, minimal, named};
use domain::command::answer_quota::AnswerQuota;
use domain::command::quota::Quotas;

/// On a stopped clock: the number of digits of a time varies.
async fn within(quotas: Quotas) -> Server {
    Setup { quotas, clock: new_clock(), ..Setup::in_memory() }.start().await
}

#[tokio::test]
async fn the_number_of_plugins_is_limited() {
    let server = within(Quotas { plugins: 2, ..Quotas::default() }).await;
    let client = server.client();
    client.register(&named("c", "a")).await;
    client.register(&named("c", "b")).await;
    let before = Trace::of(&client).await;
    let refused = client.post("/plugins", &named("c", "c")).refused(507).await;
    assert_eq!(refused.kind(), "registry-full");
    assert!(refused.detail().contains("--max-plugins"), "{}", refused.detail());
    let lines = [named("c", "d"), named("c", "a")].map(|plugin| plugin.to_string()).join("\n");
    let results = client.import(lines).await;
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(507), &json!(200)));
    assert_eq!(Trace::of(&client).await, before, "a refusal changes nothing");
    // A plugin can still be changed, and its removal makes room.
    client.put("/plugins/c_a/container_id", &json!({"container_id": "4c01db0b339c"})).answers(200).await;
    client.delete("/plugins/c_b").answers(204).await;
    client.register(&named("c", "c")).await;
}

#[tokio::test]
async fn what_was_seen_was_in_no_quota() {
    let server = within(Quotas { bytes: 400_000, observed_reserve: 100_000, ..Quotas::default() }).await;
    let client = server.client();
    let pids: Vec<u32> = (1..=5_000).collect();
    let plugin =
        json!({"name": "p", "category": "c", "title": "T", "config_schema": {}, "host": "h", "spawned_pids": pids});
    client.register(&plugin).await;
    let report = |from: u32, to: u32, state: &str| {
        let seen = |pid: u32| {
            json!({"kind": "process", "plugin": "c_p", "id": pid.to_string(), "state": state,
                   "identity": {"x": "y".repeat(400)}})
        };
        let observations: Vec<_> = (from..to).map(seen).collect();
        client.post("/observations", &json!({"by": "a", "host": "h", "observations": observations}))
    };
    report(1, 600, "alive").answers(200).await;
    // A registration that grows is refused now; an observation has a reserve.
    let mut large = named("c", "large");
    large["description"] = json!("x".repeat(150_000));
    client.post("/plugins", &large).refused(507).await;
    let refused = report(600, 2_000, "alive").refused(507).await;
    assert!(refused.detail().contains("--max-bytes"), "{}", refused.detail());
    // What becomes of a resource that was observed is always noted.
    report(1, 600, "gone").answers(200).await;
    let plugin = client.get("/plugins/c_p").answers(200).await.json();
    assert_eq!((&plugin["observed"]["gone"], &plugin["observed"]["alive"]), (&json!(599), &json!(0)));
    assert!(server.registry.snapshot().state.bytes() < 500_000);
}

#[tokio::test]
async fn the_bytes_of_documents_are_limited_to_the_byte() {
    let unbounded = within(Quotas::default()).await;
    let client = unbounded.client();
    client.register(&named("c", "a")).await;
    client.register(&named("c", "b")).await;
    let bytes = unbounded.registry.snapshot().state.bytes();

    for (room, status) in [(bytes, 201), (bytes - 1, 507)] {
        let server = within(Quotas { bytes: room, ..Quotas::default() }).await;
        let client = server.client();
        client.register(&named("c", "a")).await;
        client.post("/plugins", &named("c", "b")).answers(status).await;
    }
    let server = within(Quotas { bytes, ..Quotas::default() }).await;
    let client = server.client();
    client.register(&named("c", "a")).await;
    client.register(&named("c", "b")).await;
    let before = Trace::of(&client).await;
    for grown in [
        client.put("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [1, 2, 3]})),
        client.put("/plugins/c_a/container_id", &json!({"container_id": "4c01db0b339c"})),
        client.put("/plugins/c_a/remote_resource", &json!({"provider": "aws"})),
        client.put("/plugins/c_a/config", &json!({})),
        client.put("/categories/c", &json!({"display_name": "C"})),
        client.patch("/plugins/c_a", &json!({"description": "longer"})),
    ] {
        let refused = grown.refused(507).await;
        assert!(refused.detail().contains("--max-bytes"), "{}", refused.detail());
    }
    assert_eq!(Trace::of(&client).await, before, "a refusal changes nothing");
    client.delete("/plugins/c_b").answers(204).await;
    client.put("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [1, 2, 3]})).answers(200).await;
}

#[tokio::test]
async fn the_counted_bytes_depend_only_on_the_current_documents() {
    let store = Durable::fresh();
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let client = server.client();
    for n in 0..5 {
        client.register(&named("c", &n.to_string())).await;
    }
    client.put("/plugins/c_1/config", &json!({"a": 1})).answers(200).await;
    client.put("/categories/c", &json!({"display_name": "C"})).answers(200).await;
    client.patch("/plugins/c_2", &json!({"description": "longer"})).answers(200).await;
    client.delete("/plugins/c_3").answers(204).await;
    client.delete("/plugins/c_1/config").answers(200).await;
    let bytes = server.registry.snapshot().state.bytes();
    server.stop().await;
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    assert_eq!(server.registry.snapshot().state.bytes(), bytes);
    assert!(bytes > 0);
}

#[tokio::test]
async fn a_registry_over_quota_accepts_writes_that_do_not_grow_it() {
    let store = Durable::fresh();
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let client = server.client();
    let mut labelled = named("c", "a");
    labelled["labels"] = json!({"one": "1", "two": "2", "three": "3"});
    client.register(&labelled).await;
    client.register(&named("c", "b")).await;
    server.stop().await;
    let quotas = Quotas { plugins: 1, bytes: 1, labels: 1, ..Quotas::default() };
    let server = Setup { journal: store.open(), quotas, ..Setup::in_memory() }.start().await;
    let client = server.client();
    client.post("/plugins", &named("c", "c")).refused(507).await;
    client.patch("/plugins/c_a", &json!({"labels": {"three": null}})).answers(200).await;
    client.delete("/plugins/c_b").answers(204).await;
}

#[tokio::test]
async fn the_number_of_labels_is_limited() {
    let server = within(Quotas { labels: 2, ..Quotas::default() }).await;
    let client = server.client();
    let mut plugin = minimal();
    plugin["labels"] = json!({"a": "1", "b": "2"});
    let id = client.register(&plugin).await.json()["unique_id"].as_str().unwrap().to_owned();
    let more = json!({"labels": {"c": "3"}});
    let refused = client.patch(&format!("/plugins/{id}"), &more).refused(422).await;
    assert!(refused.about("/labels").contains("--max-labels"), "{}", refused.document);
    client.patch(&format!("/plugins/{id}"), &json!({"labels": {"c": "3", "a": null}})).answers(200).await;
}

#[tokio::test]
async fn observations_are_accepted_over_quota() {
    let server = within(Quotas { bytes: 1, plugins: 10, labels: 10, ..Quotas::default() }).await;
    let client = server.client();
    client.post("/plugins", &minimal()).refused(507).await;
    drop(server);
    let store = Durable::fresh();
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let mut plugin = named("c", "a");
    plugin["host"] = "gpu-1".into();
    plugin["spawned_pids"] = json!([54321]);
    server.client().register(&plugin).await;
    server.stop().await;
    let quotas = Quotas { bytes: 1, ..Quotas::default() };
    let server = Setup { journal: store.open(), quotas, ..Setup::in_memory() }.start().await;
    let report = json!({"by": "agent", "host": "gpu-1", "observations": [
        {"kind": "process", "plugin": "c_a", "id": "54321", "state": "alive"}]});
    let accepted = server.client().post("/observations", &report).answers(200).await.json();
    assert_eq!(accepted["accepted"], 1, "{accepted}");
}

#[tokio::test]
async fn one_token_took_the_leases_of_all_and_ended_ones_counted() {
    let server = within(Quotas { leases_per_token: 2, ..Quotas::default() }).await;
    let bearers = Bearers::of(&server).await;
    let reporter = bearers.role("reporter");
    let body = json!({"holder": "app"});
    let first = reporter.post("/leases", &body).answers(201).await.json()["lease_id"].clone();
    reporter.post("/leases", &body).answers(201).await;
    let refused = reporter.post("/leases", &body).refused(409).await;
    assert_eq!(refused.kind(), "too-many-leases");
    assert!(refused.detail().contains("--max-leases-per-token"), "{}", refused.detail());
    bearers.role("admin").post("/leases", &body).answers(201).await;
    // An admin may end those of others, and what has ended does not count.
    let path = format!("/leases/{}", first.as_str().unwrap());
    bearers.role("admin").delete(&path).answers(204).await;
    reporter.post("/leases", &body).answers(201).await;
}

#[tokio::test]
async fn a_greedy_token_filled_the_store_with_kept_responses() {
    let answers = AnswerQuota { bytes: 400_000 };
    let server = within(Quotas { answers, ..Quotas::default() }).await;
    let Bearers { admin: modest, reporter: greedy, .. } = Bearers::of(&server).await;
    let is_repeated = async |client: &Client, key: &str, body: &Value| {
        let reply = client.post("/plugins", body).header("idempotency-key", key).send().await;
        assert!(reply.status.is_success(), "{reply:?}");
        reply.header("idempotency-replayed").is_some()
    };
    assert!(!is_repeated(&modest, "k", &named("c", "modest")).await);
    let mut large = named("c", "large");
    large["description"] = json!("x".repeat(10_000));
    for n in 0..60 {
        is_repeated(&greedy, &n.to_string(), &large).await;
    }
    assert!(is_repeated(&modest, "k", &named("c", "modest")).await, "another token's responses stay");
    assert!(is_repeated(&greedy, "59", &large).await, "the newest response stays");
    assert!(!is_repeated(&greedy, "0", &large).await, "the oldest response goes");
    let metrics = modest.get("/metrics").answers(200).await;
    let dropped =
        metrics.text().lines().find_map(|line| line.strip_prefix("plugin_registry_stored_responses_dropped_total "));
    assert!(dropped.unwrap().parse::<u32>().unwrap() >= 45, "{dropped:?}");
}
