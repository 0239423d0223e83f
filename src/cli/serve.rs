//! `plugin-registry serve`.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use url::Url;

use super::access::AccessArgs;
use super::limits::LimitArgs;
use super::listen::{Bound, ListenAddress};
use super::logging::{self, LogFormat};
use super::metrics::{self, MetricsArgs};
use super::otlp::{self, TraceArgs};
use super::probes::ProbeArgs;
use super::sd_notify;
use super::signals::{follow_level_signals, stop_signal};
use super::tls::{self, TlsArgs};
use crate::clock::{Clock as _, SystemClock};
use crate::dashboard::Dashboard;
use crate::http::middleware::load_shedding::LoadShedder;
use crate::http::state::{Api, BackupAccess};
use crate::liveness::provider::Providers;
use crate::liveness::visibility::Visibility;
use crate::net::AddressPolicy;
use crate::registry::budget_monitor::BudgetMonitor;
use crate::registry::{Registry, Sweeper, budget_monitor};
use crate::server::settings::ServerSettings;
use crate::server::{self, Tls};
use crate::store::StoreUrl;
use crate::store::sqlite::presence::Presence;
use crate::telemetry::{LogLevel, Traces};
use crate::webhook::{self, Deliveries};
use domain::change::retention::Retention;
use domain::lease::OnGone;

/// Files that are no connections: the store's, the log's, the listener.
const OTHER_FILES: u64 = 64;

/// How many operations on the store or on files are worked on at a time, of each runtime; others wait.
const BLOCKING_THREADS: usize = 32;

/// The flags of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 selects a free port. A name selects all its addresses (`localhost:8080`),
    /// `:8080` all addresses of this machine, and `8080` 127.0.0.1:8080.
    #[arg(long, env = "PLUGIN_REGISTRY_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: ListenAddress,
    /// Where to keep the registry: `sqlite:PATH`, `postgres://USER@HOST/DATABASE` for several replicas, or `memory` to
    /// keep nothing after the process ends.
    #[arg(long, env = "PLUGIN_REGISTRY_STORE", default_value = "sqlite:plugin-registry.db", value_name = "URL")]
    pub store: StoreUrl,
    /// How many changes the journal keeps, and for how many days. `GET /events` and `as_of` reach back this far. Each
    /// change takes about the disk space of a plugin's document.
    #[arg(long, env = "PLUGIN_REGISTRY_JOURNAL_KEEP", default_value_t = Retention::default(), value_name = "COUNT,DAYSd")]
    pub journal_keep: Retention,
    /// What to do with a resource that two probes saw gone: `mark` shows it as a ghost, `prune` releases it.
    #[arg(long, env = "PLUGIN_REGISTRY_ON_GONE", default_value_t = OnGone::default(), value_name = "mark|prune")]
    pub on_gone: OnGone,
    /// Access to the registry.
    #[command(flatten)]
    pub access: AccessArgs,
    /// The probes.
    #[command(flatten)]
    pub probes: ProbeArgs,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// The format of the log, which is written to standard error.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// The lowest level that is logged: error, warn, info, debug or trace. At info, the log has a line per request.
    #[arg(long, env = "PLUGIN_REGISTRY_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// The export of traces.
    #[command(flatten)]
    pub traces: TraceArgs,
    /// The address of the metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Connections at a time. Each takes a file descriptor and some 20 KiB; the limit of open files bounds them.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_CONNECTIONS", default_value_t = ServerSettings::default().max_connections, value_name = "N")]
    pub max_connections: usize,
    /// Connections at a time from one address (IPv6: from one /64). Raise it for many clients behind one proxy.
    #[arg(long, env = "PLUGIN_REGISTRY_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = ServerSettings::default().max_connections_per_address, value_name = "N")]
    pub max_connections_per_address: usize,
    /// The limits on clients.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Seconds that running requests may take after SIGTERM or SIGINT. A longer grace delays the stop; a shorter one
    /// cuts off slow clients.
    #[arg(long, env = "PLUGIN_REGISTRY_SHUTDOWN_GRACE", default_value_t = ServerSettings::default().shutdown_grace.as_secs(), value_name = "SECONDS")]
    pub shutdown_grace: u64,
    /// Let webhooks reach private, loopback, link-local and metadata addresses, too. Every client that may create a
    /// webhook can then reach what this host reaches.
    #[arg(long, env = "PLUGIN_REGISTRY_WEBHOOKS_ALLOW_PRIVATE", value_name = "BOOL", default_value_t = false,
        num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub webhooks_allow_private: bool,
    /// Serve the dashboard at `/`: true, false, or a folder with its files, which are read for every request. The folder
    /// is for changing the dashboard.
    #[arg(long, env = "PLUGIN_REGISTRY_DASHBOARD", default_value = "true", value_name = "BOOL|FOLDER")]
    pub dashboard: Dashboard,
    /// Where people open the dashboard, for links in messages of webhooks for people: `https://registry.example.com`.
    #[arg(long, env = "PLUGIN_REGISTRY_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,
    /// Serve the tools for AI agents at `/mcp` (Model Context Protocol).
    #[arg(long, env = "PLUGIN_REGISTRY_MCP", value_name = "BOOL", default_value_t = true,
        num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub mcp: bool,
}

impl ServeArgs {
    fn webhooks(&self) -> webhook::deliveries::DeliverySettings {
        let address_policy =
            if self.webhooks_allow_private { AddressPolicy::Everything } else { AddressPolicy::Public };
        let public_url = self.public_url.clone().map(Arc::new);
        webhook::deliveries::DeliverySettings {
            address_policy,
            public_url,
            ..webhook::deliveries::DeliverySettings::default()
        }
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// If a file or an address is unusable, or the store cannot be opened.
pub fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let (_log, log_level) = logging::start(args.log_format, &args.log_level)?;
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    // Requests do not run here, so however many there are, tokens are refreshed, leases end and webhooks are delivered.
    let own = runtime_of_registry()?;
    // All other checks come before the store is opened, so a failed start creates no store.
    let prepared = runtime.block_on(async { Prepared::new(&args, log_level) })?;
    let journal = args.store.open().with_context(|| format!("the store {} cannot be opened", args.store))?;
    let presence = announce(&args.store);
    let registry = Registry::start_within(journal, Arc::new(SystemClock), args.journal_keep, args.limits.quotas())
        .with_context(|| format!("the store {} cannot be read", args.store))?;
    let served = runtime.block_on(serve_registry(args, registry, prepared, own.handle()));
    drop(presence);
    // All is closed. A name that is being resolved for a webhook must not hold up the end.
    runtime.shutdown_background();
    own.shutdown_background();
    served
}

/// Everything that a start needs except the store.
struct Prepared {
    tls: Option<Tls>,
    gate: Arc<LoadShedder>,
    providers: Option<Providers>,
    traces: Traces,
    log_level: LogLevel,
    stop: BoxFuture<'static, ()>,
    addresses: Bound,
    of_metrics: Option<Bound>,
}

impl Prepared {
    /// Reads the files, binds the addresses, and handles signals. Requires a runtime.
    fn new(args: &ServeArgs, log_level: LogLevel) -> anyhow::Result<Prepared> {
        let tls = args.tls.load()?;
        let gate = args.limits.gate(tls.is_some())?;
        args.access.check()?;
        let providers = args.probes.providers()?;
        // This comes before the addresses: a client that can connect can also stop the server cleanly.
        let stop = stop_signal()?.boxed();
        follow_level_signals(&log_level)?;
        let traces = args.traces.start(env!("CARGO_PKG_NAME"))?;
        let addresses = args.listen.bind("--listen")?;
        let of_metrics = args.metrics.bind()?;
        Ok(Prepared { tls, gate, providers, traces, log_level, stop, addresses, of_metrics })
    }
}

/// Announces this server to other servers on the same file, and logs a warning if there are any.
fn announce(store: &StoreUrl) -> Option<Presence> {
    let StoreUrl::Sqlite(path) = store else { return None };
    match Presence::announce(path) {
        Ok(presence) => {
            if !presence.is_alone {
                warn!(
                    %store,
                    "another process serves this store, too; each shows the other's writes within half a second. Stop \
                     one of them unless you want both; for replicas, use PostgreSQL"
                );
            }
            Some(presence)
        }
        Err(error) => {
            info!(%error, "cannot find out whether another process serves this store");
            None
        }
    }
}

async fn serve_registry(args: ServeArgs, registry: Registry, prepared: Prepared, own: &Handle) -> anyhow::Result<()> {
    let Prepared { tls, gate, providers, traces, log_level, stop, addresses, of_metrics } = prepared;
    let settings = ServerSettings {
        max_connections: bounded_by_files(args.max_connections),
        max_connections_per_address: args.max_connections_per_address,
        shutdown_grace: Duration::from_secs(args.shutdown_grace),
        ..ServerSettings::default()
    };
    let (listeners, addresses) = addresses.listen()?;
    let access = args.access.open(&registry, &addresses).await?;
    let snapshot = registry.snapshot();
    let scheme = if tls.is_some() { "https" } else { "http" };
    for address in &addresses {
        info!(%address, store.id = %snapshot.store, plugins = snapshot.state.plugins().size(), revision = %snapshot.state.revision(), "listening");
        // For scripts, and for users who chose port 0. If standard output is closed, they do not need it.
        drop(writeln!(std::io::stdout(), "plugin-registry is listening on {scheme}://{address}"));
    }
    let is_local = addresses.iter().all(|address| address.ip().is_loopback());
    let (webhooks, budgets) = within(own, || {
        let webhooks = Deliveries::start(registry.clone(), Arc::new(SystemClock), args.webhooks());
        (webhooks, BudgetMonitor::start(registry.clone(), budget_monitor::LOOK))
    });
    let sight = Visibility::default();
    let tokens = access.tokens.clone();
    // Without tokens every client is anonymous, so only this machine may fetch a backup, which holds secrets.
    let backups = if is_local { BackupAccess::Given } else { BackupAccess::ToAdmins };
    let api = Api {
        sight: sight.clone(),
        access,
        backups,
        gate,
        traces: traces.clone(),
        log_level,
        dashboard: args.dashboard,
        serves_mcp: args.mcp,
        ..Api::new(registry.clone(), webhooks.clone())
    };
    let (api, metrics) = metrics::serve(of_metrics, api, settings)?;
    let sweeping = CancellationToken::new();
    let tokens = own.spawn(tokens.run(|| SystemClock.now(), sweeping.clone().cancelled_owned()));
    let sweeper = Sweeper::new(registry.clone(), args.on_gone).run(sweeping.clone().cancelled_owned());
    let sweeper = own.spawn(sweeper);
    let probes = within(own, || args.probes.start(&registry, &sight, providers, is_local, &sweeping));
    sd_notify::tell_ready();
    let stop = async {
        stop.await;
        sd_notify::tell_stopping();
    };
    match tls {
        Some(tls) => {
            within(own, || tls::keep_fresh(tls.clone(), sweeping.clone()))?;
            server::run_tls(listeners, api, settings, tls, stop).await;
        }
        None => server::run(listeners, api, settings, stop).await,
    }
    metrics.end().await;
    sweeping.cancel();
    if let Err(error) = sweeper.await {
        error!(%error, "the passes over leases and findings ended by a panic");
    }
    if let Err(error) = tokens.await {
        error!(%error, "the reading of tokens ended by a panic");
    }
    // Before the store is closed: they write how far they have come.
    webhooks.stop().await;
    budgets.stop().await;
    probes.wait().await;
    registry.close().await;
    otlp::stop(&traces, settings.shutdown_grace).await;
    info!("stopped; the store is closed");
    Ok(())
}

/// A runtime for requests.
fn runtime(builder: &mut Builder) -> anyhow::Result<Runtime> {
    builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build().context("the runtime cannot be started")
}

/// A runtime for the registry's own work, on one thread.
fn runtime_of_registry() -> anyhow::Result<Runtime> {
    runtime(Builder::new_multi_thread().worker_threads(1).thread_name("registry"))
}

/// Starts tasks on a runtime.
fn within<T>(runtime: &Handle, start: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    start()
}

/// Raises the soft limit of open files to the hard one, and returns how many connections fit.
fn bounded_by_files(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit of open files could not be raised");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let fit = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    if fit < wanted {
        warn!(
            open_files = files,
            connections = fit,
            "the limit of open files allows fewer connections than the setting"
        );
    }
    wanted.min(fit)
}
