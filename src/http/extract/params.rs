//! Extracts the query of a request for a handler.

use axum::extract::FromRequestParts;
use hyper::Method;
use hyper::http::request::Parts;

use crate::http::problem::Problem;
use crate::http::query::parameter::CONSISTENCY;
use crate::http::query::params::Params;
use crate::http::state::Shared;

impl FromRequestParts<Shared> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        let mut params = Params::parse(parts.uri.query().unwrap_or_default())?;
        if matches!(parts.method, Method::GET | Method::HEAD) {
            // The middleware has applied this parameter already.
            drop(params.split_off(&[CONSISTENCY.name]));
        }
        Ok(params)
    }
}
