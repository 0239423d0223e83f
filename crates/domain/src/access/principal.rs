//! The caller of a request.

use std::sync::{Arc, LazyLock};

use super::role::Role;
use super::scope::Scope;
use super::token_id::TokenId;

/// The name of a principal without a token. No token may have this name.
pub const ANONYMOUS: &str = "anonymous";

/// The caller and its authority. Cheap to clone.
///
/// A command carries its principal to the writer, which compares the scope with the state at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's name. Events carry it as `principal`.
    pub name: Arc<str>,
    /// The token's role.
    pub role: Role,
    /// The plugins the token is limited to; `None` for all.
    pub scope: Option<Arc<Scope>>,
    /// The token; `None` while no tokens are configured.
    pub token: Option<TokenId>,
}

impl Principal {
    /// The principal of every request while no tokens are configured. It has every permission.
    pub fn unrestricted() -> Principal {
        static UNRESTRICTED: LazyLock<Principal> =
            LazyLock::new(|| Principal { name: ANONYMOUS.into(), role: Role::Admin, scope: None, token: None });
        UNRESTRICTED.clone()
    }

    /// The principal of a request without a token while tokens are configured. It has the least authority.
    pub fn anonymous() -> Principal {
        Principal { role: Role::Viewer, ..Principal::unrestricted() }
    }

    /// Returns true if and only if tokens are configured and the request has none.
    pub fn is_anonymous(&self) -> bool {
        self.token.is_none() && self.role != Role::Admin
    }
}
