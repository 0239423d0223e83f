//! Admits or refuses requests before the service does any work for them.
//!
//! | limit | by |
//! |---|---|
//! | requests of one caller | [`RateLimits`]: 429 |
//! | requests in progress | [`LoadShedder::requests`]: 503 |
//! | long requests (live streams, long polls, NDJSON bodies) | [`LoadShedder::watchers`]: 503 |
//! | bytes of all bodies in memory | [`LoadShedder::bodies`]: 503 |
//! | the memory of the process | [`LoadShedder::memory`]: 507, or 503 for a long request |
//!
//! A request takes its permit once its body has arrived ([`DeferredPermit`]). Otherwise clients that send slowly would
//! use up the permits.
//!
//! Health checks ([`Operation::is_always_admitted`]) are always admitted: restarting an overloaded service would not
//! reduce its load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use hyper::HeaderMap;
use hyper::body::Body as _;
use hyper::header::{HeaderValue, ORIGIN};

use super::client_ip::{ClientIp, TrustedProxies};
use super::cors::Cors;
use super::limiter::{Limiter, Permit};
use super::memory_guard::MemoryGuard;
use super::rate_limit::{RateLimitKey, RateLimits, Remaining};
use super::security_headers;
use crate::http::media_type::{NDJSON, media_type};
use crate::http::operations::Operation;
use crate::http::problem::{Kind, Problem};
use crate::http::query::read_options::ReadOptions;

/// When a refused client should retry.
const WAIT: Duration = Duration::from_secs(1);

/// The limits that admit or refuse requests.
pub struct LoadShedder {
    /// The proxies whose forwarding headers are trusted.
    pub proxies: TrustedProxies,
    /// The rate limit of each caller, if the operator has set one.
    pub rates: Option<RateLimits>,
    /// Permits for requests in progress.
    pub requests: Limiter,
    /// Permits for live streams, long polls and NDJSON bodies.
    pub watchers: Limiter,
    /// Permits for bytes of bodies in memory.
    pub bodies: Limiter,
    /// The bound of the memory of this process.
    pub memory: MemoryGuard,
    /// The origins whose pages may read replies.
    pub cors: Cors,
    /// The value of `Strict-Transport-Security`, if the operator has enabled the field.
    pub strict_transport: Option<HeaderValue>,
}

impl Default for LoadShedder {
    fn default() -> LoadShedder {
        LoadShedder {
            proxies: TrustedProxies::default(),
            rates: None,
            requests: Limiter::of(4_096),
            watchers: Limiter::of(10_000),
            bodies: Limiter::of(256 << 20),
            memory: MemoryGuard::default(),
            cors: Cors::default(),
            strict_transport: None,
        }
    }
}

/// The permits of a request, held until the request is answered.
#[derive(Default)]
pub struct Admission {
    /// Whether the request is exempt from the time limit: a live stream, a long poll or an NDJSON body.
    pub takes_its_time: bool,
    left: Option<Remaining>,
    origin: Option<HeaderValue>,
    _held: HeldPermits,
}

/// The permit of a request, or the deferred permit of a request whose body is still arriving.
type HeldPermits = (Option<Permit>, Option<Arc<DeferredPermit>>);

impl LoadShedder {
    /// Admits a request. `name` is the name of the caller's token, if the caller has one.
    ///
    /// # Errors
    ///
    /// 429 or 503 when a limit is reached. The [`Admission`] is valid either way: the refusal needs the caller's
    /// remaining requests.
    pub fn enter(
        &self,
        operation: Option<&Operation>,
        request: &mut Request,
        name: Option<Arc<str>>,
    ) -> (Admission, Result<(), Problem>) {
        if operation.is_some_and(|operation| operation.is_always_admitted) {
            return (self.pass(request), Ok(()));
        }
        let origin = request.headers().get(ORIGIN).cloned();
        let mut left = None;
        if let (Some(rates), Some(caller)) = (&self.rates, caller(request, name)) {
            let now = rates.count(&caller);
            left = Some(now);
            if let Some(wait) = now.wait {
                return (Admission { left, origin, ..Admission::default() }, Err(rates.refusal(wait)));
            }
        }
        if let Err(problem) = self.memory.require_room(operation) {
            return (Admission { left, origin, ..Admission::default() }, Err(problem));
        }
        let takes_its_time = operation.is_some_and(|operation| takes_its_time(operation, request));
        let (held, admitted) = match self.place_for(request, takes_its_time) {
            Ok(held) => (held, Ok(())),
            Err(problem) => (HeldPermits::default(), Err(problem)),
        };
        (Admission { takes_its_time, left, origin, _held: held }, admitted)
    }

    /// Admits a request regardless of the limits.
    pub fn pass(&self, request: &Request) -> Admission {
        Admission { origin: request.headers().get(ORIGIN).cloned(), ..Admission::default() }
    }

    /// A permit for a request, or a [`DeferredPermit`] if the body is still arriving.
    fn place_for(&self, request: &mut Request, takes_its_time: bool) -> Result<HeldPermits, Problem> {
        if takes_its_time {
            return Ok((Some(self.watch()?), None));
        }
        if request.body().is_end_stream() {
            return Ok((Some(self.requests.take(1).ok_or_else(overloaded)?), None));
        }
        let turn = Arc::new(DeferredPermit { requests: self.requests.clone(), places: Mutex::default() });
        request.extensions_mut().insert(Arc::clone(&turn));
        Ok((None, Some(turn)))
    }

    /// A permit for a live stream, a long poll or an NDJSON body.
    ///
    /// # Errors
    ///
    /// 503 when all such permits are taken, or the process takes too much memory.
    pub fn watch(&self) -> Result<Permit, Problem> {
        self.memory.require_room_to_stay()?;
        self.watchers.take(1).ok_or_else(|| {
            let most = self.watchers.most();
            let detail =
                format!("all {most} permits for live streams, long polls and NDJSON bodies are taken (--max-watchers)");
            Problem::new(Kind::Unavailable, detail).with_retry_after(WAIT)
        })
    }

    /// Adds a number of bytes to the permit of a body.
    ///
    /// # Errors
    ///
    /// 503 when the bodies of all requests exceed the limit.
    pub fn hold(held: &mut Permit, more: usize) -> Result<(), Problem> {
        if held.grow(more) {
            return Ok(());
        }
        let detail = "the bodies of all requests exceed the memory limit; send the request again (--max-body-memory)";
        Err(Problem::new(Kind::Unavailable, detail).with_retry_after(WAIT).closing())
    }

    /// The reply to a CORS preflight request.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        self.cors.preflight(request.method(), request.headers())
    }

    /// Adds the header fields of rate limits, CORS and security to a reply.
    pub fn mark(&self, entry: &Admission, holds_secrets: bool, answer: &mut HeaderMap) {
        if let (Some(rates), Some(left)) = (&self.rates, entry.left) {
            rates.tell(left, answer);
        }
        self.cors.mark(entry.origin.as_ref(), answer);
        security_headers::mark(holds_secrets, self.strict_transport.as_ref(), answer);
    }
}

/// The permit that a request takes once its body has arrived.
#[derive(Debug)]
pub struct DeferredPermit {
    requests: Limiter,
    places: Mutex<Vec<Permit>>,
}

impl DeferredPermit {
    /// Takes the permit. `body` is the permit for the bytes of the body, which has arrived.
    ///
    /// # Errors
    ///
    /// 503 when all permits are taken.
    pub fn come(&self, body: Permit) -> Result<(), Problem> {
        let place = self.requests.take(1).ok_or_else(overloaded)?;
        self.places.lock().unwrap_or_else(PoisonError::into_inner).extend([place, body]);
        Ok(())
    }
}

/// The key for the rate limit: the name of the caller's token, or else the client's address.
fn caller(request: &Request, name: Option<Arc<str>>) -> Option<RateLimitKey> {
    let at = || request.extensions().get::<ClientIp>().map(|ClientIp(address)| RateLimitKey::at(*address));
    name.map(RateLimitKey::Named).or_else(at)
}

/// Whether a request is exempt from the time limit. A live stream is requested by a header field, so the handler takes
/// the permit when it opens the stream.
fn takes_its_time(operation: &Operation, request: &Request) -> bool {
    let is_import = operation.takes_lines() && media_type(request.headers()).as_deref() == Some(NDJSON);
    is_import || (operation.has_read_options() && ReadOptions::waits(request.uri().query()))
}

fn overloaded() -> Problem {
    Problem::new(Kind::Unavailable, "too many requests are in progress; send the request again").with_retry_after(WAIT)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use axum::body::Body;

    use super::*;
    use crate::http::middleware::rate_limit::RequestRate;

    fn request(address: &str) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ClientIp(address.parse().unwrap()));
        request
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_has_a_name_is_counted_by_it_wherever_he_is() {
        let one = RequestRate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let gate = LoadShedder { rates: Some(RateLimits::new(one)), ..LoadShedder::default() };
        let enters =
            |address, name: Option<&str>| gate.enter(None, &mut request(address), name.map(Into::into)).1.is_ok();
        assert!(enters("192.0.2.1", Some("trainer")));
        assert!(!enters("192.0.2.2", Some("trainer")), "the name is the same");
        assert!(enters("192.0.2.1", Some("agent")));
        assert!(enters("192.0.2.1", None), "no request without a name came from this address before");
        assert!(!enters("192.0.2.1", None));
        assert!(enters("192.0.2.2", None));
    }
}
