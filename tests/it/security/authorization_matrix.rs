//! Every route with every role, from the description of the API: an operation missing from these tables fails.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::bearers::plugin;
use crate::harness::{Bearers, Client, Server};
use plugin_registry::http::router::description;

const ROLES: [&str; 4] = ["viewer", "reporter", "agent", "admin"];
const EVERYBODY: &[&str] = &["stranger", "viewer", "reporter", "agent", "admin"];
const READERS: &[&str] = &["viewer", "reporter", "agent", "admin"];
const REPORTERS: &[&str] = &["reporter", "admin"];
const AGENTS: &[&str] = &["agent", "admin"];
const ANSWERERS: &[&str] = &["reporter", "agent", "admin"];
const ADMINS: &[&str] = &["admin"];

/// The roles that may use an operation. Written by hand, independent of the code under test.
fn wanted(method: &str, path: &str) -> Option<&'static [&'static str]> {
    Some(match (method, path) {
        ("get", "/healthz" | "/readyz" | "/openapi.json" | "/whoami") => EVERYBODY,
        (
            "get",
            "/plugins"
            | "/plugins/{id}"
            | "/plugins/{id}/config"
            | "/plugins/{id}/history"
            | "/events"
            | "/events/counts",
        ) => READERS,
        ("get", "/categories" | "/resources" | "/resources/spans" | "/hosts" | "/costs" | "/stats" | "/metrics") => {
            READERS
        }
        ("get", "/budgets" | "/budgets/{budget_id}" | "/leases" | "/leases/{lease_id}") => READERS,
        ("post", "/plugins" | "/plugins/{id}/config/validate" | "/plugins/{id}/spawned_pids" | "/leases") => REPORTERS,
        ("post", "/plugins/{id}/notes" | "/plugins/{id}/stop_request") => REPORTERS,
        ("put", "/plugins/{id}/stop_request/answer") => ANSWERERS,
        ("put" | "patch" | "delete", "/plugins/{id}" | "/plugins/{id}/remote_resource") => REPORTERS,
        ("put" | "delete", "/plugins/{id}/spawned_pids" | "/plugins/{id}/container_id") => REPORTERS,
        ("put" | "delete", "/plugins/{id}/config" | "/leases/{lease_id}") => REPORTERS,
        ("delete", "/plugins/{id}/spawned_pids/{pid}") => REPORTERS,
        ("post", "/resources/release") => REPORTERS,
        (
            "put" | "delete",
            "/resources/{plugin}/{kind}/{resource_id}/expires_at"
            | "/resources/{plugin}/{kind}/{resource_id}/acknowledgement",
        ) => REPORTERS,
        ("post", "/observations") => AGENTS,
        ("put", "/categories/{name}") => ADMINS,
        ("post", "/budgets") | ("patch" | "delete", "/budgets/{budget_id}") => ADMINS,
        ("get" | "post", "/webhooks" | "/tokens") | ("get", "/backup") | ("get" | "put", "/log-level") => ADMINS,
        ("get" | "patch" | "delete", "/webhooks/{webhook_id}") | ("post", "/webhooks/{webhook_id}/test") => ADMINS,
        ("get" | "delete", "/tokens/{token_id}") => ADMINS,
        _ => return None,
    })
}

/// Every operation: method, path, and its description.
fn operations() -> Vec<(String, String, Value)> {
    let api = description();
    let mut operations = Vec::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((method.clone(), path.clone(), operation.clone()));
        }
    }
    assert!(operations.len() > 40, "the description is gathered");
    operations
}

/// A path to resources that do not exist, so that permitted requests change nothing.
fn nowhere(path: &str) -> String {
    ["id", "budget_id", "webhook_id", "lease_id", "token_id", "name", "plugin", "resource_id"]
        .iter()
        .fold(path.replace("{pid}", "4711").replace("{kind}", "process"), |path, name| {
            path.replace(&format!("{{{name}}}"), "nowhere")
        })
}

async fn status(client: &Client, method: &str, path: &str) -> u16 {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let call = client.request(method.clone(), path);
    // An invalid document: a permitted role gets an error about it, and nothing changes.
    let call = if method == Method::GET || method == Method::DELETE { call } else { call.json(&json!([])) };
    call.send().await.status.as_u16()
}

#[tokio::test]
async fn every_route_admits_exactly_its_roles() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let mut wrong = Vec::new();
    for (method, path, operation) in operations() {
        let Some(may) = wanted(&method, &path) else {
            wrong.push(format!("{method} {path}: the table of permissions lacks it"));
            continue;
        };
        let told: Vec<_> = operation["x-roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let roles: Vec<_> = may.iter().copied().filter(|_| !may.contains(&"stranger")).collect();
        if told != roles {
            wrong.push(format!("{method} {path}: the description says {told:?}"));
        }
        let place = nowhere(&path);
        let anonymous = status(&bearers.anonymous, &method, &place).await;
        if (anonymous == 401) == may.contains(&"stranger") {
            wrong.push(format!("{method} {path}: without a token: {anonymous}"));
        }
        for role in ROLES {
            let answered = status(bearers.role(role), &method, &place).await;
            if answered == 401 || (answered == 403) == may.contains(&role) || answered >= 500 {
                wrong.push(format!("{method} {path}: {role}: {answered}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn without_tokens_every_route_admits_every_client() {
    let server = Server::in_memory().await;
    let client = server.client();
    for (method, path, _) in operations() {
        let answered = status(&client, &method, &nowhere(&path)).await;
        assert!(!matches!(answered, 401 | 403) && answered < 500, "{method} {path}: {answered}");
    }
}

/// A valid body for each operation that changes a plugin.
fn changes(id: &str) -> BTreeMap<(String, String), (String, Option<Value>)> {
    let remote = json!({"provider": "aws", "status": "running"});
    let rows: Vec<(&str, &str, Option<Value>)> = vec![
        ("put", "/plugins/{id}", None),
        ("patch", "/plugins/{id}", Some(json!({"title": "Changed"}))),
        ("put", "/plugins/{id}/spawned_pids", Some(json!({"spawned_pids": [1, 2]}))),
        ("post", "/plugins/{id}/spawned_pids", Some(json!({"spawned_pids": [3]}))),
        ("delete", "/plugins/{id}/spawned_pids/{pid}", Some(Value::Null)),
        ("delete", "/plugins/{id}/spawned_pids", Some(Value::Null)),
        ("put", "/plugins/{id}/container_id", Some(json!({"container_id": "c"}))),
        ("delete", "/plugins/{id}/container_id", Some(Value::Null)),
        ("put", "/plugins/{id}/remote_resource", Some(remote)),
        ("patch", "/plugins/{id}/remote_resource", Some(json!({"status": "stopped"}))),
        ("delete", "/plugins/{id}/remote_resource", Some(Value::Null)),
        ("put", "/plugins/{id}/config", Some(json!({"a": 1}))),
        ("delete", "/plugins/{id}/config", Some(Value::Null)),
        ("post", "/plugins/{id}/notes", Some(json!({"text": "t"}))),
        ("post", "/plugins/{id}/stop_request", Some(json!({"reason": "r"}))),
        ("put", "/plugins/{id}/stop_request/answer", Some(json!({"answer": "accepted"}))),
        ("post", "/plugins/{id}/config/validate", Some(json!({"a": 1}))),
        ("delete", "/plugins/{id}", Some(Value::Null)),
    ];
    let path_of = |path: &str| path.replace("{id}", id).replace("{pid}", "1");
    rows.into_iter().map(|(method, path, body)| ((method.into(), path.into()), (path_of(path), body))).collect()
}

/// Sends a change of the plugin, whose current state is `document`.
async fn change(client: &Client, method: &str, path: &str, body: Option<&Value>, document: &Value) -> u16 {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let call = match body {
        Some(Value::Null) => client.request(method, path),
        body => client.request(method, path).json(body.unwrap_or(document)),
    };
    call.send().await.status.as_u16()
}

/// The object level: a token reaches the plugins of its scope by every operation, and no others.
#[tokio::test]
async fn a_scope_holds_for_every_operation_on_a_plugin() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let inside = bearers.bearer(json!({"name": "in", "role": "reporter", "scope": {"categories": ["mine"]}})).await;
    let by_host = bearers.bearer(json!({"name": "host", "role": "reporter", "scope": {"hosts": ["h1"]}})).await;
    let by_label =
        bearers.bearer(json!({"name": "label", "role": "reporter", "scope": {"labels": {"team": "a"}}})).await;
    let outside = bearers.bearer(json!({"name": "out", "role": "reporter", "scope": {"categories": ["other"]}})).await;
    let by_lease = bearers.bearer(json!({"name": "lease", "role": "reporter", "scope": {"hosts": ["h9"]}})).await;
    let lease = by_lease.post("/leases", &json!({"holder": "app"})).answers(201).await.json()["lease_id"].clone();
    let remote = json!({"provider": "aws"});
    let more = json!({"host": "h1", "labels": {"team": "a"}, "lease_id": lease, "remote_resource": remote});
    let document = plugin("mine", "one", more);
    let changes = changes("mine_one");
    let told: Vec<_> = operations()
        .into_iter()
        .filter(|(method, path, _)| path.starts_with("/plugins/{id}") && method != "get")
        .map(|(method, path, _)| (method, path))
        .collect();
    for operation in &told {
        assert!(changes.contains_key(operation), "no body for {operation:?}");
    }
    for ((method, route), (path, body)) in &changes {
        bearers.admin.post("/plugins", &document).send().await;
        let revision = bearers.admin.get("/stats").answers(200).await.revision();
        // Validation saves nothing, and reads no plugin's data.
        let harmless = route.ends_with("/validate");
        let refused = if harmless { 200 } else { 403 };
        assert_eq!(change(&outside, method, path, body.as_ref(), &document).await, refused, "{method} {route}");
        assert_eq!(bearers.admin.get("/stats").answers(200).await.revision(), revision, "{method} {route}: no trace");
        for (name, client) in [("category", &inside), ("host", &by_host), ("label", &by_label), ("lease", &by_lease)] {
            bearers.admin.post("/plugins", &document).send().await;
            let body = body.as_ref();
            let answered = change(client, method, &format!("{path}{}", force(method, route)), body, &document).await;
            assert!(matches!(answered, 200 | 204), "{name}: {method} {route}: {answered}");
        }
    }
    // And new plugins.
    for (client, category, answered) in [(&inside, "mine", 201), (&inside, "other", 403), (&by_lease, "any", 403)] {
        let new = plugin(category, "new", json!({"lease_id": lease}));
        assert_eq!(client.post("/plugins", &new).send().await.status, answered, "{category}");
        let place = format!("/plugins/{category}_put");
        let new = plugin(category, "put", json!({"lease_id": lease}));
        assert_eq!(client.put(&place, &new).send().await.status, answered, "{category}");
    }
    let lines = format!("{}\n{}\n", plugin("mine", "line", json!({})), plugin("other", "line", json!({})));
    let results = inside.import(lines).await;
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(201), &json!(403)));
}

/// Held resources do not keep an admin, or the owner, from removing the plugin.
fn force(method: &str, route: &str) -> &'static str {
    if method == "delete" && route == "/plugins/{id}" { "?force=true" } else { "" }
}

/// The property level: read-only properties in a request are refused or ignored, for every role.
#[tokio::test]
async fn clients_cannot_set_read_only_properties() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let derived = json!({
        "unique_id": "other_x", "revision": 99, "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
        "billable": true, "has_active_resources": true, "is_local_execution": false, "observed": {"state": "alive"},
    });
    let made = bearers.reporter.post("/plugins", &plugin("mine", "one", derived.clone())).answers(201).await.json();
    for (field, sent) in derived.as_object().unwrap() {
        assert_ne!(made[field], *sent, "{field}");
    }
    for field in ["principal", "role", "scope", "token", "config", "finding", "findings", "owner", "meter"] {
        let more = json!({field: "x"});
        bearers
            .reporter
            .post("/plugins", &plugin("mine", "two", more.clone()))
            .refused(422)
            .await
            .about(&format!("/{field}"));
        bearers.reporter.patch("/plugins/mine_one", &more).refused(422).await.about(&format!("/{field}"));
    }
    let lease = json!({"holder": "app", "principal": "admin"});
    bearers.reporter.post("/leases", &lease).refused(422).await.about("/principal");
    let token = json!({"name": "n", "role": "viewer", "token": "plr_0_0"});
    bearers.admin.post("/tokens", &token).refused(422).await.about("/token");
    let budget = json!({"name": "b", "limit_usd": 1, "period": "day", "owner": "me"});
    bearers.admin.post("/budgets", &budget).refused(422).await.about("/owner");
    let webhook = json!({"url": "https://hooks.example/", "progress": {"position": 9}});
    bearers.admin.post("/webhooks", &webhook).refused(422).await.about("/progress");
}
