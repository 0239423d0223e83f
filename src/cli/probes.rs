//! The flags of `serve` that are about probes, and the tasks that they start.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::liveness::container::DEFAULT_ENGINE;
use crate::liveness::host::{names_of, this_host};
use crate::liveness::local_agent::{LocalAgent, RemoteSweep};
use crate::liveness::provider::Providers;
use crate::liveness::remote::{RemoteProber, RemoteSettings};
use crate::liveness::visibility::Visibility;
use crate::net::AddressPolicy;
use crate::registry::Registry;

/// How often it is looked what can be seen at all.
const SIGHT: Duration = Duration::from_mins(1);

/// Whether remote resources are probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RemoteProbes {
    /// No probes of remote resources.
    Off,
    /// Probe public addresses only.
    Public,
    /// Probe private, loopback, link-local and metadata addresses, too.
    Everything,
}

/// The flags for the registry's own probes.
#[derive(Debug, Clone, Args)]
pub struct ProbeArgs {
    /// The name of this host in the field `host` of plugins. Default: the machine's node name.
    #[arg(long, env = "PLUGIN_REGISTRY_HOST", value_name = "NAME")]
    host: Option<String>,
    /// Probe the processes and containers of this host. If --listen is a loopback address, that includes plugins
    /// without a host. Set `false` if an agent probes this host.
    #[arg(long, env = "PLUGIN_REGISTRY_PROBE_OWN_HOST", value_name = "BOOL", default_value_t = true,
        num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    probe_own_host: bool,
    /// Seconds between sweeps over this host. A longer interval finds problems later; a shorter one takes more
    /// processor time.
    #[arg(long, env = "PLUGIN_REGISTRY_PROBE_INTERVAL", default_value_t = 5, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    probe_interval: u64,
    /// The address of the Docker engine: `unix:///PATH` or `tcp://HOST:PORT`.
    #[arg(long, env = "DOCKER_HOST", default_value = DEFAULT_ENGINE, value_name = "URL")]
    docker: String,
    /// Probe the endpoints and SSH hosts of remote resources: `off`, `public`, or `everything`. With `everything`,
    /// every client that registers plugins can make this host connect to what only it can reach.
    #[arg(long, env = "PLUGIN_REGISTRY_PROBE_REMOTES", value_enum, default_value = "off", value_name = "WHERE")]
    probe_remotes: RemoteProbes,
    /// A file (TOML or JSON) that configures the APIs of providers, which the registry asks about rented resources.
    #[arg(long, env = "PLUGIN_REGISTRY_PROVIDERS", value_name = "FILE")]
    providers: Option<PathBuf>,
}

impl ProbeArgs {
    /// Starts the probes, until `stop`. With `unnamed`, plugins without a host count as plugins of this host.
    pub fn start(
        &self,
        registry: &Registry,
        sight: &Visibility,
        providers: Option<Providers>,
        unnamed: bool,
        stop: &CancellationToken,
    ) -> TaskTracker {
        let tasks = TaskTracker::new();
        let interval = Duration::from_secs(self.probe_interval);
        let host = self.host.clone().unwrap_or_else(this_host);
        registry.name_own_host(names_of(&host));
        if self.probe_own_host {
            info!(host, unnamed, "looking at the processes and containers of this host");
            let own = LocalAgent::new(registry.clone(), host, unnamed, &self.docker);
            tasks.spawn(own.timed_by(sight.passes()).run(interval, stop.clone()));
            tasks.spawn(look_around(sight.clone(), self.docker.clone(), stop.clone()));
        }
        if let Some(address_policy) = self.address_policy(providers.as_ref()) {
            let settings = RemoteSettings { address_policy, ..RemoteSettings::default() };
            let prober = RemoteProber::new(settings, providers.unwrap_or_default());
            let endpoints = self.probe_remotes != RemoteProbes::Off;
            let sweep = RemoteSweep::new(registry.clone(), prober, endpoints).timed_by(sight.passes());
            tasks.spawn(sweep.run(interval, stop.clone()));
        }
        tasks.close();
        tasks
    }

    /// `None` when nothing remote is probed.
    fn address_policy(&self, providers: Option<&Providers>) -> Option<AddressPolicy> {
        match self.probe_remotes {
            RemoteProbes::Off => providers.is_some().then_some(AddressPolicy::Public),
            RemoteProbes::Public => Some(AddressPolicy::Public),
            RemoteProbes::Everything => Some(AddressPolicy::Everything),
        }
    }

    /// Reads the file of providers, if there is one.
    ///
    /// # Errors
    ///
    /// If the file is unreadable or invalid.
    pub fn providers(&self) -> anyhow::Result<Option<Providers>> {
        let Some(path) = &self.providers else { return Ok(None) };
        let place = || format!("the providers in {}", path.display());
        let text = std::fs::read_to_string(path).with_context(place)?;
        Providers::read(&text).map(Some).map_err(|why| anyhow!(why)).with_context(place)
    }
}

/// Keeps up to date what `/readyz` says can be seen.
async fn look_around(sight: Visibility, engine: String, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SIGHT);
    loop {
        tokio::select! {
            _ = ticks.tick() => sight.refresh(&engine).await,
            () = stop.cancelled() => return,
        }
    }
}
