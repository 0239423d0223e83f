//! What this process takes, read from /proc (proc(5)).

/// The figures.
pub struct Usage {
    /// Processor time, of user and system, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: i64,
    /// Open file descriptors.
    pub open_files: i64,
}

/// The figures of this process; `None` where there is no /proc.
pub fn usage() -> Option<Usage> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command may hold spaces and parentheses: count after the last one.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    // utime and stime are fields 14 and 15, in clock ticks; the state, field 3, comes first here.
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(Usage {
        cpu_seconds: (user + system) / ticks_per_second(),
        resident_bytes: pages.saturating_mul(i64::try_from(rustix::param::page_size()).ok()?),
        open_files: i64::try_from(open_files).ok()?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "there are a hundred in a second")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let usage = usage().unwrap();
        assert!(usage.cpu_seconds >= 0.0 && usage.resident_bytes > 100_000 && usage.open_files >= 3);
    }
}
