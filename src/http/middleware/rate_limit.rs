//! Limits how many requests a caller may make.
//!
//! Each caller has a token bucket of `burst` requests, which refills at a constant rate (GCRA, computed by governor).
//! Every reply has the remaining requests in the fields `RateLimit` and `RateLimit-Policy`
//! (draft-ietf-httpapi-ratelimit-headers, structured fields of RFC 9651).

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::http::problem::{Kind, Problem};

/// The caller's remaining requests.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The limit, which is the same for every caller.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How many callers the limiter remembers, at about 100 bytes each. Beyond this number, the caller that has used least
/// is forgotten and starts with a full bucket.
const REMEMBERED: usize = 65_536;

/// More shards mean that requests seldom wait for each other's lock.
const SHARDS: usize = 64;

/// The key of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// The name of the caller's token.
    Named(Arc<str>),
    /// The client's address, if the request has no token.
    At(IpAddr),
}

impl RateLimitKey {
    /// The key for an address. All addresses of an IPv6 /64 share a key, because a subscriber has a whole /64 (RFC
    /// 6177).
    pub fn at(address: IpAddr) -> RateLimitKey {
        RateLimitKey::At(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// The rate and the burst that each caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests in a second, on average.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

/// The rate limiter.
pub struct RateLimits {
    limiter: RateLimiter<RateLimitKey, Callers, Time, StateInformationMiddleware>,
    rate: RequestRate,
    policy: HeaderValue,
}

/// The state of a caller's bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// How many requests remain.
    pub requests: u32,
    /// How long until the bucket is full.
    pub whole_again: Duration,
    /// How long until the next request is allowed, if none remains.
    pub wait: Option<Duration>,
}

impl RateLimits {
    /// The same rate for every caller.
    pub fn new(rate: RequestRate) -> RateLimits {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let limiter = RateLimiter::new(quota, Callers::default(), Time(Instant::now()));
        // The policy field has a quota and a window; this window fits the rate and the burst best.
        let window = rate.burst.get().div_ceil(rate.per_second.get());
        let policy = format!("\"default\";q={};w={window}", rate.burst);
        let policy = HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static(""));
        RateLimits { limiter, rate, policy }
    }

    /// Counts a request.
    pub fn count(&self, caller: &RateLimitKey) -> Remaining {
        let (requests, wait) = match self.limiter.check_key(caller) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => (0, Some(not_until.wait_time_from(self.limiter.clock().now()))),
        };
        let missing = self.rate.burst.get().saturating_sub(requests);
        let whole_again = Duration::from_secs(missing.div_ceil(self.rate.per_second.get()).into());
        Remaining { requests, whole_again, wait }
    }

    /// Adds the fields with the remaining requests to a reply.
    pub fn tell(&self, left: Remaining, headers: &mut HeaderMap) {
        // Runs for every reply, and `format!` took most of the time here.
        let (mut requests, mut seconds) = (itoa::Buffer::new(), itoa::Buffer::new());
        let parts =
            ["\"default\";r=", requests.format(left.requests), ";t=", seconds.format(left.whole_again.as_secs())];
        let text = parts.concat();
        headers.extend(HeaderValue::from_maybe_shared(Bytes::from(text)).ok().map(|text| (RATE_LIMIT, text)));
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
    }

    /// The problem of a caller that has exceeded the limit.
    pub fn refusal(&self, wait: Duration) -> Problem {
        let RequestRate { per_second, burst } = self.rate;
        let detail = format!("more than {per_second} requests a second, or {burst} at once; wait for Retry-After");
        // Rounded up to whole seconds, because `Retry-After` has no fractions.
        let wait = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Problem::new(Kind::TooManyRequests, detail).with_retry_after(wait)
    }
}

/// The time since the service started.
struct Time(Instant);

impl Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// For each caller, the time when the bucket will be full.
struct Callers {
    shards: Vec<Mutex<HashMap<RateLimitKey, Nanos, RandomState>>>,
    hasher: RandomState,
}

impl Default for Callers {
    fn default() -> Callers {
        Callers { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }
}

impl StateStore for Callers {
    type Key = RateLimitKey;

    fn measure_and_replace<T, F, E>(&self, caller: &RateLimitKey, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let place = usize::try_from(self.hasher.hash_one(caller)).unwrap_or_default() % SHARDS;
        // The modulo above makes a missing shard impossible.
        let Some(shard) = self.shards.get(place) else { return measure(None).map(|(outcome, _)| outcome) };
        let mut callers = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = callers.get_mut(caller) {
            let (outcome, full) = measure(Some(*full_at))?;
            *full_at = full;
            return Ok(outcome);
        }
        let (outcome, full) = measure(None)?;
        make_room(&mut callers, full);
        callers.insert(caller.clone(), full);
        Ok(outcome)
    }
}

/// Evicts callers from a full shard for a new caller, whose bucket will be full at `full`. Callers whose buckets are
/// full by then lose nothing, so they go first; then the caller that has used least.
fn make_room(callers: &mut HashMap<RateLimitKey, Nanos, RandomState>, full: Nanos) {
    if callers.len() < REMEMBERED / SHARDS {
        return;
    }
    callers.retain(|_, full_at| *full_at > full);
    if callers.len() >= REMEMBERED / SHARDS {
        let least = callers.iter().min_by_key(|(_, full_at)| **full_at).map(|(caller, _)| caller.clone());
        if let Some(least) = least {
            callers.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: u32, burst: u32) -> RateLimits {
        let rate = |n| NonZeroU32::new(n).unwrap();
        RateLimits::new(RequestRate { per_second: rate(per_second), burst: rate(burst) })
    }

    fn name(n: usize) -> RateLimitKey {
        RateLimitKey::Named(n.to_string().into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_taken_and_then_the_rate() {
        let rates = rates(2, 10);
        for left in (0..10).rev() {
            assert_eq!(rates.count(&name(1)).requests, left);
        }
        let refused = rates.count(&name(1));
        assert_eq!((refused.requests, refused.wait), (0, Some(Duration::from_millis(500))));
        assert_eq!(refused.whole_again, Duration::from_secs(5));
        assert_eq!(rates.count(&name(2)).requests, 9, "others are not concerned");
        tokio::time::advance(Duration::from_millis(499)).await;
        assert!(rates.count(&name(1)).wait.is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(rates.count(&name(1)).wait, None);
        assert!(rates.count(&name(1)).wait.is_some());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(rates.count(&name(1)).requests, 9, "no more than the burst is saved");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_told_in_structured_fields() {
        let rates = rates(4, 10);
        let mut headers = HeaderMap::new();
        rates.tell(rates.count(&name(1)), &mut headers);
        assert_eq!(headers[RATE_LIMIT], "\"default\";r=9;t=1");
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"default\";q=10;w=3");
        let problem = rates.refusal(Duration::from_millis(1001));
        assert_eq!(problem.headers()["retry-after"], "2");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_beyond_the_remembered_ones_cost_no_memory_and_clear_no_debt() {
        let rates = rates(1, 5);
        let owing = name(usize::MAX);
        while rates.count(&owing).wait.is_none() {}
        for n in 0..REMEMBERED * 3 {
            rates.count(&name(n));
        }
        assert!(rates.count(&owing).wait.is_some(), "it was not forgotten");
        let state = rates.limiter.into_state_store();
        let remembered: usize = state.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(remembered <= REMEMBERED, "{remembered}");
    }

    #[test]
    fn a_subscriber_counts_once() {
        let at = |address: &str| RateLimitKey::at(address.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
