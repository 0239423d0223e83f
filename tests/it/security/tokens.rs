//! GET, POST /tokens and GET, DELETE /tokens/{token_id}; the file of tokens; several processes on one store.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::bearers::token;
use crate::harness::server::Setup;
use crate::harness::simulated_server::{SimulatedServer, new_clock};
use crate::harness::{Bearers, Durable, Server, blocking, minimal, within_patience};
use crate::store::conformance::{Kind, on_every_journal};
use domain::access::{SaltedHash, Token, TokenId, TokenTerms};
use domain::lease::OnGone;
use plugin_registry::access::TokenText;
use plugin_registry::store::tokens::REVOKED_FOR;
use plugin_registry::store::{Addition, TokenStore};

#[tokio::test]
async fn a_token_is_created_shown_once_listed_and_revoked() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let terms = json!({
        "name": "trainer", "role": "reporter", "expires_at": "2999-01-01T00:00:00Z",
        "scope": {"categories": ["finetuning"], "hosts": ["gpu-1"], "labels": {"team": ["a", "b"]}},
    });
    let reply = bearers.admin.post("/tokens", &terms).answers(201).await;
    let mut made = reply.json();
    let path = reply.header("location").unwrap().to_owned();
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let text = made.as_object_mut().unwrap().remove("token").unwrap();
    let text = text.as_str().unwrap();
    assert!(text.starts_with("plr_") && path == format!("/tokens/{}", &text[4..20]), "{path}");
    for field in ["name", "role", "scope", "expires_at"] {
        assert_eq!(made[field], terms[field], "{field}");
    }
    assert_eq!(
        (&made["created_by"], &made["source"], &made["last_used_at"]),
        (&json!("admin"), &json!("store"), &Value::Null)
    );
    assert_eq!(bearers.admin.get(&path).answers(200).await.json(), made, "it is shown once");
    let listed = bearers.admin.get("/tokens").answers(200).await;
    assert!(listed.items().contains(&made) && !listed.text().contains(&text[21..]));
    let bearer = bearers.anonymous.with_token(text);
    bearer.get("/plugins").answers(200).await;
    assert_ne!(bearers.admin.get(&path).answers(200).await.json()["last_used_at"], Value::Null);
    bearers.admin.post("/tokens", &terms).refused(409).await;
    bearers.admin.delete(&path).answers(204).await;
    bearer.get("/plugins").refused(401).await;
    for gone in [bearers.admin.get(&path), bearers.admin.delete(&path), bearers.admin.get("/tokens/nowhere")] {
        gone.refused(404).await;
    }
    // The name is free again.
    bearers.admin.post("/tokens", &terms).answers(201).await;
}

#[tokio::test]
async fn the_first_token_is_an_admins_and_ends_open_access() {
    let server = Server::start().await;
    let client = server.client();
    client.post("/tokens", &json!({"name": "n", "role": "viewer"})).refused(422).await.about("/role");
    client.register(&minimal()).await;
    let admin = client.with_token(&token(&client, json!({"name": "admin", "role": "admin"})).await);
    client.get("/plugins").refused(401).await;
    client.post("/tokens", &json!({"name": "mine", "role": "admin"})).refused(401).await;
    // The removal of the last token does not reopen the registry.
    let id = admin.get("/tokens").answers(200).await.items()[0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("/tokens/{id}")).answers(204).await;
    client.get("/plugins").refused(401).await;
    admin.get("/plugins").refused(401).await;
}

#[tokio::test]
async fn tokens_survive_a_restart() {
    let store = Durable::fresh();
    let passage = SimulatedServer::at(&store, &new_clock(), OnGone::Mark).await;
    let bearers = Bearers::of(&passage.server).await;
    bearers.viewer.get("/plugins").answers(200).await;
    passage.server.stop().await;
    let again = SimulatedServer::at(&store, &new_clock(), OnGone::Mark).await;
    let viewer = bearers.viewer.at(again.server.address);
    viewer.get("/plugins").answers(200).await;
    bearers.anonymous.at(again.server.address).get("/plugins").refused(401).await;
    again.server.stop().await;
    blocking(move || drop(store)).await;
}

#[tokio::test]
async fn another_process_on_the_store_notices_new_and_revoked_tokens() {
    let store = Durable::fresh();
    let one = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let two = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let open = two.client();
    open.get("/plugins").answers(200).await;
    let bearers = Bearers::of(&one).await;
    // As the background task does every two seconds.
    two.tokens.refresh().await.unwrap();
    open.get("/plugins").refused(401).await;
    bearers.viewer.at(two.address).get("/plugins").answers(200).await;
    let viewers = bearers.admin.get("/tokens").answers(200).await.items();
    let viewer = viewers.iter().find(|token| token["name"] == "viewer").unwrap()["id"].as_str().unwrap().to_owned();
    bearers.admin.delete(&format!("/tokens/{viewer}")).answers(204).await;
    two.tokens.refresh().await.unwrap();
    bearers.viewer.at(two.address).get("/plugins").refused(401).await;
    one.stop().await;
    two.stop().await;
    blocking(move || drop(store)).await;
}

#[tokio::test]
async fn the_background_task_reloads_tokens_and_records_their_use() {
    let store = Durable::fresh();
    let server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
    let bearers = Bearers::of(&server).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let now = jiff::Timestamp::from_second(1_900_000_000).unwrap();
    let task = tokio::spawn(server.tokens.clone().run(move || now, async { drop(stopped.await) }));
    let kept = Arc::clone(server.registry.tokens());
    let id = bearers.admin.get("/tokens").answers(200).await.items()[0]["id"].as_str().unwrap().to_owned();
    // Revoked in the store, as by another process or the command line.
    let revoked = TokenId::named(&id);
    let store_of = Arc::clone(&kept);
    assert!(blocking(move || store_of.revoke(&revoked, now)).await.unwrap());
    let noticed = async {
        while bearers.admin.get("/tokens").send().await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    within_patience("the end of a token is noticed", noticed).await;
    bearers.viewer.get("/plugins").answers(200).await;
    drop(stop);
    within_patience("the task ends", task).await.unwrap();
    let listed = blocking(move || kept.list()).await.unwrap();
    let viewer = listed.iter().find(|token| token.terms.name.as_str() == "viewer").unwrap();
    assert!(viewer.last_used_at.is_some(), "at the end at the latest");
    server.stop().await;
    blocking(move || drop(store)).await;
}

/// A server with the file of tokens in a folder.
async fn with_file(folder: &TempDir) -> Server {
    let path = folder.path().join("tokens.toml");
    let setup = Setup { tokens_file: Some(path), ..Setup::in_memory() };
    setup.start().await
}

fn entry(name: &str, role: &str, text: &TokenText) -> String {
    format!("[[token]]\nname = \"{name}\"\nrole = \"{role}\"\ntoken = \"{}\"\n", text.reveal())
}

#[tokio::test]
async fn a_changed_file_of_tokens_is_reloaded() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.toml");
    let (one, two) = (TokenText::generate(), TokenText::generate());
    std::fs::write(&path, entry("one", "admin", &one)).unwrap();
    let server = with_file(&folder).await;
    let client = server.client();
    let (first, second) = (client.with_token(&one.reveal()), client.with_token(&two.reveal()));
    client.get("/plugins").refused(401).await;
    first.get("/plugins").answers(200).await;
    second.get("/plugins").refused(401).await;
    let listed = first.get("/tokens").answers(200).await.items();
    assert_eq!((&listed[0]["name"], &listed[0]["source"]), (&json!("one"), &json!("file")));
    // The API can neither change this token nor use its name twice.
    first.delete(&format!("/tokens/{}", one.id())).refused(409).await;
    first.post("/tokens", &json!({"name": "one", "role": "viewer"})).refused(409).await;
    first.post("/tokens", &json!({"name": "other", "role": "viewer"})).answers(201).await;
    std::fs::write(&path, entry("two", "viewer", &two)).unwrap();
    server.tokens.refresh().await.unwrap();
    first.get("/plugins").refused(401).await;
    second.get("/plugins").answers(200).await;
    // A wrong, partial or missing file changes nothing.
    for wrong in ["[[token]]\nname = ", "[[tokens]]", "{"] {
        std::fs::write(&path, wrong).unwrap();
        server.tokens.refresh().await.unwrap();
        second.get("/plugins").answers(200).await;
    }
    std::fs::remove_file(&path).unwrap();
    server.tokens.refresh().await.unwrap();
    second.get("/plugins").answers(200).await;
    // An empty file admits no client, and does not open the registry.
    std::fs::write(&path, "").unwrap();
    server.tokens.refresh().await.unwrap();
    second.get("/plugins").refused(401).await;
    client.get("/plugins").refused(401).await;
}

#[tokio::test]
async fn an_unreadable_file_of_tokens_admits_no_client() {
    let folder = TempDir::new().unwrap();
    let server = with_file(&folder).await;
    server.client().get("/plugins").refused(503).await;
    server.client().get("/healthz").answers(200).await;
    std::fs::write(folder.path().join("tokens.toml"), entry("n", "viewer", &TokenText::generate())).unwrap();
    server.client().get("/plugins").refused(401).await;
}

on_every_journal! {
    tokens_are_kept_as_they_are,
    a_name_is_taken_until_its_token_is_revoked,
    what_was_revoked_long_ago_is_forgotten,
}

pub(crate) fn new(name: &str, second: i64) -> Token {
    let scope =
        json!({"name": name, "role": "reporter", "scope": {"hosts": ["h"]}, "expires_at": "2027-01-01T00:00:00Z"});
    let text = TokenText::generate();
    Token {
        id: text.id().clone(),
        terms: terms(scope),
        hash: text.hash(),
        created_at: jiff::Timestamp::from_second(second).ok(),
        created_by: Some("somebody".into()),
        last_used_at: None,
        revoked_at: None,
    }
}

/// Parses terms through a file, the only way from outside the crate.
fn terms(document: Value) -> TokenTerms {
    let mut document = document;
    document["token"] = TokenText::generate().reveal().into();
    let tokens = plugin_registry::access::file::read(&json!({"token": [document]}).to_string()).unwrap();
    tokens.into_iter().next().unwrap().terms
}

fn shown(token: &Token) -> String {
    format!("{token:?} {}", token.hash.to_text())
}

fn tokens_are_kept_as_they_are(kind: &Kind) {
    let journal = kind.open();
    let store = journal.tokens();
    assert!(store.list().unwrap().is_empty());
    let (one, two) = (new("音声 1", 10), new("two", 5));
    assert_eq!((store.add(&one).unwrap(), store.add(&two).unwrap()), (Addition::Done, Addition::Done));
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    store.note_uses(&[(one.id.clone(), at(20)), (two.id.clone(), at(21)), (TokenId::named("none"), at(1))]).unwrap();
    store.note_uses(&[(one.id.clone(), at(19))]).unwrap();
    drop(store);
    let journal = kind.reopened(journal);
    let store = journal.tokens();
    let kept =
        |store: &dyn TokenStore, id: &TokenId| store.list().unwrap().into_iter().find(|one| one.id == *id).unwrap();
    let wanted = Token { last_used_at: Some(at(20)), ..one.clone() };
    assert_eq!(shown(&kept(&*store, &one.id)), shown(&wanted), "a later use is not forgotten for an earlier one");
    assert!(store.revoke(&one.id, at(30)).unwrap());
    assert!(!store.revoke(&TokenId::named("none"), at(30)).unwrap());
    let revoked = kept(&*store, &one.id);
    assert_eq!(revoked.revoked_at, Some(at(30)));
    assert_ne!(revoked.hash.to_text(), one.hash.to_text(), "its hash is forgotten");
    store.clear().unwrap();
    assert!(store.list().unwrap().is_empty());
    let mut journal = journal;
    journal.close();
}

fn a_name_is_taken_until_its_token_is_revoked(kind: &Kind) {
    let mut journal = kind.open();
    let store = journal.tokens();
    let (one, two) = (new("n", 1), new("n", 2));
    assert_eq!(store.add(&one).unwrap(), Addition::Done);
    assert_eq!(store.add(&two).unwrap(), Addition::NameTaken);
    store.revoke(&one.id, jiff::Timestamp::from_second(3).unwrap()).unwrap();
    assert_eq!(store.add(&two).unwrap(), Addition::Done);
    assert_eq!(store.list().unwrap().len(), 2, "it is known that there was one");
    journal.close();
}

fn what_was_revoked_long_ago_is_forgotten(kind: &Kind) {
    let mut journal = kind.open();
    let store = journal.tokens();
    let one = new("one", 1);
    store.add(&one).unwrap();
    store.revoke(&one.id, jiff::Timestamp::from_second(1_000).unwrap()).unwrap();
    let later = |seconds: i64| 1_000 + REVOKED_FOR.as_secs() + seconds;
    store.add(&new("two", later(0))).unwrap();
    assert_eq!(store.list().unwrap().len(), 2);
    store.add(&new("three", later(1))).unwrap();
    assert!(store.list().unwrap().iter().all(|token| token.id != one.id));
    journal.close();
}

#[test]
fn each_hash_of_a_token_has_its_own_salt() {
    let text = TokenText::generate();
    assert_ne!(text.hash().to_text(), text.hash().to_text(), "each is salted by itself");
    assert!(SaltedHash::from_text(&text.hash().to_text()).is_some());
}
