//! The signals by which a process is asked to end.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

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
