//! What a token lets its bearer do, before it is asked with which plugins.

use crate::wire_names;

wire_names! {
    /// What a bearer is for.
    Role {
        /// Reads.
        Viewer = "viewer",
        /// Registers plugins, and says what they hold: an application.
        Reporter = "reporter",
        /// Says what was seen of what plugins hold: one on each host.
        Agent = "agent",
        /// Does everything.
        Admin = "admin",
    }
}

/// What a request asks leave for, as its route and method tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Whoever can reach the service may do it.
    Greet,
    /// To read what is known, but for secrets.
    Read,
    /// To change plugins and leases.
    Report,
    /// To say what was seen.
    Observe,
    /// To see and change what concerns everybody: tokens, webhooks, budgets, names of categories.
    Administer,
}

impl Role {
    /// Returns true if and only if this role may do such a deed at all.
    pub fn may(self, deed: Permission) -> bool {
        match deed {
            Permission::Greet | Permission::Read => true,
            Permission::Report => matches!(self, Role::Reporter | Role::Admin),
            Permission::Observe => matches!(self, Role::Agent | Role::Admin),
            Permission::Administer => self == Role::Admin,
        }
    }

    /// The roles that may do such a deed.
    pub fn that_may(deed: Permission) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |role| role.may(deed))
    }

    /// Whether a token of this role can be bound to some plugins: whoever reads, reads everything, and an admin does
    /// everything.
    pub fn takes_scope(self) -> bool {
        matches!(self, Role::Reporter | Role::Agent)
    }
}
