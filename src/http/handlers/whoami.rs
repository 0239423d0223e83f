//! `/whoami`: who the caller is, and what it may do.

use axum::extract::State;
use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::extract::principal::RequestPrincipal;
use crate::http::problem::Problem;
use crate::http::query::params::Params;
use crate::http::reply::json;
use crate::http::state::Shared;
use domain::access::{Permission, Principal, Role, Scope};
use domain::wire_names;

wire_names! {
    /// A permission of a caller.
    CallerPermission {
        /// To read everything except secrets.
        Read = "read",
        /// To change plugins and leases, within the scope.
        Write = "write",
        /// To report observations, within the scope.
        Observe = "observe",
        /// To read and change what concerns all callers: tokens, webhooks, budgets, names of categories.
        Administer = "administer",
    }
}

/// The caller of a request.
#[derive(Serialize, ToSchema)]
#[schema(as = Caller)]
pub(crate) struct CallerDocument {
    /// The name of the token, as events have it in `principal`; `anonymous` without a token in force.
    #[schema(examples("trainer"))]
    name: String,
    /// Whether the request has a token in force.
    authenticated: bool,
    /// The role. Null if tokens are configured and the request has none in force.
    #[schema(required)]
    role: Option<Role>,
    /// The plugins that the token may be used with; null for all.
    #[schema(value_type = Option<Scope>, required)]
    scope: Option<Scope>,
    /// When the token expires; null for never.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<Timestamp>,
    /// What the caller may do; empty if tokens are configured and the request has none in force.
    may: Vec<CallerPermission>,
    /// Whether tokens are configured. If not, every caller may do everything.
    tokens_configured: bool,
    /// Why the registry did not accept the token of the request; null if it did, or if there is none.
    #[schema(required)]
    refused: Option<String>,
}

impl CallerPermission {
    fn permission(self) -> Permission {
        match self {
            CallerPermission::Read => Permission::Read,
            CallerPermission::Write => Permission::Write,
            CallerPermission::Observe => Permission::Observe,
            CallerPermission::Administer => Permission::Administer,
        }
    }

    fn of(principal: &Principal) -> Vec<CallerPermission> {
        let all = CallerPermission::ALL.iter().copied().filter(|_| !principal.is_anonymous());
        all.filter(|one| principal.role.may(one.permission())).collect()
    }
}

/// Read who the caller is.
///
/// Replies 200 to every caller: with a token, without one, and with one that is not in force.
#[utoipa::path(get, path = "/whoami", tag = "access", responses(
    (status = OK, description = "The caller", body = CallerDocument),
))]
pub(crate) async fn read_caller(
    State(api): State<Shared>,
    RequestPrincipal(principal): RequestPrincipal,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let ring = api.access.tokens.in_force();
    let key = principal.token.as_ref().and_then(|id| ring.as_ref()?.key(id.as_str()).cloned());
    let refused = ring.as_ref().filter(|ring| principal.is_anonymous() && !ring.is_open()).and_then(|ring| {
        let shown = headers.get(AUTHORIZATION)?;
        ring.authenticate(Some(shown.as_bytes()), api.registry.clock().now()).err()
    });
    Ok(json::json(&CallerDocument {
        name: principal.name.to_string(),
        authenticated: principal.token.is_some(),
        role: Some(principal.role).filter(|_| !principal.is_anonymous()),
        scope: principal.scope.as_deref().cloned(),
        expires_at: key.and_then(|key| key.token.terms.expires_at),
        may: CallerPermission::of(&principal),
        // Without a reading of the tokens, a caller that is not anonymous came while none were configured.
        tokens_configured: ring.as_ref().is_none_or(|ring| !ring.is_open()),
        refused: refused.map(|denial| denial.to_string()),
    }))
}
