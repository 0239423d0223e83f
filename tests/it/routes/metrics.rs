//! GET /metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::receiver::Receiver;
use crate::harness::server::Setup;
use crate::harness::{Client, Daemon, Server, holding_everything, minimal, named, within_patience};
use plugin_registry::net::AddressPolicy;
use plugin_registry::webhook;

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
        assert!(name.starts_with("plugin_registry_") || name.starts_with("process_"), "{line}");
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
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(samples[&format!("plugin_registry_build_info{{version=\"{version}\"}}")], 1.0);
    for name in [
        "plugin_registry_snapshot_age_seconds",
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "process_virtual_memory_bytes",
    ] {
        assert!(samples[name] >= 0.0, "{name}");
    }
}

#[tokio::test]
async fn resources_observations_budgets_and_deliveries_are_counted() {
    let mut receiver = Receiver::start().await;
    let settings = webhook::deliveries::DeliverySettings {
        address_policy: AddressPolicy::Everything,
        ..webhook::deliveries::DeliverySettings::default()
    };
    let server = Setup { webhooks: settings, ..Setup::in_memory() }.start().await;
    let client = server.client();
    client.post("/webhooks", &json!({"url": receiver.url()})).answers(201).await;
    client.register(&holding_everything()).await;
    receiver.message().await;
    client.post("/leases", &json!({"holder": "me", "ttl_seconds": 30})).answers(201).await;
    receiver.message().await;
    let remote = json!({"provider": "aws", "status": "running", "estimated_cost_per_hour": 24.5});
    for (name, remote) in [("priced", remote), ("unpriced", json!({"provider": "aws", "status": "running"}))] {
        let mut plugin = named("bills", name);
        plugin["remote_resource"] = remote;
        client.register(&plugin).await;
        receiver.message().await;
    }
    client.delete("/plugins/bills_unpriced?force=true").answers(204).await;
    receiver.message().await;
    let held = client.get("/resources?kind=process").answers(200).await.items();
    let sighting =
        |state: &str| json!({"kind": "process", "plugin": held[0]["plugin"], "id": held[0]["id"], "state": state});
    let report = json!({"by": "me", "observations": [sighting("alive")]});
    client.post("/observations", &report).answers(200).await;
    receiver.message().await;
    let samples = samples(&client).await;
    let holding: f64 = holding_everything()["remote_resource"]["estimated_cost_per_hour"].as_f64().unwrap_or(0.0);
    for (name, value) in [
        (r#"leases{state="active"}"#, 1.0),
        (r#"leases{state="lost"}"#, 0.0),
        ("plugins_unpriced", 0.0),
        ("burn_usd_per_hour", 24.5 + holding),
        (r#"sightings_total{kind="process",state="alive"}"#, 1.0),
        (r#"webhooks{state="delivering"}"#, 1.0),
        (r#"webhooks{state="parked"}"#, 0.0),
        ("budgets", 0.0),
        ("budgets_spent", 0.0),
        (r#"plugins_with_finding{finding="ghost"}"#, 0.0),
    ] {
        assert_eq!(samples.get(&format!("plugin_registry_{name}")), Some(&value), "{name}: {samples:#?}");
    }
    // The last request is counted once its response has arrived.
    let delivered = async || {
        let text = client.get("/metrics").answers(200).await.text().to_owned();
        text.contains("plugin_registry_webhook_attempts_total{outcome=\"delivered\"} 6\n")
            && text.contains("plugin_registry_webhook_attempt_duration_seconds_count 6\n")
            && text.contains("plugin_registry_webhook_lag_revisions 0.0\n")
    };
    within_patience("six deliveries are counted", async { while !delivered().await {} }).await;
}

#[tokio::test]
async fn clients_without_openmetrics_get_the_prometheus_text_format() {
    let server = Server::in_memory().await;
    let client = server.client();
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, is_newer) in [(prometheus, true), ("*/*", true), ("text/plain", false)] {
        let reply = client.get("/metrics").header("accept", accept).answers(200).await;
        let media_type = reply.header("content-type").unwrap().to_owned();
        assert_eq!(media_type.starts_with("application/openmetrics-text"), is_newer, "{accept}: {media_type}");
        assert_eq!(reply.text().ends_with("# EOF\n"), is_newer, "{accept}");
        assert_eq!(reply.text().contains("# TYPE plugin_registry_commits_total counter\n"), !is_newer, "{accept}");
    }
    client.get("/metrics").header("accept", "application/json").refused(406).await;
}

#[tokio::test]
async fn the_metrics_can_have_a_separate_address() {
    let folder = TempDir::new().unwrap();
    let flags = ["--metrics-listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::start_with(&folder.path().join("registry.db"), &flags).await;
    let client = daemon.client();
    client.register(&minimal()).await;
    let problem = client.get("/metrics").refused(404).await;
    assert!(problem.detail().contains("--metrics-listen"), "{}", problem.detail());
    let address = async {
        loop {
            let log = daemon.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let mut told = lines.filter(|line| line["message"] == "the metrics have an address of their own");
            if let Some(line) = told.next() {
                return line["address"].as_str().unwrap().parse::<SocketAddr>().unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let metrics = Client::new(within_patience("the address is logged", address).await);
    assert_eq!(samples(&metrics).await["plugin_registry_revision"], 1.0);
    metrics.get("/plugins").refused(404).await;
    metrics.post("/plugins", &named("a", "b")).refused(404).await;
    daemon.stop().await;
}

/// A client must not be able to create unlimited series.
#[tokio::test]
async fn clients_cannot_create_series() {
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
