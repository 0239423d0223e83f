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

/// The permission that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// None: every caller that can reach the service may do it.
    Public,
    /// To read what is known, but for secrets.
    Read,
    /// To change plugins and leases.
    Write,
    /// To say what was seen.
    Observe,
    /// To see and change what concerns all callers: tokens, webhooks, budgets, names of categories.
    Administer,
}

impl Role {
    /// Returns true if and only if this role has the permission.
    pub fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::Read => true,
            Permission::Write => matches!(self, Role::Reporter | Role::Admin),
            Permission::Observe => matches!(self, Role::Agent | Role::Admin),
            Permission::Administer => self == Role::Admin,
        }
    }

    /// The roles that have a permission.
    pub fn that_may(permission: Permission) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |role| role.may(permission))
    }

    /// Whether a token of this role can be bound to some plugins: whoever reads, reads everything, and an admin does
    /// everything.
    pub fn takes_scope(self) -> bool {
        matches!(self, Role::Reporter | Role::Agent)
    }
}
