//! What the registry is told.

use std::net::{SocketAddr, TcpListener};

use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Running, exec};
use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Client, Daemon, blocking, named};
use crate::process::agent::row;

fn server(daemon: &Daemon) -> String {
    format!("http://{}", daemon.address)
}

/// Waits until the plugin `c_n` is as it should be.
async fn plugin(client: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
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

fn pids(plugin: &Value) -> Vec<u64> {
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
async fn registry_at(address: SocketAddr, folder: &TempDir) -> Daemon {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_registry_refuses_is_not_run() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    daemon.client().register(&named("a", "b_c")).await;
    let mut command = binary();
    command.args([
        "exec",
        "--server",
        &server(&daemon),
        "--category",
        "a_b",
        "--name",
        "c",
        "--",
        "/bin/echo",
        "it runs",
    ]);
    let output = finish(command).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0), "{}", complaint(&output));
    assert!(complaint(&output).contains("409"), "{}", complaint(&output));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrapper_that_was_killed_leaves_a_lost_lease_and_nothing_that_runs() {
    let folder = TempDir::new().unwrap();
    let flags = ["--probe-own-host=true", "--host", "test", "--probe-interval", "1"];
    let daemon = Daemon::start_with(&folder.path().join("r.db"), &flags).await;
    let mut running =
        Running::start(exec(&server(&daemon), &["--ttl", "5", "--grace", "0"], "echo $$; exec sleep 1000"));
    let (running, _) = blocking(move || {
        let pid = running.number();
        (running, pid)
    })
    .await;
    row(&daemon.client(), |row| row["observed"]["state"] == "alive").await;
    running.signal(Signal::KILL);
    row(&daemon.client(), |row| row["observed"]["state"] == "gone" && row["lease"]["state"] == "lost").await;
    daemon.stop().await;
}
