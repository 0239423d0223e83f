//! The flag of `serve` that gives the metrics an address of their own, and the listener there.

use std::io::Write as _;

use clap::Args;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::listen::{Bound, ListenAddress};
use crate::http::state::{Api, Exposure};
use crate::server;
use crate::server::settings::ServerSettings;

/// Where the metrics are.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Give GET /metrics an address and port of its own, where there is nothing else; it is not on the other one then. The
    /// forms are those of --listen.
    #[arg(long, env = "PLUGIN_REGISTRY_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    metrics_listen: Option<ListenAddress>,
}

/// The listener of the metrics, if they have one.
pub struct MetricsListener(Option<(JoinHandle<()>, CancellationToken)>);

impl MetricsArgs {
    /// Takes the address of the metrics, if they have one of their own.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    pub fn bind(&self) -> anyhow::Result<Option<Bound>> {
        self.metrics_listen.as_ref().map(|wanted| wanted.bind("--metrics-listen")).transpose()
    }
}

/// Serves the metrics of `api` where they are to be; returns what is to be served elsewhere.
///
/// # Errors
///
/// When their address cannot be listened on.
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
    /// Ends it, after the other one: how the rest of the service ends can be seen until then.
    pub async fn end(self) {
        let Some((task, stop)) = self.0 else { return };
        stop.cancel();
        if let Err(error) = task.await {
            error!(%error, "the listener of the metrics ended by a panic");
        }
    }
}
