//! `GET /plugins/{id}`: one of all the plugins, another every time, against bare axum that answers the bytes of one.

use plugin_registry::store::StoreUrl;

use crate::documents::unique_id;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table, percent};
use crate::wire::get;

/// Connections at a time; enough that the server never waits for a request.
const CONNECTIONS: usize = 32;

/// Threads of a server: one, so that the client has a processor of its own and the server is the limit.
const THREADS: usize = 1;

/// How far apart two plugins are that are read one after the other: a prime, so that all have their turn.
const STRIDE: usize = 61_843;

/// Measures it.
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
