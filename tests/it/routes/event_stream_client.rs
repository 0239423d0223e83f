//! GET /events, live, read by the parser of the crate reqwest-eventsource. `./tests/run streams` tries other clients.

use eventsource_stream::{Event, Eventsource as _};
use futures_util::{Stream, StreamExt as _};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Daemon, named, within_patience};
use plugin_registry::net::tls::trusting_no_server;

/// Opens a stream as reqwest-eventsource does: with the id of the last event, if there is one.
async fn open(daemon: &Daemon, last: &str) -> impl Stream<Item = Event> + Unpin + use<> {
    let client = reqwest::Client::builder().no_proxy();
    let client = client.tls_backend_preconfigured(trusting_no_server().unwrap()).build().unwrap();
    let mut request = client.get(format!("http://{}/events?after=0", daemon.address));
    request = request.header("accept", "text/event-stream");
    if !last.is_empty() {
        request = request.header("last-event-id", last);
    }
    let response = within_patience("a stream", request.send()).await.unwrap().error_for_status().unwrap();
    // The stream ends with an error when the server is killed.
    Box::pin(
        response
            .bytes_stream()
            .eventsource()
            .take_while(|event| std::future::ready(event.is_ok()))
            .filter_map(async |event| event.ok()),
    )
}

#[tokio::test]
async fn a_rust_client_receives_each_change_once_over_restarts() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let (mut last, mut revisions, mut hellos) = (String::new(), Vec::new(), 0);
    for (round, signal) in [Signal::TERM, Signal::KILL, Signal::TERM].into_iter().enumerate() {
        let daemon = Daemon::start(&store).await;
        let mut stream = open(&daemon, &last).await;
        for n in 0..5 {
            daemon.client().register(&named("c", &format!("{round}-{n}"))).await;
        }
        while revisions.len() < (round + 1) * 5 {
            let event = within_patience("an event", stream.next()).await.expect("the stream goes on");
            let data: Value = serde_json::from_str(&event.data).expect("every message has JSON");
            match &*event.event {
                "hello" => hellos += 1,
                "change" => revisions.push(data["data"]["revision"].as_u64().unwrap()),
                other => panic!("an unexpected event {other}"),
            }
            last = event.id;
        }
        daemon.signal(signal);
        let rest: Vec<Event> = within_patience("the end", stream.collect()).await;
        assert!(rest.is_empty(), "{rest:?}");
        daemon.exit().await;
    }
    assert_eq!(revisions, (1..=15).collect::<Vec<_>>());
    assert_eq!(hellos, 3);
}
