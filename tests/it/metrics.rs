//! GET /metrics.

use std::collections::BTreeMap;

use crate::harness::{Client, Server, holding_everything, minimal, named};

/// Every sample, by its name with its labels.
async fn samples(client: &Client) -> BTreeMap<String, f64> {
    let reply = client.get("/metrics").answers(200).await;
    let media_type = reply.header("content-type").unwrap();
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    let text = reply.text();
    assert!(text.ends_with("# EOF\n"), "OpenMetrics has an end");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(name.starts_with("plugin_registry_"), "{line}");
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
    };
    lines.map(sample).collect()
}

#[tokio::test]
async fn the_registry_is_counted() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    client.register(&holding_everything()).await;
    client.post("/plugins", &minimal()).answers(200).await;
    client.get("/plugins/no_such").refused(404).await;
    let samples = samples(&client).await;
    for (name, value) in [
        ("revision", 2.0),
        ("plugins_active", 1.0),
        ("store_writable", 1.0),
        ("commit_queue", 0.0),
        ("commit_commands_sum", 3.0),
        ("commits_total", 3.0),
        ("commits_failed_total", 0.0),
        (r#"plugins{execution_mode="in_process"}"#, 1.0),
        (r#"http_requests_total{method="POST",route="/plugins",status="201"}"#, 2.0),
        (r#"http_requests_total{method="POST",route="/plugins",status="200"}"#, 1.0),
        (r#"http_requests_total{method="GET",route="/plugins/{id}",status="404"}"#, 1.0),
        (r#"http_request_duration_seconds_count{method="POST",route="/plugins"}"#, 3.0),
    ] {
        assert_eq!(samples.get(&format!("plugin_registry_{name}")), Some(&value), "{name}: {samples:#?}");
    }
    for name in
        ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "snapshot_age_seconds"]
    {
        assert!(samples[&format!("plugin_registry_{name}")] >= 0.0, "{name}");
    }
}

/// Who sends what must not be able to make series without end.
#[tokio::test]
async fn what_a_client_sends_makes_no_series() {
    let server = Server::start().await;
    let client = server.client();
    client.register(&minimal()).await;
    let ask = async |round: usize| {
        client.get(&format!("/nowhere/{round}")).refused(404).await;
        client.get(&format!("/plugins/{round}")).refused(404).await;
        let made_up = reqwest::Method::from_bytes(format!("BREW{round}").as_bytes()).unwrap();
        client.request(made_up, "/plugins").refused(405).await;
        client.post("/plugins", &named(&format!("category{round}"), "n")).answers(201).await;
    };
    ask(0).await;
    samples(&client).await;
    let before = samples(&client).await.len();
    for round in 1..20 {
        ask(round).await;
    }
    assert_eq!(samples(&client).await.len(), before);
}
