//! A store of an earlier version.

use rusqlite::{Connection, params};

use domain::change::history::ChangeRange;
use domain::change::{Change, Event};
use domain::lease::LeaseAct;
use domain::{LeaseId, LeaseTerms, MicroUsd, Revision, Spend};
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::store::{Batch, Journal as _, ReadToEnd};

/// The schema of the first version.
const FIRST: &str = include_str!("../../../migrations/sqlite/0001_registry.sql");

/// The identity of the store.
const STORE: &str = "0123456789abcdef0123456789abcdef";

/// A change: revision, time, kind, subject, document.
type Row = (i64, i64, &'static str, &'static str, Option<String>);

/// A document that rents a machine at a price.
fn renting(name: &str, price: &str) -> String {
    let remote = format!(
        r#"{{"provider":"aws","region":null,"instance_id":null,"job_id":null,"endpoint_url":null,"ssh_host":null,
            "ssh_port":22,"status":"running","resource_type":null,"gpu_count":0,"gpu_type":null,
            "estimated_cost_per_hour":{price},"metadata":{{}}}}"#
    );
    document(name, "").replace(r#""remote_resource":null"#, &format!(r#""remote_resource":{remote}"#))
}

fn document(name: &str, pids: &str) -> String {
    format!(
        r#"{{"name":"{name}","category":"c","title":"T","config_schema":{{}},"description":null,"version":null,
            "is_configured":false,"execution_mode":"in_process","manages_child_processes":false,
            "manages_external_resources":false,"spawned_pids":[{pids}],"container_id":null,"conda_env_name":null,
            "remote_resource":null,"host":null,"labels":{{}},"lease_id":null}}"#
    )
}

/// A file as the first version left it: its changes, and its plugins.
fn first_version(path: &std::path::Path, changes: &[Row], standing: &[(&str, String, i64, i64)]) {
    let file = Connection::open(path).unwrap();
    file.execute_batch(FIRST).unwrap();
    file.pragma_update(None, "application_id", 0x7052_6567).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    for (revision, at, kind, subject, document) in changes {
        let insert = "INSERT INTO changes (revision, at, kind, subject, document) VALUES (?1, ?2, ?3, ?4, ?5)";
        file.execute(insert, params![revision, at, kind, subject, document]).unwrap();
    }
    for (id, document, revision, at) in standing {
        let insert =
            "INSERT INTO plugins (unique_id, document, revision, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)";
        file.execute(insert, params![id, document, revision, at]).unwrap();
    }
    let (head, at, ..) = changes.last().unwrap();
    let insert = "INSERT INTO registry (id, store, head, head_at) VALUES (1, ?1, ?2, ?3)";
    file.execute(insert, params![STORE, head, at]).unwrap();
}

/// The first version did not count costs; the journal has them.
#[test]
fn costs_from_before_the_ledger_are_counted_from_the_journal() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let hour = |hour: i64| hour * 3_600_000_000;
    let changes = [
        (1, hour(1), "plugin.registered", "c_a", Some(renting("a", "24.5"))),
        (2, hour(3), "remote_resource.changed", "c_a", Some(renting("a", "1.5"))),
        (3, hour(4), "plugin.removed", "c_a", None),
        (4, hour(5), "plugin.registered", "c_b", Some(renting("b", "7"))),
    ];
    first_version(&path, &changes, &[("c_b", renting("b", "7"), 4, hour(5))]);
    for _ in 0..2 {
        let state = SqliteJournal::open(&path).unwrap().load().unwrap().state;
        let accruals: Vec<_> = state.ledger().accruals().iter().collect();
        let [(key, accrual)] = accruals.as_slice() else { panic!("{accruals:?}") };
        assert_eq!((key.unique_id().as_str(), accrual.closed), ("c_a", Spend::exactly(MicroUsd(50_500_000))));
        assert_eq!((accrual.began.as_microsecond(), accrual.ended.as_microsecond()), (hour(1), hour(4)));
    }
}

#[test]
fn a_store_of_the_first_schema_is_upgraded_with_its_history() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let changes = [
        (1, 10, "plugin.registered", "c_a", Some(document("a", ""))),
        (2, 20, "plugin.registered", "c_b", Some(document("b", "7"))),
        (3, 30, "plugin.pids_changed", "c_a", Some(document("a", "1"))),
        (4, 40, "plugin.pids_changed", "c_a", Some(document("a", ""))),
        (5, 50, "plugin.removed", "c_a", None),
        (6, 60, "plugin.registered", "c_a", Some(document("a", ""))),
    ];
    first_version(&path, &changes, &[("c_a", document("a", ""), 6, 60), ("c_b", document("b", "7"), 2, 20)]);

    let mut journal = SqliteJournal::open(&path).unwrap();
    let snapshot = journal.load().unwrap();
    assert_eq!((snapshot.store.as_str(), snapshot.state.revision().0), (STORE, 6));
    let range = ChangeRange { limit: 100, ..ChangeRange::default() };
    let read = journal.history().read(&range, &ReadToEnd).unwrap().transitions;
    let registered: Vec<_> =
        read.iter().map(|change| change.after().map(|record| record.created_at.as_microsecond())).collect();
    assert_eq!(registered, [Some(10), Some(20), Some(10), Some(10), None, Some(60)]);
    assert_eq!(read[3].before().unwrap().plugin.spawned_pids.len(), 1);
    assert!(read[5].before().is_none());
}

#[test]
fn an_upgraded_store_accepts_leases_and_observations() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch(FIRST).unwrap();
    file.execute_batch(include_str!("../../../migrations/sqlite/0002_history.sql")).unwrap();
    file.execute_batch(include_str!("../../../migrations/sqlite/0003_webhooks.sql")).unwrap();
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
    assert!(state.leases().is_empty() && !state.plugin("c_a").unwrap().holdings.has_facts());
    let read = journal.read(Revision(0), 10).unwrap();
    assert_eq!(read.len(), 1, "the old journal is read");
    let terms = LeaseTerms { holder: "app".into(), host: None, ttl_seconds: 30, on_gone: None };
    let event = Event::Lease { id: LeaseId::named("one"), act: LeaseAct::Granted(terms, None) };
    let change =
        Change { revision: Revision(2), at: read[0].at, request_id: None, principal: None, reason: None, event };
    journal.begin(&state).unwrap();
    let transitions = state.advance([change]);
    journal.commit(&Batch::new(&transitions, &state)).unwrap();
    assert_eq!(SqliteJournal::open(&path).unwrap().load().unwrap().state, state);
}
