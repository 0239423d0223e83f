//! The contract of every webhook store, tested on each of them.

use jiff::Timestamp;
use rstest::rstest;
use tempfile::TempDir;

use domain::Revision;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::store::webhooks::DeliveryProgress;
use plugin_registry::store::{Journal, KeptWebhook};

fn in_memory(_: &TempDir) -> Box<dyn Journal> {
    Box::new(MemoryJournal::new())
}

fn in_a_file(folder: &TempDir) -> Box<dyn Journal> {
    Box::new(SqliteJournal::open(&folder.path().join("registry.db")).unwrap())
}

fn webhook(id: &str) -> KeptWebhook {
    let progress = DeliveryProgress { position: Revision(3), ..DeliveryProgress::default() };
    KeptWebhook { id: id.into(), document: "{\"é\":1.50}".into(), secret: "whsec_x".into(), progress }
}

fn eventful() -> DeliveryProgress {
    let time = |micros: i64| Some(Timestamp::from_microsecond(1_800_000_000_000_000 + micros).unwrap());
    DeliveryProgress {
        position: Revision(1 << 40),
        failures: u32::MAX,
        first_failed_at: time(1),
        next_attempt_at: time(2),
        last_error: Some("no answer".into()),
        last_status: Some(599),
        last_delivered_at: time(3),
        parked_at: time(4),
    }
}

#[rstest]
#[case::memory(in_memory)]
#[case::sqlite(in_a_file)]
fn a_webhook_is_listed_until_its_deletion(#[case] open: fn(&TempDir) -> Box<dyn Journal>) {
    let folder = TempDir::new().unwrap();
    let mut journal = open(&folder);
    let store = journal.webhooks();
    assert_eq!(store.list().unwrap(), []);
    store.put(&webhook("b")).unwrap();
    store.put(&webhook("a")).unwrap();
    assert_eq!(store.list().unwrap(), [webhook("a"), webhook("b")]);
    let changed = KeptWebhook { document: "{}".into(), secret: "whsec_y".into(), progress: eventful(), ..webhook("a") };
    store.put(&changed).unwrap();
    assert_eq!(store.list().unwrap(), [changed.clone(), webhook("b")]);
    store.delete("b").unwrap();
    store.delete("never").unwrap();
    assert_eq!(store.list().unwrap(), [changed]);
    journal.close();
}

#[rstest]
#[case::memory(in_memory)]
#[case::sqlite(in_a_file)]
fn saved_progress_does_not_restore_a_deleted_webhook(#[case] open: fn(&TempDir) -> Box<dyn Journal>) {
    let folder = TempDir::new().unwrap();
    let mut journal = open(&folder);
    let store = journal.webhooks();
    store.put(&webhook("a")).unwrap();
    store.set_progress("a", &eventful()).unwrap();
    assert_eq!(store.list().unwrap(), [KeptWebhook { progress: eventful(), ..webhook("a") }]);
    store.set_progress("a", &DeliveryProgress::default()).unwrap();
    store.delete("a").unwrap();
    store.set_progress("a", &eventful()).unwrap();
    assert_eq!(store.list().unwrap(), []);
    journal.close();
}

#[test]
fn a_file_keeps_webhooks_and_closes_with_its_journal() {
    let folder = TempDir::new().unwrap();
    let mut journal = in_a_file(&folder);
    let store = journal.webhooks();
    store.put(&webhook("a")).unwrap();
    journal.close();
    assert!(store.list().is_err() && store.set_progress("a", &eventful()).is_err(), "it is closed for good");
    drop(journal);
    assert!(!folder.path().join("registry.db-wal").exists(), "a clean stop leaves one file");
    let mut journal = in_a_file(&folder);
    assert_eq!(journal.webhooks().list().unwrap(), [webhook("a")]);
    journal.close();
}
