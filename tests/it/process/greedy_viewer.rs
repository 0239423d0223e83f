//! One viewer sends far more scans than the machine can do. The registry's own work goes on, and so do other callers.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::process::run;
use crate::harness::{Client, Daemon};

/// How many plugins there are, and how long their descriptions.
const PLUGINS: usize = 2_500;
const DESCRIPTION: usize = 8_000;

/// How many scans the viewer sends at once. On two cores they would take a minute.
const SCANS: usize = 300;

/// A registry under a store, with a token of each role.
struct Crowded {
    folder: TempDir,
    daemon: Daemon,
    admin: Client,
    viewer: String,
}

impl Crowded {
    async fn start() -> Crowded {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("registry.db");
        let flags = ["--shutdown-grace", "2", "--max-connections-per-address", "2000"];
        let daemon = Daemon::start_with(&path, &flags).await;
        let open = daemon.client();
        let text = "description without what is searched for ".repeat(DESCRIPTION / 40);
        let line = |number: usize| {
            let plugin = json!({
                "name": format!("p{number}"), "category": "c", "title": "T", "config_schema": {}, "description": text,
            });
            format!("{plugin}\n")
        };
        for lines in (0..PLUGINS).collect::<Vec<_>>().chunks(500) {
            let lines: String = lines.iter().map(|number| line(*number)).collect();
            open.import(lines).await;
        }
        let mut crowded = Crowded { admin: open.clone(), viewer: String::new(), folder, daemon };
        let admin = crowded.token("admin", "admin").await;
        crowded.admin = open.with_token(&admin);
        crowded.viewer = crowded.token("greedy", "viewer").await;
        let viewer = open.with_token(&crowded.viewer);
        until_not("the tokens are read", async || viewer.get("/leases").send().await.status == 401).await;
        crowded
    }

    fn store(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("registry.db").display())
    }

    async fn token(&self, name: &str, role: &str) -> String {
        let made = run(&["token", "create", "--store", &self.store(), "--name", name, "--role", role]).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// Sends the viewer's scans, and reads none of the answers.
    async fn send_scans(&self) -> Vec<TcpStream> {
        let values: Vec<_> = (0..16).map(|number| format!("what%20is%20searched%20for%20nowhere%20{number}")).collect();
        let query = values.join(",");
        let mut sent = Vec::new();
        for _ in 0..SCANS {
            let mut stream = TcpStream::connect(self.daemon.address).await.unwrap();
            let request = format!(
                "GET /plugins?q={query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
                self.viewer
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            sent.push(stream);
        }
        sent
    }
}

/// Asks until it gets another answer; returns how long that took.
async fn until_not(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while holds().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::task::yield_now().await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_viewer_who_scanned_and_left_kept_revoked_tokens_and_lost_leases_alive() {
    let crowded = Crowded::start().await;
    let revoked = crowded.token("revoked", "viewer").await;
    let revoked = crowded.daemon.client().with_token(&revoked);
    until_not("the token is read", async || revoked.get("/leases").send().await.status == 401).await;
    let lease = json!({"holder": "h", "ttl_seconds": 5});
    let lease =
        crowded.admin.post("/leases", &lease).answers(201).await.json()["lease_id"].as_str().unwrap().to_owned();
    let granted = Instant::now();

    let scans = crowded.send_scans().await;
    // The viewer leaves, and its scans with it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(scans);
    let scans = crowded.send_scans().await;

    let removed = run(&["token", "revoke", "--store", &crowded.store(), "revoked"]).await;
    assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    let took = until_not("the revocation", async || revoked.get("/leases").send().await.status == 200).await;
    assert!(took < Duration::from_secs(4), "a revoked token was accepted for {took:?}");

    let path = format!("/leases/{lease}");
    let state = async || crowded.admin.get(&path).answers(200).await.json()["state"] == json!("active");
    until_not("the lease is lost", state).await;
    let took = granted.elapsed();
    assert!(took < Duration::from_secs(12), "a lease of 5 s was lost after {took:?}");

    // More scans than the queue takes are refused at once.
    let is_refused = |scan: &TcpStream| {
        let mut status = [0; 12];
        matches!(scan.try_read(&mut status), Ok(12)) && status == *b"HTTP/1.1 503"
    };
    let took = until_not("a refusal", async || !scans.iter().any(is_refused)).await;
    assert!(took < Duration::from_secs(5), "a scan was refused after {took:?}");

    // Another caller has its turn meanwhile.
    let began = Instant::now();
    let found: Value = crowded.admin.get("/plugins?q=searched&limit=1").answers(200).await.json();
    assert_eq!(found["total"], json!(PLUGINS));
    assert!(began.elapsed() < Duration::from_secs(5), "another caller waited for {:?}", began.elapsed());

    let ended = Instant::now();
    crowded.daemon.signal(Signal::TERM);
    let (status, log) = crowded.daemon.exit().await;
    let took = ended.elapsed();
    assert!(status.success(), "{log}");
    assert!(took < Duration::from_secs(6), "with 2 s of grace, the end took {took:?}");
    drop(scans);
}
