//! Reasons of changes, and lines in the history of a plugin.

use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::server::Setup;
use crate::harness::{Client, Server, named};

async fn last(client: &Client) -> Value {
    client.get("/events?order=desc&limit=1").answers(200).await.items().remove(0)
}

#[tokio::test]
async fn a_change_keeps_its_reason_in_events_and_history_also_after_a_restart() {
    let store = Durable::fresh();
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let client = server.client();
    client.register(&named("c", "n")).await;
    assert!(last(&client).await["data"].get("reason").is_none());
    let change = |title: &str| client.patch("/plugins/c_n", &json!({"title": title}));
    change("B").header("registry-reason", "Aufräumen, 50% fertig").answers(200).await;
    assert_eq!(last(&client).await["data"]["reason"], "Aufräumen, 50% fertig");
    change("C").header("registry-reason", "UTF-8''Aufr%C3%A4umen").answers(200).await;
    let history = client.get("/plugins/c_n/history").answers(200).await.items();
    let reasons: Vec<_> = history.iter().map(|event| &event["data"]["reason"]).collect();
    assert_eq!(reasons, [&json!("Aufräumen"), &json!("Aufräumen, 50% fertig"), &Value::Null]);
    for wrong in ["", "x".repeat(501).as_str(), "UTF-8''%0a"] {
        let problem = change("D").header("registry-reason", wrong).refused(400).await;
        assert!(problem.detail().contains("Registry-Reason"), "{wrong}");
    }
    assert_eq!(client.get("/plugins/c_n").header("registry-reason", "").answers(200).await.json()["title"], "C");
    server.stop().await;
    let again = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    assert_eq!(last(&again.client()).await["data"]["reason"], "Aufräumen");
}

#[tokio::test]
async fn an_application_writes_lines_into_the_history_of_its_plugin() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&named("c", "n")).await;
    let note = json!({"text": "checkpoint 7 written", "data": {"step": 7, "loss": 0.25}});
    let plugin = client.post("/plugins/c_n/notes", &note).answers(200).await.json();
    assert_eq!((&plugin["revision"], &plugin["title"]), (&json!(2), &json!("Title")));
    let event = last(&client).await;
    assert_eq!(
        (&event["type"], &event["data"]["note"], &event["subject"]),
        (&json!("plugin.noted"), &note, &json!("c_n"))
    );
    assert_eq!(event["data"]["changed"], json!({}));
    client.post("/plugins/c_n/notes", &json!({"text": "bare", "data": null})).answers(200).await;
    assert_eq!(last(&client).await["data"]["note"], json!({"text": "bare"}));
    let kinds = client.get("/plugins/c_n/history").answers(200).await.items();
    assert_eq!(kinds.len(), 3);
    for (wrong, pointer) in [
        (json!({}), "/text"),
        (json!({"text": " "}), "/text"),
        (json!({"text": "a\nb"}), "/text"),
        (json!({"text": "x".repeat(1001)}), "/text"),
        (json!({"text": "x", "data": "y".repeat(4096)}), "/data"),
        (json!({"text": "x", "level": "info"}), "/level"),
    ] {
        assert_eq!(client.post("/plugins/c_n/notes", &wrong).refused(422).await.pointers(), [pointer], "{wrong}");
    }
    client.post("/plugins/c_x/notes", &note).refused(404).await;
}

#[tokio::test]
async fn a_plugin_takes_sixty_lines_at_once() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&named("c", "n")).await;
    client.register(&named("c", "other")).await;
    for number in 0..60 {
        client.post("/plugins/c_n/notes", &json!({"text": format!("line {number}")})).answers(200).await;
    }
    // A second may have passed meanwhile, and each gives one more.
    let mut refused = None;
    for _ in 0..60 {
        let reply = client.post("/plugins/c_n/notes", &json!({"text": "more"})).send().await;
        if reply.status.as_u16() == 429 {
            refused = Some(reply);
            break;
        }
    }
    assert!(refused.unwrap().header("retry-after").is_some());
    client.post("/plugins/c_other/notes", &json!({"text": "its own"})).answers(200).await;
}
