//! Traces (OpenTelemetry over OTLP) of the real binary, as a collector sees them, and trace ids in the log.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::process::{binary, complaint, finish};
use crate::harness::receiver::Receiver;
use crate::harness::{Collector, Daemon, minimal, named, within_patience};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

/// A registry in memory with a JSON log; `settings` go into its environment.
fn service(settings: &[(&str, &str)]) -> Command {
    let mut command = binary();
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory", "--log-format", "json"]);
    command.arg("--webhooks-allow-private");
    // A short delay, so that the test sees the spans soon.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "10").envs(settings.iter().copied());
    command
}

async fn traced_by(collector: &Collector, settings: &[(&str, &str)]) -> Daemon {
    let mut command = service(settings);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    Daemon::spawn(command).await
}

/// The log line of a request.
fn line_of(log: &str, request_id: &str) -> Value {
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.find(|line| line["request.id"] == request_id).unwrap_or_else(|| panic!("no {request_id}: {log}"))
}

#[tokio::test]
async fn a_request_is_one_trace_from_its_span_to_the_commit_of_its_batch() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[]).await;
    let call = daemon.client().post("/plugins", &minimal()).header("x-request-id", "traced");
    call.header("traceparent", parent("01")).header("tracestate", "rojo=1,congo=2").answers(201).await;

    let request = collector.named("POST /plugins").await;
    assert_eq!((request.trace().as_str(), request.parent().as_str()), (TRACE, SPAN));
    assert_eq!(request.span.trace_state, "rojo=1,congo=2");
    assert_eq!(request.span.kind, 2, "a server's");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/plugins"),
        ("http.response.status_code", "201"),
        ("url.path", "/plugins"),
        ("request.id", "traced"),
    ] {
        assert_eq!(request.attribute(name), value, "{name}");
    }
    assert_eq!(request.resource["service.name"], "plugin-registry");
    assert_eq!(request.resource["service.version"], env!("CARGO_PKG_VERSION"));

    let queue = collector.named("registry.queue").await;
    let commit = collector.named("registry.commit").await;
    for part in [&queue, &commit] {
        assert_eq!((part.trace(), part.parent()), (request.trace(), request.id()), "{}", part.span.name);
    }
    assert!(queue.span.end_time_unix_nano <= commit.span.start_time_unix_nano);
    assert!(request.span.start_time_unix_nano <= queue.span.start_time_unix_nano);
    assert!(commit.span.end_time_unix_nano <= request.span.end_time_unix_nano);

    let batch = collector.named("registry.batch").await;
    assert_ne!(batch.trace(), request.trace(), "a batch has many parents, and so a trace of its own");
    assert_eq!((batch.links(), commit.links()), (vec![commit.id()], vec![batch.id()]));
    assert_eq!(batch.attribute("registry.batch.commands"), "1");
    assert_eq!(batch.attribute("registry.revision"), "1");

    daemon.signal(Signal::TERM);
    let line = line_of(&daemon.exit().await.1, "traced");
    assert_eq!((line["trace_id"].as_str(), line["span_id"].as_str()), (Some(TRACE), Some(request.id().as_str())));
}

#[tokio::test]
async fn the_caller_decides_whether_a_request_is_sampled() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[]).await;
    let client = daemon.client();
    let unsampled = client.post("/plugins", &minimal()).header("traceparent", parent("00"));
    unsampled.answers(201).await;
    client.get("/stats").answers(200).await;
    daemon.stop().await;
    assert_eq!(collector.named("GET /stats").await.parent(), "", "it begins a trace");
    assert!(collector.all().iter().all(|told| told.span.name == "GET /stats"), "{:?}", collector.all());
}

#[tokio::test]
async fn a_traceparent_that_is_not_valid_begins_a_trace() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[]).await;
    for wrong in ["", "00-abc-def-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
        daemon.client().get("/stats").header("traceparent", wrong).answers(200).await;
    }
    daemon.stop().await;
    assert_eq!(collector.named("GET /stats").await.parent(), "");
    assert_eq!(collector.all().len(), 3);
}

#[tokio::test]
async fn a_delivery_continues_the_trace_of_its_change_without_its_address() {
    let (mut collector, mut receiver) = (Collector::start().await, Receiver::start().await);
    let daemon = traced_by(&collector, &[]).await;
    let client = daemon.client();
    let webhook = client.post("/webhooks", &json!({"url": receiver.url()})).answers(201).await.json();
    let call = client.post("/plugins", &minimal()).header("traceparent", parent("01"));
    call.header("tracestate", "rojo=1").answers(201).await;
    let message = receiver.message().await;
    let delivery = collector.named("webhook.deliver").await;
    assert_eq!(delivery.trace(), TRACE);
    assert_eq!(message.header("traceparent"), format!("00-{TRACE}-{}-01", delivery.id()));
    assert_eq!(message.header("tracestate"), "rojo=1");
    assert_eq!(delivery.attribute("http.response.status_code"), "204");
    daemon.stop().await;
    let told = format!("{:?}", collector.all());
    for secret in [webhook["secret"].as_str().unwrap(), "/hook"] {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
}

#[tokio::test]
async fn a_trace_is_propagated_and_logged_without_an_exporter() {
    let mut receiver = Receiver::start().await;
    let daemon = Daemon::spawn(service(&[])).await;
    let client = daemon.client();
    client.post("/webhooks", &json!({"url": receiver.url()})).answers(201).await;
    let call = client.post("/plugins", &minimal()).header("x-request-id", "told");
    call.header("traceparent", parent("01")).answers(201).await;
    assert_eq!(receiver.message().await.header("traceparent"), parent("01"));
    client.get("/stats").header("x-request-id", "untold").answers(200).await;
    daemon.signal(Signal::TERM);
    let log = daemon.exit().await.1;
    let line = line_of(&log, "told");
    assert_eq!((line["trace_id"].as_str(), line["span_id"].as_str()), (Some(TRACE), Some(SPAN)));
    let line = line_of(&log, "untold");
    assert!(line.get("trace_id").is_none() && line.get("span_id").is_none(), "{line}");
}

#[tokio::test]
async fn the_environment_sets_the_sampler_and_the_service_name() {
    let mut collector = Collector::start().await;
    let settings = [
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ("OTEL_SERVICE_NAME", "mine"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
    ];
    let daemon = traced_by(&collector, &settings).await;
    daemon.client().get("/readyz").answers(200).await;
    daemon.client().get("/stats").header("traceparent", parent("01")).answers(200).await;
    daemon.stop().await;
    let told = collector.named("GET /stats").await;
    assert_eq!(
        (told.resource["service.name"].as_str(), &told.headers["api-key"]),
        ("mine", &"secret".parse().unwrap())
    );
    assert_eq!(told.resource["deployment.environment.name"], "test");
    assert_eq!(collector.all().len(), 1);
}

#[tokio::test]
async fn the_last_spans_are_exported_at_shutdown() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]).await;
    daemon.client().get("/stats").answers(200).await;
    assert!(collector.all().is_empty());
    daemon.stop().await;
    collector.named("GET /stats").await;
}

#[tokio::test]
async fn an_unreachable_collector_delays_no_request() {
    // No process listens on port 1 of the loopback.
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_BSP_MAX_QUEUE_SIZE", "4")];
    let daemon = Daemon::spawn(service(&settings)).await;
    let client = daemon.client();
    let is_lost = async || {
        let text = client.get("/metrics").answers(200).await.text().to_owned();
        let count = |outcome: &str| {
            let name = format!("plugin_registry_trace_spans_total{{outcome=\"{outcome}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{text}"));
            line.parse::<u64>().unwrap()
        };
        assert_eq!(count("exported"), 0);
        count("dropped") > 0
    };
    within_patience("spans are dropped", async { while !is_lost().await {} }).await;
    daemon.signal(Signal::TERM);
    let (status, _) = daemon.exit().await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn an_import_does_not_fill_the_queue_of_spans() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[]).await;
    let lines: String = (0..300).map(|number| format!("{}\n", named("c", &format!("n{number}")))).collect();
    daemon.client().import(lines).await;
    daemon.stop().await;
    let request = collector.named("POST /plugins").await;
    let parts = collector.all().iter().filter(|told| told.parent() == request.id()).count();
    assert_eq!(parts, 128);
}

#[tokio::test]
async fn exec_continues_the_trace_of_its_caller() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[]).await;
    let mut exec = binary();
    exec.args(["exec", "--server", &format!("http://{}", daemon.address), "--category", "c", "--name", "n"]);
    exec.args(["--", "true"]).env("TRACEPARENT", parent("01")).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let output = finish(exec).await;
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
    let sent = collector.named("registry.request").await;
    assert_eq!((sent.trace().as_str(), sent.parent().as_str()), (TRACE, SPAN));
    assert_eq!(sent.resource["service.name"], "plugin-registry-exec");
    let taken = collector.span("the request that was sent", |told| told.parent() == sent.id()).await;
    assert_eq!((taken.trace().as_str(), taken.resource["service.name"].as_str()), (TRACE, "plugin-registry"));
    daemon.stop().await;
}

#[tokio::test]
async fn an_agents_requests_are_traced() {
    let mut collector = Collector::start().await;
    let daemon = traced_by(&collector, &[]).await;
    let mut agent = binary();
    agent.args(["agent", "--server", &format!("http://{}", daemon.address), "--host", "traced", "--interval", "0.1"]);
    agent.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).env("OTEL_BSP_SCHEDULE_DELAY", "10");
    let mut agent = agent.spawn().expect("the agent cannot be started");
    let sent = collector.span("a request", |told| told.resource["service.name"] == "plugin-registry-agent").await;
    let taken = collector.span("the request that was sent", |told| told.parent() == sent.id()).await;
    assert_eq!(taken.span.name, "GET /resources");
    agent.kill().expect("it runs");
    agent.wait().expect("it has ended");
    daemon.stop().await;
}

#[tokio::test]
async fn invalid_trace_settings_are_refused_at_start() {
    for (name, value, why) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "OTEL_BSP_SCHEDULE_DELAY"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[", "collector"),
    ] {
        let mut command = service(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), (name, value)]);
        command.args(["--log-level", "error"]);
        let output = finish(command).await;
        assert!(!output.status.success() && complaint(&output).contains(why), "{name}: {}", complaint(&output));
    }
}
