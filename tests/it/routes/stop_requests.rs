//! Requests to stop a plugin, and their answers.

use serde_json::{Value, json};

use crate::harness::durable::Durable;
use crate::harness::server::Setup;
use crate::harness::{Client, Server, named};

const ASK: &str = "/plugins/c_n/stop_request";
const ANSWER: &str = "/plugins/c_n/stop_request/answer";

async fn last(client: &Client) -> Value {
    client.get("/events?order=desc&limit=1").answers(200).await.items().remove(0)
}

async fn holding(client: &Client) -> Value {
    let mut plugin = named("c", "n");
    plugin["spawned_pids"] = json!([4_000_000, 4_000_001]);
    client.register(&plugin).await.json()
}

#[tokio::test]
async fn a_request_is_shown_until_it_is_answered_and_the_answer_until_all_is_gone() {
    let server = Server::in_memory().await;
    let client = server.client();
    let plugin = holding(&client).await;
    assert_eq!((&plugin["stop_requested"], &plugin["stop_answer"]), (&Value::Null, &Value::Null));
    let request = json!({"reason": "the demo is over", "deadline": "2126-01-01T00:00:00Z"});
    let asked = client.post(ASK, &request).answers(200).await.json();
    let shown = &asked["stop_requested"];
    assert_eq!(
        (&shown["reason"], &shown["deadline"], &shown["at"]),
        (&request["reason"], &request["deadline"], &asked["updated_at"])
    );
    let event = last(&client).await;
    assert_eq!((&event["type"], &event["data"]["stop_request"]), (&json!("plugin.stop_requested"), &request));
    assert_eq!(event["data"]["changed"]["stop_requested"]["after"], *shown);
    // The same request is no news, and neither a new title nor the end of one of two processes answers it.
    assert_eq!(client.post(ASK, &request).answers(200).await.json()["revision"], asked["revision"]);
    client.patch("/plugins/c_n", &json!({"title": "B"})).answers(200).await;
    let fewer = client.delete("/plugins/c_n/spawned_pids/4000000").answers(200).await.json();
    assert_eq!(fewer["stop_requested"], *shown);
    let answer = json!({"answer": "accepted", "detail": "writing a checkpoint first"});
    let answered = client.put(ANSWER, &answer).answers(200).await.json();
    assert_eq!((&answered["stop_requested"], &answered["stop_answer"]["answer"]), (&Value::Null, &json!("accepted")));
    assert_eq!(answered["stop_answer"]["request"], *shown);
    let event = last(&client).await;
    assert_eq!((&event["type"], &event["data"]["stop_answer"]), (&json!("plugin.stop_answered"), &answer));
    assert_eq!(client.put(ANSWER, &answer).answers(200).await.json()["revision"], answered["revision"]);
    let over = client.delete("/plugins/c_n/spawned_pids").answers(200).await.json();
    assert_eq!((&over["stop_requested"], &over["stop_answer"]), (&Value::Null, &Value::Null));
    client.put(ANSWER, &answer).refused(409).await;
    client.post(ASK, &request).refused(409).await;
}

#[tokio::test]
async fn a_request_ends_with_the_last_resource_that_it_is_about() {
    let server = Server::in_memory().await;
    let client = server.client();
    holding(&client).await;
    client.post(ASK, &json!({})).answers(200).await;
    let over = client.delete("/plugins/c_n/spawned_pids").answers(200).await.json();
    assert_eq!(over["stop_requested"], Value::Null);
    // What may bill is something to stop; what is off is not.
    let remote = json!({"provider": "aws", "instance_id": "i-1", "status": "running"});
    client.put("/plugins/c_n/remote_resource", &remote).answers(200).await;
    client.post(ASK, &json!({"reason": null})).answers(200).await;
    let off = client.patch("/plugins/c_n/remote_resource", &json!({"status": "stopped"})).answers(200).await.json();
    assert_eq!(off["stop_requested"], Value::Null);
}

#[tokio::test]
async fn a_request_and_its_answer_survive_a_restart() {
    let store = Durable::fresh();
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let client = server.client();
    holding(&client).await;
    let asked = client.post(ASK, &json!({"reason": "costly"})).answers(200).await.json();
    server.stop().await;
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let client = server.client();
    assert_eq!(client.get("/plugins/c_n").answers(200).await.json(), asked);
    let answered = client.put(ANSWER, &json!({"answer": "refused"})).answers(200).await.json();
    server.stop().await;
    let again = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    assert_eq!(again.client().get("/plugins/c_n").answers(200).await.json(), answered);
    let history = again.client().get("/plugins/c_n/history").answers(200).await.items();
    let kinds: Vec<_> = history.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["plugin.stop_answered", "plugin.stop_requested", "plugin.registered"]);
}

#[tokio::test]
async fn wrong_requests_and_answers_are_refused_and_change_nothing() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.post("/plugins/c_x/stop_request", &json!({})).refused(404).await;
    holding(&client).await;
    client.put(ANSWER, &json!({"answer": "accepted"})).refused(409).await;
    for (wrong, pointer) in [
        (json!({"reason": " "}), "/reason"),
        (json!({"reason": "a\nb"}), "/reason"),
        (json!({"reason": "x".repeat(501)}), "/reason"),
        (json!({"deadline": "2020-01-01T00:00:00Z"}), "/deadline"),
        (json!({"deadline": "soon"}), "/deadline"),
        (json!({"by": "x"}), "/by"),
    ] {
        assert_eq!(client.post(ASK, &wrong).refused(422).await.pointers(), [pointer], "{wrong}");
    }
    client.post(ASK, &json!({})).answers(200).await;
    for (wrong, pointer) in [
        (json!({}), "/answer"),
        (json!({"answer": "maybe"}), "/answer"),
        (json!({"answer": "refused", "detail": ""}), "/detail"),
    ] {
        assert_eq!(client.put(ANSWER, &wrong).refused(422).await.pointers(), [pointer], "{wrong}");
    }
    assert_eq!(client.get("/stats").answers(200).await.revision().to_string(), "2");
}
