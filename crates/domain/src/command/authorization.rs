//! Authorization: whether the principal may do a command. Pure, and a part of `decide`: a scope depends on the state,
//! and another writer could change that state between a check and the command.
//!
//! A principal may change a plugin by its **scope**, if the plugin is in scope before and after the change. It may also
//! change a plugin by its **lease**, if the plugin carries a lease granted to this principal. A change by lease alone
//! must keep host and labels, because the scopes of other principals depend on them (name and category never change).
//! So a principal cannot move a plugin into a scope or out of one unless both sides are within its own scope.

use super::decision::Decision;
use super::refusal::Refusal;
use super::request::Command;
use crate::access::{Permission, Principal, Role};
use crate::change::Event;
use crate::host;
use crate::lease::{Lease, LeaseState};
use crate::plugin::{Plugin, UniqueId};
use crate::state::State;

/// The right to do a command, and its condition.
pub(crate) enum Right<'a> {
    /// Unconditional.
    Full,
    /// The result must be in the principal's scope.
    ByScope(&'a Principal),
    /// The result must carry a lease of the principal, on the same host and with the same labels.
    ByLease(&'a Principal, &'a State, &'a Plugin),
}

/// The principal's right to do a command, as far as it depends on the current state.
///
/// # Errors
///
/// If the principal has no right.
pub(crate) fn right_to<'a>(
    principal: &'a Principal,
    state: &'a State,
    command: &Command,
) -> Result<Right<'a>, Refusal> {
    if principal.role == Role::Admin {
        return Ok(Right::Full);
    }
    let deed = deed_of(command);
    if !principal.role.may(deed) {
        return Err(Refusal::Forbidden(lacks_role(principal, deed)));
    }
    match command {
        // The rule asks for each item.
        Command::ReleaseMany { .. } => Ok(Right::Full),
        Command::GrantLease { terms, .. } => {
            let scope = principal.scope.as_deref();
            match scope.filter(|scope| terms.host.is_some() && !scope.contains_host(terms.host.as_deref())) {
                None => Ok(Right::Full),
                Some(_) => Err(Refusal::Forbidden(outside(principal, "the lease's host"))),
            }
        }
        Command::RenewLease { id } | Command::ReleaseLease { id } => {
            state.lease(id.as_str()).map_or(Ok(()), |lease| require_own(principal, lease)).map(|()| Right::Full)
        }
        command => match plugin_of(command).and_then(|id| state.plugin(id.as_str())) {
            None => Ok(Right::ByScope(principal)),
            Some(record) => right_to_change(principal, state, &record.plugin),
        },
    }
}

impl Right<'_> {
    /// Refuses a decision that the right does not cover.
    ///
    /// # Errors
    ///
    /// If the result is outside the scope, or breaks the conditions of the lease.
    pub fn allows(&self, decision: &Decision) -> Result<(), Refusal> {
        let documents = decision.events.iter().find_map(|event| match event {
            Event::PluginPut { plugin, .. } => Some(plugin),
            _ => None,
        });
        let Some(after) = documents else { return Ok(()) };
        match self {
            Right::Full => Ok(()),
            Right::ByScope(principal) if is_in_scope(principal, after) => Ok(()),
            Right::ByScope(principal) => Err(Refusal::Forbidden(outside(principal, "the changed plugin"))),
            Right::ByLease(principal, state, before) => {
                let stays = host::normal_of(before.host.as_deref()) == host::normal_of(after.host.as_deref())
                    && before.labels == after.labels;
                if stays && (carries_own_lease(principal, state, after) || is_in_scope(principal, after)) {
                    return Ok(());
                }
                Err(Refusal::Forbidden(format!(
                    "`{}` may change `{}` only by a lease that was granted to it; keep such a lease in \
                     `lease_id`, and do not change `host` and `labels`",
                    principal.name,
                    after.unique_id(),
                )))
            }
        }
    }
}

/// Returns true if and only if a principal may see a plugin's secrets: an admin, or a principal that may change them.
pub fn may_see_secrets(principal: &Principal, state: &State, plugin: &Plugin) -> bool {
    principal.role.may(Permission::Write) && right_to_change(principal, state, plugin).is_ok()
}

/// Refuses a lease of another principal.
///
/// # Errors
///
/// If the lease was granted to another principal.
pub fn require_own(principal: &Principal, lease: &Lease) -> Result<(), Refusal> {
    if principal.role == Role::Admin || is_own(principal, lease) {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "the lease `{}` was not granted to `{}`; use the token that it was granted to, or an admin's",
        lease.id, principal.name,
    )))
}

/// Refuses a report about a host outside the principal's scope.
///
/// # Errors
///
/// If the host is outside the scope.
pub fn require_host(principal: &Principal, host: Option<&str>) -> Result<(), Refusal> {
    if principal.scope.as_ref().is_none_or(|scope| scope.contains_host(host)) {
        return Ok(());
    }
    let what = host.map_or("a report without a host".to_owned(), |host| format!("the host {host}"));
    Err(Refusal::Forbidden(outside(principal, &what)))
}

/// The error text for a missing permission; lists the roles that have it.
pub fn lacks_role(principal: &Principal, deed: Permission) -> String {
    let roles = Role::that_may(deed).map(Role::as_str).collect::<Vec<_>>().join(" or ");
    let (name, role) = (&principal.name, principal.role.as_str());
    format!("this needs a token of the role {roles}; the token `{name}` has the role {role}")
}

/// The right to change an existing plugin.
fn right_to_change<'a>(principal: &'a Principal, state: &'a State, plugin: &'a Plugin) -> Result<Right<'a>, Refusal> {
    if principal.role == Role::Admin {
        Ok(Right::Full)
    } else if is_in_scope(principal, plugin) {
        Ok(Right::ByScope(principal))
    } else if carries_own_lease(principal, state, plugin) {
        Ok(Right::ByLease(principal, state, plugin))
    } else {
        Err(Refusal::Forbidden(outside(principal, &format!("`{}`", plugin.unique_id()))))
    }
}

/// Returns true if and only if the plugin is in the principal's scope.
pub fn is_in_scope(principal: &Principal, plugin: &Plugin) -> bool {
    principal.scope.as_ref().is_none_or(|scope| scope.contains(plugin))
}

/// A released lease gives no rights.
fn carries_own_lease(principal: &Principal, state: &State, plugin: &Plugin) -> bool {
    let lease = plugin.lease_id.as_deref().and_then(|id| state.lease(id));
    lease.is_some_and(|lease| lease.state != LeaseState::Released && is_own(principal, lease))
}

/// Returns true if and only if the lease was granted to the principal's token. The name does not prove that: a token that
/// was revoked may have had the same one. Only a lease that is older than the record of its token is known by its name.
fn is_own(principal: &Principal, lease: &Lease) -> bool {
    let is_granted_to = match &lease.token {
        Some(token) => principal.token.as_ref() == Some(token),
        None => lease.principal.as_deref() == Some(&*principal.name),
    };
    principal.role == Role::Reporter && is_granted_to
}

fn outside(principal: &Principal, what: &str) -> String {
    let scope = principal.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{what} is outside the scope of the token of `{}`, which is {scope}", principal.name)
}

/// The permission that a command needs.
fn deed_of(command: &Command) -> Permission {
    match command {
        Command::Observe { .. } => Permission::Observe,
        Command::AnswerStop { .. } => Permission::AnswerStop,
        Command::GrantLease { .. }
        | Command::RenewLease { .. }
        | Command::ReleaseLease { .. }
        | Command::ReleaseMany { .. } => Permission::Write,
        command if plugin_of(command).is_some() => Permission::Write,
        _ => Permission::Administer,
    }
}

/// The plugin that a reporter's or an agent's command is about.
fn plugin_of(command: &Command) -> Option<UniqueId> {
    match command {
        Command::Register(registration) => Some(registration.key().unique_id()),
        Command::Replace { id, .. }
        | Command::Patch { id, .. }
        | Command::Remove { id, .. }
        | Command::SetPids { id, .. }
        | Command::AddPids { id, .. }
        | Command::RemovePid { id, .. }
        | Command::ReleasePids { id }
        | Command::SetContainer { id, .. }
        | Command::ReleaseContainer { id }
        | Command::SetRemote { id, .. }
        | Command::ReleaseRemote { id }
        | Command::Release { id, .. }
        | Command::SetExpiry { id, .. }
        | Command::Acknowledge { id, .. }
        | Command::EndAcknowledgement { id, .. }
        | Command::Note { id, .. }
        | Command::RequestStop { id, .. }
        | Command::AnswerStop { id, .. }
        | Command::PatchRemote { id, .. }
        | Command::SaveConfig { id, .. }
        | Command::DeleteConfig { id }
        | Command::Observe { id, .. } => Some(id.clone()),
        Command::NameCategory { .. }
        | Command::ReleaseMany { .. }
        | Command::MakeBudget { .. }
        | Command::PatchBudget { .. }
        | Command::RemoveBudget { .. }
        | Command::TellBudget { .. }
        | Command::GrantLease { .. }
        | Command::RenewLease { .. }
        | Command::ReleaseLease { .. }
        | Command::ExpireLease { .. }
        | Command::ForgetLease { .. }
        | Command::CorrectTime { .. }
        | Command::RaiseFindings { .. }
        | Command::ClearFindings { .. }
        | Command::DropGone { .. }
        | Command::EndHoldings { .. }
        | Command::WarnOfExpiry { .. }
        | Command::ExpireAcknowledgements { .. } => None,
    }
}
