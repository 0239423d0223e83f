//! The rules: the effect of a command on a state. Pure: no clock, no runtime, no store.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::decision::Decision;
use super::holding_effect::HoldingEffect;
use super::refusal::Refusal;
use super::request::{AcknowledgementTerms, Command, Request};
use super::schema_question::{CheckedSchema, SchemaQuestion};
use super::{authorization, budget_rules, lease_rules, observation_rules, release_rules, stop_rules};
use crate::change::{ChangeKind, ConfigChange, Event, HoldingAct, Note};
use crate::plugin::read::{both, nullable, refuse_unknown, time};
use crate::plugin::{
    FreeJson, Invalid, Name, Plugin, READ_ONLY_FIELDS, Registration, RemoteResource, UniqueId, json, merge_patch,
};
use crate::record::holding_rules::{NamedPids, Until, reclaims};
use crate::record::{Holding, Naming, Record, ResourceKind, ResourceRef, Slot, finding_rules};
use crate::revision::StoreId;
use crate::state::State;

/// The maximum size of a document that grows part by part, in bytes. With the fields that replies add, a client can
/// still send the document back in a body of 1 MiB.
const MAX_GROWN_BYTES: usize = 1024 * 1024 - 4096;

/// Decides the effect of `request` on `state`, the state of `store`.
///
/// `checked` is the result of the schema check for this request (see [`super::schema_check`]).
///
/// # Errors
///
/// The rule that the request breaks. Then nothing changes.
pub fn decide(
    state: &State,
    store: &StoreId,
    request: &Request,
    checked: Option<&CheckedSchema>,
) -> Result<Decision, Refusal> {
    let Some(principal) = &request.principal else { return decide_alone(state, store, request, checked) };
    // Before and after: the principal needs the right to change the current plugin and the resulting plugin.
    let right = authorization::right_to(principal, state, &request.command)?;
    let decision = decide_alone(state, store, request, checked)?;
    right.allows(&decision)?;
    Ok(decision)
}

/// Refuses to repeat the response to an earlier attempt of a request, if its principal may no longer do the request. A
/// request that breaks another rule by now is repeated: it was done before.
///
/// # Errors
///
/// If the principal has no right to do the command any longer.
pub fn require_right_to_repeat(
    state: &State,
    store: &StoreId,
    request: &Request,
    checked: Option<&CheckedSchema>,
) -> Result<(), Refusal> {
    let Some(principal) = &request.principal else { return Ok(()) };
    let right = authorization::right_to(principal, state, &request.command)?;
    if let Command::ReleaseMany { items } = &request.command {
        return release_rules::require_right_to_one(state, principal, items);
    }
    match decide_alone(state, store, request, checked) {
        Ok(decision) => right.allows(&decision),
        Err(_) => Ok(()),
    }
}

/// Decides without authorization.
fn decide_alone(
    state: &State,
    store: &StoreId,
    request: &Request,
    checked: Option<&CheckedSchema>,
) -> Result<Decision, Refusal> {
    let rules = Rules { state, store, request, checked };
    match &request.command {
        Command::Register(registration) => rules.register(registration),
        Command::Replace { id, registration } => rules.replace(id, registration),
        Command::Patch { id, patch } => rules.patch(id, patch),
        Command::Remove { id, force } => rules.remove(id, *force),
        Command::SetPids { id, pids } => {
            let naming = Naming { processes: NamedPids::All, ..Naming::default() };
            rules.edit(id, naming, |plugin| plugin.spawned_pids = pids.clone())
        }
        Command::AddPids { id, pids } => {
            let naming = Naming { processes: NamedPids::Only(pids.clone()), ..Naming::default() };
            rules.edit(id, naming, |plugin| plugin.spawned_pids = plugin.spawned_pids.with(pids))
        }
        Command::SetContainer { id, container_id } => {
            let naming = Naming { container: true, ..Naming::default() };
            rules.edit(id, naming, |plugin| plugin.container_id.clone_from(container_id))
        }
        Command::SetRemote { id, remote } => {
            let naming = Naming { remote: true, ..Naming::default() };
            rules.edit(id, naming, |plugin| plugin.remote_resource = Some(RemoteResource::clone(remote)))
        }
        Command::RemovePid { id, pid } => {
            rules.release(id, |held| matches!(held.resource, ResourceRef::Process(held) if held == *pid))
        }
        Command::ReleasePids { id } => {
            rules.release(id, |held| held.slot.kind == ResourceKind::Process && held.left().is_none())
        }
        Command::ReleaseContainer { id } => {
            rules.release(id, |held| held.slot.kind == ResourceKind::Container && held.left().is_none())
        }
        Command::ReleaseRemote { id } => {
            rules.release(id, |held| held.slot.kind == ResourceKind::Remote && held.left().is_none())
        }
        Command::Release { id, slots } => rules.release(id, |held| slots.contains(&held.slot)),
        Command::ReleaseMany { items } => Ok(release_rules::plan(state, request.principal.as_ref(), items)),
        Command::SetExpiry { id, slot, expires_at } => rules.set_expiry(id, slot, *expires_at),
        Command::Acknowledge { id, slot, terms } => rules.acknowledge(id, slot, terms),
        Command::EndAcknowledgement { id, slot } => rules.end_acknowledgement(id, slot),
        Command::Note { id, note } => rules.note(id, note),
        Command::RequestStop { id, request } => stop_rules::request(rules.standing(id)?, request),
        Command::AnswerStop { id, answer } => stop_rules::answer(rules.standing(id)?, answer),
        Command::PatchRemote { id, patch } => rules.patch_remote(id, patch),
        Command::SaveConfig { id, config } => rules.save_config(id, config),
        Command::DeleteConfig { id } => rules.delete_config(id),
        Command::NameCategory { name, display_name } => rules.name_category(name, display_name.as_deref()),
        Command::MakeBudget { id, budget } => budget_rules::save(state, id, budget),
        Command::PatchBudget { id, patch } => budget_rules::patch(state, id, patch),
        Command::RemoveBudget { id } => budget_rules::remove(state, id),
        Command::TellBudget { id, notice, burn_told } => Ok(budget_rules::tell(state, id, notice, *burn_told)),
        Command::GrantLease { id, terms } => {
            let token = request.principal.as_ref().and_then(|principal| principal.token.as_ref());
            lease_rules::grant(state, id, terms, token)
        }
        Command::RenewLease { id } => lease_rules::renew(state, id),
        Command::ReleaseLease { id } => lease_rules::release(state, id),
        Command::ExpireLease { id, revision } => Ok(lease_rules::expire(state, id, *revision)),
        Command::ForgetLease { id, revision } => Ok(lease_rules::forget(state, id, *revision)),
        Command::CorrectTime { id, revision } => Ok(observation_rules::correct_time(state, id, *revision)),
        Command::Observe { id, by, sightings } => Ok(observation_rules::observe(state, id, by, sightings)),
        Command::RaiseFindings { id, ground, findings } => Ok(observation_rules::raise(state, id, ground, findings)),
        Command::ClearFindings { id, ground, slots } => Ok(observation_rules::clear(state, id, ground, slots)),
        Command::DropGone { id, slots } => Ok(observation_rules::drop_gone(state, id, slots)),
        Command::EndHoldings { id, ground, slots } => Ok(observation_rules::end(state, id, ground, slots)),
        Command::WarnOfExpiry { id, ground, slots } => Ok(observation_rules::warn(state, id, ground, slots)),
        Command::ExpireAcknowledgements { id, ground, slots } => {
            Ok(observation_rules::unacknowledge(state, id, ground, slots))
        }
    }
}

/// A request with the state it applies to.
struct Rules<'a> {
    state: &'a State,
    store: &'a StoreId,
    request: &'a Request,
    checked: Option<&'a CheckedSchema>,
}

impl Rules<'_> {
    fn register(&self, registration: &Registration) -> Result<Decision, Refusal> {
        let key = registration.key();
        let id = key.unique_id();
        let current = self.state.plugin(id.as_str());
        if let Some(holder) = current.map(|record| record.plugin.key()).filter(|holder| *holder != key) {
            return Err(Refusal::IdTaken { unique_id: id, holder });
        }
        self.check_precondition(current)?;
        if current.is_none() {
            for (name, pointer) in [(&registration.name, "/name"), (&registration.category, "/category")] {
                name.require_visible().map_err(|detail| Invalid::at(pointer, detail))?;
            }
        }
        let mut plugin = registration.clone().applied_to(current.map(|record| &*record.plugin));
        if registration.is_configured.is_none() {
            plugin.is_configured &= self.config_still_obeys(current, &plugin)?;
        }
        self.put(current, plugin, ConfigChange::Kept, naming_of(registration))
    }

    fn replace(&self, id: &UniqueId, registration: &Registration) -> Result<Decision, Refusal> {
        let made = registration.key().unique_id();
        if made != *id {
            let detail = format!("the document's category and name make `{made}`");
            return Err(Refusal::IdentityFixed { id: id.clone(), field: None, detail });
        }
        self.register(registration)
    }

    fn patch(&self, id: &UniqueId, patch: &Map<String, Value>) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        let unknown = refuse_unknown(patch.keys(), "", Registration::FIELDS, READ_ONLY_FIELDS);
        let until = patch.get("expires_at").map(|value| nullable(time)(value.clone(), "/expires_at")).transpose()?;
        for (field, standing) in [("name", &current.plugin.name), ("category", &current.plugin.category)] {
            if patch.get(field).is_some_and(|value| value.as_str() != Some(standing.as_str())) {
                let detail = format!("{field} cannot be changed; register a new plugin instead");
                return Err(Refusal::IdentityFixed { id: id.clone(), field: Some(field), detail });
            }
        }
        let mut document = as_value(&current.plugin)?;
        merge_patch::merge(&mut document, Value::Object(patch.clone()));
        if let Value::Object(fields) = &mut document {
            fields.shift_remove("expires_at");
        }
        // The merged document is complete: a missing field was cleared by the patch.
        let mut plugin = both(unknown, Registration::read(document))?.applied_to(None);
        if !patch.contains_key("is_configured") {
            plugin.is_configured &= self.config_still_obeys(Some(current), &plugin)?;
        }
        check_size(&plugin)?;
        let names = |field: &str| patch.contains_key(field);
        let naming = Naming {
            processes: if names("spawned_pids") { NamedPids::All } else { NamedPids::None },
            container: names("container_id"),
            remote: names("remote_resource"),
            expires_at: until.map(Until),
            ..Naming::default()
        };
        self.put(Some(current), plugin, ConfigChange::Kept, naming)
    }

    fn patch_remote(&self, id: &UniqueId, patch: &Map<String, Value>) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        let unknown = refuse_unknown(patch.keys(), "", RemoteResource::FIELDS, &[]);
        let mut document = match &current.plugin.remote_resource {
            Some(remote) => as_value(remote)?,
            None => Value::Object(Map::new()),
        };
        merge_patch::merge(&mut document, Value::Object(patch.clone()));
        let remote = both(unknown, RemoteResource::read(document, ""))?;
        let mut plugin = (*current.plugin).clone();
        plugin.remote_resource = Some(remote);
        check_size(&plugin)?;
        // A new status of the resource does not name it.
        let names_it = ["instance_id", "job_id", "endpoint_url", "ssh_host"].iter().any(|id| patch.contains_key(*id));
        self.put(Some(current), plugin, ConfigChange::Kept, Naming { remote: names_it, ..Naming::default() })
    }

    fn remove(&self, id: &UniqueId, force: bool) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        let held = held_in_words(current);
        if !force && !held.is_empty() {
            return Err(Refusal::StillHeld { id: id.clone(), held: held.join(" and ") });
        }
        Ok(Decision::one(Event::PluginRemoved { id: id.clone() }, Some(id.clone())))
    }

    /// Changes one runtime field.
    fn edit(&self, id: &UniqueId, naming: Naming, change: impl FnOnce(&mut Plugin)) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        let mut plugin = (*current.plugin).clone();
        change(&mut plugin);
        check_size(&plugin)?;
        self.put(Some(current), plugin, ConfigChange::Kept, naming)
    }

    /// Releases some of the plugin's resources.
    fn release(&self, id: &UniqueId, is_meant: impl Fn(&Holding<'_>) -> bool) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        let released: Vec<Holding<'_>> = current.held().filter(is_meant).collect();
        let slots = released.iter().map(|held| held.slot.clone()).collect();
        Ok(observation_rules::without(current, &released, HoldingAct::Released { slots }))
    }

    fn set_expiry(&self, id: &UniqueId, slot: &Slot, expires_at: Option<Timestamp>) -> Result<Decision, Refusal> {
        let held = self.holding(id, slot)?;
        if held.claim.expiry.map(|expiry| expiry.at) == expires_at {
            return Ok(Decision::nothing(Some(id.clone())));
        }
        let act = HoldingAct::ExpirySet { slot: held.slot.clone(), expires_at };
        Ok(Decision::one(Event::Holdings { id: id.clone(), act }, Some(id.clone())))
    }

    fn acknowledge(&self, id: &UniqueId, slot: &Slot, terms: &AcknowledgementTerms) -> Result<Decision, Refusal> {
        let held = self.holding(id, slot)?;
        let Some(finding) = finding_rules::shown(&held) else {
            return Err(Refusal::NoFinding { id: id.clone(), slot: held.slot.clone() });
        };
        let AcknowledgementTerms { reason, until } = terms.clone();
        let before = held.facts.and_then(|facts| facts.acknowledgement.as_ref());
        if before.is_some_and(|before| before.finding == finding && before.reason == reason && before.until == until) {
            return Ok(Decision::nothing(Some(id.clone())));
        }
        let act = HoldingAct::Acknowledged { slot: held.slot.clone(), finding, reason, until };
        Ok(Decision::one(Event::Holdings { id: id.clone(), act }, Some(id.clone())))
    }

    /// Ending an acknowledgement twice changes nothing.
    fn end_acknowledgement(&self, id: &UniqueId, slot: &Slot) -> Result<Decision, Refusal> {
        let held = self.holding(id, slot)?;
        if held.facts.is_none_or(|facts| facts.acknowledgement.is_none()) {
            return Ok(Decision::nothing(Some(id.clone())));
        }
        let act = HoldingAct::Unacknowledged { slots: [held.slot.clone()].into() };
        Ok(Decision::one(Event::Holdings { id: id.clone(), act }, Some(id.clone())))
    }

    fn note(&self, id: &UniqueId, note: &Note) -> Result<Decision, Refusal> {
        self.standing(id)?;
        let act = HoldingAct::Noted { note: note.clone() };
        Ok(Decision::one(Event::Holdings { id: id.clone(), act }, Some(id.clone())))
    }

    /// A resource that an existing plugin holds, named as a client names it.
    fn holding(&self, id: &UniqueId, named: &Slot) -> Result<Holding<'_>, Refusal> {
        let current = self.standing(id)?;
        let slot = current.named(named.clone());
        let held = current.held().find(|held| held.slot == slot);
        held.ok_or_else(|| Refusal::NotHeld { id: id.clone(), slot })
    }

    fn save_config(&self, id: &UniqueId, config: &FreeJson) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        let schema = &current.plugin.config_schema;
        if !self.checked.is_some_and(|checked| checked.schema == *schema && checked.obeyed_by(config)) {
            let (schema, config) = (schema.clone(), config.clone());
            return Err(Refusal::NotChecked(SchemaQuestion::Config { schema, config }));
        }
        let mut plugin = (*current.plugin).clone();
        plugin.is_configured = true;
        let change = match &current.config {
            Some(saved) if saved == config => ConfigChange::Kept,
            _ => ConfigChange::Saved(config.clone()),
        };
        self.put(Some(current), plugin, change, Naming::default())
    }

    fn delete_config(&self, id: &UniqueId) -> Result<Decision, Refusal> {
        let current = self.standing(id)?;
        if current.config.is_none() && !current.plugin.is_configured {
            return Ok(Decision::nothing(Some(id.clone())));
        }
        let mut plugin = (*current.plugin).clone();
        plugin.is_configured = false;
        self.put(Some(current), plugin, ConfigChange::Deleted, Naming::default())
    }

    fn name_category(&self, name: &Name, display_name: Option<&str>) -> Result<Decision, Refusal> {
        let current = self.state.named_categories().get(name);
        if !self.request.precondition.holds(current.map(|category| category.revision), self.store) {
            return Err(Refusal::PreconditionFailed { current: current.map(|category| category.revision) });
        }
        let stands = current.map(|category| &*category.display_name) == display_name;
        let event = Event::CategoryNamed { name: name.clone(), display_name: display_name.map(Into::into) };
        Ok(if stands { Decision::nothing(None) } else { Decision::one(event, None) })
    }

    /// The existing plugin of an id, after the precondition was checked.
    fn standing(&self, id: &UniqueId) -> Result<&Arc<Record>, Refusal> {
        let current = self.state.plugin(id.as_str());
        self.check_precondition(current)?;
        current.ok_or_else(|| Refusal::NotFound(id.clone()))
    }

    fn check_precondition(&self, current: Option<&Arc<Record>>) -> Result<(), Refusal> {
        let current = current.map(|record| record.revision);
        // `standing` answers If-Match on a missing plugin with 404, which tells the client more than 412.
        if current.is_none() && self.request.precondition.if_none_match.is_none() && !self.creates() {
            return Ok(());
        }
        if self.request.precondition.holds(current, self.store) {
            Ok(())
        } else {
            Err(Refusal::PreconditionFailed { current })
        }
    }

    fn creates(&self) -> bool {
        matches!(self.request.command, Command::Register(_) | Command::Replace { .. })
    }

    /// Whether the saved configuration, if any, is valid under the schema of `plugin`.
    fn config_still_obeys(&self, current: Option<&Arc<Record>>, plugin: &Plugin) -> Result<bool, Refusal> {
        let Some((current, config)) = current.and_then(|record| Some((record, record.config.as_ref()?))) else {
            return Ok(true);
        };
        let schema = &plugin.config_schema;
        if current.plugin.config_schema == *schema {
            return Ok(true);
        }
        match self.checked {
            Some(CheckedSchema { schema: checked, config: Some((held, obeys)) })
                if checked == schema && held == config =>
            {
                Ok(*obeys)
            }
            _ => Err(Refusal::NotChecked(SchemaQuestion::Schema {
                schema: schema.clone(),
                config: Some(config.clone()),
            })),
        }
    }

    /// Replaces `current` with `plugin`.
    fn put(
        &self,
        current: Option<&Arc<Record>>,
        plugin: Plugin,
        config: ConfigChange,
        naming: Naming,
    ) -> Result<Decision, Refusal> {
        let before = current.map(|record| &*record.plugin);
        let id = plugin.unique_id();
        let stands = before == Some(&plugin) && config == ConfigChange::Kept;
        if stands && !current.is_some_and(|record| reclaims(record, &plugin, &naming)) {
            return Ok(Decision::nothing(Some(id)));
        }
        let schema = &plugin.config_schema;
        let stands = before.is_some_and(|before| before.config_schema == *schema);
        if !stands && self.checked.is_none_or(|checked| checked.schema != *schema) {
            let config = current.and_then(|record| record.config.clone());
            return Err(Refusal::NotChecked(SchemaQuestion::Schema { schema: schema.clone(), config }));
        }
        let effect = match current {
            Some(current) => HoldingEffect::of(current, &plugin, &naming)?,
            None => HoldingEffect::default(),
        };
        let kind = match config {
            ConfigChange::Kept => ChangeKind::between(before, &plugin),
            ConfigChange::Saved(_) => ChangeKind::ConfigSaved,
            ConfigChange::Deleted => ChangeKind::ConfigDeleted,
        };
        let mut events = vec![Event::PluginPut { kind, plugin: Arc::new(plugin), config, naming }];
        events.extend(effect.events(&id));
        Ok(Decision { events, subject: Some(id), results: Vec::new() })
    }
}

/// What a registration says about the plugin's holdings.
fn naming_of(registration: &Registration) -> Naming {
    Naming {
        processes: if registration.spawned_pids.is_some() { NamedPids::All } else { NamedPids::None },
        container: registration.container_id.is_some(),
        remote: registration.remote_resource.is_some(),
        expires_at: registration.expires_at.map(Until),
        ..Naming::default()
    }
}

/// The document that a merge patch applies to, with exact numbers and key order.
fn as_value(document: &impl serde::Serialize) -> Result<Value, Invalid> {
    let text = serde_json::to_vec(document).map_err(|error| Invalid::at("", error.to_string()))?;
    json::parse(&text).map_err(|error| Invalid::at("", error.to_string()))
}

/// Refuses a plugin that grew, part by part, beyond the maximum size of a request body.
fn check_size(plugin: &Plugin) -> Result<(), Invalid> {
    let bytes = serde_json::to_vec(plugin).map_or(0, |text| text.len());
    if bytes > MAX_GROWN_BYTES {
        let detail = format!("the plugin's document would have {bytes} bytes, more than {MAX_GROWN_BYTES}; send less");
        return Err(Invalid::at("", detail));
    }
    Ok(())
}

/// The held resources that may still run or bill.
fn held_in_words(record: &Record) -> Vec<String> {
    let plugin = &record.plugin;
    let mut held = Vec::new();
    match plugin.spawned_pids.len() {
        0 => {}
        1 => held.push("1 process".to_owned()),
        n => held.push(format!("{n} processes")),
    }
    if plugin.container().is_some() {
        held.push("a container".into());
    }
    if let Some(remote) = plugin.remote_resource.as_ref().filter(|remote| remote.is_billable()) {
        held.push(format!("a remote resource that is {}", remote.status));
    }
    match record.holdings.left().count() {
        0 => {}
        1 => held.push("1 resource that was left behind".to_owned()),
        n => held.push(format!("{n} resources that were left behind")),
    }
    held
}
