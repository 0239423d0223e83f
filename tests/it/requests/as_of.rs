//! `as_of`: a read of an earlier revision repeats the response of that time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::server::Setup;
use crate::harness::{Call, Client, Reply, Server, holding_everything, minimal, named};
use plugin_registry::clock::ManualClock;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::sqlite::SqliteJournal;

/// The reads that support `as_of`.
const READS: [&str; 11] = [
    "/plugins",
    "/plugins?active=true",
    "/plugins?sort=-updated_at&limit=1",
    "/plugins?category=transcription,c&fields=unique_id,title,revision",
    "/plugins?label.team=speech",
    "/plugins/transcription_whisper",
    "/plugins/finetuning_trainer",
    "/plugins/c_short",
    "/resources",
    "/resources?kind=process",
    "/stats",
];

fn calls(client: &Client) -> Vec<Call> {
    let whisper = |part: &str| format!("/plugins/transcription_whisper{part}");
    vec![
        client.post("/plugins", &minimal()),
        client.post("/plugins", &holding_everything()),
        client.patch(&whisper(""), &json!({"title": "New", "labels": {"team": "speech"}})),
        client.put("/categories/transcription", &json!({"display_name": "ASR"})),
        client.put(&whisper("/spawned_pids"), &json!({"spawned_pids": [3, 4]})),
        client.post("/plugins", &named("c", "short")),
        client.put(&whisper("/config"), &json!({"a": 1})),
        client.delete("/plugins/c_short"),
        client.delete("/plugins/finetuning_trainer/spawned_pids"),
        client.patch("/plugins/finetuning_trainer/remote_resource", &json!({"status": "stopped"})),
        client.post("/plugins", &named("c", "short")),
        client.delete(&whisper("/config")),
        client.delete("/plugins/finetuning_trainer?force=true"),
        client.patch(&whisper(""), &json!({"labels": {"team": "text"}})),
    ]
}

/// The comparable parts of a response: a problem has an id of its own.
fn told(reply: &Reply) -> (u16, Value, Option<String>, u64) {
    let body = if reply.status == 200 { reply.text_without_next_steps() } else { "null".to_owned() };
    let body = serde_json::from_str(&body).unwrap();
    let revision = if reply.status == 200 { reply.revision() } else { 0 };
    (reply.status.as_u16(), body, reply.header("etag").map(str::to_owned), revision)
}

async fn read_all(client: &Client, as_of: Option<&str>) -> Vec<(u16, Value, Option<String>, u64)> {
    let mut answers = Vec::new();
    for path in READS {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = as_of.map_or(path.to_owned(), |moment| format!("{path}{separator}as_of={moment}"));
        let mut answer = told(&client.get(&path).send().await);
        // A cursor belongs to the list that made it, so the test compares the pages that follow.
        if let Some(next) = answer.1.get_mut("next_cursor") {
            *next = json!(next.is_string());
        }
        answers.push(answer);
    }
    answers
}

#[rstest]
#[case::memory(false)]
#[case::sqlite(true)]
#[tokio::test]
async fn every_read_with_as_of_repeats_the_old_response(#[case] sqlite: bool) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let setup = if sqlite { Setup::on(SqliteJournal::open(&path).unwrap()) } else { Setup::on(MemoryJournal::new()) };
    let server = Setup { clock: clock.clone(), ..setup }.start().await;
    let client = server.client();
    let mut then = vec![read_all(&client, None).await];
    for call in calls(&client) {
        clock.advance(SignedDuration::from_secs(10));
        assert!(call.send().await.status.is_success());
        then.push(read_all(&client, None).await);
    }
    let compare = async |client: Client| {
        for (revision, expected) in then.iter().enumerate() {
            let answers = read_all(&client, Some(&revision.to_string())).await;
            assert_eq!(answers, *expected, "at revision {revision}");
            for millis in [0, 5_000, 9_999] {
                let time = start + SignedDuration::from_millis(revision as i64 * 10_000 + millis);
                let answers = read_all(&client, Some(&time.to_string())).await;
                assert_eq!(answers, *expected, "at {time}");
            }
        }
        let head = then.len() - 1;
        assert_eq!(read_all(&client, Some("2031-01-01T00:00:00%2B01:00")).await, then[head], "later than the newest");
        assert_eq!(read_all(&client, Some("2029-12-31T23:59:59Z")).await, then[0], "before the first");
        let problem = client.get(&format!("/plugins?as_of={}", head + 1)).refused(400).await;
        assert_eq!(problem.kind(), "bad-parameter");
        assert!(problem.detail().contains(&head.to_string()), "{}", problem.detail());
    };
    compare(client).await;
    server.stop().await;
    if sqlite {
        compare(Server::on(&path).await.client()).await;
    }
}

#[tokio::test]
async fn the_past_is_read_page_by_page_and_line_by_line() {
    let server = Server::start().await;
    let client = server.client();
    for n in 0..5 {
        client.register(&named("c", &n.to_string())).await;
    }
    for n in 0..5 {
        client.delete(&format!("/plugins/c_{n}")).answers(204).await;
    }
    let mut ids = Vec::new();
    let mut page = client.get("/plugins?limit=2&as_of=4").answers(200).await;
    ids.extend(page.ids());
    while let Some(link) = page.header("link") {
        let query = link.split(['<', '>']).nth(1).unwrap().to_owned();
        assert!(query.contains("as_of=4"), "the next page is one of the same moment: {query}");
        page = client.get(&format!("/plugins{query}")).answers(200).await;
        ids.extend(page.ids());
    }
    assert_eq!(ids, ["c_0", "c_1", "c_2", "c_3"]);
    let lines = client.get("/plugins?as_of=5").header("accept", "application/x-ndjson").answers(200).await.lines();
    assert_eq!(lines.len(), 5);
    // A read of the past has the tag of that time.
    let tag = client.get("/plugins?as_of=4").answers(200).await.etag();
    client.get("/plugins?as_of=4").header("if-none-match", tag).answers(304).await;
}
