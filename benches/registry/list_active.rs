//! `GET /plugins?active=true`: the same number of active plugins among many and among few, against bare axum with the
//! bytes of the list.

use plugin_registry::store::StoreUrl;

use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table, percent};
use crate::wire::get;

/// Concurrent connections, enough to keep the server busy.
const CONNECTIONS: usize = 8;

/// As in [`crate::read_one`].
const THREADS: usize = 1;

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let request = get("/plugins?active=true");
    let many = Server::ours("many", THREADS, stores::open(&StoreUrl::Sqlite(stores.full.clone()))?)?;
    let few = Server::ours("few", THREADS, stores::open(&StoreUrl::Sqlite(stores.small.clone()))?)?;
    let body = many.answer(&request)?;
    let length = body.len();
    let bare = Server::bare("bare", THREADS, "/plugins", body)?;
    let mut many = Side::of(many, CONNECTIONS)?;
    let mut few = Side::of(few, CONNECTIONS)?;
    let mut bare = Side::of(bare, CONNECTIONS)?;
    for _ in 0..settings.rounds {
        for side in [&mut many, &mut few, &mut bare] {
            side.measure(settings.time, 200, |next| next.extend_from_slice(&request))?;
        }
    }
    let Settings { active, plugins, fewer_plugins, .. } = settings;
    let what = format!("GET the {active} active of {plugins} plugins");
    table.compare(&what, (&many.rates, "/s"), (&bare.rates, "/s, bare axum"), Aim::AtLeast(0.8));
    table.tell("… processor time of the server", (&many.costs, "µs"), (&bare.costs, "µs, bare axum"));
    let among = format!("µs, among {fewer_plugins}");
    table.compare("… the same list among fewer: cost", (&many.costs, "µs"), (&few.costs, &among), Aim::AtMost(1.1));
    table.note(format!(
        "GET the active: {length} bytes, {CONNECTIONS} connections kept alive, {THREADS} thread for each server and \
         one for the client, which was busy for {} of the time (for bare axum {}).",
        percent(many.busy.median()),
        percent(bare.busy.median()),
    ));
    Ok(())
}
