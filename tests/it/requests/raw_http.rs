//! Bytes that no HTTP client would send.

use rstest::rstest;

use crate::harness::{Server, minimal};

/// A whole POST of a plugin.
fn post(extra: &str, body: &str) -> String {
    format!("POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{extra}\r\n{body}")
}

#[rstest]
#[case::length_first("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")]
#[case::coding_first("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")]
#[case::odd_case("content-LENGTH: 5\r\nX: y\r\nTRANSFER-encoding: chunked\r\n")]
#[tokio::test]
async fn content_length_with_transfer_encoding_is_refused_once_and_closed(#[case] fields: &str) {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let body = minimal().to_string();
    let reply = raw.ask(post(fields, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))).await;
    assert_eq!(reply.status, 400);
    let problem = reply.problem();
    assert!(
        problem.detail().contains("Content-Length") && problem.detail().contains("Transfer-Encoding"),
        "{}",
        problem.detail()
    );
    assert_eq!(raw.rest().await, "", "nothing follows the answer");
    assert_eq!(server.client().get("/plugins").answers(200).await.revision(), 0);
}

#[tokio::test]
async fn a_request_smuggled_behind_both_lengths_is_never_served() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let smuggled = "DELETE /plugins/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    raw.send(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{smuggled}"))).await;
    let answers = raw.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

#[rstest]
#[case::two_lengths("Content-Length: 5\r\nContent-Length: 6\r\n", 400)]
#[case::negative_length("Content-Length: -1\r\n", 400)]
#[case::plus_length("Content-Length: +5\r\n", 400)]
#[case::text_length("Content-Length: five\r\n", 400)]
#[case::huge_length("Content-Length: 99999999999999999999\r\n", 400)]
#[case::gzip_coding("Transfer-Encoding: gzip\r\n", 400)]
#[case::chunked_not_last("Transfer-Encoding: chunked, identity\r\n", 400)]
#[case::space_before_colon("X-A : b\r\n", 400)]
#[case::folded("X-A: b\r\n c\r\n", 400)]
#[case::no_colon("nonsense\r\n", 400)]
#[case::nul("X-A: a\0b\r\n", 400)]
#[case::bare_cr("X-A: a\rb\r\n", 400)]
#[tokio::test]
async fn a_header_that_two_servers_could_read_differently_is_refused(#[case] fields: &str, #[case] status: u16) {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let reply = raw.ask(post(fields, "hello")).await;
    assert_eq!(reply.status, status, "{reply:?}");
    reply.problem();
    assert_eq!(raw.rest().await, "", "the connection is closed");
    assert_eq!(server.client().get("/plugins").answers(200).await.revision(), 0);
}

#[rstest]
#[case::no_http("hello\r\n\r\n")]
#[case::tls("\x16\x03\x01\x02\x00\x01\x00\x01\n\n")]
#[case::http_9("GET / HTTP/9.9\r\n\r\n")]
#[case::no_version("GET /\r\n\r\n")]
#[case::space_in_target("GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n")]
#[case::control_in_target("GET /a\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n")]
#[tokio::test]
async fn bytes_that_are_not_http_are_refused_and_closed(#[case] bytes: &str) {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let reply = raw.ask(bytes).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    reply.problem();
    assert_eq!(raw.rest().await, "");
}

#[rstest]
#[case::none("")]
#[case::two("Host: a\r\nHost: b\r\n")]
#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused(#[case] hosts: &str) {
    // RFC 9112 section 3.2: a server MUST respond with 400.
    let server = Server::start().await;
    let reply = server.raw().await.ask(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    reply.problem();
}

#[tokio::test]
async fn bad_utf8_in_the_path_is_refused() {
    let server = Server::start().await;
    for target in
        [&b"/plugins/\xff\xfe"[..], b"/plugins/%ff%fe", b"/plugins/%C3%28", b"/plugins/%E9%9F", b"/plugins/\xe9\x9f"]
    {
        let request = [b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        let reply = server.raw().await.ask(request).await;
        assert_eq!(reply.status, 400, "{target:?}: {reply:?}");
        reply.problem();
    }
    // Raw UTF-8 in a target is not a valid URI, but its meaning is clear: either response is right.
    let reply = server.raw().await.ask("GET /plugins/音 HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes()).await;
    assert!([400, 404].contains(&reply.status), "{reply:?}");
    reply.problem();
}

#[tokio::test]
async fn bad_percent_encoding_is_refused_in_every_place() {
    let server = Server::start().await;
    for target in
        ["/%", "/plugins/%2", "/plugins/%zz", "/plugins/a%2/config", "/plugins?q=%", "/plugins?%zz=1", "/nowhere/%"]
    {
        let reply = server.raw().await.ask(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(reply.status, 400, "{target}");
        reply.problem();
    }
}

#[rstest]
#[case::one_large_field(format!("X-Large: {}\r\n", "x".repeat(40_000)))]
#[case::many_fields("X-Many: y\r\n".repeat(101))]
#[case::much_in_all(format!("X-Part: {}\r\n", "x".repeat(1000)).repeat(60))]
#[tokio::test]
async fn a_header_that_is_too_large_is_a_431(#[case] fields: String) {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let reply = raw.ask(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
    assert_eq!(reply.status, 431, "{reply:?}");
    assert_eq!(reply.problem().kind(), "headers-too-large");
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn a_target_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let reply = server
        .raw()
        .await
        .ask(format!("GET /plugins?q={} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000)))
        .await;
    assert!([414, 431].contains(&reply.status), "{reply:?}");
    reply.problem();
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let body = minimal().to_string();
    let requests = [
        post(&format!("Content-Length: {}\r\n", body.len()), &body),
        "GET /plugins/transcription_whisper HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        post("Transfer-Encoding: chunked\r\n", &format!("{:X};ext=1\r\n{body}\r\n0\r\nTrailer: x\r\n\r\n", body.len())),
        "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "HEAD /stats HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
    ];
    raw.send(requests.concat()).await;
    for status in [201, 200, 200, 404] {
        assert_eq!(raw.reply().await.status, status);
    }
}

#[tokio::test]
async fn a_request_in_single_bytes_is_a_request() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let body = minimal().to_string();
    for byte in post(&format!("Content-Length: {}\r\n", body.len()), &body).as_bytes() {
        raw.send([*byte]).await;
    }
    assert_eq!(raw.reply().await.status, 201);
}

#[tokio::test]
async fn http_1_0_is_served_and_closed() {
    let server = Server::start().await;
    server.client().register(&minimal()).await;
    for target in ["/healthz", "/plugins", "/plugins?fields=name"] {
        let mut raw = server.raw().await;
        let reply = raw.ask(format!("GET {target} HTTP/1.0\r\n\r\n")).await;
        assert_eq!((reply.version.as_str(), reply.status), ("HTTP/1.0", 200));
        assert!(!reply.headers.contains_key("transfer-encoding"), "HTTP/1.0 knows no chunks");
        reply.json();
        assert_eq!(raw.rest().await, "");
    }
    let reply = server.raw().await.ask("GET /nowhere HTTP/1.0\r\n\r\n").await;
    assert_eq!(reply.status, 404);
    reply.problem();
}

#[tokio::test]
async fn a_target_in_absolute_form_is_served() {
    let server = Server::start().await;
    let reply = server.raw().await.ask("GET http://elsewhere/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(reply.status, 200);
}

#[rstest]
#[case::asterisk("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")]
#[case::connect("CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n")]
#[case::trace("TRACE /plugins HTTP/1.1\r\nHost: localhost\r\n\r\n")]
#[tokio::test]
async fn odd_methods_are_problems(#[case] request: &str) {
    let server = Server::start().await;
    let reply = server.raw().await.ask(request).await;
    assert!((400..500).contains(&reply.status), "{reply:?}");
    reply.problem();
}

#[tokio::test]
async fn expect_100_continue_is_answered_with_100() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let body = minimal().to_string();
    let head = post(&format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len()), "");
    assert_eq!(raw.ask(head).await.status, 100);
    assert_eq!(raw.ask(body).await.status, 201);
}

#[tokio::test]
async fn expect_100_continue_is_answered_with_413_for_a_large_body() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let reply = raw.ask(post("Expect: 100-continue\r\nContent-Length: 1048577\r\n", "")).await;
    assert_eq!(reply.status, 413);
    reply.problem();
    assert_eq!(raw.rest().await, "", "the body is not waited for");
}

#[rstest]
#[case::no_number("xyz\r\n{}\r\n0\r\n\r\n")]
#[case::too_large("FFFFFFFFFFFFFFFFF\r\n")]
#[case::no_end_of_chunk("2\r\n{}{}0\r\n\r\n")]
#[tokio::test]
async fn broken_chunks_are_refused(#[case] chunks: &str) {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let reply = raw.ask(post("Transfer-Encoding: chunked\r\n", chunks)).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    reply.problem();
    assert_eq!(raw.rest().await, "");
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let server = Server::start().await;
    let body = minimal().to_string();
    for fields in [format!("Content-Length: {}\r\n", body.len() + 1), "Transfer-Encoding: chunked\r\n".to_owned()] {
        let mut raw = server.raw().await;
        let sent = if fields.starts_with('C') { body.clone() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
        raw.send(post(&fields, &sent)).await;
        raw.finish_sending().await;
        let answer = raw.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(server.client().get("/plugins").answers(200).await.revision(), 0);
}

#[tokio::test]
async fn the_answer_to_a_large_unwanted_body_arrives() {
    let server = Server::start().await;
    let body = "x".repeat(4 * 1024 * 1024);
    for (head, status) in [
        ("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", 404),
        ("POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", 405),
        ("POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n", 415),
        ("POST /plugins HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nContent-Type: application/json\r\n", 406),
        ("POST /plugins HTTP/1.1\r\nHost: localhost\r\nIf-Match: x\r\nContent-Type: application/json\r\n", 400),
        ("POST /plugins HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", 413),
    ] {
        let mut raw = server.raw().await;
        let reply = raw.ask(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        assert_eq!(reply.status, status);
        reply.problem();
    }
}
