//! Migrates the database to the newest schema. Any number of replicas may do so at once.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::clock::new_identity;
use crate::store::StoreError;
use crate::store::head::older;
use domain::StoreId;

/// All migrations, in order.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/postgres/0001_registry.sql"),
    include_str!("../../../migrations/postgres/0002_answers.sql"),
    include_str!("../../../migrations/postgres/0003_costs.sql"),
    include_str!("../../../migrations/postgres/0004_truth.sql"),
    include_str!("../../../migrations/postgres/0005_access.sql"),
    include_str!("../../../migrations/postgres/0006_holdings.sql"),
    include_str!("../../../migrations/postgres/0007_reasons.sql"),
    include_str!("../../../migrations/postgres/0008_clocks.sql"),
    include_str!("../../../migrations/postgres/0009_answer_quota.sql"),
];

/// The key of the lock that lets one replica migrate at a time: "pReg" in ASCII.
const LOCK: i64 = 0x7052_6567;

/// Applies the missing migrations, all in one transaction.
///
/// # Errors
///
/// If the database was written by a newer version, or refuses a statement.
pub(super) async fn migrate(client: &Client) -> Result<(), StoreError> {
    if applied(client).await? == newest() {
        return Ok(());
    }
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let migrated = migrate_alone(client).await;
    client.batch_execute(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    migrated
}

async fn migrate_alone(client: &Client) -> Result<(), StoreError> {
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS plugin_registry;
             CREATE TABLE IF NOT EXISTS migrations (
                 version    bigint      PRIMARY KEY,
                 applied_at timestamptz NOT NULL DEFAULT now()
             )",
        )
        .await
        .map_err(|error| {
            StoreError::unusable(
                "the schema plugin_registry cannot be created; grant this user CREATE on the database",
                error,
            )
        })?;
    let applied = applied(client).await?;
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > applied) {
        client.batch_execute(migration).await?;
        client.execute_typed("INSERT INTO migrations (version) VALUES ($1)", &[(&version, Type::INT8)]).await?;
    }
    if applied == 0 {
        let store = StoreId::new(new_identity());
        client
            .execute_typed(
                "INSERT INTO registry (id, store, head, head_at, horizon) VALUES (1, $1, 0, 0, 0)",
                &[(&store.as_str(), Type::TEXT)],
            )
            .await?;
    }
    Ok(())
}

/// Refuses a database with another schema version.
///
/// # Errors
///
/// If the database holds no registry, or was written by another version.
pub(super) async fn check_current(client: &Client) -> Result<(), StoreError> {
    match applied(client).await? {
        0 => Err(StoreError::refused("the database holds no registry")),
        applied if applied == newest() => Ok(()),
        applied => Err(older(applied, newest())),
    }
}

/// The newest applied migration; 0 if there is none.
pub(super) async fn applied(client: &Client) -> Result<i64, StoreError> {
    let found = client.query_typed_one("SELECT to_regclass('plugin_registry.migrations') IS NOT NULL", &[]).await?;
    if !found.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let row = client.query_typed_one("SELECT coalesce(max(version), 0) FROM migrations", &[]).await?;
    let applied = row.try_get(0)?;
    if applied > newest() {
        return Err(StoreError::refused(format!(
            "the database was written by a newer plugin-registry (schema {applied}; this one knows up to {}); \
             start the newer version",
            newest(),
        )));
    }
    Ok(applied)
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}
