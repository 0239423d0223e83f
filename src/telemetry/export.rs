//! Exports spans to a collector: a bounded queue, and the task that empties it.
//!
//! No request waits for the collector: the queue drops and counts spans that exceed it. The SDK's own processor hides
//! its counts, and runs on a thread without the tokio runtime that the HTTP client needs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How spans are batched. The defaults are from OpenTelemetry's specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportSettings {
    /// How many spans may wait (`OTEL_BSP_MAX_QUEUE_SIZE`). A larger queue bridges a longer outage of the collector,
    /// and costs about 1 KiB a span.
    pub queue: usize,
    /// The most spans in one batch (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
    pub batch: usize,
    /// How long to wait for a full batch (`OTEL_BSP_SCHEDULE_DELAY`).
    pub delay: Duration,
}

impl Default for ExportSettings {
    fn default() -> ExportSettings {
        ExportSettings { queue: 2_048, batch: 512, delay: Duration::from_secs(5) }
    }
}

/// The number of spans by outcome.
#[derive(Debug, Default)]
pub struct SpanCounts {
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl SpanCounts {
    /// The number of spans of each outcome.
    pub fn by_outcome(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("exported", read(&self.exported)), ("failed", read(&self.failed)), ("dropped", read(&self.dropped))]
    }
}

/// The queue of ended spans. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct SpanQueue {
    queue: mpsc::Sender<SpanData>,
    counts: Arc<SpanCounts>,
    stop: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl SpanQueue {
    pub fn start(exporter: impl SpanExporter + 'static, settings: ExportSettings) -> SpanQueue {
        let (queue, waiting) = mpsc::channel(settings.queue.max(1));
        let (counts, stop) = (Arc::new(SpanCounts::default()), CancellationToken::new());
        let export = Export { exporter, settings, counts: Arc::clone(&counts), is_failing: false };
        let task = tokio::spawn(export.run(waiting, stop.clone()));
        SpanQueue { queue, counts, stop, task: Arc::new(Mutex::new(Some(task))) }
    }

    pub fn counts(&self) -> &SpanCounts {
        &self.counts
    }

    pub async fn stop(&self, within: Duration) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(within, &mut task).await.is_err() {
            task.abort();
            warn!("the trace collector did not accept the last spans in time");
        }
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The exporting task.
struct Export<E> {
    exporter: E,
    settings: ExportSettings,
    counts: Arc<SpanCounts>,
    is_failing: bool,
}

impl<E: SpanExporter> Export<E> {
    /// Sends batches until `stop`, then the rest.
    async fn run(mut self, mut waiting: mpsc::Receiver<SpanData>, stop: CancellationToken) {
        let most = self.settings.batch.max(1);
        let mut batch = Vec::new();
        let mut due = Instant::now();
        loop {
            let room = most - batch.len();
            tokio::select! {
                () = stop.cancelled() => break,
                taken = waiting.recv_many(&mut batch, room) => {
                    if taken == 0 {
                        break;
                    }
                    if batch.len() == taken {
                        due = Instant::now() + self.settings.delay;
                    }
                }
                () = tokio::time::sleep_until(due), if !batch.is_empty() => {}
            }
            if batch.len() >= most || (!batch.is_empty() && Instant::now() >= due) {
                self.send(std::mem::take(&mut batch)).await;
            }
        }
        waiting.close();
        while !batch.is_empty() || waiting.recv_many(&mut batch, most).await > 0 {
            self.send(std::mem::take(&mut batch)).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let sent = self.exporter.export(batch).await;
        let count = if sent.is_ok() { &self.counts.exported } else { &self.counts.failed };
        count.fetch_add(spans, Ordering::Relaxed);
        let was_failing = std::mem::replace(&mut self.is_failing, sent.is_err());
        match sent {
            Err(error) if !was_failing => {
                warn!(%error, spans, "cannot export traces; spans are dropped until the collector accepts them");
            }
            Ok(()) if was_failing => info!("traces are exported again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::SpanKind;
    use opentelemetry_sdk::Resource;

    use super::super::Traces;
    use super::*;

    /// A collector that accepts a batch whenever the test allows one.
    #[derive(Debug)]
    struct Collector {
        taken: mpsc::UnboundedSender<usize>,
        is_open: Arc<tokio::sync::Semaphore>,
    }

    impl SpanExporter for Collector {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let _open = self.is_open.acquire().await.unwrap();
            self.taken.send(batch.len()).unwrap();
            Ok(())
        }
    }

    fn collector(places: usize) -> (Collector, Arc<tokio::sync::Semaphore>, mpsc::UnboundedReceiver<usize>) {
        let (taken, seen) = mpsc::unbounded_channel();
        let is_open = Arc::new(tokio::sync::Semaphore::new(places));
        (Collector { taken, is_open: Arc::clone(&is_open) }, is_open, seen)
    }

    fn make(traces: &Traces, spans: usize) {
        (0..spans).for_each(|_| drop(traces.span(None, "work", SpanKind::Internal)));
    }

    #[tokio::test]
    async fn spans_are_batched_and_the_rest_is_sent_at_shutdown() {
        let (collector, _, mut seen) = collector(1);
        let settings = ExportSettings { batch: 3, delay: Duration::from_millis(1), ..ExportSettings::default() };
        let traces = Traces::start(collector, &Resource::builder_empty().build(), settings);
        make(&traces, 4);
        assert_eq!(seen.recv().await, Some(3), "a full batch is sent at once");
        assert_eq!(seen.recv().await, Some(1), "the rest is sent after the delay");
        make(&traces, 2);
        traces.stop(Duration::from_secs(1)).await;
        assert_eq!(seen.recv().await, Some(2));
        assert_eq!(traces.counts().unwrap().by_outcome(), [("exported", 6), ("failed", 0), ("dropped", 0)]);
    }

    #[tokio::test]
    async fn an_unreachable_collector_delays_no_span_and_drops_are_counted() {
        let (collector, is_open, mut seen) = collector(0);
        let settings = ExportSettings { queue: 4, batch: 2, ..ExportSettings::default() };
        let traces = Traces::start(collector, &Resource::builder_empty().build(), settings);
        make(&traces, 2);
        make(&traces, 9);
        is_open.add_permits(1);
        traces.stop(Duration::from_secs(1)).await;
        let mut sent = 0;
        while let Ok(spans) = seen.try_recv() {
            sent += spans;
        }
        let [(_, exported), _, (_, dropped)] = traces.counts().unwrap().by_outcome();
        assert_eq!((exported, exported + dropped), (u64::try_from(sent).unwrap(), 11));
        assert!(dropped >= 5, "{dropped}");
    }
}
