//! The file of `--store` in each spelling, and who may read it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::process::{binary, complaint, finish};
use crate::harness::{Daemon, minimal};

/// The files of a folder, with their modes.
fn files(folder: &Path) -> Vec<(String, u32)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let entries = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777))
        .collect();
    files.sort();
    files
}

/// Serves a store by this spelling, in a folder.
async fn serving(folder: &Path, store: &str) -> Daemon {
    let mut command = binary();
    command.current_dir(folder).args(["--listen", "127.0.0.1:0", "--store", store]);
    Daemon::spawn(command).await
}

/// The inputs that all parts of this project must handle.
fn cases(of: &str) -> Vec<Value> {
    let text = include_str!("store_url/cases.json");
    serde_json::from_str::<Value>(text).unwrap()[of].as_array().unwrap().clone()
}

#[tokio::test]
async fn another_file_than_meant_was_opened() {
    for case in cases("store_urls") {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("abs");
        fs::create_dir(&folder).unwrap();
        let sent = case["sent"].as_str().unwrap().replace("/abs", folder.to_str().unwrap());
        let daemon = serving(&folder, &sent).await;
        daemon.client().register(&minimal()).await;
        daemon.stop().await;
        assert!(case["right"].as_str().unwrap().contains("r.db"));
        assert_eq!(files(&folder), [("r.db".to_owned(), 0o600)], "{sent}");
    }
}

#[rstest]
#[case("sqlite:file:r.db", "`sqlite:r.db`")]
#[case("sqlite:///r.db", "`sqlite:r.db`")]
#[case("sqlite::memory:", "`memory`")]
#[case("sqlite:r.db?mode=ro", "mode=rwc")]
#[case("sqlite+aiosqlite:///r.db", "`sqlite:PATH`")]
#[case("file:r.db", "`sqlite:PATH`")]
#[tokio::test]
async fn a_url_that_names_no_store_of_ours_is_refused_with_the_right_one(#[case] store: &str, #[case] told: &str) {
    let folder = TempDir::new().unwrap();
    let mut command = binary();
    command.current_dir(folder.path()).args(["--listen", "127.0.0.1:0", "--store", store]);
    let output = finish(command).await;
    assert_eq!(output.status.code(), Some(2), "{}", complaint(&output));
    assert!(complaint(&output).contains(told), "{}", complaint(&output));
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_file_of_the_store_could_be_read_by_all() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    // As an operator or an earlier version left it.
    fs::write(&store, "").unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o666)).unwrap();
    let is_private = |files: Vec<(String, u32)>| files.iter().all(|(_, mode)| *mode == 0o600);
    for _ in 0..2 {
        let daemon = Daemon::start(&store).await;
        daemon.client().post("/plugins", &minimal()).send().await;
        let now = files(folder.path());
        let names: Vec<_> = now.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"registry.db-wal") && names.contains(&"registry.db-shm"), "{names:?}");
        assert!(is_private(now.clone()), "{now:?}");
        // The next server removes other users' access to the files of a killed server.
        daemon.signal(rustix::process::Signal::KILL);
        daemon.exit().await;
        for (name, _) in now {
            let file = folder.path().join(name);
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
    let daemon = Daemon::start(&store).await;
    assert!(is_private(files(folder.path())), "{:?}", files(folder.path()));
    let log = daemon.end().await;
    assert!(log.contains("0600"), "{log}");
    assert_eq!(files(folder.path()), [("registry.db".to_owned(), 0o600)]);
}
