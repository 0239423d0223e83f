//! `GET /resources?sort=-usd_per_hour&limit=100`: the dearest 100 of very many resources, against the list of 100 active
//! plugins among as many.

use plugin_registry::store::StoreUrl;

use crate::documents;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};
use crate::wire::get;

/// As in [`crate::list_active`].
const CONNECTIONS: usize = 8;

/// As in [`crate::read_one`].
const THREADS: usize = 1;

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let held = settings.folder.path().join("held.db");
    stores::fill(&held, settings.plugins, documents::rented)?;
    let active = settings.active;
    let sides = [
        (stores.full.clone(), get("/plugins?active=true"), "plugins"),
        (held, get(&format!("/resources?sort=-usd_per_hour&limit={active}")), "resources"),
    ];
    let mut measured = Vec::new();
    for (path, request, name) in sides {
        let server = Server::ours(name, THREADS, stores::open(&StoreUrl::Sqlite(path))?)?;
        measured.push((Side::of(server, CONNECTIONS)?, request));
    }
    for _ in 0..settings.rounds {
        for (side, request) in &mut measured {
            side.measure(settings.time, 200, |next| next.extend_from_slice(request))?;
        }
    }
    if let [(plugins, _), (resources, _)] = measured.as_slice() {
        let what = format!("GET the {active} dearest of {} resources: cost", settings.plugins);
        let against = format!("µs, the {active} active plugins");
        table.compare(&what, (&resources.costs, "µs"), (&plugins.costs, &against), Aim::AtMost(2.0));
    }
    Ok(())
}
