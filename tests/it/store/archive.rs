//! Archives as bytes: either kind of store writes them, and either kind is filled from them.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Durable, Machine};
use crate::properties::commands::requests;
use crate::store::conformance::{commit, history};
use domain::{Revision, Snapshot};
use plugin_registry::store::archive::reader::ArchiveReader;
use plugin_registry::store::archive::replay::Replay;
use plugin_registry::store::archive::writer::{ArchiveWriter, Content};
use plugin_registry::store::archive::{Archived, Auxiliary, Part, digest};
use plugin_registry::store::row::ChangeRow;
use plugin_registry::store::{ReadToEnd, StoreError};

/// An archive of a store.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) snapshot: Snapshot,
    compact_revision: Revision,
    pub(crate) beside: Vec<Auxiliary>,
    pub(crate) rows: Vec<ChangeRow>,
}

impl Told {
    pub(crate) fn by(parts: impl IntoIterator<Item = Part>) -> Told {
        let mut parts = parts.into_iter();
        let Some(Part::Head { snapshot, compact_revision }) = parts.next() else { panic!("what stands comes first") };
        let (mut beside, mut rows) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Head { .. } => panic!("a second head"),
                Part::Auxiliary(kept) => {
                    assert!(rows.is_empty(), "what is kept beside the changes comes before them");
                    beside.push(kept);
                }
                Part::Change(row) => rows.push(row),
            }
        }
        Told { snapshot, compact_revision, beside, rows }
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Told) {
        assert_eq!(self.snapshot.state, other.snapshot.state);
        assert_eq!(self.compact_revision, other.compact_revision);
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
    let mut writer = ArchiveWriter::new(Vec::new(), content, "2026-01-01T00:00:00Z".parse().unwrap());
    for part in parts {
        writer.write(part).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn read(archive: &[u8]) -> Result<Vec<Part>, StoreError> {
    ArchiveReader::new(archive).collect()
}

fn replayed(told: &Told) -> Result<(), StoreError> {
    let mut replay = Replay::new(told.snapshot.state.clone(), told.compact_revision);
    for row in &told.rows {
        replay.take(row)?;
    }
    replay.finish()
}

/// A store with the changes of a machine, some of which are compacted.
pub(crate) fn filled(machine: &Machine, compact_revision: u64) -> (Durable, Box<dyn Archived>) {
    let store = Durable::fresh();
    let mut archived = store.url().open_archived().unwrap();
    archived.load().unwrap();
    commit(&mut *archived, machine, 0, 5);
    archived.compact(Revision(compact_revision), usize::MAX).unwrap();
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
            let id = to.restore(&mut ArchiveReader::new(&*archive)).unwrap();
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
            // The store goes on from there: the plugins are still known.
            let state = back.snapshot.state.clone();
            prop_assert_eq!(to.begin(&state).unwrap(), []);
            to.roll_back();
            let prior = to.history().rewind(state.revision(), &ReadToEnd).unwrap();
            prop_assert_eq!((prior.compact_revision, prior.plugins.len()), (back.compact_revision, 0));
            to.close();
        }
        from.close();
    });
}

#[test]
fn import_into_a_store_that_is_not_empty_is_refused() {
    let (_store, mut archived) = filled(&history(), 0);
    let before = dump(&mut *archived);
    let archive = written(&before, Content::History);
    let refused = archived.restore(&mut ArchiveReader::new(&*archive)).unwrap_err();
    assert!(refused.chain().contains("not empty"), "{refused:?}");
    Told::by(dump(&mut *archived)).assert_same(&Told::by(before));
}

#[test]
fn a_truncated_or_altered_archive_changes_nothing() {
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
            to.restore(&mut ArchiveReader::new(&**archive)).unwrap_err();
            let left = Told::by(dump(&mut *to));
            assert_eq!((left.snapshot.state.revision(), left.rows.len()), (Revision(0), 0));
            assert!(left.snapshot.state.plugins().is_empty());
        }
        to.restore(&mut ArchiveReader::new(&*archive)).unwrap();
    }
}

type Lines = Vec<Value>;

/// The fields in the line of the only lease.
fn of_lease(lines: &mut Lines) -> &mut Value {
    lines.iter_mut().find_map(|line| line.get_mut("lease")).unwrap()
}

/// The index of that line.
fn place_of_lease(lines: &Lines) -> usize {
    lines.iter().position(|line| line.get("lease").is_some()).unwrap()
}

/// The fault of a line whose digest is right.
#[rstest]
#[case::two_heads(|lines: &mut Lines| lines.insert(1, lines[0].clone()), "differs from the first line")]
#[case::another_format(|lines: &mut Lines| lines[0]["archive"]["format"] = json!(4), "format 4")]
#[case::no_format(|lines: &mut Lines| lines[0]["archive"]["format"] = json!(0), "format 0")]
#[case::no_backup_without_a_history(|lines: &mut Lines| {
    lines[0]["archive"]["with_secrets"] = json!(true);
    lines[0]["archive"]["with_history"] = json!(false);
}, "contradicts itself")]
#[case::not_as_many(|lines: &mut Lines| lines[0]["archive"]["plugins"] = json!(7), "differs from the first line")]
#[case::a_change_is_missing(|lines: &mut Lines| drop(lines.remove(lines.len() - 2)), "missing")]
#[case::another_document(|lines: &mut Lines| lines[1]["plugin"]["document"]["title"] = json!("Altered"), "differs from its change")]
#[case::another_revision(|lines: &mut Lines| lines[1]["plugin"]["revision"] = json!(2), "as of revision 2")]
#[case::a_bad_name(|lines: &mut Lines| lines[1]["plugin"]["document"]["name"] = json!(" x"), "document is damaged")]
#[case::no_such_field(|lines: &mut Lines| lines[1]["plugin"]["revisions"] = json!(1), "unknown field")]
#[case::a_revision_of_0(|lines: &mut Lines| lines[1]["plugin"]["revision"] = json!(0), "no change has the revision 0")]
#[case::twice(|lines: &mut Lines| lines.insert(1, lines[1].clone()), "occurs twice")]
#[case::a_lease_twice(|lines: &mut Lines| lines.insert(place_of_lease(lines), lines[place_of_lease(lines)].clone()), "occurs twice")]
#[case::a_lease_in_the_wrong_place(|lines: &mut Lines| {
    let place = place_of_lease(lines);
    lines[1..=place].rotate_right(1);
}, "wrong place")]
#[case::no_lease(|lines: &mut Lines| drop(lines.remove(place_of_lease(lines))), "the lease one differs from its changes")]
#[case::another_lease(|lines: &mut Lines| of_lease(lines)["document"]["ttl_seconds"] = json!(9), "the lease one")]
#[case::a_lease_of_tomorrow(|lines: &mut Lines| of_lease(lines)["revision"] = json!(99), "revision of the lease one is impossible")]
#[case::not_seen(|lines: &mut Lines| drop(lines[2]["plugin"].as_object_mut().unwrap().remove("observed")), "the holdings of the plugin")]
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
