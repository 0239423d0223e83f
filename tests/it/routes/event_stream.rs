//! GET /events, live.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::harness::server::Setup;
use crate::harness::{Client, Daemon, RawConnection, Received, Server, minimal, named, within_patience};
use domain::Revision;
use plugin_registry::http::router;
use plugin_registry::http::state::{Api, Limits, Shared};
use plugin_registry::server::settings::ServerSettings;

fn change(revision: u64) -> (String, u64) {
    ("change".to_owned(), revision)
}

fn removal(revision: u64) -> (String, u64) {
    ("removal".to_owned(), revision)
}

async fn register_some(client: &Client, from: usize, to: usize) {
    for n in from..to {
        client.register(&named("c", &n.to_string())).await;
    }
}

#[tokio::test]
async fn a_stream_delivers_changes_as_they_happen() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&named("c", "before")).await;
    let mut stream = client.watch("/events").await;
    let store = client.get("/stats").answers(200).await.store().to_owned();
    let opening = stream.block().await.unwrap();
    assert!(opening.starts_with(&format!("id: {store}-1\nevent: hello\ndata: ")), "{opening:?}");
    assert!(opening.ends_with("\nretry: 3000\n\n"), "{opening:?}");
    let hello = json!({"store": store, "revision": 1, "version": env!("CARGO_PKG_VERSION")});
    assert_eq!(stream.hello, Some(hello));
    client.register(&minimal()).await;
    let event = stream.next().await.unwrap();
    assert_eq!(
        (event.id.clone(), &*event.event),
        (Some(format!("{store}-2")), "change"),
        "what was before is not told"
    );
    let listed = client.get("/events?after=1").answers(200).await;
    assert!(listed.text().contains(&event.data.to_string()), "an event is the same, live or listed");
    client.delete("/plugins/c_before").answers(204).await;
    client.put("/categories/c", &json!({"display_name": "C"})).answers(200).await;
    assert_eq!(stream.told(2).await, [removal(3), change(4)]);
}

#[tokio::test]
async fn a_stream_begins_after_the_requested_revision_and_continues() {
    let server = Server::start().await;
    let client = server.client();
    register_some(&client, 0, 5).await;
    for after in 0..=5 {
        let mut stream = client.watch(&format!("/events?after={after}")).await;
        let expected: Vec<_> = (after + 1..=5).map(change).collect();
        assert_eq!(stream.told(expected.len()).await, expected);
        let next = client.patch("/plugins/c_0", &json!({"title": after.to_string()})).answers(200).await.revision();
        let skipped = usize::try_from(next - 6).unwrap();
        // Earlier subscribers see the result of the others' changes.
        assert_eq!(stream.told(skipped + 1).await.last(), Some(&change(next)));
    }
}

#[tokio::test]
async fn last_event_id_overrides_the_query() {
    let server = Server::start().await;
    let client = server.client();
    register_some(&client, 0, 4).await;
    let store = client.get("/stats").answers(200).await.store().to_owned();
    for (path, id, first) in [
        ("/events", format!("{store}-2"), 3),
        ("/events", "2".to_owned(), 3),
        ("/events", "0".to_owned(), 1),
        // A browser reconnects to the same address, with the last event id it has seen.
        ("/events?after=1", format!("{store}-3"), 4),
    ] {
        let mut stream = client.get(path).header("last-event-id", &id).opens().await;
        assert_eq!(stream.told(1).await, [change(first)], "{path} {id}");
    }
}

#[tokio::test]
async fn event_source_polyfill_got_400_for_its_parameter_and_clients_for_an_empty_id() {
    let server = Server::start().await;
    let client = server.client();
    register_some(&client, 0, 4).await;
    let store = client.get("/stats").answers(200).await.store().to_owned();
    for (path, header, first) in [
        (format!("/events?lastEventId={store}-2"), None, 3),
        ("/events?after=0&lastEventId=2".to_owned(), None, 3),
        // A URL with the parameter in a browser, which sends the field when it reconnects.
        ("/events?lastEventId=1".to_owned(), Some("2"), 3),
        ("/events?after=2&lastEventId=".to_owned(), None, 3),
        ("/events?lastEventId=2".to_owned(), Some(""), 3),
        ("/events?after=2".to_owned(), Some(""), 3),
    ] {
        let call = header.into_iter().fold(client.get(&path), |call, id| call.header("last-event-id", id));
        let mut stream = call.opens().await;
        assert_eq!(stream.told(1).await, [change(first)], "{path} {header:?}");
    }
    let listed = client.get(&format!("/events?lastEventId={store}-3")).answers(200).await.items();
    assert_eq!(listed.len(), 1, "a list continues there, too: {listed:?}");
    let live = |query: &str| client.get(&format!("/events?{query}")).header("accept", "text/event-stream");
    assert!(live("lastEventId=x").refused(400).await.detail().contains("`lastEventId`"));
    assert_eq!(live(&format!("lastEventId={}-1", "0".repeat(32))).refused(410).await.kind(), "other-store");
    assert_eq!(
        client
            .get("/events")
            .header("last-event-id", [0xff])
            .header("accept", "text/event-stream")
            .refused(400)
            .await
            .kind(),
        "bad-parameter"
    );
}

#[tokio::test]
async fn a_change_between_a_cut_and_the_reconnection_was_missed_before_the_first_event() {
    let server = Server::start().await;
    let client = server.client();
    register_some(&client, 0, 2).await;
    let mut stream = client.watch("/events").await;
    stream.block().await.unwrap();
    let id = stream.last_event_id.clone().expect("the first message has an id");
    drop(stream);
    register_some(&client, 2, 3).await;
    let mut again = client.get("/events").header("last-event-id", &id).opens().await;
    assert_eq!(again.told(1).await, [change(3)]);
}

#[rstest]
#[case::text("abc")]
#[case::negative("-1")]
#[case::plus("+1")]
#[case::float("1.0")]
#[case::huge("99999999999999999999")]
#[tokio::test]
async fn an_invalid_last_event_id_is_refused(#[case] id: &str) {
    let server = Server::in_memory().await;
    let client = server.client();
    let store = client.get("/stats").answers(200).await.store().to_owned();
    let live = |id: &str| client.get("/events").header("accept", "text/event-stream").header("last-event-id", id);
    let status = live(id).send().await.status.as_u16();
    assert!([400, 410].contains(&status), "{id}: {status}");
    if !id.contains('-') {
        assert_eq!(status, 400, "{id}");
        assert_eq!(live(&format!("{store}-{id}")).refused(400).await.kind(), "bad-parameter");
    }
}

#[tokio::test]
async fn an_event_of_another_store_is_gone() {
    let (one, other) = (Server::in_memory().await, Server::in_memory().await);
    one.client().register(&minimal()).await;
    other.client().register(&minimal()).await;
    let id = one.client().watch("/events?after=0").await.next().await.unwrap().id.unwrap();
    let live = other.client().get("/events").header("accept", "text/event-stream").header("last-event-id", &id);
    assert_eq!(live.refused(410).await.kind(), "other-store");
}

#[rstest]
#[case("until=5")]
#[case("from=2030-01-01T00:00:00Z")]
#[case("to=2030-01-01T00:00:00Z")]
#[case("order=desc")]
#[case("limit=1000")]
#[tokio::test]
async fn bounds_and_orders_are_refused_for_a_stream(#[case] query: &str) {
    let server = Server::in_memory().await;
    let live = server.client().get(&format!("/events?{query}")).header("accept", "text/event-stream");
    assert!(live.refused(400).await.detail().contains("live"));
    // A client that also accepts JSON gets a list, which supports all of this.
    let either = server.client().get(&format!("/events?{query}")).header("accept", "*/*");
    assert_eq!(either.answers(200).await.items(), [] as [Value; 0]);
}

#[tokio::test]
async fn a_plugin_that_leaves_the_filters_is_published_as_removed() {
    let server = Server::start().await;
    let client = server.client();
    let mut live = client.watch("/events?active=true").await;
    client.register(&minimal()).await;
    let pids = |pids: Value| client.put("/plugins/transcription_whisper/spawned_pids", &json!({"spawned_pids": pids}));
    pids(json!([1])).answers(200).await;
    pids(json!([1, 2])).answers(200).await;
    pids(json!([])).answers(200).await;
    client.patch("/plugins/transcription_whisper", &json!({"title": "Unseen"})).answers(200).await;
    pids(json!([7])).answers(200).await;
    client.delete("/plugins/transcription_whisper?force=true").answers(204).await;
    let expected = [change(2), change(3), removal(4), change(6), removal(7)];
    assert_eq!(live.told(5).await, expected);
    // The same from the journal, on a topic without a subscriber so far.
    let mut past = client.watch("/events?after=0&active=true&execution=local").await;
    assert_eq!(past.told(5).await, expected);
}

#[rstest]
#[case::plugin("plugin=c_1", &[2, 5])]
#[case::kind("kind=plugin.updated", &[5, 6])]
#[case::kind_of_category("kind=category.named", &[4])]
#[case::category("category=c", &[1, 2, 3, 5, 6])]
#[case::host("host=h", &[6])]
#[case::label("label.a=1", &[3, 6])]
#[case::label_and_category("label.a=1&category=c", &[3, 6])]
#[case::several_values("host=h,i", &[3, 6])]
#[case::text("q=c_1", &[2, 5])]
#[tokio::test]
async fn a_stream_has_the_filters_of_the_list(#[case] query: &str, #[case] expected: &[u64]) {
    let server = Server::start().await;
    let client = server.client();
    let mut live = client.watch(&format!("/events?{query}")).await;
    register_some(&client, 0, 2).await;
    let mut two = named("c", "2");
    two["labels"] = json!({"a": "1"});
    two["host"] = json!("i");
    client.register(&two).await;
    client.put("/categories/x", &json!({"display_name": "X"})).answers(200).await;
    client.patch("/plugins/c_1", &json!({"title": "New"})).answers(200).await;
    client.patch("/plugins/c_2", &json!({"host": "h"})).answers(200).await;
    let mut past = client.watch(&format!("/events?after=0&{query}")).await;
    for stream in [&mut live, &mut past] {
        let told: Vec<_> = stream.take(expected.len()).await.iter().map(Received::revision).collect();
        assert_eq!(told, expected);
    }
    let listed = client.get(&format!("/events?{query}")).answers(200).await.items();
    let listed: Vec<_> = listed.iter().map(|event| event["data"]["revision"].as_u64().unwrap()).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_list_and_a_stream_from_its_revision_miss_nothing() {
    let server = Server::start().await;
    let writing = server.client();
    let writer = tokio::spawn(async move {
        for n in 0..300 {
            writing.register(&named("c", &format!("{n:03}"))).await;
        }
    });
    let client = server.client();
    let mut watching = Vec::new();
    for _ in 0..10 {
        let list = client.get("/plugins?category=c").answers(200).await;
        let revision = list.json()["revision"].as_u64().unwrap();
        let stream = client.watch(&format!("/events?category=c&after={revision}")).await;
        watching.push((list.ids(), revision, stream));
    }
    within_patience("the writer", writer).await.unwrap();
    for (mut ids, revision, mut stream) in watching {
        let events = stream.take(300 - usize::try_from(revision).unwrap()).await;
        let told: Vec<_> = events.iter().map(Received::revision).collect();
        assert_eq!(told, (revision + 1..=300).collect::<Vec<_>>());
        ids.extend(events.iter().map(|event| event.data["subject"].as_str().unwrap().to_owned()));
        ids.sort();
        assert_eq!(ids, (0..300).map(|n| format!("c_{n:03}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_stream_is_not_compressed() {
    let server = Server::in_memory().await;
    let client = server.client();
    let mut stream = client.get("/events").header("accept-encoding", "gzip").opens().await;
    let mut long = minimal();
    long["description"] = json!("long ".repeat(5_000));
    client.register(&long).await;
    assert_eq!(stream.told(1).await, [change(1)]);
}

#[tokio::test]
async fn a_stop_ends_streams_and_long_polls_at_once() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let mut streams = Vec::new();
    for path in ["/events", "/events?after=0", "/events?active=true", "/events?plugin=nobody"] {
        let mut stream = client.watch(path).await;
        stream.block().await.unwrap();
        streams.push(stream);
    }
    let waiting = tokio::spawn(client.get("/plugins?host=h&since=1&wait=60s").send());
    server.follows("Host(\"h\")").await;
    let stopped = server.stop();
    // Much less than the grace, after which the server closes connections.
    let stopped = tokio::time::timeout(Duration::from_secs(5), stopped);
    assert!(stopped.await.is_ok(), "the stop waits for no reader");
    for stream in &mut streams {
        assert!(stream.rest().await.len() <= 1, "the stream ends as it should, and does not break off");
    }
    let polled = within_patience("the long poll", waiting).await.unwrap();
    assert_eq!(polled.status, 304);
}

#[tokio::test]
async fn sigterm_ends_the_streams_of_a_process() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("registry.db")).await;
    let client = daemon.client();
    let mut stream = client.watch("/events").await;
    client.register(&minimal()).await;
    assert_eq!(stream.told(1).await, [change(1)]);
    daemon.signal(Signal::TERM);
    assert_eq!(stream.rest().await, []);
    let (status, log) = daemon.exit().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

#[tokio::test]
async fn a_stream_resumes_at_a_restarted_server() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let daemon = Daemon::start(&store).await;
    let mut stream = daemon.client().watch("/events?category=c").await;
    register_some(&daemon.client(), 0, 3).await;
    assert_eq!(stream.told(2).await, [change(1), change(2)]);
    let last = stream.last_event_id.clone().unwrap();
    daemon.signal(Signal::KILL);
    daemon.exit().await;
    let daemon = Daemon::start(&store).await;
    let client = daemon.client();
    let mut again = client.get("/events?category=c").header("last-event-id", &last).opens().await;
    let mut whole = client.watch("/events?after=0").await;
    register_some(&client, 3, 5).await;
    assert_eq!(again.told(3).await, [change(3), change(4), change(5)]);
    assert_eq!(whole.told(5).await, (1..=5).map(change).collect::<Vec<_>>());
    daemon.stop().await;
}

/// A stream without a connection: it sends only what the test takes, so the test knows when the reader is too slow.
struct Unread(Body);

impl Unread {
    async fn open(server: &Server, after: u64) -> Unread {
        let webhooks = server.webhooks.clone();
        let api = Api::new(server.registry.clone(), webhooks);
        let request = hyper::Request::get("/events").header("host", "localhost").header("accept", "text/event-stream");
        let request = request.header("last-event-id", after.to_string()).body(Body::empty()).unwrap();
        let response = router(Shared::new(api)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Unread(response.into_body())
    }

    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> Option<String> {
        let frame = within_patience("a piece of the stream", self.0.frame()).await?;
        Some(str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap().to_owned())
    }

    /// Takes pieces until they reach `revision`; returns their revisions.
    async fn take_until(&mut self, revision: u64) -> Vec<u64> {
        let mut taken = Vec::new();
        while taken.last() != Some(&revision) {
            taken.extend(told(&self.piece().await.expect("the stream goes on")));
        }
        taken
    }
}

/// The revisions of the changes in a text of events.
fn told(text: &str) -> Vec<u64> {
    let blocks = text.split("\n\n").filter(|block| !block.contains("event: hello"));
    let ids = blocks.filter_map(|block| block.lines().find_map(|line| line.strip_prefix("id: ")));
    ids.map(|id| id.rsplit('-').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_disconnected_and_can_resume() {
    let server = Server::in_memory().await;
    let client = server.client();
    register_some(&client, 0, 3).await;
    let mut slow = Unread::open(&server, 0).await;
    assert_eq!(slow.take_until(3).await, [1, 2, 3]);
    let lines: String = (0..5_000).map(|n| named("d", &n.to_string()).to_string() + "\n").collect();
    client.import(lines).await;
    within_patience("the filing", server.registry.topics().reached(Revision(5_003))).await;
    let end = slow.piece().await.unwrap();
    let data = end.strip_prefix("event: cut_off\ndata: ").expect("the stream ends with cut_off, without a gap before");
    let data: Value = serde_json::from_str(data.trim_end()).unwrap();
    assert_eq!(data["after"], 3);
    assert!(data["reason"].as_str().unwrap().contains("Last-Event-ID"), "{data}");
    assert!(slow.piece().await.is_none(), "the stream has ended");
    let mut again = Unread::open(&server, 3).await;
    assert_eq!(again.take_until(5_003).await, (4..=5_003).collect::<Vec<_>>());
}

/// Over TCP, and beside other readers: the kernel's buffers are full, and the server must wait for the reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_reading_is_disconnected_and_others_are_served() {
    const NUMBER: usize = 3_000;
    const AT_A_TIME: usize = 250;
    // A slow machine must not close the connection before the stream ends.
    let settings = ServerSettings { write_time: Duration::from_secs(600), ..ServerSettings::default() };
    let server = Setup { settings, ..Setup::in_memory() }.start().await;
    let client = server.client();
    let on_host = |n: usize| {
        let mut document = named("d", &n.to_string());
        document["host"] = json!("h");
        document["description"] = json!("long ".repeat(1_600));
        document
    };
    let mut slow = RawConnection::narrow(server.address).await;
    slow.send("GET /events?host=h HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await;
    server.follows("Host(\"h\")").await;
    client.register(&on_host(0)).await;
    // The reader is up to date, and from now on reads nothing.
    slow.until("-1\nevent: change").await;
    let mut other = client.watch("/events?host=h&after=0").await;
    assert_eq!(other.told(1).await, [change(1)]);
    for from in (1..=NUMBER).step_by(AT_A_TIME) {
        let lines: String = (from..from + AT_A_TIME).map(|n| on_host(n).to_string() + "\n").collect();
        client.import(lines).await;
        let expected: Vec<_> = (from as u64 + 1..=(from + AT_A_TIME) as u64).map(change).collect();
        assert_eq!(other.told(AT_A_TIME).await, expected, "others get theirs meanwhile");
    }
    let body = String::from_utf8(slow.reply().await.body).unwrap();
    let (events, end) = body.rsplit_once("event: cut_off\ndata: ").expect("a last event says so");
    let end: Value = serde_json::from_str(end.trim_end()).expect("nothing comes after it");
    let after = end["after"].as_u64().unwrap();
    assert_eq!(told(events), (1..=after).collect::<Vec<_>>());
    assert!(end["reason"].as_str().unwrap().contains("Last-Event-ID"), "{end}");
    let last = events.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let mut again = client.get("/events?host=h").header("last-event-id", last).opens().await;
    let missed = NUMBER + 1 - usize::try_from(after).unwrap();
    assert!(missed > 0);
    assert_eq!(again.told(missed).await, (after + 1..=NUMBER as u64 + 1).map(change).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_idle_stream_sends_comments_and_bookmarks_but_no_empty_message() {
    assert_eq!(Limits::default().heartbeat, Duration::from_secs(15));
    let limits = Limits { heartbeat: Duration::from_millis(10), ..Limits::default() };
    let server = Setup { limits, ..Setup::in_memory() }.start().await;
    let client = server.client();
    client.register(&named("c", "1")).await;
    let store = client.get("/stats").answers(200).await.store().to_owned();
    let mut stream = client.watch("/events?category=other").await;
    stream.block().await.unwrap();
    for _ in 0..3 {
        assert_eq!(stream.block().await.unwrap(), ": heartbeat\n");
    }
    client.register(&named("c", "2")).await;
    let bookmark = format!("id: {store}-2\nevent: bookmark\ndata: {{\"revision\":2}}\n\n");
    let moved_on = async { while stream.block().await.unwrap() != bookmark {} };
    within_patience("a reconnecting client skips other changes", moved_on).await;
    assert_eq!(stream.block().await.unwrap(), ": heartbeat\n");
    client.register(&named("other", "3")).await;
    assert_eq!(stream.told(1).await, [change(3)]);
}
