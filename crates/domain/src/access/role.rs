//! The permissions of a token, before its scope limits them to some plugins.

use crate::wire_names;

wire_names! {
    /// The role of a token.
    Role {
        /// Reads.
        Viewer = "viewer",
        /// Registers plugins, and reports the resources they hold: an application.
        Reporter = "reporter",
        /// Reports observations of held resources: one agent on each host.
        Agent = "agent",
        /// Does everything.
        Admin = "admin",
    }
}

/// The permission that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// None: every caller that can reach the service has it.
    Public,
    /// To read everything except secrets.
    Read,
    /// To change plugins and leases.
    Write,
    /// To report observations.
    Observe,
    /// To answer a request to stop a plugin: for what runs it.
    AnswerStop,
    /// To read and change settings that concern all callers: tokens, webhooks, budgets, names of categories.
    Administer,
}

impl Role {
    /// Returns true if and only if this role has the permission.
    pub fn may(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::Read => true,
            Permission::Write => matches!(self, Role::Reporter | Role::Admin),
            Permission::Observe => matches!(self, Role::Agent | Role::Admin),
            Permission::AnswerStop => self != Role::Viewer,
            Permission::Administer => self == Role::Admin,
        }
    }

    /// The roles that have a permission.
    pub fn that_may(permission: Permission) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |role| role.may(permission))
    }

    /// Returns true if and only if a token of this role can have a scope. Viewers read everything, and admins may do
    /// everything.
    pub fn takes_scope(self) -> bool {
        matches!(self, Role::Reporter | Role::Agent)
    }
}
