//! The real binary moves a registry from one store to another: `export`, `import`, `store verify`.

use std::path::Path;

use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{complaint, run};
use crate::harness::simulated_server::process;
use crate::harness::{Client, Daemon, blocking, holding_everything, minimal, named, within_patience};
use crate::store::archive::{Told, read};
use domain::Revision;

/// A registry with all kinds of content, and a history.
pub(crate) async fn furnish(client: &Client) {
    client.register(&holding_everything()).await;
    client.register(&minimal()).await;
    client.put("/plugins/transcription_whisper/config", &json!({"token": "canary-config", "n": 1})).answers(200).await;
    client.put("/categories/transcription", &json!({"display_name": "Speech"})).answers(200).await;
    client.put("/plugins/transcription_whisper/spawned_pids", &json!({"spawned_pids": [7]})).answers(200).await;
    client.register(&named("音声", "認識/🎙")).await;
    client.register(&named("c", "short-lived")).await;
    client.delete("/plugins/c_short-lived").answers(204).await;
    let terms = json!({"holder": "app", "host": "h", "ttl_seconds": 3600});
    let lease = client.post("/leases", &terms).answers(201).await.json()["lease_id"].clone();
    let held = json!({"host": "h", "lease_id": lease});
    client.patch("/plugins/transcription_whisper", &held).answers(200).await;
    let report = json!({"by": "agent@h", "host": "h", "observations": [process("transcription_whisper", 7, "alive")]});
    assert_eq!(client.post("/observations", &report).answers(200).await.json()["accepted"], 1);
    let budget = json!({"name": "none", "limit_usd": 5, "period": "month", "filters": {"label.team": "none"}});
    assert_eq!(client.post("/budgets", &budget).answers(201).await.revision(), FURNISHED);
}

/// The last revision of [`furnish`].
pub(crate) const FURNISHED: u64 = 12;

/// The document of the only lease, without the times of its renewals.
pub(crate) async fn lease(client: &Client) -> Value {
    let mut leases = client.get("/leases").answers(200).await.items();
    assert_eq!(leases.len(), 1);
    let lease = leases[0].as_object_mut().unwrap();
    lease.retain(|field, _| !["renewed_at", "expires_at"].contains(&field.as_str()));
    assert_eq!((&lease["state"], &lease["plugins"]), (&json!("active"), &json!(["transcription_whisper"])));
    leases.remove(0)
}

pub(crate) fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// Runs a command that must succeed; returns what it printed.
pub(crate) async fn done(args: &[&str]) -> String {
    let output = run(args).await;
    assert!(output.status.success(), "{args:?}: {}", complaint(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail; returns its complaint.
pub(crate) async fn refused(args: &[&str]) -> String {
    let output = run(args).await;
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    complaint(&output)
}

/// The digests that `store verify` prints, of the state and of the journal.
pub(crate) async fn digests(store: &str) -> (String, String) {
    let report = done(&["store", "verify", "--store", store]).await;
    let line = |name| report.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{report}"));
    (line("state sha256:").to_owned(), line("journal sha256:").to_owned())
}

/// Everything that a reader sees, except the identity of the store.
pub(crate) async fn answers(client: &Client, paths: &[&str]) -> Vec<(String, Option<String>)> {
    let mut answers = Vec::new();
    for path in paths {
        let reply = client.get(path).send().await;
        // The next step names the hosts from which a process has heard, and a new process has heard from none.
        let without = |text: &str| text.replace(reply.store(), "<store>").replace(", only at h;", ";");
        answers.push((without(reply.text()), reply.header("etag").map(without)));
    }
    answers
}

pub(crate) const PRESENT: &[&str] = &[
    "/plugins",
    "/resources",
    "/stats",
    "/categories",
    "/budgets",
    "/plugins/transcription_whisper",
    "/plugins/finetuning_trainer",
];
pub(crate) const PAST: &[&str] = &[
    "/events",
    "/plugins/transcription_whisper/history",
    "/plugins?as_of=2",
    "/stats?as_of=7",
    "/plugins?active=true&as_of=4",
    "/plugins/transcription_whisper?as_of=11",
    "/resources?as_of=11",
];

#[tokio::test]
async fn a_moved_registry_is_unchanged() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let file = folder.path().join("registry.ndjson");
    let file = file.to_str().unwrap();
    let daemon = Daemon::start(&from).await;
    furnish(&daemon.client()).await;
    let (present, past) = (answers(&daemon.client(), PRESENT).await, answers(&daemon.client(), PAST).await);
    let held = lease(&daemon.client()).await;
    daemon.stop().await;
    let whole = digests(&url(&from)).await;

    done(&["export", "--store", &url(&from), "--with-configs", "--with-history", "--output", file]).await;
    let said = done(&["import", "--store", &url(&to), "--input", file]).await;
    assert!(said.contains(&format!("imported revision {FURNISHED}")), "{said}");
    assert_eq!(digests(&url(&to)).await, whole);
    let moved = Daemon::start(&to).await;
    assert_eq!(answers(&moved.client(), PRESENT).await, present);
    assert_eq!(answers(&moved.client(), PAST).await, past);
    assert_eq!(lease(&moved.client()).await, held);
    let config = moved.client().get("/plugins/transcription_whisper/config").answers(200).await;
    assert_eq!(config.text(), r#"{"token":"canary-config","n":1}"#);
    assert_eq!(moved.client().register(&named("c", "next")).await.revision(), FURNISHED + 1);
    moved.stop().await;

    // A second import fails: the store is not empty.
    let complaint = refused(&["import", "--store", &url(&to), "--input", file]).await;
    assert!(complaint.contains("the store is not empty"), "{complaint}");
}

#[tokio::test]
async fn an_export_without_history_begins_at_the_head() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let file = folder.path().join("registry.ndjson");
    let file = file.to_str().unwrap();
    let daemon = Daemon::start(&from).await;
    furnish(&daemon.client()).await;
    let present = answers(&daemon.client(), PRESENT).await;
    // While the server runs.
    done(&["export", "--store", &url(&from), "--output", file, "--with-configs"]).await;
    daemon.stop().await;
    done(&["import", "--store", &url(&to), "--input", file]).await;
    assert_eq!(digests(&url(&to)).await.0, digests(&url(&from)).await.0);
    let moved = Daemon::start(&to).await;
    let client = moved.client();
    assert_eq!(answers(&client, PRESENT).await, present);
    client.get(&format!("/events?after={}", FURNISHED - 1)).refused(410).await;
    client.get(&format!("/plugins?as_of={}", FURNISHED - 1)).refused(410).await;
    assert_eq!(client.get(&format!("/plugins?as_of={FURNISHED}")).answers(200).await.items().len(), 3);
    // The plugin's state before the next change is known.
    client.patch("/plugins/transcription_whisper", &json!({"title": "New"})).answers(200).await;
    let event = client.get(&format!("/events?after={FURNISHED}")).answers(200).await.items().remove(0);
    assert_eq!(event["data"]["changed"]["title"], json!({"before": "Title", "after": "New"}), "{event}");
    let prior = client.get(&format!("/plugins/transcription_whisper?as_of={FURNISHED}")).answers(200).await.json();
    assert_eq!((&prior["title"], &prior["observed"]["alive"]), (&json!("Title"), &json!(1)));
    // The lease that held it is known, too, and its state before the event.
    let held = lease(&client).await;
    client.delete(&format!("/leases/{}", held["lease_id"].as_str().unwrap())).answers(204).await;
    let event = client.get(&format!("/events?after={}", FURNISHED + 1)).answers(200).await.items().remove(0);
    assert_eq!(event["type"], "lease.released", "{event}");
    moved.stop().await;
    done(&["store", "verify", "--store", &url(&to)]).await;
}

#[tokio::test]
async fn configurations_and_webhooks_are_exported_only_on_request() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("from.db");
    let daemon = Daemon::start(&store).await;
    furnish(&daemon.client()).await;
    let hook =
        json!({"url": "https://hooks.example.com/canary-hook", "secret": "whsec_Y2FuYXJ5LXNlY3JldC1jYW5hcnktc2VjcmV0"});
    daemon.client().post("/webhooks", &hook).answers(201).await;
    daemon.stop().await;
    let bare = done(&["export", "--store", &url(&store)]).await;
    assert!(!bare.contains("canary"), "{bare}");
    let whole = done(&["export", "--store", &url(&store), "--with-configs", "--with-history"]).await;
    assert!(whole.contains("canary-config") && !whole.contains("canary-hook") && !whole.contains("whsec_"), "{whole}");
    let alone = run(&["export", "--store", &url(&store), "--with-history"]).await;
    assert!(complaint(&alone).contains("--with-configs"), "{}", complaint(&alone));
    // Only the owner can read a file with configurations.
    let file = folder.path().join("registry.ndjson");
    done(&["export", "--store", &url(&store), "--with-configs", "--output", file.to_str().unwrap()]).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_incomplete_archive_is_refused_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let file = folder.path().join("registry.ndjson");
    let daemon = Daemon::start(&from).await;
    furnish(&daemon.client()).await;
    daemon.stop().await;
    let archive = done(&["export", "--store", &url(&from)]).await;
    for (altered, what) in [
        (archive[..archive.len() / 2].to_owned(), "it ends before its last line"),
        (archive.replace("Trainer", "Tamperer"), "its digest differs"),
        ("{\"name\": \"x\"}\n".to_owned(), "does not belong to an archive"),
    ] {
        std::fs::write(&file, altered).unwrap();
        let complaint = refused(&["import", "--store", &url(&to), "--input", file.to_str().unwrap()]).await;
        assert!(complaint.contains("nothing was imported") && complaint.contains(what), "{complaint}");
        assert!(!to.exists(), "a failed import leaves no empty store");
    }
    for command in [&["export"][..], &["store", "verify"]] {
        let missing = url(&folder.path().join("missing.db"));
        let complaint = refused(&[command, &["--store", &missing]].concat()).await;
        assert!(complaint.contains("there is no store"), "{complaint}");
        let complaint = refused(&[command, &["--store", "memory"]].concat()).await;
        assert!(complaint.contains("is always empty"), "{complaint}");
    }
    assert!(!folder.path().join("missing.db").exists());
}

/// An export during writes is of one revision: change `n` registered plugin `n`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_while_a_server_writes_is_one_revision() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("from.db");
    let daemon = Daemon::start(&store).await;
    let client = daemon.client();
    let (said, heard) = tokio::sync::oneshot::channel();
    let (enough, mut stop) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut said = Some(said);
        let mut n = 0;
        while stop.try_recv().is_err() {
            n += 1;
            assert_eq!(client.register(&named("c", &format!("{n:06}"))).await.revision(), n);
            if n == 20
                && let Some(said) = said.take()
            {
                said.send(()).unwrap();
            }
        }
        n
    });
    within_patience("the first writes", heard).await.unwrap();
    let mut heads = Vec::new();
    for _ in 0..3 {
        let archive = done(&["export", "--store", &url(&store), "--with-configs", "--with-history"]).await;
        let told = blocking(move || Told::by(read(archive.as_bytes()).unwrap())).await;
        let revision = told.snapshot.state.revision();
        assert_eq!(told.rows.len() as u64, revision.0);
        let names: Vec<_> = told.snapshot.state.plugins().keys().map(ToString::to_string).collect();
        assert_eq!(names, (1..=revision.0).map(|n| format!("c_{n:06}")).collect::<Vec<_>>());
        heads.push(revision);
    }
    enough.send(()).unwrap();
    let written = writing.await.unwrap();
    assert!(heads.is_sorted() && heads[0] >= Revision(20) && heads[2] <= Revision(written), "{heads:?} of {written}");
    daemon.stop().await;
}

#[rstest]
#[case::document(
    "UPDATE plugins SET document = replace(document, 'Trainer', 'Tamperer')",
    "finetuning_trainer differs from its change 1"
)]
#[case::config(
    "UPDATE plugins SET config = '{}' WHERE unique_id = 'transcription_whisper'",
    "configuration of the plugin transcription_whisper"
)]
#[case::lost("DELETE FROM plugins WHERE unique_id = 'transcription_whisper'", "transcription_whisper is not stored")]
#[case::category("UPDATE categories SET display_name = 'Other'", "the name of the category transcription")]
#[case::lease("UPDATE leases SET document = replace(document, 'active', 'lost')", "differs from its changes")]
#[case::no_lease("DELETE FROM leases", "the lease ")]
#[case::observed(
    "UPDATE plugins SET observed = replace(observed, 'alive', 'gone')",
    "the holdings of the plugin transcription_whisper"
)]
#[case::seen("UPDATE changes SET observed = NULL WHERE revision = 11", "change 11 is wrong about the holdings")]
#[case::granted(
    "UPDATE changes SET detail = replace(detail, 'active', 'lost') WHERE revision = 9",
    "change 9 is wrong about its lease"
)]
#[case::gap("DELETE FROM changes WHERE revision = 4", "damaged")]
#[case::head("UPDATE registry SET head_at = head_at + 1", "the head was made at")]
#[tokio::test]
async fn verify_reports_the_first_difference(#[case] tampering: &'static str, #[case] what: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let daemon = Daemon::start(&path).await;
    furnish(&daemon.client()).await;
    daemon.stop().await;
    done(&["store", "verify", "--store", &url(&path)]).await;
    assert!(Connection::open(&path).unwrap().execute(tampering, []).unwrap() > 0);
    let complaint = refused(&["store", "verify", "--store", &url(&path)]).await;
    assert!(complaint.contains("is not right") && complaint.contains(what), "{complaint}");
}
