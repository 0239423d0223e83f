//! Conditional requests (RFC 9110 section 13): ETag, If-Match, If-None-Match.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Call, Client, Server, minimal};

const PATH: &str = "/plugins/transcription_whisper";

async fn with_one() -> (Server, Client, String) {
    let server = Server::start().await;
    let client = server.client();
    let tag = client.register(&minimal()).await.etag();
    (server, client, tag)
}

/// Every write that changes the plugin, in an order in which each succeeds.
fn writes(client: &Client) -> Vec<Call> {
    let mut again = minimal();
    again["title"] = json!("Again");
    let mut put = minimal();
    put["title"] = json!("Put");
    vec![
        client.post("/plugins", &again),
        client.put(PATH, &put),
        client.patch(PATH, &json!({"title": "Patched"})),
        client.put(&format!("{PATH}/spawned_pids"), &json!({"spawned_pids": [1, 2]})),
        client.post(&format!("{PATH}/spawned_pids"), &json!({"spawned_pids": [3]})),
        client.delete(&format!("{PATH}/spawned_pids/3")),
        client.delete(&format!("{PATH}/spawned_pids")),
        client.put(&format!("{PATH}/container_id"), &json!({"container_id": "c"})),
        client.delete(&format!("{PATH}/container_id")),
        client.put(&format!("{PATH}/remote_resource"), &json!({"provider": "aws"})),
        client.patch(&format!("{PATH}/remote_resource"), &json!({"status": "x"})),
        client.delete(&format!("{PATH}/remote_resource")),
        client.put(&format!("{PATH}/config"), &json!({"a": 1})),
        client.delete(&format!("{PATH}/config")),
        client.delete(PATH),
    ]
}

#[tokio::test]
async fn if_match_allows_a_write_if_and_only_if_the_tag_is_current() {
    let (_server, client, first) = with_one().await;
    let mut current = first.clone();
    let foreign = format!("\"{}-1\"", "0".repeat(32));
    let number = writes(&client).len();
    for place in 0..number {
        let call = || writes(&client).swap_remove(place);
        let mut stale = vec![foreign.clone(), format!("W/{current}"), "\"garbage\"".into()];
        if place > 0 {
            stale.push(first.clone());
        }
        for tag in stale {
            let problem = refused_without_trace(&client, call().header("if-match", &tag), 412).await;
            assert_eq!(problem.kind(), "precondition-failed", "write {place} with {tag}");
        }
        let reply = call().header("if-match", format!("{foreign}, {current}")).send().await;
        assert!(reply.status.is_success(), "write {place}: {}", reply.text());
        if place + 1 < number {
            assert_ne!(reply.etag(), current, "write {place} changed something");
            current = reply.etag();
        }
    }
}

#[tokio::test]
async fn if_match_any_requires_an_existing_plugin() {
    let (_server, client, _) = with_one().await;
    client.put(PATH, &minimal()).header("if-match", "*").answers(200).await;
    client.delete(PATH).header("if-match", "*").answers(204).await;
    refused_without_trace(&client, client.put(PATH, &minimal()).header("if-match", "*"), 412).await;
    refused_without_trace(&client, client.post("/plugins", &minimal()).header("if-match", "*"), 412).await;
    client.patch(PATH, &json!({})).header("if-match", "*").refused(404).await;
}

#[tokio::test]
async fn if_none_match_any_requires_a_new_plugin() {
    let (_server, client, tag) = with_one().await;
    for call in [client.put(PATH, &minimal()), client.post("/plugins", &minimal()), client.patch(PATH, &json!({}))] {
        refused_without_trace(&client, call.header("if-none-match", "*"), 412).await;
    }
    client.delete(PATH).answers(204).await;
    let created = client.put(PATH, &minimal()).header("if-none-match", "*").answers(201).await;
    assert_ne!(created.etag(), tag);
}

#[tokio::test]
async fn if_none_match_of_a_tag_refuses_a_write_to_that_version_only() {
    let (_server, client, tag) = with_one().await;
    let patch = |title: &str| client.patch(PATH, &json!({"title": title}));
    refused_without_trace(&client, patch("x").header("if-none-match", &tag), 412).await;
    refused_without_trace(&client, patch("x").header("if-none-match", format!("W/{tag}")), 412).await;
    patch("x").header("if-none-match", "\"other\"").answers(200).await;
    patch("y").header("if-none-match", &tag).answers(200).await;
}

#[tokio::test]
async fn a_reader_with_the_current_tag_gets_304() {
    let (_server, client, _) = with_one().await;
    client.put(&format!("{PATH}/config"), &json!({})).answers(200).await;
    let paths = [
        PATH,
        "/plugins",
        "/plugins?fields=name",
        "/stats",
        "/categories",
        "/resources",
        "/plugins/transcription_whisper/config",
    ];
    for path in paths {
        let tag = client.get(path).answers(200).await.etag();
        let strong = tag.trim_start_matches("W/").to_owned();
        for known in [tag.clone(), strong.clone(), format!("W/{strong}"), format!("\"a\", {tag}"), "*".to_owned()] {
            let reply = client.get(path).header("if-none-match", &known).answers(304).await;
            assert_eq!(reply.etag(), tag, "{path}: 304 carries the tag");
            client.head(path).header("if-none-match", &known).answers(304).await;
        }
        let foreign = format!("\"{}-{}\"", "f".repeat(32), 2);
        for unknown in ["\"a\"", "W/\"b\"", foreign.as_str()] {
            client.get(path).header("if-none-match", unknown).answers(200).await;
        }
    }
    let before: Vec<_> = paths.to_vec();
    let mut tags = Vec::new();
    for path in &before {
        tags.push(client.get(path).answers(200).await.etag());
    }
    client.patch(PATH, &json!({"title": "New"})).answers(200).await;
    for (path, tag) in before.iter().zip(tags) {
        client.get(path).header("if-none-match", &tag).answers(200).await;
    }
}

#[tokio::test]
async fn the_304_of_a_list_says_what_it_depends_on() {
    let (_server, client, _) = with_one().await;
    let list = client.get("/plugins").answers(200).await;
    let known = client.get("/plugins").header("if-none-match", list.etag()).answers(304).await;
    let vary = |reply: &crate::harness::Reply| {
        let values = reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap().to_lowercase());
        values.collect::<Vec<_>>().join(",")
    };
    for reply in [&list, &known] {
        assert!(vary(reply).contains("accept"), "the media type depends on Accept: {:?}", vary(reply));
    }
}

#[tokio::test]
async fn if_match_on_a_read() {
    let (_server, client, tag) = with_one().await;
    client.get(PATH).header("if-match", &tag).answers(200).await;
    client.get(PATH).header("if-match", "*").answers(200).await;
    client.get(PATH).header("if-match", "\"x\"").refused(412).await;
    client.get(PATH).header("if-match", format!("W/{tag}")).refused(412).await;
    client.get("/plugins/nobody").header("if-match", "*").refused(404).await;
}

#[rstest]
#[case("")]
#[case("abc")]
#[case("\"abc")]
#[case("abc\"")]
#[case("\"a\" \"b\"")]
#[case("*, \"a\"")]
#[case("w/\"a\"")]
#[case("W/ \"a\"")]
#[case("**")]
#[tokio::test]
async fn an_invalid_list_of_tags_is_refused(#[case] garbage: &str) {
    let (_server, client, _) = with_one().await;
    for header in ["if-match", "if-none-match"] {
        for method in [Method::GET, Method::DELETE] {
            let call = client.request(method, PATH).header(header, garbage);
            let problem = refused_without_trace(&client, call, 400).await;
            assert!(problem.detail().contains(header), "{}", problem.detail());
        }
        refused_without_trace(&client, client.get("/plugins").header(header, garbage), 400).await;
    }
}

#[tokio::test]
async fn several_fields_are_one_list() {
    let (_server, client, tag) = with_one().await;
    let patch = || client.patch(PATH, &json!({"title": "New"}));
    refused_without_trace(&client, patch().header("if-match", "\"a\"").header("if-match", "\"b\""), 412).await;
    patch().header("if-match", "\"a\"").header("if-match", &tag).answers(200).await;
}

#[tokio::test]
async fn a_condition_is_checked_before_the_document() {
    let (_server, client, _) = with_one().await;
    // Both conditions fail: a client with stale data should first read again.
    let call = client.patch(PATH, &json!({"name": "other"})).header("if-match", "\"stale\"");
    refused_without_trace(&client, call, 412).await;
}

#[tokio::test]
async fn only_one_of_two_writes_on_the_same_tag_succeeds() {
    let (server, client, tag) = with_one().await;
    let mut writers = Vec::new();
    for n in 0..16 {
        let (client, tag) = (server.client(), tag.clone());
        writers.push(tokio::spawn(async move {
            client.patch(PATH, &json!({"title": n.to_string()})).header("if-match", &tag).send().await.status.as_u16()
        }));
    }
    let mut statuses = Vec::new();
    for writer in writers {
        statuses.push(writer.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[412_u16; 15][..]));
    assert_eq!(client.get(PATH).answers(200).await.revision(), 2);
}

#[tokio::test]
async fn a_tag_does_not_change_with_other_plugins() {
    let (_server, client, tag) = with_one().await;
    let mut other = minimal();
    other["name"] = Value::from("other");
    client.register(&other).await;
    let read = client.get(PATH).answers(200).await;
    assert_eq!((read.etag(), read.revision()), (tag, 2));
}
