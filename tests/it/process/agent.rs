//! `plugin-registry agent`: the real binary with a real registry; and the same sweep by the registry itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Client, Daemon, blocking, minimal};

/// An agent, which is killed at the end of the test.
struct Agent {
    child: Child,
    log: Option<BufReader<ChildStderr>>,
}

fn command(daemon: &Daemon, host: &str) -> Command {
    let mut command = binary();
    command.args(["agent", "--server", &format!("http://{}", daemon.address), "--host", host, "--interval", "0.2"]);
    command
}

impl Agent {
    fn start(daemon: &Daemon, host: &str) -> Agent {
        let mut child = command(daemon, host).stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().map(BufReader::new);
        Agent { child, log }
    }

    /// Waits until it has logged a line with `text`.
    async fn logs(&mut self, text: &'static str) {
        let mut log = self.log.take().unwrap();
        self.log = Some(
            blocking(move || {
                let mut line = String::new();
                while !line.contains(text) {
                    line.clear();
                    assert!(log.read_line(&mut line).unwrap() > 0, "it has ended without `{text}`");
                }
                log
            })
            .await,
        );
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A process that a plugin holds.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        Sleeper(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn holding(sleeper: &Sleeper, host: Option<&str>) -> Value {
    let mut plugin = minimal();
    plugin["spawned_pids"] = json!([sleeper.0.id()]);
    plugin["host"] = json!(host);
    plugin
}

/// Waits until the only resource is observed as `state`; returns the observation.
pub(crate) async fn seen(client: &Client, state: &str) -> Value {
    row(client, |row| row["observed"]["state"] == state).await["observed"].clone()
}

/// Waits until the first resource matches.
pub(crate) async fn row(client: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut reply = client.get("/resources").answers(200).await;
    loop {
        if let Some(row) = reply.items().first().filter(|row| wanted(row)) {
            return row.clone();
        }
        let next = client.get(&format!("/resources?since={}&wait=15s", reply.revision())).send().await;
        assert_eq!(next.status, 200, "nothing has changed since {}", reply.text());
        reply = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_reports_alive_and_gone_processes() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let mut sleeper = Sleeper::start();
    daemon.client().register(&holding(&sleeper, Some("agent-1"))).await;
    let _agent = Agent::start(&daemon, "agent-1");
    let alive = seen(&daemon.client(), "alive").await;
    assert!(alive["by"].as_str().unwrap().starts_with("agent of agent-1"), "{alive}");
    assert_eq!(alive["identity"]["pid"], sleeper.0.id(), "{alive}");
    sleeper.end();
    assert_eq!(seen(&daemon.client(), "gone").await["detail"], "there is no such process");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_reports_again_after_an_outage_of_the_registry() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("r.db");
    let daemon = Daemon::start(&store).await;
    let mut sleeper = Sleeper::start();
    daemon.client().register(&holding(&sleeper, Some("agent-2"))).await;
    let mut agent = Agent::start(&daemon, "agent-2");
    seen(&daemon.client(), "alive").await;
    let address = daemon.address.to_string();
    drop(daemon);
    agent.logs("cannot be reached").await;
    sleeper.end();
    let mut again = binary();
    again.args(["serve", "--listen", &address, "--store", &format!("sqlite:{}", store.display())]);
    let daemon = Daemon::spawn(again).await;
    seen(&daemon.client(), "gone").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_of_a_host_is_refused() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let mut agent = Agent::start(&daemon, "agent-3");
    agent.logs("probing this host").await;
    let second = finish(command(&daemon, "agent-3")).await;
    assert_eq!(second.status.code(), Some(1));
    assert!(complaint(&second).contains("already runs on this machine"), "{}", complaint(&second));
    // An agent on another machine.
    let report = json!({"by": "a stranger", "host": "agent-4", "observations": []});
    daemon.client().post("/observations", &report).answers(200).await;
    let sleeper = Sleeper::start();
    daemon.client().register(&holding(&sleeper, Some("agent-4"))).await;
    let mut refused = Agent::start(&daemon, "agent-4");
    refused.logs("another agent reports for this host").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_probes_its_own_host() {
    let folder = TempDir::new().unwrap();
    let flags = ["--probe-own-host=true", "--host", "own", "--probe-interval", "1"];
    let daemon = Daemon::start_with(&folder.path().join("r.db"), &flags).await;
    // The registry listens on the loopback, so a plugin without a host can only run here.
    let mut sleeper = Sleeper::start();
    daemon.client().register(&holding(&sleeper, None)).await;
    let alive = seen(&daemon.client(), "alive").await;
    assert!(alive["by"].as_str().unwrap().starts_with("registry of own"), "{alive}");
    sleeper.end();
    seen(&daemon.client(), "gone").await;
    let ready = daemon.client().get("/readyz").answers(200).await.json();
    let sight = ready["sight"].as_array().unwrap();
    assert!(sight.iter().any(|point| point["what"] == "processes" && point["visible"] == true), "{ready}");
    daemon.stop().await;
}
