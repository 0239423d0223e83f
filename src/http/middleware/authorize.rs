//! Who asks, and whether what they ask for is for them.

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

/// When to ask again after the tokens could not be read.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// Finds out who asks, and puts the [`Principal`] into the request's extensions.
///
/// While no tokens are configured everybody may do everything, but for pages that a browser has from elsewhere: see
/// [`super::host_check`].
///
/// # Errors
///
/// 401 for a token that is missing, though needed, or not in force; 403 and 421 for a page from elsewhere; 503 as long as the
/// tokens were never read.
pub async fn identify(api: &Api, permission: Permission, request: &mut Request) -> Result<(), Problem> {
    let known = api.access.tokens.in_force().as_ref().map(|ring| find(api, ring, permission, request));
    let principal = match known {
        // It says only that it lives, at any time and to everybody.
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

/// The tokens, when nobody has read them yet.
async fn first_read(api: &Api) -> Result<Arc<Keyring>, Problem> {
    // They are in the same store, and nobody is to wait for it.
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

/// The value of the only field `Authorization`; of several, none that could be one.
fn only(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next()?;
    Some(if values.next().is_some() { b"" } else { first.as_bytes() })
}

/// Refuses what the role of the one who asks is not for.
///
/// # Errors
///
/// 403, naming the roles that would do.
pub fn permit(permission: Permission, request: &Request) -> Result<(), Problem> {
    // Without a copy: every request comes by here.
    let principal = request.extensions().get::<Principal>();
    match principal {
        _ if permission == Permission::Public => Ok(()),
        Some(principal) if principal.is_anonymous() => Err(denied(Denial::NoToken)),
        Some(principal) if principal.role.may(permission) => Ok(()),
        Some(principal) => Err(Problem::new(Kind::Forbidden, authorization::lacks_role(principal, permission))),
        None => Err(denied(Denial::NoToken)),
    }
}

/// Refuses to go on answering whoever would not be let in any more.
///
/// # Errors
///
/// 401 when the token was revoked or has expired meanwhile.
pub fn require_still(api: &Api, principal: &Principal) -> Result<(), Problem> {
    let ring = api.access.tokens.in_force();
    let now = api.registry.clock().now();
    if ring.as_ref().is_some_and(|ring| ring.still_admits(principal, now)) {
        Ok(())
    } else {
        Err(denied(Denial::Unknown))
    }
}

/// The challenge of RFC 6750 section 3 to a request that nobody has made.
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
