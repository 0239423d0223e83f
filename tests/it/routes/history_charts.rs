//! GET /events/counts, GET /resources/spans, and the series of GET /costs.

use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::named;
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, process};
use domain::lease::OnGone;

fn renting(name: &str, price: f64) -> Value {
    let mut plugin = named("c", name);
    plugin["remote_resource"] = json!({"provider": "aws", "instance_id": format!("i-{name}"), "status": "running", "estimated_cost_per_hour": price});
    plugin
}

async fn read(passage: &SimulatedServer, path: &str) -> Value {
    passage.client.get(path).answers(200).await.json()
}

#[tokio::test]
async fn every_store_counts_changes_by_step_and_kind() {
    for store in [None, Some(Durable::fresh())] {
        let clock = new_clock();
        let mut passage = match &store {
            Some(store) => SimulatedServer::at(store, &clock, OnGone::Mark).await,
            None => SimulatedServer::start().await,
        };
        passage.client.register(&holding("a", "h", &[7], None)).await;
        passage.client.register(&holding("b", "h", &[8], None)).await;
        passage.pass(3600).await;
        passage.client.delete("/plugins/c_a/spawned_pids").answers(200).await;
        passage.pass(60).await;
        let counts = read(&passage, "/events/counts?step=30m").await;
        let items = counts["items"].as_array().unwrap();
        assert_eq!((items.len(), &counts["is_whole"]), (24, &json!(true)));
        let kinds: Vec<_> = items.iter().filter(|item| item["total"] != 0).map(|item| &item["by_kind"]).collect();
        assert_eq!(
            kinds,
            [&json!({"plugin.registered": 2}), &json!({"plugin.pids_changed": 1, "resource.released": 1})],
            "{counts}"
        );
        let some = read(&passage, "/events/counts?step=1h&kind=plugin.registered&plugin=c_b").await;
        let total: u64 = some["items"].as_array().unwrap().iter().filter_map(|item| item["total"].as_u64()).sum();
        assert_eq!(total, 1);
        for wrong in ["step=4m", "step=5m&from=2020-01-01T00:00:00Z", "kind=x", "sort=at", "from=yesterday"] {
            passage.client.get(&format!("/events/counts?{wrong}")).refused(400).await;
        }
    }
}

#[tokio::test]
async fn a_resource_has_a_lane_of_what_was_claimed_and_seen() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&holding("a", "h", &[7], None)).await;
    let began = passage.now();
    passage.pass(60).await;
    passage.report("h", json!([process("c_a", 7, "alive")])).await;
    let seen = passage.now();
    passage.pass(60).await;
    passage.client.put("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [9]})).answers(200).await;
    let left = passage.now();
    passage.pass(30).await;
    let lanes = read(&passage, "/resources/spans").await;
    let items = lanes["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{lanes}");
    let old = items.iter().find(|item| item["id"] == "7").unwrap();
    assert_eq!(
        old["claims"],
        json!([{"from": began, "to": left, "claim": "claimed"}, {"from": left, "to": null, "claim": "left_behind"}])
    );
    assert_eq!(old["seen"][0]["from"], json!(seen));
    assert_eq!((&old["seen"][0]["state"], &old["host"]), (&json!("alive"), &json!("h")));
    let from_then = read(&passage, &format!("/resources/spans?from={}", left.strftime("%Y-%m-%dT%H:%M:%SZ"))).await;
    let old = from_then["items"].as_array().unwrap().iter().find(|item| item["id"] == "7").unwrap();
    assert_eq!(old["claims"][0]["claim"], "left_behind", "the lanes begin with the state of that time: {from_then}");
    let cut = read(&passage, "/resources/spans?limit=1").await;
    assert_eq!((cut["items"].as_array().unwrap().len(), &cut["is_cut"]), (1, &json!(true)));
    assert_eq!(read(&passage, "/resources/spans?kind=remote").await["items"], json!([]));
    assert_eq!(read(&passage, "/resources/spans?host=H&plugin=c_a").await["items"].as_array().unwrap().len(), 2);
    passage.client.get("/resources/spans?from=2199-01-01T00:00:00Z").refused(400).await;
}

#[tokio::test]
async fn costs_come_in_steps_for_each_group_and_as_tables() {
    let mut passage = SimulatedServer::start().await;
    passage.client.register(&renting("a", 10.0)).await;
    passage.pass(3600).await;
    passage.client.register(&renting("b", 1.0)).await;
    passage.pass(1800).await;
    passage.client.delete("/plugins/c_a/remote_resource").answers(200).await;
    passage.pass(1800).await;
    let costs = read(&passage, "/costs?step=1h&group_by=plugin").await;
    let series = costs["series"].as_array().unwrap();
    assert_eq!(series.len(), 24);
    let high: Vec<_> = series[21..].iter().map(|step| step["high_usd"].as_f64().unwrap()).collect();
    assert_eq!(high, [0.0, 10.0, 6.0], "{costs}");
    assert_eq!((&series[23]["low_usd"], &series[23]["burn_usd_per_hour"]), (&json!(6), &json!(6)));
    let groups = costs["groups"].as_array().unwrap();
    let of_a: Vec<_> =
        groups[0]["series"].as_array().unwrap()[22..].iter().map(|step| step["high_usd"].clone()).collect();
    assert_eq!((&groups[0]["key"], of_a), (&json!("c_a"), vec![json!(10), json!(5)]));
    let whole = costs["accrued"]["high_usd"].as_f64().unwrap();
    assert_eq!(whole, 16.0, "the series has the sum of its steps");
    assert_eq!(read(&passage, "/costs").await["series"], json!([]));
    let csv = |path: &str| passage.client.get(path).header("accept", "text/csv").answers(200);
    let table = csv("/costs?step=1h&group_by=plugin").await;
    assert!(table.text().starts_with("from,to,group,low_usd,high_usd,burn_usd_per_hour\r\n"), "{}", table.text());
    let groups = csv("/costs?group_by=plugin&hours=2").await;
    assert_eq!(groups.text().lines().nth(2), Some("c_b,1,1,0,2,1,1"), "{}", groups.text());
    let focus = passage.client.get("/costs?format=focus").answers(200).await;
    let rows: Vec<_> = focus.text().lines().collect();
    assert!(rows[0].starts_with("BilledCost,BillingCurrency,ChargeCategory,"), "{rows:?}");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[1].starts_with("15,USD,Usage,") && rows[1].contains("i-a"), "{rows:?}");
    for wrong in
        ["step=2d", "step=5m&from=2020-01-01T00:00:00Z", "format=x", "format=focus&group_by=plugin", "as_of=1&step=1h"]
    {
        passage.client.get(&format!("/costs?{wrong}")).refused(400).await;
    }
}

#[tokio::test]
async fn resources_are_released_by_filter_and_by_revision() {
    let passage = SimulatedServer::start().await;
    let revision = passage.client.register(&holding("a", "h", &[7, 8], None)).await.revision();
    passage.client.register(&holding("b", "h", &[9], None)).await;
    passage.client.post("/resources/release", &json!({"resources": []})).refused(422).await;
    let release = |query: &str| passage.client.request(hyper::Method::POST, &format!("/resources/release{query}"));
    release("").refused(400).await;
    release("?dry_run=true").refused(400).await;
    release("?finding=x").refused(400).await;
    let plan = release("?plugin=c_a&dry_run=true").answers(200).await.json();
    assert_eq!((plan["items"].as_array().unwrap().len(), &plan["items"][1]["released"]), (2, &json!(true)));
    let resource =
        |id: &str, revision: u64| json!({"plugin": "c_a", "kind": "process", "id": id, "if_revision": revision});
    let body = json!({"resources": [resource("7", revision), resource("8", revision + 7)]});
    let result = passage.client.post("/resources/release", &body).answers(200).await.json();
    assert_eq!(
        (&result["items"][0]["released"], &result["items"][1]["problem"]["status"]),
        (&json!(true), &json!(412))
    );
    passage.client.post("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [7]})).answers(200).await;
    let result = release("?host=H").answers(200).await.json();
    let revisions: Vec<_> = result["items"].as_array().unwrap().iter().map(|item| item["revision"].clone()).collect();
    assert_eq!((revisions.len(), &revisions[0]), (3, &revisions[1]), "one revision a plugin: {result}");
    assert_eq!(passage.client.get("/resources").answers(200).await.json()["total"], 0);
    assert_eq!(release("?host=h").answers(200).await.json()["items"], json!([]));
}
