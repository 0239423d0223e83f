//! Requests of pages from other origins, while no tokens are configured.

use std::sync::Arc;

use serde_json::json;

use crate::harness::server::Setup;
use crate::harness::{Bearers, Server, minimal};
use plugin_registry::http::middleware::cors::Cors;
use plugin_registry::http::middleware::host_check::AllowedHosts;
use plugin_registry::http::middleware::load_shedding::LoadShedder;

fn allowing(hosts: &[&str], origins: &[&str]) -> Setup {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let gate = LoadShedder { cors: Cors::allowing(origins.iter().copied()).unwrap(), ..LoadShedder::default() };
    Setup { names: Arc::new(AllowedHosts::new(texts(hosts))), gate, ..Setup::in_memory() }
}

async fn status(server: &Server, fields: &str) -> u16 {
    let request = format!("GET /plugins HTTP/1.1\r\n{fields}\r\n");
    server.raw().await.ask(request).await.status
}

#[tokio::test]
async fn a_request_for_another_host_name_is_rejected() {
    let server = allowing(&["registry.example"], &[]).start().await;
    let port = server.address.port();
    for good in ["127.0.0.1", &format!("127.0.0.1:{port}"), "[::1]:80", "localhost", "registry.example:8080"] {
        assert_eq!(status(&server, &format!("Host: {good}\r\n")).await, 200, "{good}");
    }
    for rebound in ["evil.example", &format!("evil.example:{port}"), "registry", "127.0.0.1.evil.example"] {
        assert_eq!(status(&server, &format!("Host: {rebound}\r\n")).await, 421, "{rebound}");
    }
    let refused = server.raw().await.ask("POST /plugins HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert_eq!(refused.status, 421);
    // The health check reveals nothing, and a load balancer may use any name.
    let lives = server.raw().await.ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert_eq!(lives.status, 200);
    let ready = server.raw().await.ask("GET /readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert_eq!(ready.status, 421);
}

#[tokio::test]
async fn a_page_of_another_origin_reads_and_writes_nothing() {
    let server = allowing(&[], &["https://dash.example"]).start().await;
    let client = server.client();
    let own = format!("http://{}", server.address);
    for foreign in ["http://evil.example", "null", "http://127.0.0.1:1", "https://dash.example.evil"] {
        client.post("/plugins", &minimal()).header("origin", foreign).refused(403).await;
        client.get("/plugins").header("origin", foreign).refused(403).await;
        client.delete("/plugins/x").header("origin", foreign).refused(403).await;
    }
    assert_eq!(client.get("/stats").answers(200).await.json()["total"], 0);
    for good in [own.as_str(), "https://dash.example"] {
        client.post("/plugins", &minimal()).header("origin", good).send().await;
    }
    assert_eq!(client.get("/stats").answers(200).await.json()["total"], 1);
}

#[tokio::test]
async fn with_tokens_host_names_and_origins_are_not_checked() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    bearers.viewer.get("/plugins").header("origin", "https://other.example").answers(200).await;
    assert_eq!(status(&server, "Host: registry.example\r\n").await, 401);
    bearers.anonymous.post("/plugins", &json!({})).header("origin", "https://evil.example").refused(401).await;
}
