//! The reports of `exec` to the registry.

use std::net::{SocketAddr, TcpListener};

use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Running, exec, parent, send};
use crate::harness::bearers::token;
use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Client, Daemon, blocking, named};
use crate::process::agent::row;

pub(super) fn server(daemon: &Daemon) -> String {
    format!("http://{}", daemon.address)
}

/// Waits until the plugin `c_n` is as it should be.
pub(super) async fn plugin(client: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut reply = client.get("/plugins").answers(200).await;
    loop {
        if let Some(plugin) = reply.items().iter().find(|plugin| plugin["unique_id"] == "c_n" && wanted(plugin)) {
            return plugin.clone();
        }
        let next = client.get(&format!("/plugins?since={}&wait=15s", reply.revision())).send().await;
        assert_eq!(next.status, 200, "nothing has changed since {}", reply.text());
        reply = next;
    }
}

pub(super) fn pids(plugin: &Value) -> Vec<u64> {
    plugin["spawned_pids"].as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_a_plugin_for_as_long_as_it_runs() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    // What has left for a session of its own does not hear of the signal.
    let script = "setsid sleep 1000 & echo $$ $!; wait";
    let flags = ["--title", "A command", "--label", "team=speech", "--ttl", "30"];
    let mut running = Running::start(exec(&server(&daemon), &flags, script));
    let (mut running, said) = blocking(move || {
        let said = running.line();
        (running, said)
    })
    .await;
    let expected: Vec<u64> = said.split(' ').map(|pid| pid.parse().unwrap()).collect();
    let client = daemon.client();
    let held = plugin(&client, |plugin| pids(plugin) == expected).await;
    assert_eq!((held["title"].as_str(), held["host"].as_str()), (Some("A command"), Some("test")));
    assert_eq!(held["labels"], json!({"team": "speech"}));
    let lease = format!("/leases/{}", held["lease_id"].as_str().unwrap());
    assert_eq!(client.get(&lease).answers(200).await.json()["state"], "active");
    running.signal(Signal::TERM);
    let code = blocking(move || running.code()).await;
    assert_eq!(code, Some(143));
    let ended = plugin(&client, |plugin| pids(plugin).is_empty()).await;
    assert_eq!(ended["labels"]["exec.exit"], "signal 15, 1 left behind and ended", "{ended}");
    assert_eq!(client.get(&lease).answers(200).await.json()["state"], "released");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_described_and_held_already_is_kept() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let client = daemon.client();
    let mut before = named("c", "n");
    before["description"] = json!("kept");
    before["spawned_pids"] = json!([4_000_000]);
    client.register(&before).await;
    let output = finish(exec(&server(&daemon), &[], "exit 3")).await;
    assert_eq!(output.status.code(), Some(3), "{}", complaint(&output));
    let after = client.get("/plugins/c_n").answers(200).await.json();
    assert_eq!((after["description"].as_str(), pids(&after)), (Some("kept"), vec![4_000_000]), "of a predecessor");
    assert_eq!(after["labels"]["exec.exit"], "code 3");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_began_while_the_registry_was_down_is_told_of_later() {
    let folder = TempDir::new().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut running = Running::start(exec(&format!("http://{address}"), &[], "echo $$; exec sleep 1000"));
    let (running, pid) = blocking(move || {
        let pid = running.number();
        (running, pid)
    })
    .await;
    let mut serve = binary();
    let store = format!("sqlite:{}", folder.path().join("r.db").display());
    serve.args(["serve", "--listen", &address.to_string(), "--store", &store]);
    let daemon = Daemon::spawn(serve).await;
    plugin(&daemon.client(), |plugin| pids(plugin) == [u64::from(pid)]).await;
    drop(running);
    daemon.stop().await;
}

/// A registry at a fixed address, over the same store each time.
pub(super) async fn registry_at(address: SocketAddr, folder: &TempDir) -> Daemon {
    let mut serve = binary();
    let store = format!("sqlite:{}", folder.path().join("r.db").display());
    serve.args(["serve", "--listen", &address.to_string(), "--store", &store]);
    Daemon::spawn(serve).await
}

#[rstest]
#[case::by_the_next_command(&["exec", "--category", "c", "--name", "next", "--", "sleep", "1000"])]
#[case::by_the_agent(&["agent", "--host", "test"])]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_nobody_heard_of_is_told_later(#[case] messenger: &[&str]) {
    let folder = TempDir::new().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, unreported) = (format!("http://{address}"), folder.path().join("unreported").display().to_string());
    let daemon = registry_at(address, &folder).await;
    let mut running = Running::start(exec(&url, &["--unreported", &unreported], "echo $$; exec sleep 1000"));
    let held = plugin(&daemon.client(), |plugin| !pids(plugin).is_empty()).await;
    daemon.stop().await;
    running.signal(Signal::TERM);
    assert_eq!(blocking(move || running.code()).await, Some(143));
    let daemon = registry_at(address, &folder).await;
    assert_eq!(pids(&plugin(&daemon.client(), |_| true).await), pids(&held));
    let mut command = binary();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("PLUGIN_REGISTRY_SERVER", &url);
    command.env("PLUGIN_REGISTRY_UNREPORTED", &unreported).args(messenger);
    let messenger = Running::start(command);
    let ended = plugin(&daemon.client(), |plugin| plugin["labels"]["exec.exit"] == "signal 15").await;
    assert!(pids(&ended).is_empty(), "{ended}");
    let lease = format!("/leases/{}", held["lease_id"].as_str().unwrap());
    assert_eq!(daemon.client().get(&lease).answers(200).await.json()["state"], "released");
    drop(messenger);
    daemon.stop().await;
}

/// Runs `exec` until it has reported its command; returns `exec`, the command and the plugin.
async fn reported(daemon: &Daemon, flags: &[&str]) -> (Running, u64, Value) {
    let mut running = Running::start(exec(&server(daemon), flags, "echo $$; exec sleep 1000"));
    let (running, pid) = blocking(move || {
        let pid = u64::from(running.number());
        (running, pid)
    })
    .await;
    let held = plugin(&daemon.client(), |plugin| pids(plugin) == [pid]).await;
    (running, pid, held)
}

fn lease(plugin: &Value) -> String {
    format!("/leases/{}", plugin["lease_id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_was_removed_while_its_command_runs_is_registered_again() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let (running, pid, _) = reported(&daemon, &["--ttl", "5"]).await;
    daemon.client().delete("/plugins/c_n?force=true").answers(204).await;
    plugin(&daemon.client(), |plugin| pids(plugin) == [pid]).await;
    running.logs("the plugin was removed while its command runs").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_were_released_while_they_run_are_reported_again() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let (running, pid, _) = reported(&daemon, &["--ttl", "5"]).await;
    daemon.client().delete("/plugins/c_n/spawned_pids").send().await;
    plugin(&daemon.client(), |plugin| pids(plugin).is_empty()).await;
    plugin(&daemon.client(), |plugin| pids(plugin) == [pid]).await;
    running.logs("were released while they run").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_kept_while_command_and_wrapper_are_stopped() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let (running, pid, held) = reported(&daemon, &["--ttl", "5"]).await;
    send(u32::try_from(pid).unwrap(), Signal::STOP);
    let wrapper = running.child.id();
    while !std::fs::read_to_string(format!("/proc/{wrapper}/stat")).unwrap().contains(") T ") {
        tokio::task::yield_now().await;
    }
    let client = daemon.client();
    let expiry =
        async || client.get(&lease(&held)).answers(200).await.json()["expires_at"].as_str().unwrap().to_owned();
    let at_the_stop = expiry().await;
    // Two renewals, because the first may already have been sent.
    let mut seen = std::collections::BTreeSet::from([at_the_stop]);
    while seen.len() < 3 {
        seen.insert(expiry().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // The wrapper continues with its command.
    send(u32::try_from(pid).unwrap(), Signal::CONT);
    let mut running = running;
    running.signal(Signal::TERM);
    assert_eq!(blocking(move || running.code()).await, Some(143));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_kept_when_the_token_was_revoked_meanwhile() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let unreported = folder.path().join("unreported").display().to_string();
    let anonymous = daemon.client();
    let admin = anonymous.with_token(&token(&anonymous, json!({"name": "admin", "role": "admin"})).await);
    let made = admin.post("/tokens", &json!({"name": "short", "role": "reporter"})).answers(201).await.json();
    let mut command = exec(&server(&daemon), &["--unreported", &unreported], "exec sleep 1000");
    command.env("PLUGIN_REGISTRY_TOKEN", made["token"].as_str().unwrap());
    let mut running = Running::start(command);
    plugin(&admin, |plugin| !pids(plugin).is_empty()).await;
    admin.delete(&format!("/tokens/{}", made["id"].as_str().unwrap())).answers(204).await;
    running.signal(Signal::TERM);
    let (code, log) = blocking(move || (running.code(), running.log())).await;
    assert_eq!(code, Some(143));
    assert!(log.contains("kept the end") && log.contains("401"), "{log}");

    let good = token(&admin, json!({"name": "next", "role": "admin"})).await;
    let mut next = binary();
    next.env("PATH", std::env::var_os("PATH").unwrap()).env("PLUGIN_REGISTRY_TOKEN", good);
    next.args(["exec", "--server", &server(&daemon), "--unreported", &unreported]);
    next.args(["--category", "c", "--name", "next", "--", "sleep", "1000"]);
    let next = Running::start(next);
    let ended = plugin(&admin, |plugin| plugin["labels"]["exec.exit"] == "signal 15").await;
    assert!(pids(&ended).is_empty(), "{ended}");
    drop(next);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_is_reported_when_the_wrapper_was_killed() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let (running, _, held) = reported(&daemon, &[]).await;
    running.signal(Signal::KILL);
    let exit = "signal 15, because exec was killed";
    let ended = plugin(&daemon.client(), |plugin| plugin["labels"]["exec.exit"] == exit).await;
    assert!(pids(&ended).is_empty(), "{ended}");
    let client = daemon.client();
    while client.get(&lease(&held)).answers(200).await.json()["state"] != "released" {
        tokio::task::yield_now().await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_that_was_killed_leaves_a_lost_lease_and_nothing_that_runs() {
    let folder = TempDir::new().unwrap();
    let flags = ["--probe-own-host=true", "--host", "test", "--probe-interval", "1"];
    let daemon = Daemon::start_with(&folder.path().join("r.db"), &flags).await;
    let (mut running, pid, _) = reported(&daemon, &["--ttl", "5", "--grace", "0"]).await;
    row(&daemon.client(), |row| row["observed"]["state"] == "alive").await;
    send(parent(parent(u32::try_from(pid).unwrap())), Signal::KILL);
    row(&daemon.client(), |row| row["observed"]["state"] == "gone" && row["lease"]["state"] == "lost").await;
    assert_eq!(blocking(move || running.code()).await, Some(125));
    daemon.stop().await;
}
