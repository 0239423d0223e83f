//! The signals by which a process is asked to end, and by which its log is made to tell more.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::telemetry::LogLevel;

/// Completes at the first SIGTERM or SIGINT.
///
/// # Errors
///
/// When the system does not let us wait for them.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be awaited")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be awaited")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
    })
}

/// Sets the log's level to `debug` at SIGUSR1, and to what the process has begun with at SIGUSR2. Call it within a runtime.
///
/// # Errors
///
/// When the system does not let us wait for them.
pub fn follow_level_signals(level: &LogLevel) -> anyhow::Result<()> {
    let mut more = signal(SignalKind::user_defined1()).context("SIGUSR1 cannot be awaited")?;
    let mut usual = signal(SignalKind::user_defined2()).context("SIGUSR2 cannot be awaited")?;
    let level = level.clone();
    // Until the runtime ends.
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = more.recv() => level.show_more(),
                Some(()) = usual.recv() => level.begin_again(),
                else => return,
            }
        }
    });
    Ok(())
}
