//! The flag of `serve` that gives the metrics a listener of their own, and that listener.

use std::io::Write as _;

use clap::Args;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::listen::{Bound, ListenAddress};
use crate::http::state::{Api, Exposure};
use crate::server;
use crate::server::settings::ServerSettings;

/// The address of the metrics.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Serve GET /metrics on its own address and port, and nothing else there; the main listener then no longer serves
    /// it. Accepts the same forms as --listen.
    #[arg(long, env = "PLUGIN_REGISTRY_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<ListenAddress>,
}

/// The listener of the metrics, if they have their own.
pub struct MetricsListener(Option<(JoinHandle<()>, CancellationToken)>);

impl MetricsArgs {
    /// Binds the address of the metrics, if they have their own.
    ///
    /// # Errors
    ///
    /// If the address is unusable.
    pub fn bind(&self) -> anyhow::Result<Option<Bound>> {
        self.metrics_listen.as_ref().map(|wanted| wanted.bind("--metrics-listen")).transpose()
    }
}

/// Starts the metrics listener of `api`, if it has one; returns the API for the other listener.
///
/// # Errors
///
/// If the address is unusable.
pub fn serve(bound: Option<Bound>, api: Api, settings: ServerSettings) -> anyhow::Result<(Api, MetricsListener)> {
    let Some(bound) = bound else { return Ok((api, MetricsListener(None))) };
    let (listeners, addresses) = bound.listen()?;
    for address in addresses {
        info!(%address, "the metrics have an address of their own");
        // As for the other address.
        drop(writeln!(std::io::stdout(), "its metrics are at http://{address}/metrics"));
    }
    let alone = Api { offer: Exposure::MetricsAlone, ..api.clone() };
    let stop = CancellationToken::new();
    let task = tokio::spawn(server::run(listeners, alone, settings, stop.clone().cancelled_owned()));
    Ok((Api { offer: Exposure::AllButMetrics, ..api }, MetricsListener(Some((task, stop)))))
}

impl MetricsListener {
    /// Stops the listener after the main one, so that the metrics show the shutdown.
    pub async fn end(self) {
        let Some((task, stop)) = self.0 else { return };
        stop.cancel();
        if let Err(error) = task.await {
            error!(%error, "the metrics listener panicked");
        }
    }
}
