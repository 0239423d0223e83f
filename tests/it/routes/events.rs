//! GET /events and GET /plugins/{id}/history.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::harness::server::Setup;
use crate::harness::{Client, Reply, Server, holding_everything, minimal, named, within_patience};
use domain::change::ChangeKind;
use domain::change::retention::Retention;
use plugin_registry::clock::ManualClock;

/// A string in a saved configuration, which only a reader of configurations may see.
const CANARY: &str = "canary-6e1f";

/// The revisions of a list of events.
fn revisions(reply: &Reply) -> Vec<u64> {
    reply.items().iter().map(|event| event["data"]["revision"].as_u64().expect("every event has one")).collect()
}

/// Every event of a list, page by page.
async fn pages(client: &Client, path: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut page = client.get(path).answers(200).await;
    let mut events = page.items();
    while let Some(next) = page.next_cursor() {
        assert!(page.header("link").is_some_and(|link| link.contains(&next)), "the link leads on, too");
        page = client.get(&format!("{path}{separator}cursor={next}")).answers(200).await;
        events.extend(page.items());
    }
    assert!(page.header("link").is_none(), "the last page leads nowhere");
    events
}

/// Makes a change of every kind to the plugin `transcription_whisper` and its category. Returns the plugin's document
/// after each change, and the one before the first.
async fn make_every_change(client: &Client) -> Vec<Value> {
    let path = |part: &str| format!("/plugins/transcription_whisper{part}");
    let remote = json!({"provider": "aws", "status": "provisioning", "instance_id": "i-1"});
    let calls = [
        client.post("/plugins", &minimal()),
        client.patch(&path(""), &json!({"title": "New", "labels": {"team": "speech"}})),
        client.put(&path("/spawned_pids"), &json!({"spawned_pids": [3, 4]})),
        client.put(&path("/container_id"), &json!({"container_id": "c0ffee"})),
        client.put(&path("/remote_resource"), &remote),
        client.patch(&path("/remote_resource"), &json!({"status": "running"})),
        client.put(&path("/config"), &json!({"key": CANARY})),
        client.put(&path("/config"), &json!({"key": format!("{CANARY}-again")})),
        client.delete(&path("/config")),
        client.put("/categories/transcription", &json!({"display_name": "ASR"})),
        client.put("/categories/transcription", &json!({"display_name": "Speech"})),
        client.put("/categories/transcription", &json!({"display_name": null})),
        client.delete(&path("?force=true")),
    ];
    let mut seen = vec![Value::Null];
    for (n, call) in calls.into_iter().enumerate() {
        let reply = call.header("x-request-id", format!("request-{}", n + 1)).send().await;
        assert!(reply.status.is_success(), "change {}: {}", n + 1, reply.text());
        let read = client.get(&path("")).send().await;
        seen.push(if read.status == 200 { read.json() } else { Value::Null });
    }
    seen
}

/// The fields in which two documents of a plugin differ, in the form of an event.
fn differences(before: &Value, after: &Value) -> Value {
    let Some(fields) = before.as_object() else { return json!({}) };
    let mut changed = Map::new();
    for (name, before) in fields {
        let after = after.get(name).cloned().unwrap_or(Value::Null);
        if !["revision", "updated_at"].contains(&name.as_str()) && *before != after {
            changed.insert(name.clone(), json!({"before": before, "after": after}));
        }
    }
    changed.into()
}

#[tokio::test]
async fn every_change_is_an_event_with_the_old_and_the_new_values() {
    let server = Server::start().await;
    let client = server.client();
    let seen = make_every_change(&client).await;
    let reply = client.get("/events").answers(200).await;
    let body = reply.json();
    assert_eq!(
        (&body["next_cursor"], &body["horizon"], &body["revision"]),
        (&Value::Null, &json!(0), &json!(seen.len() - 1))
    );
    let kinds = [
        "plugin.registered",
        "plugin.updated",
        "plugin.pids_changed",
        "plugin.container_changed",
        "remote_resource.changed",
        "remote_resource.status_changed",
        "config.saved",
        "config.saved",
        "config.deleted",
        "category.named",
        "category.named",
        "category.named",
        "plugin.removed",
    ];
    // The tests of budgets, leases, observations, findings, notes and requests to stop cover their events.
    let others = |kind: &&str| {
        !["budget.", "lease.", "resource.", "finding.", "plugin.noted", "plugin.stop"]
            .iter()
            .any(|part| kind.starts_with(part))
    };
    let all = ChangeKind::NAMES.iter().copied().filter(others).collect();
    assert_eq!(kinds.iter().copied().collect::<BTreeSet<_>>(), all);
    let names = [Value::Null, json!("ASR"), json!("Speech"), Value::Null];
    let events = reply.items();
    assert_eq!(events.len(), kinds.len());
    for (n, event) in events.iter().enumerate() {
        let of_category = (9..12).contains(&n);
        let (plugin, changed) = if of_category {
            let (before, after) = (&names[n - 9], &names[n - 8]);
            (Value::Null, json!({"display_name": {"before": before, "after": after}}))
        } else {
            (seen[n + 1].clone(), differences(&seen[n], &seen[n + 1]))
        };
        let expected = json!({
            "specversion": "1.0",
            "id": (n + 1).to_string(),
            "source": format!("urn:plugin-registry:{}", reply.store()),
            "type": kinds[n],
            "subject": if of_category { "transcription" } else { "transcription_whisper" },
            "time": event["time"],
            "principal": "anonymous",
            "datacontenttype": "application/json",
            "data": {"revision": n + 1, "plugin": plugin, "changed": changed, "request_id": format!("request-{}", n + 1)},
        });
        assert_eq!(*event, expected);
        event["time"].as_str().unwrap().parse::<Timestamp>().expect("a time of RFC 3339");
        if !plugin_is_gone(event) {
            assert_eq!(event["time"], event["data"]["plugin"]["updated_at"]);
        }
    }
    let changed = |n: usize| events[n]["data"]["changed"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(changed(1), ["title", "labels"], "in the order of the document");
    assert_eq!(changed(2), ["spawned_pids", "has_active_resources"]);
    assert_eq!(changed(6), ["is_configured"]);
    assert_eq!(changed(7), [] as [&str; 0], "an event reports that a configuration was saved, and nothing else");
}

fn plugin_is_gone(event: &Value) -> bool {
    event["data"]["plugin"].is_null()
}

#[tokio::test]
async fn a_generated_request_id_is_in_the_response_and_the_event() {
    let server = Server::in_memory().await;
    let client = server.client();
    let reply = client.register(&minimal()).await;
    let events = client.get("/events").answers(200).await.items();
    assert_eq!(events[0]["data"]["request_id"], reply.header("x-request-id").unwrap());
}

#[tokio::test]
async fn a_saved_configuration_is_in_no_event() {
    let server = Server::start().await;
    let client = server.client();
    make_every_change(&client).await;
    client.register(&holding_everything()).await;
    let config = json!({"device": "cuda", "token": CANARY});
    client.put("/plugins/finetuning_trainer/config", &config).answers(200).await;
    let head = client.patch("/plugins/finetuning_trainer", &json!({"title": "Title"})).answers(200).await.revision();
    assert!(client.get("/plugins/finetuning_trainer/config").answers(200).await.text().contains(CANARY));
    for path in
        ["/events", "/events?order=desc&kind=config.saved", "/plugins/finetuning_trainer/history", "/plugins?as_of=15"]
    {
        let reply = client.get(path).answers(200).await;
        assert!(!reply.items().is_empty() && !reply.text().contains(CANARY), "{path}");
    }
    let mut stream = client.watch("/events?after=0").await;
    let events = stream.take(usize::try_from(head).unwrap()).await;
    assert!(!format!("{events:?}").contains(CANARY));
}

/// Nine changes, one a second.
async fn with_nine() -> (Server, Client) {
    let clock = Arc::new(ManualClock::new("2030-01-01T00:00:00Z".parse().unwrap()));
    let server = Setup { clock: clock.clone(), ..Setup::in_memory() }.start().await;
    let client = server.client();
    let mut a = named("asr", "a");
    a["labels"] = json!({"team": "speech"});
    let mut b = named("asr", "b");
    b["spawned_pids"] = json!([10]);
    let mut c = named("llm", "c");
    c["remote_resource"] = json!({"provider": "aws", "status": "running"});
    let calls = [
        client.post("/plugins", &a),
        client.post("/plugins", &b),
        client.put("/categories/asr", &json!({"display_name": "ASR"})),
        client.post("/plugins", &c),
        client.patch("/plugins/asr_a", &json!({"labels": {"team": "text"}})),
        client.put("/plugins/asr_b/spawned_pids", &json!({"spawned_pids": []})),
        client.patch("/plugins/llm_c/remote_resource", &json!({"status": "stopped"})),
        client.delete("/plugins/asr_a"),
        // A category may have the same name as a plugin.
        client.put("/categories/asr_b", &json!({"display_name": "B"})),
    ];
    for call in calls {
        clock.advance(SignedDuration::from_secs(1));
        assert!(call.send().await.status.is_success());
    }
    (server, client)
}

#[rstest]
#[case::everything("", "123456789")]
#[case::after("after=3", "456789")]
#[case::after_nothing("after=0", "123456789")]
#[case::after_the_newest("after=9", "")]
#[case::after_the_future("after=100", "")]
#[case::until("until=3", "123")]
#[case::until_the_future("until=100", "123456789")]
#[case::after_until("after=2&until=4", "34")]
#[case::after_until_crossed("after=4&until=2", "")]
#[case::kind("kind=plugin.registered", "124")]
#[case::kinds("kind=plugin.removed,category.named&kind=plugin.pids_changed", "3689")]
#[case::kind_that_never_was("kind=config.saved", "")]
#[case::plugin("plugin=asr_a", "158")]
#[case::plugin_with_the_name_of_a_category("plugin=asr_b", "26")]
#[case::no_such_plugin("plugin=nobody", "")]
#[case::plugin_and_kind("plugin=asr_a&kind=plugin.updated", "5")]
#[case::plugin_and_kind_of_category("plugin=asr_b&kind=category.named", "")]
#[case::category("category=asr", "12568")]
#[case::categories("category=asr,llm", "1245678")]
#[case::active("active=true", "2467")]
#[case::inactive("active=false", "15678")]
#[case::active_or_not("active=true,false", "123456789")]
#[case::billable("billable=true", "47")]
#[case::label_before("label.team=speech", "15")]
#[case::label_after("label.team=text", "58")]
#[case::labels("label.team=text,speech", "158")]
#[case::provider("provider=aws", "47")]
#[case::status("status=stopped", "7")]
#[case::pid("pid=10", "26")]
#[case::local("execution=local", "1245678")]
#[case::text("q=ASR_B", "26")]
#[case::filters_hold_together("category=asr&active=true", "26")]
#[case::filters_that_never_hold_together("category=llm&label.team=text", "")]
#[case::from("from=2030-01-01T00:00:04Z", "456789")]
#[case::from_between("from=2030-01-01T00:00:04.5Z", "56789")]
#[case::to("to=2030-01-01T00:00:04Z", "123")]
#[case::to_between("to=2030-01-01T00:00:04.5Z", "1234")]
#[case::from_to("from=2030-01-01T01:00:02%2B01:00&to=2030-01-01T00:00:05Z", "234")]
#[case::from_later("from=2031-01-01T00:00:00Z", "")]
#[case::to_earlier("to=2029-01-01T00:00:00Z", "")]
#[case::all_of_it("from=2030-01-01T00:00:02Z&after=1&until=8&active=true&kind=remote_resource.status_changed", "7")]
#[tokio::test]
async fn filters(#[case] query: &str, #[case] expected: &str) {
    let (_server, client) = with_nine().await;
    let mut expected: Vec<u64> = expected.bytes().map(|digit| u64::from(digit - b'0')).collect();
    for order in ["asc", "desc"] {
        let path = format!("/events?{query}&order={order}");
        let whole = client.get(&path).answers(200).await;
        assert_eq!(revisions(&whole), expected, "{order}");
        assert!(whole.next_cursor().is_none(), "{order}");
        for limit in [1, 2, 5] {
            let pages = pages(&client, &format!("{path}&limit={limit}")).await;
            assert_eq!(pages, whole.items(), "{order}, at most {limit} at a time");
        }
        expected.reverse();
    }
    assert_eq!(
        client.get(&format!("/events?{query}")).answers(200).await.items(),
        client.get(&format!("/events?{query}&order=asc")).answers(200).await.items(),
        "the oldest first, if nothing is said"
    );
}

#[rstest]
#[case::unknown("aftr=1", "did you mean `after`")]
#[case::of_a_list("sort=name", "unknown")]
#[case::fields("fields=title", "unknown")]
#[case::view("since=1", "unknown")]
#[case::after_negative("after=-1", "a revision")]
#[case::after_empty("after=", "a revision")]
#[case::after_plus("after=%2B1", "a revision")]
#[case::after_huge("after=18446744073709551616", "a revision")]
#[case::after_twice("after=1,2", "one value")]
#[case::until_text("until=now", "a revision")]
#[case::order("order=newest", "asc, desc")]
#[case::kind("kind=plugin.exploded", "plugin.registered")]
#[case::kind_empty("kind=", "plugin.registered")]
#[case::one_of_two_kinds("kind=plugin.removed,x", "plugin.registered")]
#[case::from("from=yesterday", "RFC 3339")]
#[case::to_date("to=2030-01-01", "RFC 3339")]
#[case::to_twice("to=2030-01-01T00:00:00Z,2030-01-01T00:00:00Z", "one value")]
#[case::plugin_twice("plugin=a,b", "one value")]
#[case::limit_zero("limit=0", "1 to 10000")]
#[case::limit_large("limit=10001", "1 to 10000")]
#[case::cursor("cursor=abc", "next_cursor")]
#[case::filter("active=yes", "true or false")]
#[case::label_without_key("label.=x", "unknown")]
#[tokio::test]
async fn an_unknown_parameter_or_value_is_refused(#[case] query: &str, #[case] told: &str) {
    let server = Server::in_memory().await;
    let problem = server.client().get(&format!("/events?{query}")).refused(400).await;
    assert_eq!(problem.kind(), "bad-parameter");
    assert!(problem.detail().contains(told), "{}", problem.detail());
    let live = server.client().get(&format!("/events?{query}")).header("accept", "text/event-stream");
    assert_eq!(live.refused(400).await.kind(), "bad-parameter", "live, too");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list_and_its_store() {
    let (_one, client) = with_nine().await;
    let (_other, elsewhere) = with_nine().await;
    let cursor = client.get("/events?limit=2&active=true").answers(200).await.next_cursor().unwrap();
    assert_eq!(elsewhere.get(&format!("/events?active=true&cursor={cursor}")).refused(410).await.kind(), "other-store");
    for query in ["", "&order=desc&active=true", "&active=false", "&active=true&kind=plugin.updated"] {
        let problem = client.get(&format!("/events?cursor={cursor}{query}")).refused(400).await;
        assert_eq!(problem.kind(), "bad-parameter", "{query}");
    }
    client.get(&format!("/plugins?active=true&cursor={cursor}")).refused(400).await;
    client.get(&format!("/plugins/asr_a/history?cursor={cursor}")).refused(400).await;
    for end in 1..cursor.len() {
        let reply = client.get(&format!("/events?active=true&cursor={}", &cursor[..end])).send().await;
        assert!([400, 410].contains(&reply.status.as_u16()), "{end}: {}", reply.text());
    }
}

#[tokio::test]
async fn pages_miss_nothing_and_repeat_nothing_while_others_write() {
    let server = Server::start().await;
    let client = server.client();
    let lines: String = (0..40).map(|n| named("c", &format!("{n}")).to_string() + "\n").collect();
    client.import(lines).await;
    let mut writes = 0;
    for query in ["limit=7", "limit=9&active=false", "limit=5&order=desc", "limit=6&order=desc&active=false"] {
        let begun = client.get("/healthz").answers(200).await.revision();
        let mut page = client.get(&format!("/events?{query}")).answers(200).await;
        let mut read = revisions(&page);
        while let Some(next) = page.next_cursor() {
            for _ in 0..3 {
                writes += 1;
                client.patch("/plugins/c_7", &json!({"title": format!("T{writes}")})).answers(200).await;
            }
            page = client.get(&format!("/events?{query}&cursor={next}")).answers(200).await;
            read.extend(revisions(&page));
        }
        if query.contains("desc") {
            read.reverse();
            assert_eq!(read.len() as u64, begun, "{query}: what is newer than the first page comes before it");
        } else {
            assert!(read.len() as u64 > begun, "{query}: what is written meanwhile comes at the end");
        }
        assert_eq!(read, (1..=read.len() as u64).collect::<Vec<_>>(), "{query}");
    }
}

#[tokio::test]
async fn a_history_has_the_events_of_one_plugin_newest_first() {
    let (_server, client) = with_nine().await;
    let history = client.get("/plugins/asr_b/history").answers(200).await;
    assert_eq!(revisions(&history), [6, 2]);
    assert_eq!(history.json()["horizon"], 0);
    assert_eq!(revisions(&client.get("/plugins/asr_b/history?order=asc").answers(200).await), [2, 6]);
    assert_eq!(history.items()[1], client.get("/events?until=2&after=1").answers(200).await.items()[0]);
    for order in ["asc", "desc"] {
        let whole = client.get(&format!("/plugins/asr_a/history?order={order}")).answers(200).await.items();
        for limit in [1, 2, 3] {
            assert_eq!(pages(&client, &format!("/plugins/asr_a/history?order={order}&limit={limit}")).await, whole);
        }
    }
}

#[tokio::test]
async fn a_removed_plugin_has_a_history_and_an_unknown_one_has_none() {
    let (_server, client) = with_nine().await;
    client.get("/plugins/asr_a").refused(404).await;
    assert_eq!(revisions(&client.get("/plugins/asr_a/history").answers(200).await), [8, 5, 1]);
    client.register(&named("asr", "a")).await;
    let history = client.get("/plugins/asr_a/history").answers(200).await;
    assert_eq!(revisions(&history), [10, 8, 5, 1], "two lives of one address");
    assert_eq!(history.items()[0]["data"]["changed"], json!({}), "it is new, whatever was there before");
    for unknown in ["nobody", "asr"] {
        assert_eq!(client.get(&format!("/plugins/{unknown}/history")).refused(404).await.kind(), "not-found");
    }
    for query in ["after=1", "kind=plugin.updated", "active=true", "limit=0", "order=x"] {
        assert_eq!(client.get(&format!("/plugins/asr_b/history?{query}")).refused(400).await.kind(), "bad-parameter");
    }
}

#[tokio::test]
async fn the_history_of_any_identity_can_be_read() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&named("音声", "認識/🎙 ?&=,")).await;
    let id = "%E9%9F%B3%E5%A3%B0_%E8%AA%8D%E8%AD%98%2F%F0%9F%8E%99%20%3F%26%3D%2C";
    assert_eq!(revisions(&client.get(&format!("/plugins/{id}/history")).answers(200).await), [1]);
    assert_eq!(revisions(&client.get(&format!("/events?plugin={id}")).answers(200).await), [1]);
    assert_eq!(client.watch(&format!("/events?after=0&plugin={id}")).await.told(1).await, [("change".to_owned(), 1)]);
}

/// A server that keeps five changes, on SQLite.
async fn with_short_memory() -> Server {
    let folder = tempfile::TempDir::new().unwrap();
    let journal = plugin_registry::store::sqlite::SqliteJournal::open(&folder.path().join("registry.db")).unwrap();
    let setup = Setup { retention: Retention { changes: 5, days: 90 }, ..Setup::on(journal) };
    let mut server = setup.start().await;
    server.keep(folder);
    server
}

/// Waits until the journal begins after `compact_revision`. Each read is an event of its own: the test asks the server,
/// not the clock.
async fn begins_after(client: &Client, compact_revision: u64) {
    let look =
        async { while client.get("/events?limit=1").answers(200).await.json()["horizon"] != compact_revision {} };
    within_patience("the oldest changes are forgotten", look).await;
}

#[tokio::test]
async fn a_compacted_event_is_410_with_the_oldest_kept_revision() {
    let server = with_short_memory().await;
    let client = server.client();
    for n in 0..4 {
        client.register(&named("c", &n.to_string())).await;
    }
    let cursor = client.get("/events?limit=2").answers(200).await.next_cursor().unwrap();
    for n in 0..8 {
        client.patch("/plugins/c_3", &json!({"title": n.to_string()})).answers(200).await;
    }
    begins_after(&client, 7).await;
    assert_eq!(revisions(&client.get("/events").answers(200).await), [8, 9, 10, 11, 12]);
    assert_eq!(revisions(&client.get("/events?after=7").answers(200).await), [8, 9, 10, 11, 12]);
    for order in ["asc", "desc"] {
        let whole = client.get(&format!("/events?order={order}")).answers(200).await.items();
        assert_eq!(pages(&client, &format!("/events?limit=2&order={order}")).await, whole, "{order}");
    }
    for path in ["/events?after=6", "/events?after=0&active=true", "/plugins?as_of=6", "/plugins/c_3?as_of=0"] {
        let problem = client.get(path).refused(410).await;
        assert_eq!(problem.kind(), "compacted", "{path}");
        assert!(problem.detail().contains('7'), "{path}: {}", problem.detail());
    }
    assert_eq!(client.get(&format!("/events?limit=2&cursor={cursor}")).refused(410).await.kind(), "compacted");
    // The plugin exists, but has not changed since the horizon.
    assert_eq!(client.get("/plugins/c_0/history").answers(200).await.items(), [] as [Value; 0]);
    assert_eq!(client.get("/plugins/c_0").answers(200).await.json()["revision"], 1);
    assert_eq!(revisions(&client.get("/plugins/c_3/history").answers(200).await), [12, 11, 10, 9, 8]);
    // The running server has more in memory than the journal keeps; the next one does not.
    let folder = server.stop().await.unwrap();
    let server = Server::on(&folder.path().join("registry.db")).await;
    let client = server.client();
    let live = |path: &str| client.get(path).header("accept", "text/event-stream");
    for live in
        [live("/events?after=6"), live("/events?after=0&active=true"), live("/events").header("last-event-id", "6")]
    {
        let problem = live.refused(410).await;
        assert_eq!(problem.kind(), "compacted");
        assert!(problem.detail().contains('7'), "{}", problem.detail());
    }
    let mut stream = client.watch("/events?after=7").await;
    assert_eq!(stream.take(5).await[0].data["data"]["changed"]["title"], json!({"before": "2", "after": "3"}));
}
