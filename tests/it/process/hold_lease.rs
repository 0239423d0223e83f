//! `plugin-registry hold-lease`: the real binary holds a lease for a real process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Client, Daemon, blocking, within_patience};

/// The address of no server: nothing listens on port 1 of the loopback.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A process, which is killed at the end of the test.
struct Running(Child);

impl Running {
    fn sleeper() -> Running {
        Running(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    /// Field 22 of its line in /proc.
    fn start_ticks(&self) -> u64 {
        let line = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        line.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits until it has said that it holds the lease.
    async fn says_that_it_holds(&mut self, lease: &str) {
        let mut said = BufReader::new(self.0.stdout.take().unwrap());
        let line = blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            line
        });
        assert!(line.await.starts_with(&format!("holding lease {lease} for process ")));
    }

    async fn code(mut self) -> Option<i32> {
        blocking(move || self.0.wait().unwrap().code()).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn hold_lease(server: &str, lease: &str, pid: u32, ticks: u64) -> Command {
    let mut command = binary();
    command.args(["hold-lease", "--server", server, "--lease", lease]);
    command.args(["--for-pid", &pid.to_string(), "--start-ticks", &ticks.to_string()]);
    command
}

fn start(mut command: Command) -> Running {
    Running(command.stdout(Stdio::piped()).spawn().unwrap())
}

async fn granted(client: &Client) -> String {
    let lease = client.post("/leases", &json!({ "holder": "trainer", "ttl_seconds": 5 })).answers(201).await.json();
    lease["lease_id"].as_str().unwrap().to_owned()
}

/// A registry, a lease of it, and the address.
async fn registry(folder: &TempDir) -> (Daemon, String, String) {
    let daemon = Daemon::start(&folder.path().join("r.db")).await;
    let lease = granted(&daemon.client()).await;
    let server = format!("http://{}", daemon.address);
    (daemon, lease, server)
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_process_lives_and_is_not_released_when_it_dies() {
    let folder = TempDir::new().unwrap();
    let (daemon, lease, server) = registry(&folder).await;
    let mut sleeper = Running::sleeper();
    let mut holder = start(hold_lease(&server, &lease, sleeper.0.id(), sleeper.start_ticks()));
    holder.says_that_it_holds(&lease).await;

    let path = format!("/leases/{lease}");
    let first = daemon.client().get(&path).answers(200).await.json()["renewed_at"].clone();
    let renewed = async {
        while daemon.client().get(&path).answers(200).await.json()["renewed_at"] == first {
            tokio::task::yield_now().await;
        }
    };
    within_patience("the next renewal", renewed).await;

    sleeper.kill();
    assert_eq!(holder.code().await, Some(0));
    assert_eq!(daemon.client().get(&path).answers(200).await.json()["state"], "active", "it was released");
    daemon.stop().await;
}

#[tokio::test]
async fn another_process_with_the_number_does_not_hold_the_lease() {
    let folder = TempDir::new().unwrap();
    let (daemon, lease, server) = registry(&folder).await;
    let sleeper = Running::sleeper();
    let output = finish(hold_lease(&server, &lease, sleeper.0.id(), sleeper.start_ticks() - 1)).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), b"".as_slice()));
    assert!(complaint(&output).contains("has ended"), "{}", complaint(&output));
    daemon.stop().await;
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_ends_it_with_a_code_of_its_own() {
    let folder = TempDir::new().unwrap();
    let (daemon, lease, server) = registry(&folder).await;
    daemon.client().delete(&format!("/leases/{lease}")).answers(204).await;
    let sleeper = Running::sleeper();
    let (pid, ticks) = (sleeper.0.id(), sleeper.start_ticks());
    for (lease, code, word) in [(lease.as_str(), 5, "released"), ("nothing", 3, "lease")] {
        let output = finish(hold_lease(&server, lease, pid, ticks)).await;
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), b"".as_slice()));
        assert!(complaint(&output).contains(word), "{}", complaint(&output));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_away_does_not_end_it() {
    let mut sleeper = Running::sleeper();
    let mut holder = start(hold_lease(NOWHERE, "l", sleeper.0.id(), sleeper.start_ticks()));
    holder.says_that_it_holds("l").await;
    assert_eq!(holder.0.try_wait().unwrap(), None, "it has given up");
    sleeper.kill();
    assert_eq!(holder.code().await, Some(0));
}
