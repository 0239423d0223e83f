//! What real clients send in another spelling: the server takes it, or says in words what is wrong.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Client, Server, minimal, named};

async fn with_one() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    (server, client)
}

#[tokio::test]
async fn a_path_with_a_trailing_slash_was_a_404() {
    let (_server, client) = with_one().await;
    let plain = client.get("/plugins?limit=1").answers(200).await;
    assert_eq!(client.get("/plugins/?limit=1").answers(200).await.body, plain.body);
    client.post("/plugins/", &named("c", "n")).answers(201).await;
    client.put("/plugins/c_n/spawned_pids/", &json!({"spawned_pids": [7]})).answers(200).await;
    client.delete("/plugins/c_n/spawned_pids/7/").answers(200).await;
    client.get("/healthz/").answers(200).await;
    assert_eq!(client.watch("/events/?after=0").await.told(1).await, [("change".to_owned(), 1)]);
    // The form that is authorized is the form that is answered.
    let first = client.request(Method::DELETE, "/plugins/c_n/").header("idempotency-key", "k").answers(204).await;
    let again = client.request(Method::DELETE, "/plugins/c_n").header("idempotency-key", "k").answers(204).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.revision(), again.revision());
}

#[rstest]
#[case::bom(b"\xef\xbb\xbf{}".to_vec(), "byte order mark")]
#[case::utf_16_little(utf_16("{}", u16::to_le_bytes, false), "UTF-16")]
#[case::utf_16_big(utf_16("{}", u16::to_be_bytes, false), "UTF-16")]
#[case::utf_16_little_with_bom(utf_16("{}", u16::to_le_bytes, true), "UTF-16")]
#[case::utf_16_big_with_bom(utf_16("{}", u16::to_be_bytes, true), "UTF-16")]
#[case::latin_1(b"{\"title\": \"caf\xe9\"}".to_vec(), "not UTF-8")]
#[tokio::test]
async fn an_encoding_of_windows_was_called_an_expected_value_at_line_1(#[case] body: Vec<u8>, #[case] told: &str) {
    let (_server, client) = with_one().await;
    let call = client.request(Method::POST, "/plugins").body("application/json", body.clone());
    let problem = refused_without_trace(&client, call, 400).await;
    assert!(problem.kind() == "bad-json" && problem.detail().contains(told), "{}", problem.detail());
    assert!(problem.detail().contains("send UTF-8"), "{}", problem.detail());
    let line = &client.import(body).await[0];
    assert!(line["problem"]["detail"].as_str().unwrap().contains(told), "{line}");
}

fn utf_16(text: &str, bytes: impl Fn(u16) -> [u8; 2], with_bom: bool) -> Vec<u8> {
    let bom = with_bom.then_some(0xfeff);
    bom.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[rstest]
#[case(&["identity"])]
#[case(&["Identity, identity"])]
#[case(&["", "identity"])]
#[tokio::test]
async fn content_encoding_identity_was_refused_as_compressed(#[case] codings: &[&str]) {
    let (_server, client) = with_one().await;
    for (media_type, status) in [("application/json", 201), ("application/x-ndjson", 200)] {
        let call = client.request(Method::POST, "/plugins").body(media_type, named("c", media_type).to_string() + "\n");
        codings.iter().fold(call, |call, coding| call.header("content-encoding", coding)).answers(status).await;
    }
    let call = client.post("/plugins", &minimal()).header("content-encoding", "identity, gzip");
    assert!(refused_without_trace(&client, call, 415).await.detail().contains("gzip"));
}

#[tokio::test]
async fn a_weak_tag_was_answered_with_the_current_revision_alone() {
    let (_server, client) = with_one().await;
    let path = "/plugins/transcription_whisper";
    let tag = client.get(path).answers(200).await.etag();
    let patch = || client.patch(path, &json!({"title": "New"}));
    for header in [format!("W/{tag}"), format!("W/\"x-1\", W/{tag}")] {
        let problem = refused_without_trace(&client, patch().header("if-match", header), 412).await;
        assert!(problem.detail().contains("weak") && problem.detail().contains("without W/"), "{}", problem.detail());
    }
    patch().header("if-match", format!("W/\"x-1\", {tag}")).answers(200).await;
}

#[tokio::test]
async fn an_array_of_plugins_was_not_told_of_lines() {
    let (_server, client) = with_one().await;
    let (one, two) = (named("c", "1"), named("c", "2"));
    let problem = refused_without_trace(&client, client.post("/plugins", &json!([one, two])), 422).await;
    assert!(problem.about("").contains("application/x-ndjson"), "{}", problem.document);
    // Lines under the type of one document.
    let lines = client.request(Method::POST, "/plugins").body("application/json", format!("{one}\n{two}\n"));
    let problem = refused_without_trace(&client, lines, 400).await;
    assert!(problem.detail().contains("line 2") && problem.detail().contains("application/x-ndjson"));
    // An array under the type of lines.
    let line = &client.import(json!([one, two]).to_string()).await[0];
    assert!(line["problem"]["detail"].as_str().unwrap().contains("in each line"), "{line}");
    let alone = client.put("/plugins/c_1", &json!([one]));
    assert!(!refused_without_trace(&client, alone, 422).await.detail().contains("ndjson"));
}

#[tokio::test]
async fn the_null_config_dataclass_of_the_source_model_was_refused() {
    let (_server, client) = with_one().await;
    let with = |value: Value| {
        let mut body = minimal();
        body["config_dataclass"] = value;
        body
    };
    let path = "/plugins/transcription_whisper";
    let calls = |value: Value| {
        [
            client.post("/plugins", &with(value.clone())),
            client.put(path, &with(value.clone())),
            client.patch(path, &json!({"config_dataclass": value})),
        ]
    };
    for call in calls(Value::Null) {
        let reply = call.answers(200).await;
        assert!(reply.json().get("config_dataclass").is_none(), "{}", reply.text());
    }
    assert_eq!(client.import(with(Value::Null).to_string()).await[0]["status"], 200);
    for call in calls(json!("pkg.Config")) {
        let problem = refused_without_trace(&client, call, 422).await;
        assert!(problem.about("/config_dataclass").contains("`config_schema`"), "{}", problem.document);
    }
}

#[tokio::test]
async fn a_renewal_with_a_body_was_told_to_use_one_of_no_fields() {
    let (_server, client) = with_one().await;
    let lease = client.post("/leases", &json!({"holder": "h"})).answers(201).await.json();
    let path = format!("/leases/{}", lease["lease_id"].as_str().unwrap());
    let put = |media_type: &str, body: &'static str| client.request(Method::PUT, &path).body(media_type, body);
    for (call, status) in [
        (put("application/json", r#"{"ttl_seconds": 60}"#), 422),
        (put("application/json", "[]"), 422),
        (put("application/json", "{"), 400),
        (put("text/plain", "{}"), 415),
        (put("application/x-www-form-urlencoded", "a=b"), 415),
    ] {
        let problem = refused_without_trace(&client, call, status).await;
        assert!(problem.detail().contains("send no body"), "{}", problem.detail());
    }
    client.put(&path, &json!({})).answers(200).await;
    client.request(Method::PUT, &path).answers(200).await;
}

#[tokio::test]
async fn an_unknown_provider_was_not_told_of_custom() {
    let (_server, client) = with_one().await;
    let body = json!({"provider": "hetzner"});
    let call = client.put("/plugins/transcription_whisper/remote_resource", &body);
    assert!(refused_without_trace(&client, call, 422).await.about("/provider").contains("send `custom`"));
}

#[tokio::test]
async fn a_patch_named_unknown_fields_alone() {
    let (_server, client) = with_one().await;
    let path = "/plugins/transcription_whisper";
    let problem = client.patch(path, &json!({"titel": "x", "version": 1, "zzz": null})).refused(422).await;
    assert_eq!(problem.pointers(), ["/titel", "/zzz", "/version"]);
    assert!(problem.detail().ends_with("(and 2 more errors)"), "{}", problem.detail());
    let remote = client.patch(&format!("{path}/remote_resource"), &json!({"stat": "x", "ssh_port": 0}));
    assert_eq!(remote.refused(422).await.pointers(), ["/stat", "/provider", "/ssh_port"]);
}

#[tokio::test]
async fn forever_was_no_time() {
    let (_server, client) = with_one().await;
    let forever = "9999-12-31T23:59:59Z";
    client.get(&format!("/events?from=2026-01-01T00:00:00Z&to={forever}")).answers(200).await;
    client.get(&format!("/costs?to={forever}")).answers(200).await;
    assert_eq!(client.get(&format!("/plugins?as_of={forever}")).answers(200).await.json()["total"], 1);
    let report = json!({"by": "a", "at": forever, "observations": [
        {"kind": "process", "plugin": "transcription_whisper", "id": "1", "state": "alive", "at": forever},
    ]});
    client.post("/observations", &report).answers(200).await;
    let filters = json!({"updated_since": forever});
    client
        .post("/budgets", &json!({"name": "b", "limit_usd": 1, "period": "month", "filters": filters}))
        .answers(201)
        .await;
    client.post("/tokens", &json!({"name": "n", "role": "admin", "expires_at": forever})).answers(201).await;
}
