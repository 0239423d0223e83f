//! The headers that restrict what browsers do with responses.

use reqwest::Method;

use crate::harness::{Server, minimal};

#[tokio::test]
async fn browsers_must_not_guess_media_types() {
    let server = Server::in_memory().await;
    let client = server.client();
    for call in [
        client.get("/plugins"),
        client.get("/healthz"),
        client.get("/metrics"),
        client.get("/openapi.json"),
        client.get("/docs/"),
        client.get("/nowhere"),
        client.request(Method::TRACE, "/plugins"),
        client.post("/plugins", &minimal()),
        client.get("/plugins").header("accept", "application/x-ndjson"),
    ] {
        let reply = call.send().await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{:?}", reply.headers);
        assert_eq!(reply.header("strict-transport-security"), None, "there is no TLS");
    }
    let mut raw = server.raw().await;
    let reply = raw.ask("GET / HTTP/1.1\r\nHost: localhost\r\nbroken\r\n\r\n").await;
    assert_eq!((reply.status, reply.headers["x-content-type-options"].to_str().unwrap()), (400, "nosniff"));
}

#[tokio::test]
async fn pages_load_only_files_of_this_service_and_cannot_be_framed() {
    let server = Server::in_memory().await;
    let client = server.client();
    let page = client.get("/docs/").answers(200).await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    for rule in
        ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]
    {
        assert!(policy.split(';').any(|part| part.trim() == rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cross-origin-opener-policy"), Some("same-origin"));
    // The page works under its policy: all files that it loads come from this service.
    let html = page.text().to_ascii_lowercase();
    for script in html.split("<script").skip(1) {
        let (attributes, rest) = script.split_once('>').unwrap();
        assert!(attributes.contains("src=") && !attributes.contains("//"), "{attributes}");
        assert!(rest.trim_start().starts_with("</script"), "an inline script: {rest}");
    }
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" onload="), "{html}");
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    assert_eq!(client.get("/plugins").answers(200).await.header("content-security-policy"), None, "it is no page");
}

#[tokio::test]
async fn responses_that_may_hold_secrets_are_not_cached() {
    let server = Server::in_memory().await;
    let client = server.client();
    let id = client.register(&minimal()).await.json()["unique_id"].as_str().unwrap().to_owned();
    let config = format!("/plugins/{id}/config");
    client.put(&config, &serde_json::json!({})).answers(200).await;
    for path in [config.as_str(), "/webhooks"] {
        assert_eq!(client.get(path).answers(200).await.header("cache-control"), Some("no-store"), "{path}");
    }
    assert_eq!(client.get("/plugins").answers(200).await.header("cache-control"), None);
}
