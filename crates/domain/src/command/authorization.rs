//! Whether the one who asks may do what is asked. Pure, and a part of deciding: what a scope means depends on what stands, and
//! between a look and a deed another could have changed that.
//!
//! A principal may change a plugin by its **scope**, when the plugin is in it before the change and after it; or by its
//! **lease**, when the plugin carries one that was granted to it. What is changed by a lease alone stays where the scopes of
//! others look for it: host and labels cannot be changed so (name and category never can). So nobody can move a plugin into
//! a scope, or out of one, without being at home on both sides.

use super::decision::Decision;
use super::refusal::Refusal;
use super::request::Command;
use crate::access::{Permission, Principal, Role};
use crate::change::Event;
use crate::lease::{Lease, LeaseState};
use crate::plugin::{Plugin, UniqueId};
use crate::state::State;

/// The right to do a command, on some ground.
pub(crate) enum Right<'a> {
    /// Whatever it leads to.
    Full,
    /// If what it leads to is in the principal's scope.
    ByScope(&'a Principal),
    /// If what it leads to still carries a lease of the principal's, and is where it was.
    ByLease(&'a Principal, &'a State, &'a Plugin),
}

/// The right of a principal to do a command, as far as it depends on what stands.
///
/// # Errors
///
/// When it has none.
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
    /// Refuses what a command would lead to, unless the right covers that, too.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn allows(&self, decision: &Decision) -> Result<(), Refusal> {
        let Some(Event::PluginPut { plugin: after, .. }) = &decision.event else { return Ok(()) };
        match self {
            Right::Full => Ok(()),
            Right::ByScope(principal) if is_in_scope(principal, after) => Ok(()),
            Right::ByScope(principal) => Err(Refusal::Forbidden(outside(principal, "what the plugin would be"))),
            Right::ByLease(principal, state, before) => {
                let stays = before.host == after.host && before.labels == after.labels;
                if stays && (carries_own_lease(principal, state, after) || is_in_scope(principal, after)) {
                    return Ok(());
                }
                Err(Refusal::Forbidden(format!(
                    "`{}` may change `{}` because that carries a lease of its own; so it must go on carrying one, and \
                     `host` and `labels` must stay as they are",
                    principal.name,
                    after.unique_id(),
                )))
            }
        }
    }
}

/// Returns true if and only if a principal may see a plugin's secrets: an admin, and whoever may change them.
pub fn may_see_secrets(principal: &Principal, state: &State, plugin: &Plugin) -> bool {
    principal.role.may(Permission::Write) && right_to_change(principal, state, plugin).is_ok()
}

/// Refuses to deal with a lease that was granted to somebody else.
///
/// # Errors
///
/// When it was.
pub fn require_own(principal: &Principal, lease: &Lease) -> Result<(), Refusal> {
    if principal.role == Role::Admin || is_own(principal, lease) {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "the lease `{}` was not granted to `{}`; only the one to whom it was, or an admin, may renew or release it",
        lease.id, principal.name,
    )))
}

/// Refuses a report of a host that is not the principal's to look at.
///
/// # Errors
///
/// When it is not.
pub fn require_host(principal: &Principal, host: Option<&str>) -> Result<(), Refusal> {
    if principal.scope.as_ref().is_none_or(|scope| scope.contains_host(host)) {
        return Ok(());
    }
    let what = host.map_or("a report that names no host".to_owned(), |host| format!("the host {host}"));
    Err(Refusal::Forbidden(outside(principal, &what)))
}

/// Why a role is not enough, and which would be.
pub fn lacks_role(principal: &Principal, deed: Permission) -> String {
    let roles = Role::that_may(deed).map(Role::as_str).collect::<Vec<_>>().join(" or ");
    let (name, role) = (&principal.name, principal.role.as_str());
    format!("this needs a token of the role {roles}; that of `{name}` is of the role {role}")
}

/// The right to change a plugin that stands.
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

/// Whether a principal's scope leaves a plugin in.
pub fn is_in_scope(principal: &Principal, plugin: &Plugin) -> bool {
    principal.scope.as_ref().is_none_or(|scope| scope.contains(plugin))
}

/// A lease that was given back speaks for nobody any more.
fn carries_own_lease(principal: &Principal, state: &State, plugin: &Plugin) -> bool {
    let lease = plugin.lease_id.as_deref().and_then(|id| state.lease(id));
    lease.is_some_and(|lease| lease.state != LeaseState::Released && is_own(principal, lease))
}

fn is_own(principal: &Principal, lease: &Lease) -> bool {
    principal.role == Role::Reporter && lease.principal.as_deref() == Some(&*principal.name)
}

fn outside(principal: &Principal, what: &str) -> String {
    let scope = principal.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{what} is outside the scope of the token of `{}`, which is {scope}", principal.name)
}

/// What a command asks leave for.
fn deed_of(command: &Command) -> Permission {
    match command {
        Command::Observe { .. } => Permission::Observe,
        Command::GrantLease { .. } | Command::RenewLease { .. } | Command::ReleaseLease { .. } => Permission::Write,
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
        | Command::SetContainer { id, .. }
        | Command::SetRemote { id, .. }
        | Command::PatchRemote { id, .. }
        | Command::SaveConfig { id, .. }
        | Command::DeleteConfig { id }
        | Command::Observe { id, .. } => Some(id.clone()),
        Command::NameCategory { .. }
        | Command::MakeBudget { .. }
        | Command::PatchBudget { .. }
        | Command::RemoveBudget { .. }
        | Command::ReachBudget { .. }
        | Command::GrantLease { .. }
        | Command::RenewLease { .. }
        | Command::ReleaseLease { .. }
        | Command::ExpireLease { .. }
        | Command::ForgetLease { .. }
        | Command::RaiseFindings { .. }
        | Command::ClearFindings { .. }
        | Command::DropGone { .. } => None,
    }
}
