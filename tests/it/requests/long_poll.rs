//! Reads that wait: `since` with `wait`, and `min_revision`.

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Call, Client, Daemon, Server, holding_everything, minimal, named, within_patience};

/// Two plugins and a category; revision 3.
async fn with_two() -> (Server, Client) {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    client.register(&holding_everything()).await;
    client.put("/categories/finetuning", &json!({"display_name": "FT"})).answers(200).await;
    (server, client)
}

/// A change to the plugin `transcription_whisper`, or to another plugin.
fn change(client: &Client, what: &str) -> Call {
    let path = "/plugins/transcription_whisper";
    match what {
        "title" => client.patch(path, &json!({"title": "New"})),
        "host" => client.patch(path, &json!({"host": "h"})),
        "label" => client.patch(path, &json!({"labels": {"a": "1"}})),
        "pids" => client.put(&format!("{path}/spawned_pids"), &json!({"spawned_pids": [5]})),
        "config" => client.put(&format!("{path}/config"), &json!({"a": 1})),
        "removal" => client.delete(path),
        "other title" => client.patch("/plugins/finetuning_trainer", &json!({"title": "New"})),
        "other pids" => client.put("/plugins/finetuning_trainer/spawned_pids", &json!({"spawned_pids": []})),
        "other status" => client.patch("/plugins/finetuning_trainer/remote_resource", &json!({"status": "stopped"})),
        "new" => client.post("/plugins", &named("c", "n")),
        "category" => client.put("/categories/c", &json!({"display_name": "C"})),
        other => panic!("no such change: {other}"),
    }
}

/// Whether a change concerns a waiting reader.
#[rstest]
#[case::list("/plugins", "title", true)]
#[case::list_new("/plugins", "new", true)]
#[case::list_removal("/plugins", "removal", true)]
#[case::list_category("/plugins", "category", false)]
#[case::plugin("/plugins/transcription_whisper", "title", true)]
#[case::plugin_config("/plugins/transcription_whisper", "config", true)]
#[case::plugin_other("/plugins/transcription_whisper", "other title", false)]
#[case::plugin_new("/plugins/transcription_whisper", "new", false)]
#[case::active_comes("/plugins?active=true", "pids", true)]
#[case::active_changes("/plugins?active=true", "other title", true)]
#[case::active_untouched("/plugins?active=true", "title", false)]
#[case::category_untouched("/plugins?category=finetuning", "title", false)]
#[case::category("/plugins?category=finetuning", "other title", true)]
#[case::categories("/plugins?category=finetuning,x", "other title", true)]
#[case::host_comes("/plugins?host=h", "host", true)]
#[case::host_untouched("/plugins?host=h", "title", false)]
#[case::label_comes("/plugins?label.a=1", "label", true)]
#[case::label_untouched("/plugins?label.a=1", "host", false)]
#[case::label_untouched_among_two("/plugins?label.a=1&category=transcription", "title", false)]
#[case::billable_goes("/plugins?billable=true", "other status", true)]
#[case::text_untouched("/plugins?q=trainer", "title", false)]
#[case::lines("/plugins?category=transcription&limit=1&sort=-title&fields=title", "title", true)]
#[case::resources("/resources", "pids", true)]
#[case::resources_status("/resources", "other status", true)]
#[case::resources_title("/resources", "other title", false)]
#[case::resources_new("/resources", "new", false)]
#[case::resources_kind("/resources?kind=container", "pids", false)]
#[case::resources_pid("/resources?pid=5", "pids", true)]
#[case::resources_pid_of_nobody("/resources?pid=6", "pids", false)]
#[case::resources_host("/resources?host=workstation", "other pids", true)]
#[case::resources_other_host("/resources?host=workstation", "pids", false)]
#[case::stats_new("/stats", "new", true)]
#[case::stats_removal("/stats", "removal", true)]
#[case::stats_active("/stats", "pids", true)]
#[case::stats_configured("/stats", "config", true)]
#[case::stats_title("/stats", "title", false)]
#[case::stats_category("/stats", "category", false)]
#[tokio::test]
async fn a_change_wakes_exactly_the_affected_readers(#[case] path: &str, #[case] what: &str, #[case] concerns: bool) {
    let (_server, client) = with_two().await;
    let with = |more: &str| format!("{path}{}{more}", if path.contains('?') { '&' } else { '?' });
    let before = client.get(path).answers(200).await;
    assert_eq!(before.revision(), 3);
    // A long wait, which only the change can end, or a short one.
    let wait = if concerns { "wait=60s" } else { "wait=300ms" };
    let waiting = tokio::spawn(client.get(&with(&format!("since=3&{wait}"))).send());
    assert!(change(&client, what).send().await.status.is_success());
    let woken = within_patience("the long poll", waiting).await.unwrap();
    let after = client.get(path).answers(200).await;
    if concerns {
        assert_eq!((woken.status.as_u16(), woken.revision()), (200, 4));
        assert_eq!((&woken.body, woken.header("etag")), (&after.body, after.header("etag")));
        assert_ne!(woken.body, before.body);
    } else {
        assert_eq!(woken.status, 304);
        assert!(woken.header("etag").is_some() && woken.revision() >= 3, "a 304 says what it stands for");
    }
    // For a past revision, the response is immediate.
    let again = client.get(&with("since=3&wait=0")).send().await;
    assert_eq!((again.status.as_u16(), again.revision()), (if concerns { 200 } else { 304 }, 4));
    assert_eq!(client.get(&with("since=4&wait=0")).answers(304).await.header("etag"), after.header("etag"));
}

#[tokio::test]
async fn a_removal_or_a_registration_wakes_readers_of_the_plugin() {
    let (_server, client) = with_two().await;
    let waiting = tokio::spawn(client.get("/plugins/transcription_whisper?since=3&wait=60s").send());
    client.delete("/plugins/transcription_whisper").answers(204).await;
    assert_eq!(within_patience("the removal", waiting).await.unwrap().status, 404);
    let waiting = tokio::spawn(client.get("/plugins/transcription_whisper?since=4&wait=60s").send());
    client.register(&minimal()).await;
    assert_eq!(within_patience("the registration", waiting).await.unwrap().status, 200);
}

/// The bug: the writer published a change before its topic, and a 304 already named its revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_visible_at_once_to_a_waiting_reader() {
    let server = Server::in_memory().await;
    let client = server.client();
    for n in 0..500_u64 {
        let written = client.register(&named("c", &n.to_string())).await.revision();
        let path = format!("/plugins?category=c&limit=1&since={}&wait=0", written - 1);
        let reply = client.get(&path).send().await;
        let told = (reply.status.as_u16(), reply.revision());
        assert!(told == (200, written), "change {written}, but told {told:?}");
    }
}

#[tokio::test]
async fn a_304_names_the_revision_up_to_which_nothing_changed() {
    let (server, client) = with_two().await;
    let waiting = tokio::spawn(client.get("/plugins?host=h&since=3&wait=300ms").send());
    server.follows("Host(\"h\")").await;
    for n in 0..5 {
        client.register(&named("c", &n.to_string())).await;
    }
    let reply = within_patience("the end of the wait", waiting).await.unwrap();
    let etag = format!("W/\"{}-{}\"", reply.store(), reply.revision());
    assert_eq!((reply.status.as_u16(), reply.revision(), reply.etag()), (304, 8, etag));
    assert!(reply.header("content-type").is_none());
}

#[tokio::test]
async fn a_wait_and_a_condition_go_together() {
    let (_server, client) = with_two().await;
    let plugin = client.get("/plugins/transcription_whisper").answers(200).await;
    // The list has changed since 0, but the client already has it.
    let known = client.get("/plugins/transcription_whisper?since=0&wait=0").header("if-none-match", plugin.etag());
    known.answers(304).await;
    let unknown = client.get("/plugins/transcription_whisper?since=0&wait=0").header("if-none-match", "\"x\"");
    unknown.answers(200).await;
}

#[rstest]
#[case::since("/plugins?since=x", "a revision")]
#[case::since_negative("/stats?since=-1", "a revision")]
#[case::since_twice("/resources?since=1,2", "one value")]
#[case::wait_long("/plugins?since=1&wait=6m", "at most 5m")]
#[case::wait_unit("/plugins?since=1&wait=1h", "at most 5m")]
#[case::wait_text("/plugins/x?since=1&wait=soon", "at most 5m")]
#[case::min_revision("/plugins?min_revision=", "a revision")]
#[case::as_of("/plugins?as_of=yesterday", "RFC 3339")]
#[case::as_of_since("/plugins?as_of=1&since=1", "reads the past")]
#[case::as_of_min("/stats?as_of=1&min_revision=1", "reads the past")]
#[case::events("/events?since=1", "unknown")]
#[case::categories("/categories?since=1", "unknown")]
#[case::config("/plugins/x/config?as_of=1", "unknown")]
#[tokio::test]
async fn impossible_read_options_are_refused(#[case] path: &str, #[case] told: &str) {
    let server = Server::in_memory().await;
    let problem = server.client().get(path).refused(400).await;
    assert_eq!(problem.kind(), "bad-parameter");
    assert!(problem.detail().contains(told), "{}", problem.detail());
}

#[tokio::test]
async fn min_revision_waits_for_the_revision() {
    let (_server, client) = with_two().await;
    for path in ["/plugins", "/plugins/transcription_whisper", "/resources", "/stats"] {
        let head = client.get(path).answers(200).await.revision();
        assert_eq!(client.get(&format!("{path}?min_revision={head}")).answers(200).await.revision(), head);
        let waiting = tokio::spawn(client.get(&format!("{path}?min_revision={}", head + 2)).send());
        client.register(&named("c", &format!("{head}a"))).await;
        client.register(&named("c", &format!("{head}b"))).await;
        let reply = within_patience("the revision", waiting).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.revision()), (200, head + 2), "{path}");
    }
}

#[tokio::test]
async fn a_revision_that_does_not_come_is_a_timeout() {
    let (_server, client) = with_two().await;
    let problem = client.get("/plugins?min_revision=4").refused(504).await;
    assert_eq!((problem.kind(), &problem.headers["retry-after"]), ("behind", &"5".parse().unwrap()));
    assert!(
        problem.detail().contains("revision 4") && problem.detail().contains("the current revision is 3"),
        "{}",
        problem.detail()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn min_revision_waits_for_writes_of_another_process() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("registry.db");
    let (one, other) = (Daemon::start(&store).await, Daemon::start(&store).await);
    let mut stream = other.client().watch("/events?category=c").await;
    stream.block().await.unwrap();
    for n in 0..3 {
        let written = one.client().register(&named("c", &n.to_string())).await;
        let path = format!("/plugins/c_{n}?min_revision={}", written.revision());
        assert_eq!(other.client().get(&path).answers(200).await.body, written.body);
        assert_eq!(stream.next().await.unwrap().revision(), written.revision());
    }
    let waiting = tokio::spawn(other.client().get("/plugins?category=c&since=3&wait=60s").send());
    one.client().register(&named("c", "3")).await;
    let reply = within_patience("the other process's change", waiting).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.json()["total"] == 4), (200, true), "{}", Value::from(reply.text()));
    one.stop().await;
    other.stop().await;
}
