//! CPU, memory and files of this process, from /proc (proc(5)), under the names that Prometheus' client libraries use.

use std::fmt;
use std::fs::{read_dir, read_to_string};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::process::{Resource, getrlimit};

/// The collector of this process's metrics.
#[derive(Debug)]
pub(crate) struct Process;

/// CPU, memory and files of this process.
struct Usage {
    /// CPU time in user and kernel mode, in seconds.
    cpu_seconds: f64,
    /// When the process started, in seconds since 1970.
    start_time: f64,
    /// Threads.
    threads: i64,
    /// Address space, in bytes.
    virtual_bytes: i64,
    /// Resident memory, in bytes.
    resident_bytes: i64,
    /// Open file descriptors.
    open_files: i64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Systems without /proc export no process metrics.
        let Some(usage) = usage() else { return Ok(()) };
        let help = "CPU time in user and kernel mode";
        let cpu = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
        ConstCounter::new(usage.cpu_seconds).encode(cpu)?;
        let help = "Start time of the process since 1970";
        let start = encoder.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(usage.start_time).encode(start)?;
        let most_files = getrlimit(Resource::Nofile).current.and_then(|most| i64::try_from(most).ok());
        let bytes = Some(&Unit::Bytes);
        for (name, help, unit, value) in [
            ("process_virtual_memory", "Virtual memory", bytes, usage.virtual_bytes),
            ("process_resident_memory", "Resident memory", bytes, usage.resident_bytes),
            ("process_open_fds", "Open file descriptors", None, usage.open_files),
            ("process_max_fds", "Limit of open file descriptors", None, most_files.unwrap_or(i64::MAX)),
            ("process_threads", "Threads", None, usage.threads),
        ] {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// Reads the usage of this process; `None` on systems without /proc.
fn usage() -> Option<Usage> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    // The command may contain spaces and parentheses, so fields are counted from the last parenthesis. Field 3, the
    // state, follows.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3);
    // utime, stime and starttime are in clock ticks.
    let ticks = |number: usize| Some(field(number)?.parse::<f64>().ok()? / ticks_per_second());
    let statm = read_to_string("/proc/self/statm").ok()?;
    let page = i64::try_from(rustix::param::page_size()).ok()?;
    let mut sizes = statm.split_whitespace().map(|pages| Some(pages.parse::<i64>().ok()?.saturating_mul(page)));
    let system = read_to_string("/proc/stat").ok()?;
    let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Usage {
        cpu_seconds: ticks(14)? + ticks(15)?,
        start_time: boot + ticks(22)?,
        threads: field(20)?.parse().ok()?,
        virtual_bytes: sizes.next()??,
        resident_bytes: sizes.next()??,
        open_files: i64::try_from(read_dir("/proc/self/fd").ok()?.count()).ok()?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "there are a hundred in a second")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn this_process_takes_something() {
        let usage = usage().unwrap();
        assert!(usage.cpu_seconds >= 0.0 && usage.open_files >= 3 && usage.threads >= 1);
        assert!(usage.virtual_bytes > usage.resident_bytes && usage.resident_bytes > 100_000);
        let now = SystemClock.now().as_duration().as_secs_f64();
        assert!((now - 3600.0..=now + 1.0).contains(&usage.start_time), "{} {now}", usage.start_time);
    }
}
