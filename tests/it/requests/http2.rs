//! HTTP/2: concurrent requests, and clients that are silent, slow or abusive, with short limits so that the test need
//! not wait.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::Builder;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::secure::{Http2, whole};
use crate::harness::server::Setup;
use crate::harness::{Authority, Server, minimal, within_patience};
use plugin_registry::http::state::Limits;
use plugin_registry::server::Tls;
use plugin_registry::server::settings::ServerSettings;

const SHORT: Duration = Duration::from_millis(200);

/// A server with a certificate of a test authority.
async fn serving(settings: ServerSettings) -> (Server, Authority) {
    let authority = Authority::new();
    let tls = Some(Tls::load(authority.sign("server").files()).unwrap());
    let limits = Limits { body_time: SHORT, ..Limits::default() };
    (Setup { tls, settings, limits, ..Setup::in_memory() }.start().await, authority)
}

/// A server with short timeouts.
async fn impatient() -> (Server, Authority) {
    let settings =
        ServerSettings { header_time: SHORT, idle_time: SHORT, write_time: SHORT, ..ServerSettings::default() };
    serving(settings).await
}

async fn connection(server: &Server, authority: &Authority) -> Http2 {
    let stream = authority.connect(server.address, "h2").await.unwrap();
    let mut builder = Builder::new();
    // Room for responses that the client has not read.
    builder.initial_connection_window_size(64 << 20);
    Http2::begin(stream, &builder).await
}

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("https://localhost{path}")).body(()).unwrap()
}

async fn register(http: &mut Http2, plugin: &Value) -> (u16, Bytes) {
    let mut post = request(Method::POST, "/plugins");
    post.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let (response, mut body) = http.request(post, false).await.unwrap();
    body.send_data(plugin.to_string().into(), true).unwrap();
    let (parts, body) = within_patience("the answer", response).await.unwrap().into_parts();
    (parts.status.as_u16(), whole(body).await.unwrap())
}

#[tokio::test]
async fn many_requests_go_over_one_connection() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut http = connection(&server, &authority).await;
    let mut plugin = minimal();
    plugin["description"] = "long ".repeat(100_000).into();
    let (status, body) = register(&mut http, &plugin).await;
    assert_eq!(status, 201);
    let id = serde_json::from_slice::<Value>(&body).unwrap()["unique_id"].as_str().unwrap().to_owned();
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(http.request(request(Method::GET, &format!("/plugins/{id}")), true).await.unwrap().0);
    }
    for answer in answers {
        let (parts, read) = within_patience("an answer", answer).await.unwrap().into_parts();
        assert_eq!(parts.status, 200);
        assert!(parts.headers.contains_key("x-request-id") && parts.headers.contains_key("registry-revision"));
        assert_eq!(whole(read).await.unwrap(), body);
    }
    assert_eq!(http.get("/nowhere").await.0, 404);
    let (head, _) = http.request(request(Method::HEAD, &format!("/plugins/{id}")), true).await.unwrap();
    let head = within_patience("an answer", head).await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
        (200, &*body.len().to_string())
    );
    assert!(whole(head.into_body()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_target_that_is_not_a_path_is_refused() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut http = connection(&server, &authority).await;
    let connect = Request::builder().method(Method::CONNECT).uri("localhost:22").body(()).unwrap();
    let (answer, _) = http.request(connect, false).await.unwrap();
    let answer = within_patience("an answer", answer).await;
    assert!(answer.as_ref().map_or(true, |answer| answer.status().is_client_error()), "{answer:?}");
    assert_eq!(http.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut http = connection(&server, &authority).await;
    for (fields, bytes) in [(40, 1000), (101, 1), (80, 1000)] {
        let mut large = request(Method::GET, "/healthz");
        for n in 0..fields {
            let name = hyper::header::HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
            large.headers_mut().insert(name, "x".repeat(bytes).parse().unwrap());
        }
        let (answer, _) = http.request(large, true).await.unwrap();
        let answer = within_patience("an answer", answer).await.unwrap();
        assert_eq!(answer.status(), 431, "{fields} fields of {bytes} bytes");
        // Far above the limit, h2 itself responds.
        let is_ours = answer.headers().get("content-type").is_some_and(|media| media == "application/problem+json");
        assert_eq!(is_ours, fields * bytes < 64 * 1024);
        assert_eq!(http.get("/healthz").await.0, 200);
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let (server, authority) = impatient().await;
    // Before the first request, and after a request.
    connection(&server, &authority).await.ended().await;
    let mut http = connection(&server, &authority).await;
    assert_eq!(http.get("/healthz").await.0, 200);
    http.ended().await;
}

#[tokio::test]
async fn frames_without_requests_do_not_keep_a_connection_open() {
    let (server, authority) = impatient().await;
    let stream = authority.connect(server.address, "h2").await.unwrap();
    let (_send, mut connection) = Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let connection = tokio::spawn(connection);
    let pinging = async { while pings.ping(h2::Ping::opaque()).await.is_ok() {} };
    within_patience("the end of the pings", pinging).await;
    drop(within_patience("the end of the connection", connection).await);
}

#[tokio::test]
async fn a_header_that_does_not_end_is_given_up() {
    let (server, authority) = impatient().await;
    let mut stream = authority.connect(server.address, "h2").await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS, and HEADERS of stream 1 without END_HEADERS: one field, `:method: GET`.
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]);
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    drop(within_patience("the end", stream.read_to_end(&mut answer)).await);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut http = connection(&server, &authority).await;
    let mut post = request(Method::POST, "/plugins");
    post.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let (response, mut body) = http.request(post, false).await.unwrap();
    body.send_data("{".into(), false).unwrap();
    assert_eq!(within_patience("the answer", response).await.unwrap().status(), 408);
    assert_eq!(http.get("/healthz").await.0, 200, "the others on the connection are not concerned");
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_given_up() {
    let (server, authority) = impatient().await;
    let mut plugin = minimal();
    plugin["description"] = "x".repeat(100_000).into();
    let mut http = connection(&server, &authority).await;
    assert_eq!(register(&mut http, &plugin).await.0, 201);
    // The client reads nothing; or it reads the first bytes and then nothing.
    for window in [0, 20_000] {
        let mut builder = Builder::new();
        builder.initial_window_size(window);
        let stream = authority.connect(server.address, "h2").await.unwrap();
        let mut http = Http2::begin(stream, &builder).await;
        let (answer, _) = http.request(request(Method::GET, "/plugins"), true).await.unwrap();
        let mut body = within_patience("the head", answer).await.unwrap().into_body();
        let taken = async {
            // The client opens no window, so the server may send no more.
            while let Some(Ok(_)) = body.data().await {}
        };
        within_patience("the end", taken).await;
        http.ended().await;
    }
}

#[tokio::test]
async fn rapid_resets_close_the_connection() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut good = connection(&server, &authority).await;
    let mut rapid_reset = connection(&server, &authority).await;
    let mut made = 0;
    let attack = async {
        // A long poll: the client resets it before the response begins.
        while let Ok((answer, mut stream)) =
            rapid_reset.request(request(Method::GET, "/plugins?since=0&wait=5m"), true).await
        {
            stream.send_reset(Reason::CANCEL);
            drop(answer);
            made += 1;
            if made % 20 == 0 {
                assert_eq!(good.get("/healthz").await.0, 200, "others are served");
            }
        }
    };
    within_patience("the end of the attack", attack).await;
    assert!(made < 100_000, "{made}");
    rapid_reset.ended().await;
    assert_eq!(good.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn occasional_resets_do_not_close_the_connection() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut http = connection(&server, &authority).await;
    for _ in 0..300 {
        let (answer, mut stream) = http.request(request(Method::GET, "/plugins?since=0&wait=5m"), true).await.unwrap();
        stream.send_reset(Reason::CANCEL);
        drop(answer);
        assert_eq!(http.get("/healthz").await.0, 200);
    }
}

#[tokio::test]
async fn concurrent_streams_are_limited() {
    let (server, authority) = serving(ServerSettings { max_streams: 3, ..ServerSettings::default() }).await;
    let mut http = connection(&server, &authority).await;
    assert_eq!(http.get("/healthz").await.0, 200, "its settings have come");
    assert_eq!(http.send.current_max_send_streams(), 3);
}

#[tokio::test]
async fn a_stop_lets_requests_end_and_takes_no_more() {
    let (server, authority) = serving(ServerSettings::default()).await;
    let mut http = connection(&server, &authority).await;
    let poll = request(Method::GET, "/plugins?category=c&since=0&wait=5m");
    let (answer, _) = http.request(poll, true).await.unwrap();
    server.follows("Category").await;
    let stopping = tokio::spawn(server.stop());
    assert!(within_patience("the answer", answer).await.unwrap().status().as_u16() < 400);
    http.ended().await;
    within_patience("the stop", stopping).await.unwrap();
}
