//! Extracts the caller of a request for a handler.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use hyper::http::Extensions;
use hyper::http::request::Parts;

use super::reason::reason_of;
use crate::http::middleware::request_id::RequestId;
use crate::http::state::Shared;
use domain::access::Principal;
use domain::command::Caller;

/// The authenticated caller of a request.
pub struct RequestPrincipal(pub Principal);

impl FromRequestParts<Shared> for RequestPrincipal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Self::Rejection> {
        Ok(RequestPrincipal(principal_of(&parts.extensions)))
    }
}

/// The caller of a request; anonymous if the middleware has not authenticated the request.
pub fn principal_of(extensions: &Extensions) -> Principal {
    extensions.get::<Principal>().cloned().unwrap_or_else(Principal::anonymous)
}

/// The name of the caller's token; `None` without a token.
pub fn named(extensions: &Extensions) -> Option<Arc<str>> {
    let principal = extensions.get::<Principal>().filter(|principal| principal.token.is_some());
    principal.map(|principal| Arc::clone(&principal.name))
}

/// The caller of a change and the id of the request, as the journal records them.
pub struct RequestCaller(pub Caller);

impl FromRequestParts<Shared> for RequestCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Infallible> {
        let request_id = parts.extensions.get::<RequestId>().and_then(|id| id.0.to_str().ok()).map(Into::into);
        // The middleware has refused a reason that cannot be read.
        let reason = reason_of(&parts.headers).ok().flatten();
        Ok(RequestCaller(Caller { principal: Some(principal_of(&parts.extensions)), request_id, reason }))
    }
}
