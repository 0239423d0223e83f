//! GET and PUT /log-level, and the signals that do the same.

use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Client, Daemon, Server, within_patience};

async fn set(client: &Client, level: &str) {
    let reply = client.put("/log-level", &json!({"level": level})).answers(200).await;
    assert_eq!(reply.json(), json!({"level": level}));
    assert_eq!(client.get("/log-level").answers(200).await.json(), json!({"level": level}));
}

#[tokio::test]
async fn the_log_level_changes_while_the_service_runs() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start_with(&folder.path().join("registry.db"), &["--log-level", "warn"]).await;
    let client = daemon.client();
    assert_eq!(client.get("/log-level").answers(200).await.json(), json!({"level": "warn"}));
    let ask = async |id: &str| drop(client.get("/stats").header("x-request-id", id).answers(200).await);
    ask("quiet-at-first").await;
    set(&client, "info").await;
    ask("told").await;
    set(&client, "info,plugin_registry::http=off").await;
    ask("quiet-again").await;
    daemon.signal(Signal::TERM);
    let (_, log) = daemon.exit().await;
    assert!(log.contains("told") && !log.contains("quiet-at-first") && !log.contains("quiet-again"), "{log}");
    assert!(log.contains("the log level was changed"), "{log}");
}

#[tokio::test]
async fn sigusr1_sets_debug_and_sigusr2_resets_the_level() {
    let folder = TempDir::new().unwrap();
    let daemon = Daemon::start_with(&folder.path().join("registry.db"), &["--log-level", "warn"]).await;
    let client = daemon.client();
    for (signal, level) in [(Signal::USR1, "debug"), (Signal::USR2, "warn")] {
        daemon.signal(signal);
        let is_set = async { while client.get("/log-level").answers(200).await.json() != json!({"level": level}) {} };
        within_patience(level, is_set).await;
    }
    daemon.stop().await;
}

#[rstest]
#[case::no_level(json!({"level": "loud"}), "/level")]
#[case::a_target_alone(json!({"level": "plugin_registry"}), "/level")]
#[case::nothing(json!({"level": ""}), "/level")]
#[case::too_long(json!({"level": "x".repeat(2000)}), "/level")]
#[case::a_number(json!({"level": 3}), "/level")]
#[case::missing(json!({}), "/level")]
#[case::unknown(json!({"level": "info", "levels": 1}), "/levels")]
#[tokio::test]
async fn an_invalid_level_is_refused_and_changes_nothing(#[case] body: Value, #[case] pointer: &str) {
    let server = Server::in_memory().await;
    let client = server.client();
    set(&client, "info").await;
    let problem = client.put("/log-level", &body).refused(422).await;
    problem.about(pointer);
    assert_eq!(client.get("/log-level").answers(200).await.json(), json!({"level": "info"}));
    server.stop().await;
}
