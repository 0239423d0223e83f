//! The rate limit, and how the registry identifies a caller.

use std::num::NonZeroU32;

use crate::harness::server::Setup;
use crate::harness::{Server, minimal};
use plugin_registry::http::middleware::client_ip::{ProxyField, TrustedProxies};
use plugin_registry::http::middleware::load_shedding::LoadShedder;
use plugin_registry::http::middleware::rate_limit::{RateLimits, RequestRate};

/// So slow that no quota refills while a test runs.
fn rates(burst: u32) -> Option<RateLimits> {
    Some(RateLimits::new(RequestRate { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(burst).unwrap() }))
}

async fn with(gate: LoadShedder) -> Server {
    Setup { gate, ..Setup::in_memory() }.start().await
}

#[tokio::test]
async fn a_caller_over_the_rate_gets_429_with_retry_after() {
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
    // Health checks are not counted, and their responses have no RateLimit fields.
    for _ in 0..5 {
        assert_eq!(client.get("/healthz").answers(200).await.header("ratelimit"), None);
        client.get("/readyz").answers(200).await;
    }
}

#[tokio::test]
async fn without_a_rate_limit_no_caller_is_counted() {
    let server = with(LoadShedder::default()).await;
    let client = server.client();
    for _ in 0..500 {
        let reply = client.get("/stats").answers(200).await;
        assert!(reply.header("ratelimit").is_none() && reply.header("ratelimit-policy").is_none());
    }
}

#[tokio::test]
async fn each_client_behind_a_trusted_proxy_has_its_own_rate() {
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let proxies = TrustedProxies::new(networks, ProxyField::XForwardedFor);
    let server = with(LoadShedder { rates: rates(1), proxies, ..LoadShedder::default() }).await;
    let client = server.client();
    let from = |address: &str| client.get("/stats").header("x-forwarded-for", address);
    from("203.0.113.7").answers(200).await;
    from("203.0.113.7").refused(429).await;
    from("203.0.113.8").answers(200).await;
    // The client's own claim precedes the address that the proxy appends.
    from("203.0.113.9, 203.0.113.8").refused(429).await;
    client.get("/stats").header("forwarded", "for=203.0.113.10").answers(200).await;
    client.get("/stats").header("forwarded", "for=203.0.113.11").refused(429).await;
}

#[tokio::test]
async fn forwarded_headers_of_other_clients_are_ignored() {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], ProxyField::XForwardedFor);
    let server = with(LoadShedder { rates: rates(1), proxies, ..LoadShedder::default() }).await;
    let client = server.client();
    client.get("/stats").header("x-forwarded-for", "203.0.113.7").answers(200).await;
    client.get("/stats").header("x-forwarded-for", "203.0.113.8").refused(429).await;
}
