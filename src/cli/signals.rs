//! The signals that stop a process, and those that change its log level.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::telemetry::LogLevel;

/// Completes at the first SIGTERM or SIGINT.
///
/// # Errors
///
/// If the process cannot listen for them.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
    })
}

/// Sets the log level to `debug` at SIGUSR1, and back to the level at start at SIGUSR2. Call it within a runtime.
///
/// # Errors
///
/// If the process cannot listen for them.
pub fn follow_level_signals(level: &LogLevel) -> anyhow::Result<()> {
    let mut more = signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?;
    let mut usual = signal(SignalKind::user_defined2()).context("cannot listen for SIGUSR2")?;
    let level = level.clone();
    // The task ends with the runtime.
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
