//! GET, PUT, DELETE /plugins/{id}/config and POST …/validate.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Client, Server, minimal};

const PLUGIN: &str = "/plugins/transcription_whisper";
const PATH: &str = "/plugins/transcription_whisper/config";
const VALIDATE: &str = "/plugins/transcription_whisper/config/validate";

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"device": {"enum": ["cpu", "cuda"]}, "beams": {"type": "integer", "minimum": 1}},
        "required": ["device"],
        "additionalProperties": false,
    })
}

async fn with_schema() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    let mut body = minimal();
    body["config_schema"] = schema();
    client.register(&body).await;
    (server, client)
}

#[tokio::test]
async fn a_configuration_is_saved_read_replaced_and_deleted() {
    let (_server, client) = with_schema().await;
    assert!(client.get(PATH).refused(404).await.detail().contains("configuration"));
    let saved = client.put(PATH, &json!({"device": "cuda"})).answers(200).await;
    assert_eq!((&saved.json()["is_configured"], saved.revision()), (&json!(true), 2));
    let read = client.get(PATH).answers(200).await;
    assert_eq!((read.text(), read.etag()), (r#"{"device":"cuda"}"#, saved.etag()));
    assert_eq!(client.put(PATH, &json!({"device": "cuda"})).answers(200).await.etag(), saved.etag());
    client.put(PATH, &json!({"beams": 5, "device": "cpu"})).answers(200).await;
    assert_eq!(client.get(PATH).answers(200).await.text(), r#"{"beams":5,"device":"cpu"}"#);
    let deleted = client.delete(PATH).answers(200).await;
    assert_eq!((&deleted.json()["is_configured"], deleted.revision()), (&json!(false), 4));
    client.get(PATH).refused(404).await;
    assert_eq!(client.delete(PATH).answers(200).await.etag(), deleted.etag());
}

#[tokio::test]
async fn an_invalid_configuration_is_refused_with_pointers() {
    let (_server, client) = with_schema().await;
    for (config, pointer) in [
        (json!({"device": "tpu"}), "/device"),
        (json!({"device": "cpu", "beams": 0}), "/beams"),
        (json!({"device": "cpu", "beams": "x"}), "/beams"),
        (json!({}), ""),
        (json!({"device": "cpu", "extra": 1}), ""),
        (json!([]), ""),
        (json!(null), ""),
    ] {
        let problem = refused_without_trace(&client, client.put(PATH, &config), 422).await;
        problem.about(pointer);
        let verdict = client.post(VALIDATE, &config).answers(200).await.json();
        assert_eq!(verdict["valid"], false);
        assert_eq!(verdict["errors"], problem.document["errors"], "the same check, the same answer");
    }
    client.get(PATH).refused(404).await;
}

#[tokio::test]
async fn validate_saves_nothing() {
    let (_server, client) = with_schema().await;
    let reply = client.post(VALIDATE, &json!({"device": "cpu"})).answers(200).await;
    assert_eq!((reply.json(), reply.revision()), (json!({"valid": true, "errors": []}), 1));
    client.get(PATH).refused(404).await;
    assert_eq!(client.get(PLUGIN).answers(200).await.json()["is_configured"], false);
}

#[tokio::test]
async fn a_refused_configuration_is_not_repeated_in_the_answer() {
    let (_server, client) = with_schema().await;
    let config = json!({"device": "s3cret-value", "beams": "s3cret-value"});
    for call in [client.put(PATH, &config), client.post(VALIDATE, &config)] {
        let reply = call.send().await;
        assert!(!reply.text().contains("s3cret"), "{}", reply.text());
    }
}

#[tokio::test]
async fn every_kind_of_json_can_be_a_configuration() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    for config in [json!(null), json!(true), json!("text"), json!(1.50), json!([1, {"a": []}]), json!({})] {
        client.put(PATH, &config).answers(200).await;
        assert_eq!(client.get(PATH).answers(200).await.json(), config);
    }
}

#[tokio::test]
async fn a_configuration_outlives_changes_of_the_plugin_but_not_its_removal() {
    let (_server, client) = with_schema().await;
    client.put(PATH, &json!({"device": "cpu"})).answers(200).await;
    client.patch(PLUGIN, &json!({"title": "New"})).answers(200).await;
    let mut again = minimal();
    again["config_schema"] = schema();
    assert_eq!(client.post("/plugins", &again).answers(200).await.json()["is_configured"], true);
    assert_eq!(client.get(PATH).answers(200).await.text(), r#"{"device":"cpu"}"#);
}

#[tokio::test]
async fn deleting_the_configuration_clears_is_configured_however_it_was_set() {
    let server = Server::start().await;
    let client = server.client();
    let mut body = minimal();
    body["is_configured"] = json!(true);
    client.register(&body).await;
    // The handler's description: "Delete the configuration; `is_configured` becomes false."
    assert_eq!(client.delete(PATH).answers(200).await.json()["is_configured"], false);
}

#[tokio::test]
async fn is_configured_follows_the_validity_under_a_new_schema() {
    let (_server, client) = with_schema().await;
    client.put(PATH, &json!({"device": "cpu"})).answers(200).await;
    let mut stricter = minimal();
    stricter["config_schema"] = json!({"type": "object", "required": ["model"]});
    client.post("/plugins", &stricter).answers(200).await;
    let plugin = client.get(PLUGIN).answers(200).await.json();
    let saved = client.get(PATH).send().await;
    let verdict = match saved.status.as_u16() {
        200 => client.post(VALIDATE, &saved.json()).answers(200).await.json()["valid"].clone(),
        _ => json!(false),
    };
    assert_eq!(plugin["is_configured"], verdict, "is_configured follows the saved configuration");
}

#[tokio::test]
async fn a_configuration_has_the_same_limits_as_every_body() {
    let (_server, client) = with_schema().await;
    let put = |body: &'static str| client.request(Method::PUT, PATH).body("application/json", body);
    for body in
        ["", "{", "nul", r#"{"device":"cpu","device":"cuda"}"#, r#"{"device":"\u0000"}"#, r#"{"device":"\ud800"}"#]
    {
        assert_eq!(refused_without_trace(&client, put(body), 400).await.kind(), "bad-json", "{body}");
    }
}
