//! NDJSON: many registrations in one request, and the export of a list.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::trace::refused_without_trace;
use crate::harness::{Server, holding_everything, minimal, named};

const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn one_result_a_line_in_the_order_of_the_lines() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&named("c", "stands")).await;
    let mut pid = named("c", "bad");
    pid["spawned_pids"] = json!([0]);
    let lines = [
        named("c", "first").to_string(),
        named("c", "stands").to_string(),
        "{".into(),
        pid.to_string(),
        String::new(),
        "   ".into(),
        named("a_b", "c").to_string() + "\r",
        named("a", "b_c").to_string(),
        named("c", "first").to_string(),
        named("c", "last").to_string(),
    ];
    let reply = client.request(Method::POST, "/plugins").body(NDJSON, lines.join("\n")).answers(200).await;
    assert_eq!(reply.header("content-type"), Some(NDJSON));
    let results = reply.lines();
    let short: Vec<_> = results
        .iter()
        .map(|result| {
            (
                result["line"].as_u64().unwrap(),
                result["status"].as_u64().unwrap(),
                result["unique_id"].as_str(),
                result["revision"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            (1, 201, Some("c_first"), Some(2)),
            (2, 200, Some("c_stands"), Some(1)),
            (3, 400, None, None),
            (4, 422, None, None),
            (7, 201, Some("a_b_c"), Some(3)),
            (8, 409, None, None),
            (9, 200, Some("c_first"), Some(2)),
            (10, 201, Some("c_last"), Some(4)),
        ]
    );
    assert_eq!(reply.revision(), 4);
    for (place, kind) in [(2, "bad-json"), (3, "invalid-document"), (5, "unique-id-taken")] {
        let problem = &results[place]["problem"];
        assert_eq!(problem["type"], format!("urn:plugin-registry:problem:{kind}"));
        assert_eq!(problem["status"], results[place]["status"]);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    assert_eq!(results[3]["problem"]["errors"][0]["pointer"], "/spawned_pids/0");
}

#[tokio::test]
async fn a_line_is_bounded_and_the_lines_after_it_are_read() {
    let server = Server::in_memory().await;
    let client = server.client();
    let padded = |name: &str, length: usize| {
        let body = named("c", name).to_string();
        " ".repeat(length - body.len()) + &body + "\n"
    };
    let mib = 1024 * 1024;
    let body = padded("fits", mib) + &padded("long", mib + 1) + &padded("longer", 3 * mib) + &padded("after", 100);
    let results = client.import(body).await;
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 413, 413, 201]);
    assert_eq!(client.get("/plugins").answers(200).await.ids(), ["c_after", "c_fits"]);
}

#[tokio::test]
async fn a_body_of_many_mebibytes_is_taken_line_by_line() {
    let server = Server::in_memory().await;
    let client = server.client();
    let lines: String = (0..4000)
        .map(|n| {
            let mut body = named("c", &n.to_string());
            body["description"] = json!("d".repeat(1000));
            body.to_string() + "\n"
        })
        .collect();
    assert!(lines.len() > 4 * 1024 * 1024);
    let results = client.import(lines).await;
    assert_eq!(results.len(), 4000);
    let revisions: Vec<_> = results.iter().map(|result| result["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (1..=4000).collect::<Vec<_>>(), "in order, gapless");
    assert_eq!(client.get("/stats").answers(200).await.json()["total"], 4000);
}

#[tokio::test]
async fn an_empty_body_registers_nothing() {
    let server = Server::start().await;
    let client = server.client();
    for body in ["", "\n", "\r\n\n  \n"] {
        assert_eq!(client.import(body).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn conditions_are_refused_for_ndjson() {
    let server = Server::start().await;
    let client = server.client();
    for header in ["if-match", "if-none-match"] {
        let call = client.request(Method::POST, "/plugins").body(NDJSON, minimal().to_string()).header(header, "*");
        refused_without_trace(&client, call, 400).await;
    }
}

#[tokio::test]
async fn only_registration_accepts_ndjson() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    for (method, path) in [
        (Method::PUT, "/plugins/transcription_whisper"),
        (Method::PATCH, "/plugins/transcription_whisper"),
        (Method::PUT, "/plugins/transcription_whisper/config"),
    ] {
        refused_without_trace(&client, client.request(method, path).body(NDJSON, "{}"), 415).await;
    }
}

#[tokio::test]
async fn lines_before_an_interruption_of_the_body_are_registered() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let server = Server::on(&store).await;
    let client = server.client();
    let line = named("c", "whole").to_string() + "\n";
    let half = &named("c", "half").to_string()[..20];
    let mut raw = server.raw().await;
    raw.send(
        "POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 10000\r\n\r\n",
    )
    .await;
    raw.send(&line).await;
    raw.send(half).await;
    raw.finish_sending().await;
    raw.rest().await;
    // The connection is closed; the server finishes started work when it stops.
    server.stop().await;
    let again = Server::on(&store).await;
    drop(client);
    assert_eq!(again.client().get("/plugins").answers(200).await.ids(), ["c_whole"]);
}

#[tokio::test]
async fn an_export_is_one_plugin_a_line_and_can_be_imported() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&holding_everything()).await;
    for n in 0..5 {
        client.register(&named("c", &n.to_string())).await;
    }
    let export = client.get("/plugins").header("accept", NDJSON).answers(200).await;
    assert_eq!(export.header("content-type"), Some(NDJSON));
    assert_eq!(export.lines(), client.get("/plugins").answers(200).await.items());
    let other = Server::in_memory().await;
    let results = other.client().import(export.body.clone()).await;
    assert!(results.iter().all(|result| result["status"] == 201));
    let fields = "fields=name,category,title,config_schema,remote_resource,spawned_pids,labels,host,is_configured";
    let own = |client: crate::harness::Client| async move {
        client.get(&format!("/plugins?{fields}")).answers(200).await.items()
    };
    assert_eq!(own(client.clone()).await, own(other.client()).await);
    assert!(other.client().import(export.body).await.iter().all(|result| result["status"] == 200));
}

#[tokio::test]
async fn an_export_has_only_the_requested_limit() {
    let server = Server::in_memory().await;
    let client = server.client();
    let lines: String = (0..1500).map(|n| named("c", &format!("{n:04}")).to_string() + "\n").collect();
    client.import(lines).await;
    let lines_of = async |query: &str| {
        client.get(&format!("/plugins{query}")).header("accept", NDJSON).answers(200).await.lines().len()
    };
    assert_eq!(lines_of("").await, 1500);
    assert_eq!(lines_of("?limit=10&fields=name").await, 10);
    assert_eq!(lines_of("?active=true").await, 0);
    assert_eq!(client.get("/plugins").answers(200).await.items().len(), 1000, "a list has, when nothing is said");
}
