//! How many requests a caller may make, and who a caller is.

use std::num::NonZeroU32;

use crate::harness::server::Setup;
use crate::harness::{Server, minimal};
use plugin_registry::http::middleware::client_ip::{ProxyField, TrustedProxies};
use plugin_registry::http::middleware::load_shedding::LoadShedder;
use plugin_registry::http::middleware::rate_limit::{RateLimits, RequestRate};

/// So slow that nothing comes back while a test runs.
fn rates(burst: u32) -> Option<RateLimits> {
    Some(RateLimits::new(RequestRate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(burst).unwrap() }))
}

async fn with(gate: LoadShedder) -> Server {
    Setup { gate, ..Setup::in_memory() }.start().await
}

#[tokio::test]
async fn one_who_asks_too_much_is_told_when_to_come_back() {
    let server = with(LoadShedder { rates: rates(1000), ..LoadShedder::default() }).await;
    let reply = server.client().get("/plugins").answers(200).await;
    assert_eq!(reply.header("ratelimit-policy"), Some("\"default\";q=1000;w=1000"));
    assert_eq!(reply.header("ratelimit"), Some("\"default\";r=999;t=1"));

    let server = with(LoadShedder { rates: rates(1), ..LoadShedder::default() }).await;
    let client = server.client();
    client.register(&minimal()).await;
    let refused = client.post("/plugins", &minimal()).refused(429).await;
    assert_eq!(refused.kind(), "too-many-requests");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(wait, 1);
    assert!(refused.headers["ratelimit"].to_str().unwrap().starts_with("\"default\";r=0;t="));
    assert_eq!(server.registry.snapshot().state.revision().0, 1, "nothing was done");
    // Who asks whether it is well is not counted, and gets no fields.
    for _ in 0..5 {
        assert_eq!(client.get("/healthz").answers(200).await.header("ratelimit"), None);
        client.get("/readyz").answers(200).await;
    }
}

#[tokio::test]
async fn without_a_rate_nobody_is_counted() {
    let server = with(LoadShedder::default()).await;
    let client = server.client();
    for _ in 0..500 {
        let reply = client.get("/stats").answers(200).await;
        assert!(reply.header("ratelimit").is_none() && reply.header("ratelimit-policy").is_none());
    }
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own() {
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = TrustedProxies::new(networks, ProxyField::XForwardedFor);
    let server = with(LoadShedder { rates: rates(1), proxies, ..LoadShedder::default() }).await;
    let client = server.client();
    let from = |address: &str| client.get("/stats").header("x-forwarded-for", address);
    from("203.0.113.7").answers(200).await;
    from("203.0.113.7").refused(429).await;
    from("203.0.113.8").answers(200).await;
    // What the client has said of itself stands before what the proxy has added.
    from("203.0.113.9, 203.0.113.8").refused(429).await;
    client.get("/stats").header("forwarded", "for=203.0.113.10").answers(200).await;
    client.get("/stats").header("forwarded", "for=203.0.113.11").refused(429).await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], ProxyField::XForwardedFor);
    let server = with(LoadShedder { rates: rates(1), proxies, ..LoadShedder::default() }).await;
    let client = server.client();
    client.get("/stats").header("x-forwarded-for", "203.0.113.7").answers(200).await;
    client.get("/stats").header("x-forwarded-for", "203.0.113.8").refused(429).await;
}
