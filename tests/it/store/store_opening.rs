//! The start refuses files that are not the registry's: a clear message, exit code 1, and no change to the file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Daemon, Server, blocking, minimal, named};

/// Starts on `store`, which must fail; returns the message.
async fn refused(store: &Path) -> String {
    let mut command = binary();
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", &format!("sqlite:{}", store.display())]);
    told(command, store).await
}

/// As [`refused`], as a user without permissions (root ignores read-only files).
async fn refused_as_nobody(store: &Path) -> String {
    // A copy, because other users may not be able to enter the folder of the binary.
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("plugin-registry");
    fs::copy(env!("CARGO_BIN_EXE_plugin-registry"), &copy).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(copy).env_clear();
    command.env("PATH", "/usr/bin:/bin");
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", &format!("sqlite:{}", store.display())]);
    told(command, store).await
}

async fn told(command: std::process::Command, store: &Path) -> String {
    let output = finish(command).await;
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "it does not say that it listens");
    let folder = store.parent().unwrap_or(store);
    assert!(said.contains(&*folder.to_string_lossy()), "the message names the path: {said}");
    assert!(said.lines().count() < 12, "no backtrace: {said}");
    said
}

fn in_folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    (folder, store)
}

/// A closed store with some plugins.
async fn a_store() -> (TempDir, PathBuf) {
    let server = Server::in_file().await;
    let lines: String = (0..300).map(|n| named("c", &format!("{n}-{}", "x".repeat(200))).to_string() + "\n").collect();
    server.client().import(lines).await;
    let path = server.store_path();
    (server.stop().await.unwrap(), path)
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    for setup in [
        "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x')",
        "PRAGMA application_id = 252006673; CREATE TABLE x (y)",
        "PRAGMA application_id = 252006673",
        "PRAGMA journal_mode = WAL; CREATE TABLE registry (id INTEGER)",
    ] {
        let (_folder, store) = in_folder();
        Connection::open(&store).unwrap().execute_batch(setup).unwrap();
        let before = fs::read(&store).unwrap();
        let said = refused(&store).await;
        assert!(said.contains("another program"), "{said}");
        assert_eq!(fs::read(&store).unwrap(), before, "it was not touched");
    }
}

#[tokio::test]
async fn a_store_of_a_newer_version() {
    let (_folder, store) = a_store().await;
    Connection::open(&store).unwrap().execute_batch("PRAGMA user_version = 999").unwrap();
    let before = fs::read(&store).unwrap();
    let said = refused(&store).await;
    assert!(said.contains("newer") && said.contains("999"), "{said}");
    assert_eq!(fs::read(&store).unwrap(), before, "it was not touched");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused() {
    for content in [&b"x"[..], b"# notes\n", &[0x5a; 5000], b"SQLite format 3\0 but no more"] {
        let (folder, store) = in_folder();
        fs::write(&store, content).unwrap();
        let said = refused(&store).await;
        assert!(said.contains("not a SQLite database") || said.contains("damaged"), "{said}");
        assert_eq!(fs::read(&store).unwrap(), content, "it was not touched");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was left beside it");
    }
}

#[tokio::test]
async fn a_damaged_store() {
    let (_folder, store) = a_store().await;
    let whole = fs::read(&store).unwrap();
    assert!(whole.len() > 40 * 4096, "{} bytes", whole.len());
    let mut damages = vec![
        ("cut short", whole[..whole.len() / 2].to_vec()),
        ("without its last page", whole[..whole.len() - 4096].to_vec()),
    ];
    for page in [1, 5, 20, whole.len() / 4096 - 1] {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0xa5);
        damages.push(("with a page of noise", damaged));
    }
    let mut header = whole.clone();
    header[16..100].fill(0xff);
    damages.push(("with a broken header", header));
    for (what, damaged) in damages {
        fs::write(&store, damaged).unwrap();
        let said = refused(&store).await;
        assert!(said.contains("damaged") || said.contains("not a SQLite database"), "{what}: {said}");
    }
    fs::write(&store, whole).unwrap();
    Daemon::start(&store).await.stop().await;
}

#[tokio::test]
async fn an_inconsistent_store_is_refused() {
    for (damage, told) in [
        ("UPDATE registry SET head = head + 1", "head"),
        ("DELETE FROM changes WHERE revision = 300", "head"),
        ("UPDATE plugins SET document = '{' WHERE revision = 1", "damaged"),
        ("UPDATE plugins SET config = '{' WHERE revision = 1", "damaged"),
        ("UPDATE plugins SET created_at = 9223372036854775807 WHERE revision = 1", "damaged"),
        ("DELETE FROM registry", ""),
    ] {
        let (_folder, store) = a_store().await;
        Connection::open(&store).unwrap().execute_batch(damage).unwrap();
        let said = refused(&store).await;
        assert!(said.contains(told), "{damage}: {said}");
    }
}

#[tokio::test]
async fn a_gap_in_the_journal_is_refused() {
    let (_folder, store) = a_store().await;
    Connection::open(&store).unwrap().execute_batch("DELETE FROM changes WHERE revision = 150").unwrap();
    let said = refused(&store).await;
    assert!(said.contains("damaged"), "{said}");
}

#[tokio::test]
async fn a_folder_or_a_path_in_a_missing_folder_is_refused() {
    let (folder, store) = in_folder();
    assert!(refused(folder.path()).await.contains("is a folder"));
    let missing = folder.path().join("not/there/registry.db");
    let said = refused(&missing).await;
    assert!(said.contains("does not exist"), "{said}");
    fs::write(&store, "").unwrap();
    let said = refused(&store.join("registry.db")).await;
    assert!(said.contains("folder"), "{said}");
    assert!(!folder.path().join("not").exists(), "it makes no folders");
}

#[tokio::test]
async fn a_read_only_folder_is_refused() {
    let (folder, store) = in_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let said = refused_as_nobody(&store).await;
    assert!(said.contains("permission") || said.contains("cannot be written"), "{said}");
}

#[tokio::test]
async fn a_store_in_a_read_only_folder_is_refused() {
    let (folder, store) = a_store().await;
    fs::set_permissions(&store, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let before = fs::read(&store).unwrap();
    let said = refused_as_nobody(&store).await;
    assert!(said.contains("permission") || said.contains("cannot be written"), "{said}");
    assert_eq!(fs::read(&store).unwrap(), before, "it was not touched");
}

#[tokio::test]
async fn a_read_only_store_is_refused() {
    let (folder, store) = a_store().await;
    fs::set_permissions(&store, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let said = refused_as_nobody(&store).await;
    assert!(said.contains("permission") || said.contains("cannot be written"), "{said}");
}

#[tokio::test]
async fn an_unreadable_store_is_refused() {
    let (folder, store) = a_store().await;
    fs::set_permissions(&store, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let said = refused_as_nobody(&store).await;
    assert!(said.contains("permission"), "{said}");
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let (_folder, store) = in_folder();
    fs::write(&store, "").unwrap();
    let daemon = Daemon::start(&store).await;
    daemon.client().register(&minimal()).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_in_memory_keeps_nothing() {
    let (folder, _) = in_folder();
    for _ in 0..2 {
        let mut command = binary();
        command.current_dir(folder.path()).args(["--listen", "127.0.0.1:0", "--store", "memory"]);
        let daemon = Daemon::spawn(command).await;
        assert_eq!(daemon.client().register(&minimal()).await.revision(), 1);
        daemon.stop().await;
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn concurrent_starts_on_a_new_store_all_succeed_and_agree() {
    use plugin_registry::store::Journal as _;
    use plugin_registry::store::sqlite::SqliteJournal;
    for _ in 0..8 {
        let (_folder, store) = in_folder();
        let start = std::sync::Arc::new(std::sync::Barrier::new(6));
        let openings: Vec<_> = (0..6)
            .map(|_| {
                let (store, start) = (store.clone(), start.clone());
                blocking(move || {
                    start.wait();
                    SqliteJournal::open(&store).map(|mut journal| journal.load().expect("it can be read").store)
                })
            })
            .map(tokio::spawn)
            .collect();
        let mut stores = Vec::new();
        for opening in openings {
            stores.push(opening.await.unwrap().unwrap_or_else(|error| panic!("{}", error.chain())));
        }
        stores.dedup();
        assert_eq!(stores.len(), 1, "one identity: {stores:?}");
    }
}
