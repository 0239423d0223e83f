//! GET /whoami.

use serde_json::{Value, json};

use crate::harness::bearers::token;
use crate::harness::{Bearers, Client, Server};

async fn caller(client: &Client) -> Value {
    client.get("/whoami").answers(200).await.json()
}

#[tokio::test]
async fn without_tokens_every_caller_may_do_everything() {
    let server = Server::in_memory().await;
    let expected = json!({
        "name": "anonymous", "authenticated": false, "role": "admin", "scope": null, "expires_at": null,
        "may": ["read", "write", "observe", "administer"], "tokens_configured": false, "refused": null,
    });
    assert_eq!(caller(&server.client()).await, expected);
    assert_eq!(caller(&server.client().with_token("whatever")).await, expected);
}

#[tokio::test]
async fn a_token_is_told_its_name_role_scope_and_end() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    for (role, may) in [
        ("viewer", json!(["read"])),
        ("reporter", json!(["read", "write"])),
        ("agent", json!(["read", "observe"])),
        ("admin", json!(["read", "write", "observe", "administer"])),
    ] {
        let told = caller(bearers.role(role)).await;
        assert_eq!((&told["name"], &told["role"], &told["may"]), (&json!(role), &json!(role), &may));
        assert_eq!((&told["authenticated"], &told["tokens_configured"]), (&json!(true), &json!(true)));
        assert_eq!(told["scope"], Value::Null);
    }
    let scope = json!({"categories": ["asr"], "hosts": [], "labels": {}});
    let terms = json!({"name": "night", "role": "reporter", "scope": scope, "expires_at": "2199-01-01T00:00:00Z"});
    let told = caller(&bearers.bearer(terms).await).await;
    assert_eq!((&told["scope"], &told["expires_at"]), (&scope, &json!("2199-01-01T00:00:00Z")));
}

#[tokio::test]
async fn who_has_no_token_in_force_is_told_so_and_not_turned_away() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let told = caller(&bearers.anonymous).await;
    assert_eq!(
        told,
        json!({
            "name": "anonymous", "authenticated": false, "role": null, "scope": null, "expires_at": null, "may": [],
            "tokens_configured": true, "refused": null,
        })
    );
    let ended = token(&bearers.admin, json!({"name": "ended", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}));
    for text in ["nonsense".to_owned(), ended.await] {
        let reply = bearers.anonymous.with_token(&text).get("/whoami").answers(200).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let told = reply.json();
        assert!(told["refused"].as_str().is_some_and(|why| why.contains("token")), "{told}");
        assert_eq!((&told["authenticated"], &told["may"]), (&json!(false), &json!([])));
    }
    bearers.viewer.get("/whoami?name=x").refused(400).await;
}
