//! Which origins' pages may read responses.

use reqwest::Method;

use crate::harness::server::Setup;
use crate::harness::{Server, minimal};
use plugin_registry::http::middleware::cors::Cors;
use plugin_registry::http::middleware::load_shedding::LoadShedder;

const FRIEND: &str = "https://app.example";
const STRANGER: &str = "https://evil.example";

async fn allowing(origins: &[&str]) -> Server {
    let gate = LoadShedder { cors: Cors::allowing(origins.iter().copied()).unwrap(), ..LoadShedder::default() };
    Setup { gate, ..Setup::in_memory() }.start().await
}

#[tokio::test]
async fn no_origin_is_allowed_by_default() {
    let server = allowing(&[]).await;
    let client = server.client();
    // Without tokens, the registry also rejects requests of other origins.
    let reply = client.get("/plugins").header("origin", FRIEND).refused(403).await;
    assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{:?}", reply.headers);
    let asked = client.request(Method::OPTIONS, "/plugins").header("origin", FRIEND);
    let refused = asked.header("access-control-request-method", "POST").refused(403).await;
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn an_allowed_origin_gets_cors_headers_on_preflight_and_response() {
    let server = allowing(&[FRIEND]).await;
    let client = server.client();
    let asked = client.request(Method::OPTIONS, "/plugins/c_n").header("origin", FRIEND);
    let asked = asked.header("access-control-request-method", "PATCH");
    let told = asked.header("access-control-request-headers", "content-type,if-match").answers(204).await;
    assert_eq!(told.header("access-control-allow-origin"), Some(FRIEND));
    assert!(told.header("access-control-allow-methods").unwrap().contains("PATCH"));
    let fields = told.header("access-control-allow-headers").unwrap();
    for field in ["authorization", "content-type", "if-match", "if-none-match", "idempotency-key", "last-event-id"] {
        assert!(fields.split(", ").any(|allowed| allowed == field), "{field}: {fields}");
    }
    let reply = client.post("/plugins", &minimal()).header("origin", FRIEND).answers(201).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some(FRIEND));
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for field in ["etag", "location", "link", "registry-revision", "registry-store", "x-request-id", "retry-after"] {
        assert!(exposed.split(", ").any(|exposed| exposed == field), "{field}: {exposed}");
    }
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    // Errors, too, so that a page can show the reason.
    let refused = client.get("/nowhere").header("origin", FRIEND).refused(404).await;
    assert_eq!(refused.headers["access-control-allow-origin"], FRIEND);
}

#[tokio::test]
async fn other_origins_get_no_cors_headers_and_responses_vary_by_origin() {
    let server = allowing(&[FRIEND]).await;
    let client = server.client();
    for origin in [STRANGER, "null", "https://app.example.evil.example", "http://app.example"] {
        let refused = client.get("/plugins").header("origin", origin).refused(403).await;
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{origin}");
        let asked = client.request(Method::OPTIONS, "/plugins").header("origin", origin);
        let refused = asked.header("access-control-request-method", "POST").refused(403).await;
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    for call in [client.get("/plugins"), client.get("/plugins").header("origin", FRIEND)] {
        let reply = call.answers(200).await;
        let mut vary = reply.headers.get_all("vary").iter().flat_map(|value| value.to_str().unwrap().split(','));
        assert!(vary.any(|field| field.trim() == "origin"), "{:?}", reply.headers);
    }
}

#[tokio::test]
async fn a_star_allows_every_origin() {
    let server = allowing(&["*"]).await;
    let reply = server.client().get("/plugins").header("origin", STRANGER).answers(200).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some(STRANGER));
}
