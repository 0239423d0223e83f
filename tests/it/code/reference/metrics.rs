//! metrics.md: what `/metrics` of the real binary exposes, after it has done a little of everything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tempfile::TempDir;

use super::markdown::{Page, code, codes, sentence};
use crate::harness::process::binary;
use crate::harness::receiver::Receiver;
use crate::harness::{Client, Collector, Daemon, minimal, named, within_patience};

const ABOUT: &str = "All metrics that `GET /metrics` exposes, as OpenMetrics 1.0 or in Prometheus' older text format. \
[Observability](../guide/observability.md) tells which to watch.

## How to read this

- The names are those of the samples: a counter ends in `_total`. A histogram has `_bucket`, `_sum` and `_count`.
- No label has a value that a client can choose.
- Each replica counts its own requests, commits and deliveries. Gauges of plugins, costs and leases are the same on all replicas,
  as of `plugin_registry_revision`.
- The replica that delivers exposes `plugin_registry_webhooks` and `plugin_registry_webhook_lag_revisions`.
- `plugin_registry_trace_spans_total` is there when traces are sent somewhere (`--otlp-endpoint`).";

/// Metrics that `/metrics` leaves out until there is something to count.
const LATE: [&str; 2] = ["\nplugin_registry_sightings_total{", "\nplugin_registry_probe_duration_seconds_count{"];

/// A metric, as the text of `/metrics` describes it.
#[derive(Default)]
struct Metric {
    help: String,
    kind: String,
    unit: String,
    labels: BTreeSet<String>,
}

impl Metric {
    /// The name of its samples, without the parts of a histogram.
    fn name(&self, family: &str) -> String {
        match self.kind.as_str() {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            _ => family.to_owned(),
        }
    }
}

/// The page.
pub(super) async fn page() -> String {
    let metrics = parse(&exposed().await);
    let mut page = Page::new("Metrics", ABOUT);
    for (title, prefix) in [("Metrics of the registry", "plugin_registry_"), ("Metrics of the process", "process_")] {
        page.heading(2, title);
        let of_prefix = metrics.iter().filter(|(family, _)| family.starts_with(prefix));
        let row = |(family, metric): (&String, &Metric)| {
            let labels = codes(metric.labels.iter().map(String::as_str));
            vec![code(&metric.name(family)), metric.kind.clone(), metric.unit.clone(), labels, sentence(&metric.help)]
        };
        let rows: Vec<_> = of_prefix.map(row).collect();
        page.table(&["metric", "type", "unit", "labels", "meaning"], &rows);
    }
    page.finish()
}

/// The text of a registry that has something to say of every metric.
async fn exposed() -> String {
    let folder = TempDir::new().unwrap();
    let (mut receiver, collector) = (Receiver::start().await, Collector::start().await);
    let mut command = binary();
    command.env("PLUGIN_REGISTRY_PROBE_OWN_HOST", "true").args(["serve", "--listen", "127.0.0.1:0", "--store"]);
    command.arg(format!("sqlite:{}", folder.path().join("registry.db").display()));
    command.args(["--webhooks-allow-private", "--probe-interval", "1", "--otlp-endpoint", &collector.url()]);
    let daemon = Daemon::spawn(command).await;
    let client = daemon.client();
    client.post("/webhooks", &json!({"url": receiver.url()})).answers(201).await;
    let mut plugin = minimal();
    plugin["spawned_pids"] = json!([std::process::id()]);
    client.register(&plugin).await;
    client.register(&named("another", "plugin")).await;
    receiver.message().await;
    let text = within_patience("a sample of every metric", complete_text(&client)).await;
    daemon.stop().await;
    text
}

/// Reads until the probes have looked, which they do by themselves.
async fn complete_text(client: &Client) -> String {
    loop {
        let text = client.get("/metrics").answers(200).await.text().to_owned();
        if LATE.iter().all(|sample| text.contains(sample)) {
            return text;
        }
    }
}

fn parse(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        let Some((what, family, rest)) = comment(line) else {
            note_labels(&mut metrics, line);
            continue;
        };
        let metric = metrics.entry(family.to_owned()).or_default();
        match what {
            "HELP" => metric.help = rest.to_owned(),
            "TYPE" => metric.kind = rest.to_owned(),
            "UNIT" => metric.unit = rest.to_owned(),
            other => panic!("# {other} of {family}"),
        }
    }
    metrics
}

fn comment(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.strip_prefix("# ")?.splitn(3, ' ');
    Some((words.next()?, words.next()?, words.next()?))
}

/// Adds the labels of a sample to those of its metric.
fn note_labels(metrics: &mut BTreeMap<String, Metric>, sample: &str) {
    let Some((name, labels)) = sample.split_once('{') else { return };
    let parts = ["", "_total", "_info", "_bucket", "_sum", "_count"];
    let family = parts.iter().filter_map(|part| name.strip_suffix(part)).find(|family| metrics.contains_key(*family));
    let metric = family.and_then(|family| metrics.get_mut(family)).unwrap_or_else(|| panic!("{name} has no type"));
    // Labels have names of letters, and no value of ours has a quotation mark.
    let names = labels.split("=\"").filter_map(|before| before.rsplit(['"', ',', '{']).next());
    let names =
        names.filter(|name| !name.is_empty() && name.chars().all(|letter| letter.is_alphabetic() || letter == '_'));
    metric.labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
}
