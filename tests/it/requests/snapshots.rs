//! Complete responses and problems, as a client receives them: a change of their form shows here.
//!
//! Values that differ from run to run are replaced: store, request id, times.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Reply, Server, holding_everything, minimal, named};

/// A response as text: status, the registry's own header fields, body.
fn shown(reply: &Reply) -> String {
    let names = [
        "allow",
        "cache-control",
        "content-type",
        "etag",
        "link",
        "location",
        "registry-revision",
        "retry-after",
        "vary",
    ];
    let header: serde_json::Map<_, _> = names
        .iter()
        .filter_map(|name| {
            Some(((*name).to_owned(), Value::from(reply.header(name)?.replace(reply.store(), "[store]"))))
        })
        .collect();
    let body = match reply.header("content-type") {
        Some("application/x-ndjson") => Value::from(reply.lines()),
        Some(_) => reply.json(),
        None => Value::Null,
    };
    let shown = json!({"status": reply.status.as_u16(), "header": header, "body": redacted(body)});
    // Formatted as text, because insta's JSON does not support numbers of arbitrary precision.
    serde_json::to_string_pretty(&shown).unwrap()
}

fn redacted(mut body: Value) -> Value {
    match &mut body {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                *value = match name.as_str() {
                    "created_at" | "updated_at" | "held_since" => json!("[time]"),
                    "request_id" => json!("[id]"),
                    _ => redacted(value.take()),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = redacted(item.take())),
        _ => {}
    }
    body
}

async fn with_one() -> (Server, Client) {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    (server, client)
}

#[tokio::test]
async fn replies() {
    let (_server, client) = with_one().await;
    let created = client.register(&minimal()).await;
    insta::assert_snapshot!("plugin_created", shown(&created));
    insta::assert_snapshot!("plugin_read", shown(&client.get("/plugins/finetuning_trainer").send().await));
    insta::assert_snapshot!("plugin_list", shown(&client.get("/plugins?fields=unique_id,revision").send().await));
    insta::assert_snapshot!("categories", shown(&client.get("/categories").send().await));
    insta::assert_snapshot!("stats", shown(&client.get("/stats").send().await));
    insta::assert_snapshot!("resources", shown(&client.get("/resources").send().await));
    let not_modified = client.get("/plugins/finetuning_trainer").header("if-none-match", "*").send().await;
    insta::assert_snapshot!("not_modified", shown(&not_modified));
    let lines = format!("{}\n{{\n{}", named("c", "one"), named("", "two"));
    let imported = client.request(Method::POST, "/plugins").body("application/x-ndjson", lines).send().await;
    insta::assert_snapshot!("import", shown(&imported));
    insta::assert_snapshot!("plugin_deleted", shown(&client.delete("/plugins/transcription_whisper").send().await));
}

#[tokio::test]
async fn problems() {
    let (_server, client) = with_one().await;
    let plugin = "/plugins/finetuning_trainer";
    let json = |body: &'static str| client.request(Method::POST, "/plugins").body("application/json", body);
    let calls = [
        ("problem_bad_json", json("{\"a\": ")),
        ("problem_duplicate_key", json(r#"{"labels": {"a": "1", "a": "2"}}"#)),
        ("problem_invalid_document", client.post("/plugins", &json!({"name": "", "spawned_pid": [1]}))),
        ("problem_invalid_schema", client.patch(plugin, &json!({"config_schema": {"type": "objekt"}}))),
        ("problem_invalid_config", client.put(&format!("{plugin}/config"), &json!({"device": "tpu"}))),
        ("problem_bad_parameter", client.get("/plugins?provider=amazon")),
        ("problem_unknown_parameter", client.get("/plugins?activ=true")),
        ("problem_no_plugin", client.get("/plugins/nobody")),
        ("problem_no_path", client.get("/nowhere")),
        ("problem_method", client.delete("/stats")),
        ("problem_not_acceptable", client.get("/stats").header("accept", "text/html")),
        ("problem_media_type", client.request(Method::POST, "/plugins").body("text/plain", "x")),
        ("problem_identity_fixed", client.patch(plugin, &json!({"name": "other"}))),
        ("problem_id_taken", client.post("/plugins", &named("finetuning_trainer", "x")).header("x", "y")),
        ("problem_still_held", client.delete(plugin)),
        ("problem_precondition", client.delete(plugin).header("if-match", "\"stale\"")),
    ];
    client.register(&named("finetuning", "trainer_x")).await;
    for (name, call) in calls {
        insta::assert_snapshot!(name, shown(&call.send().await));
    }
}
