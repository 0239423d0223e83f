//! GET /healthz and /readyz.

use serde_json::json;

use crate::harness::{Server, minimal};

#[tokio::test]
async fn healthz_answers_200_while_the_process_runs() {
    let server = Server::start().await;
    assert_eq!(server.client().get("/healthz").answers(200).await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn readyz_reports_status_revision_and_plugins() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    assert_eq!(
        client.get("/readyz").answers(200).await.json(),
        json!({
            "status": "ready", "version": env!("CARGO_PKG_VERSION"), "revision": 1, "plugins": 1,
            "reason": null, "since": null, "age_seconds": 0, "sight": [],
            "clock": {"last_jump_seconds": null, "last_jump_at": null, "head_ahead_seconds": 0.0},
        })
    );
}
