//! Which requests are let in at the moment, before anything is done for them.
//!
//! | what is bounded | by |
//! |---|---|
//! | how many requests one caller makes | [`RateLimits`]: 429 |
//! | how many are worked on at a time | [`LoadShedder::requests`]: 503 |
//! | how many take their time (live streams, long polls, NDJSON bodies) | [`LoadShedder::watchers`]: 503 |
//! | how many bytes of bodies are held, of all requests together | [`LoadShedder::bodies`]: 503 |
//!
//! A request whose body is still arriving is not worked on: otherwise those who send slowly would have
//! the places of those who do not. It takes its place once it is whole ([`DeferredPermit`]).
//!
//! Whoever asks whether the service is well ([`is_check`]) is always let in: an overloaded service that is taken for
//! dead, and restarted, is no better for it.

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
use super::rate_limit::{RateLimitKey, RateLimits, Remaining};
use super::security_headers;
use crate::http::media_type::{NDJSON, media_type};
use crate::http::operations::Operation;
use crate::http::problem::{Kind, Problem};
use crate::http::query::read_options::ReadOptions;

/// How long those wait who are turned away.
const WAIT: Duration = Duration::from_secs(1);

/// What is let in.
pub struct LoadShedder {
    /// The proxies that are believed.
    pub proxies: TrustedProxies,
    /// How many requests a caller may make, if that is bounded.
    pub rates: Option<RateLimits>,
    /// How many requests are worked on at a time.
    pub requests: Limiter,
    /// How many live streams, long polls and NDJSON bodies there may be at a time.
    pub watchers: Limiter,
    /// How many bytes of bodies may be held in all.
    pub bodies: Limiter,
    /// Which pages may read answers.
    pub cors: Cors,
    /// `Strict-Transport-Security`, if it is to be said.
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
            cors: Cors::default(),
            strict_transport: None,
        }
    }
}

/// What a request was given when it came in; kept until it is answered.
#[derive(Default)]
pub struct Admission {
    /// Whether it may last as long as something comes, or nothing does.
    pub takes_its_time: bool,
    left: Option<Remaining>,
    origin: Option<HeaderValue>,
    _held: HeldPermits,
}

/// The place of a request, or the turn that it will take one in.
type HeldPermits = (Option<Permit>, Option<Arc<DeferredPermit>>);

impl LoadShedder {
    /// Lets a request in, which somebody has made who has that name, or none.
    ///
    /// # Errors
    ///
    /// What the caller is told who is turned away; the entry has what is left for him.
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
        let takes_its_time = operation.is_some_and(|operation| takes_its_time(operation, request));
        let (held, admitted) = match self.place_for(request, takes_its_time) {
            Ok(held) => (held, Ok(())),
            Err(problem) => (HeldPermits::default(), Err(problem)),
        };
        (Admission { takes_its_time, left, origin, _held: held }, admitted)
    }

    /// The entry of a request that is let in whatever there is.
    pub fn pass(&self, request: &Request) -> Admission {
        Admission { origin: request.headers().get(ORIGIN).cloned(), ..Admission::default() }
    }

    /// A place for a request; none for one whose body is still arriving: it takes one when its [`DeferredPermit`] has come.
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

    /// A place among those who take their time.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn watch(&self) -> Result<Permit, Problem> {
        self.watchers.take(1).ok_or_else(|| {
            let most = self.watchers.most();
            let detail =
                format!("there are {most} live streams, long polls and NDJSON bodies already (--max-watchers)");
            Problem::new(Kind::Unavailable, detail).with_retry_after(WAIT)
        })
    }

    /// Takes so many more bytes for a body, of which some are held.
    ///
    /// # Errors
    ///
    /// When all bodies together have too many.
    pub fn hold(held: &mut Permit, more: usize) -> Result<(), Problem> {
        if held.grow(more) {
            return Ok(());
        }
        let detail = "the bodies of all requests together take too much memory; send it again (--max-body-memory)";
        Err(Problem::new(Kind::Unavailable, detail).with_retry_after(WAIT).closing())
    }

    /// The answer to a browser that asks whether a page may make a request.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        self.cors.preflight(request.method(), request.headers())
    }

    /// Adds to an answer what this has to say.
    pub fn mark(&self, entry: &Admission, holds_secrets: bool, answer: &mut HeaderMap) {
        if let (Some(rates), Some(left)) = (&self.rates, entry.left) {
            rates.tell(left, answer);
        }
        self.cors.mark(entry.origin.as_ref(), answer);
        security_headers::mark(holds_secrets, self.strict_transport.as_ref(), answer);
    }
}

/// The turn of a request whose body is still arriving.
#[derive(Debug)]
pub struct DeferredPermit {
    requests: Limiter,
    places: Mutex<Vec<Permit>>,
}

impl DeferredPermit {
    /// Takes a place for the request, whose body is whole now and held in `body`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn come(&self, body: Permit) -> Result<(), Problem> {
        let place = self.requests.take(1).ok_or_else(overloaded)?;
        self.places.lock().unwrap_or_else(PoisonError::into_inner).extend([place, body]);
        Ok(())
    }
}

/// Whose request it is: the one who has that name, or else whoever is at the address.
fn caller(request: &Request, name: Option<Arc<str>>) -> Option<RateLimitKey> {
    let at = || request.extensions().get::<ClientIp>().map(|ClientIp(address)| RateLimitKey::at(*address));
    name.map(RateLimitKey::Named).or_else(at)
}

/// Requests that may last as long as something comes, or nothing does. A live stream is asked for by a header field, and
/// takes its place when it is opened.
fn takes_its_time(operation: &Operation, request: &Request) -> bool {
    let is_import = operation.takes_lines() && media_type(request.headers()).as_deref() == Some(NDJSON);
    is_import || (operation.has_read_options() && ReadOptions::waits(request.uri().query()))
}

fn overloaded() -> Problem {
    Problem::new(Kind::Unavailable, "too many requests are being worked on; send it again").with_retry_after(WAIT)
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
        assert!(enters("192.0.2.1", None), "nobody has come from there without a name");
        assert!(!enters("192.0.2.1", None));
        assert!(enters("192.0.2.2", None));
    }
}
