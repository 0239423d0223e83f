//! This version reads the stores of earlier versions. `tests/upgrades/` has stores of killed processes of these
//! versions, with the responses that they gave. `tests/upgrades/make` makes one before each migration.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::server::Setup;
use crate::harness::{Durable, blocking};
use crate::store::moving::{done, refused, url};
use plugin_registry::clock::ManualClock;

/// Fields that depend on the time of the request, or are prose.
const OF_THE_MOMENT: &[&str] =
    &["renewed_at", "expires_at", "spent", "spent_percent", "burn_usd_per_hour", "evidence", "next_step"];

/// The leftovers of a version.
struct Fixture {
    folder: PathBuf,
    schema: u64,
}

/// The responses of that version.
struct Told {
    store: String,
    revision: u64,
    etag: String,
    at: Timestamp,
    answers: serde_json::Map<String, Value>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades");
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut fixtures: Vec<_> = folders
        .map(|folder| {
            let about: Value = serde_json::from_reader(File::open(folder.join("about.json")).unwrap()).unwrap();
            Fixture { folder, schema: about["schema"].as_u64().unwrap() }
        })
        .collect();
    fixtures.sort_by_key(|fixture| fixture.schema);
    fixtures
}

impl Fixture {
    fn unpacked(&self, name: &str) -> Vec<u8> {
        let mut content = Vec::new();
        GzDecoder::new(File::open(self.folder.join(name)).unwrap()).read_to_end(&mut content).unwrap();
        content
    }

    /// The store and its responses; `None` if that version did not support this kind of store.
    fn laid_out(&self) -> Option<(Durable, Told)> {
        let script = self.folder.join("postgres.sql.gz").exists().then(|| self.unpacked("postgres.sql.gz"));
        let script = script.map(|script| String::from_utf8(script).unwrap());
        let sqlite = [self.unpacked("registry.db.gz"), self.unpacked("registry.db-wal.gz")];
        let store = Durable::left_by([&sqlite[0], &sqlite[1]], script.as_deref())?;
        let told = match store {
            Durable::Sqlite(_) => "sqlite.json.gz",
            Durable::Postgres(_) => "postgres.json.gz",
        };
        let told: Value = serde_json::from_slice(&self.unpacked(told)).unwrap();
        let text = |field: &str| told[field].as_str().unwrap().to_owned();
        let told = Told {
            store: text("store"),
            revision: told["revision"].as_u64().unwrap(),
            etag: text("etag"),
            at: text("at").parse().unwrap(),
            answers: told["answers"].as_object().unwrap().clone(),
        };
        Some((store, told))
    }
}

/// Whether `new` has everything that `old` had; a newer version may add fields.
#[track_caller]
fn assert_covers(place: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, was) in old.iter().filter(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str())) {
                let is = new.get(name).unwrap_or_else(|| panic!("{place}: {name} is gone"));
                assert_covers(&format!("{place}/{name}"), was, is);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(old.len(), new.len(), "{place}");
            for (index, (was, is)) in old.iter().zip(new).enumerate() {
                assert_covers(&format!("{place}/{index}"), was, is);
            }
        }
        _ => assert_eq!(old, new, "{place}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_of_earlier_versions_are_read() {
    let mut schemas = Vec::new();
    for fixture in fixtures() {
        let Some((store, told)) = blocking({
            let fixture = Fixture { folder: fixture.folder.clone(), schema: fixture.schema };
            move || fixture.laid_out()
        })
        .await
        else {
            continue;
        };
        schemas.push(fixture.schema);
        is_read(fixture.schema, store, &told).await;
    }
    assert!(schemas.len() >= 2, "fixtures of the schemas {schemas:?}");
}

async fn is_read(schema: u64, store: Durable, told: &Told) {
    let clock = Arc::new(ManualClock::new(told.at.checked_add(SignedDuration::from_secs(1)).unwrap()));
    let journal = blocking({
        let url = store.url();
        move || url.open().unwrap()
    })
    .await;
    let server = Setup { journal, clock, ..Setup::in_memory() }.start().await;
    let client = server.client();
    for (path, answer) in &told.answers {
        let reply = client.get(path).answers(200).await;
        assert_eq!(reply.store(), told.store, "{path}");
        assert!(path.contains("as_of=") || reply.revision() == told.revision, "{path}");
        // As text, which keeps every digit.
        let was: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
        assert_covers(&format!("schema {schema}: {path}"), &was, &reply.json());
    }
    // Clients resume where they stopped.
    if told.answers.contains_key("/events?limit=1000") {
        let id = format!("{}-{}", told.store, told.revision - 1);
        let mut events = client.get("/events").header("last-event-id", id).opens().await;
        assert_eq!(events.next().await.unwrap().revision(), told.revision);
    }
    let title = json!({"title": "Newer"});
    let changed = client.patch("/plugins/finetuning_trainer", &title).header("if-match", &told.etag).answers(200).await;
    assert_eq!(changed.revision(), told.revision + 1);
    client.patch("/plugins/finetuning_trainer", &title).header("if-match", &told.etag).refused(412).await;
    if told.answers.contains_key("/plugins/c_with%20a%20key") {
        // Exactly as tests/upgrades/fill.py sent it.
        let body =
            r#"{"category": "c", "name": "with a key", "title": "With A Key", "config_schema": {"type": "object"}}"#;
        let call = client.request(Method::POST, "/plugins").header("idempotency-key", "\"upgrade\"");
        let again = call.body("application/json", body).answers(201).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    let pids = json!({"spawned_pids": [3]});
    client.put("/plugins/finetuning_trainer/spawned_pids", &pids).answers(200).await;
    client.put("/categories/c", &json!({"display_name": "Again"})).answers(200).await;
    server.stop().await;
    let store_url = store.url().to_string();
    // The URL in responses hides the password, and needs none here.
    let verified = done(&["store", "verify", "--store", &store_url]).await;
    assert!(verified.contains(&format!("revision {}", told.revision + 3)), "schema {schema}: {verified}");
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("registry.backup");
    done(&["backup", backup.to_str().unwrap(), "--store", &store_url]).await;
    done(&["restore", backup.to_str().unwrap(), "--store", &url(&folder.path().join("restored.db"))]).await;
}

/// The operator who makes a backup before an upgrade wants an unchanged store.
#[tokio::test]
async fn a_backup_does_not_upgrade_the_store() {
    let oldest = fixtures().remove(0);
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let content = [oldest.unpacked("registry.db.gz"), oldest.unpacked("registry.db-wal.gz")];
    std::fs::write(&store, &content[0]).unwrap();
    std::fs::write(folder.path().join("registry.db-wal"), &content[1]).unwrap();
    let backup = folder.path().join("registry.backup");
    let complaint = refused(&["backup", backup.to_str().unwrap(), "--store", &url(&store)]).await;
    assert!(complaint.contains("was written by an earlier plugin-registry (schema 1;"), "{complaint}");
    assert!(!backup.exists());
    assert_eq!(std::fs::read(&store).unwrap(), content[0]);
    assert_eq!(std::fs::read(folder.path().join("registry.db-wal")).unwrap(), content[1]);
}

/// An older version cannot read a newer store, and refuses it.
#[test]
fn every_kind_of_store_of_a_newer_version_is_refused() {
    let store = Durable::fresh();
    let mut journal = store.open();
    journal.load().unwrap();
    journal.close();
    drop(journal);
    store.mark_as_newer();
    let opened = store.url().open().and_then(|mut journal| journal.load());
    let refused = opened.expect_err("it is newer").chain();
    assert!(refused.contains("newer plugin-registry (schema 999;") && refused.contains("start the newer"), "{refused}");
    let mut nothing = |_| Ok(());
    let read = store.url().open_history().and_then(|history| history.dump(&mut nothing));
    assert!(read.expect_err("it is newer").chain().contains("schema 999"));
}
