//! A store that cannot be written: the write fails, reads go on, and later writes succeed without intervention.

use rstest::rstest;
use serde_json::Value;

use crate::harness::faulty_journal::{Act, Director, faulty};
use crate::harness::server::Setup;
use crate::harness::trace::refused_without_trace;
use crate::harness::{Server, Trace, minimal, named};
use plugin_registry::store::Journal;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::sqlite::SqliteJournal;

async fn staged(inner: impl Journal) -> (Server, Director) {
    let (journal, director) = faulty(inner);
    (Setup::on(journal).start().await, director)
}

#[tokio::test]
async fn a_full_disk_fails_the_write_and_nothing_else() {
    let folder = tempfile::TempDir::new().unwrap();
    let (server, director) = staged(SqliteJournal::open(&folder.path().join("registry.db")).unwrap()).await;
    let client = server.client();
    client.register(&minimal()).await;
    for _ in 0..2 {
        director.next(Act::DiskFull);
        let problem = refused_without_trace(&client, client.post("/plugins", &named("c", "n")), 503).await;
        assert_eq!(problem.kind(), "unavailable");
        assert!(problem.detail().contains("the disk is full"), "{}", problem.detail());
        assert!(problem.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
        let ready = client.get("/readyz").answers(200).await.json();
        assert_eq!((&ready["status"], &ready["reason"]), (&Value::from("read_only"), &Value::from("the disk is full")));
        assert!(ready["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        client.get("/plugins/transcription_whisper").answers(200).await;
    }
    let reply = client.register(&named("c", "n")).await;
    assert_eq!(reply.revision(), 2, "no revision was spent");
    assert_eq!(client.get("/readyz").answers(200).await.json()["status"], "ready");
}

#[rstest]
#[case::memory(true)]
#[case::sqlite(false)]
#[tokio::test]
async fn a_write_with_an_unknown_outcome_is_not_repeated(#[case] in_memory: bool) {
    let folder = tempfile::TempDir::new().unwrap();
    let (server, director) = if in_memory {
        staged(MemoryJournal::new()).await
    } else {
        staged(SqliteJournal::open(&folder.path().join("registry.db")).unwrap()).await
    };
    let client = server.client();
    director.next(Act::OutcomeUnknown);
    let before = Trace::of(&client).await;
    client.post("/plugins", &minimal()).refused(503).await;
    assert_eq!(before, Trace::of(&client).await, "what may not be durable is not shown");
    // The client follows the instruction, and retries.
    let again = client.post("/plugins", &minimal()).send().await;
    assert!([200, 201].contains(&again.status.as_u16()), "{}", again.text());
    assert_eq!((again.revision(), &again.json()["revision"]), (1, &Value::from(1)), "the first try had become durable");
    assert_eq!(client.register(&named("c", "next")).await.revision(), 2);
}

#[tokio::test]
async fn a_panic_of_the_writer_fails_that_write_and_the_process_lives() {
    let (server, director) = staged(MemoryJournal::new()).await;
    let client = server.client();
    director.next(Act::Panic);
    let problem = refused_without_trace(&client, client.post("/plugins", &minimal()), 500).await;
    assert!(problem.kind() == "internal" && !problem.detail().contains("purpose"), "{}", problem.detail());
    assert_eq!(client.register(&minimal()).await.revision(), 1);
}

#[tokio::test]
async fn an_ndjson_line_that_cannot_be_written_reports_the_failure() {
    let (server, director) = staged(MemoryJournal::new()).await;
    let client = server.client();
    director.next(Act::DiskFull);
    let results = client.import(minimal().to_string()).await;
    assert_eq!((results[0]["status"].as_u64(), results[0]["problem"]["status"].as_u64()), (Some(503), Some(503)));
    assert_eq!(client.get("/plugins").answers(200).await.revision(), 0);
}

#[tokio::test]
async fn responses_never_contain_messages_of_the_store() {
    let (server, director) = staged(MemoryJournal::new()).await;
    director.next(Act::DiskFull);
    let problem = server.client().post("/plugins", &minimal()).refused(503).await;
    assert!(!problem.document.to_string().contains("no space left on device"), "{}", problem.document);
}
