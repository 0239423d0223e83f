//! Refuses what would grow while the process takes more memory than it may.
//!
//! The quotas bound what clients store. This guard bounds the rest, and mistakes in the bounds: the service refuses before
//! the kernel ends the process, and with it everything else that the process does.

use std::fmt;
use std::fs::read_to_string;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use tokio::time::Instant;

use crate::http::operations::Operation;
use crate::http::problem::{Kind, Problem};

/// How long a reading of the memory counts.
const FRESH: Duration = Duration::from_millis(250);

/// When a refused client should retry.
const WAIT: Duration = Duration::from_secs(5);

/// The bound of the memory of this process.
pub struct MemoryGuard {
    most: u64,
    resident: fn() -> Option<u64>,
    last: Mutex<Option<Reading>>,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    resident: u64,
}

impl fmt::Debug for MemoryGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryGuard").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Default for MemoryGuard {
    fn default() -> MemoryGuard {
        MemoryGuard::of(u64::MAX)
    }
}

impl MemoryGuard {
    /// A guard that lets the process take at most this many bytes.
    pub fn of(most: u64) -> MemoryGuard {
        MemoryGuard { most, resident: resident_bytes, last: Mutex::default() }
    }

    /// The bound.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Refuses a request that stores more. Reads, renewals of leases, releases and reports of what is known pass.
    ///
    /// # Errors
    ///
    /// 507 while the process takes too much memory.
    pub fn require_room(&self, operation: Option<&Operation>) -> Result<(), Problem> {
        if !operation.is_some_and(stores_more) {
            return Ok(());
        }
        self.check().map_err(|detail| Problem::new(Kind::Full, detail))
    }

    /// Refuses a request that holds memory for long, such as a live stream.
    ///
    /// # Errors
    ///
    /// 503 while the process takes too much memory.
    pub fn require_room_to_stay(&self) -> Result<(), Problem> {
        self.check().map_err(|detail| Problem::new(Kind::Unavailable, detail).with_retry_after(WAIT))
    }

    fn check(&self) -> Result<(), String> {
        if self.most == u64::MAX {
            return Ok(());
        }
        let resident = self.read();
        if resident <= self.most {
            return Ok(());
        }
        let (took, most) = (resident >> 20, self.most >> 20);
        Err(format!("the process takes {took} MiB of memory, and may take {most} MiB (--max-memory); remove something"))
    }

    fn read(&self) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(reading) = last.filter(|reading| now.duration_since(reading.at) < FRESH) {
            return reading.resident;
        }
        let resident = (self.resident)().unwrap_or_default();
        *last = Some(Reading { at: now, resident });
        resident
    }
}

/// Whether an operation stores something that was not there before.
fn stores_more(operation: &Operation) -> bool {
    let is_write = [Method::POST, Method::PUT, Method::PATCH].iter().any(|method| method == operation.method);
    let stores = ["/plugins", "/categories", "/budgets", "/webhooks"];
    is_write && (operation.path == "/leases" || stores.iter().any(|path| operation.path.starts_with(path)))
}

/// The resident memory of this process, in bytes; `None` on systems without /proc.
fn resident_bytes() -> Option<u64> {
    let statm = read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// The default bound: half of the memory that the machine has, or that its cgroup may take.
pub fn usual_most() -> u64 {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| memory_of_machine(&text));
    let own_group = || {
        let text = read_to_string("/proc/self/cgroup").ok()?;
        // Version 2 has one hierarchy, with the number 0.
        let path = text.lines().find_map(|line| line.strip_prefix("0::/").map(str::to_owned))?;
        read_to_string(format!("/sys/fs/cgroup/{path}/memory.max")).ok()
    };
    let group = own_group().or_else(|| read_to_string("/sys/fs/cgroup/memory.max").ok());
    let group = group.and_then(|text| text.trim().parse::<u64>().ok());
    [machine, group].into_iter().flatten().min().map_or(u64::MAX, |most| most / 2)
}

/// The memory of the machine, from `/proc/meminfo`.
fn memory_of_machine(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_stores_more_is_refused_beyond_the_bound_and_nothing_else() {
        let guard = |taken: fn() -> Option<u64>| MemoryGuard { resident: taken, ..MemoryGuard::of(100) };
        let full = guard(|| Some(101));
        for (method, path, passes) in [
            (Method::POST, "/plugins", false),
            (Method::PUT, "/plugins/{id}/config", false),
            (Method::POST, "/leases", false),
            (Method::GET, "/plugins", true),
            (Method::DELETE, "/plugins/{id}", true),
            (Method::PUT, "/leases/{lease_id}", true),
            (Method::POST, "/observations", true),
            (Method::POST, "/resources/release", true),
        ] {
            let operation = Operation::find(&method, path);
            assert!(operation.is_some(), "{method} {path}");
            assert_eq!(full.require_room(operation).is_ok(), passes, "{method} {path}");
        }
        assert!(full.require_room_to_stay().is_err());
        for taken in [(|| Some(100)) as fn() -> _, || None] {
            assert!(guard(taken).require_room_to_stay().is_ok());
        }
    }

    #[test]
    fn the_default_is_half_of_what_there_is() {
        assert_eq!(memory_of_machine("MemFree: 1 kB\nMemTotal:       16316412 kB\n"), Some(16_316_412 << 10));
        let most = usual_most();
        assert!(resident_bytes().is_none_or(|taken| taken < most), "{most}");
    }
}
