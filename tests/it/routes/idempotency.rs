//! Idempotency-Key: a repeated write happens once, and gets the first response.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::server::Setup;
use crate::harness::{Call, Client, Durable, Reply, Server, Trace, minimal, named};
use plugin_registry::clock::ManualClock;
use plugin_registry::http::operations::{Idempotency, OPERATIONS, Operation};

fn with_key(call: Call, key: &str) -> Call {
    call.header("idempotency-key", key)
}

/// The parts of a response that a client sees.
fn seen(reply: &Reply) -> (u16, String, Option<String>, Option<String>, u64) {
    let header = |name| reply.header(name).map(str::to_owned);
    (reply.status.as_u16(), reply.text().to_owned(), header("etag"), header("location"), reply.revision())
}

#[rstest]
#[case::register(Method::POST, "/plugins", named("c", "new"))]
#[case::replace(Method::PUT, "/plugins/c_new", named("c", "new"))]
#[case::patch(Method::PATCH, "/plugins/transcription_whisper", json!({"title": "X"}))]
#[case::add_pids(Method::POST, "/plugins/transcription_whisper/spawned_pids", json!({"spawned_pids": [7]}))]
#[case::config(Method::PUT, "/plugins/transcription_whisper/config", json!({"a": 1}))]
#[case::category(Method::PUT, "/categories/transcription", json!({"display_name": "ASR"}))]
#[case::remove(Method::DELETE, "/plugins/transcription_whisper", Value::Null)]
#[tokio::test]
async fn a_repeat_gets_the_first_response_and_changes_nothing(
    #[case] method: Method,
    #[case] path: &str,
    #[case] body: Value,
) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let send = || {
        let call = client.request(method.clone(), path);
        let call = if body.is_null() { call } else { call.json(&body) };
        with_key(call, "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"")
    };
    let first = send().send().await;
    assert!(first.status.is_success() && first.header("idempotency-replayed").is_none(), "{first:?}");
    // Other writes continue meanwhile, also to the same plugin.
    client
        .post(
            "/plugins",
            &json!({"name": "whisper", "category": "transcription", "title": "Other", "config_schema": {}}),
        )
        .send()
        .await;
    client.post("/plugins", &named("c", "other")).answers(201).await;
    let before = Trace::of(&client).await;
    let again = send().send().await;
    assert_eq!(seen(&again), seen(&first));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(Trace::of(&client).await, before);
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let server = Server::start().await;
    let client = server.client();
    with_key(client.post("/plugins", &named("c", "a")), "k").answers(201).await;
    let before = Trace::of(&client).await;
    for other in [
        client.post("/plugins", &named("c", "b")),
        client.put("/plugins/c_a", &named("c", "a")),
        client.delete("/plugins/c_a"),
    ] {
        let refused = with_key(other, "k").refused(422).await;
        assert_eq!(refused.kind(), "idempotency-key-reused");
    }
    assert_eq!(Trace::of(&client).await, before);
    for wrong in ["", "\"", "a b", &"x".repeat(256)] {
        with_key(client.post("/plugins", &named("c", "b")), wrong).refused(400).await;
    }
}

/// A refusal changes nothing: the same request may succeed the next time.
#[tokio::test]
async fn a_refused_request_is_decided_again() {
    let server = Server::start().await;
    let client = server.client();
    let patch = || with_key(client.patch("/plugins/transcription_whisper", &json!({"title": "New"})), "k");
    patch().refused(404).await;
    client.register(&minimal()).await;
    patch().answers(200).await;
    client.delete("/plugins/transcription_whisper").answers(204).await;
    assert_eq!(patch().answers(200).await.json()["title"], "New", "from now on it is the first answer");
}

/// A saved configuration is not validated again: the schema may have changed since.
#[tokio::test]
async fn a_repeat_is_not_validated_against_a_newer_schema() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let save = || with_key(client.put("/plugins/transcription_whisper/config", &json!({"device": 1})), "k");
    let first = save().answers(200).await;
    let stricter = json!({"config_schema": {"properties": {"device": {"type": "string"}}}});
    client.patch("/plugins/transcription_whisper", &stricter).answers(200).await;
    assert_eq!(seen(&save().answers(200).await), seen(&first));
}

#[tokio::test]
async fn concurrent_repeats_take_effect_once() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let path = "/plugins/transcription_whisper";
    let calls = (0..20).map(|_| with_key(client.patch(path, &json!({"title": "once"})), "k").answers(200));
    let replies = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|reply| seen(reply) == seen(&replies[0])));
    let repeated = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_some()).count();
    assert_eq!(repeated, 19);
    assert_eq!(client.get("/stats").answers(200).await.revision(), 2);
}

/// A client repeats an interrupted import: each line takes effect once.
#[tokio::test]
async fn each_line_of_a_repeated_import_takes_effect_once() {
    let server = Server::start().await;
    let client = server.client();
    let lines = |number: usize| -> String {
        let lines = (0..number).map(|n| named("c", &n.to_string()).to_string());
        lines.collect::<Vec<_>>().join("\n")
    };
    let import = async |client: &Client, text: String| {
        let call = client.request(Method::POST, "/plugins").body("application/x-ndjson", text);
        with_key(call, "import-1").answers(200).await
    };
    let part = import(&client, lines(3)).await.lines();
    client.patch("/plugins/c_1", &json!({"title": "changed since"})).answers(200).await;
    let whole = import(&client, lines(5)).await.lines();
    assert_eq!(whole[..3], part[..]);
    assert_eq!(whole[3]["status"], 201);
    let plugin = client.get("/plugins/c_1").answers(200).await.json();
    assert_eq!(plugin["title"], "changed since", "a line that was done is not done again");
}

#[tokio::test]
async fn a_stored_response_survives_a_restart_and_expires_after_a_day() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    let store = Durable::fresh();
    let start =
        async || Setup { journal: store.open(), clock: Arc::clone(&clock) as _, ..Setup::in_memory() }.start().await;
    let register = |client: &Client| with_key(client.post("/plugins", &named("c", "a")), "k");
    let server = start().await;
    let first = register(&server.client()).answers(201).await;
    server.stop().await;
    let server = start().await;
    clock.advance(SignedDuration::from_hours(23));
    assert_eq!(seen(&register(&server.client()).answers(201).await), seen(&first));
    clock.advance(SignedDuration::from_hours(2));
    let anew = register(&server.client()).answers(200).await;
    assert_eq!(anew.header("idempotency-replayed"), None);
    server.stop().await;
}

#[tokio::test]
async fn a_lease_is_granted_once() {
    let server = Server::start().await;
    let client = server.client();
    let terms = json!({"holder": "app", "host": "h"});
    let first = with_key(client.post("/leases", &terms), "k").answers(201).await;
    let again = with_key(client.post("/leases", &terms), "k").answers(201).await;
    assert_eq!(seen(&again), seen(&first));
    assert_eq!(client.get("/leases").answers(200).await.items().len(), 1);
}

#[tokio::test]
async fn a_response_with_a_secret_is_not_stored() {
    let server = Server::start().await;
    let client = server.client();
    with_key(client.post("/webhooks", &json!({"url": "https://example.com/hook"})), "k").refused(400).await;
    with_key(client.post("/tokens", &json!({"name": "n", "role": "admin"})), "k").refused(400).await;
    assert!(client.get("/webhooks").answers(200).await.items().is_empty());
}

#[tokio::test]
async fn a_lease_is_released_once() {
    let server = Server::start().await;
    let client = server.client();
    let lease = client.post("/leases", &json!({"holder": "app"})).answers(201).await.json();
    let path = format!("/leases/{}", lease["lease_id"].as_str().unwrap());
    let first = with_key(client.delete(&path), "k").answers(204).await;
    let again = with_key(client.delete(&path), "k").answers(204).await;
    assert_eq!((seen(&again), again.header("idempotency-replayed")), (seen(&first), Some("true")));
}

/// The path of an operation, about something that does not exist.
fn somewhere(operation: &Operation) -> String {
    operation.path.replace("{pid}", "1").replace("{kind}", "process").replace(['{', '}'], "")
}

#[tokio::test]
async fn a_key_that_an_operation_does_not_honour_was_ignored_in_silence() {
    let server = Server::start().await;
    let client = server.client();
    let before = Trace::of(&client).await;
    for operation in OPERATIONS.iter().filter(|operation| operation.method != "GET") {
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
        let send = |key: &str| with_key(client.request(method.clone(), &somewhere(operation)), key);
        match operation.idempotency {
            Idempotency::Refused(why) => {
                let refused = send("k").refused(400).await;
                assert!(
                    refused.detail().contains("Idempotency-Key") && refused.detail().contains(why),
                    "{operation:?}"
                );
            }
            // Only an operation that reads the key can find it wrong.
            Idempotency::Honoured => {
                let refused = send("not one word").refused(400).await;
                assert!(refused.detail().contains("Idempotency-Key must be"), "{operation:?}: {}", refused.detail());
            }
            Idempotency::Ignored => assert_eq!(operation.path, "/plugins/{id}/config/validate", "it changes something"),
        }
    }
    assert_eq!(Trace::of(&client).await, before);
}

fn held(plugin: &str, pid: u32) -> Value {
    json!({"plugin": plugin, "kind": "process", "id": pid.to_string()})
}

async fn holding(client: &Client, name: &str, pids: &[u32]) {
    let mut document = named("c", name);
    document["spawned_pids"] = json!(pids);
    client.register(&document).await;
}

/// Some resources are released and others refused: the first answer has all results, and a repeat gets them.
#[tokio::test]
async fn a_repeated_release_gets_the_first_results_and_releases_nothing_more() {
    for store in [None, Some(Durable::fresh())] {
        let setup = || match &store {
            Some(store) => Setup { journal: store.open(), ..Setup::in_memory() },
            None => Setup::in_memory(),
        };
        let mut server = setup().start().await;
        let mut client = server.client();
        holding(&client, "a", &[7, 8]).await;
        holding(&client, "b", &[9]).await;
        let body =
            json!({"resources": [held("c_a", 7), held("c_a", 8), held("c_b", 1), held("c_x", 1), held("c_b", 9)]});
        let release = |client: &Client| with_key(client.post("/resources/release", &body), "k");
        let first = release(&client).answers(200).await;
        let items = first.items();
        let told: Vec<_> =
            items.iter().map(|item| (item["released"].clone(), item["problem"]["status"].clone())).collect();
        let (done, refused) = ((json!(true), Value::Null), (json!(false), json!(404)));
        assert_eq!(told, [done.clone(), done.clone(), refused.clone(), refused, done]);
        assert_eq!(items[0]["revision"], items[1]["revision"], "the resources of a plugin have one revision");
        // The application claims one again, which the repeat must not take away.
        client.post("/plugins/c_a/spawned_pids", &json!({"spawned_pids": [7]})).answers(200).await;
        if store.is_some() {
            server.stop().await;
            server = setup().start().await;
            client = server.client();
        }
        let before = Trace::of(&client).await;
        let again = release(&client).answers(200).await;
        assert_eq!((seen(&again), again.header("idempotency-replayed")), (seen(&first), Some("true")));
        assert_eq!(Trace::of(&client).await, before);
        let other = json!({"resources": [held("c_a", 7)]});
        let reused = with_key(client.post("/resources/release", &other), "k").refused(422).await;
        assert_eq!(reused.kind(), "idempotency-key-reused");
        server.stop().await;
    }
}

/// The filters select other resources by then.
#[tokio::test]
async fn a_repeated_release_by_filter_does_not_take_what_matches_later() {
    let server = Server::start().await;
    let client = server.client();
    holding(&client, "a", &[7]).await;
    let path = "/resources/release?category=c";
    let release = |key: &str| with_key(client.request(Method::POST, path), key);
    let first = release("k").answers(200).await;
    assert_eq!(first.items().len(), 1);
    holding(&client, "b", &(1..=1_001).collect::<Vec<_>>()).await;
    assert_eq!(seen(&release("k").answers(200).await), seen(&first));
    assert_eq!(client.get("/plugins/c_b").answers(200).await.json()["spawned_pids"].as_array().unwrap().len(), 1_001);
    assert!(release("another").refused(400).await.detail().contains("1001"));
    client.request(Method::POST, path).refused(400).await;
}

/// Nothing was released, so that the same request may succeed the next time; and a dry run uses no key up.
#[tokio::test]
async fn a_release_that_did_nothing_is_decided_again() {
    let server = Server::start().await;
    let client = server.client();
    let body = json!({"resources": [held("c_a", 7)]});
    let release = || with_key(client.post("/resources/release", &body), "k");
    assert_eq!(release().answers(200).await.items()[0]["released"], false);
    holding(&client, "a", &[7]).await;
    let dry = with_key(client.post("/resources/release?dry_run=true", &body), "k").answers(200).await;
    assert_eq!((&dry.items()[0]["released"], &dry.items()[0]["revision"]), (&json!(true), &Value::Null));
    let done = release().answers(200).await;
    assert_eq!((&done.items()[0]["released"], done.header("idempotency-replayed")), (&json!(true), None));
    let by_filter = with_key(client.request(Method::POST, "/resources/release?category=c"), "f").answers(200).await;
    assert_eq!(by_filter.items(), [] as [Value; 0]);
}
