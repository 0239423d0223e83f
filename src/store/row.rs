//! A change as a row: the same columns in every SQL store.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use domain::change::{Change, ChangeKind, ConfigChange, Event, HoldingAct, Step, Transition};
use domain::command::answer::Answer;
use domain::command::idempotency::{KeptAnswer, OVERHEAD};
use domain::cost::{Budget, BudgetEvent, Notice};
use domain::lease::{LeaseAct, LeaseText};
use domain::plugin::{FreeJson, Name, Plugin, UniqueId, json};
use domain::query::spans::{HeldChange, HeldState};
use domain::record::{Holdings, Naming, Record};
use domain::{Lease, LeaseId, Revision};

/// The columns of the table `changes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The revision.
    pub revision: i64,
    /// Microseconds since the Unix epoch.
    pub at: i64,
    /// [`ChangeKind::as_str`].
    pub kind: String,
    /// The plugin's unique_id, the category's name, or the id of the budget or lease.
    pub subject: String,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// The plugin's document after the change.
    pub document: Option<String>,
    /// The saved configuration, the category's display name, the budget's event, the lease after the change, the
    /// observations or findings, or what the change says about holdings.
    pub detail: Option<String>,
    /// When the plugin was registered, in microseconds since the Unix epoch.
    pub created_at: Option<i64>,
    /// The plugin's holdings after the change: claims, observations and findings.
    pub observed: Option<String>,
    /// The name of the principal.
    pub principal: Option<String>,
    /// `Registry-Reason`.
    pub reason: Option<String>,
}

impl TryFrom<&Transition> for ChangeRow {
    type Error = StoreError;

    fn try_from(transition: &Transition) -> Result<ChangeRow, StoreError> {
        let change = &transition.change;
        let (document, detail) = match &change.event {
            Event::PluginPut { plugin, config, naming, .. } => {
                let detail = match config {
                    ConfigChange::Saved(config) => Some(config.as_str().to_owned()),
                    ConfigChange::Deleted => None,
                    // A change of a configuration names no resource.
                    ConfigChange::Kept if *naming == Naming::legacy() => None,
                    ConfigChange::Kept => Some(text_of(naming)?),
                };
                (Some(document_text(plugin)?), detail)
            }
            Event::PluginRemoved { .. } => (None, None),
            Event::CategoryNamed { display_name, .. } => (None, display_name.as_deref().map(str::to_owned)),
            Event::Budget { event, .. } => (None, budget_text(event)?),
            Event::Lease { .. } => (None, lease_after(transition)?),
            Event::Holdings { act, .. } => (document_after(transition)?, Some(text_of(act)?)),
            Event::ResourcesObserved { seen, .. } => (document_after(transition)?, Some(text_of(seen)?)),
            Event::FindingsRaised { findings, .. } => (document_after(transition)?, Some(text_of(findings)?)),
            Event::FindingsCleared { slots, .. } => (document_after(transition)?, Some(text_of(slots)?)),
        };
        Ok(ChangeRow {
            revision: revision_to_sql(change.revision),
            at: change.at.as_microsecond(),
            kind: change.event.kind().as_str().to_owned(),
            subject: change.event.subject(),
            request_id: change.request_id.as_deref().map(str::to_owned),
            document,
            detail,
            created_at: transition.after().map(|record| record.created_at.as_microsecond()),
            observed: transition.after().and_then(|record| record.holdings.to_text()),
            principal: change.principal.as_deref().map(str::to_owned),
            reason: change.reason.as_deref().map(str::to_owned),
        })
    }
}

impl TryFrom<ChangeRow> for Change {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Change, StoreError> {
        let damaged = |what: &str| StoreError::refused(format!("change {} in the journal {what}", row.revision));
        let kind = ChangeKind::from_name(&row.kind).ok_or_else(|| damaged("is of an unknown kind"))?;
        let event = match kind {
            ChangeKind::PluginRemoved => Event::PluginRemoved { id: UniqueId::from_client(&row.subject) },
            ChangeKind::CategoryNamed => Event::CategoryNamed {
                name: Name::new(&row.subject).map_err(|_| damaged("names no category"))?,
                display_name: row.detail.as_deref().map(Into::into),
            },
            ChangeKind::BudgetSaved
            | ChangeKind::BudgetRemoved
            | ChangeKind::BudgetThresholdReached
            | ChangeKind::BudgetBreachProjected
            | ChangeKind::BudgetBurnExceeded
            | ChangeKind::BudgetBurnRecovered => {
                let event = budget_event(kind, row.detail.as_deref())?;
                Event::Budget { id: row.subject.as_str().into(), event: event.ok_or_else(|| damaged("has no budget"))? }
            }
            ChangeKind::LeaseGranted
            | ChangeKind::LeaseExpired
            | ChangeKind::LeaseRevived
            | ChangeKind::LeaseReleased
            | ChangeKind::LeaseForgotten => {
                let act = match kind {
                    ChangeKind::LeaseExpired => LeaseAct::Expired,
                    ChangeKind::LeaseRevived => LeaseAct::Revived,
                    ChangeKind::LeaseReleased => LeaseAct::Released,
                    ChangeKind::LeaseForgotten => LeaseAct::Compacted,
                    _ => {
                        let lease = row.lease()?.ok_or_else(|| damaged("has no lease"))?;
                        LeaseAct::Granted(lease.terms(), lease.token)
                    }
                };
                Event::Lease { id: LeaseId::named(&row.subject), act }
            }
            ChangeKind::ResourceLeftBehind
            | ChangeKind::ResourceEnded
            | ChangeKind::ResourceReleased
            | ChangeKind::ResourceExpiresSoon
            | ChangeKind::ResourceExpirySet
            | ChangeKind::FindingAcknowledged
            | ChangeKind::PluginNoted
            | ChangeKind::StopRequested
            | ChangeKind::StopAnswered
            | ChangeKind::FindingUnacknowledged => {
                let act: HoldingAct = row.parsed()?.ok_or_else(|| damaged("has no detail"))?;
                let event = Event::Holdings { id: row.plugin_id(), act };
                if event.kind() != kind {
                    return Err(damaged("is of another kind than its detail"));
                }
                event
            }
            ChangeKind::ResourceObserved => Event::ResourcesObserved { id: row.plugin_id(), seen: row.list()? },
            ChangeKind::FindingRaised => Event::FindingsRaised { id: row.plugin_id(), findings: row.list()? },
            ChangeKind::FindingCleared => Event::FindingsCleared { id: row.plugin_id(), slots: row.list()? },
            kind => {
                let document = row.document.as_deref().ok_or_else(|| damaged("has no document"))?;
                let config = match (kind, row.detail.as_deref()) {
                    (ChangeKind::ConfigSaved, Some(config)) => ConfigChange::Saved(config_of(config)?),
                    (ChangeKind::ConfigSaved, None) => return Err(damaged("has no configuration")),
                    (ChangeKind::ConfigDeleted, _) => ConfigChange::Deleted,
                    _ => ConfigChange::Kept,
                };
                let naming = match config {
                    // Versions before claims wrote no detail.
                    ConfigChange::Kept => row.parsed()?.unwrap_or_else(Naming::legacy),
                    ConfigChange::Saved(_) | ConfigChange::Deleted => Naming::default(),
                };
                Event::PluginPut { kind, plugin: Arc::new(plugin_of(document)?), config, naming }
            }
        };
        Ok(Change {
            revision: revision_from_sql(row.revision)?,
            at: time_from_sql(row.at)?,
            request_id: row.request_id.map(Into::into),
            principal: row.principal.map(Into::into),
            reason: row.reason.map(Into::into),
            event,
        })
    }
}

impl ChangeRow {
    /// The change with its effect. `before` is the previous change of the same subject.
    ///
    /// # Errors
    ///
    /// If either row is damaged.
    pub fn transition(self, before: Option<ChangeRow>) -> Result<Transition, StoreError> {
        let step = if self.kind == "category.named" {
            let display_name = |row: &ChangeRow| row.detail.as_deref().map(Into::into);
            Step::Category { before: before.as_ref().and_then(display_name), after: display_name(&self) }
        } else if self.kind.starts_with("budget.") {
            Step::Budget
        } else if self.is_of_lease() {
            let before = before.map(|row| row.lease()).transpose()?.flatten();
            Step::Lease { before: before.map(Arc::new), after: self.lease()?.map(Arc::new) }
        } else {
            Step::Plugin { before: before.map(|row| row.record()).transpose()?.flatten(), after: self.record()? }
        };
        Ok(Transition::new(Change::try_from(self)?, step))
    }

    /// The record after the change, without its saved configuration; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the row is damaged.
    pub fn record(&self) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(document) = &self.document else { return Ok(None) };
        let (revision, at) = (revision_from_sql(self.revision)?, time_from_sql(self.at)?);
        let created_at = self.created_at.map_or(Ok(at), time_from_sql)?;
        let holdings = holdings_of(self.observed.as_deref())?;
        Ok(Some(Arc::new(Record::holding(plugin_of(document)?.into(), None, revision, (created_at, at), holdings))))
    }

    /// What the plugin holds after the change; `None` if the change is not about a plugin.
    ///
    /// # Errors
    ///
    /// If the row is damaged.
    pub fn held(&self) -> Result<Option<HeldChange>, StoreError> {
        if self.is_of_lease() || self.kind == "category.named" || self.kind.starts_with("budget.") {
            return Ok(None);
        }
        let at = time_from_sql(self.at)?;
        let held = self.document.as_deref().map(|document| {
            let holdings = holdings_of(self.observed.as_deref())?;
            let held = HeldState::read(document, holdings, at);
            held.map_err(|error| StoreError::unusable("a plugin's document is damaged", error))
        });
        Ok(Some(HeldChange { at, id: self.plugin_id(), held: held.transpose()? }))
    }

    /// The bytes of its texts.
    pub fn bytes(&self) -> usize {
        [&self.document, &self.detail, &self.observed].into_iter().flatten().map(String::len).sum()
    }

    /// The lease after the change, if the change is about a lease; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the row is damaged.
    pub fn lease(&self) -> Result<Option<Lease>, StoreError> {
        let Some(text) = self.detail.as_deref().filter(|_| self.is_of_lease()) else { return Ok(None) };
        Ok(Some(lease_of(&self.subject, text, self.revision)?))
    }

    /// Whether the change is about a lease.
    pub fn is_of_lease(&self) -> bool {
        self.kind.starts_with(LEASE_KINDS)
    }

    fn plugin_id(&self) -> UniqueId {
        UniqueId::from_client(&self.subject)
    }

    /// The detail of the change as JSON; `None` if there is none.
    fn parsed<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        let parsed = self.detail.as_deref().map(serde_json::from_str).transpose();
        parsed
            .map_err(|error| StoreError::unusable(format!("the detail of change {} is damaged", self.revision), error))
    }

    /// The observations, findings or slots of the change.
    fn list<T: DeserializeOwned>(&self) -> Result<Arc<[T]>, StoreError> {
        let text = self.detail.as_deref().unwrap_or("[]");
        let parts: Vec<T> = serde_json::from_str(text).map_err(|error| {
            StoreError::unusable(format!("the resources of change {} are damaged", self.revision), error)
        })?;
        Ok(parts.into())
    }
}

/// The prefix of the kinds of changes of leases.
pub const LEASE_KINDS: &str = "lease.";

fn text_of(parts: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(parts).map_err(|error| StoreError::unusable("a change cannot be written", error))
}

/// The plugin's document after a change of its observations or findings.
fn document_after(transition: &Transition) -> Result<Option<String>, StoreError> {
    transition.after().map(|record| document_text(&record.plugin)).transpose()
}

fn lease_after(transition: &Transition) -> Result<Option<String>, StoreError> {
    match &transition.step {
        Step::Lease { after: Some(lease), .. } => lease_text(lease).map(Some),
        _ => Ok(None),
    }
}

/// A lease as text for the store.
///
/// # Errors
///
/// Never for a lease that this program made.
pub fn lease_text(lease: &Lease) -> Result<String, StoreError> {
    text_of(&LeaseText::from(lease))
}

/// Parses a stored lease.
///
/// # Errors
///
/// If it is damaged.
pub fn lease_of(id: &str, text: &str, revision: i64) -> Result<Lease, StoreError> {
    let text: LeaseText =
        serde_json::from_str(text).map_err(|error| StoreError::unusable("a lease is damaged", error))?;
    Ok(text.named(LeaseId::named(id), revision_from_sql(revision)?))
}

/// Parses the stored holdings of a plugin.
///
/// # Errors
///
/// If they are damaged.
pub fn holdings_of(text: Option<&str>) -> Result<Holdings, StoreError> {
    Holdings::from_text(text).map_err(|error| StoreError::unusable("the holdings of a plugin are damaged", error))
}

/// A budget's event as text for the store.
fn budget_text(event: &BudgetEvent) -> Result<Option<String>, StoreError> {
    let text = match event {
        BudgetEvent::Saved(budget) => budget.document().to_string(),
        BudgetEvent::Told(notice) => text_of(notice)?,
        BudgetEvent::Removed => return Ok(None),
    };
    Ok(Some(text))
}

/// Parses a budget's event; `None` if its text is missing.
fn budget_event(kind: ChangeKind, text: Option<&str>) -> Result<Option<BudgetEvent>, StoreError> {
    if kind == ChangeKind::BudgetRemoved {
        return Ok(Some(BudgetEvent::Removed));
    }
    let Some(text) = text else { return Ok(None) };
    let damaged = |error: String| StoreError::unusable("a budget in the journal is damaged", error);
    let unread = |error: serde_json::Error| damaged(error.to_string());
    let notice = match kind {
        ChangeKind::BudgetThresholdReached => Notice::Reached(serde_json::from_str(text).map_err(unread)?),
        ChangeKind::BudgetBreachProjected => Notice::Projected(serde_json::from_str(text).map_err(unread)?),
        ChangeKind::BudgetBurnExceeded | ChangeKind::BudgetBurnRecovered => {
            Notice::Burn(serde_json::from_str(text).map_err(unread)?)
        }
        _ => {
            let budget = Budget::read(serde_json::from_str(text).map_err(unread)?);
            let budget = budget.map_err(|invalid| damaged(invalid.to_string()))?;
            return Ok(Some(BudgetEvent::Saved(Arc::new(budget))));
        }
    };
    Ok(Some(BudgetEvent::Told(Box::new(notice))))
}

/// Deletes the oldest stored responses of a token ($1) until they make up some bytes ($3), at most a number of them ($2).
/// SQLite numbers these parameters in the order of their occurrence.
pub(super) const OLDEST_ANSWERS: &str = "DELETE FROM answers WHERE key IN (
    SELECT key FROM (
        SELECT key, sum(bytes) OVER (ORDER BY hour, at, key) - bytes AS before FROM (
            SELECT key, hour, at, bytes FROM answers WHERE token = $1 ORDER BY hour, at, key LIMIT $2
        ) AS oldest
    ) AS summed WHERE before < $3
)";

/// A response as text for the store.
///
/// # Errors
///
/// Never for a response that this program made.
pub fn answer_text(answer: &Answer) -> Result<String, StoreError> {
    serde_json::to_string(answer).map_err(|error| StoreError::unusable("an answer cannot be written", error))
}

/// How many bytes a stored response counts, given its text.
pub fn answer_bytes(kept: &KeptAnswer, text: &str) -> i64 {
    let bytes = (kept.key.len() + kept.fingerprint.len() + text.len()) as u64 + OVERHEAD;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// An hour of the registry's life as a number of SQL.
pub fn hour_to_sql(hour: u64) -> i64 {
    i64::try_from(hour).unwrap_or(i64::MAX)
}

/// Parses a stored response.
///
/// # Errors
///
/// If it is damaged.
pub fn answer_of(key: &str, fingerprint: &str, (at, hour): (i64, i64), answer: &str) -> Result<KeptAnswer, StoreError> {
    let answer =
        serde_json::from_str(answer).map_err(|error| StoreError::unusable("a kept answer is damaged", error))?;
    Ok(KeptAnswer {
        key: key.into(),
        fingerprint: fingerprint.into(),
        at: time_from_sql(at)?,
        hour: u64::try_from(hour).unwrap_or_default(),
        answer: Arc::new(answer),
    })
}

/// A plugin's document as text for the store.
///
/// # Errors
///
/// Never for a plugin that this program made.
pub fn document_text(plugin: &Plugin) -> Result<String, StoreError> {
    serde_json::to_string(plugin).map_err(|error| StoreError::unusable("a document cannot be written", error))
}

/// Parses a stored document.
///
/// # Errors
///
/// If the document is damaged.
pub fn plugin_of(document: &str) -> Result<Plugin, StoreError> {
    serde_json::from_str(document).map_err(|error| StoreError::unusable("a plugin's document is damaged", error))
}

/// Parses a stored configuration.
///
/// # Errors
///
/// If it is damaged.
pub fn config_of(text: &str) -> Result<FreeJson, StoreError> {
    let value = json::parse(text.as_bytes())
        .map_err(|error| StoreError::unusable("a saved configuration is damaged", error))?;
    Ok(FreeJson::from(&value))
}

/// A revision as SQL's signed integer: 2^63 changes are out of reach.
pub fn revision_to_sql(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// A stored revision.
///
/// # Errors
///
/// If it is negative.
pub fn revision_from_sql(revision: i64) -> Result<Revision, StoreError> {
    u64::try_from(revision)
        .map(Revision)
        .map_err(|error| StoreError::unusable(format!("the revision {revision} is damaged"), error))
}

/// A stored time.
///
/// # Errors
///
/// If it is outside the years -9999 to 9999.
pub fn time_from_sql(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| StoreError::unusable(format!("the time {micros} is damaged"), error))
}
