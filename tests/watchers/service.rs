//! The real binary, killed and started again on one address.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};

/// Where the service can be reached; `None` while it cannot.
pub(crate) type Address = watch::Receiver<Option<SocketAddr>>;

/// The service, with its store.
pub(crate) struct Service {
    folder: TempDir,
    plant: Option<&'static str>,
    daemon: Mutex<Child>,
    address: watch::Sender<Option<SocketAddr>>,
}

impl Service {
    /// Starts it on a fresh store, with a bug planted or none.
    pub(crate) async fn start(plant: Option<&'static str>) -> Service {
        let folder = TempDir::new().expect("a temporary folder");
        let (daemon, address) = spawn(&folder, plant, "127.0.0.1:0").await;
        Service { folder, plant, daemon: Mutex::new(daemon), address: watch::Sender::new(Some(address)) }
    }

    /// The file of its store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("registry.db")
    }

    pub(crate) fn address(&self) -> Address {
        self.address.subscribe()
    }

    /// Kills it once so many changes are written, and starts it again.
    pub(crate) async fn kill_at(&self, changes: u64, mut written: watch::Receiver<u64>) {
        written.wait_for(|written| *written >= changes).await.expect("the writer lives");
        let address = self.address.send_replace(None).expect("it has been started");
        let mut daemon = self.daemon.lock().await;
        daemon.kill().await.expect("it can be killed");
        let (again, address) = spawn(&self.folder, self.plant, &address.to_string()).await;
        *daemon = again;
        self.address.send_replace(Some(address));
    }
}

async fn spawn(folder: &TempDir, plant: Option<&str>, listen: &str) -> (Child, SocketAddr) {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_plugin-registry"))
        .args(["serve", "--listen", listen, "--probe-own-host=false", "--log-level", "warn", "--store"])
        .arg(format!("sqlite:{}", folder.path().join("registry.db").display()))
        .env_clear()
        .envs(plant.map(|bug| ("PLUGIN_REGISTRY_PLANT", bug)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary can be started");
    let mut line = String::new();
    let stdout = daemon.stdout.take().expect("standard output is a pipe");
    BufReader::new(stdout).read_line(&mut line).await.expect("it says where it listens");
    let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
    (daemon, address.unwrap_or_else(|| panic!("it said {line:?}")))
}
