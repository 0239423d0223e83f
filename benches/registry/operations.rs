//! The cost of operation: tokens and rates of callers, counts and times of requests and, if set, traces. The same `GET`
//! of one plugin, against the same service without these features.
//!
//! | side | tokens, rates, counts | traces |
//! |---|---|---|
//! | bare | none | off |
//! | operated | all | off: no collector is set |
//! | unsampled | all | a collector is set, and the caller marks the request as not sampled |
//! | sampled | all | each request is a span, exported to a collector on another thread |

use std::io::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::documents::unique_id;
use crate::server::Server;
use crate::settings::Settings;
use crate::side::Side;
use crate::stores::{self, Stores};
use crate::table::{Aim, Table};
use crate::wire::get_with;
use plugin_registry::access::{TokenText, Tokens};
use plugin_registry::cli::otlp::TraceArgs;
use plugin_registry::http::metrics::requests::Requests;
use plugin_registry::http::middleware::load_shedding::LoadShedder;
use plugin_registry::http::middleware::rate_limit::{RateLimits, RequestRate};
use plugin_registry::http::state::{Access, Api};
use plugin_registry::registry::Registry;
use plugin_registry::store::StoreUrl;

/// As in [`crate::read_one`].
const CONNECTIONS: usize = 32;

/// As in [`crate::read_one`].
const THREADS: usize = 1;

/// As in [`crate::read_one`].
const STRIDE: usize = 61_843;

/// More requests a second than any client sends.
const A_MILLION: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

/// Runs the measurement.
pub(crate) fn measure(settings: &Settings, stores: &Stores, table: &mut Table) -> anyhow::Result<()> {
    let collector = Server::collector()?;
    let traces = TraceArgs::to(format!("http://{}", collector.address).parse()?);
    let registry = stores::open(&StoreUrl::Sqlite(stores.full.clone()))?;
    let (access, token) = access(&registry)?;
    let operated = |name, traces| side(name, &registry, |api| operated(api, access.clone()), traces);
    let mut bare = side("bare", &registry, |api| Api { requests: Requests::uncounted(), ..api }, None)?;
    let mut untraced = operated("operated", None)?;
    let mut unsampled = operated("unsampled", Some(&traces))?;
    let mut sampled = operated("sampled", Some(&traces))?;
    let mut number = 0;
    let mut next = |request: &mut Vec<u8>, fields: &str| {
        number = (number + STRIDE) % settings.plugins;
        request.extend_from_slice(&get_with(&format!("/plugins/{}", unique_id(number)), fields));
    };
    let shown = format!("Authorization: Bearer {token}\r\n");
    let in_a_trace = format!("{shown}traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n");
    for _ in 0..settings.rounds {
        bare.measure(settings.time, 200, |request| next(request, ""))?;
        untraced.measure(settings.time, 200, |request| next(request, &shown))?;
        unsampled.measure(settings.time, 200, |request| next(request, &in_a_trace))?;
        sampled.measure(settings.time, 200, |request| next(request, &shown))?;
    }
    let against = "µs, nothing of it";
    let cost = "GET one with tokens, rates, counts: processor time";
    table.compare(cost, (&untraced.costs, "µs"), (&bare.costs, against), Aim::AtMost(1.05));
    table.tell("… answers", (&untraced.rates, "/s"), (&bare.rates, "/s, nothing of it"));
    table.tell("… with a collector, not sampled", (&unsampled.costs, "µs"), (&bare.costs, against));
    table.tell("… with a collector, every request sampled", (&sampled.costs, "µs"), (&bare.costs, against));
    Ok(())
}

/// The service as in production, with a rate that no client reaches.
fn operated(api: Api, access: Access) -> Api {
    let rate = RequestRate { per_second: A_MILLION, burst: A_MILLION };
    Api { access, gate: Arc::new(LoadShedder { rates: Some(RateLimits::new(rate)), ..LoadShedder::default() }), ..api }
}

/// The access of the service, and a token for it.
fn access(registry: &Registry) -> anyhow::Result<(Access, String)> {
    let token = TokenText::generate().reveal();
    let mut file = tempfile::NamedTempFile::new()?;
    let document = serde_json::json!({"token": [{"name": "bench", "role": "viewer", "token": token}]});
    file.write_all(document.to_string().as_bytes())?;
    let tokens = Tokens::new(Arc::clone(registry.tokens()), Some(file.path().to_owned()));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(tokens.refresh())?;
    Ok((Access { tokens, names: Arc::default() }, token))
}

fn side(
    name: &'static str,
    registry: &Registry,
    set: impl FnOnce(Api) -> Api,
    traces: Option<&TraceArgs>,
) -> anyhow::Result<Side> {
    let server = Server::ours_with(name, THREADS, registry.clone(), |api| {
        let traces = traces.map(|traces| traces.start("bench")).transpose()?.unwrap_or_default();
        Ok(set(Api { traces, ..api }))
    })?;
    Side::of(server, CONNECTIONS)
}
