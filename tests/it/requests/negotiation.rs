//! Media types: Accept (406) and Content-Type (415).

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::trace::refused_without_trace;
use crate::harness::{Server, minimal};

#[rstest]
#[case("application/json", Some("application/json"))]
#[case("application/*", Some("application/json"))]
#[case("*/*", Some("application/json"))]
#[case("APPLICATION/JSON", Some("application/json"))]
#[case("application/json;charset=utf-8", Some("application/json"))]
#[case("text/html, */*;q=0.1", Some("application/json"))]
#[case("application/problem+json", Some("application/json"))]
#[case("application/x-ndjson", Some("application/x-ndjson"))]
#[case("application/json;q=0.2, application/x-ndjson;q=0.3", Some("application/x-ndjson"))]
#[case("application/x-ndjson, */*;q=0.1", Some("application/x-ndjson"))]
#[case("application/x-ndjson;q=0, */*", Some("application/json"))]
#[case("text/html", None)]
#[case("application/xml, text/*", None)]
#[case("*/*;q=0", None)]
#[case("application/json;q=0", None)]
#[tokio::test]
async fn a_list_comes_in_the_preferred_media_type(#[case] accept: &str, #[case] form: Option<&str>) {
    let server = Server::in_memory().await;
    let call = server.client().get("/plugins").header("accept", accept);
    if let Some(form) = form {
        assert_eq!(call.answers(200).await.header("content-type"), Some(form));
    } else {
        let problem = call.refused(406).await;
        assert!(problem.detail().contains("application/x-ndjson"), "{}", problem.detail());
    }
}

#[tokio::test]
async fn a_write_with_an_unacceptable_accept_changes_nothing() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&minimal()).await;
    let path = "/plugins/transcription_whisper";
    let calls = [
        client.post("/plugins", &crate::harness::named("a", "b")),
        client.patch(path, &json!({"title": "New"})),
        client.put(&format!("{path}/container_id"), &json!({"container_id": "x"})),
        client.put("/categories/a", &json!({"display_name": "x"})),
        client.delete(path),
    ];
    for call in calls {
        assert_eq!(
            refused_without_trace(&client, call.header("accept", "image/png"), 406).await.kind(),
            "not-acceptable"
        );
    }
}

#[tokio::test]
async fn every_path_but_the_list_answers_with_json_alone() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&minimal()).await;
    for path in ["/plugins/transcription_whisper", "/stats", "/categories", "/healthz", "/readyz", "/openapi.json"] {
        client.get(path).header("accept", "application/x-ndjson").refused(406).await;
        client.get(path).header("accept", "application/x-ndjson;q=0.9, application/*;q=0.1").answers(200).await;
    }
}

#[rstest]
#[case("text/plain")]
#[case("application/x-www-form-urlencoded")]
#[case("application/jsonx")]
#[case("json")]
#[case("application/xml")]
#[case("application/json; charset=iso-8859-1")]
#[case("application/json; charset=utf-16")]
#[tokio::test]
async fn a_body_of_another_type_is_refused(#[case] media_type: &str) {
    let server = Server::in_memory().await;
    let client = server.client();
    let call = client.request(Method::POST, "/plugins").body(media_type, minimal().to_string());
    let problem = refused_without_trace(&client, call, 415).await;
    assert!(
        problem.detail().contains("application/json") || problem.detail().contains("UTF-8"),
        "{}",
        problem.detail()
    );
}

#[tokio::test]
async fn a_body_without_a_type_is_refused() {
    let server = Server::in_memory().await;
    let client = server.client();
    let call = client.request(Method::POST, "/plugins").bare_body(minimal().to_string());
    assert!(refused_without_trace(&client, call, 415).await.detail().contains("Content-Type"));
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let server = Server::in_memory().await;
    let client = server.client();
    for media_type in ["application/json", "application/x-ndjson"] {
        let call = client.request(Method::POST, "/plugins").body(media_type, minimal().to_string());
        refused_without_trace(&client, call.header("content-encoding", "gzip"), 415).await;
    }
}

#[rstest]
#[case("application/json; charset=utf-8")]
#[case("Application/JSON;charset=\"UTF-8\"")]
#[case("application/json; charset=utf8")]
#[case("application/json;charset=UTF8")]
#[tokio::test]
async fn parameters_and_case_of_the_type_do_not_matter(#[case] media_type: &str) {
    let server = Server::in_memory().await;
    server.client().request(Method::POST, "/plugins").body(media_type, minimal().to_string()).answers(201).await;
}

#[tokio::test]
async fn a_merge_patch_is_not_accepted_as_a_registration() {
    let server = Server::in_memory().await;
    let client = server.client();
    let call = client.request(Method::POST, "/plugins").body("application/merge-patch+json", minimal().to_string());
    refused_without_trace(&client, call, 415).await;
}
