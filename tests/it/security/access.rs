//! Authentication, and the permissions of roles and scopes.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::bearers::{plugin, token};
use crate::harness::simulated_server::{SimulatedServer, holding, new_clock, process};
use crate::harness::{Bearers, Client, Durable, Server, blocking, minimal};
use domain::access::{Principal, Role};
use domain::command::{Caller, Command, Request};
use domain::lease::OnGone;
use domain::{LeaseId, LeaseTerms};
use plugin_registry::store::memory::MemoryJournal;

async fn principals(client: &Client) -> Vec<Value> {
    let events = client.get("/events").answers(200).await.items();
    events.iter().map(|event| event.get("principal").cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn without_tokens_every_client_may_do_everything_as_anonymous() {
    let server = Server::in_memory().await;
    let client = server.client();
    client.register(&minimal()).await;
    // An unneeded token does no harm.
    client.with_token("whatever").get("/plugins").answers(200).await;
    assert_eq!(principals(&client).await, [json!("anonymous")]);
}

#[tokio::test]
async fn with_tokens_a_request_without_a_token_is_rejected() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let anonymous = &bearers.anonymous;
    let refused = anonymous.get("/plugins").answers(401).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"plugin-registry\""));
    assert!(refused.problem().detail().contains("Authorization: Bearer plr_"));
    let unknown = format!("plr_{}_{}", "0".repeat(16), "0".repeat(64));
    let refused = anonymous.with_token(&unknown).get("/plugins").answers(401).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"plugin-registry\", error=\"invalid_token\""));
    for wrong in ["", "Basic YTpi", "Bearer", "Bearer x", "Digest y", &format!("Token {unknown}")] {
        anonymous.get("/plugins").header("authorization", wrong).refused(401).await;
    }
    // Two tokens are invalid, even if one of them is valid.
    let good = token(&bearers.admin, json!({"name": "good", "role": "viewer"})).await;
    let one = anonymous.with_token(&good);
    one.get("/plugins").answers(200).await;
    one.get("/plugins").header("authorization", "Bearer x").refused(401).await;
    // The registry accepts tokens only in the Authorization header.
    anonymous.get(&format!("/plugins?access_token={good}")).refused(401).await;
    // Also for unknown paths, and for methods that a path lacks.
    anonymous.get("/nowhere").refused(401).await;
    anonymous.request(Method::POST, "/healthz").refused(401).await;
    bearers.viewer.get("/nowhere").refused(404).await;
    bearers.admin.request(Method::POST, "/healthz").refused(405).await;
}

#[tokio::test]
async fn public_routes_reveal_nothing_more_to_anonymous_clients() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let told = |reply: crate::harness::Reply| reply.json().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(told(bearers.anonymous.get("/readyz").answers(200).await), ["status"]);
    assert_eq!(told(bearers.anonymous.with_token("x").get("/readyz").answers(200).await), ["status"]);
    assert!(told(bearers.viewer.get("/readyz").answers(200).await).contains(&"revision".to_owned()));
    bearers.anonymous.get("/healthz").answers(200).await;
    bearers.anonymous.get("/openapi.json").answers(200).await;
    bearers.anonymous.get("/docs/").answers(200).await;
    bearers.anonymous.get("/").answers(200).await;
    bearers.anonymous.get("/metrics").refused(401).await;
}

#[tokio::test]
async fn a_refused_role_learns_the_required_role() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let refused = bearers.viewer.post("/plugins", &minimal()).answers(403).await;
    assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
    let detail = refused.problem().detail().to_owned();
    assert!(detail.contains("reporter or admin") && detail.contains("`viewer`"), "{detail}");
    assert!(bearers.reporter.get("/tokens").refused(403).await.detail().contains("the role admin"));
}

#[tokio::test]
async fn every_event_stores_its_principal() {
    let store = Durable::fresh();
    let clock = new_clock();
    let passage = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    let bearers = Bearers::of(&passage.server).await;
    let mut stream = bearers.viewer.watch("/events?after=0").await;
    let lease = bearers.reporter.post("/leases", &json!({"holder": "app"})).answers(201).await.json();
    assert_eq!(lease["principal"], "reporter");
    let lease = lease["lease_id"].as_str().unwrap().to_owned();
    bearers.reporter.register(&holding("n", "h", &[7], Some(&lease))).await;
    let report = json!({"by": "somebody else", "host": "h", "observations": [process("c_n", 7, "alive")]});
    bearers.agent.post("/observations", &report).answers(200).await;
    bearers.admin.put("/categories/c", &json!({"display_name": "C"})).answers(200).await;
    let mut passage = passage;
    // No client renews the lease, so the registry declares it lost.
    passage.pass(120).await;
    let wanted = [json!("reporter"), json!("reporter"), json!("agent"), json!("admin"), Value::Null];
    let listed = principals(&bearers.viewer).await;
    assert_eq!(listed[..5], wanted, "{listed:?}");
    for who in &wanted[..4] {
        assert_eq!(stream.next().await.unwrap().data["principal"], *who);
    }
    let history = bearers.viewer.get("/plugins/c_n/history").answers(200).await.items();
    assert_eq!(history.last().unwrap()["principal"], "reporter");
    drop(stream);
    passage.server.stop().await;
    let again = SimulatedServer::at(&store, &clock, OnGone::Mark).await;
    let viewer = bearers_again(&again.server, &bearers);
    assert_eq!(principals(&viewer).await[..5], wanted, "after a restart");
    assert_eq!(viewer.get(&format!("/leases/{lease}")).answers(200).await.json()["principal"], "reporter");
    again.server.stop().await;
    blocking(move || drop(store)).await;
}

/// A viewer at another server on the same store: the store keeps tokens.
fn bearers_again(server: &Server, before: &Bearers) -> Client {
    before.viewer.at(server.address)
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let passage = SimulatedServer::on(MemoryJournal::new(), new_clock(), OnGone::Mark).await;
    let bearers = Bearers::of(&passage.server).await;
    let short = json!({"name": "short", "role": "viewer", "expires_at": "2026-11-21T08:31:00Z"});
    let short = bearers.bearer(short).await;
    short.get("/plugins").answers(200).await;
    passage.clock.advance(SignedDuration::from_secs(59));
    short.get("/plugins").answers(200).await;
    passage.clock.advance(SignedDuration::from_secs(1));
    assert!(short.get("/plugins").refused(401).await.detail().contains("expired"));
}

/// A client with one scope cannot move a plugin into another scope.
#[tokio::test]
async fn a_token_cannot_move_a_plugin_across_its_scope() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let scope = json!({"hosts": ["h1"], "labels": {"team": ["a"]}});
    let one = bearers.bearer(json!({"name": "one", "role": "reporter", "scope": scope})).await;
    let mine = json!({"host": "h1", "labels": {"team": "a"}});
    one.register(&plugin("c", "mine", mine.clone())).await;
    bearers.admin.register(&plugin("c", "other", json!({"host": "h2", "labels": {"team": "b"}}))).await;
    for (patch, what) in [
        (json!({"host": "h2"}), "to another host"),
        (json!({"host": null}), "to no host"),
        (json!({"labels": {"team": "b"}}), "to another team"),
        (json!({"labels": {"team": null}}), "to no team"),
        (json!({"labels": null}), "to none at all"),
    ] {
        let detail = one.patch("/plugins/c_mine", &patch).refused(403).await.detail().to_owned();
        assert!(detail.contains("host h1, label team a"), "{what}: {detail}");
        let mut whole = plugin("c", "mine", mine.clone());
        match patch.get("host") {
            Some(host) => whole["host"] = host.clone(),
            None => whole["labels"] = json!({}),
        }
        one.post("/plugins", &whole).refused(403).await;
        one.put("/plugins/c_mine", &whole).refused(403).await;
    }
    // Nor into its own scope.
    one.patch("/plugins/c_other", &mine).refused(403).await;
    one.post("/plugins", &plugin("c", "other", mine.clone())).refused(403).await;
    one.patch("/plugins/c_mine", &json!({"title": "Mine", "labels": {"more": "x"}})).answers(200).await;
}

/// A lease gives its holder access to the plugins that carry it, and no way out of a scope.
#[tokio::test]
async fn a_lease_gives_access_only_to_its_holder() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let scope = |host: &str| json!({"hosts": [host]});
    let one = bearers.bearer(json!({"name": "one", "role": "reporter", "scope": scope("h1")})).await;
    let two = bearers.bearer(json!({"name": "two", "role": "reporter", "scope": scope("h2")})).await;
    let lease = one.post("/leases", &json!({"holder": "app", "host": "h1"})).answers(201).await.json();
    let lease = lease["lease_id"].as_str().unwrap().to_owned();
    let path = format!("/leases/{lease}");
    one.post("/leases", &json!({"holder": "app", "host": "h2"})).refused(403).await;
    // A client renews and releases only its own leases.
    let refused = two.request(Method::PUT, &path).refused(403).await;
    assert!(refused.detail().contains("not granted to `two`"), "{}", refused.detail());
    two.delete(&path).refused(403).await;
    one.request(Method::PUT, &path).answers(200).await;
    bearers.admin.request(Method::PUT, &path).answers(200).await;
    // An admin attaches a plugin of another scope to the lease.
    bearers.admin.register(&plugin("c", "n", json!({"host": "h2", "lease_id": lease}))).await;
    let place = "/plugins/c_n/spawned_pids";
    one.put(place, &json!({"spawned_pids": [1]})).answers(200).await;
    two.put(place, &json!({"spawned_pids": [1, 2]})).answers(200).await;
    one.patch("/plugins/c_n", &json!({"host": "h3"})).refused(403).await;
    one.patch("/plugins/c_n", &json!({"labels": {"team": "x"}})).refused(403).await;
    one.patch("/plugins/c_n", &json!({"lease_id": null})).refused(403).await;
    // A released lease gives no access.
    one.delete(&path).answers(204).await;
    one.put(place, &json!({"spawned_pids": [3]})).refused(403).await;
    // Another client's lease gives no access, either: a client cannot attach it to plugins outside its scope.
    let other = two.post("/leases", &json!({"holder": "app"})).answers(201).await.json()["lease_id"].clone();
    bearers.admin.register(&plugin("c", "far", json!({"host": "h9"}))).await;
    two.patch("/plugins/c_far", &json!({"lease_id": other})).refused(403).await;
}

#[tokio::test]
async fn an_agent_may_report_only_its_own_host() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let agent = bearers.bearer(json!({"name": "agent@h1", "role": "agent", "scope": {"hosts": ["h1"]}})).await;
    let remote = json!({"provider": "aws", "instance_id": "i", "status": "running"});
    for (name, host) in [("one", json!("h1")), ("two", json!("h2")), ("none", json!(null))] {
        let more = json!({"host": host, "spawned_pids": [7], "remote_resource": remote});
        bearers.reporter.register(&plugin("c", name, more)).await;
    }
    let seen = |plugin: &str| json!([process(plugin, 7, "gone"), {"kind": "remote", "plugin": plugin, "id": "i", "state": "gone"}]);
    let report = |host: Value, observations: Value| json!({"by": "a", "host": host, "observations": observations});
    agent.post("/observations", &report(json!("h2"), seen("c_two"))).refused(403).await;
    agent.post("/observations", &report(json!(null), seen("c_two"))).refused(403).await;
    for (plugin, accepted) in [("c_one", 2), ("c_two", 0), ("c_none", 0)] {
        let said = agent.post("/observations", &report(json!("h1"), seen(plugin))).answers(200).await.json();
        assert_eq!(said["accepted"], accepted, "{plugin}: {said}");
    }
    // An agent without a host in its scope may report any host.
    let said = bearers.agent.post("/observations", &report(json!(null), seen("c_none"))).answers(200).await.json();
    assert_eq!(said["accepted"], 2);
}

#[tokio::test]
async fn idempotency_keys_are_scoped_to_the_token() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let other = bearers.bearer(json!({"name": "other", "role": "reporter"})).await;
    let send = |client: &Client, name: &str| {
        client.post("/plugins", &plugin("c", name, json!({}))).header("idempotency-key", "k").send()
    };
    assert_eq!(send(&bearers.reporter, "one").await.status, 201);
    let again = send(&bearers.reporter, "one").await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, Some("true")));
    // Another token gets neither the stored response nor a conflict.
    let others = send(&other, "two").await;
    assert_eq!((others.status.as_u16(), others.header("idempotency-replayed")), (201, None));
    assert_eq!(send(&bearers.viewer, "one").await.status, 403);
}

#[tokio::test]
async fn a_stream_and_a_long_poll_end_with_the_token() {
    let server = Server::in_memory().await;
    let bearers = Bearers::of(&server).await;
    let made = bearers.admin.post("/tokens", &json!({"name": "short", "role": "viewer"})).answers(201).await.json();
    let short = bearers.anonymous.with_token(made["token"].as_str().unwrap());
    let mut stream = short.watch("/events").await;
    let waiting = tokio::spawn(short.get("/plugins?since=0&wait=20s").send());
    server.follows("Everything").await;
    bearers.admin.delete(&format!("/tokens/{}", made["id"].as_str().unwrap())).answers(204).await;
    bearers.reporter.register(&minimal()).await;
    let last = stream.next().await.unwrap();
    assert_eq!(last.event, "cut_off", "no event follows");
    assert_eq!(stream.next().await, None);
    assert_eq!(waiting.await.unwrap().status, 401);
}

/// Revokes the token of a name, and creates another with this name and these terms.
async fn replaced(bearers: &Bearers, terms: Value) -> Client {
    let tokens = bearers.admin.get("/tokens").answers(200).await.items();
    let old = tokens.iter().find(|token| token["name"] == terms["name"]).unwrap()["id"].as_str().unwrap();
    bearers.admin.delete(&format!("/tokens/{old}")).answers(204).await;
    bearers.bearer(terms).await
}

#[tokio::test]
async fn a_new_token_with_a_revoked_ones_name_owned_its_leases_and_kept_answers() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let on = |host: &str| json!({"name": "bob", "role": "reporter", "scope": {"hosts": [host]}});
    let bob = bearers.bearer(on("a")).await;
    let lease = bob.post("/leases", &json!({"holder": "app", "host": "a"})).answers(201).await.json();
    let lease = lease["lease_id"].as_str().unwrap();
    let body = plugin("c", "n", json!({"host": "a", "lease_id": lease}));
    bob.post("/plugins", &body).header("idempotency-key", "k").answers(201).await;

    let successor = replaced(&bearers, on("b")).await;
    let path = format!("/leases/{lease}");
    for refused in [
        successor.request(Method::PUT, &path),
        successor.delete(&path),
        successor.patch("/plugins/c_n", &json!({"title": "mine"})),
        successor.post("/plugins", &body).header("idempotency-key", "k"),
    ] {
        refused.refused(403).await;
    }
    // With the same scope, the key is still another one.
    let heir = replaced(&bearers, on("a")).await;
    let done = heir.post("/plugins", &body).header("idempotency-key", "k").answers(200).await;
    assert_eq!(done.header("idempotency-replayed"), None);
    heir.request(Method::PUT, &path).refused(403).await;
    bearers.admin.request(Method::PUT, &path).answers(200).await;
}

#[tokio::test]
async fn a_lease_from_before_tokens_were_recorded_is_owned_by_name() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let terms = LeaseTerms { holder: "app".into(), host: None, ttl_seconds: 30, on_gone: None };
    let id = LeaseId::named("0123456789abcdef0123456789abcdef");
    let principal = Principal { name: "reporter".into(), role: Role::Reporter, scope: None, token: None };
    let caller = Caller { principal: Some(principal), ..Caller::default() };
    let granted = Command::GrantLease { id: id.clone(), terms };
    server.registry.submit(Request::by(caller, granted)).await.unwrap();
    bearers.reporter.request(Method::PUT, &format!("/leases/{id}")).answers(200).await;
    let other = bearers.bearer(json!({"name": "other", "role": "reporter"})).await;
    other.request(Method::PUT, &format!("/leases/{id}")).refused(403).await;
}

#[tokio::test]
async fn a_kept_answer_was_repeated_to_a_token_that_may_no_longer_ask() {
    let server = Server::start().await;
    let bearers = Bearers::of(&server).await;
    let bob = bearers.bearer(json!({"name": "bob", "role": "reporter", "scope": {"hosts": ["a"]}})).await;
    bob.register(&plugin("c", "n", json!({"host": "a"}))).await;
    let add = || bob.post("/plugins/c_n/spawned_pids", &json!({"spawned_pids": [7]})).header("idempotency-key", "k");
    add().answers(200).await;
    assert_eq!(add().answers(200).await.header("idempotency-replayed"), Some("true"));
    bearers.admin.patch("/plugins/c_n", &json!({"host": "b", "title": "not for bob"})).answers(200).await;
    assert!(!add().answers(403).await.text().contains("not for bob"));
    // What is gone was done, and its answer is repeated.
    bearers.admin.patch("/plugins/c_n", &json!({"host": "a"})).answers(200).await;
    let remove = || bob.delete("/plugins/c_n?force=true").header("idempotency-key", "r");
    remove().answers(204).await;
    assert_eq!(remove().answers(204).await.header("idempotency-replayed"), Some("true"));
    assert_eq!(add().answers(200).await.header("idempotency-replayed"), Some("true"));
}
