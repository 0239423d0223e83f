//! Who asks.

use std::sync::{Arc, LazyLock};

use super::role::Role;
use super::scope::Scope;
use super::token_id::TokenId;

/// The name of whoever asks while no tokens are configured; no token has it.
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
    /// Whoever asks while no tokens are configured: may do everything.
    pub fn anonymous() -> Principal {
        static ANYBODY: LazyLock<Principal> =
            LazyLock::new(|| Principal { name: ANONYMOUS.into(), role: Role::Admin, scope: None, token: None });
        ANYBODY.clone()
    }

    /// Whoever asks without a token although some are configured, for what everybody may know: has the least authority.
    pub fn stranger() -> Principal {
        Principal { role: Role::Viewer, ..Principal::anonymous() }
    }

    /// Returns true if and only if it is not known who this is, and tokens are configured.
    pub fn is_stranger(&self) -> bool {
        self.token.is_none() && self.role != Role::Admin
    }
}
