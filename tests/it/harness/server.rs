//! The service in this process: the `server::run` of the binary, on a socket of the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Client, Durable, RawConnection, blocking, within_patience};
use domain::change::retention::Retention;
use domain::command::quota::Quotas;
use plugin_registry::access::Tokens;
use plugin_registry::clock::{Clock, SystemClock};
use plugin_registry::dashboard::Dashboard;
use plugin_registry::http::middleware::host_check::AllowedHosts;
use plugin_registry::http::middleware::load_shedding::LoadShedder;
use plugin_registry::http::state::{Access, Api, Limits};
use plugin_registry::liveness::visibility::Visibility;
use plugin_registry::registry::budget_monitor::BudgetMonitor;
use plugin_registry::registry::{Registry, budget_monitor};
use plugin_registry::server::settings::ServerSettings;
use plugin_registry::server::{self, Tls};
use plugin_registry::store::Journal;
use plugin_registry::store::memory::MemoryJournal;
use plugin_registry::store::sqlite::SqliteJournal;
use plugin_registry::webhook::{self, Deliveries};

/// A running service.
pub(crate) struct Server {
    /// The address it listens on.
    pub(crate) address: SocketAddr,
    /// Its registry, for tests that look behind the API.
    pub(crate) registry: Registry,
    /// Its tokens, for tests that reload them.
    pub(crate) tokens: Tokens,
    /// Its webhooks, for tests that wait for them.
    pub(crate) webhooks: Deliveries,
    /// What it sees of its host, for tests that look around.
    pub(crate) sight: Visibility,
    budgets: BudgetMonitor,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// The folder of its store, as long as the test needs it.
    folder: Option<TempDir>,
    /// Its database, if it has one; dropped after all connections to it.
    _store: Option<Durable>,
}

/// The parts of a server; a test can replace each.
pub(crate) struct Setup {
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) settings: ServerSettings,
    pub(crate) webhooks: webhook::deliveries::DeliverySettings,
    pub(crate) retention: Retention,
    pub(crate) quotas: Quotas,
    pub(crate) gate: LoadShedder,
    pub(crate) tls: Option<Tls>,
    /// The file of tokens.
    pub(crate) tokens_file: Option<PathBuf>,
    /// The allowed host names.
    pub(crate) names: Arc<AllowedHosts>,
    /// The pause between two passes of the budget monitor.
    pub(crate) pause: Duration,
    /// The files of the dashboard.
    pub(crate) dashboard: Dashboard,
}

impl Setup {
    /// Defaults on a journal.
    pub(crate) fn on(journal: impl Journal) -> Setup {
        Setup {
            journal: Box::new(journal),
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            settings: ServerSettings::default(),
            webhooks: webhook::deliveries::DeliverySettings::default(),
            retention: Retention::default(),
            quotas: Quotas::default(),
            gate: LoadShedder::default(),
            tls: None,
            tokens_file: None,
            names: Arc::default(),
            pause: budget_monitor::LOOK,
            dashboard: Dashboard::default(),
        }
    }

    /// Defaults in memory.
    pub(crate) fn in_memory() -> Setup {
        Setup::on(MemoryJournal::new())
    }

    /// Starts the server.
    pub(crate) async fn start(self) -> Server {
        let (journal, clock) = (self.journal, Arc::clone(&self.clock));
        let (retention, quotas) = (self.retention, self.quotas);
        let registry = blocking(move || Registry::start_within(journal, clock, retention, quotas)).await;
        let registry = registry.expect("the journal cannot be read");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("no free port");
        let address = listener.local_addr().expect("a listener has an address");
        let webhooks = Deliveries::start(registry.clone(), self.clock, self.webhooks);
        let budgets = BudgetMonitor::start(registry.clone(), self.pause);
        let tokens = Tokens::new(Arc::clone(registry.tokens()), self.tokens_file);
        let access = Access { tokens: tokens.clone(), names: self.names };
        let (limits, gate) = (self.limits, Arc::new(self.gate));
        let dashboard = self.dashboard;
        let api = Api { limits, access, gate, dashboard, ..Api::new(registry.clone(), webhooks.clone()) };
        let sight = api.sight.clone();
        let (stop, stopped) = oneshot::channel();
        // A dropped sender also stops the server, so a failed test leaves no server behind.
        let shutdown = async { drop(stopped.await) };
        let task = match self.tls {
            Some(tls) => tokio::spawn(server::run_tls(listener, api, self.settings, tls, shutdown)),
            None => tokio::spawn(server::run(listener, api, self.settings, shutdown)),
        };
        Server { address, registry, tokens, webhooks, sight, budgets, stop, task, folder: None, _store: None }
    }
}

impl Server {
    /// On a fresh durable store: SQLite, or the PostgreSQL server in the environment.
    pub(crate) async fn start() -> Server {
        let store = Durable::fresh();
        let mut server = Setup { journal: store.open(), ..Setup::in_memory() }.start().await;
        match store {
            Durable::Sqlite(folder) => server.folder = Some(folder),
            Durable::Postgres(_) => server._store = Some(store),
        }
        server
    }

    /// On a fresh SQLite file, for tests that read or reopen the file.
    pub(crate) async fn in_file() -> Server {
        let folder = TempDir::new().expect("no temporary folder");
        let mut server = Server::on(&folder.path().join("registry.db")).await;
        server.folder = Some(folder);
        server
    }

    /// On a fresh store in memory, for tests that make many changes and do not depend on the store.
    pub(crate) async fn in_memory() -> Server {
        Setup::in_memory().start().await
    }

    /// On the SQLite store at `path`.
    pub(crate) async fn on(path: &Path) -> Server {
        Setup::on(SqliteJournal::open(path).expect("the store cannot be opened")).start().await
    }

    /// Waits until a subscriber follows a topic: its name in the topics' `Debug` form.
    pub(crate) async fn follows(&self, topic: &str) {
        let follows = async {
            while !format!("{:?}", self.registry.topics()).contains(topic) {
                tokio::task::yield_now().await;
            }
        };
        within_patience(topic, follows).await;
    }

    /// Keeps the folder of the store as long as the server.
    pub(crate) fn keep(&mut self, folder: TempDir) {
        self.folder = Some(folder);
    }

    /// A client that checks every response.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A TCP connection without any HTTP client.
    pub(crate) async fn raw(&self) -> RawConnection {
        RawConnection::open(self.address).await
    }

    /// The path of the server's fresh store.
    pub(crate) fn store_path(&self) -> PathBuf {
        self.folder.as_ref().expect("this server was given its store").path().join("registry.db")
    }

    /// Stops it as SIGTERM does: finishes running requests, and closes the store.
    pub(crate) async fn stop(self) -> Option<TempDir> {
        drop(self.stop);
        within_patience("the server stops", self.task).await.expect("the server panicked");
        within_patience("the deliveries stop", self.webhooks.stop()).await;
        within_patience("the watchman stops", self.budgets.stop()).await;
        within_patience("the store closes", self.registry.close()).await;
        self.folder
    }
}
