//! Two processes on one file: safe, and each sees the other's writes.

use std::collections::BTreeSet;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Client, Daemon, Trace, minimal, named, within_patience};

async fn two() -> (TempDir, Daemon, Daemon) {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let (one, other) = (Daemon::start(&store).await, Daemon::start(&store).await);
    (folder, one, other)
}

/// Reads until `client` has the revision. The test polls the server instead of sleeping.
async fn catches_up(client: &Client, revision: u64) {
    let read = async { while client.get("/healthz").answers(200).await.revision() < revision {} };
    within_patience("the writes of the other process", read).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_shows_the_writes_of_the_other() {
    let (_folder, one, other) = two().await;
    let written = one.client().register(&minimal()).await;
    catches_up(&other.client(), 1).await;
    let read = other.client().get("/plugins/transcription_whisper").answers(200).await;
    assert_eq!((read.body.clone(), read.etag()), (written.body.clone(), written.etag()));
    other.client().put("/plugins/transcription_whisper/config", &json!({"a": 1})).answers(200).await;
    other.client().put("/categories/transcription", &json!({"display_name": "ASR"})).answers(200).await;
    other.client().register(&named("c", "short-lived")).await;
    other.client().delete("/plugins/c_short-lived").answers(204).await;
    catches_up(&one.client(), 5).await;
    assert_eq!(Trace::of(&one.client()).await, Trace::of(&other.client()).await);
    assert_eq!(one.client().get("/plugins/transcription_whisper/config").answers(200).await.text(), r#"{"a":1}"#);
    one.stop().await;
    other.client().register(&named("c", "alone")).await;
    other.stop().await;
}

#[tokio::test]
async fn a_report_finds_what_was_registered_at_the_other_a_moment_ago() {
    let (_folder, one, other) = two().await;
    for round in 1..=20 {
        let mut held = named("c", &format!("p{round}"));
        held["host"] = json!("gpu-1");
        held["spawned_pids"] = json!([round]);
        one.client().register(&held).await;
        let seen =
            json!({"kind": "process", "plugin": format!("c_p{round}"), "id": round.to_string(), "state": "alive"});
        let report = json!({"by": "agent", "host": "gpu-1", "observations": [seen]});
        let told = other.client().post("/observations", &report).answers(200).await.json();
        assert_eq!(told, json!({"accepted": 1, "ignored": []}), "round {round}");
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_write_is_decided_on_the_latest_write_of_the_other() {
    let (_folder, one, other) = two().await;
    let first = one.client().register(&minimal()).await;
    // The other process may not show the plugin yet, but must not create it again.
    let again = other.client().post("/plugins", &minimal()).answers(200).await;
    assert_eq!((again.etag(), again.body.clone()), (first.etag(), first.body.clone()));
    assert_eq!(again.revision(), 1, "the reply tells of the revision that it was made from");
    one.client().patch("/plugins/transcription_whisper", &json!({"title": "New"})).answers(200).await;
    let stale = other.client().patch("/plugins/transcription_whisper", &json!({"title": "Stale"}));
    stale.header("if-match", first.etag()).refused(412).await;
    let mut taken = named("transcription_whisper", "x");
    taken["title"] = json!("x");
    one.client().register(&named("transcription", "whisper_x")).await;
    other.client().post("/plugins", &taken).refused(409).await;
    one.client().delete("/plugins/transcription_whisper").answers(204).await;
    other.client().patch("/plugins/transcription_whisper", &json!({"title": "Gone"})).refused(404).await;
    // A client never sees state older than its last response.
    other.client().get("/plugins/transcription_whisper").refused(404).await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_of_two_processes_use_no_revision_twice() {
    let (_folder, one, other) = two().await;
    let mut writers = Vec::new();
    for (process, daemon) in [&one, &other].into_iter().enumerate() {
        for writer in 0..4 {
            let client = daemon.client();
            writers.push(tokio::spawn(async move {
                let mut revisions = Vec::new();
                for n in 0..15 {
                    let reply = client.register(&named("c", &format!("{process}-{writer}-{n}"))).await;
                    revisions.push(reply.json()["revision"].as_u64().unwrap());
                }
                assert!(revisions.is_sorted());
                revisions
            }));
        }
    }
    let mut revisions = Vec::new();
    for writer in writers {
        revisions.extend(writer.await.unwrap());
    }
    assert_eq!(revisions.len(), 120);
    assert_eq!(revisions.into_iter().collect::<BTreeSet<_>>(), (1..=120).collect());
    catches_up(&one.client(), 120).await;
    catches_up(&other.client(), 120).await;
    assert_eq!(Trace::of(&one.client()).await, Trace::of(&other.client()).await);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_store_that_was_replaced_under_a_running_process_is_not_written_into() {
    use plugin_registry::store::sqlite::SqliteJournal;
    use plugin_registry::store::{Journal as _, StoreError};
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let mut journal = SqliteJournal::open(&store).unwrap();
    let known = journal.load().unwrap();
    rusqlite::Connection::open(&store).unwrap().execute("UPDATE registry SET store = 'another'", []).unwrap();
    let refused = journal.begin(&known.state);
    assert!(matches!(refused, Err(StoreError::Unusable { .. })), "{refused:?}");
}
