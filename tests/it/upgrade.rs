//! A store that an earlier version has written.

use plugin_registry::registry::history::ChangeRange;
use plugin_registry::registry::lease::LeaseAct;
use plugin_registry::registry::{Change, Event, LeaseId, LeaseTerms, Revision};
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::store::{Batch, Journal as _};
use rusqlite::{Connection, params};

/// The schema as the first version made it.
const FIRST: &str = include_str!("../../migrations/sqlite/0001_registry.sql");

fn document(name: &str, pids: &str) -> String {
    format!(
        r#"{{"name":"{name}","category":"c","title":"T","config_schema":{{}},"description":null,"version":null,
            "is_configured":false,"execution_mode":"in_process","manages_child_processes":false,
            "manages_external_resources":false,"spawned_pids":[{pids}],"container_id":null,"conda_env_name":null,
            "remote_resource":null,"host":null,"labels":{{}},"lease_id":null}}"#
    )
}

#[test]
fn a_store_of_the_first_schema_is_brought_to_the_newest_with_its_history() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch(FIRST).unwrap();
    file.pragma_update(None, "application_id", 0x7052_6567).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    let changes = [
        (1, 10, "plugin.registered", "c_a", Some(document("a", ""))),
        (2, 20, "plugin.registered", "c_b", Some(document("b", "7"))),
        (3, 30, "plugin.pids_changed", "c_a", Some(document("a", "1"))),
        (4, 40, "plugin.pids_changed", "c_a", Some(document("a", ""))),
        (5, 50, "plugin.removed", "c_a", None),
        (6, 60, "plugin.registered", "c_a", Some(document("a", ""))),
    ];
    for (revision, at, kind, subject, document) in &changes {
        let insert = "INSERT INTO changes (revision, at, kind, subject, document) VALUES (?1, ?2, ?3, ?4, ?5)";
        file.execute(insert, params![revision, at, kind, subject, document]).unwrap();
    }
    for (id, document, revision, at) in [("c_a", document("a", ""), 6, 60), ("c_b", document("b", "7"), 2, 20)] {
        let insert =
            "INSERT INTO plugins (unique_id, document, revision, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)";
        file.execute(insert, params![id, document, revision, at]).unwrap();
    }
    let store = "0123456789abcdef0123456789abcdef";
    file.execute("INSERT INTO registry (id, store, head, head_at) VALUES (1, ?1, 6, 60)", [store]).unwrap();
    drop(file);

    let mut journal = SqliteJournal::open(&path).unwrap();
    let snapshot = journal.load().unwrap();
    assert_eq!((snapshot.store.as_str(), snapshot.state.revision().0), (store, 6));
    let range = ChangeRange { limit: 100, ..ChangeRange::default() };
    let read = journal.history().read(&range).unwrap().transitions;
    let registered: Vec<_> =
        read.iter().map(|change| change.after().map(|record| record.created_at.as_microsecond())).collect();
    assert_eq!(registered, [Some(10), Some(20), Some(10), Some(10), None, Some(60)]);
    assert_eq!(read[3].before().unwrap().plugin.spawned_pids.len(), 1);
    assert!(read[5].before().is_none());
}

#[test]
fn a_store_from_before_leases_and_observations_takes_them() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch(FIRST).unwrap();
    file.execute_batch(include_str!("../../migrations/sqlite/0002_history.sql")).unwrap();
    file.execute_batch(include_str!("../../migrations/sqlite/0003_webhooks.sql")).unwrap();
    file.pragma_update(None, "application_id", 0x7052_6567).unwrap();
    file.pragma_update(None, "user_version", 3).unwrap();
    let insert = "INSERT INTO changes (revision, at, kind, subject, document, created_at)
                  VALUES (1, 10, 'plugin.registered', 'c_a', ?1, 10)";
    file.execute(insert, [document("a", "7")]).unwrap();
    let insert =
        "INSERT INTO plugins (unique_id, document, revision, created_at, updated_at) VALUES ('c_a', ?1, 1, 10, 10)";
    file.execute(insert, [document("a", "7")]).unwrap();
    let insert =
        "INSERT INTO registry (id, store, head, head_at) VALUES (1, '0123456789abcdef0123456789abcdef', 1, 10)";
    file.execute(insert, []).unwrap();
    drop(file);

    let mut journal = SqliteJournal::open(&path).unwrap();
    let mut state = journal.load().unwrap().state;
    assert!(state.leases().is_empty() && state.plugin("c_a").unwrap().observed.is_empty());
    let read = journal.read(Revision(0), 10).unwrap();
    assert_eq!(read.len(), 1, "the old journal is read");
    let terms = LeaseTerms { holder: "app".into(), host: None, ttl_seconds: 30 };
    let event = Event::Lease { id: LeaseId::named("one"), act: LeaseAct::Granted(terms) };
    let change = Change { revision: Revision(2), at: read[0].at, request_id: None, event };
    journal.begin(Revision(1)).unwrap();
    let transitions = state.advance([change]);
    journal.commit(&Batch::new(&transitions, &state)).unwrap();
    assert_eq!(SqliteJournal::open(&path).unwrap().load().unwrap().state, state);
}
