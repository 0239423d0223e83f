//! Who asks.

use std::sync::{Arc, LazyLock};

use super::role::Role;
use super::scope::Scope;
use super::token_id::TokenId;

/// The name of a principal without a token; no token has it.
pub const ANONYMOUS: &str = "anonymous";

/// The one who asks for something, with the authority that it has. Cheap to clone.
///
/// It comes along with a command to where that is decided, so that a scope is held against what stands at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's name: what events say.
    pub name: Arc<str>,
    /// What the token is for.
    pub role: Role,
    /// With which plugins it may be used; `None` for all.
    pub scope: Option<Arc<Scope>>,
    /// The token; `None` while none are configured.
    pub token: Option<TokenId>,
}

impl Principal {
    /// The principal of every request while no tokens are configured: it may do everything.
    pub fn unrestricted() -> Principal {
        static ANYBODY: LazyLock<Principal> =
            LazyLock::new(|| Principal { name: ANONYMOUS.into(), role: Role::Admin, scope: None, token: None });
        ANYBODY.clone()
    }

    /// The principal of a request without a token while tokens are configured: it has the least authority.
    pub fn anonymous() -> Principal {
        Principal { role: Role::Viewer, ..Principal::unrestricted() }
    }

    /// Returns true if and only if it is not known who this is, and tokens are configured.
    pub fn is_anonymous(&self) -> bool {
        self.token.is_none() && self.role != Role::Admin
    }
}
