//! Silent, slow and excess connections, with short limits so that the test need not wait.

use std::time::Duration;

use crate::harness::minimal;
use crate::harness::server::Setup;
use plugin_registry::http::state::Limits;
use plugin_registry::server::settings::ServerSettings;

const SHORT: Duration = Duration::from_millis(200);

fn short() -> Setup {
    let mut setup = Setup::in_memory();
    setup.settings = ServerSettings {
        first_byte_time: SHORT,
        header_time: SHORT,
        idle_time: SHORT,
        write_time: SHORT,
        ..ServerSettings::default()
    };
    setup.limits = Limits { body_time: SHORT, ..Limits::default() };
    setup
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = short().start().await;
    assert_eq!(server.raw().await.rest().await, "");
}

#[tokio::test]
async fn a_header_that_does_not_end_is_given_up() {
    let server = short().start().await;
    let mut raw = server.raw().await;
    raw.send("GET /healthz HTTP/1.1\r\nX-Slow: ").await;
    let answer = raw.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_is_idle_after_a_request_is_closed() {
    let server = short().start().await;
    let mut raw = server.raw().await;
    assert_eq!(raw.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 200);
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let server = short().start().await;
    for media_type in ["application/json", "application/x-ndjson"] {
        let mut raw = server.raw().await;
        let reply = raw
            .ask(format!(
                "POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: 100\r\n\r\n{{"
            ))
            .await;
        if media_type == "application/json" {
            assert_eq!(reply.status, 408);
            assert_eq!(reply.problem().kind(), "request-timeout");
        } else {
            assert_eq!(reply.json()["status"], 408, "{reply:?}");
        }
        assert_eq!(raw.rest().await, "", "the connection is closed");
    }
}

#[tokio::test]
async fn an_excess_connection_is_rejected_and_permits_are_released() {
    let mut setup = Setup::in_memory();
    setup.settings = ServerSettings { max_connections: 2, ..ServerSettings::default() };
    let server = setup.start().await;
    let (mut first, mut second) = (server.raw().await, server.raw().await);
    let ask = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!((first.ask(ask).await.status, second.ask(ask).await.status), (200, 200));
    let mut third = server.raw().await;
    let reply = third.reply().await;
    assert_eq!(reply.status, 503);
    assert!(reply.problem().headers.contains_key("retry-after"));
    assert_eq!(third.rest().await, "");
    second.finish_sending().await;
    assert_eq!(second.rest().await, "");
    // The server closes a connection before it releases its permit, so the next one may arrive too early.
    drop(second);
    let served = async {
        loop {
            let mut next = server.raw().await;
            next.send(ask).await;
            if next.reply().await.status == 200 {
                return;
            }
        }
    };
    crate::harness::within_patience("the place of a closed connection", served).await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_given_up() {
    let server = short().start().await;
    let client = server.client();
    for n in 0..8 {
        let mut body = minimal();
        body["name"] = n.to_string().into();
        body["description"] = "x".repeat(1_000_000).into();
        client.register(&body).await;
    }
    let mut raw = server.raw().await;
    // Far more than the socket buffers hold; the client reads nothing until the server has stopped.
    for _ in 0..4 {
        raw.send("GET /plugins HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    }
    server.stop().await;
    let taken = raw.rest().await.len();
    assert!(taken < 4 * 8_000_000, "the answers were cut off");
}
