//! The writer runs commands in the order of the queue.

use serde_json::json;

use crate::harness::faulty_journal::{Act, faulty};
use crate::harness::server::Setup;
use crate::harness::{minimal, named, within_patience};
use domain::Revision;
use domain::command::{Command, Request};
use domain::plugin::Registration;
use plugin_registry::store::memory::MemoryJournal;

fn register(schema: &serde_json::Value, title: &str) -> Request {
    let mut body = minimal();
    body["config_schema"] = schema.clone();
    body["title"] = json!(title);
    Request::plain(Command::Register(Box::new(Registration::read(body).unwrap())))
}

/// Of many registrations of one plugin in an NDJSON body, the last one must win.
#[tokio::test]
async fn a_slow_schema_check_does_not_reorder_registrations() {
    let (journal, mut director) = faulty(MemoryJournal::new());
    let server = Setup::on(journal).start().await;
    let (old, new) = (json!({"title": "old"}), json!({"title": "new"}));
    server.registry.submit(register(&old, "0")).await.unwrap();
    // While the writer is busy, three registrations enter the queue in this order.
    director.next(Act::Wait);
    let busy = server
        .registry
        .enqueue(Request::plain(Command::Register(Box::new(Registration::read(named("c", "busy")).unwrap()))));
    let busy = busy.await.unwrap();
    director.commit_waits().await;
    let mut waiting = Vec::new();
    for (schema, title) in [(&new, "1"), (&old, "2"), (&new, "3")] {
        waiting.push(server.registry.enqueue(register(schema, title)).await.unwrap());
    }
    director.let_go();
    within_patience("the writer", busy.outcome()).await.unwrap();
    let mut revisions = Vec::new();
    for pending in waiting {
        let outcome = within_patience("an outcome", pending.outcome()).await.unwrap();
        revisions.push(outcome.record.unwrap().revision);
    }
    assert_eq!(revisions, [Revision(3), Revision(4), Revision(5)]);
    let last = server.registry.snapshot().state.plugin("transcription_whisper").unwrap().plugin.title.clone();
    assert_eq!(last, "3", "the registration that was put into the queue last stands");
}

/// A client that disconnects does not cancel a command that has begun.
#[tokio::test]
async fn a_command_completes_after_its_client_disconnects() {
    let (journal, mut director) = faulty(MemoryJournal::new());
    let server = Setup::on(journal).start().await;
    director.next(Act::Wait);
    let body = minimal().to_string();
    let mut raw = server.raw().await;
    raw.send(format!(
        "POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    director.commit_waits().await;
    assert_eq!(server.client().get("/plugins").answers(200).await.revision(), 0, "not shown before it is durable");
    drop(raw);
    director.let_go();
    let next = server.client().register(&named("c", "next")).await;
    assert_eq!(next.revision(), 2);
    server.client().get("/plugins/transcription_whisper").answers(200).await;
}
