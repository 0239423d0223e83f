//! What it costs that the service is fit to be left running: its requests counted and timed, and, where that is set, traced.
//! The same `GET` of one plugin, against the same service that does nothing of it.
//!
//! | side | counts | traces |
//! |---|---|---|
//! | bare | nothing | nobody |
//! | operated | as in production | nobody: no collector is set |
//! | unsampled | as in production | a collector is set, and the caller has said that the request is not sampled |
//! | sampled | as in production | each request is a span, sent to a collector on another thread |

use plugin_registry::cli::otlp::TraceArgs;
use plugin_registry::http::Api;
use plugin_registry::http::requests::Requests;
use plugin_registry::registry::Registry;
use plugin_registry::store::StoreUrl;

use crate::documents::unique_id;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};
use crate::wire::{get, get_in_a_trace};

/// As in [`crate::read_one`].
const CONNECTIONS: usize = 32;

/// As in [`crate::read_one`].
const THREADS: usize = 1;

/// As in [`crate::read_one`].
const STRIDE: usize = 61_843;

/// Measures it.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let collector = Server::collector()?;
    let traces = TraceArgs::to(format!("http://{}", collector.address).parse()?);
    let registry = stores::open(&StoreUrl::Sqlite(stores.full.clone()))?;
    let side = |name, set: fn(Api) -> Api, traces: Option<&TraceArgs>| side(name, &registry, set, traces);
    let mut bare = side("bare", |api| Api { requests: Requests::uncounted(), ..api }, None)?;
    let mut operated = side("operated", operated, None)?;
    let mut unsampled = side("unsampled", self::operated, Some(&traces))?;
    let mut sampled = side("sampled", self::operated, Some(&traces))?;
    let mut number = 0;
    let mut next = |request: &mut Vec<u8>, make: fn(&str) -> Vec<u8>| {
        number = (number + STRIDE) % settings.plugins;
        request.extend_from_slice(&make(&format!("/plugins/{}", unique_id(number))));
    };
    for _ in 0..settings.rounds {
        bare.measure(settings.time, 200, |request| next(request, get))?;
        operated.measure(settings.time, 200, |request| next(request, get))?;
        unsampled.measure(settings.time, 200, |request| next(request, get_in_a_trace))?;
        sampled.measure(settings.time, 200, |request| next(request, get))?;
    }
    let against = "µs, nothing of it";
    let cost = "GET one as in production: processor time";
    table.compare(cost, (&operated.costs, "µs"), (&bare.costs, against), Aim::AtMost(1.05));
    table.tell("… answers", (&operated.rates, "/s"), (&bare.rates, "/s, nothing of it"));
    table.tell("… with a collector, not sampled", (&unsampled.costs, "µs"), (&bare.costs, against));
    table.tell("… with a collector, every request sampled", (&sampled.costs, "µs"), (&bare.costs, against));
    Ok(())
}

/// The service as it is in production.
fn operated(api: Api) -> Api {
    api
}

fn side(
    name: &'static str,
    registry: &Registry,
    set: fn(Api) -> Api,
    traces: Option<&TraceArgs>,
) -> anyhow::Result<Side> {
    let server = Server::ours_with(name, THREADS, registry.clone(), |api| {
        let traces = traces.map(|traces| traces.start("bench")).transpose()?.unwrap_or_default();
        Ok(set(Api { traces, ..api }))
    })?;
    Side::of(server, CONNECTIONS)
}
