//! The flag of `serve` that gives the metrics a listener of their own, and that listener.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::listen::listen;
use crate::http::state::{Api, Exposure};
use crate::server;
use crate::server::settings::ServerSettings;

/// The address of the metrics.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Give GET /metrics an address and port of its own, where there is nothing else; it is not on the other one then.
    #[arg(long, env = "PLUGIN_REGISTRY_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
}

/// The listener of the metrics, if they have their own.
pub struct MetricsListener(Option<(JoinHandle<()>, CancellationToken)>);

impl MetricsArgs {
    /// Starts the metrics listener of `api`, if it has one; returns the API for the other listener.
    ///
    /// # Errors
    ///
    /// If the address is unusable.
    pub fn serve(&self, api: Api, settings: ServerSettings) -> anyhow::Result<(Api, MetricsListener)> {
        let Some(wanted) = self.metrics_listen else { return Ok((api, MetricsListener(None))) };
        let listener: TcpListener = listen(wanted)
            .with_context(|| format!("cannot listen on {wanted} for the metrics; --metrics-listen names another"))?;
        let address = listener.local_addr().context("the listener has no address")?;
        info!(%address, "the metrics have an address of their own");
        // As for the other address.
        drop(writeln!(std::io::stdout(), "its metrics are at http://{address}/metrics"));
        let alone = Api { offer: Exposure::MetricsAlone, ..api.clone() };
        let stop = CancellationToken::new();
        let task = tokio::spawn(server::run(listener, alone, settings, stop.clone().cancelled_owned()));
        Ok((Api { offer: Exposure::AllButMetrics, ..api }, MetricsListener(Some((task, stop)))))
    }
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
