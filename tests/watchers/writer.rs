//! The changes, and what the journal says of them in the end.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::service::Address;
use plugin_registry::net::tls::trusting_no_server;

pub(crate) const CATEGORIES: usize = 40;
pub(crate) const PLUGINS_OF_EACH: usize = 6;

/// How many changes are asked for at a time, and how often: fast enough to be work, and slow enough that watchers of
/// a debug build keep up.
const AT_A_TIME: usize = 50;
const EVERY: Duration = Duration::from_millis(100);

/// The revisions of every plugin, by its id.
pub(crate) type Truth = HashMap<String, Vec<u64>>;

/// The id of a plugin.
pub(crate) fn id(category: usize, name: usize) -> String {
    format!("k{category}_p{name}")
}

/// Changes plugins until the head is at `changes`, and then each plugin once more; returns the head.
pub(crate) async fn write(mut address: Address, changes: u64, progress: watch::Sender<u64>) -> u64 {
    let client = client();
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0_usize;
    while *progress.borrow() < changes {
        turns.tick().await;
        // All of them in turns, and in another order each time.
        let order = (0..AT_A_TIME).map(|n| (round * AT_A_TIME + n) * 77 % (CATEGORIES * PLUGINS_OF_EACH));
        if let Some(head) = import(&client, &mut address, order, round).await {
            progress.send_replace(head);
        }
        round += 1;
    }
    loop {
        let last = import(&client, &mut address, 0..CATEGORIES * PLUGINS_OF_EACH, round + 1).await;
        if let Some(head) = last {
            return head;
        }
    }
}

/// Registers plugins under new titles; returns the head, or nothing when the service was killed meanwhile.
async fn import(
    client: &reqwest::Client,
    address: &mut Address,
    plugins: impl Iterator<Item = usize>,
    round: usize,
) -> Option<u64> {
    let line = |n: usize| {
        let (category, name) = (n / PLUGINS_OF_EACH, n % PLUGINS_OF_EACH);
        format!(
            r#"{{"name":"p{name}","category":"k{category}","title":"{round}","config_schema":{{}},"labels":{{"team":"k{category}"}}}}"#
        ) + "\n"
    };
    let body: String = plugins.map(line).collect();
    let at = (*address.wait_for(Option::is_some).await.expect("the service lives")).expect("it is there");
    let post = client.post(format!("http://{at}/plugins")).header("content-type", "application/x-ndjson").body(body);
    let results = post.send().await.ok()?.error_for_status().expect("an import").text().await.ok()?;
    // What was cut off by the kill is no whole answer.
    let results = results.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>().ok()?;
    results.iter().filter_map(|result| result["revision"].as_u64()).max()
}

/// What the journal in the file `store` says of every plugin. The file is asked, and not the service: what one part of
/// that does not tell, another may not either.
pub(crate) fn truth(store: &Path) -> Truth {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(store, flags).expect("the store can be opened beside the service");
    let mut changes = connection.prepare("SELECT revision, subject FROM changes ORDER BY revision").expect("a table");
    let rows = changes.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let mut truth = Truth::new();
    for (revision, row) in (1_i64..).zip(rows) {
        let (kept, subject): (i64, String) = row.expect("a row");
        assert_eq!(kept, revision, "the journal has no gap");
        truth.entry(subject).or_default().push(revision.unsigned_abs());
    }
    truth
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(trusting_no_server().expect("TLS"))
        .build()
        .expect("a client")
}
