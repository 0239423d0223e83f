//! Extracts whose turn it is when a request takes long: see [`crate::registry::fair_pool`].

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use hyper::http::Extensions;
use hyper::http::request::Parts;

use super::principal::named;
use crate::http::middleware::client_ip::ClientIp;
use crate::http::middleware::rate_limit::RateLimitKey;
use crate::http::state::Shared;
use crate::registry::fair_pool::WorkCaller;

/// The caller that a request's long work is counted for: its principal, or else its address.
pub struct RequestWorkCaller(pub WorkCaller);

impl FromRequestParts<Shared> for RequestWorkCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Infallible> {
        Ok(RequestWorkCaller(caller_of(&parts.extensions)))
    }
}

fn caller_of(extensions: &Extensions) -> WorkCaller {
    let at = || extensions.get::<ClientIp>().map(|ClientIp(address)| RateLimitKey::at(*address));
    match named(extensions).map(RateLimitKey::Named).or_else(at) {
        Some(RateLimitKey::Named(name)) => WorkCaller::Named(name),
        Some(RateLimitKey::At(address)) => WorkCaller::At(address),
        None => WorkCaller::Unknown,
    }
}
