//! `plugin-registry agent`: probes the resources of a host, and reports them.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::connection::ConnectionArgs;
use super::exec::spool::Spool;
use super::logging::{self, LogFormat};
use super::otlp::{self, TraceArgs};
use super::signals;
use crate::client::Client;
use crate::clock::SystemClock;
use crate::liveness::container::DEFAULT_ENGINE;
use crate::liveness::host::{OnlyAgent, agent_name, this_host};
use crate::liveness::{Agent, AgentSettings};

/// When to resend an unchanged observation: the registry regards one as unknown after three minutes.
const REFRESH: SignedDuration = SignedDuration::from_secs(30);

/// How often the agent looks for the ends of commands that `exec` could not report.
const DELIVERY: Duration = Duration::from_secs(15);

/// The service name of an agent in traces.
const SERVICE: &str = "plugin-registry-agent";

/// How long the agent waits at its end for the trace collector.
const GRACE: Duration = Duration::from_secs(2);

/// The flags of `agent`.
#[derive(Debug, Clone, Args)]
pub struct AgentArgs {
    /// The connection to the registry.
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The name of this host in the field `host` of plugins. Default: the machine's node name.
    #[arg(long, env = "PLUGIN_REGISTRY_HOST", value_name = "NAME")]
    host: Option<String>,
    /// Seconds between sweeps over the host. A longer interval notices changes later; a shorter one takes more
    /// processor time.
    #[arg(long, env = "PLUGIN_REGISTRY_PROBE_INTERVAL", default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    interval: f64,
    /// The address of the Docker engine: `unix:///PATH` or `tcp://HOST:PORT`.
    #[arg(long, env = "DOCKER_HOST", default_value = DEFAULT_ENGINE, value_name = "URL")]
    docker: String,
    /// The folder where `exec` keeps the ends of commands that it could not report. Default: plugin-registry/unreported
    /// in $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, env = "PLUGIN_REGISTRY_UNREPORTED", value_name = "FOLDER")]
    unreported: Option<PathBuf>,
    /// The format of the log, which is written to standard error.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// The lowest level that is logged: error, warn, info, debug or trace.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: String,
    /// The export of traces.
    #[command(flatten)]
    traces: TraceArgs,
}

/// Probes and reports until SIGTERM or SIGINT.
///
/// # Errors
///
/// If an agent of this host runs on this machine already, or a setting is invalid.
pub fn run(args: &AgentArgs) -> anyhow::Result<()> {
    let (_log, log_level) = logging::start(args.log_format, &args.log_level)?;
    let host = args.host.clone().unwrap_or_else(this_host);
    let client = args.connection.client()?;
    let _only = match OnlyAgent::of(&host, client.server().as_str()) {
        Ok(only) => only,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "an agent of the host `{host}` already runs on this machine for {}; stop that agent first",
                client.server()
            )
        }
        Err(error) => return Err(error).context("cannot check whether another agent runs"),
    };
    let settings = AgentSettings {
        by: agent_name(&host),
        host,
        engine: args.docker.clone(),
        interval: Duration::from_secs_f64(args.interval),
        refresh: REFRESH,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = signals::stop_signal()?;
        signals::follow_level_signals(&log_level)?;
        let (traces, origin) = args.traces.origin(SERVICE)?;
        let stop = CancellationToken::new();
        info!(server = %client.server(), host = settings.host, agent.name = settings.by, "probing this host");
        let client = client.from_origin(origin);
        let delivering = deliver(Spool::find(args.unreported.as_deref()), client.clone());
        let agent = Agent::new(client, SystemClock, settings).run(stop.clone());
        tokio::select! {
            () = agent => {}
            never = delivering => match never {},
            () = signals => stop.cancel(),
        }
        otlp::stop(&traces, GRACE).await;
        Ok(())
    })
}

/// Reports the ends of commands that `exec` could not report.
async fn deliver(outbox: Option<Spool>, client: Client) -> Infallible {
    let Some(outbox) = outbox else { return std::future::pending().await };
    loop {
        outbox.deliver(&client).await;
        tokio::time::sleep(DELIVERY).await;
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("must be from 0.1 to 3600 seconds".into()) }
}
