//! How the database finds what it is asked for.

use tokio_postgres::NoTls;

use crate::cluster::Cluster;
use crate::replica::Replica;

/// How many plugins are registered, one after the other.
const PLUGINS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_reads_no_whole_tables() {
    let cluster = Cluster::start();
    // Plans that are made while the tables are empty must do for when they are not.
    let replicas = Replica::start_many(&cluster.url(), 2).await;
    for number in 0..PLUGINS {
        assert_eq!(replicas[number % 2].client().register(&format!("p{number}")).await.status, 201);
    }
    for replica in replicas {
        replica.stop().await;
    }
    let (client, connection) = tokio_postgres::connect(&cluster.url(), NoTls).await.expect("the server runs");
    tokio::spawn(connection);
    let query = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'plugin_registry'";
    let rows = client.query(query, &[]).await.expect("statistics");
    assert!(!rows.is_empty());
    for row in rows {
        let (table, read): (String, i64) = (row.get(0), row.get(1));
        // A write that reads a whole table reads half of all plugins, on average.
        assert!(
            read < i64::try_from(PLUGINS * PLUGINS / 10).expect("few"),
            "{read} rows of {table} were read by looking at all of them"
        );
    }
}
