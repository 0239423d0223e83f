//! Requests to stop the command of `exec`.

use std::net::TcpListener;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::registry::{pids, plugin, registry_at, server};
use super::{Running, exec};
use crate::harness::{Client, Daemon, blocking, named};

const ASK: &str = "/plugins/c_n/stop_request";

async fn answers(client: &Client) -> Vec<Value> {
    client.get("/events?kind=plugin.stop_answered").answers(200).await.items()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_asked_to_stop_gets_sigterm() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let client = daemon.client();
    // A request to an earlier run is not meant for this command.
    let mut before = named("c", "n");
    before["spawned_pids"] = json!([4_000_000]);
    client.register(&before).await;
    client.post(ASK, &json!({"reason": "of an earlier run"})).answers(200).await;
    let script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut running = Running::start(exec(&server(&daemon), &[], script));
    let (mut running, _) = blocking(move || {
        let said = running.line();
        (running, said)
    })
    .await;
    let held = plugin(&client, |plugin| pids(plugin).len() >= 2).await;
    assert_eq!(held["stop_requested"]["reason"], "of an earlier run");
    assert_eq!(answers(&client).await, [Value::Null; 0]);
    client.post(ASK, &json!({"reason": "costly"})).answers(200).await;
    let (said, code) = blocking(move || (running.line(), running.code())).await;
    assert_eq!((said.as_str(), code), ("asked", Some(7)));
    let answers = answers(&client).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["data"]["stop_answer"]["answer"], "accepted");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_goes_on_if_requests_to_stop_are_ignored() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let client = daemon.client();
    let mut running = Running::start(exec(&server(&daemon), &["--ignore-stop-requests"], "exec sleep 1000"));
    plugin(&client, |plugin| !pids(plugin).is_empty()).await;
    client.post(ASK, &json!({})).answers(200).await;
    let answered = plugin(&client, |plugin| !plugin["stop_answer"].is_null()).await;
    assert_eq!(answered["stop_answer"]["answer"], "refused");
    assert!(!pids(&answered).is_empty());
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(blocking(move || running.code()).await, Some(143));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_was_heard_after_the_registry_had_started_again() {
    let folder = TempDir::new().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let daemon = registry_at(address, &folder).await;
    let url = format!("http://{address}");
    let mut running = Running::start(exec(&url, &["--ignore-stop-requests"], "exec sleep 1000"));
    plugin(&daemon.client(), |plugin| !pids(plugin).is_empty()).await;
    // The second request surely arrives by the stream, whose position is then the id of an event.
    for reason in ["first", "second"] {
        refused(&daemon.client(), reason).await;
    }
    daemon.stop().await;
    let daemon = registry_at(address, &folder).await;
    refused(&daemon.client(), "third").await;
    running.signal(rustix::process::Signal::TERM);
    assert_eq!(blocking(move || running.code()).await, Some(143));
    daemon.stop().await;
}

/// Asks to stop the command, and waits until `exec` refuses.
async fn refused(client: &Client, reason: &str) {
    client.post(ASK, &json!({"reason": reason})).answers(200).await;
    let answered = plugin(client, |plugin| plugin["stop_answer"]["request"]["reason"] == reason).await;
    assert_eq!(answered["stop_answer"]["answer"], "refused");
}
