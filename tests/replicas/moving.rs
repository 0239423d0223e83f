//! A registry moves from SQLite to PostgreSQL, where replicas write on, and back.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::replica::Replica;

/// Runs a command on a store, which must succeed; returns what it printed.
async fn done(arguments: &[&str], store: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-registry"));
    let ran = command.args(arguments).env_clear().env("PLUGIN_REGISTRY_STORE", store).kill_on_drop(true).output();
    let output = crate::within_patience("a command", ran).await.expect("it can be started");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The digests of a store, and whether it is what its journal leads to.
async fn digests(store: &str) -> Vec<String> {
    let report = done(&["store", "verify"], store).await;
    let digests: Vec<_> = report.lines().skip(1).map(str::to_owned).collect();
    assert!(digests.len() == 2 && digests.iter().all(|line| line.contains(" sha256:")), "{report}");
    digests
}

fn sqlite(folder: &TempDir, name: &str) -> String {
    format!("sqlite:{}", folder.path().join(name).display())
}

/// Writes of every kind, and what everybody can read afterwards.
async fn furnish(replica: &Replica, name: &str) {
    let client = replica.client();
    assert_eq!(client.register(name).await.status, 201);
    assert_eq!(client.register(&format!("{name} 音声/🎙")).await.status, 201);
    let config = json!({"n": 1.5});
    for (method, path, body) in [
        (Method::PUT, format!("/plugins/c_{name}/config"), Some(&config)),
        (
            Method::PUT,
            format!("/plugins/c_{name}/spawned_pids"),
            Some(&json!({"spawned_pids": [4_294_967_295_u32, 1]})),
        ),
        (Method::PUT, "/categories/c".to_owned(), Some(&json!({"display_name": name}))),
        (Method::POST, "/plugins".to_owned(), Some(&crate::replica::plugin("gone"))),
    ] {
        let answer = client.ask(method, &path, body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    assert_eq!(client.ask(Method::DELETE, "/plugins/c_gone", None).await.status, 204);
    let terms = json!({"holder": name, "host": "h", "ttl_seconds": 3600});
    let granted = client.ask(Method::POST, "/leases", Some(&terms)).await;
    let held = json!({"host": "h", "lease_id": granted.body["lease_id"]});
    assert_eq!(client.ask(Method::PATCH, &format!("/plugins/c_{name}"), Some(&held)).await.status, 200);
    let seen = json!({"kind": "process", "plugin": format!("c_{name}"), "id": "1", "state": "alive",
        "identity": {"machine_id": "m", "boot_id": "b", "pid_namespace": 1, "pid": 1, "start_ticks": 100}});
    let report = json!({"by": "agent@h", "host": "h", "observations": [seen]});
    assert_eq!(client.ask(Method::POST, "/observations", Some(&report)).await.body["accepted"], 1);
    let budget = json!({"name": name, "limit_usd": 5, "period": "month", "filters": {"label.team": "none"}});
    assert_eq!(client.ask(Method::POST, "/budgets", Some(&budget)).await.status, 201);
}

/// What is told of the leases, but for the times that a process has heard of them.
async fn leases(replica: &Replica) -> Value {
    let mut leases = replica.client().get("/leases").await.body["items"].take();
    for lease in leases.as_array_mut().expect("a list") {
        let lease = lease.as_object_mut().expect("an object");
        lease.retain(|field, _| !["renewed_at", "expires_at"].contains(&field.as_str()));
        assert_eq!(lease["plugins"].as_array().map(Vec::len), Some(1));
    }
    leases
}

async fn told(replica: &Replica) -> Vec<Value> {
    let mut told = Vec::new();
    for path in [
        "/plugins",
        "/categories",
        "/stats",
        "/resources",
        "/budgets",
        "/plugins?as_of=3",
        "/resources?as_of=8",
        "/events?limit=1000",
    ] {
        let answer = replica.client().get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let store = answer.header("registry-store").expect("every answer has it").to_owned();
        let text = answer.body.to_string().replace(&store, "<store>");
        told.push(without_next_steps(serde_json::from_str(&text).expect("it was JSON")));
    }
    told.push(leases(replica).await);
    told
}

/// A next step names the hosts from which a process has heard, and a new process has heard from none.
fn without_next_steps(mut page: Value) -> Value {
    for row in page["items"].as_array_mut().into_iter().flatten() {
        if row["evidence"].is_object() {
            row["evidence"]["next_step"] = Value::Null;
        }
    }
    page
}

async fn moved(from: &str, to: &str, file: &Path) {
    let file = file.to_str().expect("a path of ASCII");
    done(&["export", "--with-configs", "--with-history", "--output", file], from).await;
    done(&["import", "--input", file], to).await;
    assert_eq!(digests(from).await, digests(to).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_sqlite_to_postgres_and_back_nothing_is_lost() {
    let folder = TempDir::new().expect("a temporary folder");
    let (first, last) = (sqlite(&folder, "first.db"), sqlite(&folder, "last.db"));
    let file = folder.path().join("registry.ndjson");
    let alone = Replica::start_on(&first).await;
    furnish(&alone, "one").await;
    let before = told(&alone).await;
    alone.stop().await;

    let cluster = Cluster::start();
    moved(&first, &cluster.url(), &file).await;
    let replicas = Replica::start_many(&cluster.url(), 2).await;
    for replica in &replicas {
        assert_eq!(told(replica).await, before);
    }
    for (replica, name) in replicas.iter().zip(["two", "three"]) {
        furnish(replica, name).await;
    }
    // As of one moment, while replicas run; and not into a database that holds something.
    let export = done(&["export"], &cluster.url()).await;
    assert!(export.lines().last().expect("the last line").contains("sha256"), "{export}");
    let refused = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
        .args(["import", "--input"])
        .arg(&file)
        .env_clear()
        .env("PLUGIN_REGISTRY_STORE", cluster.url())
        .output();
    let refused = refused.await.expect("it can be started");
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && complaint.contains("the store is not empty"), "{complaint}");
    let after = told(&replicas[1]).await;
    for replica in replicas {
        replica.stop().await;
    }

    moved(&cluster.url(), &last, &file).await;
    let alone = Replica::start_on(&last).await;
    assert_eq!(told(&alone).await, after);
    alone.stop().await;
}

/// A replica that knows an empty database must not take what was imported for what its clients have seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_there_before_refuses_what_was_imported() {
    let folder = TempDir::new().expect("a temporary folder");
    let from = sqlite(&folder, "from.db");
    let file = folder.path().join("registry.ndjson");
    let alone = Replica::start_on(&from).await;
    furnish(&alone, "one").await;
    alone.stop().await;
    let cluster = Cluster::start();
    let replica = Replica::start(&cluster.url()).await;
    replica.client().until_ready().await;
    moved(&from, &cluster.url(), &file).await;
    assert_eq!(replica.client().register("two").await.status, 503);
    replica.until_logged("the store was replaced by another one").await;
    assert_eq!(replica.client().get("/stats").await.body["total"], 0);
    replica.stop().await;
    let again = Replica::start(&cluster.url()).await;
    again.client().until("it has read the store", "/plugins/c_one", |answer| answer.status == 200).await;
    again.stop().await;
}

/// The drill: replicas write, a backup is made, the database is lost, and what comes back is what was there.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_lost_comes_back_from_a_backup() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("registry.backup");
    let file = file.to_str().expect("a path of ASCII");
    let lost = Cluster::start();
    let replicas = Replica::start_many(&lost.url(), 2).await;
    for (replica, name) in replicas.iter().zip(["one", "two"]) {
        furnish(replica, name).await;
    }
    let hook = json!({"url": "https://hooks.example.com/x", "secret": "whsec_Y2FuYXJ5LXNlY3JldC1jYW5hcnktc2VjcmV0",
        "enabled": false});
    assert_eq!(replicas[0].client().ask(Method::POST, "/webhooks", Some(&hook)).await.status, 201);
    let hooks = replicas[0].client().get("/webhooks").await.body["items"].clone();
    let before = told(&replicas[0]).await;
    done(&["backup", file], &lost.url()).await;
    let whole = digests(&lost.url()).await;
    for mut replica in replicas {
        replica.kill().await;
    }
    drop(lost);

    let found = Cluster::start();
    done(&["restore", file], &found.url()).await;
    assert_eq!(digests(&found.url()).await, whole);
    let replicas = Replica::start_many(&found.url(), 2).await;
    for replica in &replicas {
        replica.client().until_ready().await;
        assert_eq!(told(replica).await, before);
    }
    assert_eq!(replicas[1].client().get("/webhooks").await.body["items"], hooks);
    for replica in replicas {
        replica.stop().await;
    }
}
