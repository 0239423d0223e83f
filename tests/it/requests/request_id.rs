//! X-Request-Id, in the response and in the journal.

use crate::harness::{Server, minimal};
use domain::Revision;
use plugin_registry::store::Journal as _;
use plugin_registry::store::sqlite::SqliteJournal;

#[tokio::test]
async fn a_valid_request_id_is_echoed_and_an_invalid_one_replaced() {
    let server = Server::start().await;
    let client = server.client();
    let sent = "a1-".repeat(40);
    let reply = client.get("/nowhere").header("x-request-id", &sent).answers(404).await;
    assert_eq!(reply.header("x-request-id"), Some(sent.as_str()));
    for unfit in ["", "has space", "tab\t", &"x".repeat(129), "ümlaut"] {
        let reply = client.get("/stats").header("x-request-id", unfit).answers(200).await;
        assert_ne!(reply.header("x-request-id"), Some(unfit));
    }
}

#[tokio::test]
async fn each_request_gets_its_own_request_id() {
    let server = Server::start().await;
    let client = server.client();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(client.get("/healthz").answers(200).await.header("x-request-id").unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn an_event_has_the_id_of_its_request() {
    let server = Server::in_file().await;
    let client = server.client();
    client.post("/plugins", &minimal()).header("x-request-id", "who-asked").answers(201).await;
    let folder = server.stop().await.unwrap();
    let mut journal = SqliteJournal::open(&folder.path().join("registry.db")).unwrap();
    let changes = journal.read(Revision(0), 10).unwrap();
    assert_eq!(changes[0].request_id.as_deref(), Some("who-asked"));
}
