//! Webhook deliveries: signed, in order, at least once, and only to allowed addresses.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::receiver::{Answer, Receiver};
use crate::harness::server::{Server, Setup};
use crate::harness::{Client, minimal, named, within_patience};
use domain::Revision;
use plugin_registry::net::AddressPolicy;
use plugin_registry::store::Journal as _;
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::store::webhooks::DeliveryProgress;
use plugin_registry::webhook::BackOff;
use plugin_registry::webhook::deliveries::DeliverySettings;

/// Deliveries to this host, retried at once.
fn quick() -> DeliverySettings {
    let back_off = BackOff {
        first: SignedDuration::from_millis(1),
        longest: SignedDuration::from_millis(2),
        patience: SignedDuration::from_hours(24),
    };
    let attempt_time = Duration::from_secs(10);
    let address_policy = AddressPolicy::Everything;
    DeliverySettings { address_policy, attempt_time, back_off, ..DeliverySettings::default() }
}

async fn in_memory(webhooks: DeliverySettings) -> Server {
    Setup { webhooks, ..Setup::in_memory() }.start().await
}

async fn on(store: &Path, webhooks: DeliverySettings) -> Server {
    Setup { webhooks, ..Setup::on(SqliteJournal::open(store).unwrap()) }.start().await
}

/// Creates a webhook, and returns its document.
async fn hook(client: &Client, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"url": receiver.url()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/webhooks", &body).answers(201).await.json()
}

fn id_of(hook: &Value) -> &str {
    hook["id"].as_str().expect("an id")
}

fn path_of(hook: &Value) -> String {
    format!("/webhooks/{}", id_of(hook))
}

/// Waits until a webhook has reached this revision.
async fn comes_to(server: &Server, hook: &Value, place: impl FnMut(&DeliveryProgress) -> bool) -> DeliveryProgress {
    let mut progress = server.webhooks.watch(id_of(hook)).expect("there is such a webhook");
    within_patience("its progress", progress.wait_for(place)).await.expect("it was changed").clone()
}

async fn read(client: &Client, hook: &Value) -> Value {
    client.get(&path_of(hook)).answers(200).await.json()
}

#[tokio::test]
async fn a_delivery_is_a_signed_cloud_event() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    let hook = hook(&client, &receiver, json!({})).await;
    let registered = client.register(&minimal()).await;
    let message = receiver.message().await;
    message.verify(hook["secret"].as_str().unwrap());
    assert_eq!(message.path, "/hook");
    assert_eq!(message.header("content-type"), "application/cloudevents+json");
    assert_eq!(message.header("webhook-id"), format!("{}-1", registered.store()));
    assert!(message.header("user-agent").starts_with("plugin-registry/"));
    let event = message.event();
    assert_eq!((&event["type"], &event["id"]), (&json!("plugin.registered"), &json!("1")));
    assert_eq!(event["data"]["plugin"], registered.json());
    let progress = comes_to(&server, &hook, |progress| progress.position.0 == 1).await;
    assert_eq!((progress.last_status, progress.failures), (Some(204), 0));
    let document = read(&client, &hook).await;
    assert_eq!((document["lag"].as_u64(), document["state"].as_str()), (Some(0), Some("delivering")));
    assert!(document["last_delivered_at"].is_string());
}

#[tokio::test]
async fn deliveries_keep_their_order_over_failures_and_their_id_over_attempts() {
    let server = in_memory(DeliverySettings { attempt_time: Duration::from_millis(300), ..quick() }).await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    for answer in [
        Answer::Status(500),
        Answer::Silence,
        Answer::Status(429),
        Answer::Redirect(receiver.url()),
        Answer::Status(404),
    ] {
        receiver.next(answer);
    }
    let hook = hook(&client, &receiver, json!({})).await;
    for name in ["a", "b", "c"] {
        client.register(&named("c", name)).await;
    }
    let mut ids = Vec::new();
    for _ in 0..6 {
        let message = receiver.message().await;
        message.verify(hook["secret"].as_str().unwrap());
        assert_eq!(message.revision(), 1, "the second does not overtake the first");
        ids.push(message.header("webhook-id").to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(receiver.revisions(2).await, [2, 3]);
    let progress = comes_to(&server, &hook, |progress| progress.position.0 == 3).await;
    assert_eq!((progress.failures, progress.first_failed_at, progress.next_attempt_at), (0, None, None));
    assert_eq!(progress.last_error.as_deref(), Some("the target answered 404"), "the newest error stays visible");
}

#[tokio::test]
async fn an_unreachable_target_is_retried_and_gets_every_change() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let receiver = Receiver::start().await;
    let hook = hook(&client, &receiver, json!({})).await;
    let address = receiver.stop().await;
    client.register(&minimal()).await;
    client.delete("/plugins/transcription_whisper").answers(204).await;
    comes_to(&server, &hook, |progress| progress.failures >= 2).await;
    let waiting = read(&client, &hook).await;
    assert_eq!((waiting["position"].as_u64(), waiting["lag"].as_u64()), (Some(0), Some(2)));
    assert!(waiting["last_error"].as_str().unwrap().contains("refused"), "{waiting}");
    assert!(waiting["last_status"].is_null() && waiting["first_failed_at"].is_string(), "{waiting}");
    let mut receiver = Receiver::at(address).await;
    assert_eq!(receiver.revisions(2).await, [1, 2]);
}

#[tokio::test]
async fn a_restart_loses_no_delivery_and_repeats_one_that_was_not_finished() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let mut receiver = Receiver::start().await;
    let server = on(&store, quick()).await;
    let client = server.client();
    let hook = hook(&client, &receiver, json!({})).await;
    client.register(&named("c", "delivered")).await;
    comes_to(&server, &hook, |progress| progress.position.0 == 1).await;
    receiver.next(Answer::Silence);
    client.register(&named("c", "unfinished")).await;
    assert_eq!(receiver.revisions(2).await, [1, 2]);
    server.stop().await;
    assert!(!folder.path().join("registry.db-wal").exists(), "a clean stop leaves one file");
    let server = on(&store, quick()).await;
    let client = server.client();
    client.register(&named("c", "new")).await;
    let again = receiver.message().await;
    again.verify(hook["secret"].as_str().unwrap());
    assert_eq!(again.revision(), 2, "what was delivered is not repeated, and nothing is left out");
    assert_eq!(receiver.message().await.revision(), 3);
    comes_to(&server, &hook, |progress| progress.position.0 == 3).await;
    let folder = server.stop().await;
    drop(folder);
    assert!(receiver.is_silent());
}

#[tokio::test]
async fn a_kill_loses_no_delivery() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let mut receiver = Receiver::start().await;
    let flags = ["--webhooks-allow-private"];
    let daemon = crate::harness::Daemon::start_with(&store, &flags).await;
    let client = daemon.client();
    hook(&client, &receiver, json!({})).await;
    receiver.next(Answer::Silence);
    client.register(&named("c", "a")).await;
    client.register(&named("c", "b")).await;
    assert_eq!(receiver.revisions(1).await, [1]);
    daemon.signal(rustix::process::Signal::KILL);
    daemon.exit().await;
    let daemon = crate::harness::Daemon::start_with(&store, &flags).await;
    assert_eq!(receiver.revisions(2).await, [1, 2]);
    daemon.stop().await;
}

#[tokio::test]
async fn events_dropped_by_the_topic_are_read_from_the_journal() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let server = on(&store, quick()).await;
    let lines: String = (0..700).map(|n| named("c", &format!("{n}")).to_string() + "\n").collect();
    server.client().import(lines).await;
    server.stop().await;
    let server = on(&store, quick()).await;
    let mut receiver = Receiver::start().await;
    hook(&server.client(), &receiver, json!({"after": 10})).await;
    server.client().register(&named("d", "d")).await;
    assert_eq!(receiver.revisions(691).await, (11..=701).collect::<Vec<_>>());
}

#[tokio::test]
async fn compacted_events_park_the_webhook() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let mut receiver = Receiver::start().await;
    let server = on(&store, quick()).await;
    let client = server.client();
    let hook = hook(&client, &receiver, json!({"enabled": false})).await;
    for name in ["a", "b", "c", "d", "e"] {
        client.register(&named("c", name)).await;
    }
    server.stop().await;
    let mut journal = SqliteJournal::open(&store).unwrap();
    assert_eq!(journal.compact(Revision(3), 1000).unwrap(), Revision(3));
    journal.close();
    drop(journal);
    let server = on(&store, quick()).await;
    let client = server.client();
    client.patch(&path_of(&hook), &json!({"enabled": true})).answers(200).await;
    let parked = comes_to(&server, &hook, |progress| progress.parked_at.is_some()).await;
    assert!(parked.last_error.unwrap().contains("compacted; set `after` to 3 or later"));
    for body in [json!({"after": 2}), json!({"after": 6})] {
        client.patch(&path_of(&hook), &body).refused(422).await.about("/after");
    }
    let too_old = client.post("/webhooks", &json!({"url": receiver.url(), "after": 2})).refused(422).await;
    assert!(too_old.about("/after").contains("the oldest possible value is 3"), "{}", too_old.document);
    assert!(receiver.is_silent());
    let moved = client.patch(&path_of(&hook), &json!({"after": 3})).answers(200).await.json();
    assert_eq!(moved["state"], "delivering");
    assert_eq!(receiver.revisions(2).await, [4, 5]);
}

#[tokio::test]
async fn a_target_that_is_gone_is_parked_until_it_is_enabled_again() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let server = on(&store, quick()).await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    let hook = hook(&client, &receiver, json!({})).await;
    receiver.next(Answer::Status(410));
    client.register(&named("c", "a")).await;
    receiver.message().await;
    comes_to(&server, &hook, |progress| progress.parked_at.is_some()).await;
    client.register(&named("c", "b")).await;
    let parked = read(&client, &hook).await;
    assert_eq!((parked["state"].as_str(), parked["last_status"].as_u64()), (Some("parked"), Some(410)));
    assert_eq!(parked["lag"], 2);
    server.stop().await;
    let server = on(&store, quick()).await;
    let client = server.client();
    assert_eq!(read(&client, &hook).await["state"], "parked", "it stays so");
    assert!(receiver.is_silent());
    let resumed = client.patch(&path_of(&hook), &json!({"enabled": true})).answers(200).await.json();
    assert_eq!((resumed["state"].as_str(), resumed["failures"].as_u64()), (Some("delivering"), Some(0)));
    assert_eq!(receiver.revisions(2).await, [1, 2]);
}

#[tokio::test]
async fn a_delivery_that_fails_too_long_parks_the_webhook() {
    let back_off = BackOff { patience: SignedDuration::from_millis(20), ..quick().back_off };
    let server = in_memory(DeliverySettings { back_off, ..quick() }).await;
    let client = server.client();
    let receiver = Receiver::start().await;
    let hook = hook(&client, &receiver, json!({})).await;
    receiver.stop().await;
    client.register(&minimal()).await;
    comes_to(&server, &hook, |progress| progress.parked_at.is_some()).await;
    let parked = read(&client, &hook).await;
    assert_eq!((parked["state"].as_str(), parked["lag"].as_u64()), (Some("parked"), Some(1)));
    assert!(parked["failures"].as_u64() >= Some(2), "{parked}");
    assert!(parked["next_attempt_at"].is_null() && parked["last_error"].is_string(), "{parked}");
}

#[tokio::test]
async fn plugins_that_leave_the_filter_are_delivered() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let mut active = Receiver::start().await;
    let mut kinds = Receiver::start().await;
    let mut all = Receiver::start().await;
    let of_active =
        hook(&client, &active, json!({"filters": {"active": true, "label.team": ["speech", "text"]}})).await;
    hook(&client, &kinds, json!({"kinds": ["plugin.removed", "category.named"]})).await;
    hook(&client, &all, json!({})).await;
    let mut body = minimal();
    body["labels"] = json!({"team": "speech"});
    client.register(&body).await; // 1: not active
    client.put("/plugins/transcription_whisper/spawned_pids", &json!({"spawned_pids": [7]})).answers(200).await; // 2
    client.put("/categories/transcription", &json!({"display_name": "Speech"})).answers(200).await; // 3
    client.register(&named("c", "other")).await; // 4
    client.put("/plugins/transcription_whisper/spawned_pids", &json!({"spawned_pids": []})).answers(200).await; // 5: leaves the filter
    client.put("/plugins/c_other/spawned_pids", &json!({"spawned_pids": [8]})).answers(200).await; // 6: another team
    client.delete("/plugins/transcription_whisper").answers(204).await; // 7
    assert_eq!(all.revisions(7).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(kinds.revisions(2).await, [3, 7]);
    assert_eq!(active.revisions(2).await, [2, 5]);
    comes_to(&server, &of_active, |progress| progress.position.0 == 7).await;
    assert!(active.is_silent() && kinds.is_silent());
}

#[tokio::test]
async fn a_paused_or_removed_webhook_gets_no_delivery() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    let paused = hook(&client, &receiver, json!({})).await;
    client.register(&named("c", "a")).await;
    assert_eq!(receiver.revisions(1).await, [1]);
    comes_to(&server, &paused, |progress| progress.position.0 == 1).await;
    client.patch(&path_of(&paused), &json!({"enabled": false})).answers(200).await;
    client.register(&named("c", "b")).await;
    let mut witness = Receiver::start().await;
    let removed = hook(&client, &receiver, json!({})).await;
    client.delete(&path_of(&removed)).answers(204).await;
    hook(&client, &witness, json!({})).await;
    client.register(&named("c", "c")).await;
    assert_eq!(witness.revisions(1).await, [3]);
    assert!(receiver.is_silent());
    client.patch(&path_of(&paused), &json!({"enabled": true})).answers(200).await;
    assert_eq!(receiver.revisions(2).await, [2, 3], "changes during the pause are delivered afterwards");
}

#[tokio::test]
async fn a_patch_moves_the_target_and_the_position() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let (first, mut second) = (Receiver::start().await, Receiver::start().await);
    let hook = hook(&client, &first, json!({})).await;
    client.register(&named("c", "a")).await;
    client.register(&named("c", "b")).await;
    comes_to(&server, &hook, |progress| progress.position.0 == 2).await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let patch = json!({"url": second.url(), "after": 0, "secret": secret});
    client.patch(&path_of(&hook), &patch).answers(200).await;
    let message = second.message().await;
    message.verify(secret);
    assert_eq!((message.revision(), second.revisions(1).await), (1, vec![2]));
}

#[tokio::test]
async fn a_test_delivery_is_sent_at_once_and_its_result_returned() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    let hook = hook(&client, &receiver, json!({"enabled": false})).await;
    let test = || client.request(Method::POST, &format!("{}/test", path_of(&hook)));
    let told = test().answers(200).await.json();
    let message = receiver.message().await;
    message.verify(hook["secret"].as_str().unwrap());
    assert_eq!(message.event()["type"], "webhook.test");
    assert_eq!(told["webhook_id"], message.header("webhook-id"));
    assert_eq!((&told["delivered"], &told["status"], &told["error"]), (&json!(true), &json!(204), &Value::Null));
    receiver.next(Answer::Status(503));
    let told = test().answers(200).await.json();
    assert_eq!((&told["delivered"], &told["status"]), (&json!(false), &json!(503)));
    assert_eq!(read(&client, &hook).await["failures"], 0, "a test is not counted");
}

#[tokio::test]
async fn an_answer_that_never_ends_counts_by_its_status() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let mut receiver = Receiver::start().await;
    hook(&client, &receiver, json!({})).await;
    receiver.next(Answer::Endless(200));
    client.register(&named("c", "a")).await;
    client.register(&named("c", "b")).await;
    assert_eq!(receiver.revisions(2).await, [1, 2]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = in_memory(quick()).await;
    let client = server.client();
    let (receiver, mut inner) = (Receiver::start().await, Receiver::start().await);
    let hook = hook(&client, &receiver, json!({})).await;
    receiver.next(Answer::Redirect(inner.url()));
    let told = client.request(Method::POST, &format!("{}/test", path_of(&hook))).answers(200).await.json();
    assert_eq!((&told["delivered"], &told["status"]), (&json!(false), &json!(307)));
    assert!(told["error"].as_str().unwrap().contains("redirects are not followed"), "{told}");
    assert!(inner.is_silent());
}

#[tokio::test]
async fn a_private_address_is_refused_once_the_setting_is_off() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let mut receiver = Receiver::start().await;
    let server = on(&store, quick()).await;
    let by_address = hook(&server.client(), &receiver, json!({})).await;
    // A name that resolves to this host.
    let url = format!("http://localhost:{}/", receiver.address.port());
    let by_name = hook(&server.client(), &receiver, json!({"url": url})).await;
    server.stop().await;
    let server = on(&store, DeliverySettings { address_policy: AddressPolicy::Public, ..quick() }).await;
    let client = server.client();
    client.register(&minimal()).await;
    for hook in [by_address, by_name] {
        comes_to(&server, &hook, |progress| progress.failures > 0).await;
        let told = client.request(Method::POST, &format!("{}/test", path_of(&hook))).answers(200).await.json();
        assert!(told["error"].as_str().unwrap().contains("--webhooks-allow-private"), "{told}");
    }
    assert!(receiver.is_silent());
}

#[tokio::test]
async fn a_message_has_the_reason_of_its_change() {
    let mut receiver = Receiver::start().await;
    let server = in_memory(quick()).await;
    let client = server.client();
    hook(&client, &receiver, json!({})).await;
    client.post("/plugins", &named("c", "n")).header("registry-reason", "a test").answers(201).await;
    assert_eq!(receiver.message().await.event()["data"]["reason"], "a test");
}

#[tokio::test]
async fn a_chat_gets_texts_about_what_needs_a_person_and_its_address_stays_secret() {
    let mut receiver = Receiver::start().await;
    let url = Some(std::sync::Arc::new("https://registry.example/".parse().unwrap()));
    let server = in_memory(DeliverySettings { public_url: url, ..quick() }).await;
    let client = server.client();
    let made = hook(&client, &receiver, json!({"format": "slack"})).await;
    let address = receiver.url();
    assert_eq!((&made["format"], made["url"].as_str().unwrap().ends_with("/…")), (&json!("slack"), true));
    assert_eq!(client.get("/webhooks").answers(200).await.items()[0]["url"], made["url"]);
    // A reply can be sent back: the masked address is not taken for a new one.
    let same = client.patch(&path_of(&made), &json!({"url": made["url"], "description": "ops"})).answers(200).await;
    assert_eq!(same.json()["url"], made["url"]);
    client.register(&named("c", "n")).await;
    let all = json!({"format": "text", "kinds": ["plugin.registered"]});
    let text = hook(&client, &receiver, all.clone()).await;
    client.post("/plugins", &named("c", "a/b")).header("registry-reason", "a drill").answers(201).await;
    let message = receiver.message().await;
    assert_eq!(message.header("content-type"), "text/plain; charset=utf-8");
    let body = String::from_utf8(message.body.to_vec()).unwrap();
    assert_eq!(body, "plugin.registered: c_a/b (a drill) https://registry.example/#/plugins/c_a%2Fb");
    client.delete(&path_of(&text)).answers(204).await;
    let call = client.request(Method::POST, &format!("{}/test", path_of(&made)));
    assert_eq!(call.answers(200).await.json()["delivered"], true);
    let slack: Value = serde_json::from_slice(&receiver.message().await.body).unwrap();
    assert!(slack["text"].as_str().unwrap().contains("test"), "{slack}");
    assert!(receiver.is_silent(), "a registration needs no person; {address} got nothing else");
    client.post("/webhooks", &json!({"url": receiver.url(), "format": "teams"})).refused(422).await;
}

#[tokio::test]
async fn a_burst_makes_one_message_and_the_next_one_waits() {
    let mut receiver = Receiver::start().await;
    let server = in_memory(DeliverySettings { pause: Duration::from_millis(200), ..quick() }).await;
    let client = server.client();
    receiver.next(Answer::Status(429));
    hook(&client, &receiver, json!({"format": "discord", "kinds": ["plugin.registered"]})).await;
    let lines = (0..40).map(|number| named("c", &format!("n{number}")).to_string() + "\n").collect::<String>();
    client.import(lines).await;
    let (mut told, mut messages) = (0, 0);
    while told < 40 {
        let message: Value = serde_json::from_slice(&receiver.message().await.body).unwrap();
        let content = message["content"].as_str().unwrap();
        let more = content.lines().last().and_then(|line| line.strip_prefix("… and ")?.strip_suffix(" more"));
        let more = more.map_or(0, |more| more.parse::<usize>().unwrap());
        let named = content.lines().filter(|line| line.starts_with("plugin.registered: ")).count();
        messages += 1;
        // The first message is refused, and sent again.
        told = if messages == 1 { 0 } else { told + named + more };
    }
    assert_eq!(told, 40);
    assert!(messages < 10, "{messages} messages for 40 changes");
}
