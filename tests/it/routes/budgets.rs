//! /budgets, and the events that budgets cause.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::receiver::Receiver;
use crate::harness::server::Setup;
use crate::harness::trace::refused_without_trace;
use crate::harness::{Client, Server, named};
use plugin_registry::clock::ManualClock;
use plugin_registry::net::AddressPolicy;
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::webhook::deliveries::DeliverySettings;

/// The interval of the budget monitor in these tests.
const PAUSE: Duration = Duration::from_millis(10);

/// A Tuesday.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2030-01-01T00:00:00Z".parse().unwrap()))
}

async fn server(clock: &Arc<ManualClock>) -> Server {
    Setup { clock: clock.clone(), pause: PAUSE, ..Setup::in_memory() }.start().await
}

/// A plugin that rents a machine at 10 USD an hour.
fn renting(name: &str, team: &str) -> Value {
    let mut document = named("c", name);
    document["remote_resource"] = json!({"provider": "aws", "status": "running", "estimated_cost_per_hour": 10});
    document["labels"] = json!({"team": team});
    document
}

async fn make(client: &Client, body: Value) -> String {
    let made = client.post("/budgets", &body).answers(201).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), Some(format!("/budgets/{id}").as_str()));
    id
}

fn path(id: &str) -> String {
    format!("/budgets/{id}")
}

#[tokio::test]
async fn a_budget_is_made_listed_read_changed_and_removed() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    assert_eq!(client.get("/budgets").answers(200).await.json(), json!({"items": [], "revision": 0}));
    let id = make(&client, json!({"name": "all", "limit_usd": 99.5, "period": "week"})).await;
    let read = client.get(&path(&id)).answers(200).await.json();
    let start = "2030-01-01T00:00:00Z";
    assert_eq!(
        read,
        json!({
            "id": id, "name": "all", "filters": {}, "limit_usd": 99.5, "limit_usd_per_hour": null, "period": "week",
            "threshold_percent": [50, 80, 100], "counted_from": start, "period_start": "2029-12-31T00:00:00Z",
            "period_end": "2030-01-07T00:00:00Z", "spent": {"low_usd": 0, "high_usd": 0}, "spent_percent": 0,
            "burn_usd_per_hour": 0, "over_limit_per_hour": false, "projected_breach_at": null, "reached_percent": [],
            "revision": 1, "created_at": start, "updated_at": start,
        })
    );
    assert_eq!(client.get("/budgets").answers(200).await.items(), std::slice::from_ref(&read));
    // A response can be sent back, and changes nothing.
    let same = client.patch(&path(&id), &read).answers(200).await;
    assert_eq!((same.json(), same.revision()), (read, 1));
    let patch = json!({"name": "speech", "filters": {"label.team": "speech"}, "threshold_percent": [100, 7, 7]});
    let patched = client.patch(&path(&id), &patch).answers(200).await.json();
    assert_eq!(
        (&patched["filters"], &patched["threshold_percent"], &patched["revision"]),
        (&json!({"label.team": "speech"}), &json!([7, 100]), &json!(2))
    );
    let cleared = client.patch(&path(&id), &json!({"filters": null, "threshold_percent": null})).answers(200).await;
    assert_eq!((&cleared.json()["filters"], &cleared.json()["threshold_percent"]), (&json!({}), &json!([50, 80, 100])));
    client.delete(&path(&id)).answers(204).await;
    client.get(&path(&id)).refused(404).await;
    client.delete(&path(&id)).refused(404).await;
    client.patch(&path(&id), &json!({})).refused(404).await;
    let kinds = client.get("/events").answers(200).await.items();
    let kinds: Vec<_> = kinds.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["budget.saved", "budget.saved", "budget.saved", "budget.removed"]);
    // A budget is not a plugin, and changes none.
    client.get(&format!("/plugins/{id}")).refused(404).await;
    client.get(&format!("/plugins/{id}/history")).refused(404).await;
    assert_eq!(client.get("/events?category=c").answers(200).await.items(), [] as [Value; 0]);
}

#[tokio::test]
async fn a_threshold_is_published_once_a_period_to_all_watchers() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    let body = json!({"name": "speech", "limit_usd": 40, "period": "day", "filters": {"label.team": "speech"}});
    let id = make(&client, body).await;
    client.register(&renting("a", "speech")).await;
    client.register(&renting("b", "text")).await;
    let mut live = client.watch("/events?kind=budget.threshold_reached").await;
    clock.advance(SignedDuration::from_hours(2));
    let half = live.next().await.unwrap();
    assert_eq!(half.event, "change");
    assert_eq!((&half.data["type"], &half.data["subject"]), (&json!("budget.threshold_reached"), &json!(id)));
    assert_eq!(half.data["data"]["plugin"], Value::Null);
    assert_eq!(
        half.data["data"]["budget"],
        json!({
            "name": "speech", "percent": 50, "limit_usd": 40, "period": "day", "period_start": "2030-01-01T00:00:00Z",
            "low_usd": 20, "high_usd": 20,
        })
    );
    // Costs of an ended plugin still count; those of other plugins do not.
    client.patch("/plugins/c_a/remote_resource", &json!({"status": "stopped"})).answers(200).await;
    clock.advance(SignedDuration::from_hours(5));
    client.patch("/plugins/c_a/remote_resource", &json!({"status": "running"})).answers(200).await;
    clock.advance(SignedDuration::from_hours(3));
    let rest = live.take(2).await;
    let percent: Vec<_> = rest.iter().map(|event| event.data["data"]["budget"]["percent"].as_u64().unwrap()).collect();
    assert_eq!(percent, [80, 100]);
    let read = client.get(&path(&id)).answers(200).await.json();
    assert_eq!((&read["spent"], &read["spent_percent"]), (&json!({"low_usd": 50, "high_usd": 50}), &json!(125)));
    assert_eq!((&read["reached_percent"], &read["burn_usd_per_hour"]), (&json!([50, 80, 100]), &json!(10)));
    // At midnight the period restarts for running plugins, too: 14 hours later it is 00:00, two more hours are 20 USD.
    clock.advance(SignedDuration::from_hours(14));
    let read = client.get(&path(&id)).answers(200).await.json();
    assert_eq!((&read["spent"]["high_usd"], &read["reached_percent"]), (&json!(0), &json!([])));
    clock.advance(SignedDuration::from_hours(2));
    let next = live.next().await.unwrap();
    let told = &next.data["data"]["budget"];
    assert_eq!((&told["percent"], &told["period_start"]), (&json!(50), &json!("2030-01-02T00:00:00Z")));
    assert_eq!(client.get("/events?kind=budget.threshold_reached").answers(200).await.items().len(), 4);
}

#[tokio::test]
async fn a_restart_keeps_the_spent_amount_and_the_published_thresholds() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let clock = clock();
    let open = || Setup { clock: clock.clone(), pause: PAUSE, ..Setup::on(SqliteJournal::open(&store).unwrap()) };
    let server = open().start().await;
    let client = server.client();
    let body = json!({"name": "all", "limit_usd": 100, "period": "total", "threshold_percent": [10, 50]});
    let id = make(&client, body).await;
    client.register(&renting("a", "speech")).await;
    let mut live = client.watch("/events?kind=budget.threshold_reached").await;
    clock.advance(SignedDuration::from_hours(2));
    assert_eq!(live.take(1).await[0].data["data"]["budget"]["percent"], 10);
    client.patch("/plugins/c_a", &json!({"title": "New"})).answers(200).await;
    let before = client.get(&path(&id)).answers(200).await.json();
    assert_eq!(before["spent"]["low_usd"], 20);
    drop(live);
    server.stop().await;
    let server = open().start().await;
    let client = server.client();
    assert_eq!(client.get(&path(&id)).answers(200).await.json(), before);
    let mut live = client.watch("/events?kind=budget.threshold_reached").await;
    clock.advance(SignedDuration::from_hours(3));
    assert_eq!(live.take(1).await[0].data["data"]["budget"]["percent"], 50, "10 is not told again");
    // A new limit publishes the thresholds again; the spent amount stays.
    client.patch(&path(&id), &json!({"limit_usd": 500})).answers(200).await;
    let again = live.take(1).await.remove(0);
    assert_eq!(
        (&again.data["data"]["budget"]["percent"], &again.data["data"]["budget"]["high_usd"]),
        (&json!(10), &json!(50))
    );
    // A budget of other plugins counts from its change on.
    let changed = client.patch(&path(&id), &json!({"filters": {"provider": "aws"}})).answers(200).await.json();
    assert_eq!((&changed["spent"]["high_usd"], &changed["counted_from"]), (&json!(0), &json!("2030-01-01T05:00:00Z")));
    drop(live);
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_receives_a_threshold() {
    let clock = clock();
    let webhooks = DeliverySettings { address_policy: AddressPolicy::Everything, ..DeliverySettings::default() };
    let server = Setup { clock: clock.clone(), pause: PAUSE, webhooks, ..Setup::in_memory() }.start().await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    let body = json!({"url": receiver.url(), "kinds": ["budget.threshold_reached"]});
    client.post("/webhooks", &body).answers(201).await;
    make(&client, json!({"name": "all", "limit_usd": 5, "period": "day", "threshold_percent": [100]})).await;
    client.register(&renting("a", "speech")).await;
    clock.advance(SignedDuration::from_mins(30));
    let told = receiver.message().await.event();
    assert_eq!((&told["type"], &told["data"]["budget"]["high_usd"]), (&json!("budget.threshold_reached"), &json!(5)));
    server.stop().await;
}

/// Both servers check the budget and find the threshold: the rules let one publish it.
#[tokio::test]
async fn two_processes_publish_a_threshold_once() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let clock = clock();
    let open = || Setup { clock: clock.clone(), pause: PAUSE, ..Setup::on(SqliteJournal::open(&store).unwrap()) };
    let (one, other) = (open().start().await, open().start().await);
    let client = one.client();
    make(&client, json!({"name": "all", "limit_usd": 100, "period": "total", "threshold_percent": [10, 20, 30]})).await;
    client.register(&renting("a", "speech")).await;
    let mut live = other.client().watch("/events?kind=budget.threshold_reached&after=0").await;
    for (hour, percent) in [(1, 10), (2, 20), (3, 30)] {
        clock.advance(SignedDuration::from_hours(1));
        let told = live.next().await.unwrap().data;
        assert_eq!(
            (&told["data"]["budget"]["percent"], &told["data"]["budget"]["high_usd"]),
            (&json!(percent), &json!(hour * 10))
        );
        // A later server finds the threshold published, however far it has followed the journal.
        for server in [&one, &other] {
            assert_eq!(server.registry.check_budgets().await.map_err(|error| error.to_string()).err(), None);
        }
    }
    assert_eq!(client.get("/events?kind=budget.threshold_reached").answers(200).await.items().len(), 3);
    drop(live);
    one.stop().await;
    other.stop().await;
}

#[rstest]
#[case::no_name(json!({"limit_usd": 1, "period": "day"}), "/name")]
#[case::empty_name(json!({"name": "", "limit_usd": 1, "period": "day"}), "/name")]
#[case::no_limit(json!({"name": "b", "period": "day"}), "/limit_usd")]
#[case::nothing(json!({"name": "b", "limit_usd": 0, "period": "day"}), "/limit_usd")]
#[case::text(json!({"name": "b", "limit_usd": "1", "period": "day"}), "/limit_usd")]
#[case::too_much(json!({"name": "b", "limit_usd": 1e10, "period": "day"}), "/limit_usd")]
#[case::hourly_text(json!({"name": "b", "limit_usd": 1, "period": "day", "limit_usd_per_hour": "1"}), "/limit_usd_per_hour")]
#[case::hourly_nothing(json!({"name": "b", "limit_usd": 1, "period": "day", "limit_usd_per_hour": 0}), "/limit_usd_per_hour")]
#[case::no_period(json!({"name": "b", "limit_usd": 1}), "/period")]
#[case::period(json!({"name": "b", "limit_usd": 1, "period": "year"}), "/period")]
#[case::filter(json!({"name": "b", "limit_usd": 1, "period": "day", "filters": {"activ": true}}), "/filters/activ")]
#[case::no_threshold(json!({"name": "b", "limit_usd": 1, "period": "day", "threshold_percent": []}), "/threshold_percent")]
#[case::threshold(json!({"name": "b", "limit_usd": 1, "period": "day", "threshold_percent": [0]}), "/threshold_percent/0")]
#[case::misspelt(json!({"name": "b", "limit_usd": 1, "period": "day", "filter": {}}), "/filter")]
#[case::bare(json!(["b"]), "")]
#[tokio::test]
async fn an_invalid_budget_is_refused(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::in_memory().await;
    let client = server.client();
    let problem = refused_without_trace(&client, client.post("/budgets", &body), 422).await;
    assert!(problem.pointers().contains(&pointer), "{}", problem.document);
    assert_eq!(client.get("/budgets").answers(200).await.items(), [] as [Value; 0]);
}

#[tokio::test]
async fn there_are_a_hundred_at_most() {
    let server = Server::in_memory().await;
    let client = server.client();
    let body = json!({"name": "b", "limit_usd": 1, "period": "day"});
    let first = make(&client, body.clone()).await;
    for _ in 1..100 {
        make(&client, body.clone()).await;
    }
    assert_eq!(client.post("/budgets", &body).refused(409).await.kind(), "too-many-budgets");
    client.patch(&path(&first), &json!({"limit_usd": 2})).answers(200).await;
    client.delete(&path(&first)).answers(204).await;
    make(&client, body).await;
}

#[tokio::test]
async fn parameters_are_refused() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.get("/budgets?active=true").refused(400).await;
    client.post("/budgets?x=1", &json!({"name": "b", "limit_usd": 1, "period": "day"})).refused(400).await;
    client.get("/budgets/1?x=1").refused(400).await;
}

#[tokio::test]
async fn a_budget_foresees_when_the_limit_is_reached() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    let id = make(&client, json!({"name": "day", "limit_usd": 100, "period": "day"})).await;
    let projected = async || client.get(&path(&id)).answers(200).await.json()["projected_breach_at"].clone();
    assert_eq!(projected().await, Value::Null, "nothing costs anything");
    client.register(&renting("a", "x")).await;
    assert_eq!(projected().await, json!("2030-01-01T10:00:00Z"));
    clock.advance(SignedDuration::from_hours(4));
    assert_eq!(projected().await, json!("2030-01-01T10:00:00Z"), "60 USD are left, for six hours");
    clock.advance(SignedDuration::from_hours(7));
    assert_eq!(projected().await, Value::Null, "the limit is reached");
    let later = make(&client, json!({"name": "much", "limit_usd": 1000, "period": "day"})).await;
    let reply = client.get(&path(&later)).answers(200).await.json();
    assert_eq!(reply["projected_breach_at"], Value::Null, "not within the day: {reply}");
}

/// Two servers on one store both find what is to be told, and a restart finds it again: the rules let one tell it.
#[tokio::test]
async fn a_projected_breach_is_told_once_a_period_also_by_two_processes_and_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let clock = clock();
    let open = || Setup { clock: clock.clone(), pause: PAUSE, ..Setup::on(SqliteJournal::open(&store).unwrap()) };
    let (one, other) = (open().start().await, open().start().await);
    let client = one.client();
    let body = json!({"name": "day", "limit_usd": 100, "period": "day", "threshold_percent": [1000]});
    let id = make(&client, body).await;
    let mut live = other.client().watch("/events?kind=budget.breach_projected&after=0").await;
    client.register(&renting("a", "x")).await;
    let told = live.next().await.unwrap().data;
    assert_eq!((&told["type"], &told["subject"]), (&json!("budget.breach_projected"), &json!(id)));
    assert_eq!(
        told["data"]["budget"],
        json!({
            "name": "day", "limit_usd": 100, "period": "day", "period_start": "2030-01-01T00:00:00Z",
            "projected_breach_at": "2030-01-01T10:00:00Z", "burn_usd_per_hour": 10, "low_usd": 0, "high_usd": 0,
        })
    );
    drop(live);
    one.stop().await;
    other.stop().await;
    let again = open().start().await;
    clock.advance(SignedDuration::from_hours(1));
    again.client().register(&renting("b", "x")).await;
    assert_eq!(again.registry.check_budgets().await.map_err(|error| error.to_string()), Ok(0), "not again in this day");
    let mut live = again.client().watch("/events?kind=budget.breach_projected").await;
    clock.advance(SignedDuration::from_hours(24));
    let next = live.next().await.unwrap().data;
    assert_eq!(next["data"]["budget"]["period_start"], json!("2030-01-02T00:00:00Z"));
    assert_eq!(again.client().get("/events?kind=budget.breach_projected").answers(200).await.items().len(), 2);
    drop(live);
    again.stop().await;
}

#[tokio::test]
async fn a_burn_above_the_limit_of_an_hour_is_told_and_so_is_its_return() {
    let clock = clock();
    let server = server(&clock).await;
    let client = server.client();
    let body = json!({"name": "rate", "limit_usd": 1000, "period": "day", "limit_usd_per_hour": 10});
    let id = make(&client, body).await;
    let mut live = client.watch("/events?kind=budget.burn_exceeded,budget.burn_recovered").await;
    client.register(&renting("a", "x")).await;
    let read = client.get(&path(&id)).answers(200).await.json();
    assert_eq!((&read["limit_usd_per_hour"], &read["over_limit_per_hour"]), (&json!(10), &json!(false)), "exactly");
    assert_eq!(server.registry.check_budgets().await.map_err(|error| error.to_string()), Ok(0));
    client.register(&renting("b", "x")).await;
    let over = live.next().await.unwrap().data;
    assert_eq!((&over["type"], &over["subject"]), (&json!("budget.burn_exceeded"), &json!(id)));
    let expected = json!({"name": "rate", "limit_usd_per_hour": 10, "burn_usd_per_hour": 20});
    assert_eq!(over["data"]["budget"], expected);
    assert_eq!(client.get(&path(&id)).answers(200).await.json()["over_limit_per_hour"], true);
    client.patch("/plugins/c_b/remote_resource", &json!({"status": "stopped"})).answers(200).await;
    let under = live.next().await.unwrap().data;
    assert_eq!(
        (&under["type"], &under["data"]["budget"]["burn_usd_per_hour"]),
        (&json!("budget.burn_recovered"), &json!(10))
    );
    // Another limit is another question.
    client.patch(&path(&id), &json!({"limit_usd_per_hour": 5})).answers(200).await;
    assert_eq!(live.next().await.unwrap().data["type"], "budget.burn_exceeded");
    let lifted = client.patch(&path(&id), &json!({"limit_usd_per_hour": null})).answers(200).await.json();
    assert_eq!((&lifted["limit_usd_per_hour"], &lifted["over_limit_per_hour"]), (&Value::Null, &json!(false)));
    assert_eq!(server.registry.check_budgets().await.map_err(|error| error.to_string()), Ok(0));
    drop(live);
    server.stop().await;
}

/// A webhook for people that names no kinds.
#[tokio::test]
async fn a_chat_hears_of_the_projected_breach_and_of_the_burn() {
    let clock = clock();
    let webhooks =
        DeliverySettings { address_policy: AddressPolicy::Everything, pause: PAUSE, ..DeliverySettings::default() };
    let server = Setup { clock: clock.clone(), pause: PAUSE, webhooks, ..Setup::in_memory() }.start().await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    client.post("/webhooks", &json!({"url": receiver.url(), "format": "text"})).answers(201).await;
    make(&client, json!({"name": "rate", "limit_usd": 100, "period": "day", "limit_usd_per_hour": 9})).await;
    client.register(&renting("a", "x")).await;
    let mut told = String::new();
    while !(told.contains("reached at 2030-01-01T10:00:00Z") && told.contains("above the limit of 9 USD an hour")) {
        told.push_str(&String::from_utf8_lossy(&receiver.message().await.body));
    }
    server.stop().await;
}
