//! Secrets in configurations: visible only to clients that may change them.

use serde_json::{Value, json};

use crate::harness::bearers::plugin;
use crate::harness::{Bearers, Server};
use domain::plugin::secrets::MASK;

const PATH: &str = "/plugins/c_n/config";

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "endpoint": {"type": "string"},
            "api_key": {"type": "string", "writeOnly": true},
            "users": {"type": "array", "items": {"$ref": "#/$defs/user"}},
        },
        "$defs": {"user": {"properties": {"name": {}, "password": {"type": "string", "format": "password"}}}},
    })
}

fn config() -> Value {
    json!({
        "endpoint": "https://x.example", "api_key": "s3cret-1",
        "users": [{"name": "a", "password": "s3cret-2"}, {"name": "b", "password": "s3cret-3"}],
    })
}

#[tokio::test]
async fn only_clients_that_may_change_a_plugin_see_its_secrets() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let scoped = |category: &str| json!({"name": category, "role": "reporter", "scope": {"categories": [category]}});
    let (own, other) = (bearers.bearer(scoped("c")).await, bearers.bearer(scoped("d")).await);
    own.register(&plugin("c", "n", json!({"config_schema": schema()}))).await;
    own.put(PATH, &config()).answers(200).await;
    for client in [&bearers.admin, &own, &bearers.reporter] {
        let reply = client.get(PATH).answers(200).await;
        assert_eq!(reply.json(), config());
        assert_eq!((reply.header("cache-control"), reply.header("vary")), (Some("no-store"), Some("authorization")));
    }
    let masked = json!({
        "endpoint": "https://x.example", "api_key": MASK,
        "users": [{"name": "a", "password": MASK}, {"name": "b", "password": MASK}],
    });
    for client in [&bearers.viewer, &bearers.agent, &other] {
        assert_eq!(client.get(PATH).answers(200).await.json(), masked);
    }
    // By a lease, too.
    let lease = other.post("/leases", &json!({"holder": "app"})).answers(201).await.json()["lease_id"].clone();
    bearers.admin.patch("/plugins/c_n", &json!({"lease_id": lease})).answers(200).await;
    assert_eq!(other.get(PATH).answers(200).await.json(), config());
}

#[tokio::test]
async fn without_tokens_nothing_is_masked() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&plugin("c", "n", json!({"config_schema": schema()}))).await;
    client.put(PATH, &config()).answers(200).await;
    assert_eq!(client.get(PATH).answers(200).await.json(), config());
}

/// A client that reads a masked configuration and sends it back would otherwise overwrite the secrets.
#[tokio::test]
async fn a_mask_never_replaces_a_saved_secret() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    bearers.reporter.register(&plugin("c", "n", json!({"config_schema": schema()}))).await;
    bearers.reporter.put(PATH, &config()).answers(200).await;
    let masked = bearers.viewer.get(PATH).answers(200).await.json();
    let problem = bearers.reporter.put(PATH, &masked).refused(422).await;
    problem.about("/api_key");
    problem.about("/users/1/password");
    assert_eq!(bearers.admin.get(PATH).answers(200).await.json(), config(), "the secrets are kept");
    // At a place without a secret, the mask is ordinary text.
    let plain = json!({"endpoint": MASK, "api_key": "s3cret-4"});
    bearers.reporter.put(PATH, &plain).answers(200).await;
    assert_eq!(bearers.admin.get(PATH).answers(200).await.json(), plain);
}

#[tokio::test]
async fn a_configuration_that_is_secret_as_a_whole_is_masked_as_a_whole() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    bearers.reporter.register(&plugin("c", "n", json!({"config_schema": {"writeOnly": true}}))).await;
    bearers.reporter.put(PATH, &json!({"a": "s3cret"})).answers(200).await;
    assert_eq!(bearers.viewer.get(PATH).answers(200).await.json(), json!(MASK));
}
