//! TLS to the database, by `sslmode`.

use plugin_registry::store::{StoreError, StoreUrl};

use crate::cluster::Cluster;
use crate::replica::Replica;

/// Loads the store at a URL, away from the test's own runtime.
async fn load(url: String) -> Result<(), StoreError> {
    let loading = tokio::task::spawn_blocking(move || {
        let store: StoreUrl = url.parse().expect("a store's URL");
        let mut journal = store.open()?;
        let loaded = journal.load().map(drop);
        journal.close();
        loaded
    });
    loading.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_trusted_as_the_url_says() {
    let cluster = Cluster::make();
    let certificate = cluster.run_with_tls();
    let port = cluster.port;
    let url = |host: &str, query: &str| format!("postgres://postgres@{host}:{port}/postgres?{query}");
    let root = format!("sslrootcert={}", certificate.display());
    // Without a mode, TLS is used where the server has it.
    for query in ["sslmode=require", "", &format!("sslmode=verify-full&{root}"), &format!("sslmode=verify-ca&{root}")] {
        load(url("127.0.0.1", query)).await.unwrap_or_else(|error| panic!("{query}: {}", error.chain()));
    }
    for (host, query, why) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), "no pg_hba.conf entry"),
        // Nobody has heard of who has signed it.
        ("127.0.0.1", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        // It is the certificate of another host.
        ("localhost", format!("sslmode=verify-full&{root}"), "not valid for"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=/nowhere".to_owned(), "/nowhere cannot be read"),
    ] {
        let refused = load(url(host, &query)).await.expect_err(&query);
        assert!(refused.chain().contains(why), "{query}: {}", refused.chain());
    }
    let replica = Replica::start(&url("127.0.0.1", &format!("sslmode=verify-full&{root}"))).await;
    assert_eq!(replica.client().register("p").await.status, 201);
    replica.stop().await;
}
