//! Counts and durations of requests, without locks or allocations on the hot path.
//!
//! Each requested route has a row of atomic counters; an atomic pointer holds the table of rows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use fnv::FnvBuildHasher;
use hyper::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

/// The methods with separate counters; all other methods count as `other`.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// The statuses with separate counters, which are all statuses of this service; all others count as `other`.
const STATUSES: [u16; 30] = [
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 417, 421, 422,
    428, 429, 431, 500, 501, 503, 504,
];

/// The upper bounds of the buckets, in microseconds: 0.1 ms to 26 s.
const BOUNDS: [u64; 10] = [100, 400, 1_600, 6_400, 25_600, 102_400, 409_600, 1_638_400, 6_553_600, 26_214_400];

/// Counters of requests. Clones share the counters.
#[derive(Clone)]
pub struct Requests(Option<Arc<ArcSwap<Rows>>>);

type Rows = std::collections::HashMap<Box<str>, Arc<Row>, FnvBuildHasher>;

/// The counters of a route, by method.
#[derive(Default)]
struct Row([Cell; METHODS.len()]);

/// The counters of a route and a method.
struct Cell {
    answered: [AtomicU64; STATUSES.len() + 1],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Default for Cell {
    fn default() -> Cell {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Cell { answered: zeros(), buckets: std::array::from_fn(|_| AtomicU64::new(0)), nanoseconds: AtomicU64::new(0) }
    }
}

impl Default for Requests {
    fn default() -> Requests {
        Requests(Some(Arc::new(ArcSwap::from_pointee(Rows::default()))))
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

/// The name of a method with separate counters.
pub(crate) fn known(method: &Method) -> Option<&'static str> {
    METHODS.get(place_of(method)).copied().filter(|name| *name != "other")
}

fn place_of(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        _ => METHODS.len() - 1,
    }
}

impl Requests {
    /// Counts nothing, so that a benchmark can measure the cost of counting.
    pub fn uncounted() -> Requests {
        Requests(None)
    }

    /// Counts an answered request. `route` is the matched route, not the path, so labels stay bounded.
    pub fn count(&self, method: &Method, route: &str, status: StatusCode, duration: Duration) {
        let Some(rows) = &self.0 else { return };
        let method = place_of(method);
        if let Some(row) = rows.load().get(route) {
            row.count(method, status, duration);
            return;
        }
        // Copies the table, but only for the first request of each route.
        rows.rcu(|rows| {
            let mut rows = Rows::clone(rows);
            rows.entry(route.into()).or_default();
            rows
        });
        if let Some(row) = rows.load().get(route) {
            row.count(method, status, duration);
        }
    }
}

impl Row {
    fn count(&self, method: usize, status: StatusCode, duration: Duration) {
        let Some(cell) = self.0.get(method) else { return };
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // A bucket includes its bound, so a fraction of a microsecond above the bound must round up.
        let micros = micros.saturating_add(u64::from(!duration.subsec_nanos().is_multiple_of(1_000)));
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        let place = STATUSES.binary_search(&status.as_u16()).unwrap_or(STATUSES.len());
        let add = |counters: &[AtomicU64], place: usize| {
            if let Some(counter) = counters.get(place) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        add(&cell.answered, place);
        add(&cell.buckets, bucket);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        cell.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(rows) = &self.0 else { return Ok(()) };
        let rows = rows.load();
        let rows: BTreeMap<&str, &Row> = rows.iter().map(|(route, row)| (&**route, &**row)).collect();
        let cells = || {
            rows.iter()
                .flat_map(|(route, row)| METHODS.iter().zip(&row.0).map(move |(method, cell)| (route, method, cell)))
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut answered =
            encoder.encode_descriptor("http_requests", "Answered requests", None, MetricType::Counter)?;
        for (route, method, cell) in cells() {
            let statuses = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
            for (status, count) in statuses.zip(cell.answered.iter().map(read)).filter(|(_, count)| *count > 0) {
                let labels = [("method", *method), ("route", *route), ("status", status.as_str())];
                ConstCounter::new(count).encode(answered.encode_family(&labels)?)?;
            }
        }
        let help = "Time until the reply began";
        let unit = Some(&Unit::Seconds);
        let mut durations = encoder.encode_descriptor("http_request_duration", help, unit, MetricType::Histogram)?;
        for (route, method, cell) in cells() {
            let counts: Vec<u64> = cell.buckets.iter().map(read).collect();
            let count = counts.iter().sum();
            if count > 0 {
                let buckets: Vec<(f64, u64)> = bounds().zip(counts).collect();
                let seconds = Duration::from_nanos(read(&cell.nanoseconds)).as_secs_f64();
                let labels = [("method", *method), ("route", *route)];
                durations.encode_family(&labels)?.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
            }
        }
        Ok(())
    }
}

/// The upper bounds of the buckets, in seconds.
fn bounds() -> impl Iterator<Item = f64> {
    BOUNDS.iter().map(|micros| Duration::from_micros(*micros).as_secs_f64()).chain([f64::INFINITY])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_above_it_to_the_next() {
        let row = Row::default();
        for nanoseconds in [0, 100_000, 100_001, 27_000_000_000] {
            row.count(0, StatusCode::OK, Duration::from_nanos(nanoseconds));
        }
        let counts: Vec<u64> = row.0[0].buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn every_status_of_ours_has_its_place() {
        assert!(STATUSES.is_sorted());
        let row = Row::default();
        row.count(0, StatusCode::IM_A_TEAPOT, Duration::ZERO);
        assert_eq!(row.0[0].answered[STATUSES.len()].load(Ordering::Relaxed), 1);
    }
}
