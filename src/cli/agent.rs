//! `plugin-registry agent`: looks at what a host holds, and reports it.

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

/// When what has not changed is told again: often enough for a registry that takes three minutes for stale.
const REFRESH: SignedDuration = SignedDuration::from_secs(30);

/// How often it is looked for ends of commands that `exec` could not report.
const DELIVERY: Duration = Duration::from_secs(15);

/// The name of an agent in traces.
const SERVICE: &str = "plugin-registry-agent";

/// How long the end of an agent may wait for those who are told of its traces.
const GRACE: Duration = Duration::from_secs(2);

/// The flags of `agent`.
#[derive(Debug, Clone, Args)]
pub struct AgentArgs {
    /// Which registry.
    #[command(flatten)]
    connection: ConnectionArgs,
    /// What plugins call this host, in their field `host`; without it, the name that the machine has.
    #[arg(long, env = "PLUGIN_REGISTRY_HOST", value_name = "NAME")]
    host: Option<String>,
    /// How often to look, in seconds.
    #[arg(long, env = "PLUGIN_REGISTRY_PROBE_INTERVAL", default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    interval: f64,
    /// Where the Docker engine listens: `unix:///PATH` or `tcp://HOST:PORT`.
    #[arg(long, env = "DOCKER_HOST", default_value = DEFAULT_ENGINE, value_name = "URL")]
    docker: String,
    /// Where `exec` keeps the ends of commands that it could not report. Without it, plugin-registry/unreported in
    /// $XDG_STATE_HOME or ~/.local/state.
    #[arg(long, env = "PLUGIN_REGISTRY_UNREPORTED", value_name = "FOLDER")]
    unreported: Option<PathBuf>,
    /// The form of the log, which goes to standard error.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// The least important lines to log: error, warn, info, debug or trace.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: String,
    /// Who is told of traces.
    #[command(flatten)]
    traces: TraceArgs,
}

/// Looks and reports until SIGTERM or SIGINT.
///
/// # Errors
///
/// When there is an agent of this host on this machine already, or a setting makes no sense.
pub fn run(args: &AgentArgs) -> anyhow::Result<()> {
    let (_log, log_level) = logging::start(args.log_format, &args.log_level)?;
    let host = args.host.clone().unwrap_or_else(this_host);
    let client = args.connection.client()?;
    let _only = match OnlyAgent::of(&host, client.server().as_str()) {
        Ok(only) => only,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!("an agent of the host `{host}` runs on this machine already, for {}", args.connection.server)
        }
        Err(error) => return Err(error).context("it cannot be told whether there is another agent"),
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
        info!(server = %client.server(), host = settings.host, agent.name = settings.by, "looking");
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

/// Tells the ends of commands that `exec` could not report.
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
