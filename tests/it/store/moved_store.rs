//! A store whose files are moved, removed or replaced while a server has them open, and the next start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::process::{complaint, run};
use crate::harness::{Client, Daemon, named, within_patience};
use crate::store::moving::url;

fn in_folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    (folder, store)
}

fn beside(store: &Path, suffix: &str) -> PathBuf {
    store.with_file_name(format!("registry.db{suffix}"))
}

/// Another closed store of the same program.
async fn another(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("other.db");
    let other = Daemon::start(&path).await;
    other.client().register(&named("c", "of-the-other")).await;
    other.stop().await;
    path
}

/// Waits until `/readyz` reports it.
async fn becomes(client: &Client, status: &str) {
    let asked = async { while client.get("/readyz").answers(200).await.json()["status"] != status {} };
    within_patience("the state of the store is noticed", asked).await;
}

#[rstest]
#[case::moved("")]
#[case::without_its_log("-wal")]
#[case::without_the_index_of_its_log("-shm")]
#[tokio::test]
async fn writes_were_acknowledged_into_a_file_that_had_been_moved_away(#[case] suffix: &str) {
    let (folder, store) = in_folder();
    let daemon = Daemon::start(&store).await;
    daemon.client().register(&named("c", "before")).await;
    let (file, away) = (beside(&store, suffix), folder.path().join("away"));
    fs::rename(&file, &away).unwrap();
    let refused = daemon.client().post("/plugins", &named("c", "into-nowhere")).refused(503).await;
    assert!(refused.detail().contains("moved, removed or replaced"), "{}", refused.detail());
    daemon.client().post("/webhooks", &serde_json::json!({"url": "https://hooks.example/"})).refused(503).await;
    // Reads continue from memory, and valid tokens stay valid.
    daemon.client().get("/plugins/c_before").answers(200).await;
    daemon.has_logged(file.to_str().unwrap()).await;
    // The same file is back in its place, and the server continues.
    fs::rename(&away, &file).unwrap();
    becomes(&daemon.client(), "ready").await;
    daemon.client().register(&named("c", "after")).await;
    daemon.stop().await;
    let again = Daemon::start(&store).await;
    let items = again.client().get("/plugins").answers(200).await.items();
    assert_eq!(items.iter().map(|item| item["name"].as_str().unwrap()).collect::<Vec<_>>(), ["after", "before"]);
    again.stop().await;
}

#[tokio::test]
async fn a_store_that_was_replaced_is_not_mixed_with_the_one_that_was_opened() {
    let (folder, store) = in_folder();
    let other = another(&folder).await;
    let daemon = Daemon::start(&store).await;
    daemon.client().register(&named("c", "mine")).await;
    fs::rename(&other, &store).unwrap();
    daemon.client().post("/plugins", &named("c", "late")).refused(503).await;
    // Reads of the journal, which go past memory, do not read the other store.
    let history = daemon.client().get("/events").send().await;
    assert!(!history.text().contains("of-the-other"), "{}", history.text());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit().await.0.code(), Some(0));
}

#[tokio::test]
async fn an_idle_server_said_nothing_of_a_store_that_was_gone() {
    let (_folder, store) = in_folder();
    let daemon = Daemon::start(&store).await;
    becomes(&daemon.client(), "ready").await;
    fs::remove_file(&store).unwrap();
    let removed = tokio::time::Instant::now();
    becomes(&daemon.client(), "read_only").await;
    let noticed = removed.elapsed();
    // The writer checks every half second; the rest is for a busy machine.
    assert!(noticed < Duration::from_secs(3), "{noticed:?}");
    daemon.has_logged("was moved or removed").await;
    daemon.signal(Signal::KILL);
    daemon.exit().await;
}

#[rstest]
#[case::of_a_server_that_was_killed(true)]
#[case::and_an_empty_file(false)]
#[tokio::test]
async fn an_empty_store_was_made_beside_a_log_and_the_log_was_deleted(#[case] is_moved: bool) {
    let (folder, store) = in_folder();
    let daemon = Daemon::start(&store).await;
    daemon.client().register(&named("c", "in-the-log")).await;
    daemon.signal(Signal::KILL);
    daemon.exit().await;
    let (log, away) = (beside(&store, "-wal"), folder.path().join("away"));
    let committed = fs::read(&log).unwrap();
    assert!(!committed.is_empty());
    fs::rename(&store, &away).unwrap();
    if !is_moved {
        fs::write(&store, "").unwrap();
    }
    let commands: [&[&str]; 3] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["token", "create", "--new", "--name", "n", "--role", "admin"],
        &["import", "--input", "/dev/null"],
    ];
    for command in commands {
        let output = run(&[command, &["--store", &url(&store)]].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", complaint(&output));
        assert!(complaint(&output).contains("registry.db-wal"), "{command:?}: {}", complaint(&output));
        assert_eq!(fs::read(&log).unwrap(), committed, "{command:?}");
    }
    fs::rename(&away, &store).unwrap();
    let again = Daemon::start(&store).await;
    again.client().get("/plugins/c_in-the-log").answers(200).await;
    again.stop().await;
}
