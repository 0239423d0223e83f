//! The parts of a backup that an export lacks, and the replacement of a store, in every durable store.

use jiff::Timestamp;

use crate::harness::{Durable, Machine, named};
use crate::security::tokens::new as token;
use crate::store::archive::{Told, dump, filled, written};
use crate::store::conformance::history;
use domain::Revision;
use domain::command::Command;
use domain::command::answer::Answer;
use domain::command::idempotency::KeptAnswer;
use domain::plugin::Registration;
use plugin_registry::store::archive::Archived;
use plugin_registry::store::archive::reader::ArchiveReader;
use plugin_registry::store::archive::writer::Content;
use plugin_registry::store::webhooks::DeliveryProgress;
use plugin_registry::store::{Addition, Batch, KeptWebhook};

/// Tokens, one of them revoked; webhooks with all fields and with few; and responses whose keys databases sort
/// differently.
fn put_beside(store: &mut dyn Archived) {
    let time = |second: i64| Some(Timestamp::from_microsecond(second * 1_000_000 + 1).unwrap());
    let far = DeliveryProgress {
        position: Revision(7),
        failures: 3,
        first_failed_at: time(1),
        next_attempt_at: time(2),
        last_error: Some("connection refused 🎙".into()),
        last_status: Some(503),
        last_delivered_at: time(3),
        parked_at: time(4),
    };
    for (id, progress) in [("b", far), ("a", DeliveryProgress { position: Revision(1), ..DeliveryProgress::default() })]
    {
        let document = r#"{"url":"https://hooks.example.com/x","kinds":[]}"#.to_owned();
        store
            .webhooks()
            .put(&KeptWebhook { id: id.into(), document, secret: format!("whsec_{id}"), progress })
            .unwrap();
    }
    let tokens = store.tokens();
    for token in [token("z", 1), token("a", 2), token("revoked", 3)] {
        assert_eq!(tokens.add(&token).unwrap(), Addition::Done);
        if token.terms.name.as_str() == "revoked" {
            assert!(tokens.revoke(&token.id, time(4).unwrap()).unwrap());
        }
    }
    let state = store.load().unwrap().state;
    let answer =
        Answer { status: 201, headers: vec![("etag".into(), "\"x-1\"".into())], body: "{\"n\": 1e400}".into() };
    let kept = |key: &str| KeptAnswer {
        key: key.into(),
        fingerprint: "print".into(),
        at: time(5).unwrap(),
        hour: 0,
        answer: answer.clone().into(),
    };
    let answers = ["a#10", "A", "é", "a#9", "_", "z", "音声"].map(kept);
    assert_eq!(store.begin(&state).unwrap(), []);
    store.commit(&Batch::new(&[], &state).keeping(&answers)).unwrap();
}

#[test]
fn only_a_backup_has_the_auxiliary_data() {
    let (_from, mut from) = filled(&history(), 9);
    put_beside(&mut *from);
    let parts = dump(&mut *from);
    let told = Told::by(parts.clone());
    assert_eq!(told.beside.len(), 12);
    let mut seen = Vec::new();
    from.history()
        .dump(&mut |part| {
            seen.push(part);
            Ok(())
        })
        .unwrap();
    Told::by(seen).assert_same(&told);
    for (content, beside) in [(Content::Configs, 0), (Content::History, 0), (Content::Backup, 12)] {
        let archive = written(&parts, content);
        assert_eq!(String::from_utf8_lossy(&archive).contains("whsec_"), beside > 0);
        assert_eq!(ArchiveReader::of_backup(&*archive).collect::<Result<Vec<_>, _>>().is_ok(), beside > 0);
        let to = Durable::fresh();
        let mut to = to.url().open_archived().unwrap();
        to.restore(&mut ArchiveReader::new(&*archive)).unwrap();
        let back = Told::by(dump(&mut *to));
        assert_eq!(back.beside.len(), beside);
        if beside > 0 {
            back.assert_same(&told);
            let names = |store: &dyn Archived| store.tokens().list().unwrap().into_iter().map(|token| token.terms.name);
            assert!(names(&*to).eq(names(&*from)), "a registry that asked for tokens still does");
        }
        to.close();
    }
    from.close();
}

#[test]
fn a_replacement_of_a_store_is_atomic() {
    let (_from, mut from) = filled(&history(), 9);
    put_beside(&mut *from);
    let told = Told::by(dump(&mut *from));
    let backup = written(&dump(&mut *from), Content::Backup);
    let mut machine = Machine::new();
    machine.done(Command::Register(Box::new(Registration::read(named("c", "other")).unwrap())));
    let (_to, mut to) = filled(&machine, 0);
    let hook = KeptWebhook {
        id: "mine".into(),
        document: "{}".into(),
        secret: "s".into(),
        progress: DeliveryProgress::default(),
    };
    to.webhooks().put(&hook).unwrap();
    let before = Told::by(dump(&mut *to));
    let store = before.snapshot.store.clone();
    for cut in (1..backup.len()).step_by(1 + backup.len() / 40) {
        to.replace(&mut ArchiveReader::new(&backup[..cut])).unwrap_err();
    }
    Told::by(dump(&mut *to)).assert_same(&before);
    assert_eq!(to.load().unwrap().store, store);
    let id = to.replace(&mut ArchiveReader::new(&*backup)).unwrap();
    assert_ne!(id, store);
    Told::by(dump(&mut *to)).assert_same(&told);
    assert_eq!(to.load().unwrap().store, id);
    from.close();
    to.close();
}

#[test]
fn restore_into_a_store_with_tokens_is_refused_without_replace() {
    let (_from, mut from) = filled(&history(), 9);
    put_beside(&mut *from);
    let backup = written(&dump(&mut *from), Content::Backup);
    let to = Durable::fresh();
    let mut to = to.url().open_archived().unwrap();
    to.tokens().add(&token("mine", 1)).unwrap();
    to.restore(&mut ArchiveReader::new(&*backup)).unwrap_err();
    assert_eq!(to.tokens().list().unwrap().len(), 1);
    to.replace(&mut ArchiveReader::new(&*backup)).unwrap();
    assert_eq!(to.tokens().list().unwrap().len(), 3);
    from.close();
    to.close();
}
