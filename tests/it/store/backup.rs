//! `backup`, `restore` and `GET /backup`: the disk is lost, and the registry comes back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish};
use crate::harness::server::Setup;
use crate::harness::{Client, Daemon, RawConnection, Server, blocking, minimal, named, within_patience};
use crate::store::archive::{Told, read};
use crate::store::moving::{FURNISHED, PAST, PRESENT, answers, digests, done, furnish, lease, refused, url};

/// A file in a folder, as an argument of a command.
fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

async fn backed_up(store: &Path, to: &str) -> String {
    done(&["backup", to, "--store", &url(store)]).await
}

/// The lines of a backup without its time and its store, which differ between two backups of the same registry.
fn lines(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let mut head: Value = serde_json::from_str(&lines[0]).unwrap();
    head["archive"].as_object_mut().unwrap().retain(|field, _| !["exported_at", "store"].contains(&field.as_str()));
    lines[0] = head.to_string();
    lines.pop();
    lines
}

/// Creates a webhook with a secret, and a write with an Idempotency-Key.
async fn furnish_beside(client: &Client) {
    let hook = json!({"url": "https://hooks.example.com/canary-hook", "secret": "whsec_Y2FuYXJ5LXNlY3JldC1jYW5hcnktc2VjcmV0",
        "enabled": false});
    client.post("/webhooks", &hook).answers(201).await;
    assert_eq!(write_with_key(client).await, (FURNISHED + 1, None));
}

/// A registration with an Idempotency-Key; returns its revision, and whether it is a repeat.
async fn write_with_key(client: &Client) -> (u64, Option<String>) {
    let call = client.post("/plugins", &named("c", "kept")).header("idempotency-key", "\"kept\"");
    let reply = call.answers(201).await;
    (reply.revision(), reply.header("idempotency-replayed").map(str::to_owned))
}

#[tokio::test]
async fn a_backup_restores_everything_that_a_restart_finds() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let (first, second) = (file(&folder, "first.backup"), file(&folder, "second.backup"));
    let daemon = Daemon::start(&from).await;
    let client = daemon.client();
    furnish(&client).await;
    furnish_beside(&client).await;
    let (present, past) = (answers(&client, PRESENT).await, answers(&client, PAST).await);
    let (held, hooks) = (lease(&client).await, client.get("/webhooks").answers(200).await.items());
    // While the server runs.
    let said = backed_up(&from, &first).await;
    assert!(
        said.contains(&format!("revision {}", FURNISHED + 1)) && said.contains("1 webhooks, 1 stored responses"),
        "{said}"
    );
    assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
    daemon.stop().await;

    // `store verify` accepts a backup as it does a store, with the same digests.
    let report = done(&["store", "verify", "--archive", &first]).await;
    let (state, journal) = digests(&url(&from)).await;
    assert!(report.contains(&state) && report.contains(&journal), "{report}");

    let said = done(&["restore", &first, "--store", &url(&to)]).await;
    assert!(said.contains("restored into store"), "{said}");
    backed_up(&to, &second).await;
    assert_eq!(lines(&second), lines(&first));
    let restored = Daemon::start(&to).await;
    let client = restored.client();
    assert_eq!(answers(&client, PRESENT).await, present);
    assert_eq!(answers(&client, PAST).await, past);
    assert_eq!(lease(&client).await, held);
    assert_eq!(client.get("/webhooks").answers(200).await.items(), hooks);
    assert_eq!(client.get("/plugins/transcription_whisper/config").answers(200).await.json()["token"], "canary-config");
    assert_eq!(write_with_key(&client).await, (FURNISHED + 1, Some("true".to_owned())));
    assert_eq!(client.register(&named("c", "next")).await.revision(), FURNISHED + 2);
    restored.stop().await;
}

/// The drill: clients write, backups run, the disk is lost, and the restored registry is at a revision that existed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_after_a_loss_under_load_gives_a_revision_that_existed() {
    let folder = TempDir::new().unwrap();
    let home = TempDir::new().unwrap();
    let (lost, found) = (home.path().join("registry.db"), folder.path().join("registry.db"));
    let daemon = Daemon::start(&lost).await;
    let client = daemon.client();
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (client, said) = (daemon.client(), said.clone());
            tokio::spawn(async move {
                for n in 1.. {
                    let plugin = named(&format!("c{writer}"), &format!("n{}", n % 50));
                    // This writer ends with the server.
                    let pids = json!({"spawned_pids": [n]});
                    let path = format!("/plugins/c{writer}_n{}/spawned_pids", n % 50);
                    for call in [client.post("/plugins", &plugin), client.put(&path, &pids)] {
                        let Some(reply) = call.attempted().await else { return };
                        assert!(reply.status.is_success(), "{}", reply.text());
                    }
                    // The receiver is gone once there are enough.
                    let _counted = said.send(());
                }
            })
        })
        .collect();
    for _ in 0..100 {
        within_patience("the writers write", heard.recv()).await.unwrap();
    }
    let mut backups = Vec::new();
    for name in ["one.backup", "two.backup", "three.backup"] {
        let path = file(&folder, name);
        if name == "two.backup" {
            done(&["backup", &path, "--server", &format!("http://{}", daemon.address)]).await;
        } else {
            backed_up(&lost, &path).await;
        }
        let text = std::fs::read(&path).unwrap();
        let revision = blocking(move || Told::by(read(&text).unwrap()).snapshot.state.revision().0).await;
        // The registry's own answer at that time.
        let tag = client.get(&format!("/plugins/c0_n1?min_revision={revision}")).answers(200).await.etag();
        let stood = client.get(&format!("/plugins?as_of={revision}&limit=10000")).answers(200).await;
        let cursor = client.get("/plugins?limit=1").answers(200).await.next_cursor().unwrap();
        backups.push((path, revision, stood, tag, cursor));
    }
    daemon.signal(Signal::KILL);
    daemon.exit().await;
    home.close().unwrap();
    for writer in writers {
        within_patience("a writer ends", writer).await.unwrap();
    }

    for (path, revision, stood, tag, cursor) in backups {
        done(&["restore", &path, "--store", &url(&found), "--replace"]).await;
        done(&["store", "verify", "--store", &url(&found)]).await;
        let restored = Daemon::start(&found).await;
        let client = restored.client();
        let now = client.get("/plugins?limit=10000").answers(200).await;
        assert_eq!(now.revision(), revision);
        assert_eq!(now.json()["items"], stood.json()["items"]);
        // Clients with the lost history do not mistake the restored one for it.
        let store = stood.store();
        assert_ne!(now.store(), store);
        client.get(&format!("/plugins?limit=1&cursor={cursor}")).refused(410).await;
        let resumed = client.get("/events").header("accept", "text/event-stream");
        resumed.header("last-event-id", format!("{store}-{revision}")).refused(410).await;
        let late = client.patch("/plugins/c0_n1", &json!({"title": "Late"})).header("if-match", &tag);
        late.refused(412).await;
        assert_eq!(client.register(&minimal()).await.revision(), revision + 1);
        restored.stop().await;
    }
}

#[tokio::test]
async fn an_interrupted_backup_leaves_the_previous_one() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let path = file(&folder, "registry.backup");
    let daemon = Daemon::start(&store).await;
    daemon.client().register(&minimal()).await;
    backed_up(&store, &path).await;
    let before = std::fs::read(&path).unwrap();
    let lines: String = (0..200).map(|n| named("c", &format!("{n}-{}", "x".repeat(200))).to_string() + "\n").collect();
    daemon.client().import(lines).await;
    daemon.stop().await;
    // The kernel kills the process in the middle of the file (SIGXFSZ).
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -c 0; ulimit -f 64; exec \"$0\" backup \"$1\" --store \"$2\"",
        env!("CARGO_BIN_EXE_plugin-registry"),
    ]);
    command.args([&path, &url(&store)]);
    let cut = finish(command).await;
    assert!(!cut.status.success(), "{}", complaint(&cut));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let complained =
        refused(&["restore", &format!("{path}.partial"), "--store", &url(&folder.path().join("x.db"))]).await;
    assert!(complained.contains("nothing was restored"), "{complained}");
    // The next backup succeeds.
    backed_up(&store, &path).await;
    assert!(std::fs::read(&path).unwrap().len() > before.len());
    assert!(!Path::new(&format!("{path}.partial")).exists());
    // Without an earlier backup, no file is left.
    let nowhere = file(&folder, "not/there.backup");
    let complained = refused(&["backup", &nowhere, "--store", &url(&store)]).await;
    assert!(complained.contains("cannot write"), "{complained}");
    let complained = refused(&["backup", &path, "--store", &url(&folder.path().join("missing.db"))]).await;
    assert!(complained.contains("there is no store"), "{complained}");
    assert!(!folder.path().join("missing.db").exists());
}

#[tokio::test]
async fn restore_replaces_a_store_only_with_replace() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let path = file(&folder, "registry.backup");
    let daemon = Daemon::start(&from).await;
    furnish(&daemon.client()).await;
    furnish_beside(&daemon.client()).await;
    backed_up(&from, &path).await;
    let there = Daemon::start(&to).await;
    there.client().register(&named("c", "mine")).await;
    let complained = refused(&["restore", &path, "--store", &url(&to)]).await;
    assert!(complained.contains("the store is not empty; --replace deletes"), "{complained}");
    there.client().get("/plugins/c_mine").answers(200).await;
    done(&["restore", &path, "--store", &url(&to), "--replace"]).await;
    // A running server does not mix the old contents with the new.
    there.client().post("/plugins", &named("c", "late")).refused(503).await;
    there.stop().await;
    let again = Daemon::start(&to).await;
    again.client().get("/plugins/c_mine").refused(404).await;
    assert_eq!(again.client().register(&named("c", "next")).await.revision(), FURNISHED + 2);
    again.stop().await;

    // `restore` refuses an export, and `import` leaves out the auxiliary data.
    let (export, elsewhere) = (file(&folder, "registry.ndjson"), folder.path().join("elsewhere.db"));
    done(&["export", "--store", &url(&from), "--with-configs", "--with-history", "--output", &export]).await;
    let complained = refused(&["restore", &export, "--store", &url(&elsewhere)]).await;
    assert!(complained.contains("is an export and not a backup"), "{complained}");
    done(&["import", "--store", &url(&elsewhere), "--input", &path]).await;
    daemon.stop().await;
    let moved = Daemon::start(&elsewhere).await;
    assert!(moved.client().get("/webhooks").answers(200).await.items().is_empty());
    moved.client().get("/plugins/c_kept").answers(200).await;
    moved.stop().await;
}

#[tokio::test]
async fn a_backup_is_read_by_http_from_every_store() {
    let folder = TempDir::new().unwrap();
    for (name, in_memory) in [("file", false), ("memory", true)] {
        let server = if in_memory { Setup::in_memory().start().await } else { Server::start().await };
        let client = server.client();
        furnish(&client).await;
        furnish_beside(&client).await;
        let present = answers(&client, PRESENT).await;
        let backup = client.get("/backup").answers(200).await;
        assert_eq!(backup.header("cache-control"), Some("no-store"));
        let path = file(&folder, name);
        std::fs::write(&path, &backup.body).unwrap();
        let to = folder.path().join(format!("{name}.db"));
        done(&["restore", &path, "--store", &url(&to)]).await;
        let restored = Daemon::start(&to).await;
        assert_eq!(answers(&restored.client(), PRESENT).await, present);
        assert_eq!(restored.client().get("/webhooks").answers(200).await.items().len(), 1);
        assert_eq!(write_with_key(&restored.client()).await.1.as_deref(), Some("true"));
        restored.stop().await;
        server.stop().await;
    }
}

/// A slow client of a backup blocks no write, and an interrupted one releases its permit.
#[tokio::test]
async fn one_backup_is_made_at_a_time() {
    let server = Server::in_file().await;
    let client = server.client();
    // More than the socket buffers take.
    let long = "x".repeat(900_000);
    for n in 0..4 {
        let plugin =
            json!({"category": "c", "name": n.to_string(), "title": "T", "config_schema": {}, "description": long});
        client.register(&plugin).await;
    }
    let mut slow = RawConnection::narrow(server.address).await;
    slow.send(b"GET /backup HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    slow.until("HTTP/1.1 200").await;
    let problem = client.get("/backup").refused(503).await;
    assert!(problem.headers.contains_key("retry-after"));
    client.register(&minimal()).await;
    drop(slow);
    let mut tries = 0;
    let backup = within_patience("the place is given back", async {
        loop {
            let reply = client.get("/backup").send().await;
            if reply.status == 200 {
                return reply;
            }
            tries += 1;
        }
    });
    let told = Told::by(read(&backup.await.body).unwrap());
    assert_eq!(told.snapshot.state.revision().0, 5, "after {tries} tries");
    server.stop().await;
}

/// SQLite can restart its log only while no reader uses it.
#[tokio::test]
async fn a_slow_backup_does_not_grow_the_log() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let daemon = Daemon::start(&store).await;
    let client = daemon.client();
    let long = "x".repeat(900_000);
    let plugin = |n: usize| json!({"category": "c", "name": n.to_string(), "title": "T", "config_schema": {}, "description": long});
    // More than the socket buffers take.
    for n in 0..16 {
        client.register(&plugin(n)).await;
    }
    let mut slow = RawConnection::narrow(daemon.address).await;
    slow.send(b"GET /backup HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    slow.until("HTTP/1.1 200").await;
    for n in 16..48 {
        client.register(&plugin(n)).await;
    }
    let log = std::fs::metadata(store.with_file_name("registry.db-wal")).unwrap().len();
    assert!(log < 20_000_000, "the log has {log} bytes");
    drop(slow);
    daemon.stop().await;
}

#[tokio::test]
async fn a_registry_without_tokens_serves_no_backup_to_other_machines() {
    let folder = TempDir::new().unwrap();
    let mut command = binary();
    command.args(["serve", "--listen", "0.0.0.0:0", "--store", &url(&folder.path().join("registry.db"))]);
    let daemon = Daemon::spawn(command).await;
    daemon.client().register(&minimal()).await;
    let problem = daemon.client().get("/backup").refused(403).await;
    assert!(problem.detail().contains("holds secrets"), "{}", problem.detail());
    daemon.stop().await;
}
