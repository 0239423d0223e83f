//! A registry moved from one store to another: `export`, `import`, `store verify`.

use std::path::Path;

use plugin_registry::registry::{Revision, Snapshot};
use plugin_registry::store::StoreError;
use plugin_registry::store::archive::reader::Reader;
use plugin_registry::store::archive::replay::Replay;
use plugin_registry::store::archive::writer::{Content, Writer};
use plugin_registry::store::archive::{Archived, Beside, Part, digest};
use plugin_registry::store::row::ChangeRow;
use proptest::prelude::*;
use rstest::rstest;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::conformance::{commit, history};
use crate::harness::passage::process;
use crate::harness::process::{complaint, run};
use crate::harness::{Client, Daemon, Durable, Machine, blocking, holding_everything, minimal, named, within_patience};
use crate::properties::commands::requests;

// Archives as bytes, and stores of either kind.

/// A store as it was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) snapshot: Snapshot,
    horizon: Revision,
    pub(crate) beside: Vec<Beside>,
    pub(crate) rows: Vec<ChangeRow>,
}

impl Told {
    pub(crate) fn by(parts: impl IntoIterator<Item = Part>) -> Told {
        let mut parts = parts.into_iter();
        let Some(Part::Head { snapshot, horizon }) = parts.next() else { panic!("what stands comes first") };
        let (mut beside, mut rows) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Head { .. } => panic!("a second head"),
                Part::Beside(kept) => {
                    assert!(rows.is_empty(), "what is kept beside the changes comes before them");
                    beside.push(kept);
                }
                Part::Change(row) => rows.push(row),
            }
        }
        Told { snapshot, horizon, beside, rows }
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Told) {
        assert_eq!(self.snapshot.state, other.snapshot.state);
        assert_eq!(self.horizon, other.horizon);
        assert_eq!(self.beside, other.beside);
        assert_eq!(self.rows, other.rows);
        let digests = [self, other].map(|told| digest::of_state(&told.snapshot.state).unwrap());
        assert_eq!(digests[0], digests[1]);
    }
}

pub(crate) fn dump(store: &mut dyn Archived) -> Vec<Part> {
    let mut parts = Vec::new();
    let told = store.dump(&mut |part| {
        parts.push(part);
        Ok(())
    });
    told.unwrap();
    parts
}

pub(crate) fn written(parts: &[Part], content: Content) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), content, "2026-01-01T00:00:00Z".parse().unwrap());
    for part in parts {
        writer.write(part).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn read(archive: &[u8]) -> Result<Vec<Part>, StoreError> {
    Reader::new(archive).collect()
}

fn replayed(told: &Told) -> Result<(), StoreError> {
    let mut replay = Replay::new(told.snapshot.state.clone(), told.horizon);
    for row in &told.rows {
        replay.take(row)?;
    }
    replay.finish()
}

/// A store that holds the changes of a machine, and has forgotten some.
pub(crate) fn filled(machine: &Machine, horizon: u64) -> (Durable, Box<dyn Archived>) {
    let store = Durable::fresh();
    let mut archived = store.url().open_archived().unwrap();
    archived.load().unwrap();
    commit(&mut *archived, machine, 0, 5);
    archived.compact(Revision(horizon), usize::MAX).unwrap();
    (store, archived)
}

#[test]
fn any_history_with_any_horizon_is_moved_exactly() {
    let strategy = (prop::collection::vec(requests(), 1..40), any::<prop::sample::Index>());
    proptest!(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() }, |((requests, forgotten) in strategy)| {
        let mut machine = Machine::new();
        for request in &requests {
            drop(machine.submit(request));
        }
        let (_from, mut from) = filled(&machine, forgotten.index(machine.changes.len() + 1) as u64);
        let parts = dump(&mut *from);
        let told = Told::by(parts.clone());
        replayed(&told).unwrap();
        for content in [Content::Plugins, Content::Configs, Content::History, Content::Backup] {
            let archive = written(&parts, content);
            let there = Told::by(read(&archive).unwrap());
            let to = Durable::fresh();
            let mut to = to.url().open_archived().unwrap();
            let id = to.restore(&mut Reader::new(&*archive)).unwrap();
            let back = dump(&mut *to);
            let back = Told::by(back);
            back.assert_same(&there);
            replayed(&back).unwrap();
            prop_assert_eq!(to.load().unwrap().store, id);
            match content {
                Content::History | Content::Backup => told.assert_same(&back),
                Content::Configs => prop_assert_eq!(&told.snapshot.state, &back.snapshot.state),
                Content::Plugins => {
                    for (id, record) in told.snapshot.state.plugins() {
                        let moved = back.snapshot.state.plugin(id.as_str()).unwrap();
                        prop_assert_eq!((&moved.json, moved.config.is_none()), (&record.json, true));
                    }
                }
            }
            // It goes on where it was: what stood is still known.
            let state = back.snapshot.state.clone();
            prop_assert_eq!(to.begin(&state).unwrap(), []);
            to.roll_back();
            let earlier = to.history().rewind(state.revision()).unwrap();
            prop_assert_eq!((earlier.horizon, earlier.plugins.len()), (back.horizon, 0));
            to.close();
        }
        from.close();
    });
}

#[test]
fn a_store_that_holds_something_is_not_filled() {
    let (_store, mut archived) = filled(&history(), 0);
    let before = dump(&mut *archived);
    let archive = written(&before, Content::History);
    let refused = archived.restore(&mut Reader::new(&*archive)).unwrap_err();
    assert!(refused.chain().contains("not empty"), "{refused:?}");
    Told::by(dump(&mut *archived)).assert_same(&Told::by(before));
}

#[test]
fn an_archive_that_was_cut_or_altered_anywhere_leaves_nothing_behind() {
    let (_store, mut from) = filled(&history(), 9);
    for content in [Content::Configs, Content::History] {
        let archive = written(&dump(&mut *from), content);
        let mut wrong: Vec<Vec<u8>> = (0..archive.len()).step_by(97).map(|cut| archive[..cut].to_vec()).collect();
        wrong.extend((0..archive.len()).step_by(61).map(|place| {
            let mut altered = archive.clone();
            altered[place] ^= 1;
            altered
        }));
        let lines: Vec<_> = archive.split_inclusive(|byte| *byte == b'\n').collect();
        for (index, line) in lines.iter().enumerate() {
            let without = [&lines[..index], &lines[index + 1..]].concat().concat();
            let twice = [&lines[..index], &[*line], &lines[index..]].concat().concat();
            wrong.extend([without, twice]);
        }
        for archive in &wrong {
            assert!(read(archive).is_err(), "{}", String::from_utf8_lossy(archive));
        }
        let to = Durable::fresh();
        let mut to = to.url().open_archived().unwrap();
        for archive in wrong.iter().rev().step_by(5) {
            to.restore(&mut Reader::new(&**archive)).unwrap_err();
            let left = Told::by(dump(&mut *to));
            assert_eq!((left.snapshot.state.revision(), left.rows.len()), (Revision(0), 0));
            assert!(left.snapshot.state.plugins().is_empty());
        }
        to.restore(&mut Reader::new(&*archive)).unwrap();
    }
}

type Lines = Vec<Value>;

/// What the line of the only lease says.
fn of_lease(lines: &mut Lines) -> &mut Value {
    lines.iter_mut().find_map(|line| line.get_mut("lease")).unwrap()
}

/// Where that line is.
fn place_of_lease(lines: &Lines) -> usize {
    lines.iter().position(|line| line.get("lease").is_some()).unwrap()
}

/// What is wrong with a line although its digest is right.
#[rstest]
#[case::two_heads(|lines: &mut Lines| lines.insert(1, lines[0].clone()), "not as many")]
#[case::another_format(|lines: &mut Lines| lines[0]["archive"]["format"] = json!(3), "format 3")]
#[case::no_format(|lines: &mut Lines| lines[0]["archive"]["format"] = json!(0), "format 0")]
#[case::no_backup_without_a_history(|lines: &mut Lines| {
    lines[0]["archive"]["with_secrets"] = json!(true);
    lines[0]["archive"]["with_history"] = json!(false);
}, "contradicts itself")]
#[case::not_as_many(|lines: &mut Lines| lines[0]["archive"]["plugins"] = json!(7), "not as many")]
#[case::a_change_is_missing(|lines: &mut Lines| drop(lines.remove(lines.len() - 2)), "missing")]
#[case::another_document(|lines: &mut Lines| lines[1]["plugin"]["document"]["title"] = json!("Altered"), "is not what change")]
#[case::another_revision(|lines: &mut Lines| lines[1]["plugin"]["revision"] = json!(2), "as of revision 2")]
#[case::a_bad_name(|lines: &mut Lines| lines[1]["plugin"]["document"]["name"] = json!(" x"), "document is damaged")]
#[case::no_such_field(|lines: &mut Lines| lines[1]["plugin"]["revisions"] = json!(1), "unknown field")]
#[case::a_revision_of_0(|lines: &mut Lines| lines[1]["plugin"]["revision"] = json!(0), "no change has the revision 0")]
#[case::twice(|lines: &mut Lines| lines.insert(1, lines[1].clone()), "there twice")]
#[case::a_lease_twice(|lines: &mut Lines| lines.insert(place_of_lease(lines), lines[place_of_lease(lines)].clone()), "there twice")]
#[case::a_lease_in_the_wrong_place(|lines: &mut Lines| {
    let place = place_of_lease(lines);
    lines[1..=place].rotate_right(1);
}, "wrong place")]
#[case::no_lease(|lines: &mut Lines| drop(lines.remove(place_of_lease(lines))), "the lease one is not the one")]
#[case::another_lease(|lines: &mut Lines| of_lease(lines)["document"]["ttl_seconds"] = json!(9), "the lease one")]
#[case::a_lease_of_tomorrow(|lines: &mut Lines| of_lease(lines)["revision"] = json!(99), "times of the lease one cannot be")]
#[case::not_seen(|lines: &mut Lines| drop(lines[2]["plugin"].as_object_mut().unwrap().remove("observed")), "what was seen of the plugin")]
fn an_archive_that_contradicts_itself_is_refused(#[case] alter: fn(&mut Lines), #[case] what: &str) {
    let (_store, mut from) = filled(&history(), 0);
    let archive = written(&dump(&mut *from), Content::History);
    let mut lines: Lines =
        archive.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    lines.pop();
    alter(&mut lines);
    let mut text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut sum = digest::Digest::default();
    sum.add(text.as_bytes());
    text += &format!("{}\n", json!({"end": {"lines": lines.len(), "sha256": sum.finish()}}));
    let refused = read(text.as_bytes()).unwrap_err().chain();
    assert!(refused.contains(what), "{refused}");
}

// The real binary.

/// A registry with everything in it, and a history.
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

/// The revision that [`furnish`] ends with.
pub(crate) const FURNISHED: u64 = 12;

/// What is told of the only lease, but for the times that a process has heard of it.
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

/// What everybody can read, but for the identity of the store.
pub(crate) async fn answers(client: &Client, paths: &[&str]) -> Vec<(String, Option<String>)> {
    let mut answers = Vec::new();
    for path in paths {
        let reply = client.get(path).send().await;
        let without = |text: &str| text.replace(reply.store(), "<store>");
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
async fn a_registry_is_the_same_after_it_was_moved() {
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

    // A second time: not into a store that holds something.
    let complaint = refused(&["import", "--store", &url(&to), "--input", file]).await;
    assert!(complaint.contains("the store is not empty"), "{complaint}");
}

#[tokio::test]
async fn without_its_history_a_registry_begins_at_its_head() {
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
    // What stood before the next change is known.
    client.patch("/plugins/transcription_whisper", &json!({"title": "New"})).answers(200).await;
    let event = client.get(&format!("/events?after={FURNISHED}")).answers(200).await.items().remove(0);
    assert_eq!(event["data"]["changed"]["title"], json!({"before": "Title", "after": "New"}), "{event}");
    let earlier = client.get(&format!("/plugins/transcription_whisper?as_of={FURNISHED}")).answers(200).await.json();
    assert_eq!((&earlier["title"], &earlier["observed"]["alive"]), (&json!("Title"), &json!(1)));
    // And so is who held it, and what the event tells of a lease before it.
    let held = lease(&client).await;
    client.delete(&format!("/leases/{}", held["lease_id"].as_str().unwrap())).answers(204).await;
    let event = client.get(&format!("/events?after={}", FURNISHED + 1)).answers(200).await.items().remove(0);
    assert_eq!(event["type"], "lease.released", "{event}");
    moved.stop().await;
    done(&["store", "verify", "--store", &url(&to)]).await;
}

#[tokio::test]
async fn configurations_and_webhooks_leave_only_when_they_are_asked_for() {
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
    // A file with configurations is its owner's alone.
    let file = folder.path().join("registry.ndjson");
    done(&["export", "--store", &url(&store), "--with-configs", "--output", file.to_str().unwrap()]).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_archive_that_is_not_whole_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    let file = folder.path().join("registry.ndjson");
    let daemon = Daemon::start(&from).await;
    furnish(&daemon.client()).await;
    daemon.stop().await;
    let archive = done(&["export", "--store", &url(&from)]).await;
    for (altered, what) in [
        (archive[..archive.len() / 2].to_owned(), "it ends before its last line"),
        (archive.replace("Trainer", "Tamperer"), "its digest is another"),
        ("{\"name\": \"x\"}\n".to_owned(), "no line of an archive"),
    ] {
        std::fs::write(&file, altered).unwrap();
        let complaint = refused(&["import", "--store", &url(&to), "--input", file.to_str().unwrap()]).await;
        assert!(complaint.contains("nothing was imported") && complaint.contains(what), "{complaint}");
        assert!(done(&["store", "verify", "--store", &url(&to)]).await.contains("revision 0, 0 plugins"));
    }
    for command in [&["export"][..], &["store", "verify"]] {
        let missing = url(&folder.path().join("missing.db"));
        let complaint = refused(&[command, &["--store", &missing]].concat()).await;
        assert!(complaint.contains("there is no store"), "{complaint}");
        let complaint = refused(&[command, &["--store", "memory"]].concat()).await;
        assert!(complaint.contains("keeps nothing"), "{complaint}");
    }
    assert!(!folder.path().join("missing.db").exists());
}

/// What an export tells of a registry that is written to is one revision of it: plugin `n` was registered by change `n`.
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
    "finetuning_trainer is not what change 1"
)]
#[case::config(
    "UPDATE plugins SET config = '{}' WHERE unique_id = 'transcription_whisper'",
    "configuration of the plugin transcription_whisper"
)]
#[case::lost("DELETE FROM plugins WHERE unique_id = 'transcription_whisper'", "transcription_whisper is not kept")]
#[case::category("UPDATE categories SET display_name = 'Other'", "the name of the category transcription")]
#[case::lease(
    "UPDATE leases SET document = replace(document, 'active', 'lost')",
    "is not the one that the changes lead to"
)]
#[case::no_lease("DELETE FROM leases", "the lease ")]
#[case::observed(
    "UPDATE plugins SET observed = replace(observed, 'alive', 'gone')",
    "what was seen of the plugin transcription_whisper"
)]
#[case::seen("UPDATE changes SET observed = NULL WHERE revision = 11", "change 11 is wrong about what was seen")]
#[case::granted(
    "UPDATE changes SET detail = replace(detail, 'active', 'lost') WHERE revision = 9",
    "change 9 is wrong about its lease"
)]
#[case::gap("DELETE FROM changes WHERE revision = 4", "damaged")]
#[case::history("UPDATE changes SET at = 1 WHERE revision = 4", "change 4 was made before")]
#[case::head("UPDATE registry SET head_at = head_at + 1", "the head was made at")]
#[tokio::test]
async fn verify_tells_the_first_difference(#[case] tampering: &'static str, #[case] what: &str) {
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
