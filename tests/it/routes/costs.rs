//! GET /costs.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::server::Setup;
use crate::harness::{Client, Server, named, within_patience};
use domain::change::retention::Retention;
use plugin_registry::clock::{Clock as _, ManualClock};
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::sqlite::SqliteJournal;

const START: &str = "2030-01-01T00:00:00Z";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START.parse().unwrap()))
}

async fn server(clock: &Arc<ManualClock>) -> Server {
    Setup { clock: clock.clone(), ..Setup::in_memory() }.start().await
}

fn hours(clock: &ManualClock, hours: i64) {
    clock.advance(SignedDuration::from_hours(hours));
}

/// A plugin that rents a machine.
fn renting(name: &str, provider: &str, status: &str, price: Value) -> Value {
    let mut document = named("c", name);
    document["remote_resource"] = json!({"provider": provider, "status": status, "estimated_cost_per_hour": price});
    document
}

async fn costs(client: &Client, query: &str) -> Value {
    client.get(&format!("/costs{query}")).answers(200).await.json()
}

/// The low and high bounds of the spent amount, in USD.
fn spent(costs: &Value) -> (f64, f64) {
    let accrued = &costs["accrued"];
    (accrued["low_usd"].as_f64().unwrap(), accrued["high_usd"].as_f64().unwrap())
}

async fn exactly(client: &Client, query: &str) -> f64 {
    let costs = costs(client, query).await;
    let (low, high) = spent(&costs);
    assert_eq!(low, high, "{query}: {costs}");
    assert_eq!(costs["accrued"]["forgotten"], Value::Null, "{query}: {costs}");
    low
}

/// The spent amount of each group.
fn groups(costs: &Value) -> Vec<(Option<&str>, f64)> {
    let groups = costs["groups"].as_array().unwrap().iter();
    groups.map(|group| (group["key"].as_str(), group["accrued"]["high_usd"].as_f64().unwrap())).collect()
}

#[tokio::test]
async fn nothing_costs_nothing() {
    let clock = clock();
    let server = server(&clock).await;
    assert_eq!(
        costs(&server.client(), "").await,
        json!({
            "note": "an estimate from the declared prices (estimated_cost_per_hour) and the claimed status; no provider was asked",
            "at": START, "burn_usd_per_hour": 0, "billable": 0, "unpriced": 0, "estimate": null,
            "accrued": {"from": null, "to": START, "low_usd": 0, "high_usd": 0, "forgotten": null},
            "groups": [], "series": [], "revision": 0,
        })
    );
}

/// Although the plugin still claims the resource: it ended between the last observation alive and the first gone.
#[tokio::test]
async fn a_resource_seen_gone_costs_nothing() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    let mut document = renting("a", "aws", "running", json!(2));
    document["remote_resource"]["instance_id"] = json!("i-1");
    client.register(&document).await;
    let see = async |state: &str| {
        let seen = json!({"kind": "remote", "plugin": "c_a", "id": "i-1", "state": state});
        client.post("/observations", &json!({"by": "probe", "observations": [seen]})).answers(200).await;
    };
    hours(&clock, 1);
    see("alive").await;
    hours(&clock, 2);
    see("alive").await;
    assert_eq!(exactly(&client, "").await, 6.0);
    hours(&clock, 1);
    see("gone").await;
    for _ in 0..2 {
        let costs = costs(&client, "?hours=24").await;
        assert_eq!(spent(&costs), (6.0, 8.0), "{costs}");
        assert_eq!((&costs["burn_usd_per_hour"], &costs["estimate"]["usd"]), (&json!(0), &json!(0)), "{costs}");
        hours(&clock, 5);
    }
    assert_eq!(spent(&costs(&client, "?from=2030-01-01T02:00:00Z").await), (2.0, 4.0));
    client.patch("/plugins/c_a", &json!({"title": "New"})).answers(200).await;
    assert_eq!(spent(&costs(&client, "").await), (6.0, 8.0));
    see("alive").await;
    hours(&clock, 1);
    assert_eq!(spent(&costs(&client, "").await), (8.0, 10.0), "it is back, and so is its price");
}

#[tokio::test]
async fn billing_resources_burn_and_running_ones_are_estimated() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    for (name, status, price) in [
        ("running", "running", json!(24.5)),
        ("provisioning", "provisioning", json!(4.4)),
        ("stopping", "stopping", json!(0.1)),
        ("stopped", "stopped", json!(100)),
        ("unknown", "unknown", json!(100)),
        ("unpriced", "running", json!(null)),
    ] {
        client.register(&renting(name, "aws", status, price)).await;
    }
    hours(&clock, 2);
    let told = costs(&client, "?hours=24").await;
    assert_eq!((&told["burn_usd_per_hour"], &told["billable"], &told["unpriced"]), (&json!(29), &json!(4), &json!(1)));
    assert_eq!(told["estimate"], json!({"hours": 24, "usd": 588}), "running alone, as the source model has it");
    assert_eq!(spent(&told), (58.0, 58.0));
    assert_eq!(costs(&client, "?hours=0.5").await["estimate"], json!({"hours": 0.5, "usd": 12.25}));
    let of_one = costs(&client, "?status=stopping&hours=1").await;
    assert_eq!((spent(&of_one), &of_one["estimate"]["usd"]), ((0.2, 0.2), &json!(0)));
}

#[tokio::test]
async fn the_estimate_of_the_examples_matches_the_source_model() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/examples.json")).unwrap();
    let server = Server::in_memory().await;
    let client = server.client();
    let mut expected = 0.0;
    for vector in vectors["plugins"].as_array().unwrap() {
        client.register(&vector["request"]).await;
        let remote = &vector["metadata"]["remote_resource"];
        if remote["status"] == "running" {
            expected += remote["estimated_cost_per_hour"].as_f64().unwrap_or(0.0) * 24.0;
        }
    }
    let told = costs(&client, "?hours=24").await["estimate"]["usd"].as_f64().unwrap();
    assert!(expected > 0.0 && (told - expected).abs() < 1e-6, "{told} {expected}");
}

/// A price that changes, a pause, a removal and a second life; before and after a restart.
#[tokio::test]
async fn every_change_of_price_and_status_counts_from_when_it_was_made() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let clock = clock();
    let open = || Setup { clock: clock.clone(), ..Setup::on(SqliteJournal::open(&path).unwrap()) };
    let server = open().start().await;
    let client = server.client();
    let remote = "/plugins/c_a/remote_resource";
    client.register(&renting("a", "aws", "running", json!(10))).await;
    hours(&clock, 1);
    // 01:00, 10 USD
    client.patch(remote, &json!({"estimated_cost_per_hour": 20, "provider": "gcp"})).answers(200).await;
    hours(&clock, 1);
    // 02:00, 30 USD
    client.patch("/plugins/c_a", &json!({"title": "Of no concern"})).answers(200).await;
    hours(&clock, 1);
    // 03:00, 50 USD
    client.patch(remote, &json!({"status": "stopped"})).answers(200).await;
    hours(&clock, 1);
    client.patch(remote, &json!({"status": "running"})).answers(200).await;
    hours(&clock, 1);
    // 05:00, 70 USD
    assert_eq!(exactly(&client, "").await, 70.0);
    server.stop().await;
    hours(&clock, 1);
    let server = open().start().await;
    let client = server.client();
    // 06:00, 90 USD: no client has reported an end.
    assert_eq!(exactly(&client, "").await, 90.0);
    client.delete("/plugins/c_a?force=true").answers(204).await;
    hours(&clock, 10);
    assert_eq!(exactly(&client, "").await, 90.0, "what is no more costs nothing more, and what was spent stays spent");
    client.register(&renting("a", "runpod", "running", json!(1))).await;
    hours(&clock, 5);
    let check = async |client: Client| {
        for (query, expected) in [
            ("", 95.0),
            ("?from=2030-01-01T01:30:00Z", 75.0),
            ("?from=2030-01-01T01:30:00Z&to=2030-01-01T04:30:00Z", 40.0),
            ("?to=2030-01-01T00:30:00Z", 5.0),
            ("?from=2030-01-01T03:00:00Z&to=2030-01-01T04:00:00Z", 0.0),
            ("?from=2030-01-01T20:00:00Z", 1.0),
            ("?from=2029-01-01T00:00:00Z&to=2035-01-01T00:00:00Z", 95.0),
            ("?from=2031-01-01T00:00:00Z", 0.0),
            ("?provider=aws", 10.0),
            ("?provider=gcp,runpod", 85.0),
            ("?provider=gcp&from=2030-01-01T05:00:00Z", 20.0),
            ("?category=other", 0.0),
            ("?name=a", 95.0),
        ] {
            assert_eq!(exactly(&client, query).await, expected, "{query}");
        }
        let by_provider = costs(&client, "?group_by=provider").await;
        assert_eq!(groups(&by_provider), [(Some("aws"), 10.0), (Some("gcp"), 80.0), (Some("runpod"), 5.0)]);
        let by_plugin = costs(&client, "?group_by=plugin&from=2030-01-01T01:30:00Z").await;
        assert_eq!(groups(&by_plugin), [(Some("c_a"), 75.0)]);
    };
    check(client).await;
    server.stop().await;
    let server = open().start().await;
    check(server.client()).await;
    server.stop().await;
}

#[tokio::test]
async fn costs_are_grouped_by_the_plugin_as_it_was_then() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    let mut document = renting("a", "aws", "running", json!(6));
    document["labels"] = json!({"team": "speech"});
    document["host"] = json!("h1");
    client.register(&document).await;
    client.register(&renting("b", "aws", "running", json!(1))).await;
    hours(&clock, 1);
    client.patch("/plugins/c_a", &json!({"labels": {"team": "text"}, "host": null})).answers(200).await;
    hours(&clock, 2);
    let by = async |group: &str| costs(&client, &format!("?hours=10&group_by={group}")).await;
    let teams = by("label.team").await;
    assert_eq!(groups(&teams), [(None, 3.0), (Some("speech"), 6.0), (Some("text"), 12.0)]);
    assert_eq!(
        teams["groups"][2],
        json!({
            "key": "text", "burn_usd_per_hour": 6, "billable": 1, "unpriced": 0, "estimated_usd": 60,
            "accrued": {"low_usd": 12, "high_usd": 12}, "series": [],
        })
    );
    assert_eq!(teams["groups"][1]["burn_usd_per_hour"], 0, "what is over burns nothing");
    assert_eq!(groups(&by("host").await), [(None, 15.0), (Some("h1"), 6.0)]);
    assert_eq!(groups(&by("plugin").await), [(Some("c_a"), 18.0), (Some("c_b"), 3.0)]);
    assert_eq!(groups(&by("category").await), [(Some("c"), 21.0)]);
    assert_eq!(groups(&by("gpu_type").await), [(None, 21.0)]);
    assert_eq!(groups(&costs(&client, "?group_by=label.team&label.team=text").await), [(Some("text"), 12.0)]);
}

#[rstest]
#[case::memory(false)]
#[case::sqlite(true)]
#[tokio::test]
async fn compacted_costs_are_returned_as_bounds(#[case] sqlite: bool) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let setup = if sqlite { Setup::on(SqliteJournal::open(&path).unwrap()) } else { Setup::on(MemoryJournal::new()) };
    let clock = clock();
    let retention = Retention { changes: 2, days: 90 };
    let server = Setup { clock: clock.clone(), retention, ..setup }.start().await;
    let client = server.client();
    let remote = "/plugins/c_a/remote_resource";
    client.register(&renting("a", "aws", "running", json!(1))).await;
    for price in [2, 4, 8, 16] {
        hours(&clock, 1);
        client.patch(remote, &json!({"estimated_cost_per_hour": price})).answers(200).await;
    }
    hours(&clock, 1);
    let forgets = async { while client.get("/events").answers(200).await.json()["horizon"] != 3 {} };
    within_patience("the oldest changes are forgotten", forgets).await;
    // The total of each plugin is known.
    assert_eq!(exactly(&client, "").await, 31.0);
    assert_eq!(groups(&costs(&client, "?group_by=plugin").await), [(Some("c_a"), 31.0)]);
    // A plugin older than the horizon is known since its creation, at 02:00.
    assert_eq!(exactly(&client, "?from=2030-01-01T03:00:00Z").await, 24.0);
    assert_eq!(exactly(&client, "?from=2030-01-01T02:30:00Z").await, 26.0);
    for (query, low, high, forgotten) in [
        ("?from=2029-01-01T00:00:00Z", 31.0, 31.0, json!({"low_usd": 3, "high_usd": 3})),
        ("?from=2030-01-01T00:30:00Z", 28.0, 31.0, json!({"low_usd": 0, "high_usd": 3})),
        ("?to=2030-01-01T01:30:00Z", 0.0, 3.0, json!({"low_usd": 0, "high_usd": 3})),
        ("?provider=aws", 28.0, 31.0, json!({"low_usd": 0, "high_usd": 3})),
        ("?provider=gcp", 0.0, 3.0, json!({"low_usd": 0, "high_usd": 3})),
        ("?group_by=provider", 31.0, 31.0, json!({"low_usd": 3, "high_usd": 3})),
    ] {
        let told = costs(&client, query).await;
        assert_eq!((spent(&told), &told["accrued"]["forgotten"]), ((low, high), &forgotten), "{query}");
    }
    let by_provider = costs(&client, "?group_by=provider").await;
    assert_eq!(groups(&by_provider), [(None, 3.0), (Some("aws"), 28.0)]);
    server.stop().await;
}

#[tokio::test]
async fn the_past_has_a_rate_and_an_estimate() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    client.register(&renting("a", "aws", "running", json!(10))).await;
    hours(&clock, 1);
    client.patch("/plugins/c_a/remote_resource", &json!({"estimated_cost_per_hour": 20})).answers(200).await;
    for moment in ["1", "2030-01-01T00:30:00Z"] {
        let then = costs(&client, &format!("?as_of={moment}&hours=2&group_by=provider")).await;
        assert_eq!((&then["burn_usd_per_hour"], &then["estimate"]["usd"]), (&json!(10), &json!(20)));
        assert_eq!(
            (&then["accrued"], &then["groups"][0]["accrued"], &then["revision"]),
            (&Value::Null, &Value::Null, &json!(1))
        );
    }
    let reply = client.get("/costs?min_revision=2").answers(200).await;
    assert_eq!((&reply.json()["burn_usd_per_hour"], reply.revision()), (&json!(20), 2));
    assert_eq!(client.get("/costs?min_revision=3&wait=10ms").refused(504).await.kind(), "behind");
}

#[rstest]
#[case("since=1", "since")]
#[case("as_of=0&from=2030-01-01T00:00:00Z", "as_of")]
#[case("from=yesterday", "from")]
#[case("from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z", "from")]
#[case("group_by=colour", "group_by")]
#[case("group_by=label.", "group_by")]
#[case("group_by=host,plugin", "group_by")]
#[case("hours=-1", "hours")]
#[case("hours=inf", "hours")]
#[case("hours=1e7", "hours")]
#[case("hours=", "hours")]
#[case("limit=1", "limit")]
#[case("provider=acme", "provider")]
#[tokio::test]
async fn invalid_cost_queries_are_refused(#[case] query: &str, #[case] named: &str) {
    let server = Server::in_memory().await;
    let problem = server.client().get(&format!("/costs?{query}")).refused(400).await;
    assert_eq!(problem.kind(), "bad-parameter");
    assert!(problem.detail().contains(named), "{}", problem.detail());
}

#[tokio::test]
async fn a_clock_that_is_set_back_reduces_no_cost() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    client.register(&renting("a", "aws", "running", json!(10))).await;
    hours(&clock, 1);
    client.patch("/plugins/c_a", &json!({"title": "New"})).answers(200).await;
    let before = exactly(&client, "").await;
    clock.set(SignedDuration::from_hours(-5));
    assert_eq!(exactly(&client, "").await, before);
    client.patch("/plugins/c_a", &json!({"title": "Newer"})).answers(200).await;
    assert_eq!(exactly(&client, "").await, before);
    let at: Timestamp = costs(&client, "").await["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(at, clock.now(), "the clock that is right now counts");
}

#[tokio::test]
async fn equal_questions_about_costs_were_all_computed_and_all_came_too_late() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    client.register(&renting("a", "aws", "running", json!(1))).await;
    hours(&clock, 1);
    let before = server.registry.scans().counts().done;
    let asked: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { exactly(&client, "?group_by=plugin").await })
        })
        .collect();
    for asked in asked {
        assert_eq!(asked.await.unwrap(), 1.0);
    }
    assert_eq!(server.registry.scans().counts().done - before, 1, "the others waited for the first one's answer");
    hours(&clock, 1);
    assert_eq!(exactly(&client, "?group_by=plugin").await, 2.0, "later, more was spent");
    client.register(&renting("b", "aws", "running", json!(1))).await;
    assert_eq!(costs(&client, "?group_by=plugin").await["burn_usd_per_hour"], 2.0, "another revision, another answer");
}
