//! The registry limits concurrent work, and slow clients take no permits from fast ones.

use std::time::Duration;

use crate::harness::server::Setup;
use crate::harness::{RawConnection, Server, minimal, named, within_patience};
use plugin_registry::http::middleware::limiter::Limiter;
use plugin_registry::http::middleware::load_shedding::LoadShedder;
use plugin_registry::http::middleware::memory_guard::MemoryGuard;
use plugin_registry::http::state::Limits;

async fn with(gate: LoadShedder) -> Server {
    // Timeouts so long that none ends a request in the test.
    let limits = Limits { body_time: Duration::from_secs(600), ..Limits::default() };
    Setup { gate, limits, ..Setup::in_memory() }.start().await
}

/// A request whose body has begun and then stalls.
async fn slow_body(server: &Server) -> RawConnection {
    let mut raw = server.raw().await;
    raw.send(
        "POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    )
    .await;
    raw
}

#[tokio::test]
async fn excess_requests_are_rejected_and_health_checks_are_served() {
    let requests = Limiter::of(1);
    let server = with(LoadShedder { requests: requests.clone(), ..LoadShedder::default() }).await;
    let client = server.client();
    client.get("/plugins").answers(200).await;
    client.post("/plugins", &minimal()).answers(201).await;
    assert_eq!(requests.taken(), 0, "what was taken was given back");
    let place = requests.take(1).expect("the only permit");
    for refused in [client.get("/plugins").refused(503).await, client.post("/plugins", &minimal()).refused(503).await] {
        assert_eq!((refused.kind(), refused.headers["retry-after"].to_str().unwrap()), ("unavailable", "1"));
    }
    client.get("/healthz").answers(200).await;
    client.get("/readyz").answers(200).await;
    drop(place);
    client.get("/plugins").answers(200).await;
}

#[tokio::test]
async fn arriving_bodies_take_no_request_permit() {
    let requests = Limiter::of(1);
    let server = with(LoadShedder { requests: requests.clone(), ..LoadShedder::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(slow_body(&server).await);
    }
    server.client().post("/plugins", &minimal()).answers(201).await;
    assert_eq!(requests.taken(), 0);
}

#[tokio::test]
async fn watchers_have_their_own_permits() {
    let (requests, watchers) = (Limiter::of(1), Limiter::of(2));
    let server = with(LoadShedder { requests, watchers: watchers.clone(), ..LoadShedder::default() }).await;
    let client = server.client();
    let stream = client.watch("/events").await;
    let mut poll = server.raw().await;
    poll.send("GET /plugins?since=0&wait=5m HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    within_patience("the long poll", async {
        while watchers.taken() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = client.get("/plugins?since=0&wait=5m").refused(503).await;
    assert!(refused.detail().contains("--max-watchers"), "{}", refused.detail());
    client.get("/events").header("accept", "text/event-stream").refused(503).await;
    client.request(reqwest::Method::POST, "/plugins").body("application/x-ndjson", "").refused(503).await;
    // Other requests are unaffected.
    client.register(&minimal()).await;
    assert_eq!(poll.reply().await.status, 200);
    drop(stream);
    within_patience("the places", async {
        while watchers.taken() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(client.watch("/events").await);
}

#[tokio::test]
async fn the_memory_of_bodies_is_limited() {
    let bodies = Limiter::of(10_000);
    let server = with(LoadShedder { bodies: bodies.clone(), ..LoadShedder::default() }).await;
    let client = server.client();
    let mut large = minimal();
    large["description"] = "x".repeat(20_000).into();
    let refused = client.post("/plugins", &large).refused(503).await;
    assert!(refused.detail().contains("--max-body-memory"), "{}", refused.detail());
    let lines = client.request(reqwest::Method::POST, "/plugins").body("application/x-ndjson", large.to_string());
    assert_eq!(lines.answers(200).await.lines()[0]["status"], 503);
    client.register(&minimal()).await;
    assert_eq!(bodies.taken(), 0, "what was held was given back");
    // Stalled bodies hold memory for the bytes that have arrived.
    let mut slow = slow_body(&server).await;
    slow.send("x".repeat(500)).await;
    within_patience("what has arrived", async {
        while bodies.taken() < 501 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(slow);
    within_patience("the memory", async {
        while bodies.taken() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_bounded_the_memory_of_the_process() {
    let memory = MemoryGuard::of(1 << 20);
    let server = with(LoadShedder { memory, ..LoadShedder::default() }).await;
    let client = server.client();
    let refused = client.post("/plugins", &named("c", "a")).refused(507).await;
    assert_eq!(refused.kind(), "registry-full");
    assert!(refused.detail().contains("--max-memory"), "{}", refused.detail());
    client.get("/events").header("accept", "text/event-stream").refused(503).await;
    client.get("/plugins").answers(200).await;
    client.delete("/plugins/c_a").refused(404).await;
}
