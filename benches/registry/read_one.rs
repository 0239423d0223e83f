//! `GET /plugins/{id}`: a different plugin each time, against bare axum with the bytes of one plugin.

use plugin_registry::store::StoreUrl;

use crate::documents::unique_id;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table, percent};
use crate::wire::get;

/// Concurrent connections, enough to keep the server busy.
const CONNECTIONS: usize = 32;

/// One server thread, so that the client has a processor for itself and the server is the bottleneck.
const THREADS: usize = 1;

/// The distance between two consecutively read plugins: a prime, so that all of them are read.
const STRIDE: usize = 61_843;

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let ours = Server::ours("ours", THREADS, stores::open(&StoreUrl::Sqlite(stores.full.clone()))?)?;
    let body = ours.answer(&request_of(settings.plugins / 2))?;
    let length = body.len();
    let bare = Server::bare("bare", THREADS, "/plugins/{id}", body)?;
    let [mut ours, mut bare] = [Side::of(ours, CONNECTIONS)?, Side::of(bare, CONNECTIONS)?];
    let mut number = 0;
    let mut next = |request: &mut Vec<u8>| {
        number = (number + STRIDE) % settings.plugins;
        request.extend_from_slice(&request_of(number));
    };
    for _ in 0..settings.rounds {
        ours.measure(settings.time, 200, &mut next)?;
        bare.measure(settings.time, 200, &mut next)?;
    }
    let what = format!("GET one of {} plugins", settings.plugins);
    table.compare(&what, (&ours.rates, "/s"), (&bare.rates, "/s, bare axum"), Aim::AtLeast(0.95));
    table.tell("… processor time of the server", (&ours.costs, "µs"), (&bare.costs, "µs, bare axum"));
    table.note(format!(
        "GET one: {length} bytes, of another plugin every time (bare axum: always the same); {CONNECTIONS} connections \
         kept alive, {THREADS} thread for each server and one for the client, which was busy for {} of the time (for \
         bare axum {}).",
        percent(ours.busy.median()),
        percent(bare.busy.median()),
    ));
    Ok(())
}

fn request_of(number: usize) -> Vec<u8> {
    get(&format!("/plugins/{}", unique_id(number)))
}
