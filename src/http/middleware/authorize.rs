//! Authenticates requests, and checks the permission of their callers.

use std::sync::Arc;

use axum::extract::Request;
use hyper::header::{AUTHORIZATION, HeaderMap};

use super::consistency::not_read;
use super::unused_token::UnusedToken;
use crate::access::{Denial, Keyring, TokensError};
use crate::http::problem::{Kind, Problem};
use crate::http::state::Api;
use domain::access::{Permission, Principal};
use domain::command::authorization;

/// When a client should retry after the service could not read the tokens.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// Authenticates the caller, and puts the [`Principal`] into the request's extensions.
///
/// While no tokens are configured, every caller has all permissions, except web pages of other origins: see
/// [`super::host_check`].
///
/// # Errors
///
/// 401 for a token that is missing or not valid; 403 and 421 for a web page of another origin; 503 until the service
/// has read the tokens once.
pub async fn identify(api: &Api, permission: Permission, request: &mut Request) -> Result<(), Problem> {
    let known = api.access.tokens.in_force().as_ref().map(|ring| find(api, ring, permission, request));
    let principal = match known {
        // The liveness probe works without a token, also while the service cannot read the tokens.
        _ if permission == Permission::Public && request.uri().path() == "/healthz" => Principal::anonymous(),
        Some(found) => found?,
        None => match first_read(api).await {
            Ok(ring) => find(api, &ring, permission, request)?,
            Err(_) if permission == Permission::Public => Principal::anonymous(),
            Err(problem) => return Err(problem),
        },
    };
    request.extensions_mut().insert(principal);
    Ok(())
}

/// Waits for the first read of the tokens.
async fn first_read(api: &Api) -> Result<Arc<Keyring>, Problem> {
    // The same store holds the tokens, so waiting for them would block until the store answers.
    if !api.registry.snapshot().is_loaded() {
        return Err(not_read(api));
    }
    api.access.tokens.ready().await.map_err(|error| unreadable(&error))
}

fn find(api: &Api, ring: &Keyring, permission: Permission, request: &mut Request) -> Result<Principal, Problem> {
    if ring.is_open() {
        api.access.names.check(request.uri(), request.headers(), &api.gate.cors)?;
        if let Some(token) = UnusedToken::shown(request.headers()) {
            request.extensions_mut().insert(token);
        }
        return Ok(Principal::unrestricted());
    }
    match ring.authenticate(only(request.headers()), api.registry.clock().now()) {
        Ok(principal) => Ok(principal.clone()),
        Err(_) if permission == Permission::Public => Ok(Principal::anonymous()),
        Err(denial) => Err(denied(denial)),
    }
}

/// The value of the field `Authorization`. Several fields give an empty value, which is never valid.
fn only(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next()?;
    Some(if values.next().is_some() { b"" } else { first.as_bytes() })
}

/// Refuses a request that the caller's role does not permit.
///
/// # Errors
///
/// 403, naming the roles that have the permission.
pub fn permit(permission: Permission, request: &Request) -> Result<(), Problem> {
    // The principal is borrowed: cloning would cost every request.
    let principal = request.extensions().get::<Principal>();
    match principal {
        _ if permission == Permission::Public => Ok(()),
        Some(principal) if principal.is_anonymous() => Err(denied(Denial::NoToken)),
        Some(principal) if principal.role.may(permission) => Ok(()),
        Some(principal) => Err(Problem::new(Kind::Forbidden, authorization::lacks_role(principal, permission))),
        None => Err(denied(Denial::NoToken)),
    }
}

/// Refuses to continue a long reply when the caller's token is no longer valid.
///
/// # Errors
///
/// 401 when the token was revoked or has expired since the request began.
pub fn require_still(api: &Api, principal: &Principal) -> Result<(), Problem> {
    let ring = api.access.tokens.in_force();
    let now = api.registry.clock().now();
    if ring.as_ref().is_some_and(|ring| ring.still_admits(principal, now)) {
        Ok(())
    } else {
        Err(denied(Denial::Unknown))
    }
}

/// A refusal with the challenge of RFC 6750 section 3.
fn denied(denial: Denial) -> Problem {
    let challenge = match denial {
        Denial::NoToken => r#"Bearer realm="plugin-registry""#,
        Denial::Malformed => r#"Bearer realm="plugin-registry", error="invalid_request""#,
        Denial::Unknown | Denial::Expired => r#"Bearer realm="plugin-registry", error="invalid_token""#,
    };
    Problem::new(Kind::Unauthorized, denial.to_string()).with_challenge(challenge)
}

fn unreadable(error: &TokensError) -> Problem {
    tracing::warn!(error = error as &dyn std::error::Error, "the tokens cannot be read");
    Problem::new(Kind::Unavailable, "the tokens have not been read from the store yet").with_retry_after(RETRY_AFTER)
}
