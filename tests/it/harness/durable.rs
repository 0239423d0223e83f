//! A durable store for one test: a SQLite file or, if `PLUGIN_REGISTRY_TEST_POSTGRES` names a server, a database on
//! that server. Every test that asks only for a durable store thus covers both.

use std::sync::atomic::{AtomicU32, Ordering};

use plugin_registry::store::{Journal, StoreUrl};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio_postgres::NoTls;

/// The URL of the server without a database, for a user that may create databases.
const SERVER: &str = "PLUGIN_REGISTRY_TEST_POSTGRES";

/// An empty store, which is removed when this value is dropped.
pub(crate) enum Durable {
    Sqlite(TempDir),
    Postgres(Database),
}

/// A database.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Durable {
    /// A store for this test alone.
    pub(crate) fn fresh() -> Durable {
        match std::env::var(SERVER) {
            Ok(server) => Durable::Postgres(Database::create(server)),
            Err(_) => Durable::Sqlite(TempDir::new().expect("no temporary folder")),
        }
    }

    pub(crate) fn url(&self) -> StoreUrl {
        let url = match self {
            Durable::Sqlite(folder) => format!("sqlite:{}", folder.path().join("registry.db").display()),
            Durable::Postgres(database) => database.url(),
        };
        url.parse().expect("a store's URL")
    }

    /// Fills the store from an earlier version: a SQLite file with its log, or a script of SQL.
    pub(crate) fn left_by(sqlite: [&[u8]; 2], postgres: Option<&str>) -> Option<Durable> {
        let store = Durable::fresh();
        match &store {
            Durable::Sqlite(folder) => {
                for (name, content) in ["registry.db", "registry.db-wal"].iter().zip(sqlite) {
                    std::fs::write(folder.path().join(name), content).expect("a file can be written");
                }
            }
            Durable::Postgres(database) => order(database.url(), postgres?.to_owned()),
        }
        Some(store)
    }

    /// Marks the store as written by a newer version, with schema 999.
    pub(crate) fn mark_as_newer(&self) {
        match self {
            Durable::Sqlite(folder) => {
                let file = rusqlite::Connection::open(folder.path().join("registry.db")).expect("it can be opened");
                file.pragma_update(None, "user_version", 999).expect("it can be written");
            }
            Durable::Postgres(database) => {
                order(database.url(), "INSERT INTO plugin_registry.migrations (version) VALUES (999)".into());
            }
        }
    }

    /// Opens the store. PostgreSQL blocks the thread: call this on a blocking thread.
    pub(crate) fn open(&self) -> Box<dyn Journal> {
        self.url().open().expect("the store cannot be opened")
    }
}

impl Database {
    fn create(server: String) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Database { server, name };
        database.order(format!("CREATE DATABASE {}", database.name));
        database
    }

    fn url(&self) -> String {
        format!("{}/{}?sslmode=disable", self.server, self.name)
    }

    /// Runs SQL on the server.
    fn order(&self, statement: String) {
        order(format!("{}/postgres?sslmode=disable", self.server), statement);
    }
}

/// Runs SQL on a database, from a blocking thread.
fn order(url: String, statements: String) {
    let done = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(&statements).await
        })
    });
    done.join().expect("no panic").unwrap_or_else(|error| panic!("{SERVER}: {error:?}"));
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.order(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}
