//! Gauges that are computed from the snapshot at each scrape, so that no second counter can drift.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::time::Instant;

use crate::http::handlers::webhooks::WebhookState;
use crate::http::state::{LONG_SCAN, Shared};
use crate::registry::fair_pool::{WorkCaller, WorkCounts, WorkError};
use crate::registry::health::WriterHealth;
use domain::cost::StatementLine;
use domain::index::IndexKey;
use domain::plugin::ExecutionMode;
use domain::query::{CostQuery, Pace, Unpaced};
use domain::record::FindingKind;
use domain::{LeaseState, Snapshot};

/// The gauges of a scrape.
pub(crate) struct Gauges {
    api: Shared,
    snapshot: Arc<Snapshot>,
    /// The present costs of all plugins.
    costs: StatementLine,
}

impl Gauges {
    /// The gauges of the current snapshot. Sums the costs at the caller's turn if that takes long.
    ///
    /// # Errors
    ///
    /// If too much work waits.
    pub async fn new(api: &Shared, caller: WorkCaller) -> Result<Gauges, WorkError> {
        let snapshot = api.registry.snapshot();
        let costs = if snapshot.state.indexes().count(&IndexKey::Billable) <= LONG_SCAN {
            let Ok(costs) = present_costs(&snapshot, &Unpaced);
            costs
        } else {
            let snapshot = Arc::clone(&snapshot);
            api.registry.scans().run(caller, move |turn| present_costs(&snapshot, turn)).await?
        };
        Ok(Gauges { api: api.clone(), snapshot, costs })
    }
}

fn present_costs<P: Pace>(snapshot: &Snapshot, pace: &P) -> Result<StatementLine, P::Stop> {
    Ok(CostQuery::default().standing(&snapshot.state, None, pace)?.total())
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

impl Collector for Gauges {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = GaugeWriter(encoder);
        self.tell_service(&mut writer)?;
        self.tell_plugins(&mut writer)?;
        self.tell_costs(&mut writer)?;
        self.tell_leases(&mut writer)?;
        self.tell_webhooks(&mut writer)?;
        self.tell_work(&mut writer)?;
        self.tell_spans(&mut writer)
    }
}

impl Gauges {
    fn tell_service(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let registry = &self.api.registry;
        writer.gauge("revision", "The newest revision", float(self.snapshot.state.revision().0))?;
        let is_writable = registry.health() == WriterHealth::Writable;
        writer.gauge("store_writable", "1 if changes can be written, else 0", f64::from(u8::from(is_writable)))?;
        let ahead = registry.clocks().lead_of(self.snapshot.state.at()).map_or(0.0, |lead| lead.as_secs_f64());
        writer.gauge(
            "head_ahead_seconds",
            "Seconds that the newest change lies in the future, if clocks of replicas may not be so far apart",
            ahead,
        )?;
        let age = registry.freshness().age(Instant::now()).as_secs_f64();
        let help = "Time since the replica last confirmed that its revision is the newest";
        writer.gauge("snapshot_age_seconds", help, age)?;
        writer.gauge("watchers", "Live streams and long polls", float(registry.topics().followers()))
    }

    fn tell_plugins(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let indexes = self.snapshot.state.indexes();
        let count = |key: &IndexKey| float(indexes.count(key));
        writer.gauge("plugins_active", "Plugins that hold a running resource", count(&IndexKey::Active))?;
        writer.gauge("plugins_configured", "Plugins that are configured", count(&IndexKey::Configured))?;
        let modes = ExecutionMode::ALL.iter().map(|mode| (mode.as_str(), count(&IndexKey::Mode(*mode))));
        writer.gauges("plugins", "Plugins by where they do their work", "execution_mode", modes)?;
        let help = "Plugins that hold a resource with a finding that no client has acknowledged";
        let findings = FindingKind::ALL.iter().map(|kind| (kind.as_str(), count(&IndexKey::OpenFinding(*kind))));
        writer.gauges("plugins_with_finding", help, "finding", findings)?;
        let help = "Plugins that left behind a resource that may still run or bill";
        writer.gauge("plugins_with_left_behind", help, count(&IndexKey::LeftBehind))
    }

    fn tell_costs(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let state = &self.snapshot.state;
        let total = self.costs;
        let help = "Plugins with a remote resource that the provider may bill";
        writer.gauge("plugins_billable", help, float(state.indexes().count(&IndexKey::Billable)))?;
        let help = "Billable resources without a price, which the burn rate leaves out";
        writer.gauge("plugins_unpriced", help, float(total.unpriced))?;
        let help = "Current cost in an hour, by the declared prices";
        let burn = total.burn.to_string().parse().unwrap_or(f64::NAN);
        writer.gauge("burn_usd_per_hour", help, burn)?;
        let budgets = state.ledger().budgets();
        let now = self.api.registry.now();
        let is_spent = |percents: &[u32]| percents.iter().any(|percent| *percent >= 100);
        let spent = budgets.values().filter(|account| is_spent(account.reached(now))).count();
        writer.gauge("budgets", "Budgets", float(budgets.size()))?;
        writer.gauge("budgets_spent", "Budgets that have reached 100 % or more", float(spent))?;
        let over = budgets.values().filter(|account| account.told_over_per_hour()).count();
        writer.gauge("budgets_over_burn_limit", "Budgets whose hour costs more than limit_usd_per_hour", float(over))
    }

    fn tell_leases(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let leases = self.snapshot.state.leases();
        let of = |state: LeaseState| leases.values().filter(|lease| lease.state == state).count();
        let states = LeaseState::ALL.iter().map(|state| (state.as_str(), float(of(*state))));
        writer.gauges("leases", "Leases by state", "state", states)
    }

    fn tell_webhooks(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let measures = self.api.webhooks.measures();
        let [delivered, failed, gone] = [&measures.delivered, &measures.failed, &measures.gone].map(Counter::get);
        let attempts = [("delivered", delivered), ("failed", failed), ("gone", gone)];
        writer.counters("webhook_attempts", "Delivery attempts by outcome", "outcome", attempts)?;
        // Where another process delivers the webhooks, that process exports their gauges.
        let Some(views) = self.api.webhooks.delivered_here() else { return Ok(()) };
        let of = |state: WebhookState| views.iter().filter(|view| WebhookState::of(view) == state).count();
        let states = WebhookState::ALL.iter().map(|state| (state.as_str(), float(of(*state))));
        writer.gauges("webhooks", "Webhooks that this process delivers, by state", "state", states)?;
        let delivered = views.iter().filter(|view| view.webhook.enabled);
        let lag = delivered.map(|view| self.api.webhooks.lag(view)).max().unwrap_or_default();
        let help = "Changes that the slowest enabled webhook has not delivered yet";
        writer.gauge("webhook_lag_revisions", help, float(lag))
    }

    fn tell_work(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let WorkCounts { waiting, begun, done, stopped, refused } = self.api.registry.scans().counts();
        let states = [("waiting", float(waiting)), ("begun", float(begun))];
        writer.gauges("long_reads", "Reads that take long, by state", "state", states)?;
        let outcomes = [("done", done), ("stopped", stopped), ("refused", refused)];
        writer.counters("long_reads_ended", "Ended reads that took long, by outcome", "outcome", outcomes)
    }

    fn tell_spans(&self, writer: &mut GaugeWriter<'_>) -> fmt::Result {
        let Some(counts) = self.api.traces.counts() else { return Ok(()) };
        writer.counters("trace_spans", "Ended spans by outcome", "outcome", counts.by_outcome())
    }
}

/// Converts a count to the type of a gauge.
fn float(count: impl TryInto<u64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "revisions and counts are far below 2^53")]
    let float = count.try_into().unwrap_or(u64::MAX) as f64;
    float
}

struct GaugeWriter<'a>(DescriptorEncoder<'a>);

impl GaugeWriter<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        ConstGauge::new(value).encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, f64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (of, value) in values {
            ConstGauge::new(value).encode(encoder.encode_family(&[(label, of)])?)?;
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (of, value) in values {
            ConstCounter::new(value).encode(encoder.encode_family(&[(label, of)])?)?;
        }
        Ok(())
    }
}
