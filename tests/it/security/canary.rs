//! Secrets are in no log, event, error, list, metric or foreign file: the test searches for canaries.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::bearers::plugin;
use crate::harness::process::{binary, run};
use crate::harness::{Client, Daemon};

/// A secret in a configuration, where the schema marks it.
const CONFIG: &str = "canary-config-7f3a";
/// A secret in a configuration, where the schema does not mark it.
const PLAIN: &str = "canary-plain-91bc";
/// The signing key of webhooks, in base64.
const WEBHOOK: &str = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5";

/// All responses to all clients, except those that must contain a secret.
#[derive(Default)]
struct Heard(String);

impl Heard {
    async fn ask(&mut self, client: &Client, method: &str, path: &str, body: Option<&Value>) -> u16 {
        let call = client.request(reqwest::Method::from_bytes(method.as_bytes()).unwrap(), path);
        let reply = body.iter().fold(call, |call, body| call.json(body)).send().await;
        self.0 += reply.text();
        for (name, value) in &reply.headers {
            self.0 += &format!("{name}: {value:?}\n");
        }
        reply.status.as_u16()
    }
}

#[tokio::test]
async fn no_secret_leaks() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let store = format!("sqlite:{}", path.display());
    let made = run(&["token", "create", "--new", "--store", &store, "--name", "admin", "--role", "admin"]).await;
    let admin_token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let mut command = binary();
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--store",
        &store,
        "--log-level",
        "trace",
        "--log-format",
        "json",
    ]);
    let daemon = Daemon::spawn(command).await;
    let anonymous = daemon.client();
    let admin = anonymous.with_token(&admin_token);
    let viewer = admin.post("/tokens", &json!({"name": "viewer", "role": "viewer"})).answers(201).await.json();
    let viewer_token = viewer["token"].as_str().unwrap().to_owned();
    let viewer = anonymous.with_token(&viewer_token);
    let mut heard = Heard::default();

    let schema = json!({
        "type": "object", "required": ["key"],
        "properties": {"key": {"type": "string", "writeOnly": true}, "mode": {"enum": ["a", "b"]}},
        "additionalProperties": {"type": "integer"},
    });
    admin.register(&plugin("c", "n", json!({"config_schema": schema}))).await;
    let config = "/plugins/c_n/config";
    assert_eq!(heard.ask(&admin, "PUT", config, Some(&json!({"key": CONFIG}))).await, 200);
    // A refusal repeats neither the rejected value nor the expected one.
    for wrong in [
        json!({"key": CONFIG, "mode": PLAIN}),
        json!({"key": [PLAIN]}),
        json!({"key": CONFIG, "x": PLAIN}),
        json!(PLAIN),
    ] {
        assert_eq!(heard.ask(&admin, "PUT", config, Some(&wrong)).await, 422);
        assert_eq!(heard.ask(&admin, "POST", &format!("{config}/validate"), Some(&wrong)).await, 200);
    }
    assert_eq!(heard.ask(&viewer, "GET", config, None).await, 200);
    let webhook = json!({"url": "https://hooks.example/", "secret": WEBHOOK, "enabled": false});
    let id = admin.post("/webhooks", &webhook).answers(201).await.json()["id"].as_str().unwrap().to_owned();
    heard.ask(&admin, "GET", &format!("/webhooks/{id}"), None).await;
    heard.ask(&admin, "POST", "/webhooks", Some(&json!({"url": "nonsense", "secret": WEBHOOK}))).await;
    // A token in the wrong place, and a revoked token.
    let revoked = admin.post("/tokens", &json!({"name": "gone", "role": "admin"})).answers(201).await.json();
    let revoked_token = revoked["token"].as_str().unwrap().to_owned();
    admin.delete(&format!("/tokens/{}", revoked["id"].as_str().unwrap())).answers(204).await;
    assert_eq!(heard.ask(&anonymous.with_token(&revoked_token), "GET", "/plugins", None).await, 401);
    for wrong in [json!({"name": "n", "role": revoked_token}), json!({"name": "viewer", "role": "viewer"})] {
        heard.ask(&admin, "POST", "/tokens", Some(&wrong)).await;
    }
    let paths = [
        "/plugins",
        "/plugins/c_n",
        "/plugins/c_n/history",
        "/events",
        "/resources",
        "/stats",
        "/leases",
        "/categories",
        "/costs",
        "/budgets",
        "/metrics",
        "/readyz",
        "/openapi.json",
        "/nowhere",
        "/plugins?sort=nonsense",
        "/plugins/none/config",
    ];
    for path in paths {
        heard.ask(&viewer, "GET", path, None).await;
    }
    for path in ["/tokens", "/webhooks"] {
        assert_eq!(heard.ask(&admin, "GET", path, None).await, 200);
    }
    let exported = folder.path().join("registry.ndjson");
    let export = run(&["export", "--store", &store, "--output", exported.to_str().unwrap()]).await;
    assert!(export.status.success());
    let log = daemon.log();
    daemon.stop().await;
    let listed = run(&["token", "list", "--store", &store]).await;

    let secrets = [CONFIG, PLAIN, &WEBHOOK[6..], &admin_token[21..], &viewer_token[21..], &revoked_token[21..]];
    let exported = std::fs::read_to_string(exported).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let places = [("the log", &log), ("an answer", &heard.0), ("an archive", &exported), ("a list", &listed)];
    for (place, text) in places {
        assert!(text.len() > 100, "{place}: {text}");
        for secret in secrets {
            assert!(!text.contains(secret), "{place} tells {secret}");
        }
    }
    // Even the store does not contain the token.
    let mut kept = std::fs::read(&path).unwrap();
    kept.extend(std::fs::read(folder.path().join("registry.db-wal")).unwrap_or_default());
    for secret in [&admin_token[21..], &viewer_token[21..]] {
        assert!(!kept.windows(secret.len()).any(|part| part == secret.as_bytes()), "the store tells a token");
    }
}
